"""Products of chosen windows: exact on whole numbers, the same for any number of threads, within their arrays."""

import ctypes
import signal
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from kernelwise.algorithms import chosen_windows as module
from kernelwise.algorithms.chosen_windows import chosen_windows
from kernelwise.algorithms.numbers import Number
from kernelwise.jit.compile import assembly
from kernelwise.jit.target import available, named
from support import assembly as reading
from support.fences import Fenced
from support.memory import KINDS, arrange

FOLDER = Path(__file__).parent
SHAPES = [  # (n, c, planes, rows, columns), results, taps
    ((1, 1, 1, 1, 1), 1, (1, 1, 1)),
    ((1, 1, 1, 9, 40), 1, (1, 3, 3)),
    ((2, 2, 1, 20, 150), 3, (1, 2, 4)),
    ((1, 1, 4, 8, 21), 1, (2, 3, 2)),
    ((3, 1, 1, 1, 300), 2, (1, 1, 5)),
    ((1, 1, 1, 130, 3), 1, (1, 7, 1)),
    ((1, 1, 1, 30, 141), 1, (1, 9, 9)),
]
MOST_BYTES = 1 << 22
MORE = "x_places", "y_places", "gram", "scratch"  # arrays, beside images, results and what is taken from them


@pytest.fixture(params=available())
def target(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The test runs with the code for each instruction set of this machine."""
    monkeypatch.setenv("KERNELWISE_TARGET", request.param)
    return str(request.param)


def numbers(
    shape: tuple[int, ...], results: int, taps: tuple[int, ...], rng: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """Images, results, and numbers of outputs."""
    out = tuple(n - k + 1 for n, k in zip(shape[2:], taps, strict=True))
    x = rng.integers(-5, 6, shape).astype("f4")
    y = rng.integers(-5, 6, (shape[0], results, *out)).astype("i2")
    return x, y, np.flatnonzero(rng.random((shape[0], *out)) < 0.4)


def definition(
    x: np.ndarray, y: np.ndarray, where: np.ndarray, taps: tuple[int, ...], before: np.ndarray, after: np.ndarray
) -> np.ndarray:
    x, y = x - before[:, None, None, None], y - after[:, None, None, None]
    windows = sliding_window_view(x.astype(np.float64), taps, axis=(2, 3, 4)).transpose(0, 2, 3, 4, 1, 5, 6, 7)
    count = y[:, 0].size
    rows = windows.reshape(count, -1), np.ones((count, 1)), y.transpose(0, 2, 3, 4, 1).reshape(count, -1)
    f = np.concatenate(rows, axis=1)[where]
    return f.T @ f


def constants(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(x.shape[1]) + 1.0, np.arange(y.shape[1]) - 2.0


@pytest.mark.parametrize(("shape", "results", "taps"), SHAPES)
def test_whole_numbers_are_exact(
    shape: tuple[int, ...], results: int, taps: tuple[int, int, int], target: str, rng: np.random.Generator
) -> None:
    x, y, where = numbers(shape, results, taps, rng)
    found = chosen_windows(x, y, where, taps, *constants(x, y), 1)
    assert np.array_equal(found, definition(x, y, where, taps, *constants(x, y)))


def test_bits_depend_on_neither_threads_nor_memory_nor_rounds(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    x, y = rng.normal(size=(1, 1, 1, 80, 200)), rng.normal(size=(1, 1, 1, 76, 196))
    where, zero = np.flatnonzero(rng.random(y.size) < 0.5), np.zeros(1)
    one = chosen_windows(x, y, where, (1, 5, 5), zero, zero, 1)
    assert np.array_equal(one, one.T)
    for threads in (2, 3, 8):
        assert np.array_equal(chosen_windows(x, y, where, (1, 5, 5), zero, zero, threads), one)
    for kind in KINDS:
        moved = arrange(x, kind, rng)
        if moved.dtype.newbyteorder("=") == np.float64:
            assert np.array_equal(chosen_windows(moved, y, where, (1, 5, 5), zero, zero, 2), one), kind
    monkeypatch.setattr(module, "ROUND_WORK", 1)
    again = chosen_windows(x, y, where, (1, 5, 5), zero, zero, 2)
    assert np.abs(again - one).max() < 1e-12 * np.abs(one).max()


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="needs mprotect")
def test_nothing_outside_the_arrays_is_read_or_written() -> None:
    done = subprocess.run([sys.executable, __file__], cwd=FOLDER, capture_output=True, text=True, timeout=300)
    assert done.returncode >= 0, f"died of {signal.Signals(-done.returncode).name} in: {done.stdout[-200:]}"
    assert done.returncode == 0, done.stderr


def between_forbidden_pages() -> None:
    rng = np.random.default_rng(3)
    rooms = {name: Fenced(MOST_BYTES) for name in ("x", "y", "x_centre", "y_centre", *MORE)}
    for name, (shape, results, taps), at_end in product(available(), SHAPES, (True, False)):
        print(name, shape, results, taps, at_end, flush=True)
        moved: dict[str, tuple[np.ndarray, np.ndarray]] = {}

        class Sheet(module.Sheet):
            def point(self, name: str, array: np.ndarray) -> None:
                room = rooms[name]
                place = room.place(array.nbytes, at_end)  # noqa: B023
                place[...] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
                if name != "gram":
                    room.seal()
                moved[name] = place, array  # noqa: B023
                super().point(name, array)
                self.values[name] = place.ctypes.data

        class Pool:
            @staticmethod
            def run(address: int, args: int, scratch: int, units: int, threads: int) -> None:
                room = rooms["scratch"]
                place = room.place(-(-scratch // 64) * 64, True)
                place[...] = 0xFF  # a NaN
                routine = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(address)
                for unit in range(units):
                    routine(args, place.ctypes.data, unit)
                assert room.untouched(place), "bytes beside the scratch memory were written to"
                source, target = moved["gram"]  # noqa: B023
                target[...] = source.view(np.float64).reshape(target.shape)
                assert rooms["gram"].untouched(source), "bytes beside the sums were written to"

        module.Sheet, module.pool = Sheet, Pool  # type: ignore[misc, assignment]
        module.current_target = lambda name=name: named(name)
        x, y, where = numbers(shape, results, taps, rng)
        found = chosen_windows(x, y, where, taps, *constants(x, y), 1)
        assert np.array_equal(found, definition(x, y, where, taps, *constants(x, y)))


# ---------------------------------------------------------------- the code


def inner_loops(name: str) -> list[list[str]]:
    target = named(name)
    spec = module._spec(Number("f4"), Number("f8"), 227, target)
    text = assembly(module.emit(spec, target).text, target)
    body = text[text.index("\nblock:") :]
    return [lines for lines in reading.loops(body) if any("vfmadd" in line or "fmla" in line for line in lines)]


@pytest.mark.parametrize("name", ["avx512", "avx2"])
def test_sums_stay_in_registers(name: str) -> None:
    inner = inner_loops(name)
    assert inner
    for lines in inner:
        assert not reading.spilled(lines, "zmm" if name == "avx512" else "ymm")


def test_arm_code_is_made_of_fused_multiply_adds_without_spills() -> None:
    inner = inner_loops("neon")
    assert any(sum("fmla" in line for line in lines) >= 16 for lines in inner)
    for lines in inner:
        assert not reading.stacked(lines)


if __name__ == "__main__":
    between_forbidden_pages()
