"""Convolutions with the signatures, the meaning and the errors of torch.nn.functional."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.compiler import is_compiling
from torch.nn import functional as own
from torch.overrides import handle_torch_function

from . import choice, ops
from .geometry import Geometry, geometry, inputs, numbers

OWN: dict[int, Any] = {1: own.conv1d, 2: own.conv2d, 3: own.conv3d}
OWN_TRANSPOSED: dict[int, Any] = {1: own.conv_transpose1d, 2: own.conv_transpose2d, 3: own.conv_transpose3d}


def conv1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """torch.nn.functional.conv1d: (n, c, l) or (c, l) under (o, c / groups, k); see `conv2d`."""
    return _convolve(conv1d, 1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """torch.nn.functional.conv2d: its signature, its meaning, its errors.

    input : (n, c, h, w) or (c, h, w). Any strides; images with channels last give a result with channels last.
    weight : (o, c / groups, kh, kw).
    bias : (o,) or None.
    stride, dilation : a number, or one for each axis.
    padding : likewise, or "valid", or "same" where strides are 1.

    Gradients of any order. What kernelwise does not take (other dtypes than float32 and float64, other devices,
    arguments that are errors) is handed to torch's function of this name; `explain` says what happens and why.

    >>> x = torch.tensor([[[[1.0, 1.0, 0.0, 0.0, 1.0, 1.0]]]])
    >>> conv2d(x, torch.tensor([[[[1.0, -1.0]]]]))
    tensor([[[[ 0.,  1.,  0., -1.,  0.]]]])
    """
    return _convolve(conv2d, 2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """torch.nn.functional.conv3d: (n, c, d, h, w) or (c, d, h, w) under (o, c / groups, kd, kh, kw); see `conv2d`."""
    return _convolve(conv3d, 3, input, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """torch.nn.functional.conv_transpose1d: (n, c, l) or (c, l) under (c, o / groups, k); see `conv_transpose2d`."""
    return _transpose(conv_transpose1d, 1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """torch.nn.functional.conv_transpose2d: its signature, its meaning, its errors.

    input : (n, c, h, w) or (c, h, w).
    weight : (c, o / groups, kh, kw).
    bias : (o,) or None.
    stride, padding, output_padding, dilation : a number, or one for each axis.

    It is the input gradient of `conv2d` with the same arguments, plus the bias. Gradients of any order; `explain` says
    what runs and why.

    >>> x = torch.tensor([[[[1.0, 0.0, 2.0]]]])
    >>> conv_transpose2d(x, torch.tensor([[[[1.0, -1.0]]]]))
    tensor([[[[ 1., -1.,  2., -2.]]]])
    """
    return _transpose(conv_transpose2d, 2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """torch.nn.functional.conv_transpose3d: (n, c, d, h, w) or (c, d, h, w) under (c, o / groups, kd, kh, kw)."""
    return _transpose(conv_transpose3d, 3, input, weight, bias, stride, padding, output_padding, groups, dilation)


def corr2d(X: Tensor, K: Tensor) -> Tensor:
    """The definition: Y[i, j] = sum over a, b of X[i + a, j + b] * K[a, b], where the kernel fits. Differentiable.

    X : (..., H, W), K : (h, w), of one dtype. Returns (..., H - h + 1, W - w + 1). Errors are those of conv2d.

    >>> X = torch.arange(9.0).reshape(3, 3)
    >>> corr2d(X, torch.arange(4.0).reshape(2, 2))
    tensor([[19., 25.],
            [37., 43.]])
    """
    y = conv2d(X.reshape(-1, 1, *X.shape[-2:]), K[None, None])
    return y.reshape(*X.shape[:-2], *y.shape[-2:])


# ---------------------------------------------------------------- ours or torch's own


def judge(
    axes: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: Any
) -> tuple[str, Geometry | None]:
    """Why a convolution is torch's own, empty where it is ours; and its geometry."""
    reason = _surroundings() or choice.tensors(axes, input, weight, bias)
    if reason:
        return reason, None
    found = geometry(axes, stride, padding, dilation, weight.shape[2:])
    return choice.forward(input, weight, bias, found, groups), found


def judge_transposed(
    axes: int,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: Any,
    dilation: Any,
) -> tuple[str, Geometry | None, tuple[int, ...] | None]:
    """Why a transposed convolution is torch's own, empty where it is ours; its geometry and output padding."""
    reason = _surroundings() or choice.tensors(axes, input, weight, bias)
    if reason:
        return reason, None, None
    found = None if isinstance(padding, str) else geometry(axes, stride, padding, dilation, weight.shape[2:])
    extra = numbers(output_padding, axes, 0)
    return choice.transposed(input, weight, bias, found, groups, extra), found, extra


def _surroundings() -> str:
    return choice.autocast() or ("" if is_compiling() else choice.situation())


def _convolve(
    named: Callable[..., Tensor],
    axes: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> Tensor:
    reason, found = judge(axes, input, weight, bias, stride, padding, dilation, groups)
    if found is None or reason:
        return _own(named, OWN[axes], input, weight, bias, stride, padding, dilation, groups)
    if input.ndim == axes + 1:
        return convolve(input.unsqueeze(0), weight, bias, found, groups).squeeze(0)
    return convolve(input, weight, bias, found, groups)


def convolve(x: Tensor, weight: Tensor, bias: Tensor | None, of: Geometry, groups: int) -> Tensor:
    """The convolution of tensors that `judge` has found to be ours, (n, c, ...)."""
    if _traced() or _gradients(x, weight, bias):
        y: Tensor = ops.convolution(x, weight, bias, *of, groups)
        return y
    return ops.forward_now(x, weight, bias, of, groups)


def _transpose(
    named: Callable[..., Tensor],
    axes: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: int,
    dilation: Any,
) -> Tensor:
    reason, found, extra = judge_transposed(
        axes, input, weight, bias, stride, padding, output_padding, groups, dilation
    )
    if found is None or extra is None or reason:
        return _own(named, OWN_TRANSPOSED[axes], input, weight, bias, stride, padding, output_padding, groups, dilation)
    x = input if input.ndim == axes + 2 else input.unsqueeze(0)
    sizes = inputs(x.shape[2:], weight.shape[2:], found, extra)
    if _traced() or _gradients(x, weight, bias):
        y = ops.input_gradient(x, weight, sizes, *found, groups)
        y = y if bias is None else y + bias.reshape(-1, *(1,) * axes)
    else:
        y = ops.input_gradient_now(x, weight, sizes, found, groups)
        y = y if bias is None else y.add_(bias.reshape(-1, *(1,) * axes))
    return y if input.ndim == axes + 2 else y.squeeze(0)


def _traced() -> bool:
    """Whether torch's dispatcher must see the call."""
    return is_compiling() or torch._C._len_torch_dispatch_stack() > 0 or torch._C._len_torch_function_stack() > 0


def _gradients(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    asked = x.requires_grad or weight.requires_grad or (bias is not None and bias.requires_grad)
    return asked and torch.is_grad_enabled()


def _own(named: Callable[..., Tensor], function: Callable[..., Tensor], *arguments: Any) -> Tensor:
    """Torch's function; or, of things that only stand for tensors (torch.fx traces with such), this one again."""
    for thing in arguments[:3]:
        if not isinstance(thing, Tensor) and hasattr(type(thing), "__torch_function__"):
            stands: Tensor = handle_torch_function(named, (thing,), *arguments)
            return stands
    return function(*arguments)
