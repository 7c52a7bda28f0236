"""Torch's own weight gradient of a convolution, for what `engine` lacks.

It is given tensors with channels first: with channels last, some of its convolutions end the process.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .geometry import BORDERS, Geometry

NAMES = {ours: torchs for torchs, ours in BORDERS.items()} | {"constant": "constant"}


def weight_gradient(dy: Tensor, x: Tensor, out: Tensor, of: Geometry) -> Tensor:
    """dw into ``out``, whose shape is that of w."""
    sides = [side for pair in zip(reversed(of.low), reversed(of.high), strict=True) for side in pair]
    if any(sides):
        x = functional.pad(x, sides, mode=NAMES[of.border])
    none = [0] * len(of.stride)
    dense = (tensor.detach().contiguous() for tensor in (dy, x, out))
    out.copy_(
        torch.ops.aten.convolution_backward(
            *dense, None, of.stride, none, of.dilation, False, none, of.groups, [False, True, False]
        )[1]
    )
    return out
