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
from . import dtypes
from .calling import operator
from .core import Core, apply
from .operators import listed

if TYPE_CHECKING:
    from .array import NDArray

OURS = (torch.float32, torch.float64)
LAYOUTS = {1: ("NCW", "NWC"), 2: ("NCHW", "NHWC"), 3: ("NCDHW", "NDHWC")}
PICTURED = {1: "3D in batch-num_filter-x", 2: "4D in batch-num_filter-y-x", 3: "5D in batch-num_filter-depth-y-x"}
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
    taps, filters = _required("Convolution", kernel, num_filter)
    tensors = _inputs("Convolution", data, weight, bias, no_bias)
    last = _channels_last(layout, len(taps))
    of = _geometry(taps, stride, dilate, pad, num_group)
    shape = _first(data.shape) if last else data.shape
    _check(shape, taps, filters, of)
    expected = (filters, shape[1] // num_group, *taps)
    _check_parameters(tensors, _last(expected) if last else expected, filters)
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
    taps, filters = _required("Deconvolution", kernel, num_filter)
    tensors = _inputs("Deconvolution", data, weight, bias, no_bias)
    if _channels_last(layout, len(taps)):
        raise NotImplementedError(
            f"Deconvolution(layout={layout!r}): in PyTorch, x.movedim(-1, 1) and conv_transpose2d"
        )
    of = _geometry(taps, stride, dilate, pad, num_group)
    if data.ndim != len(taps) + 2:
        raise MXNetError(
            f"Check failed: dshape.ndim() == {len(taps) + 2}U ({data.ndim} vs. {len(taps) + 2}) : "
            f"Input data should be {PICTURED[len(taps)]}"
        )
    of = _with_target(of, data.shape[2:], taps, adj, target_shape)
    if data.shape[1] % num_group or filters % num_group:
        raise MXNetError(
            f"Check failed: num_group {num_group} must divide {data.shape[1]} channels and {filters} filters"
        )
    _check_parameters(tensors, (data.shape[1], filters // num_group, *taps), filters)
    precision = _precision
    return apply(lambda x, w, b=None: _transpose(x, w, b, of, precision), *tensors)


# ---------------------------------------------------------------- what is asked


def _required(operator: str, kernel: Any, num_filter: Any) -> tuple[tuple[int, ...], int]:
    if kernel is None:
        raise MXNetError(f"Required parameter kernel of Shape(tuple) is not presented, in operator {operator}")
    if num_filter is None:
        raise MXNetError(
            f"Required parameter num_filter of int (non-negative) is not presented, in operator {operator}"
        )
    taps = (kernel,) if isinstance(kernel, int) else tuple(int(k) for k in kernel)
    if len(taps) not in LAYOUTS:
        raise MXNetError(f"`kernel` must have 1 to 3 axes, in operator {operator} (got {taps})")
    if num_filter < 1:
        raise MXNetError(
            f"value {num_filter} for Parameter num_filter should be greater equal to 1\nnum_filter: Convolution "
            f"filter(channel) number, in operator {operator}"
        )
    return taps, num_filter


def _inputs(operator: str, data: Core, weight: Core | None, bias: Core | None, no_bias: bool) -> list[Core]:
    given = [array for array in (data, weight, bias) if array is not None]
    wanted = 2 if no_bias else 3
    if no_bias and len(given) == 3:
        given = given[:2]
    if len(given) != wanted:
        raise MXNetError(
            f"Check failed: num_inputs == infered_num_inputs ({len(given)} vs. {wanted}) : Operator {operator} expects "
            f"{wanted} inputs, but got {len(given)} instead."
        )
    kind = dtypes.name(data.data.dtype)
    if not data.data.dtype.is_floating_point:
        raise MXNetError(f"This operation only support floating point types, not {kind}")
    for name, array in zip(("weight", "bias"), given[1:], strict=False):
        if array.data.dtype is not data.data.dtype:
            raise MXNetError(
                "Check failed: (*in_type)[i] == dtype : This layer requires uniform type. Expected "
                f"'{kind}' v.s. given '{dtypes.name(array.data.dtype)}' at '{name}'"
            )
    return given


def _channels_last(layout: str | None, spatial: int) -> bool:
    if layout is None:
        return False
    if layout not in LAYOUTS[spatial]:
        raise MXNetError(f"Invalid Input: '{layout}', valid values are: {set(LAYOUTS[spatial])}, for {spatial} axes")
    return layout == LAYOUTS[spatial][1]


def _first(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], shape[-1], *shape[1:-1]) if shape else shape


def _last(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], *shape[2:], shape[1])


def _geometry(taps: tuple[int, ...], stride: Any, dilate: Any, pad: Any, groups: int) -> Geometry:
    """Raises MXNetError for numbers that do not fit the kernel's axes."""
    spatial = len(taps)
    found = []
    for name, given, usual in (("Stride", stride, 1), ("Dilate", dilate, 1), ("Padding", pad, 0)):
        values = (given,) * spatial if isinstance(given, int) else tuple(given or ()) or (usual,) * spatial
        if len(values) != spatial:
            raise MXNetError(
                f"Check failed: {name} must have the same number of dimensions with kernel_size,but kernel_size is set "
                f"to {listed(taps)} while {name.lower()} is {listed(values)}"
            )
        if usual == 1 and min(values) < 1:
            raise MXNetError(f"Check failed: incorrect {name.lower()} size: {listed(values)}")
        found.append(values)
    return Geometry(found[0], found[2], found[2], found[1], groups)


def _check(shape: tuple[int, ...], taps: tuple[int, ...], filters: int, of: Geometry) -> None:
    """Of images of this shape, channels first. Raises MXNetError."""
    axes = len(taps) + 2
    if len(shape) != axes:
        raise MXNetError(
            f"Check failed: dshp.ndim() == {axes}U ({len(shape)} vs. {axes}) : Input data should be "
            f"{PICTURED[len(taps)]}"
        )
    if shape[1] % of.groups:
        raise MXNetError(
            f"Check failed: dshape[1] % param_.num_group == 0U ({shape[1] % of.groups} vs. 0) : input num_filter must "
            f"divide group size: {of.groups} groups of {shape[1]} channels"
        )
    if filters % of.groups:
        raise MXNetError(
            f"Check failed: param_.num_filter % param_.num_group == 0U ({filters % of.groups} vs. 0) : output "
            f"num_filter must divide group size: {of.groups} groups of {filters} filters"
        )
    for k, n, low, gap in zip(taps, shape[2:], of.low, of.dilation, strict=True):
        if gap * (k - 1) + 1 > n + 2 * low:
            raise MXNetError(
                f"Check failed: dilated_ksize <= AddPad(dshape, pad) ({gap * (k - 1) + 1} vs. {n + 2 * low}) : kernel "
                f"size exceed input: a kernel of {_by(taps, of.dilation)} does not fit into images of "
                f"{'x'.join(map(str, shape[2:]))} padded by {'x'.join(map(str, of.low))}"
            )


def _by(taps: tuple[int, ...], dilation: tuple[int, ...]) -> str:
    size = "x".join(map(str, taps))
    return size if max(dilation) == 1 else f"{size} dilated by {'x'.join(map(str, dilation))}"


def _check_parameters(tensors: list[Core], weight: tuple[int, ...], filters: int) -> None:
    for array, expected in zip(tensors[1:], (weight, (filters,)), strict=False):
        if array.shape != expected:
            raise MXNetError(
                f"Shape inconsistent, Provided = {listed(array.shape)}, inferred shape=({','.join(map(str, expected))})"
            )
    if min(weight) < 1:
        raise MXNetError(f"Check failed: incorrect kernel size: {listed(weight[2:])}")


def _with_target(of: Geometry, sizes: Any, taps: Any, adj: Any, target: Any) -> Geometry:
    """The geometry of the convolution that a transposed one goes back."""
    if target and any(target):
        total = [
            step * (n - 1) + gap * (k - 1) + 1 - asked
            for step, n, gap, k, asked in zip(of.stride, sizes, of.dilation, taps, target, strict=True)
        ]
        if min(total) < 0:
            raise MXNetError("Check failed: too big target shape")
        low = tuple((more + 1) // 2 for more in total)
        return of._replace(low=low, high=tuple(more - first for more, first in zip(total, low, strict=True)))
    extra = (0,) * len(taps) if not adj else tuple(adj)
    for more, step in zip(extra, of.stride, strict=True):
        if more >= step:
            raise MXNetError(f"Check failed: adj {listed(extra)} must be smaller than stride {listed(of.stride)}")
    return of._replace(high=tuple(high - more for high, more in zip(of.high, extra, strict=True)))


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


def _by_weight(dy: Tensor, x: Tensor, taps: tuple[int, ...], of: Geometry) -> Tensor:
    geometry = axes(x.shape[2:], taps, of)
    dtype = memory(x).dtype
    found = weight_gradient(memory(dy), memory(x), geometry, of.groups, of.border, dtype, torch.get_num_threads())
    return torch.from_numpy(found.astype(dtype, copy=False))


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
        dw = _by_weight(dy, x, w.shape[2:], ctx.of) if wants[1] else None
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
        dw = _by_weight(x, g, w.shape[2:], ctx.of) if wants[1] else None
        return dx, dw, None, None
