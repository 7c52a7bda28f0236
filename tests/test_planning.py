"""Plans: made quickly for kernels of any size, the same for any batch and number of threads, and readable."""

import time
from collections.abc import Callable

import numpy as np
import pytest

import kernelwise as kw
from kernelwise import plan

DRAW = np.random.default_rng(20250310)
KERNELS: dict[str, Callable[[], np.ndarray]] = {
    "a row": lambda: DRAW.random((1, 87)),
    "a long row": lambda: DRAW.random((1, 9000)),
    "a very long row": lambda: DRAW.random((1, 100_001)),
    "whole numbers in a long row": lambda: DRAW.integers(-9, 10, (1, 9000)),
    "a long column": lambda: DRAW.random((9000, 1)),
    "a large square": lambda: DRAW.random((500, 500)),
    "few taps far apart": lambda: np.pad(DRAW.random((2, 2)), 500),
    "one tap": lambda: np.pad(np.ones((1, 1)), 700),
    "no tap": lambda: np.zeros((900, 900)),
    "a diagonal": lambda: np.diag(DRAW.random(600)),
    "a product": lambda: np.outer(DRAW.random(150), DRAW.random(150)),
    "a deep one": lambda: DRAW.random((40, 40, 40)),
}


@pytest.mark.parametrize("name", KERNELS)
def test_a_plan_is_made_quickly(name: str) -> None:
    """A quarter of a second at most, however large the kernel is."""
    k = KERNELS[name]()
    shape, best = (3000,) * k.ndim, 9.0
    for _ in range(3):
        kw.clear_cache()
        start = time.perf_counter()
        kw.explain((shape, np.float32), k)
        best = min(best, time.perf_counter() - start)
    assert best < 0.25


def test_a_plan_depends_on_neither_batch_nor_threads() -> None:
    for k in (
        DRAW.random((3, 3)),
        DRAW.random((21, 21)),
        np.outer(DRAW.random(9), DRAW.random(9)),
        DRAW.random((1, 90)),
    ):
        for code in ("u1", "f4", "f8", "c8"):
            plans = [kw.explain(((*batch, 60, 80), code), k) for batch in ((), (1,), (7,), (1000,), (3, 5))]
            assert len({(p.algorithm, p.parts[0].spec, getattr(p.parts[0].spec, "paired", None)) for p in plans}) == 1


def test_a_plan_names_what_was_considered() -> None:
    k = np.outer(DRAW.random(9), DRAW.random(9))
    made = kw.explain(np.zeros((60, 80), np.float32), k)
    assert made.algorithm in dict(made.considered)
    assert {name for name, _ in made.considered} == set(plan.METHODS) - {"auto"}
    assert made.reason in str(made) and made.error in str(made)
    assert "define" in made.ir() and "ret" in made.asm()


def test_every_method_that_is_asked_for_is_the_one_that_is_used() -> None:
    x, k = DRAW.random((40, 50)), np.outer(DRAW.random(5), DRAW.random(6))
    for method in ("direct", "separable", "fourier", "reference"):
        assert kw.explain(x, k, method=method).algorithm == method


def test_large_kernels_are_transformed_and_small_ones_are_not() -> None:
    for code, side in (("f4", 31), ("f8", 31), ("u1", 41), ("c8", 31)):
        made = kw.explain(((1080, 1920), code), DRAW.random((side, side)))
        assert made.algorithm == "fourier" and "tiles of" in made.reason and "of its tile" in made.error
    for side in (3, 4):
        assert kw.explain(((1080, 1920), np.float32), DRAW.random((side, side))).algorithm != "fourier"
