"""The three operations of `engine` on plain tensors: no copy, no dispatcher of torch's, no graph for gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from . import engine, prepared
from .engine import array
from .geometry import Geometry, Numbers, outputs

LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


def convolution(x: Tensor, weight: Tensor, bias: Tensor | None, of: Geometry) -> Tensor:
    """y of (n, o, ...)."""
    shape = (x.shape[0], weight.shape[0], *outputs(x.shape[2:], weight.shape[2:], of))
    out = torch.empty(shape, dtype=x.dtype, memory_format=memory_format(x, weight))
    if weight.numel() <= prepared.SMALL and prepared.readable(x, weight, bias) and out.numel():
        prepared.forward_small(x, weight, bias, of, out)
    else:
        engine.forward(array(x), array(weight), None if bias is None else array(bias), of, out.numpy())
    return out


def input_gradient(dy: Tensor, weight: Tensor, sizes: Numbers, of: Geometry) -> Tensor:
    """dx of (n, c, *sizes)."""
    shape = (dy.shape[0], weight.shape[1] * of.groups, *sizes)
    out = torch.empty(shape, dtype=dy.dtype, memory_format=memory_format(dy, weight))
    engine.input_gradient(array(dy), array(weight), of, out.numpy())
    return out


def weight_gradient(dy: Tensor, x: Tensor, taps: Numbers, of: Geometry) -> Tensor:
    """dw of (o, c / groups, *taps)."""
    out = torch.empty((dy.shape[1], x.shape[1] // of.groups, *taps), dtype=x.dtype)
    engine.weight_gradient(array(dy), array(x), of, out.numpy())
    return out


def memory_format(*tensors: Tensor) -> torch.memory_format:
    """Channels last if any of the tensors is, as torch's own convolutions have it."""
    last = LAST.get(tensors[0].ndim)
    if last is not None:
        for tensor in tensors:
            if not tensor.is_contiguous() and tensor.is_contiguous(memory_format=last):
                return last
    return torch.contiguous_format
