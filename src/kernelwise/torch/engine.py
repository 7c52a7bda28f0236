"""What kernelwise computes of a layer, on arrays: the one place where this door meets the rest of the package.

The three operations are each other's gradients, so they are all that autograd needs:

    forward          y[n, o] = sum over i of x[n, i] correlated with w[o, i]
    input gradient   what of y's gradient each pixel of x receives; the same is a transposed convolution
    weight gradient  what of it each weight receives

Arrays: x (n, c, ...), w (o, c / groups, ...), y (n, o, ...), with one to three spatial axes, all of them float32 or all
float64. Threads are as many as torch is set to use.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from ..algorithms.lag_sums import lag_sums
from ..layers.channels import UNLIMITED, correlate_channels
from ..problem import Axis
from .geometry import Geometry, Numbers, outputs

RELU = (0.0, math.inf)


def lacks(operation: str, of: Geometry) -> str:
    """Why an operation is torch's own; empty where it is ours."""
    if operation == "forward":
        return ""
    if any(step != 1 for step in of.stride):
        return f"its {operation} with `stride` above 1 is torch's own"
    if of.border != "constant":
        return f"its {operation} with such a border is torch's own"
    if operation == "weight gradient" and (len(of.stride) != 2 or of.groups != 1 or max(of.dilation) > 1):
        return "its weight gradient is torch's own, but for images without groups and dilation"
    return ""


def forward(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, of: Geometry, out: np.ndarray, relu: bool = False
) -> None:
    """y into ``out``; with ``relu``, max(y, 0)."""
    correlate_channels(
        x,
        weight,
        _axes(x.shape[2:], weight.shape[2:], of),
        bias,
        groups=of.groups,
        border=of.border,
        limits=RELU if relu else UNLIMITED,
        out=out,
        threads=torch.get_num_threads(),
    )


def input_gradient(dy: np.ndarray, weight: np.ndarray, of: Geometry, out: np.ndarray) -> None:
    """dx into ``out``, whose shape is that of x."""
    taps, groups = weight.shape[2:], of.groups
    axes = tuple(
        Axis(n, k, low - gap * (k - 1), 1, gap, size)
        for n, k, low, gap, size in zip(dy.shape[2:], taps, of.low, of.dilation, out.shape[2:], strict=True)
    )
    outputs_each, inputs_each = len(weight) // groups, weight.shape[1]
    turned = np.flip(weight, tuple(range(2, weight.ndim))).reshape(groups, outputs_each, *weight.shape[1:])
    turned = turned.swapaxes(1, 2).reshape(groups * inputs_each, outputs_each, *taps)
    correlate_channels(dy, turned, axes, groups=groups, out=out, threads=torch.get_num_threads())


def weight_gradient(dy: np.ndarray, x: np.ndarray, of: Geometry, out: np.ndarray) -> None:
    """dw into ``out``, whose shape is that of w."""
    taps, start = out.shape[2:], tuple(-low for low in of.low)
    out[...] = lag_sums(dy, x, (taps[0], taps[1]), (start[0], start[1]), sums=x.dtype, threads=torch.get_num_threads())


def _axes(sizes: Numbers, taps: Numbers, of: Geometry) -> tuple[Axis, ...]:
    along = zip(sizes, taps, of.low, of.stride, of.dilation, outputs(sizes, taps, of), strict=True)
    return tuple(Axis(n, k, -low, step, gap, size) for n, k, low, step, gap, size in along)
