"""A plain piece of an image into a plain piece of the result: what lies around the real, gap-free correlation.

Complex kernels are two real ones. With nan="omit" a piece is filtered three times: its known pixels, their weights,
and their number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from .algorithms import reference
from .algorithms.spec import Proposal
from .arrays import convert
from .native import native_image
from .problem import Kernel, Problem

Apply = Callable[[Problem, Proposal, np.ndarray], np.ndarray]
Count = Callable[[Problem, np.ndarray], np.ndarray]


def by_reference(problem: Problem, image: np.ndarray) -> np.ndarray:
    """The definition, rounded to the result's dtype."""
    if problem.nan == "omit":
        values = _omitting(problem, image, reference.correlate, reference.correlate)
    else:
        values = reference.correlate(problem, image)
    return convert(values, problem.result)


def by_parts(
    problem: Problem, image: np.ndarray, parts: tuple[Proposal, ...], apply: Apply, count: Count
) -> np.ndarray:
    """Generated code for each part of the kernel, put together and rounded to the result's dtype.

    ``apply`` runs one routine on one piece; ``count`` solves the integer problem behind nan="omit".
    """

    def correlate(problem: Problem, image: np.ndarray) -> np.ndarray:
        return _joined([apply(problem, part, _native(problem, image)) for part in parts])

    values = _omitting(problem, image, correlate, count) if problem.nan == "omit" else correlate(problem, image)
    return convert(values, problem.result)


def _native(problem: Problem, image: np.ndarray) -> np.ndarray:
    if image.dtype.kind == "b":
        return image.view(np.uint8)
    return image.astype(native_image(problem)) if image.dtype.char == "e" else image


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    """image * real kernel + i * (image * imaginary kernel)."""
    if len(parts) == 1:
        return parts[0]
    real, imaginary = parts
    joined = np.empty(real.shape, np.result_type(real.dtype, np.complex64))
    with np.errstate(all="ignore"):
        if real.dtype.kind == "c":
            joined.real, joined.imag = real.real - imaginary.imag, real.imag + imaginary.real
        else:
            joined.real, joined.imag = real, imaginary
    return joined


def counting(problem: Problem) -> Problem:
    """How many known pixels lie under non-zero taps: an exact problem of its own."""
    taps = Kernel.of((problem.weights != 0).astype(np.uint8))
    sums = np.dtype(np.int32)
    known_outside = 0 if np.isnan(problem.fill) else 1
    return replace(
        problem, kernel=taps, image=np.dtype(np.uint8), sums=sums, result=sums, nan="propagate", fill=known_outside
    )


def _omitting(problem: Problem, image: np.ndarray, correlate: Count, count: Count) -> np.ndarray:
    """sum k x over the known / sum k over the known * sum k; NaN where no pixel under the kernel is known."""
    missing = np.isnan(image)
    outside_missing = bool(np.isnan(problem.fill))
    plain = replace(problem, nan="propagate")
    known = replace(plain, fill=0 if outside_missing else problem.fill)
    ones = replace(plain, fill=0 if outside_missing else 1)
    sums = correlate(known, np.where(missing, image.dtype.type(0), image))
    weights = correlate(ones, (~missing).astype(image.dtype))
    number = count(counting(problem), (~missing).astype(np.uint8))
    total = problem.weights.sum(dtype=np.result_type(problem.weights.dtype, np.float64))
    with np.errstate(all="ignore"):
        scaled = (sums * (total / weights)).astype(sums.dtype)
    scaled = np.where(number == np.count_nonzero(problem.weights), sums, scaled)
    scaled[number == 0] = np.nan
    return scaled
