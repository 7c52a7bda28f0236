"""What a layer computes, on arrays of one dtype, channels first: results and gradients. All are correlations."""

from __future__ import annotations

import math

import numpy as np

from ..problem import Axis
from .prepared import UNLIMITED, PreparedLayer


def correlate(
    x: np.ndarray,
    weight: np.ndarray,
    axes: tuple[Axis, ...],
    bias: np.ndarray | None = None,
    *,
    groups: int = 1,
    border: str = "constant",
    limits: tuple[float, float] = UNLIMITED,
    precision: str = "exact",
    once: bool = False,
    lanes: str | None = None,
    out: np.ndarray | None = None,
    threads: int | None = None,
) -> np.ndarray:
    """y[n, o] = x[n] correlated with weight[o] over the channels of its group and axes, plus bias[o], kept in limits.

    x: (n, groups * c, ...), weight: (groups * o, c, ...), bias: (groups * o,) or None, all of one dtype; ``axes``: the
    geometry; ``out``: where the result goes, (n, groups * o, ...), aligned. The rest: see `prepared.PreparedLayer`.
    """
    if out is None:
        out = np.empty((len(x), len(weight), *(axis.out for axis in axes)), weight.dtype)
    if 0 in out.shape:
        return out
    if not (x.flags.aligned and x.dtype.isnative):
        x = np.require(x, x.dtype.newbyteorder("="), "A")
    layer = PreparedLayer(
        weight, bias, groups=groups, border=border, limits=limits, precision=precision, once=once, lanes=lanes
    )
    layer.run(x, out, axes, threads)
    layer.leave()
    return out


def bias_gradient(dy: np.ndarray) -> np.ndarray:
    """The gradient by the bias, which every pixel of its channel received. Returns (o,), added up in float64."""
    return dy.sum(axis=(0, *range(2, dy.ndim)), dtype=np.float64)


def batches(images: int, each: int, most: int) -> list[slice]:
    """A batch in parts of about ``most`` bytes, ``each`` of them an image."""
    step = max(1, most // max(1, each))
    return [slice(first, first + step) for first in range(0, images, step)]


def image_bytes(x: np.ndarray, dtype: np.dtype) -> int:
    return math.prod(x.shape[1:]) * dtype.itemsize
