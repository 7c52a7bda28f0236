"""Cases, each drawn from two numbers: a recipe (see recipes.py) with a shape, a border, a layout in memory.

To run one again:  python -m support.cases SEED NUMBER  in the folder tests; with a third number, all up to there.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

import kernelwise as kw
from kernelwise.errors import ArgumentError

from . import expect, memory, oracle
from .recipes import Recipe, recipe

BORDERS = ("constant", "edge", "reflect", "symmetric", "wrap")
MODES = ("same", "same", "same", "valid", "full")
MOST_PIXELS = 6000
RECIPES_PER_CHUNK = 36
CASES_PER_CHUNK = 500
SPARSE = 0.7  # an output with more zeros than this tells little


@dataclass(frozen=True)
class Case:
    """A call and where its arrays lie."""

    seed: int
    number: int
    recipe: Recipe
    x: np.ndarray
    flip: bool
    options: dict[str, Any]
    method: str
    out: str | None
    threads: int | None

    def __str__(self) -> str:
        k = self.recipe.kernel
        return (
            f"python -m support.cases {self.seed} {self.number}   # {'convolve' if self.flip else 'correlate'}"
            f"(x: {self.x.dtype.str} {self.x.shape} strides {self.x.strides}, k: {k.dtype.str} {k.shape}, "
            f"method={self.method!r}, out={self.out!r}, threads={self.threads}, {self.options})"
        )


def case(seed: int, number: int) -> Case:
    """The case of that number; the same in every process."""
    rng = np.random.default_rng([seed, number, 2])
    chunk = number // CASES_PER_CHUNK
    made = recipe(seed, chunk * RECIPES_PER_CHUNK + int(rng.integers(RECIPES_PER_CHUNK)))
    flip, mode, border = bool(rng.random() < 0.4), str(rng.choice(MODES)), str(rng.choice(BORDERS))
    shape = _shape(rng, made, border == "constant" or mode == "valid")
    options: dict[str, Any] = {"mode": mode, "border": border}
    for name in ("axes", "stride", "dilation", "dtype"):
        value = getattr(made, name)
        options[name] = value[0] if isinstance(value, tuple) and len(set(value)) == 1 and name != "axes" else value
    if mode == "same" and rng.random() < 0.3:
        options["anchor"] = tuple(int(rng.integers(n)) for n in made.kernel.shape)
    peak = _peak(rng, made)
    low = 0 if made.image.kind in "bu" else -peak
    if border == "constant" and rng.random() < 0.6:
        options["fill"] = int(rng.integers(low, peak, dtype=np.int64 if peak < 2**63 else np.uint64, endpoint=True))
    x = rng.integers(low, peak, shape, np.int64 if peak < 2**63 else np.uint64, endpoint=True)
    if made.image.kind == "c":
        x = x + 1j * rng.integers(low, peak, shape, endpoint=True)
    x = x.astype(made.image)
    if x.ndim and rng.random() < 0.1:
        x = memory.broadcast(x, int(rng.integers(x.ndim)))
    else:
        x = memory.arrange(x, str(rng.choice(memory.KINDS)) if rng.random() < 0.5 else "plain", rng)
    method = made.method if mode == "same" or rng.random() < 0.5 else "auto"
    out = str(rng.choice([k for k in memory.KINDS if k != "read-only"])) if rng.random() < 0.3 else None
    threads = [None, 1, 2, 3][int(rng.integers(4))]
    return Case(seed, number, made, x, flip, options, method, out, threads)


def _shape(rng: np.random.Generator, made: Recipe, may_be_empty: bool) -> tuple[int, ...]:
    """One to five axes; rows sometimes long enough for many vectors; an axis of length 0 or 1 now and then."""
    axes = made.axes or tuple(range(-made.kernel.ndim, 0))
    ndim = max(max(-a for a in axes), made.kernel.ndim + len(made.channels))
    ndim = max(ndim, min(5, ndim + int(rng.choice([0, 0, 1, 2]))))
    width = int(rng.choice([9, 40, 150, 700])) // max(1, int(np.prod(made.channels)) // 4)
    shape = [int(rng.integers(1, 8)) for _ in range(ndim)]
    for a in axes:
        shape[a] = int(rng.integers(1, 25)) if a == axes[0] else int(rng.integers(1, 11))
    shape[max(axes)] = int(rng.integers(1, max(2, width)))
    for i, n in enumerate(made.channels):
        shape[i - len(made.channels)] = n
    if rng.random() < 0.1:
        shape[int(rng.integers(ndim))] = 1
    if may_be_empty and rng.random() < 0.03:
        shape[int(rng.integers(ndim))] = 0
    while np.prod(shape) > MOST_PIXELS:
        largest = int(np.argmax([n if i - ndim != max(axes) else n / 50 for i, n in enumerate(shape)]))
        shape[largest] = (shape[largest] + 1) // 2
    return tuple(shape)


def _peak(rng: np.random.Generator, made: Recipe) -> int:
    """The largest magnitude of a pixel for which every sum is exact in the dtype that the contract adds in."""
    k = made.kernel
    weight = max(1, int(np.ceil(np.abs(k.real).sum() + np.abs(k.imag).sum())))
    if made.image.kind == "b":
        return 1
    top = int(np.iinfo(made.image).max) if made.image.kind in "iu" else 100
    if made.image.kind in "iu" and k.dtype.kind in "biu":
        exact = (2**63 - 1) // weight if made.image.itemsize == 8 and rng.random() < 0.95 else top
        return min(top, exact if rng.random() < 0.6 else 100)
    wide = made.image.itemsize // (2 if made.image.kind == "c" else 1) >= (8 if made.image.kind in "fc" else 4)
    return max(1, min(top, (2**52 if wide else 2**23) // (2 * weight)))


# ---------------------------------------------------------------- running


def expected(made: Case) -> np.ndarray:
    """What the definition says, in the dtype that the contract says; raises OverflowError where it does."""
    k, options = made.recipe.kernel, dict(made.options)
    dtype = options.pop("dtype")
    fill = options.get("fill", 0) if options["border"] == "constant" and options["mode"] != "valid" else 0
    result = expect.result_dtype(made.x, k, fill, dtype)
    work = None
    if made.x.dtype.kind in "biu" and k.dtype.kind in "biu":
        largest = max([abs(int(fill)), *(abs(int(v)) for v in (made.x.min(), made.x.max()))]) if made.x.size else 0
        work = np.int64 if expect.weight_of(k) * largest < 2**62 and largest < 2**62 else object
    sums = oracle.correlate(made.x, k, flip=made.flip, work=work, **options)
    return expect.converted(sums, result)


def answer(made: Case) -> np.ndarray:
    """What the library says."""
    function = kw.convolve if made.flip else kw.correlate
    options = {**made.options, "threads": made.threads}
    rng = np.random.default_rng([made.seed, made.number, 3])
    if made.out is not None:
        shape, dtype = _result_of(made)
        if dtype is not None:
            blank = np.full(shape, 77, dtype)
            options["out"] = memory.arrange(blank, made.out, rng)
    if made.method == "auto":
        return function(made.x, made.recipe.kernel, **options)
    try:
        return function(made.x, made.recipe.kernel, method=made.method, **options)
    except ArgumentError as error:
        if not str(error).startswith("`method`"):
            raise
        return function(made.x, made.recipe.kernel, **options)


def _result_of(made: Case) -> tuple[tuple[int, ...], np.dtype | None]:
    try:
        return (wanted := expected(made)).shape, wanted.dtype
    except OverflowError:
        return (), None


def check(seed: int, number: int) -> float:
    """Run one case and compare; returns the share of zeros in its result. Raises AssertionError with a reproducer."""
    made = case(seed, number)
    before = np.array(made.x)
    try:
        wanted: np.ndarray | None = expected(made)
    except OverflowError:
        wanted = None
    try:
        got = answer(made)
        if number % 4 == 0:  # a call that has been made before takes a shorter way
            again = answer(made)
            assert np.array_equal(again, got), f"the second call gives another result: {made}"
    except OverflowError:
        assert wanted is None, f"OverflowError, but every sum fits: {made}"
        return 0.0
    except Exception as error:
        raise AssertionError(f"{type(error).__name__}: {error}\n{made}") from error
    assert wanted is not None, f"no OverflowError, but the sums may not fit: {made}"
    assert np.array_equal(np.array(made.x), before), f"the image was written to: {made}"
    assert got.dtype.newbyteorder("=") == wanted.dtype, f"{got.dtype} instead of {wanted.dtype}: {made}"
    assert got.shape == wanted.shape, f"{got.shape} instead of {wanted.shape}: {made}"
    if not np.array_equal(got, wanted):
        wrong = np.argwhere(got != wanted)
        at = tuple(wrong[0])
        raise AssertionError(
            f"{len(wrong)} of {got.size} wrong, first at {at}: {got[at]!r} instead of {wanted[at]!r}\n{made}"
        )
    return float(np.mean(got == 0)) if got.size else 0.0


def main(seed: int, first: int, stop: int | None = None) -> None:
    if stop is None:
        print(case(seed, first))
    zeros = [check(seed, number) for number in range(first, stop or first + 1)]
    print(f"{len(zeros)} right, {np.mean(zeros):.0%} zeros")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
