"""Canny's generated code: hysteresis on bits is exact, nothing is touched that was not given, every target has it."""

import ctypes
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.ndimage

import kernelwise
from kernelwise.algorithms.canny import hysteresis, planes, tiles
from kernelwise.algorithms.canny import launch as canny_launch
from kernelwise.algorithms.canny.spec import EdgeSpec, lanes
from kernelwise.algorithms.numbers import Number
from kernelwise.app.bench import pictures
from kernelwise.edges import canny
from kernelwise.jit import pool
from kernelwise.jit.compile import Code, assembly, compile_object, load
from kernelwise.jit.ir import Module
from kernelwise.jit.target import available, named
from kernelwise.jit.types import I64, PTR, VOID
from support.guarded_canny import specifications

FOLDER = Path(__file__).parent
PARTS = 3
TARGETS = ("avx512", "avx2", "sse", "neon")


# ---------------------------------------------------------------- hysteresis on bits


def grower(target: str, sweeps: bool) -> Code:
    """``grow(bits, words, rows)``: with sweeps first, or by the stack alone."""
    module = Module(named(target))
    hysteresis.emit(module)
    fn = module.function("grow", [("bits", PTR), ("words", I64), ("rows", I64)])
    bits, words, rows = fn.args
    pitch = fn.load(I64, bits + 8 * hysteresis.BITS.index("pitch"))
    if sweeps:
        fn.call("sweep", VOID, [bits, fn.index(0), pitch, words, rows])
        fn.call("sweep", VOID, [bits, (rows - 1) * pitch, 0 - pitch, words, rows])
    fn.call("settle", VOID, [bits, words, rows])
    return load(compile_object(module.text, named(target)), named(target))


class Plane:
    """A bool map as rows of bits, with zeros around them."""

    def __init__(self, pixels: np.ndarray) -> None:
        rows, columns = pixels.shape
        self.words = -(-columns // 64)
        row_words = -(-self.words // 8) * 8 + 8
        self.rows = np.zeros((rows + 2, row_words), np.uint64)
        lead = np.zeros(8, np.uint64)
        padded = np.zeros((rows, row_words * 64), bool)
        padded[:, :columns] = pixels
        self.rows[1:-1] = np.packbits(padded, axis=1, bitorder="little").view(np.uint64)
        self.memory = np.concatenate([lead, self.rows.ravel(), lead])
        self.pitch = row_words * 8
        self.shape = pixels.shape

    @property
    def address(self) -> int:
        return int(self.memory.ctypes.data) + 64 + self.pitch

    @property
    def pixels(self) -> np.ndarray:
        rows = self.memory[8:-8].reshape(-1, self.pitch // 8)[1:-1]
        return np.unpackbits(rows.view(np.uint8), axis=1, bitorder="little")[:, : self.shape[1]].astype(bool)


def grown(code: Code, candidates: np.ndarray, strong: np.ndarray) -> np.ndarray:
    c, s, p = Plane(candidates), Plane(strong), Plane(np.zeros(strong.shape, bool))
    stack = np.zeros(strong.shape[0] * c.words, np.int64)
    values = {"candidates": c.address, "strong": s.address, "pending": p.address, "stack": stack.ctypes.data}
    values |= {"top": 0, "pitch": c.pitch}
    bits = np.array([values[name] for name in hysteresis.BITS], np.int64)
    run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(code.address("grow"))
    run(bits.ctypes.data, c.words, strong.shape[0])
    assert bits[hysteresis.BITS.index("top")] == 0 and not p.memory.any(), "nothing waits any more"
    assert np.array_equal(c.pixels, candidates), "candidates are not changed"
    return s.pixels


def by_groups(candidates: np.ndarray, strong: np.ndarray) -> np.ndarray:
    groups, _ = scipy.ndimage.label(candidates, np.ones((3, 3)))
    return np.isin(groups, np.setdiff1d(groups[strong], [0]))


@pytest.mark.parametrize("sweeps", [True, False])
@pytest.mark.parametrize("target", available())
def test_bits_grow_to_the_groups_that_hold_a_strong_one(target: str, sweeps: bool, rng: np.random.Generator) -> None:
    code = grower(target, sweeps)
    for turn in range(120):
        shape = int(rng.integers(1, 70)), int(rng.choice([1, 7, 63, 64, 65, 128, 200, 513, 700]))
        candidates = rng.random(shape) < rng.choice([0.05, 0.3, 0.4, 0.5, 0.9, 1.0])
        strong = candidates & (rng.random(shape) < rng.choice([0, 0.001, 0.02, 0.5]))
        if turn % 3 == 0:
            strong = candidates & (np.arange(candidates.size).reshape(shape) == rng.integers(candidates.size))
        assert np.array_equal(grown(code, candidates, strong), by_groups(candidates, strong)), (shape, turn)


@pytest.mark.parametrize("target", available())
def test_the_longest_paths_are_followed_to_their_end(target: str) -> None:
    code = grower(target, True)
    for path in (pictures.zigzag(150, 330, 1), pictures.zigzag(330, 150, 1).T, pictures.spiral(200, 260, 1)):
        candidates = path > pictures.FLAT
        for seed in np.argwhere(candidates)[[0, -1]]:
            strong = np.zeros_like(candidates)
            strong[tuple(seed)] = True
            found = grown(code, candidates, strong)
            assert np.array_equal(found, by_groups(candidates, strong))
            assert found.sum() > 0.4 * candidates.size / 1.1


def test_a_path_through_many_tiles_takes_several_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """So a call can be interrupted, however long the path is."""
    x = pictures.zigzag(1300, 4300, 3)
    runs: list[int] = []
    real = pool.run
    monkeypatch.setattr(pool, "run", lambda *given: runs.append(given[3]) or real(*given))
    found = canny(x, 0, 60, 120, norm="l1", opencv=True)
    assert np.array_equal(found, cv2.Canny(x, 60, 120))
    assert runs.count(1) > 2, "seams, and at least two turns"
    assert found.mean() > 0.3 * 255


# ---------------------------------------------------------------- a good guest


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
def test_ctrl_c_is_answered_while_a_long_path_is_followed() -> None:
    x = pictures.zigzag(6000, 6000, 3)
    canny(x[:100, :100], 0, 60, 120, opencv=True)
    sent: list[float] = []

    def interrupt() -> None:
        sent.append(time.perf_counter())
        signal.raise_signal(signal.SIGINT)

    timer = threading.Timer(0.15, interrupt)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        while True:
            canny(x, 0, 60, 120, opencv=True)
    answered = time.perf_counter()
    timer.join()
    assert answered - sent[0] < 0.5  # 0.1 on a machine that has nothing else to do
    assert np.array_equal(
        canny(x[:90, :90], 0, 60, 120, norm="l1", opencv=True), cv2.Canny(x[:90, :90].copy(), 60, 120)
    )


def test_clearing_the_cache_forgets_the_code_and_changes_no_result() -> None:
    x = pictures.photograph("coins")
    before = canny(x)
    assert canny_launch._tiles.cache_info().currsize
    kernelwise.clear_cache()
    assert not canny_launch._tiles.cache_info().currsize
    assert np.array_equal(canny(x), before)


# ---------------------------------------------------------------- the generated code


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_has_the_passes(name: str) -> None:
    target = named(name)
    for work, stored, channels in (("i2", "u1", 1), ("i2", "u1", 3), ("f4", "u2", 1), ("f8", "f8", 1)):
        number = Number(work)
        for norm, smooth in (("l1", (1, 2)), ("l2", (3, 10)), ("l2", None)):
            image = Number(stored) if smooth else number
            spec = EdgeSpec(image, number, norm, smooth, channels, work != "i2", lanes(number, target))
            text = assembly(tiles.emit(spec, target).text, target)
            assert text
            if name == "sse":
                assert "%ymm" not in text
            if name in ("sse", "avx2"):
                assert "%zmm" not in text
    assert assembly(planes.emit(target).text, target)


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="needs mprotect")
@pytest.mark.parametrize("part", range(PARTS))
def test_no_pass_leaves_its_arrays(part: int, report_figure: Callable[[str, str], None]) -> None:
    status, last, complaints = guarded(part, PARTS, "plain")
    assert status >= 0, f"died of {signal.Signals(-status).name} in: {last}"
    assert status == 0, f"in {last}:\n{complaints}"
    done = int(last.removeprefix("done "))
    assert done >= 14 * (len(specifications()) // PARTS)
    report_figure(f"Canny between forbidden pages, part {part + 1} of {PARTS}", f"{done} pictures")


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="needs mprotect")
@pytest.mark.parametrize("how", ["over", "under"])
def test_a_column_too_far_would_be_seen(how: str) -> None:
    status, _, _ = guarded(0, 1000, how)
    assert status < 0 and signal.Signals(-status) in (signal.SIGSEGV, signal.SIGBUS)


def guarded(first: int, step: int, how: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "support.guarded_canny", str(first), str(step), how]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout.strip().rpartition("\n")[2], done.stderr
