"""Arrays repeated, cut, padded and put in another order: copies all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..base import MXNetError
from .calling import operator
from .core import Core, apply, packed, plain
from .operators import listed

if TYPE_CHECKING:
    from .array import NDArray


# ---------------------------------------------------------------- repeated


@operator
def broadcast_to(data: Core, shape: Any) -> NDArray:
    """A copy in which axes of size 1 are repeated; a 0 in ``shape`` keeps an axis."""
    codes = (shape,) if isinstance(shape, int) else tuple(shape)
    lead = len(codes) - data.ndim
    sizes = tuple(code or data.shape[axis - lead] for axis, code in enumerate(codes))
    if lead < 0 or any(n not in (1, size) for n, size in zip(data.shape, sizes[lead:], strict=True)):
        raise MXNetError(f"Check failed: Array cannot be broadcasted from {listed(data.shape)} to {listed(codes)}")
    return apply(lambda tensor: packed(tensor.expand(sizes)), data)


@operator
def broadcast_like(lhs: Core, rhs: Core) -> NDArray:
    """`broadcast_to` the shape of ``rhs``."""
    found: NDArray = broadcast_to(lhs, rhs.shape)
    return found


@operator
def broadcast_axis(data: Core, axis: Any = (), size: Any = ()) -> NDArray:
    """A copy in which the named axes, of size 1, are repeated."""
    axes = (axis,) if isinstance(axis, int) else axis
    sizes = (size,) if isinstance(size, int) else size
    shape = list(data.shape)
    for one, count in zip(axes, sizes, strict=True):
        shape[one] = count
    found: NDArray = broadcast_to(data, tuple(shape))
    return found


broadcast_axes = broadcast_axis


@operator
def tile(data: Core, reps: Any) -> NDArray:
    """The whole array repeated along its axes."""
    counts = (reps,) if isinstance(reps, int) else tuple(reps)
    return apply(lambda tensor: torch.tile(tensor, counts), data)


@operator
def repeat(data: Core, repeats: int, axis: int | None = None) -> NDArray:
    """Every number repeated, or every part along an axis."""
    return apply(lambda tensor: torch.repeat_interleave(tensor, repeats, axis), data)


# ---------------------------------------------------------------- parts


@operator
def slice_axis(data: Core, axis: int, begin: int, end: int | None) -> NDArray:
    """A copy of the places begin to end along an axis."""
    part = slice_of(begin, end)
    at = axis % data.ndim
    return apply(lambda tensor: packed(tensor[(slice_of(None, None),) * at + (part,)]), data)


slice_of = slice


@operator
def slice(data: Core, begin: Any, end: Any, step: Any = ()) -> NDArray:
    """A copy of the places begin to end along every axis named."""
    ones = (begin,) if isinstance(begin, int) else begin
    ends = (end,) if isinstance(end, int) else end
    steps = tuple(step) or (None,) * len(ones)
    parts = tuple(slice_of(*three) for three in zip(ones, ends, steps, strict=True))
    return data[parts].copy()  # type: ignore[index,no-any-return]


crop = slice


@operator
def slice_like(data: Core, shape_like: Core, axes: Any = ()) -> NDArray:
    """The first places of every axis, as many as another array has."""
    named = {axis % data.ndim for axis in axes} if axes else set(range(data.ndim))
    parts = tuple(slice_of(0, shape_like.shape[axis] if axis in named else None) for axis in range(data.ndim))
    return apply(lambda tensor: packed(tensor[parts]), data)


@operator
def diag(data: Core, k: int = 0, axis1: int = 0, axis2: int = 1) -> NDArray:
    """The diagonal ``k`` of a matrix, or a matrix with this diagonal."""
    if data.ndim == 1:
        return apply(lambda tensor: torch.diag(tensor, k), data)
    return apply(lambda tensor: packed(torch.diagonal(tensor, k, axis1, axis2)), data)


@operator
def moveaxis(tensor: Core, source: Any, destination: Any) -> NDArray:
    """A copy with axes at other places."""
    return apply(lambda one: packed(one.movedim(source, destination)), tensor)


@operator
def pad(data: Core, mode: str | None = None, pad_width: Any = (), constant_value: float = 0.0) -> NDArray:
    """Numbers put around: ``pad_width`` has two for every axis; ``mode`` is "constant", "edge" or "reflect"."""
    names = {"constant": "constant", "edge": "replicate", "reflect": "reflect"}
    if mode not in names:
        raise MXNetError(f"Invalid Input: '{mode}', valid values are: {{'constant', 'edge', 'reflect'}}")
    if len(pad_width) != 2 * data.ndim or data.ndim not in (4, 5) or any(pad_width[:4]):
        raise MXNetError("Check failed: pad: arrays of 4 or 5 axes, two widths for each, the first four of them 0")
    widths = [width for axis in reversed(range(2, data.ndim)) for width in pad_width[2 * axis : 2 * axis + 2]]
    value = {"value": constant_value} if mode == "constant" else {}
    return apply(lambda tensor: torch.nn.functional.pad(tensor, widths, names[mode], **value), data)


Pad = pad


@operator
def depth_to_space(data: Core, block_size: int) -> NDArray:
    """(n, b * b * c, h, w) -> (n, c, b * h, b * w)."""
    n, c, h, w = data.shape
    b = block_size
    if c % (b * b):
        raise MXNetError(f"Check failed: the {c} channels must be a multiple of {b * b}")

    def compute(x: Tensor) -> Tensor:
        parts = x.reshape(n, b, b, c // (b * b), h, w).permute(0, 3, 4, 1, 5, 2)
        return packed(parts).reshape(n, c // (b * b), h * b, w * b)

    return apply(compute, data)


@operator
def space_to_depth(data: Core, block_size: int) -> NDArray:
    """(n, c, b * h, b * w) -> (n, b * b * c, h, w)."""
    n, c, h, w = data.shape
    b = block_size
    if h % b or w % b:
        raise MXNetError(f"Check failed: {h} x {w} pixels must be multiples of {b}")

    def compute(x: Tensor) -> Tensor:
        parts = x.reshape(n, c, h // b, b, w // b, b).permute(0, 3, 5, 1, 2, 4)
        return packed(parts).reshape(n, c * b * b, h // b, w // b)

    return apply(compute, data)


def shape_array(data: Core) -> NDArray:
    """The sizes as an array of int64."""
    return plain(torch.tensor(data.shape, dtype=torch.int64), data.ctx)


def size_array(data: Core) -> NDArray:
    """How many numbers there are, as an array of int64."""
    return plain(torch.tensor([data.size], dtype=torch.int64), data.ctx)
