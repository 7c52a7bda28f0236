"""Whole numbers: every result equals the definition exactly, over dtypes, shapes, borders, steps and memory layouts.

Each case is drawn from two numbers; a failure prints them. The oracle (support/oracle.py) shares no code with the
library.
"""

import concurrent.futures
import functools
import multiprocessing
from collections.abc import Callable
from unittest import mock

import numpy as np
import pytest

import kernelwise as kw
import kernelwise.algorithms.routine as routines
from kernelwise import bands, run
from support import cases, oracle

FAST_CHUNKS = 10
LONG_CHUNKS = 100
MOST_SPARSE = 0.1  # of the cases: their results are mostly zeros and tell little
SEED = 20250301


def run_chunk(seed: int, chunk: int) -> tuple[int, set[str]]:
    """(cases whose result is mostly zeros, routines that were made) of one chunk of cases."""
    first, sparse, made = chunk * cases.CASES_PER_CHUNK, 0, set()
    build = routines.build

    def counted(specification: object, *rest: object) -> object:
        made.add(repr(specification))
        return build(specification, *rest)  # type: ignore[arg-type]

    routines.clear()
    with mock.patch.object(routines, "build", counted):
        for number in range(first, first + cases.CASES_PER_CHUNK):
            sparse += cases.check(seed, number) > cases.SPARSE
    return sparse, made


@pytest.mark.parametrize("chunk", range(FAST_CHUNKS))
def test_whole_numbers_give_the_definition_exactly(chunk: int, report_figure: Callable[[str, str], None]) -> None:
    sparse, made = run_chunk(SEED, chunk)
    assert sparse <= MOST_SPARSE * cases.CASES_PER_CHUNK, f"MISTRUSTED: {sparse} results are mostly zeros"
    assert len(made) >= cases.RECIPES_PER_CHUNK, "the cases are less varied than they should be"
    report_figure(f"exact cases, chunk {chunk}", f"{cases.CASES_PER_CHUNK} on {len(made)} routines")


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_fifty_thousand_cases_on_many_routines(report_figure: Callable[[str, str], None]) -> None:
    context = multiprocessing.get_context("spawn")
    made: set[str] = set()
    sparse = 0
    with concurrent.futures.ProcessPoolExecutor(2, context) as executor:
        for few, keys in executor.map(run_chunk, [SEED + 1] * LONG_CHUNKS, range(LONG_CHUNKS)):
            sparse += few
            made |= keys
    number = LONG_CHUNKS * cases.CASES_PER_CHUNK
    report_figure("exact cases", f"{number} on {len(made)} routines, {sparse} of them mostly zeros")
    assert number >= 50_000
    assert len(made) >= 1500
    assert sparse <= MOST_SPARSE * number, "MISTRUSTED: too many results are mostly zeros"


def test_pieces_of_any_size_give_the_definition_exactly() -> None:
    """Images are worked on in pieces of some megabytes where they must be copied; here in pieces of some bytes."""
    with mock.patch.object(run, "bands", functools.partial(bands.bands, budget=500)):
        for number in range(160):  # those of the first chunk, whose code is known already
            cases.check(SEED, number)


@pytest.mark.parametrize("ndim", [1, 2, 3])
@pytest.mark.parametrize("budget", [2000, 20_000, bands.BAND_BYTES])
def test_taps_that_are_far_apart_may_be_pulled_together(ndim: int, budget: int, rng: np.random.Generator) -> None:
    """Of images that must be copied only the pixels under the taps are, however far the kernel reaches."""
    with mock.patch.object(run, "bands", functools.partial(bands.bands, budget=budget)):
        for _ in range(15):
            x = rng.integers(-30, 31, rng.integers(1, {1: 400, 2: 80, 3: 14}[ndim], ndim)).astype(
                rng.choice([">f4", "f2"])
            )
            k = rng.integers(-5, 6, rng.integers(1, 5, ndim)).astype(np.int8)
            options = {
                "dilation": tuple(rng.choice([1, 15, 16, 17, 33, 64], ndim).tolist()),
                "stride": tuple(rng.choice([1, 1, 2, 5], ndim).tolist()),
                "mode": str(rng.choice(["same", "full", "valid"])),
                "border": str(rng.choice(cases.BORDERS)),
            }
            wanted = oracle.correlate(x.astype("f8"), k, **options)
            assert np.array_equal(kw.correlate(x, k, **options), wanted.astype(x.dtype)), (x.shape, k.shape, options)


def test_the_comparison_sees_one_wrong_pixel() -> None:
    """The judge is judged: a result with one pixel off by one is reported, with the numbers to repeat it."""
    right = cases.answer

    def wrong(made: cases.Case) -> object:
        got = right(made)
        if got.size:
            middle = tuple(n // 2 for n in got.shape)
            got[middle] = 1 if got[middle] == 0 else 0
        return got

    numbers = [n for n in range(30) if cases.answer(cases.case(SEED, n)).size]
    with mock.patch.object(cases, "answer", wrong):
        for number in numbers:
            with pytest.raises(AssertionError, match=f"1 of .* wrong.*\n.*support.cases {SEED} {number} "):
                cases.check(SEED, number)
