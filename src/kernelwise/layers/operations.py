"""What a layer computes, on arrays of one dtype, channels first: results and gradients. All are correlations."""

from __future__ import annotations

import math

import numpy as np

from ..problem import Axis
from .channels import UNLIMITED, correlate_channels
from .pixels import correlate_pixels

LANES = 64  # bytes of a vector: of the widest, so that the choice is the same on every machine
PIXELS_WORTH = 0.8  # of a full vector of pixels, compared with one of channels


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
    out: np.ndarray | None = None,
    threads: int | None = None,
) -> np.ndarray:
    """y[n, o] = x[n] correlated with weight[o] over the channels of its group and axes, plus bias[o], kept in limits.

    x: (n, groups * c, ...), weight: (groups * o, c, ...), bias: (groups * o,) or None, all of one dtype; ``axes``: the
    geometry; ``out``: where the result goes, (n, groups * o, ...). Outputs or pixels go side by side in the lanes,
    whichever fill them better. ``precision``: see `channels.correlate_channels`.
    """
    if pixels_fill_lanes(len(weight) // groups, axes[-1].out, weight.itemsize):
        return correlate_pixels(
            x, weight, axes, bias, groups=groups, border=border, limits=limits, out=out, threads=threads
        )
    return correlate_channels(
        x, weight, axes, bias, groups=groups, border=border, limits=limits, precision=precision, out=out,
        threads=threads,
    )  # fmt: skip


def pixels_fill_lanes(outputs: int, columns: int, size: int) -> bool:
    """Whether a row of pixels fills vectors better than the output channels of a group."""
    lanes = LANES // size
    channels = outputs / (-(-outputs // lanes) * lanes)
    pixels = columns / max(1, -(-columns // lanes) * lanes)
    return PIXELS_WORTH * pixels > channels


def bias_gradient(dy: np.ndarray) -> np.ndarray:
    """The gradient by the bias, which every pixel of its channel received. Returns (o,), added up in float64."""
    return dy.sum(axis=(0, *range(2, dy.ndim)), dtype=np.float64)


def batches(images: int, each: int, most: int) -> list[slice]:
    """A batch in parts of about ``most`` bytes, ``each`` of them an image."""
    step = max(1, most // max(1, each))
    return [slice(first, first + step) for first in range(0, images, step)]


def image_bytes(x: np.ndarray, dtype: np.dtype) -> int:
    return math.prod(x.shape[1:]) * dtype.itemsize
