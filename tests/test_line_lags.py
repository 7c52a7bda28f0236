"""Lag sums of single lines: exact on whole numbers, the same for any number of threads, within their arrays."""

import ctypes
import signal
import subprocess
import sys
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from kernelwise.algorithms import line_lags as module
from kernelwise.algorithms.line_lags import LineSpec, choose, line_lags, line_room
from kernelwise.jit.compile import assembly
from kernelwise.jit.target import available, named
from support import assembly as reading
from support.fences import Fenced

FOLDER = Path(__file__).parent
SHAPES = [  # images, channels of a and of b, rows, pixels, downs, lags
    (1, 1, 1, 1, 1, 1, 1),
    (1, 1, 1, 2, 7, 3, 5),
    (2, 3, 2, 5, 40, 4, 9),
    (3, 1, 2, 8, 9, 1, 17),
    (1, 2, 1, 14, 100, 15, 29),
    (1, 1, 1, 30, 33, 31, 61),
]
MOST_BYTES = 1 << 21


@pytest.fixture(params=available())
def target(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(module, "current_target", lambda: named(request.param))
    return str(request.param)


def numbers(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    n, c, d, rows, pixels, downs, lags = shape
    a, b = line_room((n, c, rows), pixels), line_room((n, d, rows + downs - 1), pixels, lags)
    a[..., :pixels] = rng.integers(-9, 10, (n, c, rows, pixels))
    b[..., : pixels + lags - 1] = rng.integers(-9, 10, (n, d, rows + downs - 1, pixels + lags - 1))
    return a, b


def definition(a: np.ndarray, b: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    _, c, d, rows, pixels, downs, lags = shape
    found = np.zeros((c, d, rows, downs, lags))
    for r, down, lag in product(range(rows), range(downs), range(lags)):
        met = b[:, :, r + down, lag : lag + pixels]
        found[:, :, r, down, lag] = np.einsum("niq,njq->ij", a[:, :, r, :pixels], met)
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_whole_numbers_are_exact(shape: tuple[int, ...], target: str, rng: np.random.Generator) -> None:
    a, b = numbers(shape, rng)
    assert np.array_equal(line_lags(a, b, *shape[4:], 1), definition(a, b, shape))


@pytest.mark.parametrize("shape", SHAPES)
def test_long_rows_are_added_up_in_pieces(
    shape: tuple[int, ...], target: str, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    whole = choose.__wrapped__
    monkeypatch.setattr(module, "choose", lambda *given: replace(whole(*given), piece=2))
    a, b = numbers(shape, rng)
    for threads in (1, 2):
        assert np.array_equal(line_lags(a, b, *shape[4:], threads), definition(a, b, shape))


def test_blocks_of_any_size_find_the_same(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    shape = (2, 1, 1, 7, 20, 5, 11)
    a, b = numbers(shape, rng)
    lanes = choose(7, 5, 11, named("host")).lanes
    for rows, lags in product(range(1, 6), (1, 2, 4, 5)):
        spec = LineSpec(rows, lags, lanes)
        monkeypatch.setattr(module, "choose", lambda *_, spec=spec: spec)
        assert np.array_equal(line_lags(a, b, *shape[4:], 2), definition(a, b, shape))


def test_bits_do_not_depend_on_threads(rng: np.random.Generator) -> None:
    a, b = line_room((1, 1, 14), 900), line_room((1, 1, 28), 900, 29)
    a[..., :900], b[..., :928] = rng.normal(size=(1, 1, 14, 900)), rng.normal(size=(1, 1, 28, 928))
    one = line_lags(a, b, 900, 15, 29, 1)
    assert all(np.array_equal(line_lags(a, b, 900, 15, 29, threads), one) for threads in (2, 3, 8))


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="needs mprotect")
def test_nothing_outside_the_arrays_is_read_or_written() -> None:
    done = subprocess.run([sys.executable, __file__], cwd=FOLDER, capture_output=True, text=True, timeout=300)
    assert done.returncode >= 0, f"died of {signal.Signals(-done.returncode).name} in: {done.stdout[-200:]}"
    assert done.returncode == 0, done.stderr


def between_forbidden_pages() -> None:
    rng, rooms = np.random.default_rng(3), {name: Fenced(MOST_BYTES) for name in ("a", "b", "found", "args")}
    for name, shape, at_end in product(available(), SHAPES, (True, False)):
        print(name, shape, at_end, flush=True)
        places: dict[str, np.ndarray] = {}

        class Sheet(module.Sheet):
            def point(self, name: str, array: np.ndarray) -> None:
                place = rooms[name].place(array.nbytes, at_end)  # noqa: B023
                place[...] = array.reshape(-1).view(np.uint8)
                if name != "found":
                    rooms[name].seal()
                places[name] = place  # noqa: B023
                super().point(name, array)
                self.values[name] = place.ctypes.data

        class Pool:
            @staticmethod
            def run(address: int, args: int, scratch: int, units: int, threads: int) -> None:
                routine = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(address)
                for unit in range(units):
                    routine(args, None, unit)

        module.Sheet, module.pool = Sheet, Pool  # type: ignore[misc, assignment]
        module.current_target = lambda name=name: named(name)
        a, b = numbers(shape, rng)
        line_lags(a, b, *shape[4:], 1)
        found = places["found"].view(np.float64)
        assert np.array_equal(found, definition(a, b, shape).ravel())
        assert rooms["found"].untouched(places["found"])


# ---------------------------------------------------------------- the code


@pytest.mark.parametrize("name", ["avx512", "avx2"])
def test_sums_stay_in_registers(name: str) -> None:
    text = assembly(module.emit(choose(30, 31, 61, named(name)), named(name)).text, named(name))
    inner = [lines for lines in reading.loops(text) if any("vfmadd" in line for line in lines)]
    assert inner
    for lines in inner:
        assert not reading.spilled(lines, "zmm" if name == "avx512" else "ymm")


def test_arm_code_is_made_of_fused_multiply_adds_without_spills() -> None:
    text = assembly(module.emit(choose(30, 31, 61, named("neon")), named("neon")).text, named("neon"))
    inner = [lines for lines in reading.loops(text) if any("fmla" in line for line in lines)]
    assert any(sum("fmla" in line for line in lines) >= 16 for lines in inner)
    for lines in inner:
        assert not reading.stacked(lines)


if __name__ == "__main__":
    between_forbidden_pages()
