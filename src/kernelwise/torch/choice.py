"""Which calls are kernelwise's and which torch's own, and why."""

from __future__ import annotations

import sys
from typing import Any

import torch
from torch import Tensor
from torch._C import _functorch as transforms
from torch.autograd import forward_ad

from . import engine
from .geometry import Geometry, inputs, outputs

DTYPES = (torch.float32, torch.float64)
PLAIN = (Tensor, torch.nn.Parameter)


def situation() -> str:
    """Why torch's own functions run wherever we are now; empty where ours may. Not asked while torch compiles."""
    if torch._C._get_tracing_state() is not None:
        return "torch.jit.trace and ONNX know torch's own operators only"
    if transforms.peek_interpreter_stack() is not None:
        return "a transform of torch.func is at work"
    if forward_ad._current_level >= 0:
        return "forward-mode gradients are torch's own"
    return ""


def tensors(axes: int, input: Any, weight: Any, bias: Any) -> str:
    """Why these tensors are for torch's own functions; empty where ours take them."""
    for name, tensor in (("input", input), ("weight", weight), ("bias", bias)):
        if tensor is None and name == "bias":
            continue
        if type(tensor) not in PLAIN and not _fake(tensor):
            return f"`{name}` is a {type(tensor).__name__}, no plain tensor"
        if not tensor.is_cpu:
            return f"`{name}` is on the device {str(tensor.device)!r}, not on the CPU"
        if tensor.layout is not torch.strided:
            return f"`{name}` has the layout {tensor.layout}, not strided"
        if tensor.dtype not in DTYPES:
            return f"`{name}` holds {_name(tensor.dtype)}, not float32 or float64"
        if tensor.dtype is not input.dtype:
            return f"`{name}` holds {_name(tensor.dtype)} and `input` {_name(input.dtype)}: torch refuses that"
    if weight.ndim != axes + 2 or input.ndim not in (axes + 1, axes + 2):
        return f"torch refuses an `input` of {input.ndim} axes and a `weight` of {weight.ndim}"
    return ""


def autocast() -> str:
    """Why autocast asks for torch's own functions; empty where it does not."""
    if torch.is_autocast_enabled("cpu"):
        return f"autocast asks for {_name(torch.get_autocast_dtype('cpu'))}"
    return ""


def sizes(channels: int, weight: Tensor, bias: Tensor | None, groups: Any, made: int) -> str:
    """Why channels and groups are for torch to look at; empty where they fit.

    ``channels``: those that `input` has, ``made``: those of the result.
    """
    if not isinstance(groups, int) or isinstance(groups, bool) or groups < 1:
        return f"torch refuses `groups`={groups!r}"
    if channels < 1 or channels % groups or made < 1 or made % groups or 0 in weight.shape:
        return "torch decides on channels that are no multiple of `groups`, and on sizes of 0"
    if bias is not None and (bias.ndim != 1 or bias.shape[0] != made):
        return f"torch refuses a `bias` of shape {tuple(bias.shape)} for {made} channels"
    return ""


def forward(input: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry | None, groups: int) -> str:
    """Why a convolution of these tensors is torch's own; empty where it is ours."""
    axes = weight.ndim - 2
    channels = input.shape[-axes - 1]
    reason = sizes(channels, weight, bias, groups, weight.shape[0])
    if reason:
        return reason
    if weight.shape[1] * groups != channels:
        return f"torch refuses an `input` of {channels} channels for a `weight` of {weight.shape[1]} * {groups}"
    if geometry is None:
        return "torch decides on `stride`, `padding` or `dilation`"
    spatial = input.shape[-axes:]
    if min(*spatial, *outputs(spatial, weight.shape[2:], geometry)) < 1:
        return "the kernel is larger than the padded image: torch refuses that"
    return engine.lacks("forward", geometry, groups)


def transposed(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    geometry: Geometry | None,
    groups: int,
    extra: tuple[int, ...] | None,
) -> str:
    """Why a transposed convolution of these tensors is torch's own; empty where it is ours."""
    axes = weight.ndim - 2
    channels = input.shape[-axes - 1]
    reason = sizes(channels, weight, bias, groups, weight.shape[1] * groups if isinstance(groups, int) else 0)
    if reason:
        return reason
    if weight.shape[0] != channels:
        return f"torch refuses an `input` of {channels} channels for a `weight` of {weight.shape[0]}"
    if geometry is None or extra is None:
        return "torch decides on `stride`, `padding`, `dilation` or `output_padding`"
    for more, step, gap in zip(extra, geometry.stride, geometry.dilation, strict=True):
        if more >= max(step, gap):
            return "torch refuses an `output_padding` that is neither below `stride` nor below `dilation`"
    spatial = input.shape[-axes:]
    if min(*spatial, *inputs(spatial, weight.shape[2:], geometry, extra)) < 1:
        return "the result is empty: torch decides"
    return engine.lacks("input gradient", geometry, groups)


def _fake(tensor: Any) -> bool:
    """Whether it is a tensor without data that torch traces with."""
    fakes = sys.modules.get("torch._subclasses.fake_tensor")
    return fakes is not None and isinstance(tensor, fakes.FakeTensor)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
