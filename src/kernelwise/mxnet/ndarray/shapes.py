"""The same numbers in other shapes and orders. `NDArray.reshape` is a view; the operators here make copies."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..base import MXNetError
from .calling import operator
from .core import Core, apply, packed, view
from .operators import listed

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
    return view(self, self.data.view(sizes), lambda tensor: tensor.view(sizes))


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


Reshape = reshape


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
    return apply(lambda tensor: packed(tensor.permute(order)), data)


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
    return apply(lambda tensor: packed(tensor.transpose(dim1, dim2)), data)


SwapAxis = swapaxes


@operator
def flip(data: Core, axis: Any) -> NDArray:
    """A copy the other way round along axes."""
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    return apply(lambda tensor: tensor.flip(axes), data)


reverse = flip
