"""The order of operations, written down in NumPy: slow, obviously right, and used where generated code cannot go.

Everything is computed in float64; nothing here is fused, so each product and each sum is rounded once.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from ..borders import OUTSIDE, source_index
from .passes import Pass, mirror_of, present


def shifted(lines: np.ndarray, start: int, border: str, cval: float) -> np.ndarray:
    """lines[..., p + start] for every p of the last axis, the border resolved."""
    n = lines.shape[-1]
    places = source_index(np.arange(n) + start, n, border)
    found = lines[..., np.maximum(places, 0)]
    found[..., places == OUTSIDE] = cval
    return found


def correlate1d(x: np.ndarray, step: Pass) -> np.ndarray:
    """One pass in float64, as `ordered` describes it."""
    lines = np.moveaxis(x, step.axis, -1).astype(np.float64)
    weights, taps = step.weights, len(step.weights)
    mirror = mirror_of(weights)

    def under(j: int) -> np.ndarray:
        return shifted(lines, step.start + j, step.border, step.cval)

    with np.errstate(all="ignore"):
        if mirror:
            total = under(taps // 2) * weights[taps // 2]
            for j in range(taps // 2):
                total += (under(j) + mirror * under(taps - 1 - j)) * weights[j]
        else:
            total = under(taps - 1) * weights[-1]
            for j in range(taps - 1):
                total += under(j) * weights[j]
    return np.moveaxis(total, -1, step.axis)


def correlate(x: np.ndarray, weights: np.ndarray, starts: tuple[int, ...], border: str, cval: float) -> np.ndarray:
    """Any kernel, tap by tap in its own order, in float64."""
    pixels = x.astype(np.float64)
    total = np.zeros(x.shape)
    places = [
        [source_index(np.arange(n) + start + a, n, border) for a in range(taps)]
        for n, start, taps in zip(x.shape, starts, weights.shape, strict=True)
    ]
    there = present(weights)
    with np.errstate(all="ignore"):
        for tap in product(*(range(taps) for taps in weights.shape)):
            if there[tap]:
                index = [places[axis][a] for axis, a in enumerate(tap)]
                under = pixels[np.ix_(*(np.maximum(i, 0) for i in index))] if x.ndim else pixels.copy()
                for axis, i in enumerate(index):
                    under[(slice(None),) * axis + (i == OUTSIDE,)] = cval
                total += under * weights[tap]
    return total


def assign(values: np.ndarray, out: np.ndarray) -> None:
    """Float64 results into an array of another dtype, converted as C does."""
    with np.errstate(all="ignore"):
        if out.dtype.kind == "u" and out.dtype.itemsize == 4:
            values = values.astype(np.int64)
        out[...] = values.astype(out.dtype)
