"""The three operations for tensors of every kind, with gradients of any order.

Each is linear in either of its two tensors, and each of its gradients is one of the three again:

    y = convolution(x, w):          dx = input_gradient(dy, w)    dw = weight_gradient(dy, x)
    dx = input_gradient(dy, w):     ddy = convolution(g, w)       dw = weight_gradient(dy, g)
    dw = weight_gradient(dy, x):    ddy = convolution(x, g)       dx = input_gradient(dy, g)

A call goes one of three ways: to the operators of `ops` where torch traces or looks at operators; else to autograd's
functions below where gradients are asked for; else to `plain` tensors at once. All three compute the same.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.compiler import is_compiling

from . import ops, plain
from .geometry import Geometry, Numbers, given

Gradients = tuple[Tensor | None, ...]


def convolution(x: Tensor, weight: Tensor, bias: Tensor | None, of: Geometry) -> Tensor:
    """y of (n, o, ...), the result of a layer."""
    found: Tensor
    if traced():
        found = ops.convolution(x, weight, bias, *of)
    elif wanted(x, weight, bias):
        found = _Convolution.apply(x, weight, bias, *of)
    else:
        found = plain.convolution(x, weight, bias, of)
    return found


def input_gradient(dy: Tensor, weight: Tensor, sizes: Numbers, of: Geometry) -> Tensor:
    """dx of (n, c, *sizes) from dy of (n, o, ...)."""
    found: Tensor
    if traced():
        found = ops.input_gradient(dy, weight, sizes, *of)
    elif wanted(dy, weight):
        found = _InputGradient.apply(dy, weight, sizes, *of)
    else:
        found = plain.input_gradient(dy, weight, sizes, of)
    return found


def weight_gradient(dy: Tensor, x: Tensor, taps: Numbers, of: Geometry) -> Tensor:
    """dw of (o, c / groups, *taps) from dy of (n, o, ...) and x of (n, c, ...)."""
    found: Tensor
    if traced():
        found = ops.weight_gradient(dy, x, taps, *of)
    elif wanted(dy, x):
        found = _WeightGradient.apply(dy, x, taps, *of)
    else:
        found = plain.weight_gradient(dy, x, taps, of)
    return found


def bias_gradient(dy: Tensor) -> Tensor:
    """The gradient by the bias, which every pixel of its channel received."""
    return dy.sum((0, *range(2, dy.ndim)))


def traced() -> bool:
    """Whether torch's dispatcher must see the call."""
    return is_compiling() or torch._C._len_torch_dispatch_stack() > 0 or torch._C._len_torch_function_stack() > 0


def wanted(*tensors: Tensor | None) -> bool:
    """Whether a graph for gradients is asked for."""
    if torch.is_grad_enabled():
        for tensor in tensors:
            if tensor is not None and tensor.requires_grad:
                return True
    return False


# ---------------------------------------------------------------- what a graph keeps, and what it hands back


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    """Of every operation: its two tensors, and its geometry behind one argument more."""
    ctx.save_for_backward(*inputs[:2])
    ctx.of = given(*inputs[3:])


def _of_convolution(ctx: Any, dy: Tensor) -> Gradients:
    x, weight = ctx.saved_tensors
    wants = ctx.needs_input_grad
    dx = input_gradient(dy, weight, x.shape[2:], ctx.of) if wants[0] else None
    dw = weight_gradient(dy, x, weight.shape[2:], ctx.of) if wants[1] else None
    db = bias_gradient(dy) if wants[2] else None
    return dx, dw, db, *(None,) * len(ctx.of)


def _of_input_gradient(ctx: Any, g: Tensor) -> Gradients:
    dy, weight = ctx.saved_tensors
    wants = ctx.needs_input_grad
    ddy = convolution(g, weight, None, ctx.of) if wants[0] else None
    dw = weight_gradient(dy, g, weight.shape[2:], ctx.of) if wants[1] else None
    return ddy, dw, *(None,) * (1 + len(ctx.of))


def _of_weight_gradient(ctx: Any, g: Tensor) -> Gradients:
    dy, x = ctx.saved_tensors
    wants = ctx.needs_input_grad
    ddy = convolution(x, g, None, ctx.of) if wants[0] else None
    dx = input_gradient(dy, g, x.shape[2:], ctx.of) if wants[1] else None
    return ddy, dx, *(None,) * (1 + len(ctx.of))


ops.convolution.register_autograd(_of_convolution, setup_context=_keep)
ops.input_gradient.register_autograd(_of_input_gradient, setup_context=_keep)
ops.weight_gradient.register_autograd(_of_weight_gradient, setup_context=_keep)


class _Convolution(torch.autograd.Function):
    backward = staticmethod(_of_convolution)

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, *of: Any) -> Tensor:
        _keep(ctx, (x, weight, bias, *of), x)
        return plain.convolution(x, weight, bias, ctx.of)


class _InputGradient(torch.autograd.Function):
    backward = staticmethod(_of_input_gradient)

    @staticmethod
    def forward(ctx: Any, dy: Tensor, weight: Tensor, sizes: Numbers, *of: Any) -> Tensor:
        _keep(ctx, (dy, weight, sizes, *of), dy)
        return plain.input_gradient(dy, weight, sizes, ctx.of)


class _WeightGradient(torch.autograd.Function):
    backward = staticmethod(_of_weight_gradient)

    @staticmethod
    def forward(ctx: Any, dy: Tensor, x: Tensor, taps: Numbers, *of: Any) -> Tensor:
        _keep(ctx, (dy, x, taps, *of), dy)
        return plain.weight_gradient(dy, x, taps, ctx.of)
