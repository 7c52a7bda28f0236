"""The sums that gradient descent works on: all that least squares needs to know of two images, however large.

With the windows of x written as rows, p[y, x] = (x[y + u, x + v] for all taps (u, v)), the sum of the squared errors of
a kernel k is

    sum (p . k - after)^2  =  k' G k - 2 k' r + t      G = sum p p',   r = sum p * after,   t = sum after^2
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..algorithms.lag_sums import lag_sums
from .windows import How, window_products

Pair = tuple[int, int]


@dataclass(frozen=True)
class Sums:
    """What least squares knows of two images. With a bias, it is the last entry, as if of a tap that sees ones."""

    gram: np.ndarray  # (p, p) float64, symmetric
    right: np.ndarray  # (p,)
    total: float  # of after^2
    outputs: int


def gather(before: np.ndarray, after: np.ndarray, size: Pair, bias: bool, threads: int | None) -> Sums:
    """The sums of ``before`` (n, H, W) and ``after`` (n, H - kh + 1, W - kw + 1), in float64."""
    x, y = before[:, np.newaxis], after[:, np.newaxis]
    p = size[0] * size[1]
    gram = window_products(x[:, :, np.newaxis], (1, *size), How(threads=threads)).reshape(p, p)
    right = lag_sums(y, x, size, threads=threads).ravel()
    total = float(lag_sums(y, y, (1, 1), threads=threads)[0, 0, 0, 0])
    if bias:
        ones = np.broadcast_to(np.float64(1), y.shape)
        seen = lag_sums(ones, x, size, threads=threads).ravel()
        gram = np.block([[gram, seen[:, np.newaxis]], [seen, np.float64(y.size)]])
        right = np.append(right, lag_sums(ones, y, (1, 1), threads=threads).ravel())
    return Sums(gram, right, total, y.size)
