"""What a convolution's arguments ask for, and MXNet's words where they do not fit together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...torch.geometry import Geometry
from ..base import MXNetError
from . import dtypes
from .core import Core
from .operators import listed

if TYPE_CHECKING:
    pass

LAYOUTS = {1: ("NCW", "NWC"), 2: ("NCHW", "NHWC"), 3: ("NCDHW", "NDHWC")}
PICTURED = {1: "3D in batch-num_filter-x", 2: "4D in batch-num_filter-y-x", 3: "5D in batch-num_filter-depth-y-x"}


def required(operator: str, kernel: Any, num_filter: Any) -> tuple[tuple[int, ...], int]:
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


def arrays(operator: str, data: Core, weight: Core | None, bias: Core | None, no_bias: bool) -> list[Core]:
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


def channels_last(layout: str | None, spatial: int) -> bool:
    if layout is None:
        return False
    if layout not in LAYOUTS[spatial]:
        raise MXNetError(f"Invalid Input: '{layout}', valid values are: {set(LAYOUTS[spatial])}, for {spatial} axes")
    return layout == LAYOUTS[spatial][1]


def channels_second(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], shape[-1], *shape[1:-1]) if shape else shape


def channels_last_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], *shape[2:], shape[1])


def geometry(taps: tuple[int, ...], stride: Any, dilate: Any, pad: Any, groups: int) -> Geometry:
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


def check_images(shape: tuple[int, ...], taps: tuple[int, ...], filters: int, of: Geometry) -> None:
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


def check_parameters(tensors: list[Core], weight: tuple[int, ...], filters: int) -> None:
    for array, expected in zip(tensors[1:], (weight, (filters,)), strict=False):
        if array.shape != expected:
            raise MXNetError(
                f"Shape inconsistent, Provided = {listed(array.shape)}, inferred shape=({','.join(map(str, expected))})"
            )
    if min(weight) < 1:
        raise MXNetError(f"Check failed: incorrect kernel size: {listed(weight[2:])}")


def with_target(of: Geometry, sizes: Any, taps: Any, adj: Any, target: Any) -> Geometry:
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
