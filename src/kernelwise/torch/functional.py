"""Convolutions with the signatures, the meaning and the errors of torch.nn.functional."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.compiler import is_compiling
from torch.nn import functional as own
from torch.overrides import handle_torch_function

from . import choice, gradients
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

    Gradients of any order. Tensors of float16 are done in float32, some images at a time, and rounded once. What
    kernelwise does not take (other dtypes, other devices, arguments that are errors) is handed to torch's function of
    this name; `explain` says what happens and why.

    >>> import torch
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

    >>> import torch
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

    >>> import torch
    >>> X = torch.arange(9.0).reshape(3, 3)
    >>> corr2d(X, torch.arange(4.0).reshape(2, 2))
    tensor([[19., 25.],
            [37., 43.]])
    """
    y = conv2d(X.reshape(-1, 1, *X.shape[-2:]), K[None, None])
    return y.reshape(*X.shape[:-2], *y.shape[-2:])


# ---------------------------------------------------------------- ours or torch's own


def judge(
    axes: int,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    mode: str = "zeros",
) -> tuple[str, Geometry | None]:
    """Why a convolution is torch's own, empty where it is ours; and its geometry. ``mode``: a layer's padding_mode."""
    reason = choice.situation() or choice.tensors(axes, input, weight, bias, choice.CONVERTED)
    if reason:
        return reason, None
    look = _judged if is_compiling() or _fresh(stride, padding, dilation, groups) else _known_judged
    shapes = input.shape, weight.shape, None if bias is None else bias.shape
    return look(axes, *shapes, stride, padding, dilation, groups, mode)


def _judged(
    axes: int,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    mode: str,
) -> tuple[str, Geometry | None]:
    """The same from shapes."""
    of = geometry(axes, stride, padding, dilation, groups, weight[2:], mode)
    return choice.forward(input, weight, bias, of), of


_known_judged = lru_cache(maxsize=1024)(_judged)


def _fresh(*options: Any) -> bool:
    """Whether some option may be equal to one known before, and yet be another: True is equal to 1, and so is 1.0."""
    for option in options:
        if type(option) is tuple:
            for number in option:
                if type(number) is not int:
                    return True
        elif type(option) is not int and type(option) is not str:
            return True
    return False


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
) -> tuple[str, Geometry | None]:
    """Why a transposed convolution is torch's own, empty where it is ours; and the geometry that it goes back."""
    reason = choice.situation() or choice.tensors(axes, input, weight, bias, choice.CONVERTED)
    if reason:
        return reason, None
    sides = None if isinstance(padding, str) else padding
    of = geometry(axes, stride, sides, dilation, groups, weight.shape[2:])
    extra = numbers(output_padding, axes, 0)
    if of is not None and extra is not None:
        of = of._replace(high=tuple(high - more for high, more in zip(of.high, extra, strict=True)))
    return choice.transposed(input, weight, bias, of, extra), of


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
    reason, of = judge(axes, input, weight, bias, stride, padding, dilation, groups)
    if of is None or reason:
        return _own(named, OWN[axes], input, weight, bias, stride, padding, dilation, groups)
    return _batched(axes, input, weight, bias, of)


def convolve_bordered(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    mode: str,
    sides: list[int],
) -> Tensor:
    """The convolution of a layer whose padding_mode is ``mode``, where torch pads by ``sides`` first."""
    axes = weight.ndim - 2
    reason, of = judge(axes, input, weight, bias, stride, padding, dilation, groups, mode)
    if of is None or reason:
        return NAMED[axes](own.pad(input, sides, mode=mode), weight, bias, stride, 0, dilation, groups)
    return _batched(axes, input, weight, bias, of)


def _batched(axes: int, input: Tensor, weight: Tensor, bias: Tensor | None, of: Geometry) -> Tensor:
    if input.ndim == axes + 1:
        return gradients.convolution(input.unsqueeze(0), weight, bias, of).squeeze(0)
    return gradients.convolution(input, weight, bias, of)


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
    reason, of = judge_transposed(axes, input, weight, bias, stride, padding, output_padding, groups, dilation)
    if of is None or reason:
        theirs = OWN_TRANSPOSED[axes]
        return _own(named, theirs, input, weight, bias, stride, padding, output_padding, groups, dilation)
    x = input if input.ndim == axes + 2 else input.unsqueeze(0)
    sizes = inputs(x.shape[2:], weight.shape[2:], of)
    if bias is None:
        y = gradients.input_gradient(x, weight, sizes, of)
    else:  # added before float16 is rounded to
        wide = torch.float32 if x.dtype is torch.float16 else x.dtype
        y = gradients.input_gradient(x.to(wide), weight.to(wide), sizes, of)
        y = (y + bias.to(wide).reshape(-1, *(1,) * axes)).to(x.dtype)
    return y if input.ndim == axes + 2 else y.squeeze(0)


def _own(named: Callable[..., Tensor], function: Callable[..., Tensor], *arguments: Any) -> Tensor:
    """Torch's function; or, of things that only stand for tensors (torch.fx traces with such), this one again."""
    for thing in arguments[:3]:
        if not isinstance(thing, Tensor) and hasattr(type(thing), "__torch_function__"):
            stands: Tensor = handle_torch_function(named, (thing,), *arguments)
            return stands
    return function(*arguments)


NAMED: dict[int, Any] = {1: conv1d, 2: conv2d, 3: conv3d}
NAMED_TRANSPOSED: dict[int, Any] = {1: conv_transpose1d, 2: conv_transpose2d, 3: conv_transpose3d}
