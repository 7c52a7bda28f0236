"""nd.Convolution and nd.Deconvolution: on kernelwise's layers, forward and backward.

Images (n, c, ...) with one to three spatial axes, or channels last where ``layout`` says so; float32 or float64. Other
real dtypes are torch's own. Sums are exact unless `set_precision` says otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as own

from ...layers.arguments import PRECISIONS
from ...layers.input_gradient import input_gradient
from ...layers.operations import correlate
from ...layers.weight_gradient import weight_gradient
from ...problem import one_of
from ...torch.engine import array as memory
from ...torch.engine import axes
from ...torch.geometry import Geometry, inputs, outputs
from ..base import MXNetError
from .calling import operator
from .core import Core, apply
from .windows import (
    PICTURED,
    arrays,
    channels_last,
    channels_last_shape,
    channels_second,
    check_images,
    check_parameters,
    geometry,
    required,
    with_target,
)

if TYPE_CHECKING:
    from .array import NDArray

OURS = (torch.float32, torch.float64)
OWN: dict[int, Any] = {1: own.conv1d, 2: own.conv2d, 3: own.conv3d}
OWN_TRANSPOSED: dict[int, Any] = {1: own.conv_transpose1d, 2: own.conv_transpose2d, 3: own.conv_transpose3d}

_precision = "exact"


def set_precision(name: str) -> None:
    """How convolutions add up from now on: "exact" (the default) or "fast", as in `kernelwise.conv`.

    Raises ArgumentError or ArgumentTypeError.
    """
    global _precision
    one_of("name", name, PRECISIONS)
    _precision = name


# ---------------------------------------------------------------- the operators


@operator
def Convolution(
    data: Core,
    weight: Core | None = None,
    bias: Core | None = None,
    kernel: Any = None,
    stride: Any = (),
    dilate: Any = (),
    pad: Any = (),
    num_filter: int | None = None,
    num_group: int = 1,
    workspace: int = 1024,
    no_bias: bool = False,
    cudnn_tune: str | None = None,
    cudnn_off: bool = False,
    layout: str | None = None,
) -> NDArray:
    """The layer: images (n, c, ...) correlated with weight (num_filter, c / num_group, *kernel), plus bias.

    ``stride``, ``dilate``, ``pad``: a number for each spatial axis; not given, 1, 1 and 0. ``layout``: "NHWC" and its
    like have channels last, of weight (num_filter, *kernel, c / num_group) too.

    Raises MXNetError, which says what does not fit.
    """
    taps, filters = required("Convolution", kernel, num_filter)
    tensors = arrays("Convolution", data, weight, bias, no_bias)
    last = channels_last(layout, len(taps))
    of = geometry(taps, stride, dilate, pad, num_group)
    shape = channels_second(data.shape) if last else data.shape
    check_images(shape, taps, filters, of)
    expected = (filters, shape[1] // num_group, *taps)
    check_parameters(tensors, channels_last_shape(expected) if last else expected, filters)
    precision = _precision

    def compute(x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
        if last:
            x, w = x.movedim(-1, 1), w.movedim(-1, 1)
        y = _convolve(x, w, b, of, precision)
        return y.movedim(1, -1).contiguous() if last else y

    return apply(compute, *tensors)


@operator
def Deconvolution(
    data: Core,
    weight: Core | None = None,
    bias: Core | None = None,
    kernel: Any = None,
    stride: Any = (),
    dilate: Any = (),
    pad: Any = (),
    adj: Any = (),
    target_shape: Any = (),
    num_filter: int | None = None,
    num_group: int = 1,
    workspace: int = 512,
    no_bias: bool = True,
    cudnn_tune: str | None = None,
    cudnn_off: bool = False,
    layout: str | None = None,
) -> NDArray:
    """The transposed layer: images (n, c, ...) under weight (c, num_filter / num_group, *kernel).

    It is the input gradient of `Convolution`. ``adj``: pixels more at the end of every axis; ``target_shape``: the
    result's sizes, from which ``pad`` and ``adj`` follow. Raises MXNetError.
    """
    taps, filters = required("Deconvolution", kernel, num_filter)
    tensors = arrays("Deconvolution", data, weight, bias, no_bias)
    if channels_last(layout, len(taps)):
        raise NotImplementedError(
            f"Deconvolution(layout={layout!r}): in PyTorch, x.movedim(-1, 1) and conv_transpose2d"
        )
    of = geometry(taps, stride, dilate, pad, num_group)
    if data.ndim != len(taps) + 2:
        raise MXNetError(
            f"Check failed: dshape.ndim() == {len(taps) + 2}U ({data.ndim} vs. {len(taps) + 2}) : "
            f"Input data should be {PICTURED[len(taps)]}"
        )
    of = with_target(of, data.shape[2:], taps, adj, target_shape)
    if data.shape[1] % num_group or filters % num_group:
        raise MXNetError(
            f"Check failed: num_group {num_group} must divide {data.shape[1]} channels and {filters} filters"
        )
    check_parameters(tensors, (data.shape[1], filters // num_group, *taps), filters)
    precision = _precision
    return apply(lambda x, w, b=None: _transpose(x, w, b, of, precision), *tensors)


# ---------------------------------------------------------------- what is computed


def _convolve(x: Tensor, w: Tensor, b: Tensor | None, of: Geometry, precision: str) -> Tensor:
    if x.dtype not in OURS:
        y = OWN[x.ndim - 2](x, w, b, of.stride, of.low, of.dilation, of.groups)
    else:
        y = _Convolution.apply(x, w, b, of, precision)
    return y.contiguous()


def _transpose(x: Tensor, w: Tensor, b: Tensor | None, of: Geometry, precision: str) -> Tensor:
    if min(inputs(x.shape[2:], w.shape[2:], of)) < 1:
        raise MXNetError("Check failed: the result would have no pixels: `pad` is larger than the images reach")
    y: Tensor = _Deconvolution.apply(x, w, of, precision) if x.dtype in OURS else _own_transpose(x, w, of)
    return y if b is None else y + b.view(-1, *(1,) * (x.ndim - 2))


def _own_transpose(x: Tensor, w: Tensor, of: Geometry) -> Tensor:
    extra = tuple(low - high for low, high in zip(of.low, of.high, strict=True))
    found: Tensor = OWN_TRANSPOSED[x.ndim - 2](x, w, None, of.stride, of.low, extra, of.groups, of.dilation)
    return found


def _forward(x: Tensor, w: Tensor, b: Tensor | None, of: Geometry, precision: str) -> Tensor:
    out = torch.empty((x.shape[0], w.shape[0], *outputs(x.shape[2:], w.shape[2:], of)), dtype=x.dtype)
    correlate(
        memory(x), memory(w), axes(x.shape[2:], w.shape[2:], of), None if b is None else memory(b), groups=of.groups,
        precision=precision, out=out.numpy(), threads=torch.get_num_threads(),
    )  # fmt: skip
    return out


def _by_input(dy: Tensor, w: Tensor, sizes: tuple[int, ...], of: Geometry, precision: str) -> Tensor:
    out = torch.empty((dy.shape[0], w.shape[1] * of.groups, *sizes), dtype=dy.dtype)
    input_gradient(
        memory(dy), memory(w), axes(sizes, w.shape[2:], of), out.numpy(), groups=of.groups, precision=precision,
        threads=torch.get_num_threads(),
    )  # fmt: skip
    return out


def _by_weight(dy: Tensor, x: Tensor, taps: tuple[int, ...], of: Geometry, precision: str) -> Tensor:
    out = torch.empty((dy.shape[1], x.shape[1] // of.groups, *taps), dtype=x.dtype)
    pixels, threads = memory(x), torch.get_num_threads()
    geometry = axes(x.shape[2:], taps, of)
    weight_gradient(
        memory(dy), pixels, geometry, of.groups, of.border, pixels.dtype, threads, precision=precision, out=out.numpy()
    )
    return out


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, b: Tensor | None, of: Geometry, precision: str) -> Tensor:
        ctx.save_for_backward(x, w)
        ctx.of, ctx.precision = of, precision
        return _forward(x, w, b, of, precision)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Any) -> tuple[Any, ...]:
        x, w = ctx.saved_tensors
        wants = ctx.needs_input_grad
        dx = _by_input(dy, w, x.shape[2:], ctx.of, ctx.precision) if wants[0] else None
        dw = _by_weight(dy, x, w.shape[2:], ctx.of, ctx.precision) if wants[1] else None
        db = dy.sum((0, *range(2, dy.ndim))) if wants[2] else None
        return dx, dw, db, None, None


class _Deconvolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, of: Geometry, precision: str) -> Tensor:
        ctx.save_for_backward(x, w)
        ctx.of, ctx.precision = of, precision
        return _by_input(x, w, inputs(x.shape[2:], w.shape[2:], of), of, precision)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Any) -> tuple[Any, ...]:
        x, w = ctx.saved_tensors
        wants = ctx.needs_input_grad
        dx = _forward(g, w, None, ctx.of, ctx.precision) if wants[0] else None
        dw = _by_weight(x, g, w.shape[2:], ctx.of, ctx.precision) if wants[1] else None
        return dx, dw, None, None
