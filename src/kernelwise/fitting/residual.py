"""What a kernel leaves unexplained, pixel by pixel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..algorithms.lag_sums import lag_sums
from ..algorithms.totals import image_totals
from ..correlation import correlate
from ..layers.bank import correlate_bank
from ..problem import Axis
from .pairs import Pair
from .windows import flat_planes

BAND = 1 << 20  # outputs whose error is looked at together
REACH = 3  # pixels
SAMPLE = 16  # every so many pixels are looked at for the size of the numbers,
SMALLEST, LARGEST = 1e-15, 1e15  # within which float32 holds residuals
FLOAT = np.float64


def residuals(
    pair: Pair, kernel: np.ndarray, background: np.ndarray, threads: int | None
) -> Iterator[tuple[int, int, np.ndarray]]:
    """y - x correlated with the kernel - background, band by band: (image, first row, (m, planes, rows, columns)).

    ``kernel``: (m, c, *taps); ``background``: (m,). In float64; NaN where an output is not used.
    """
    planes, rows, columns = pair.y.shape[2:]
    step = max(1, BAND // (planes * columns))
    for n in range(len(pair.y)):
        for top in range(0, rows, step):
            error = pair.y[n, :, :, top : top + step].astype(FLOAT)
            error -= background[:, np.newaxis, np.newaxis, np.newaxis]
            x = pair.x[n : n + 1, :, :, top : top + error.shape[2] + kernel.shape[3] - 1]
            error -= _predicted(x, kernel, error.shape[1:], threads)
            if pair.used is not None:
                error[:, ~pair.used[n, :, top : top + step]] = np.nan
            yield n, top, error


def residual_images(pair: Pair, kernel: np.ndarray, background: np.ndarray, threads: int | None) -> np.ndarray:
    """(n, m, planes, rows, columns): `residuals` put together, in float32 where numbers of that size fit well."""
    n, _, planes, rows, columns = pair.y.shape
    found: np.ndarray = np.empty((n, len(kernel), planes, rows, columns), _dtype(pair.y))
    for image, top, error in residuals(pair, kernel, background, threads):
        finite = np.isfinite(error)
        if not finite.all():
            error[~finite] = np.nan
        found[image, :, :, top : top + error.shape[2]] = error
    return found


def _dtype(y: np.ndarray) -> type:
    """By the size of some of the numbers; squares of what is left of them are added up, too."""
    if y.dtype.kind != "f" or y.dtype.itemsize <= 4:
        return np.float32
    steps = (slice(None, None, SAMPLE if n >= 4 * SAMPLE else 1) for n in y.shape[2:])
    sample = np.abs(y[(slice(None), slice(None), *steps)])
    size = float(sample[np.isfinite(sample)].max(initial=0.0))
    return np.float32 if size == 0 or SMALLEST < size < LARGEST else FLOAT


def squared_residuals(images: np.ndarray, weights: np.ndarray | None, threads: int | None) -> np.ndarray:
    """(m,): sums of the squares of residuals (n, m, planes, rows, columns), those that are NaN left out."""
    total = np.zeros(images.shape[1])
    for m in range(len(total)):
        if weights is None:
            found = [image_totals(plane[:, 0], 0.0, threads)[1] for plane in flat_planes(images[:, m : m + 1])]
            if np.isfinite(found).all():
                total[m] = sum(found)
                continue
        rows = max(1, BAND // (images.shape[2] * images.shape[4]))
        for n in range(len(images)):
            for top in range(0, images.shape[3], rows):
                squares = np.square(images[n, m, :, top : top + rows], dtype=FLOAT)
                if weights is not None:
                    squares *= weights[n, :, top : top + rows]
                total[m] += np.nansum(squares)
    return total


def autocorrelation(images: list[np.ndarray], threads: int | None = None) -> np.ndarray:
    """Of residuals (n, m, planes, rows, columns): how alike neighbours up to REACH apart are; 1 in the middle."""
    reach = [min(REACH, min(one.shape[axis] for one in images) - 1) for axis in (2, 3, 4)]
    sides = tuple(2 * r + 1 for r in reach)
    total, count = np.zeros(sides), np.zeros(sides)
    for one in images:
        centre: Any = (..., *(slice(r, n - r) for r, n in zip(reach, one.shape[2:], strict=True)))
        if 0 in one[centre].shape:
            continue
        known = np.isfinite(one)
        if known.all():
            total += _matches(one[centre], one, sides, threads)
            count += one[centre].size
        else:
            level = np.where(known, one, np.float32(0))
            total += _matches(level[centre], level, sides, threads)
            count += _matches(known[centre], known, sides, threads)
    mean = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
    middle = mean[tuple(reach)]
    return mean / middle if middle > 0 else mean


def _matches(a: np.ndarray, b: np.ndarray, sides: tuple[int, ...], threads: int | None) -> np.ndarray:
    """(sides) sums of a times b at every shift by less than that, over all images and channels."""
    found = np.zeros(sides)
    for z in range(sides[0]):
        for m in range(a.shape[1]):
            there = b[:, m : m + 1, z : z + a.shape[2]]
            for here, met in zip(flat_planes(a[:, m : m + 1]), flat_planes(there), strict=True):
                found[z] += lag_sums(here, met, (sides[1], sides[2]), threads=threads)[0, 0]
    return found


def _predicted(x: np.ndarray, kernel: np.ndarray, shape: tuple[int, int, int], threads: int | None) -> np.ndarray:
    """(m, planes, rows, columns)"""
    planes, rows, columns = shape
    if kernel.shape[:3] == (1, 1, 1):  # by transforms, where that takes less time
        found: np.ndarray = correlate(x[0, 0, 0].astype(FLOAT), kernel[0, 0, 0], mode="valid", threads=threads)
        return found[np.newaxis, np.newaxis]
    axes = (
        Axis(x.shape[3], kernel.shape[3], 0, 1, 1, rows),
        Axis(x.shape[4], kernel.shape[4], 0, 1, 1, columns),
    )
    total = np.zeros((len(kernel), *shape))
    for z in range(kernel.shape[2]):
        (images,) = flat_planes(x[:, :, z : z + planes])
        total += correlate_bank(images, kernel[:, :, z], axes, np.dtype(FLOAT), threads).transpose(1, 0, 2, 3)
    return total
