"""Transforms with tiles of a size of one's own choice, and what their errors may be."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np

import kernelwise as kw
from kernelwise.algorithms.fourier import proposal
from kernelwise.plan import Plan

LENGTHS = proposal.LENGTHS
LINES = proposal.LINE_TILES
METHOD = "fourier"


@contextmanager
def tiles(rows: int, columns: int) -> Iterator[None]:
    """Within, every transform is done in tiles of that size, or on lines of so many pixels in all."""
    kw.clear_cache()
    try:
        with (
            mock.patch.object(proposal, "_tiles", lambda request: [(rows, columns)]),
            mock.patch.object(proposal, "LINE_TILES", ((rows, columns),)),
            mock.patch.object(proposal, "_all_tiles", list),
        ):
            yield
    finally:
        kw.clear_cache()


def allowed(plan: Plan, largest: float) -> float:
    """The error that no output of a transform may exceed, for an image (and fill) of no larger pixels.

    By the plan's own statement, for the largest pixel of all tiles. A complex kernel is two real ones, a complex pixel
    two numbers. A result is rounded once more where it is narrower than the sums, and at the smallest numbers. Sums of
    integers are exact.
    """
    problem = plan.problem
    if problem.sums.kind == "i":
        return 0.0
    sums, spec = np.finfo(problem.sums), plan.parts[0].spec
    largest = max(largest, float(sums.smallest_normal))
    pixels = spec.size * math.prod(problem.kernel.shape[:-2])
    norm = float(np.linalg.norm(problem.weights))
    bound = proposal.ERROR * float(sums.eps) / 2 * norm * math.sqrt(pixels) * largest * len(plan.parts)
    bound += 4 * float(sums.smallest_subnormal)
    if problem.result.kind in "iu":
        return bound + 1.0
    narrow = np.finfo(problem.result)
    if narrow.eps > sums.eps:
        size = float(np.abs(problem.weights).sum()) * largest
        bound += float(narrow.eps) / 2 * size + float(narrow.smallest_subnormal)
    return bound


def transformed(x: np.ndarray, k: np.ndarray, *, convolve: bool = False, **options: Any) -> np.ndarray:
    """By a transform, or ArgumentError where that cannot do it."""
    return (kw.convolve if convolve else kw.correlate)(x, k, method=METHOD, **options)


def pixels(rng: np.random.Generator, shape: tuple[int, ...], code: str) -> np.ndarray:
    """Numbers of a dtype that a transform does not find too different in size."""
    dtype = np.dtype(code)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        low = 0 if dtype.kind == "u" else -1000
        return rng.integers(max(low, np.iinfo(dtype).min), min(1000, np.iinfo(dtype).max), shape).astype(dtype)
    values = rng.standard_normal(shape)
    return (values + 1j * rng.standard_normal(shape) if dtype.kind == "c" else values).astype(dtype)


def largest(x: np.ndarray, fill: Any = 0) -> float:
    """The largest magnitude of a number in an image or its fill."""
    values = np.append(np.asarray(x).ravel(), fill)
    values = values.astype(np.result_type(values, np.float64))
    return float(np.abs(values).max())
