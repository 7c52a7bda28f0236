"""What kernelwise computes of a layer, on arrays: the one place where this door meets the rest of the package.

The three operations are each other's gradients, so they are all that autograd needs:

    forward          y[n, o] = sum over i of x[n, i] correlated with w[o, i]
    input gradient   what of y's gradient each pixel of x receives; the same is a transposed convolution
    weight gradient  what of it each weight receives

Arrays: x (n, c, ...), w (o, c / groups, ...), y (n, o, ...), with one to three spatial axes, all of them float32 or all
float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..algorithms.lag_sums import lag_sums
from ..layers.channels import UNLIMITED, correlate_channels
from ..problem import Axis
from .geometry import Geometry, outputs

RELU = (0.0, math.inf)


def lacks(operation: str, geometry: Geometry, groups: int) -> str:
    """Why an operation is torch's own; empty where it is ours."""
    if operation == "forward":
        return ""
    if any(step != 1 for step in geometry.stride):
        return f"its {operation} with `stride` above 1"
    if operation == "weight gradient":
        if len(geometry.stride) != 2 or groups != 1 or any(gap != 1 for gap in geometry.dilation):
            return "its weight gradient but of two axes, undilated and without groups"
    return ""


def forward(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    geometry: Geometry,
    groups: int,
    out: np.ndarray,
    *,
    border: str = "constant",
    relu: bool = False,
    threads: int,
) -> None:
    """y into ``out``."""
    sizes, taps = x.shape[2:], weight.shape[2:]
    found = outputs(sizes, taps, geometry)
    axes = tuple(
        Axis(n, k, -low, step, gap, size)
        for n, k, low, step, gap, size in zip(
            sizes, taps, geometry.low, geometry.stride, geometry.dilation, found, strict=True
        )
    )
    limits = RELU if relu else UNLIMITED
    correlate_channels(x, weight, axes, bias, groups=groups, border=border, limits=limits, out=out, threads=threads)


def input_gradient(
    dy: np.ndarray, weight: np.ndarray, geometry: Geometry, groups: int, out: np.ndarray, *, threads: int
) -> None:
    """dx into ``out``, whose shape is that of x."""
    taps = weight.shape[2:]
    axes = tuple(
        Axis(n, k, low - gap * (k - 1), 1, gap, size)
        for n, k, low, gap, size in zip(dy.shape[2:], taps, geometry.low, geometry.dilation, out.shape[2:], strict=True)
    )
    outputs_each, inputs_each = len(weight) // groups, weight.shape[1]
    turned = np.flip(weight, tuple(range(2, weight.ndim))).reshape(groups, outputs_each, *weight.shape[1:])
    turned = turned.swapaxes(1, 2).reshape(groups * inputs_each, outputs_each, *taps)
    correlate_channels(dy, turned, axes, groups=groups, out=out, threads=threads)


def weight_gradient(
    dy: np.ndarray, x: np.ndarray, geometry: Geometry, groups: int, out: np.ndarray, *, threads: int
) -> None:
    """dw into ``out``, whose shape is that of w."""
    taps: Sequence[int] = out.shape[2:]
    start = tuple(-low for low in geometry.low)
    out[...] = lag_sums(dy, x, (taps[0], taps[1]), (start[0], start[1]), sums=x.dtype, threads=threads)
