"""The three operations as operators of PyTorch, whose shapes are known without data.

    kernelwise::convolution                  (x, w, bias) -> y
    kernelwise::convolution_input_gradient   (dy, w) -> dx; a transposed convolution is this one
    kernelwise::convolution_weight_gradient  (dy, x) -> dw

torch.compile, torch.export and everything else that looks at operators sees these. Their gradients are in `gradients`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from . import plain
from .geometry import given, outputs


@torch.library.custom_op("kernelwise::convolution", mutates_args=())
def convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    low: Sequence[int],
    high: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    border: str,
) -> Tensor:
    """y of (n, o, ...), the result of a layer."""
    return plain.convolution(x, weight, bias, given(stride, low, high, dilation, groups, border))


@convolution.register_fake
def _(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    low: Sequence[int],
    high: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    border: str,
) -> Tensor:
    sizes = outputs(x.shape[2:], weight.shape[2:], given(stride, low, high, dilation, groups, border))
    return _nothing(x, (x.shape[0], weight.shape[0], *sizes), plain.memory_format(x, weight))


@torch.library.custom_op("kernelwise::convolution_input_gradient", mutates_args=())
def input_gradient(
    dy: Tensor,
    weight: Tensor,
    sizes: Sequence[int],
    stride: Sequence[int],
    low: Sequence[int],
    high: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    border: str,
) -> Tensor:
    """dx of (n, c, *sizes) from dy of (n, o, ...)."""
    of = given(stride, low, high, dilation, groups, border)
    return plain.input_gradient(dy, weight, tuple(sizes), of)


@input_gradient.register_fake
def _(
    dy: Tensor,
    weight: Tensor,
    sizes: Sequence[int],
    stride: Sequence[int],
    low: Sequence[int],
    high: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    border: str,
) -> Tensor:
    return _nothing(dy, (dy.shape[0], weight.shape[1] * groups, *sizes), plain.memory_format(dy, weight))


@torch.library.custom_op("kernelwise::convolution_weight_gradient", mutates_args=())
def weight_gradient(
    dy: Tensor,
    x: Tensor,
    taps: Sequence[int],
    stride: Sequence[int],
    low: Sequence[int],
    high: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    border: str,
) -> Tensor:
    """dw of (o, c / groups, *taps) from dy of (n, o, ...) and x of (n, c, ...)."""
    of = given(stride, low, high, dilation, groups, border)
    return plain.weight_gradient(dy, x, tuple(taps), of)


@weight_gradient.register_fake
def _(
    dy: Tensor,
    x: Tensor,
    taps: Sequence[int],
    stride: Sequence[int],
    low: Sequence[int],
    high: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    border: str,
) -> Tensor:
    return _nothing(x, (dy.shape[1], x.shape[1] // groups, *taps), torch.contiguous_format)


def _nothing(like: Tensor, shape: tuple[int, ...], memory: torch.memory_format) -> Tensor:
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=memory)
