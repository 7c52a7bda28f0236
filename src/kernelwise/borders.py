"""Where a pixel outside the image comes from: np.pad's five rules, for any distance."""

from __future__ import annotations

import numpy as np

OUTSIDE = -1


def source_index(index: np.ndarray, n: int, border: str) -> np.ndarray:
    """Map indices on the endless line to indices 0 .. n - 1 of the image; OUTSIDE where the fill stands.

    index: int64, any shape. Same shape back. Repeated reflection included, as np.pad does it.
    """
    if n == 0:
        return np.full_like(index, OUTSIDE)
    if border == "constant":
        return np.where((index >= 0) & (index < n), index, OUTSIDE)
    if border == "edge":
        return np.clip(index, 0, n - 1)
    if border == "wrap":
        return index % n
    if border == "symmetric":
        folded = index % (2 * n)
        return np.where(folded < n, folded, 2 * n - 1 - folded)
    if n == 1:
        return np.zeros_like(index)
    folded = index % (2 * n - 2)
    return np.where(folded < n, folded, 2 * n - 2 - folded)


def pick(x: np.ndarray, axis: int, places: np.ndarray) -> np.ndarray:
    """The pixels at these places along an axis, a view where they are neighbours; OUTSIDE stands for any pixel.

    Unlike ``ndarray.take`` it never copies the pixels that nobody asked for.
    """
    inside = np.maximum(places, 0)
    low, high = int(inside.min()), int(inside.max()) + 1
    before = (slice(None),) * axis
    run = x[(*before, slice(low, high))]
    neighbours = len(inside) == high - low and bool((np.diff(inside) == 1).all())
    return run if neighbours else run[(*before, inside - low)]
