"""Torch's own gradients of a convolution, for what `engine` lacks.

They are given tensors with channels first: with channels last, a few of them end the process.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .geometry import Geometry


def input_gradient(dy: Tensor, weight: Tensor, out: Tensor, geometry: Geometry, groups: int) -> Tensor:
    """dx into ``out``, whose shape is that of x."""
    out.copy_(_crop(_backward(dy, out.contiguous(), weight, geometry, groups, 0), geometry))
    return out


def weight_gradient(dy: Tensor, x: Tensor, out: Tensor, geometry: Geometry, groups: int) -> Tensor:
    """dw into ``out``, whose shape is that of w."""
    out.copy_(_backward(dy, x, out, geometry, groups, 1))
    return out


def _backward(dy: Tensor, x: Tensor, weight: Tensor, geometry: Geometry, groups: int, which: int) -> Tensor:
    stride, low, high, dilation = geometry
    uneven = low != high
    if uneven:
        x = functional.pad(x, [side for pair in zip(reversed(low), reversed(high), strict=True) for side in pair])
    found: Tensor = torch.ops.aten.convolution_backward(
        *(tensor.detach().contiguous() for tensor in (dy, x, weight)), None, stride,
        [0] * len(low) if uneven else low, dilation, False, [0] * len(low), groups,
        [which == 0, which == 1, False],
    )[which]  # fmt: skip
    return found


def _crop(dx: Tensor, geometry: Geometry) -> Tensor:
    """What `_backward` padded is cut off again."""
    if geometry.low != geometry.high:
        for axis, (low, high) in enumerate(zip(geometry.low, geometry.high, strict=True), 2):
            dx = dx.narrow(axis, low, dx.shape[axis] - low - high)
    return dx
