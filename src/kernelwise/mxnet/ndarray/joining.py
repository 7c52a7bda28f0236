"""Several arrays made one, and one made several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..base import MXNetError
from .calling import operator, several
from .core import Core, apply, packed
from .operators import check_dtypes, check_same, listed
from .parts import slice_axis
from .shapes import squeeze

if TYPE_CHECKING:
    from .array import NDArray


def concat(*data: Any, dim: int = 1, out: Any = None, name: str | None = None, **kwargs: Any) -> Any:
    """One array of several, one behind the other along ``dim``. Raises MXNetError where other axes differ."""
    return _finish(_concatenate(_some(several(_of(data, kwargs)), "Concat", "concated"), dim), out)


Concat = concat


def concatenate(arrays: Any, axis: int = 0, always_copy: bool = True) -> NDArray:
    """`concat` of a list of arrays."""
    if not isinstance(arrays, list) or not arrays:
        raise AssertionError("arrays must be a list of NDArrays with at least one in it")
    return _concatenate(several(tuple(arrays)), axis)


def _concatenate(arrays: list[Core], dim: int) -> NDArray:
    first = arrays[0]
    if not -first.ndim <= dim < first.ndim:
        raise MXNetError(f"Check failed: axis must be in the range [-{first.ndim}, {first.ndim}) (got {dim})")
    along = dim % first.ndim
    expected = tuple(-1 if axis == along else size for axis, size in enumerate(first.shape))
    for place, array in enumerate(arrays):
        check_dtypes(first, array, place)
        fits = len(array.shape) == len(expected)
        if not fits or any(e not in (-1, n) for e, n in zip(expected, array.shape, strict=True)):
            raise MXNetError(
                "Check failed: shape_assign(&(*in_shape)[i], dshape): Incompatible input shape: "
                f"expected {listed(expected)}, got {listed(array.shape)}"
            )
    return apply(lambda *tensors: torch.cat(tensors, along), *arrays)


def stack(*data: Any, axis: int = 0, out: Any = None, name: str | None = None, **kwargs: Any) -> Any:
    """Arrays of one shape along a new axis."""
    arrays = _some(several(_of(data, kwargs)), "stack", "stacked")
    for place, array in enumerate(arrays):
        check_dtypes(arrays[0], array, place)
        if array.shape != arrays[0].shape:
            raise MXNetError(
                "TBlob.get_with_shape: Check failed: this->shape_.Size() == static_cast<size_t>(shape.Size()) "
                f"({array.size} vs. {arrays[0].size}) : new and old shape do not match total elements: nd.stack needs "
                f"equal shapes, and got {listed(arrays[0].shape)} and {listed(array.shape)}"
            )
    return _finish(apply(lambda *tensors: torch.stack(tensors, axis), *arrays), out)


def add_n(*args: Any, out: Any = None, name: str | None = None, **kwargs: Any) -> Any:
    """The sum of arrays of one shape."""
    arrays = _some(several(_of(args, kwargs)), "add_n", "summed")
    for place, array in enumerate(arrays):
        check_same(arrays[0], array, place)

    def total(*tensors: Tensor) -> Tensor:
        found = tensors[0].clone()
        for tensor in tensors[1:]:
            found = found + tensor
        return found

    return _finish(apply(total, *arrays), out)


ElementWiseSum = add_n


def _of(data: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """The arrays of an operator of any number of them, which may be named too."""
    return (*data, *[value for key, value in kwargs.items() if key not in ("num_args", "ctx")])


def _some(arrays: list[Core], operator: str, made: str) -> list[Core]:
    """Raises MXNetError where there is no array."""
    if not arrays:
        raise MXNetError(
            f"value 0 for Parameter num_args should be greater equal to 1\nnum_args: Number of inputs to be {made}., "
            f'in operator {operator}(name="", num_args="0")'
        )
    return arrays


def _finish(result: Any, out: Any) -> Any:
    if out is None:
        return result
    out[:] = result
    return out


@operator
def split(data: Core, num_outputs: int, axis: int = 1, squeeze_axis: bool = False) -> Any:
    """Equal parts along an axis: a list of arrays, or the array itself for one part."""
    size = data.shape[axis]
    if size % num_outputs:
        raise MXNetError(f"Check failed: {num_outputs} parts do not divide the {size} places of axis {axis}")
    each = size // num_outputs
    if squeeze_axis and each != 1:
        raise MXNetError("Check failed: squeeze_axis needs parts of size 1")

    def part(first: int) -> NDArray:
        def take(tensor: Tensor) -> Tensor:
            found = tensor.narrow(axis, first, each)
            return packed(found.squeeze(axis) if squeeze_axis else found)

        return apply(take, data)

    parts = [part(first) for first in range(0, size, each)]
    return parts[0] if num_outputs == 1 else parts


SliceChannel = split


@operator
def split_v2(ary: Core, indices_or_sections: Any, axis: int = 0, squeeze_axis: bool = False) -> Any:
    """Parts along an axis: a number of equal ones, or cut before each of the indices. A list, or the one part."""
    size = ary.shape[axis]
    if isinstance(indices_or_sections, int):
        if size % indices_or_sections:
            raise ValueError("array split does not result in an equal division")
        each = size // indices_or_sections
        cuts = list(range(each, size, each))
    else:
        cuts = list(indices_or_sections)
    ends = list(zip([0, *cuts], [*cuts, size], strict=True))
    parts = [slice_axis(ary, axis=axis, begin=first, end=last) for first, last in ends]
    if squeeze_axis:
        parts = [squeeze(part, axis=axis) for part in parts]
    return parts[0] if len(parts) == 1 else parts
