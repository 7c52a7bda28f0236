"""Sums, means, largest and smallest numbers along axes. What is left without axes has shape (1,).

Results keep the dtype: a sum of uint8 wraps, a mean of int32 is cut off.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..base import MXNetError
from . import dtypes
from .calling import operator
from .core import Core, apply
from .graph import constant
from .operators import METHODS, listed

if TYPE_CHECKING:
    from .array import NDArray


def axes_of(data: Tensor, axis: Any, exclude: bool = False) -> tuple[int, ...]:
    """The axes to be reduced. Raises MXNetError."""
    if axis is None or axis == ():
        found = tuple(range(data.ndim))
        return () if exclude and axis is not None else found
    given = (axis,) if isinstance(axis, int) else tuple(axis)
    for one in given:
        if not isinstance(one, int):
            raise MXNetError(f"Invalid Parameter format for axis expect Shape or None but value='{axis}'")
        if one >= data.ndim:
            raise MXNetError(
                "Check failed: axes[axes.ndim()-1] < ishape.ndim() "
                f"({one} vs. {data.ndim}) : Reduction axis {one} Exceeds input dimensions {listed(data.shape)}"
            )
        if one < -data.ndim:
            raise MXNetError(f"Check failed: Reduction axis {one} Exceeds input dimensions {listed(data.shape)}")
    found = tuple(sorted({one % data.ndim for one in given}))
    return tuple(one for one in range(data.ndim) if one not in found) if exclude else found


def shaped(found: Tensor) -> Tensor:
    """With at least one axis."""
    return found if found.ndim else found.view(1)


def _reduce(function: Callable[..., Tensor], data: Core, axis: Any, keepdims: bool, exclude: bool) -> NDArray:
    axes = axes_of(data.data, axis, exclude)
    return apply(lambda tensor: shaped(function(tensor, axes, bool(keepdims))), data)


def _sum(tensor: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    return tensor.sum(axes, keepdim=keepdims, dtype=tensor.dtype) if axes else tensor.clone()


def _mean(tensor: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    if tensor.dtype.is_floating_point:
        return tensor.mean(axes, keepdim=keepdims) if axes else tensor.clone()
    count = 1
    for axis in axes:
        count *= tensor.shape[axis]
    return torch.div(_sum(tensor, axes, keepdims), count, rounding_mode="trunc")


def _prod(tensor: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    for axis in reversed(axes):
        tensor = tensor.prod(axis, keepdim=keepdims, dtype=tensor.dtype)
    return tensor


def _without_nan(function: Callable[..., Tensor], instead: float) -> Callable[..., Tensor]:
    def reduce(tensor: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
        return function(
            torch.where(tensor.isnan(), torch.full((), instead, dtype=tensor.dtype), tensor), axes, keepdims
        )

    return reduce


class _Extreme(torch.autograd.Function):
    """The largest or smallest number; every place that holds it gets the whole gradient."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, axes: tuple[int, ...], keepdims: bool, largest: bool) -> Tensor:
        found = (torch.amax if largest else torch.amin)(tensor, axes, keepdim=True)
        ctx.save_for_backward(tensor, found)
        return found if keepdims else found.reshape([n for axis, n in enumerate(tensor.shape) if axis not in axes])

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Any, ...]:
        tensor, found = ctx.saved_tensors
        return grad.reshape(found.shape) * (tensor == found), None, None, None


def _max(tensor: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    if not axes:
        return tensor.clone()
    found: Tensor = _Extreme.apply(tensor, axes, keepdims, True)
    return found


def _min(tensor: Tensor, axes: tuple[int, ...], keepdims: bool) -> Tensor:
    if not axes:
        return tensor.clone()
    found: Tensor = _Extreme.apply(tensor, axes, keepdims, False)
    return found


@operator
def sum(data: Core, axis: Any = None, keepdims: bool = False, exclude: bool = False) -> NDArray:
    """The sum along axes; ``exclude``: along all others. Raises MXNetError for an axis that is not there."""
    return _reduce(_sum, data, axis, keepdims, exclude)


@operator
def mean(data: Core, axis: Any = None, keepdims: bool = False, exclude: bool = False) -> NDArray:
    """The mean along axes."""
    return _reduce(_mean, data, axis, keepdims, exclude)


@operator
def prod(data: Core, axis: Any = None, keepdims: bool = False, exclude: bool = False) -> NDArray:
    """The product along axes."""
    return _reduce(_prod, data, axis, keepdims, exclude)


@operator
def nansum(data: Core, axis: Any = None, keepdims: bool = False, exclude: bool = False) -> NDArray:
    """The sum along axes of what is a number."""
    return _reduce(_without_nan(_sum, 0), data, axis, keepdims, exclude)


@operator
def nanprod(data: Core, axis: Any = None, keepdims: bool = False, exclude: bool = False) -> NDArray:
    """The product along axes of what is a number."""
    return _reduce(_without_nan(_prod, 1), data, axis, keepdims, exclude)


@operator
def max(data: Core, axis: Any = None, keepdims: bool = False, exclude: bool = False) -> NDArray:
    """The largest along axes; a NaN is larger than everything. The gradient goes to every place that holds it."""
    return _reduce(_max, data, axis, keepdims, exclude)


@operator
def min(data: Core, axis: Any = None, keepdims: bool = False, exclude: bool = False) -> NDArray:
    """The smallest along axes; a NaN is smaller than everything. The gradient goes to every place that holds it."""
    return _reduce(_min, data, axis, keepdims, exclude)


@operator
def norm(data: Core, ord: int = 2, axis: Any = None, out_dtype: Any = None, keepdims: bool = False) -> NDArray:
    """The root of the sum of squares along axes, or with ``ord=1`` the sum of magnitudes."""
    if ord not in (1, 2):
        raise MXNetError(f"Check failed: norm supports only ord = 1 and ord = 2 (got {ord})")

    def measure(tensor: Tensor, axes: tuple[int, ...], keepdim: bool) -> Tensor:
        if not tensor.dtype.is_floating_point:
            return measure(tensor.double(), axes, keepdim).to(tensor.dtype)
        if ord == 1:
            return tensor.abs().sum(axes, keepdim=keepdim)
        return tensor.square().sum(axes, keepdim=keepdim).sqrt()

    return _reduce(measure, data, axis, keepdims, False)


def _place(function: Callable[..., Tensor], data: Core, axis: Any, keepdims: bool) -> NDArray:
    def find(tensor: Tensor) -> Tensor:
        if axis is None:
            found = function(tensor.reshape(-1), 0)
            return found.reshape((1,) * tensor.ndim if keepdims else (1,)).to(torch.float32)
        along = axes_of(tensor, axis)[0]
        return shaped(function(tensor, along, keepdim=bool(keepdims))).to(torch.float32)

    return constant(find, data)


@operator
def argmax(data: Core, axis: Any = None, keepdims: bool = False) -> NDArray:
    """Where the largest number stands along an axis, the first of equals, as float32."""
    return _place(torch.argmax, data, axis, keepdims)


@operator
def argmin(data: Core, axis: Any = None, keepdims: bool = False) -> NDArray:
    """Where the smallest number stands along an axis, the first of equals, as float32."""
    return _place(torch.argmin, data, axis, keepdims)


@operator
def argmax_channel(data: Core) -> NDArray:
    """`argmax` along axis 1."""
    return _place(torch.argmax, data, 1, False)


@operator
def cumsum(a: Core, axis: int | None = None, dtype: Any = None) -> NDArray:
    """Sums of everything up to each place along an axis, or of all numbers in a row."""
    kind = a.data.dtype if dtype is None else dtypes.torch_dtype(dtype)

    def compute(tensor: Tensor) -> Tensor:
        return tensor.reshape(-1).cumsum(0, dtype=kind) if axis is None else tensor.cumsum(axis, dtype=kind)

    return apply(compute, a)


@operator
def moments(data: Core, axes: Any = None, keepdims: bool = False) -> Any:
    """Means and variances along axes: two arrays."""
    average = mean(data, axis=axes, keepdims=True)
    spread = mean(METHODS["power"](METHODS["subtract"](data, average), 2), axis=axes, keepdims=keepdims)
    return [mean(data, axis=axes, keepdims=keepdims), spread]


sum_axis = sum
max_axis = max
min_axis = min
