"""The three operations of `engine` as operators of PyTorch, each other's gradients.

    kernelwise::convolution                  (x, w, bias) -> y
    kernelwise::convolution_input_gradient   (dy, w) -> dx; a transposed convolution is this one
    kernelwise::convolution_weight_gradient  (dy, x) -> dw

Each is linear in either of its two tensors, and each of its gradients is one of the three again; so gradients of any
order are there. Shapes are known without data, so torch.compile and torch.export trace them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import engine, own
from .geometry import Geometry, outputs

LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


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
) -> Tensor:
    """y of (n, o, ...): the result of a layer."""
    return forward_now(x, weight, bias, _geometry(stride, low, high, dilation), groups)


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
) -> Tensor:
    """dx of (n, c, *sizes) from dy of (n, o, ...)."""
    return input_gradient_now(dy, weight, tuple(sizes), _geometry(stride, low, high, dilation), groups)


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
) -> Tensor:
    """dw of (o, c / groups, *taps) from dy of (n, o, ...) and x of (n, c, ...)."""
    geometry = _geometry(stride, low, high, dilation)
    out = torch.empty((dy.shape[1], x.shape[1] // groups, *taps), dtype=x.dtype)
    if engine.lacks("weight gradient", geometry, groups):
        return own.weight_gradient(dy, x, out, geometry, groups)
    threads = torch.get_num_threads()
    engine.weight_gradient(array(dy), array(x), geometry, groups, out.numpy(), threads=threads)
    return out


def forward_now(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    geometry: Geometry,
    groups: int,
    border: str = "constant",
    relu: bool = False,
) -> Tensor:
    """The convolution of plain tensors, without torch's dispatcher and without a graph for gradients."""
    shape = (x.shape[0], weight.shape[0], *outputs(x.shape[2:], weight.shape[2:], geometry))
    out = torch.empty(shape, dtype=x.dtype, memory_format=_memory_format(x, weight))
    engine.forward(
        array(x),
        array(weight),
        None if bias is None else array(bias),
        geometry,
        groups,
        out.numpy(),
        border=border,
        relu=relu,
        threads=torch.get_num_threads(),
    )
    return out


def input_gradient_now(dy: Tensor, weight: Tensor, sizes: tuple[int, ...], geometry: Geometry, groups: int) -> Tensor:
    """The input gradient of plain tensors, without torch's dispatcher and without a graph for gradients."""
    shape = (dy.shape[0], weight.shape[1] * groups, *sizes)
    out = torch.empty(shape, dtype=dy.dtype, memory_format=_memory_format(dy, weight))
    if engine.lacks("input gradient", geometry, groups):
        return own.input_gradient(dy, weight, out, geometry, groups)
    engine.input_gradient(array(dy), array(weight), geometry, groups, out.numpy(), threads=torch.get_num_threads())
    return out


def array(tensor: Tensor) -> np.ndarray:
    """The tensor's memory as an array: no copy, any strides."""
    found: np.ndarray = tensor.detach().resolve_neg().numpy()
    return found


def _geometry(*numbers: Sequence[int]) -> Geometry:
    return Geometry(*map(tuple, numbers))


def _memory_format(*tensors: Tensor) -> torch.memory_format:
    """Channels last if any of the tensors is, as torch's own convolutions have it."""
    last = LAST.get(tensors[0].ndim)
    if last is not None:
        for tensor in tensors:
            if not tensor.is_contiguous() and tensor.is_contiguous(memory_format=last):
                return last
    return torch.contiguous_format


# ---------------------------------------------------------------- shapes without data


@convolution.register_fake
def _(x: Tensor, weight: Tensor, bias: Any, stride: Any, low: Any, high: Any, dilation: Any, groups: int) -> Tensor:
    shape = (
        x.shape[0],
        weight.shape[0],
        *outputs(x.shape[2:], weight.shape[2:], Geometry(stride, low, high, dilation)),
    )
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=_memory_format(x, weight))


@input_gradient.register_fake
def _(dy: Tensor, weight: Tensor, sizes: Any, stride: Any, low: Any, high: Any, dilation: Any, groups: int) -> Tensor:
    shape = (dy.shape[0], weight.shape[1] * groups, *sizes)
    return torch.empty(shape, dtype=dy.dtype, device=dy.device, memory_format=_memory_format(dy, weight))


@weight_gradient.register_fake
def _(dy: Tensor, x: Tensor, taps: Any, stride: Any, low: Any, high: Any, dilation: Any, groups: int) -> Tensor:
    return torch.empty((dy.shape[1], x.shape[1] // groups, *taps), dtype=x.dtype, device=x.device)


# ---------------------------------------------------------------- gradients


def _keep_convolution(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    x, weight, bias, *ctx.rest = inputs
    ctx.save_for_backward(x, weight)


def _convolution_backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
    x, weight = ctx.saved_tensors
    wants = ctx.needs_input_grad
    dx = input_gradient(dy, weight, list(x.shape[2:]), *ctx.rest) if wants[0] else None
    dw = weight_gradient(dy, x, list(weight.shape[2:]), *ctx.rest) if wants[1] else None
    db = bias_gradient(dy) if wants[2] else None
    return dx, dw, db, *(None,) * len(ctx.rest)


def _keep_input_gradient(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    dy, weight, _, *ctx.rest = inputs
    ctx.save_for_backward(dy, weight)


def _input_gradient_backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    dy, weight = ctx.saved_tensors
    wants = ctx.needs_input_grad
    ddy = convolution(g, weight, None, *ctx.rest) if wants[0] else None
    dw = weight_gradient(dy, g, list(weight.shape[2:]), *ctx.rest) if wants[1] else None
    return ddy, dw, *(None,) * (1 + len(ctx.rest))


def _keep_weight_gradient(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    dy, x, _, *ctx.rest = inputs
    ctx.save_for_backward(dy, x)


def _weight_gradient_backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    dy, x = ctx.saved_tensors
    wants = ctx.needs_input_grad
    ddy = convolution(x, g, None, *ctx.rest) if wants[0] else None
    dx = input_gradient(dy, g, list(x.shape[2:]), *ctx.rest) if wants[1] else None
    return ddy, dx, *(None,) * (1 + len(ctx.rest))


def bias_gradient(dy: Tensor) -> Tensor:
    """The gradient by the bias, which every pixel of its channel received."""
    return dy.sum((0, *range(2, dy.ndim)))


convolution.register_autograd(_convolution_backward, setup_context=_keep_convolution)
input_gradient.register_autograd(_input_gradient_backward, setup_context=_keep_input_gradient)
weight_gradient.register_autograd(_weight_gradient_backward, setup_context=_keep_weight_gradient)
