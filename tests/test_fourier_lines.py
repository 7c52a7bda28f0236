"""Lag sums of single lines by transforms: those of the definition, the same for any threads, within their arrays."""

import ctypes
import signal
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from kernelwise.algorithms import fourier_lines as module
from kernelwise.algorithms import line_lags
from kernelwise.algorithms.fourier_lines import FIELDS, LENGTHS, Lines, LinesSpec, cut, fourier_lines
from kernelwise.algorithms.memory import up
from kernelwise.fitting import strips
from kernelwise.fitting.strips import Side, single_lines
from kernelwise.jit import pool
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
    (2, 1, 1, 9, 700, 2, 25),
    (1, 2, 1, 14, 100, 17, 29),
    (1, 1, 1, 30, 990, 31, 61),
    (1, 1, 1, 3, 20, 35, 300),
]
MOST_BYTES = 1 << 23
BOUND = 8 * 2.0**-53


@pytest.fixture(params=available())
def target(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The test runs with the code for each instruction set of this machine."""
    use(request.param, monkeypatch.setattr)
    return str(request.param)


def use(name: str, setattr_: object = setattr) -> None:
    cut.cache_clear()
    setattr_(module, "current_target", lambda: named(name))  # type: ignore[operator]


def arrays(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    n, c, d, rows, pixels, downs, lags = shape
    a = rng.standard_normal((n, c, rows, pixels))
    return a, rng.standard_normal((n, d, rows + downs - 1, pixels + lags - 1))


def lines(shape: tuple[int, ...], a: np.ndarray, b: np.ndarray) -> Lines:
    n, c, d, rows, pixels, downs, lags = shape
    of = cut(n, (c, d), rows, pixels, downs, lags)
    assert of is not None

    def fill(one: np.ndarray, other: np.ndarray) -> None:
        for x, place in ((a, one), (b, other)):
            place[:, :, : x.shape[3], : x.shape[2]] = x.swapaxes(2, 3)

    return Lines(of, n, (c, d), rows, downs, lags, fill)


def check(found: np.ndarray, a: np.ndarray, b: np.ndarray) -> None:
    """The definition, and a bound for every sum: the norms of its two lines."""
    rows, downs, lags = found.shape[2:]
    pixels = a.shape[3]
    assert found.shape[:2] == (a.shape[1], b.shape[1])
    for r, down, lag in product(range(rows), range(downs), range(lags)):
        mine, met = a[:, :, r], b[:, :, r + down]
        wanted = np.einsum("niq,njq->ij", mine, met[..., lag : lag + pixels])
        norms = np.einsum("niq->i", mine**2)[:, np.newaxis] * np.einsum("njq->j", met**2)
        assert (np.abs(found[:, :, r, down, lag] - wanted) <= BOUND * np.sqrt(norms)).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_sums_are_those_of_the_definition(shape: tuple[int, ...], target: str, rng: np.random.Generator) -> None:
    a, b = arrays(shape, rng)
    check(fourier_lines([lines(shape, a, b)], 2)[0], a, b)


@pytest.mark.parametrize("length", LENGTHS)
def test_every_length_and_number_of_pieces(length: int, monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    monkeypatch.setattr(module, "LENGTHS", (length,))
    lags = length // 3
    for pixels in (1, length - lags, length - lags + 1, 2 * (length - lags + 1), 3 * length):
        shape = (1, 1, 1, 2, pixels, 5, lags)
        a, b = arrays(shape, np.random.default_rng(pixels))
        check(fourier_lines([lines(shape, a, b)], 1)[0], a, b)
    cut.cache_clear()


def test_several_are_done_in_one_go_and_leave_nothing_to_the_next(rng: np.random.Generator) -> None:
    given = [arrays(shape, rng) for shape in SHAPES]
    for _ in range(2):
        found = fourier_lines([lines(shape, *one) for shape, one in zip(SHAPES, given, strict=True)], 2)
        for sums, shape, one in zip(found, SHAPES, given, strict=True):
            assert np.array_equal(sums, fourier_lines([lines(shape, *one)], 1)[0])
            check(sums, *one)
    assert fourier_lines([], 2) == []


def test_bits_do_not_depend_on_threads(rng: np.random.Generator) -> None:
    shape = (2, 1, 1, 20, 800, 37, 41)
    a, b = arrays(shape, rng)
    one = fourier_lines([lines(shape, a, b)], 1)[0]
    assert all(np.array_equal(fourier_lines([lines(shape, a, b)], threads)[0], one) for threads in (2, 3, 8))


def test_more_lags_than_a_transform_has_cannot_be_cut() -> None:
    assert cut(1, (1, 1), 5, 900, 5, LENGTHS[-1] - 6) is None
    assert cut(1, (1, 1), 5, 900, 5, LENGTHS[-1] - 7) is not None


# ---------------------------------------------------------------- the choice


def test_many_lags_are_left_to_transforms_and_few_are_not() -> None:
    def chosen(rows: int, pixels: int, downs: int, lags: int) -> bool:
        shape = 1, (1, 1), rows, pixels, downs, lags
        of = cut(*shape)
        return of is not None and of.nanoseconds < line_lags.nanoseconds(*shape)

    for pixels in (900, 4000):
        assert chosen(30, pixels, 31, 61) and not chosen(4, pixels, 5, 9)
    assert not chosen(30, 2, 31, 61)


def test_either_way_finds_the_same_lines(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    """Lines beside the image are zeros."""
    a, b = rng.standard_normal((2, 2, 60, 300)), rng.standard_normal((2, 1, 60, 300))
    rows, core = range(3, 10), range(12, 270)
    sides = [Side(a, b, rows, range(-6, 7), core, range(-12, 13)), Side(a, b, range(2), range(3), core, range(5))]
    found = {}
    for way, nanoseconds in (("products", 0.0), ("transforms", 1e12)):
        monkeypatch.setattr(strips.line_lags, "nanoseconds", lambda *_, of=nanoseconds: of)
        found[way] = single_lines(sides, 0.25, 2)
    for one, other in zip(found["products"], found["transforms"], strict=True):
        assert one.shape == other.shape and np.abs(one - other).max() < 1e-12 and np.abs(one).max() > 10
    assert found["products"][0].shape == (2, 1, 7, 13, 25)
    assert not found["products"][0][:, :, 0, :3].any()


@pytest.mark.parametrize("empty", ["rows", "downs", "core", "across"])
def test_there_may_be_no_lines(empty: str) -> None:
    x = np.ones((1, 2, 9, 9))
    side = Side(x, x, range(2), range(3), range(9), range(1))._replace(**{empty: range(0)})
    found = single_lines([side], 0.0, 1)[0]
    assert found.shape == (2, 2, len(side.rows), len(side.downs), len(side.across)) and not found.any()


# ---------------------------------------------------------------- within the arrays


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="needs mprotect")
def test_nothing_outside_the_arrays_is_read_or_written() -> None:
    done = subprocess.run([sys.executable, __file__], cwd=FOLDER, capture_output=True, text=True, timeout=300)
    assert done.returncode >= 0, f"died of {signal.Signals(-done.returncode).name} in: {done.stdout[-200:]}"
    assert done.returncode == 0, done.stderr


GIVEN = ("a", "b", "a_spectra", "b_spectra")


def between_forbidden_pages() -> None:
    names = (*GIVEN, "found", "twiddles", "args", "scratch")
    rooms = {name: Fenced(MOST_BYTES) for name in names}
    for name, shape, at_end in product(available(), SHAPES, (True, False)):
        print(name, shape, at_end, flush=True)
        use(name)
        a, b = arrays(shape, np.random.default_rng(3))
        fenced = Stand(rooms, at_end)
        module.spare, module.Sheet, module.pool = fenced, fenced.sheet, fenced  # type: ignore[assignment, misc]
        asked = lines(shape, a, b)
        fourier_lines([asked], 1)
        rows = up(shape[3], asked.of.spec.lanes)
        found = fenced.places["found"].view(np.float64).reshape(shape[1], shape[2], rows, shape[5], -1)
        check(found[:, :, : shape[3], :, : shape[6]], a, b)
        assert all(rooms[n].untouched(place) for n, place in fenced.places.items())


class Stand:
    """In the place of spare memory, sheets and the pool: everything lies between forbidden pages."""

    Job = pool.Job

    def __init__(self, rooms: dict[str, Fenced], at_end: bool) -> None:
        self.rooms, self.at_end = rooms, at_end
        self.places: dict[str, np.ndarray] = {}

    def put(self, name: str, size: int) -> np.ndarray:
        self.places[name] = self.rooms[name].place(size, self.at_end)
        return self.places[name]

    def take_arrays(self, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
        sizes = [int(np.prod(shape)) * 8 for shape in shapes]
        places = [self.put(*one).view(np.float64) for one in zip(GIVEN, sizes, strict=True)]
        return [place.reshape(shape) for place, shape in zip(places, shapes, strict=True)]

    @staticmethod
    def leave(_: np.ndarray) -> None: ...

    def sheet(self, fields: tuple[str, ...]) -> object:
        stand = self

        class Sheet(ORIGINAL):
            def point(self, name: str, array: np.ndarray) -> None:
                super().point(name, array)
                if name in ("found", "twiddles"):
                    place = stand.put(name, array.nbytes)
                    place[...] = array.reshape(-1).view(np.uint8)
                    self.values[name] = place.ctypes.data

            def args(self) -> np.ndarray:
                place = stand.put("args", 8 * len(FIELDS)).view(np.int64)
                place[:] = super().args()
                for name in ("a", "b", "twiddles", "args"):
                    stand.rooms[name].seal()
                return place

        return Sheet(fields)

    def Sequence(self, jobs: object) -> "Stand":
        self.jobs = list(jobs)  # type: ignore[call-overload]
        return self

    def run(self) -> None:
        for address, args, scratch, units, _ in self.jobs:
            routine = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(address)
            place = self.put("scratch", scratch)
            for unit in range(units):
                place[...] = 0xFF  # NaN
                routine(args, place.ctypes.data, unit)


ORIGINAL = module.Sheet


# ---------------------------------------------------------------- the code


@pytest.mark.parametrize(("name", "register"), [("avx512", "zmm"), ("avx2", "ymm")])
def test_products_stay_in_registers(name: str, register: str) -> None:
    lanes = named(name).lanes(8)
    text = assembly(module.emit(LinesSpec(128, lanes, 4), named(name)).text, named(name))
    inner = [part for part in reading.loops(text) if sum("fmadd" in line or "fnmadd" in line for line in part) >= 16]
    assert inner
    for part in inner:
        assert len(reading.spilled(part, register)) <= len(part) / 12


def test_arm_code_is_made_of_fused_multiply_adds() -> None:
    text = assembly(module.emit(LinesSpec(128, 2, 4), named("neon")).text, named("neon"))
    inner = [part for part in reading.loops(text) if sum("fmla" in line for line in part) >= 12]
    assert inner


if __name__ == "__main__":
    between_forbidden_pages()
