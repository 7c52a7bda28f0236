"""Which calls are kernelwise's and which torch's own, and why."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor
from torch._C import _functorch as transforms
from torch.autograd import forward_ad
from torch.compiler import is_compiling

from .geometry import Geometry, inputs, outputs

DTYPES = (torch.float32, torch.float64)
CONVERTED = (torch.float16, *DTYPES)  # what functions take; float16 is done in float32
PLAIN = (Tensor, torch.nn.Parameter)


def situation() -> str:
    """Why torch's own functions run, whatever they are given; empty where ours may."""
    if torch.is_autocast_enabled("cpu"):
        return f"autocast asks for {_name(torch.get_autocast_dtype('cpu'))}"
    if is_compiling():
        return ""
    if torch._C._get_tracing_state() is not None:
        return "torch.jit.trace and ONNX know torch's own operators only"
    if transforms.peek_interpreter_stack() is not None:
        return "a transform of torch.func is at work"
    if forward_ad._current_level >= 0:
        return "forward-mode gradients are torch's own"
    return ""


def tensors(axes: int, input: Any, weight: Any, bias: Any, dtypes: tuple[torch.dtype, ...] = DTYPES) -> str:
    """Why these tensors are for torch's own functions; empty where ours take them. ``dtypes``: those that are taken."""
    for name, tensor in (("input", input), ("weight", weight), ("bias", bias)):
        if tensor is None and name == "bias":
            continue
        if type(tensor) not in PLAIN and not _fake(tensor):
            return f"`{name}` is a {type(tensor).__name__}, no plain tensor"
        if not tensor.is_cpu:
            _check_data(input, weight, bias)
            return f"`{name}` is on the device {str(tensor.device)!r}, not on the CPU"
        if tensor.layout is not torch.strided:
            return f"`{name}` has the layout {tensor.layout}, not strided"
        if tensor.dtype not in dtypes:
            *others, last = map(_name, dtypes)
            return f"`{name}` holds {_name(tensor.dtype)}, not {', '.join(others)} or {last}"
        if tensor.dtype is not input.dtype:
            return f"`{name}` holds {_name(tensor.dtype)} and `input` {_name(input.dtype)}: torch refuses that"
    if weight.ndim != axes + 2 or input.ndim not in (axes + 1, axes + 2):
        return f"torch refuses an `input` of {input.ndim} axes and a `weight` of {weight.ndim}"
    return ""


def forward(input: Any, weight: Any, bias: Any, of: Geometry | None) -> str:
    """Why a convolution of tensors of these shapes is torch's own; empty where it is ours."""
    if of is None:
        return "torch decides on `stride`, `padding`, `dilation` or `groups`"
    axes = len(weight) - 2
    spatial, channels = input[-axes:], input[-axes - 1]
    if weight[1] * of.groups != channels or 0 in weight or weight[0] % of.groups:
        return f"torch refuses `input` of {channels} channels under `weight` of {tuple(weight)}, `groups`={of.groups}"
    if bias is not None and bias != weight[:1]:
        return f"torch refuses a `bias` of shape {tuple(bias)} for {weight[0]} channels"
    if min(*spatial, *outputs(spatial, weight[2:], of)) < 1:
        return "torch refuses a kernel larger than the padded image, or decides on an image without pixels"
    if of.border != "constant" and not _within(of, spatial):
        return "torch decides on padding beyond the image's own size"
    return ""


def _check_data(input: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    """Of tensors with data and tensors without torch makes a result that nothing was written to."""
    for name, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None and tensor.is_meta is not input.is_meta:
            raise RuntimeError(f"`{name}` must be on the device of `input`, {input.device} (got {tensor.device})")


def _within(of: Geometry, spatial: Any) -> bool:
    """Whether torch pads so far: by reflection less than the image's size, around the circle no more."""
    spare = 1 if of.border == "reflect" else 0
    far = zip(spatial, of.low, of.high, strict=True)
    return of.border == "edge" or all(max(low, high) <= n - spare for n, low, high in far)


def transposed(
    input: Tensor, weight: Tensor, bias: Tensor | None, of: Geometry | None, extra: tuple[int, ...] | None
) -> str:
    """Why a transposed convolution of these tensors is torch's own; empty where it is ours."""
    if of is None or extra is None:
        return "torch decides on `stride`, `padding`, `dilation`, `groups` or `output_padding`"
    axes = weight.ndim - 2
    spatial, channels = input.shape[-axes:], input.shape[-axes - 1]
    if weight.shape[0] != channels or 0 in weight.shape or channels % of.groups:
        return f"torch refuses `input` of {channels} channels under `weight` of {_shape(weight)}, `groups`={of.groups}"
    if bias is not None and (bias.ndim != 1 or bias.shape[0] != weight.shape[1] * of.groups):
        return f"torch refuses a `bias` of shape {_shape(bias)} for {weight.shape[1] * of.groups} channels"
    for more, step, gap in zip(extra, of.stride, of.dilation, strict=True):
        if more >= max(step, gap):
            return "torch refuses an `output_padding` that is neither below `stride` nor below `dilation`"
    if min(*spatial, *inputs(spatial, weight.shape[2:], of)) < 1:
        return "torch decides on an image or a result without pixels"
    return ""


def _fake(tensor: Any) -> bool:
    """Whether it is a tensor without data that torch traces with."""
    fakes = sys.modules.get("torch._subclasses.fake_tensor")
    return fakes is not None and isinstance(tensor, fakes.FakeTensor)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)
