"""The generated code behind the sums of a fit: exact for whole numbers, on every instruction set, within its memory."""

import ctypes
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from kernelwise.algorithms import boxes, totals
from kernelwise.algorithms.launch import Sheet
from kernelwise.algorithms.numbers import Number
from kernelwise.algorithms.totals import PIECE, image_totals
from kernelwise.fitting.windows import How, later_products, window_products, window_sums
from kernelwise.jit.compile import assembly
from kernelwise.jit.target import available, named
from support.fences import Fenced
from support.memory import KINDS, arrange

SHAPES = (  # (n, c, planes, rows, columns), taps
    ((1, 1, 1, 20, 23), (1, 3, 3)),
    ((2, 2, 1, 40, 30), (1, 5, 4)),
    ((1, 1, 1, 70, 90), (1, 15, 17)),
    ((1, 2, 3, 12, 33), (2, 4, 7)),
    ((1, 1, 1, 1, 200), (1, 1, 9)),
    ((1, 1, 1, 200, 1), (1, 9, 1)),
    ((1, 1, 1, 20, 40), (1, 12, 8)),  # rows without a core
    ((3, 1, 1, 9, 130), (1, 2, 8)),
)


@pytest.fixture(params=available())
def target(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The test runs with the code for each instruction set of this machine."""
    monkeypatch.setenv("KERNELWISE_TARGET", request.param)
    return str(request.param)


def gathered(x: np.ndarray, taps: tuple[int, int, int]) -> np.ndarray:
    windows = sliding_window_view(x.astype(np.float64), taps, axis=(2, 3, 4)).transpose(0, 2, 3, 4, 1, 5, 6, 7)
    return windows.reshape(-1, x.shape[1] * int(np.prod(taps)))


@pytest.mark.parametrize(("shape", "taps"), SHAPES)
def test_products_of_whole_numbers_are_exact(
    shape: tuple[int, ...], taps: tuple[int, int, int], target: str, rng: np.random.Generator
) -> None:
    x = rng.integers(-9, 10, shape).astype("f4")
    p = gathered(x, taps)
    exact, found = p.T @ p, window_products(x, taps).reshape(p.shape[1], -1)
    # but for transforms, by which many lags are summed
    assert np.abs(found - exact).max() <= (1e-13 * exact.max() if max(taps) > 12 else 0)
    assert np.array_equal(found, found.T)
    assert np.array_equal(window_sums(x, taps).ravel(), p.sum(axis=0))


def test_what_images_are_stored_in_does_not_change_their_products(rng: np.random.Generator) -> None:
    x, how = rng.integers(0, 9, (1, 1, 1, 30, 41)), How(before=0.1, after=0.3)
    grams = [window_products(x.astype(dtype), (1, 3, 4), how) for dtype in ("f8", "f4", "u1", "i8")]
    sums = [window_sums(x.astype(dtype), (1, 3, 4), how) for dtype in ("f8", "f4", "u1", "i8")]
    for found in (grams, sums):
        for other in found[1:]:
            assert np.array_equal(found[0], other)


@pytest.mark.parametrize("taps", [(3, 3), (2, 5), (6, 4)])
def test_products_of_two_images_hold_the_same_and_later_rows_only(
    taps: tuple[int, int], target: str, rng: np.random.Generator
) -> None:
    a, b = rng.integers(-9, 10, (2, 30, 41)).astype(np.float64)
    here, there = (sliding_window_view(x, taps).reshape(-1, taps[0] * taps[1]) for x in (a, b))
    expected = (here.T @ there).reshape(*taps, *taps)
    for u, v in np.ndindex(taps[0], taps[0]):
        if v < u:
            expected[u, :, v] = 0
    assert np.array_equal(later_products(a, b, taps), expected)


@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", ">f4", ">i2"])
def test_totals_of_whole_numbers_are_exact(dtype: str, rng: np.random.Generator) -> None:
    for shape in ((1, 1, 1), (2, 3, 5), (1, 5, PIECE + 1), (3, 70, 2 * PIECE - 1), (1, 300, 700)):
        x = rng.integers(0, 2 if dtype == "?" else 9, shape).astype(dtype)
        exact = x.astype(np.float64) - 3
        assert image_totals(x, 3.0) == (exact.sum(), np.square(exact).sum()), shape


def test_totals_do_not_depend_on_memory_threads_or_instructions(target: str, rng: np.random.Generator) -> None:
    x = rng.integers(-9, 10, (2, 3, 300, 501)).astype("f4")
    expected = [(float(one.sum()), float(np.square(one).sum())) for one in x]
    for kind in KINDS:
        assert [image_totals(one) for one in arrange(x, kind, rng)] == expected, kind
    noise = rng.normal(size=(3, 400, 700))
    assert len({image_totals(noise, 0.1, threads) for threads in (1, 2, 3, 8)}) == 1
    assert np.isnan(image_totals(np.where(x[0] == 3, np.nan, x[0]))).all()


# ---------------------------------------------------------------- memory

MOST_BYTES = 1 << 23


@cache
def room(name: str) -> Fenced:
    return Fenced(MOST_BYTES)


class Pool:
    """Stands in for the pool: units one by one, with scratch memory between forbidden pages."""

    def __init__(self) -> None:
        self.scratch, self.ran = room("scratch"), 0

    def threads(self) -> int:
        return 1

    def run(self, address: int, args: int, scratch: int, units: int, threads: int) -> None:
        place = self.scratch.place(-(-scratch // 64) * 64, True)
        place[...] = 0xFF  # a NaN
        routine = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(address)
        for unit in range(units):
            routine(args, place.ctypes.data, unit)
        assert self.scratch.untouched(place), "bytes beside the scratch memory were written to"
        self.ran += units


def fenced_sheet(at_end: bool) -> type[Sheet]:
    class FencedSheet(Sheet):
        """Puts every array between forbidden pages; results are brought back by the test."""

        def point(self, name: str, array: np.ndarray) -> None:
            place = room(name).place(max(array.nbytes, 8), at_end)
            place[: array.nbytes] = array.reshape(-1).view(np.uint8)
            self.moved: dict[str, Any] = getattr(self, "moved", {}) | {name: (place, array)}
            self.keep.append(array)
            self.values[name] = place.ctypes.data

        def args(self) -> np.ndarray:
            made.append(self)
            return super().args()

    made: list[Any] = []
    FencedSheet.made = made  # type: ignore[attr-defined]
    return FencedSheet


@pytest.mark.parametrize("at_end", [False, True])
def test_nothing_outside_the_arrays_is_read_or_written(
    at_end: bool, target: str, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    for module in (boxes, totals):
        sheet, pool = fenced_sheet(at_end), Pool()
        monkeypatch.setattr(module, "Sheet", sheet)
        monkeypatch.setattr(module, "pool", pool)
        for shape, taps in SHAPES:
            x = rng.integers(-9, 10, shape).astype(np.float64)
            kh, kw = taps[1:]
            if module is totals:
                flat = np.ascontiguousarray(x[:, 0, 0])
                image_totals(flat)
                place, array = sheet.made.pop().moved["found"]  # type: ignore[attr-defined]
                found = place.view(np.float64).reshape(array.shape).sum(axis=0)
                assert np.array_equal(found, [flat.sum(), np.square(flat).sum()])
                continue
            lags, downs = boxes.lag_room(kw), 2 * kh - 1
            made = boxes.Edges(
                np.ones((2, 2, 2, kh - 1, 2, kw - 1)),
                np.ones((2, 2, 2, kh - 2 + downs, 2, kw - 2 + lags)),
                np.ones((2, 2, downs, 2 * kh - 1 + 2 * (kw - 1), lags)),
            )
            boxes.add_boxes(made, (kh, kw), 1 - kh, False, np.zeros((2, kh, kw, 2, kh, kw)), 1)
            place, array = sheet.made.pop().moved["gram"]  # type: ignore[attr-defined]
            gram = place.view(np.float64).reshape(array.shape)
            # of one in every cell: two images' single pixels, one for each row, one for each column, one for the core
            assert (gram == 2 * (kh - 1) * (kw - 1) + (kh - 1) + (kw - 1) + 1).all()
        assert pool.ran >= len(SHAPES)


def test_code_for_neon_can_be_built() -> None:
    target = named("neon")
    lanes = target.lanes(8)
    assert "fmla" in assembly(boxes.emit(boxes.BoxSpec(lanes), target).text, target)
    assert "fmla" in assembly(totals.emit(totals.TotalsSpec(Number("f4"), lanes), target).text, target)


@pytest.mark.skipif("avx2" not in available(), reason="looks at the assembly of x86")
@pytest.mark.parametrize("name", ["avx512", "avx2"])
def test_sums_stay_in_registers(name: str) -> None:
    target = named(name)
    lanes = target.lanes(8)
    for module in (
        boxes.emit(boxes.BoxSpec(lanes), target),
        totals.emit(totals.TotalsSpec(Number("f4"), lanes), target),
    ):
        loops = [part for part in assembly(module.text, target).split("\n.LBB") if "vfmadd" in part]
        assert loops
        innermost = max(loops, key=lambda part: part.count("vfmadd"))
        assert "(%rsp)" not in innermost
