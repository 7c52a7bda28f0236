"""Rounding stays within the a-priori bound; NaN and infinity stay where their windows are; nothing overflows early."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest

import kernelwise as kw
from kernelwise.errors import ArgumentError
from support import oracle, reals

SEED = 20250302
CASES = 1500
FLOATS = ("f2", "f4", "f8", "c8", "c16")
METHODS = ("auto", "direct", "separable", "reference")


def correlate(x: np.ndarray, k: np.ndarray, method: str, **options: object) -> np.ndarray | None:
    """None where the method cannot do it."""
    try:
        return kw.correlate(x, k, method=method, **options)
    except ArgumentError as error:
        if not str(error).startswith("`method`"):
            raise
        return None


@pytest.mark.parametrize("chunk", range(4))
def test_the_error_is_within_the_a_priori_bound(chunk: int, report_figure: Callable[[str, str], None]) -> None:
    worst, done = 0.0, 0
    for number in range(chunk * CASES // 4, (chunk + 1) * CASES // 4):
        case = reals.draw(SEED, number)
        got = correlate(case.x, case.k, case.method, **case.options)
        if got is None or got.size == 0:
            continue
        wanted = reals.exact(case)
        inside = np.abs(wanted) < float(np.finfo(got.dtype).max) / 4
        error = np.abs(got[inside] - wanted[inside])
        assert not np.isnan(error).any(), str(case)
        ratio = float((error / reals.allowed(case, got.dtype)[inside]).max(initial=0.0))
        assert ratio <= 1, f"{ratio:.3g} of the bound: {case}"
        worst, done = max(worst, ratio), done + 1
    assert done > CASES // 8
    report_figure(f"largest error, chunk {chunk}", f"{worst:.2f} of the bound, in {done} cases")


# ---------------------------------------------------------------- what is not finite

KERNELS = {
    "baked": np.array([[1, 0, -1], [2, 0, 3.5], [1.25, 4, -1]]),
    "columns of zeros": np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1.0]]),
    "product": np.outer([1, 2.5, 1], [0.5, 3, 0.5, 1]),
    "product with zeros": np.outer([1, 0, 2.5], [0.5, 0, 0.5, 1]),
    "two products": np.outer([1, 2, 1], [3, 1, 3]) + np.outer([1, 0.5, -1], [0.25, 1.5, 0.25]),
    "table with zeros": np.where(np.add.outer(np.arange(9), np.arange(11)) % 3 == 0, 0, 1.5),
    "tall, with zeros": np.where(np.add.outer(np.arange(20), np.arange(6)) % 4 == 0, 0, -2.0),
    "one row": np.array([[1, 0, 0, 2, -1, 0, 3.0]]),
}
VALUES = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf}


@pytest.mark.parametrize("code", FLOATS)
@pytest.mark.parametrize("name", KERNELS)
def test_what_is_not_finite_reaches_only_the_windows_that_hold_it(
    name: str, code: str, rng: np.random.Generator
) -> None:
    """Elsewhere not a bit changes, whatever the algorithm; a zero tap sees nothing."""
    k = KERNELS[name]
    x = rng.integers(-8, 9, (23, 150)).astype(code)
    for method, border, value in itertools.product(METHODS, ("reflect", "constant"), VALUES):
        at = int(rng.integers(23)), int(rng.choice([0, 1, 60, 149]))
        plain = correlate(x, k, method, border=border)
        if plain is None:
            continue
        spoiled = x.copy()
        spoiled[at] = VALUES[value]
        marked = np.zeros(x.shape)
        marked[at] = 1
        touched = oracle.correlate(marked, k != 0, border=border) > 0
        got = correlate(spoiled, k, method, border=border)
        where = f"{method}, {border}, {value} at {at}"
        assert got is not None and np.array_equal(got[~touched], plain[~touched]), where
        hit = np.isnan(got) if value == "nan" else ~np.isfinite(got)
        assert hit[touched].all(), where


@pytest.mark.parametrize("code", FLOATS)
@pytest.mark.parametrize("value", VALUES)
def test_a_fill_that_is_not_finite_reaches_only_the_edge(code: str, value: str, rng: np.random.Generator) -> None:
    x = rng.integers(-8, 9, (20, 90)).astype(code)
    fill = VALUES[value]
    for name, method in itertools.product(KERNELS, METHODS):
        k = KERNELS[name]
        plain, got = correlate(x, k, method, border="constant"), correlate(x, k, method, border="constant", fill=fill)
        if plain is None or got is None:  # a complex image and a real fill: by the definition only
            continue
        touched = oracle.correlate(np.zeros(x.shape), k != 0, border="constant", fill=1) > 0
        assert np.array_equal(got[~touched], plain[~touched]), (name, method)
        assert (np.isnan(got) if value == "nan" else ~np.isfinite(got))[touched].all(), (name, method)


@pytest.mark.parametrize("code", ["f4", "f8", "c8"])
def test_a_complex_kernel_keeps_a_nan_in_its_window(code: str, rng: np.random.Generator) -> None:
    k = np.array([[1 + 2j, 0, -1j], [2, 0.5j, 0]])
    x = rng.integers(-8, 9, (20, 70)).astype(code)
    plain = kw.correlate(x, k)
    x[7, 33] = np.nan
    marked = np.zeros(x.shape)
    marked[7, 33] = 1
    touched = oracle.correlate(marked, k != 0) > 0
    got = kw.correlate(x, k)
    assert np.array_equal(got[~touched], plain[~touched])
    assert np.isnan(got[touched]).all()


# ---------------------------------------------------------------- nan="omit"


def omitted(x: np.ndarray, k: np.ndarray, **options: object) -> np.ndarray:
    """The definition: the sum over what is known, by the weights there, times all weights; NaN in an empty window."""
    missing, fill = np.isnan(x), options.get("fill", 0)
    ones = 0.0 if np.isnan(fill) else 1.0
    known = {**options, "fill": 0 if np.isnan(fill) else fill}
    sums = oracle.correlate(np.where(missing, 0, x), k, work=np.result_type(x, np.float64), **known)
    weights = oracle.correlate((~missing).astype(float), k, **{**options, "fill": ones})
    number = oracle.correlate((~missing).astype(float), (k != 0).astype(float), **{**options, "fill": ones})
    with np.errstate(all="ignore"):
        result = np.where(number == np.count_nonzero(k), sums, sums / weights * k.sum())
    result[number == 0] = np.nan
    return result


@pytest.mark.parametrize("code", FLOATS)
@pytest.mark.parametrize("method", METHODS)
def test_omitted_pixels_are_as_if_they_were_not_there(method: str, code: str, rng: np.random.Generator) -> None:
    kernels = [np.abs(k) + (k != 0) for k in KERNELS.values()]  # positive weights: no sum of some of them vanishes
    for k, border, fill in zip(
        kernels * 2, itertools.cycle(["constant", "edge", "wrap"]), [0, np.nan] * 8, strict=False
    ):
        options = {"border": border, "fill": fill if border == "constant" else 0}
        x = rng.standard_normal((18, 60)).astype(code)
        x[rng.random(x.shape) < 0.3] = np.nan
        x[3:14, 20:50] = np.nan
        got, wanted = correlate(x, k, method, nan="omit", **options), omitted(x, k, **options)
        if got is None:
            continue
        assert np.array_equal(np.isnan(got), np.isnan(wanted))
        known = ~np.isnan(wanted)
        size = float(np.abs(k).sum() * np.nanmax(np.abs(x)))
        tolerance = 4 * (k.size + 4) * float(np.finfo(got.dtype).eps) * size
        assert np.abs(got[known] - wanted[known]).max() <= tolerance


def test_without_a_nan_omit_changes_nothing(rng: np.random.Generator) -> None:
    for code, k in itertools.product(FLOATS, KERNELS.values()):
        if abs(k.sum()) < 1e-9:
            continue
        x = rng.standard_normal((18, 60)).astype(code)
        assert np.array_equal(kw.correlate(x, k, nan="omit"), kw.correlate(x, k)), (code, k)


# ---------------------------------------------------------------- the ends of the range


@pytest.mark.parametrize("code", ["f4", "f8", "c8", "c16"])
@pytest.mark.parametrize("scale", [-40, -12, 0, 12, 40])
def test_finite_images_do_not_overflow_early(scale: int, code: str, rng: np.random.Generator) -> None:
    """Pixels may be a quarter of the largest number, divided by the taps and, if these are large, the weights."""
    for name, shape in itertools.product(KERNELS, [None, (3, 3), (1, 9)]):
        k = KERNELS[name] if shape is None else np.exp2(rng.integers(-60, 1, shape)) * rng.choice([1, -1], shape)
        k = k * 2.0**scale
        most = float(np.finfo(code).max) / (4 * k.size) / max(1.0, float(np.abs(k).max()))
        x = (rng.uniform(0.5, 1, (12, 200)) * most).astype(code)
        for method in METHODS:
            got = correlate(x, k, method)
            assert got is None or np.isfinite(got).all(), (name, shape, method)


@pytest.mark.parametrize("code", ["f4", "f8"])
def test_the_smallest_numbers_are_kept(code: str) -> None:
    """No denormal is flushed to zero: not by the machine's mode, not by an algorithm."""
    tiny = np.finfo(code).smallest_subnormal
    x = np.full((9, 100), tiny, code)
    for k in (np.ones((1, 1)), np.ones((3, 3)), np.outer([1, 2, 1], [1, 2, 1]), np.ones((11, 11)), np.ones((1, 30))):
        for method in METHODS:
            got = correlate(x, k, method)
            assert got is None or np.all(got == tiny * k.sum()), (k.shape, method)
