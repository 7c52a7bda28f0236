"""Torch's own gradients of a convolution, for what `engine` lacks.

They are given tensors with channels first: with channels last, a few of them end the process.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .geometry import BORDERS, Geometry

NAMES = {ours: torchs for torchs, ours in BORDERS.items()} | {"constant": "constant"}


def input_gradient(dy: Tensor, weight: Tensor, out: Tensor, of: Geometry) -> Tensor:
    """dx into ``out``, whose shape is that of x."""
    with torch.enable_grad():
        x = torch.zeros_like(out, requires_grad=True, memory_format=torch.contiguous_format)
        padded = functional.pad(x, _sides(of), mode=NAMES[of.border])
    found = _backward(dy, padded, weight, of, 0)
    out.copy_(torch.autograd.grad(padded, x, found)[0])
    return out


def weight_gradient(dy: Tensor, x: Tensor, out: Tensor, of: Geometry) -> Tensor:
    """dw into ``out``, whose shape is that of w."""
    out.copy_(_backward(dy, functional.pad(x, _sides(of), mode=NAMES[of.border]), out, of, 1))
    return out


def _sides(of: Geometry) -> list[int]:
    return [side for pair in zip(reversed(of.low), reversed(of.high), strict=True) for side in pair]


def _backward(dy: Tensor, x: Tensor, weight: Tensor, of: Geometry, which: int) -> Tensor:
    none = [0] * len(of.stride)
    dense = (tensor.detach().contiguous() for tensor in (dy, x, weight))
    found: Tensor = torch.ops.aten.convolution_backward(
        *dense, None, of.stride, none, of.dilation, False, none, of.groups, [which == 0, which == 1, False]
    )[which]
    return found
