"""What a kernel leaves unexplained, pixel by pixel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..layers.bank import correlate_bank
from ..problem import Axis
from .pairs import Pair
from .windows import flat_planes

BAND = 1 << 20  # outputs whose error is looked at together
REACH = 3  # pixels
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
    """(n, m, planes, rows, columns) in float32: `residuals` put together."""
    n, _, planes, rows, columns = pair.y.shape
    found = np.empty((n, len(kernel), planes, rows, columns), np.float32)
    for image, top, error in residuals(pair, kernel, background, threads):
        found[image, :, :, top : top + error.shape[2]] = error
    found[~np.isfinite(found)] = np.nan
    return found


def autocorrelation(images: list[np.ndarray]) -> np.ndarray:
    """Of residuals (n, m, planes, rows, columns): how alike neighbours up to REACH apart are; 1 in the middle."""
    reach = [min(REACH, min(one.shape[axis] for one in images) - 1) for axis in (2, 3, 4)]
    sides = tuple(2 * r + 1 for r in reach)
    total, count = np.zeros(sides), np.zeros(sides)
    for one in images:
        known = np.isfinite(one)
        level = np.where(known, one, 0)
        centre: Any = (..., *(slice(r, n - r) for r, n in zip(reach, one.shape[2:], strict=True)))
        if min(n - 2 * r for r, n in zip(reach, one.shape[2:], strict=True)) < 1:
            continue
        for z, y, x in np.ndindex(*sides):
            steps = zip((z, y, x), reach, one.shape[2:], strict=True)
            at: Any = (..., *(slice(d, d + n - 2 * r) for d, r, n in steps))
            total[z, y, x] += float(np.vdot(level[centre], level[at]))
            count[z, y, x] += float(np.count_nonzero(known[centre] & known[at]))
    mean = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
    middle = mean[tuple(reach)]
    return mean / middle if middle > 0 else mean


def _predicted(x: np.ndarray, kernel: np.ndarray, shape: tuple[int, int, int], threads: int | None) -> np.ndarray:
    """(m, planes, rows, columns)"""
    planes, rows, columns = shape
    axes = (
        Axis(x.shape[3], kernel.shape[3], 0, 1, 1, rows),
        Axis(x.shape[4], kernel.shape[4], 0, 1, 1, columns),
    )
    total = np.zeros((len(kernel), *shape))
    for z in range(kernel.shape[2]):
        (images,) = flat_planes(x[:, :, z : z + planes])
        total += correlate_bank(images, kernel[:, :, z], axes, np.dtype(FLOAT), threads).transpose(1, 0, 2, 3)
    return total
