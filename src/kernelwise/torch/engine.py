"""What kernelwise computes of a layer, on arrays: the one place where this door meets the rest of the package.

The three operations are each other's gradients, so they are all that autograd needs:

    forward          y[n, o] = sum over i of x[n, i] correlated with w[o, i]
    input gradient   what of y's gradient each pixel of x receives; the same is a transposed convolution
    weight gradient  what of it each weight receives

Arrays: x (n, c, ...), w (o, c / groups, ...), y (n, o, ...), with one to three spatial axes, all of them float32 or all
float64. Threads are as many as torch is set to use.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..layers.arguments import PRECISIONS
from ..layers.input_gradient import input_gradient as gradient_by_input
from ..layers.operations import correlate
from ..layers.weight_gradient import weight_gradient as gradient_by_weight
from ..problem import Axis, one_of
from .geometry import Geometry, Numbers, outputs

PRECISION = "fast"


def set_precision(name: str) -> None:
    """How sums are taken from now on: "fast" (the default) or "exact".

    "fast" may use Winograd's algorithm: an error up to 5e-6 of the largest output in float32, and a value that is not
    finite spoils its tile of 4 x 4 outputs. "exact" adds up the products themselves: below 1e-6.

    Raises ArgumentError or ArgumentTypeError.
    """
    global PRECISION
    one_of("name", name, PRECISIONS)
    PRECISION = name


def forward(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, of: Geometry, out: np.ndarray) -> None:
    """y into ``out``."""
    correlate(
        x,
        weight,
        axes(x.shape[2:], weight.shape[2:], of),
        bias,
        groups=of.groups,
        border=of.border,
        precision=PRECISION,
        once=True,  # as layers that are ready do: the same bits whether it trains or not
        out=out,
        threads=torch.get_num_threads(),
    )


def input_gradient(dy: np.ndarray, weight: np.ndarray, of: Geometry, out: np.ndarray) -> None:
    """dx into ``out``, whose shape is that of x."""
    geometry = tuple(
        Axis(n, k, -low, step, gap, size)
        for n, k, low, step, gap, size in zip(
            out.shape[2:], weight.shape[2:], of.low, of.stride, of.dilation, dy.shape[2:], strict=True
        )
    )
    gradient_by_input(
        dy,
        weight,
        geometry,
        out,
        groups=of.groups,
        border=of.border,
        precision=PRECISION,
        threads=torch.get_num_threads(),
    )


def weight_gradient(dy: np.ndarray, x: np.ndarray, of: Geometry, out: np.ndarray) -> None:
    """dw into ``out``, whose shape is that of w."""
    geometry = axes(x.shape[2:], out.shape[2:], of)
    threads = torch.get_num_threads()
    gradient_by_weight(dy, x, geometry, of.groups, of.border, x.dtype, threads, precision=PRECISION, out=out)


def array(tensor: Tensor) -> np.ndarray:
    """The tensor's memory as an array, of any strides."""
    found: np.ndarray = (tensor.resolve_neg() if tensor.is_neg() else tensor).detach().numpy()
    return found


def axes(sizes: Numbers, taps: Numbers, of: Geometry) -> tuple[Axis, ...]:
    """The geometry of a convolution of images of these ``sizes``, as the layers' functions have it."""
    along = zip(sizes, taps, of.low, of.stride, of.dilation, outputs(sizes, taps, of), strict=True)
    return tuple(Axis(n, k, -low, step, gap, size) for n, k, low, step, gap, size in along)
