"""The same numbers in other shapes and orders. `NDArray.reshape` is a view; the operators here make copies."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..base import MXNetError
from .calling import operator, several
from .core import Core, apply, plain, view
from .operators import check_dtypes, check_same, listed

if TYPE_CHECKING:
    from .array import NDArray


# ---------------------------------------------------------------- reshape and its codes


def target(shape: tuple[int, ...], codes: Any, reverse: bool = False) -> tuple[int, ...]:
    """The shape that the codes ask for.

    0 keeps an axis, -1 is what is left over, -2 keeps all further axes, -3 joins two, -4 a b splits one into a x b.
    ``reverse``: read from the last axis on. Raises MXNetError.
    """
    if reverse:
        return target(shape[::-1], tuple(codes)[::-1])[::-1]
    codes, made, at, inferred = list(codes), [], 0, -1
    place = 0

    def here() -> int:
        if at >= len(shape):
            raise MXNetError(
                f"Check failed: the shape {listed(codes)} names an axis that {listed(shape)} does not have"
            )
        return shape[at]

    while place < len(codes):
        code = codes[place]
        if code > 0:
            made.append(code)
            at += 1
        elif code == 0:
            made.append(here())
            at += 1
        elif code == -1:
            if inferred >= 0:
                raise MXNetError("Check failed: inf_idx < 0 (0 vs. 0) : One and only one dim can be inferred")
            inferred = len(made)
            made.append(1)
            at += 1
        elif code == -2:
            made.extend(shape[at:])
            at = len(shape)
        elif code == -3:
            first = here()
            at += 1
            made.append(first * here())
            at += 1
        elif code == -4:
            if place + 2 >= len(codes):
                raise MXNetError("Check failed: -4 must be followed by two sizes")
            whole, left, right = here(), codes[place + 1], codes[place + 2]
            if left == -1 and right == -1:
                raise MXNetError("Check failed: split dims cannot both be -1.")
            left = whole // right if left == -1 else left
            right = whole // left if right == -1 else right
            if left * right != whole:
                raise MXNetError(f"Check failed: split dims {left}, {right} do not divide original dim {whole}")
            made.extend((left, right))
            at += 1
            place += 2
        else:
            raise MXNetError(f"Check failed: the shape {listed(codes)} has the code {code}, which is none")
        place += 1
    if inferred >= 0:
        rest = math.prod(made)
        made[inferred] = math.prod(shape) // rest if rest else 0
    return tuple(made)


def reshape_method(self: Core, *shape: Any, **kwargs: Any) -> NDArray:
    """A view of another shape: numbers, or one tuple of them; codes as in `target`.

    Raises MXNetError or ValueError where the sizes do not fit.
    """
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = tuple(shape[0])
    elif not shape:
        shape = tuple(kwargs.get("shape", ()))
        if not shape and "shape" not in kwargs:
            raise AssertionError("Shape must be provided.")
    unknown = kwargs.keys() - {"shape", "reverse"}
    if unknown:
        raise TypeError(
            f"Got unknown keywords in reshape: {', '.join(sorted(unknown))}. "
            "Accepted keyword arguments are 'shape' and 'reverse'."
        )
    codes = tuple(_whole(code) for code in shape)
    size = self.data.numel()
    if not codes and size != 1:
        raise ValueError(f"Cannot reshape array of size {size} into shape {codes}")
    sizes = target(self.shape, codes, bool(kwargs.get("reverse", False)))
    asked = math.prod(sizes)
    if asked > size:
        raise MXNetError(
            f"NDArray.Reshape: Check failed: shape_.Size() >= shape.Size() ({size} vs. {asked}) : target shape size is "
            "larger than the current shape"
        )
    if asked < size:
        raise ValueError(f"Cannot reshape array of size {size} into shape {tuple(codes)}")
    return view(self, self.data.view(sizes), lambda tensor: tensor.reshape(sizes))


def _whole(code: Any) -> int:
    if isinstance(code, int):
        return code
    if hasattr(code, "__index__"):
        return int(code.__index__())
    raise TypeError(f"'{type(code).__name__}' object cannot be interpreted as an integer")


@operator
def reshape(data: Core, shape: Any = None, reverse: bool = False) -> NDArray:
    """A copy of another shape; codes as in `target`."""
    sizes = target(data.shape, [_whole(code) for code in shape], reverse)
    if math.prod(sizes) != data.size:
        raise MXNetError(
            f"Check failed: oshape.Size() == dshape.Size() ({math.prod(sizes)} vs. {data.size}) : Target shape size is "
            f"different to source. Target: {listed(sizes)}\nSource: {listed(data.shape)}"
        )
    return apply(lambda tensor: tensor.reshape(sizes).clone(), data)


@operator
def reshape_like(lhs: Core, rhs: Core) -> NDArray:
    """The numbers of ``lhs`` in the shape of ``rhs``."""
    return reshape(lhs, rhs.shape)


@operator
def flatten(data: Core) -> NDArray:
    """(n, everything else)."""
    rest = data.size // data.shape[0] if data.ndim else 1
    return apply(lambda tensor: tensor.reshape(tensor.shape[0] if tensor.ndim else 1, rest).clone(), data)


Flatten = flatten


@operator
def expand_dims(data: Core, axis: int) -> NDArray:
    """With an axis of size 1 put in."""
    if not -data.ndim - 1 <= axis <= data.ndim:
        raise MXNetError(f"Check failed: axis must be in the range [{-data.ndim - 1}, {data.ndim}] (got {axis})")
    return apply(lambda tensor: tensor.unsqueeze(axis).clone(), data)


@operator
def squeeze(data: Core, axis: Any = None) -> NDArray:
    """Without axes of size 1: all of them, or those named."""
    if axis is None:
        sizes = tuple(size for size in data.shape if size != 1) or (1,)
    else:
        named = {one % data.ndim for one in ((axis,) if isinstance(axis, int) else axis)}
        for one in named:
            if data.shape[one] != 1:
                raise MXNetError(f"Check failed: cannot squeeze axis={one} of size {data.shape[one]}: it must be 1")
        sizes = tuple(size for one, size in enumerate(data.shape) if one not in named) or (1,)
    return apply(lambda tensor: tensor.reshape(sizes).clone(), data)


# ---------------------------------------------------------------- orders


@operator
def transpose(data: Core, axes: Any = None) -> NDArray:
    """A copy with the axes in another order; without ``axes`` the other way round."""
    order = tuple(reversed(range(data.ndim))) if axes is None or axes == () else tuple(axes)
    if sorted(order) != list(range(data.ndim)):
        raise MXNetError(f"Check failed: axes {order} are no order of the {data.ndim} axes of {listed(data.shape)}")
    return apply(lambda tensor: _copy(tensor.permute(order)), data)


def transpose_method(self: Core, *axes: Any, **kwargs: Any) -> NDArray:
    """x.transpose((1, 0)), x.transpose(1, 0), x.transpose()."""
    if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (tuple, list))):
        axes = tuple(axes[0] or ())
    found: NDArray = transpose(self, axes=kwargs.get("axes", axes))
    return found


def turned(self: Core) -> NDArray:
    """The transpose, of two axes or any other number: a copy; of fewer axes the array itself."""
    return self if self.ndim < 2 else transpose(self)  # type: ignore[return-value]


@operator
def swapaxes(data: Core, dim1: int = 0, dim2: int = 0) -> NDArray:
    """A copy with two axes exchanged."""
    return apply(lambda tensor: _copy(tensor.transpose(dim1, dim2)), data)


SwapAxis = swapaxes


@operator
def flip(data: Core, axis: Any) -> NDArray:
    """A copy the other way round along axes."""
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    return apply(lambda tensor: tensor.flip(axes), data)


reverse = flip


def _copy(tensor: Tensor) -> Tensor:
    return tensor.clone(memory_format=torch.contiguous_format)


# ---------------------------------------------------------------- several arrays


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
            return _copy(found.squeeze(axis) if squeeze_axis else found)

        return apply(take, data)

    parts = [part(first) for first in range(0, size, each)]
    return parts[0] if num_outputs == 1 else parts


SliceChannel = split


# ---------------------------------------------------------------- repeated


@operator
def broadcast_to(data: Core, shape: Any) -> NDArray:
    """A copy in which axes of size 1 are repeated; a 0 in ``shape`` keeps an axis."""
    codes = (shape,) if isinstance(shape, int) else tuple(shape)
    lead = len(codes) - data.ndim
    sizes = tuple(code or data.shape[axis - lead] for axis, code in enumerate(codes))
    if lead < 0 or any(n not in (1, size) for n, size in zip(data.shape, sizes[lead:], strict=True)):
        raise MXNetError(f"Check failed: Array cannot be broadcasted from {listed(data.shape)} to {listed(codes)}")
    return apply(lambda tensor: _copy(tensor.expand(sizes)), data)


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
    return apply(lambda tensor: _copy(tensor[(slice_of(None, None),) * at + (part,)]), data)


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
    return apply(lambda tensor: _copy(tensor[parts]), data)


@operator
def diag(data: Core, k: int = 0, axis1: int = 0, axis2: int = 1) -> NDArray:
    """The diagonal ``k`` of a matrix, or a matrix with this diagonal."""
    if data.ndim == 1:
        return apply(lambda tensor: torch.diag(tensor, k), data)
    return apply(lambda tensor: _copy(torch.diagonal(tensor, k, axis1, axis2)), data)


@operator
def moveaxis(tensor: Core, source: Any, destination: Any) -> NDArray:
    """A copy with axes at other places."""
    return apply(lambda one: _copy(one.movedim(source, destination)), tensor)


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
        return _copy(parts).reshape(n, c // (b * b), h * b, w * b)

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
        return _copy(parts).reshape(n, c * b * b, h // b, w // b)

    return apply(compute, data)


def shape_array(data: Core) -> NDArray:
    """The sizes as an array of int64."""
    return plain(torch.tensor(data.shape, dtype=torch.int64), data.ctx)


def size_array(data: Core) -> NDArray:
    """How many numbers there are, as an array of int64."""
    return plain(torch.tensor([data.size], dtype=torch.int64), data.ctx)
