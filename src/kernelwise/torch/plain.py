"""The three operations of `engine` on plain tensors: no copy, no dispatcher of torch's, no graph for gradients.

Tensors of float16 are done in float32, images some at a time, and the result is rounded once.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..layers.known import MOST_NUMBERS
from ..layers.operations import batches
from . import engine, prepared
from .engine import array
from .geometry import Geometry, Numbers, known_outputs

HALF = torch.float16
PART_BYTES = 16 << 20  # of images that are converted at a time
LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


def convolution(x: Tensor, weight: Tensor, bias: Tensor | None, of: Geometry) -> Tensor:
    """y of (n, o, ...)."""
    shape = (x.shape[0], weight.shape[0], *known_outputs(x.shape[2:], weight.shape[2:], of))
    out = torch.empty(shape, dtype=x.dtype, memory_format=memory_format(x, weight))
    if x.dtype is HALF:
        wide, shift = weight.float(), None if bias is None else bias.float()
        _in_parts(lambda part: convolution(part, wide, shift, of), x, out)
    elif weight.numel() <= MOST_NUMBERS and prepared.readable(x, weight, bias) and out.numel():
        prepared.forward_known(x, weight, bias, of, out)
    else:
        engine.forward(array(x), array(weight), None if bias is None else array(bias), of, out.numpy())
    return out


def input_gradient(dy: Tensor, weight: Tensor, sizes: Numbers, of: Geometry) -> Tensor:
    """dx of (n, c, *sizes)."""
    shape = (dy.shape[0], weight.shape[1] * of.groups, *sizes)
    out = torch.empty(shape, dtype=dy.dtype, memory_format=memory_format(dy, weight))
    if dy.dtype is HALF:
        wide = weight.float()
        _in_parts(lambda part: input_gradient(part, wide, sizes, of), dy, out)
    else:
        engine.input_gradient(array(dy), array(weight), of, out.numpy())
    return out


def weight_gradient(dy: Tensor, x: Tensor, taps: Numbers, of: Geometry) -> Tensor:
    """dw of (o, c / groups, *taps)."""
    if x.dtype is HALF:
        return weight_gradient(dy.float(), x.float(), taps, of).half()
    out = torch.empty((dy.shape[1], x.shape[1] // of.groups, *taps), dtype=x.dtype)
    engine.weight_gradient(array(dy), array(x), of, out.numpy())
    return out


def _in_parts(run: Callable[[Tensor], Tensor], x: Tensor, out: Tensor) -> None:
    """run(x) into ``out``, in float32, some images at a time."""
    each = 4 * (x[:1].numel() + out[:1].numel())
    for part in batches(x.shape[0], each, PART_BYTES):
        out[part].copy_(run(x[part].float()))


def memory_format(*tensors: Tensor) -> torch.memory_format:
    """Channels last if any of the tensors is, as torch's own convolutions have it."""
    last = LAST.get(tensors[0].ndim)
    if last is not None:
        for tensor in tensors:
            if not tensor.is_contiguous() and tensor.is_contiguous(memory_format=last):
                return last
    return torch.contiguous_format
