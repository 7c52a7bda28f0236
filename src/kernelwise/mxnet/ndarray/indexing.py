"""x[key] and x[key] = value.

What is contiguous in memory is a view: writing to it writes to the array it was taken from. Everything else is a copy.
An index of a single number gives shape (1,): no key makes an array without axes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..base import MXNetError
from ..recording import STATE
from . import dtypes
from .core import Core, apply, graph, view, view_of
from .graph import LEAF_WRITTEN, explained

if TYPE_CHECKING:
    from .array import NDArray

PLAIN = {int, slice, type(None), type(Ellipsis)}


# ---------------------------------------------------------------- keys


def basic(key: Any) -> tuple[Any, ...] | None:
    """The key as a tuple of what torch indexes with basically; None where arrays are among it.

    Raises ValueError for what is no key.
    """
    if type(key) is not tuple:
        key = (key,)
    if PLAIN.issuperset(map(type, key)):
        return key
    made: list[Any] = []
    for part in key:
        if isinstance(part, (Core, np.ndarray, list, tuple)):
            return None
        if isinstance(part, (int, np.integer)):
            made.append(int(part))
        elif part is None or part is Ellipsis:
            made.append(part)
        elif isinstance(part, slice):
            made.append(slice(*(end if end is None else int(end) for end in (part.start, part.stop, part.step))))
        else:
            whole = key if len(key) > 1 else key[0]
            raise ValueError(f"NDArray does not support slicing with key {whole} of type {type(whole)}.")
    return tuple(made)


def cut(tensor: Tensor, key: tuple[Any, ...]) -> Tensor:
    """tensor[key], a view of torch's where no step is negative. Raises IndexError in NumPy's words."""
    try:
        return tensor[key]
    except (IndexError, ValueError) as error:
        if any(isinstance(part, slice) and part.step is not None and part.step < 0 for part in key):
            forward, back = turned(tensor.shape, key)
            return torch.flip(tensor[forward], back)
        raise refused(tensor, key, error) from None


def turned(shape: Any, key: tuple[Any, ...]) -> tuple[tuple[Any, ...], list[int]]:
    """A key whose steps all go forward, and the axes of its result to turn round then."""
    wide = spread(key, len(shape))
    forward, back = [], []
    axis = place = 0
    for part in wide:
        if isinstance(part, slice):
            if part.step is not None and part.step < 0:
                taken = range(*part.indices(shape[axis]))
                part = slice(taken[-1], taken[0] + 1, -taken.step) if len(taken) else slice(0, 0)
                back.append(place)
        forward.append(part)
        axis += part is not None
        place += not isinstance(part, int)
    return tuple(forward), back


def spread(key: tuple[Any, ...], ndim: int) -> tuple[Any, ...]:
    """The key with its ellipsis written out, so that it names every axis."""
    missing = ndim - sum(part is not None and part is not Ellipsis for part in key)
    whole = (slice(None),) * missing
    if Ellipsis not in [part for part in key if part is Ellipsis]:
        return (*key, *whole)
    place = next(place for place, part in enumerate(key) if part is Ellipsis)
    return (*key[:place], *whole, *key[place + 1 :])


def refused(tensor: Tensor, key: tuple[Any, ...], error: Exception) -> Exception:
    """Why a basic key does not fit."""
    used = [part for part in key if part is not None and part is not Ellipsis]
    if len(used) > tensor.ndim:
        return IndexError(f"too many indices ({len(used)}) for array with {tensor.ndim} dimensions")
    axis = 0
    for part in spread(key, tensor.ndim):
        if part is None:
            continue
        size = tensor.shape[axis]
        if isinstance(part, int) and not -size <= part < size:
            return IndexError(f"index {part} is out of bounds for axis {axis} with size {size}")
        if isinstance(part, slice) and part.step == 0:
            return ValueError("slice step cannot be zero")
        axis += 1
    return IndexError(str(error))


def shown(key: tuple[Any, ...]) -> str:
    """The key as it was written: 1:2, 5:9."""
    ends = [[("" if end is None else str(end)) for end in (part.start, part.stop, part.step)]
            if isinstance(part, slice) else None for part in key]  # fmt: skip
    texts = ["..." if part is Ellipsis else str(part) if end is None else ":".join(end).removesuffix(":")
             for part, end in zip(key, ends, strict=True)]  # fmt: skip
    return ", ".join(texts)


def check_range(key: tuple[Any, ...], size: int) -> None:
    """A slice alone must not end before it begins. Raises MXNetError."""
    part = key[0]
    if isinstance(part, slice) and (part.step is None or part.step == 1):
        start, stop, _ = part.indices(size)
        if start > stop:
            raise MXNetError(
                f"Check failed: begin <= end ({start} vs. {stop}) : Invalid slicing range [{start}, {stop})"
            )


def check_empty(key: tuple[Any, ...], shape: Any) -> None:
    """Only along the first axis may nothing be taken. Raises MXNetError."""
    axes = [part for part in spread(key, len(shape)) if part is not None]
    for axis, (part, size) in enumerate(zip(axes, shape, strict=True)):
        if axis and isinstance(part, slice) and not range(*part.indices(size)):
            raise MXNetError(f"Check failed: src_idx < dshape_len : x[{shown(key)}] takes nothing of {tuple(shape)}")


# ---------------------------------------------------------------- reading


def getitem(self: Core, key: Any) -> NDArray:
    """self[key]."""
    parts = basic(key)
    if parts is None:
        return gathered(self, key)
    data = self.data
    if len(parts) == 1 and data.ndim:
        check_range(parts, data.shape[0])
    part = cut(data, parts)
    if part.ndim == 0 and data.ndim:
        part = part.view(1)
    elif part.numel() == 0:
        check_empty(parts, data.shape)
    if part.is_contiguous() and part.data_ptr() >= data.data_ptr() and _same_memory(part, data):
        shape = part.shape
        return view(self, part, lambda whole: cut(whole, parts).view(shape))
    return apply(lambda whole: cut(whole, parts).contiguous(), self)


def _same_memory(part: Tensor, whole: Tensor) -> bool:
    return part.untyped_storage().data_ptr() == whole.untyped_storage().data_ptr()


def gathered(self: Core, key: Any) -> NDArray:
    """self[key] for a key with arrays in it: a copy."""
    where = places(self.data, key)
    return apply(lambda whole: whole[where].contiguous(), self)


def places(data: Tensor, key: Any) -> tuple[Any, ...]:
    """A key with arrays in it for torch: indices as int64, clipped to the axis where MXNet's `take` does it."""
    keys = key if isinstance(key, tuple) else (key,)
    made: list[Any] = []
    for part in keys:
        if isinstance(part, Core):
            found = part.data if part.data.dtype is torch.bool else part.data.long()
            made.append(found)
        elif isinstance(part, (np.ndarray, list, tuple)):
            mask = isinstance(part, np.ndarray) and part.dtype == bool
            made.append(torch.from_numpy(np.asarray(part) if mask else np.asarray(part).astype(np.int64)))
        elif isinstance(part, (int, np.integer)):
            made.append(torch.tensor([int(part)]))  # an index like the others, as in NumPy
        else:
            made.append(part)
    return checked(data, made)


def checked(data: Tensor, parts: list[Any]) -> tuple[Any, ...]:
    """Raises IndexError for indices outside of their axes."""
    used = [part for part in parts if part is not None and part is not Ellipsis]
    if len(used) > data.ndim:
        raise IndexError(f"too many indices ({len(used)}) for array with {data.ndim} dimensions")
    axis = 0
    for part in spread(tuple(parts), data.ndim):
        if part is None:
            continue
        if isinstance(part, Tensor) and part.dtype is torch.bool:
            axis += part.ndim
            continue
        size = data.shape[axis]
        if isinstance(part, Tensor) and part.numel():
            low, high = int(part.min()), int(part.max())
            if low < -size or high >= size:
                wrong = low if low < -size else high
                raise IndexError(f"index {wrong} is out of bounds for axis {axis} with size {size}")
        axis += 1
    return tuple(parts)


# ---------------------------------------------------------------- writing


def setitem(self: Core, key: Any, value: Any) -> None:
    """self[key] = value: a number, an array, a list; it broadcasts, and is converted to this array's dtype."""
    parts = basic(key)
    if parts is None:
        parts = places(self.data, key)
    elif len(parts) == 1 and self.data.ndim:
        check_range(parts, self.data.shape[0])
    if STATE.recording and (graph(self).requires_grad or (isinstance(value, Core) and graph(value).requires_grad)):
        _write_recorded(self, parts, value)
        return
    if (
        (type(value) is float or type(value) is int)
        and PLAIN.issuperset(map(type, parts))
        and self.data.is_floating_point()
    ):
        try:
            self.data[parts] = value
            return
        except (IndexError, ValueError):
            pass  # said better below
    _write(self.data, parts, _values(self, value, False))


def _write(tensor: Tensor, parts: tuple[Any, ...], value: Any) -> None:
    """tensor[parts] = value, a number or a tensor of the same dtype."""
    if isinstance(value, (int, float)):
        value = torch.tensor(value if tensor.dtype.is_floating_point else int(value), dtype=tensor.dtype)
    if not PLAIN.issuperset(map(type, parts)):
        tensor[parts] = fitted(value, tensor[parts].shape)
        return
    if None in parts:
        shape = cut(tensor, parts).shape
        parts = tuple(part for part in parts if part is not None)
        value = value.reshape(cut(tensor, parts).shape) if value.numel() == math.prod(shape) else value
    back: list[int] = []
    if any(type(part) is slice and part.step is not None and part.step < 0 for part in parts):
        parts, back = turned(tensor.shape, parts)
    target = cut(tensor, parts)
    values = fitted(value, target.shape)
    target.copy_(values.flip(back) if back else values)


def fitted(value: Tensor, shape: Any) -> Tensor:
    """The values broadcast to the shape. Raises ValueError."""
    if value.shape == shape:
        return value
    short = value
    while short.ndim > len(shape) and short.shape[0] == 1:
        short = short[0]
    try:
        return short.expand(shape)
    except RuntimeError:
        asked = tuple(shape) or (1,)
        raise ValueError(
            "operands could not be broadcast together with remapped shapes[original->remapped]: "
            f"{tuple(value.shape)} and requested shape {asked}"
        ) from None


def _values(self: Core, value: Any, node: bool) -> Any:
    """What is written, in this array's dtype."""
    dtype = self.data.dtype
    if isinstance(value, Core):
        tensor = graph(value) if node else value.data
        return tensor if tensor.dtype is dtype else tensor.to(dtype)
    if isinstance(value, (bool, np.generic)):
        return value.item() if isinstance(value, np.generic) else int(value)
    if value is None or isinstance(value, (int, float)):
        return float("nan") if value is None else value
    try:
        array = np.asarray(value, dtype=dtypes.NUMPY[dtype])
    except (TypeError, ValueError):
        raise TypeError(
            f"{type(self)} does not support assignment with non-array-like object {value} of type {type(value)}"
        ) from None
    return torch.from_numpy(np.ascontiguousarray(array))


def _write_recorded(self: Core, parts: tuple[Any, ...], value: Any) -> None:
    """The same, so that gradients know of it.

    An array that nothing views gets new memory, and what was recorded with the old stays right. Where there are views,
    all of them must see it: torch writes in place, and finds out if what was recorded needs the old numbers.
    """
    root = self if self.root is None else self.root
    if any(array.marked is not None and array.node is not None for array in (self, root)):
        raise MXNetError(LEAF_WRITTEN)
    values = _values(self, value, True)
    try:
        if root is self and not self.viewed:
            made = graph(self).clone()
            _write(made, parts, values)
        else:
            whole = root.data.detach() if root.node is None else root.node
            made = whole if root is self else view_of(whole, self, root)
            _write(made, parts, values)
            if root is not self:
                root.node = whole
                made = view_of(whole, self, root)
    except RuntimeError as error:
        raise explained(error) from error
    self.node = made if made.requires_grad else None
    if root is self:
        self.data = made.detach()


def take_over(self: Core, new: Core) -> Core:
    """self[:] = new, for ``self += other``: while recorded, without writing over numbers that gradients may need."""
    if not STATE.recording or not (graph(self).requires_grad or graph(new).requires_grad):
        self.data.copy_(new.data)
        return self
    if self.marked is not None and self.node is not None:
        raise MXNetError(LEAF_WRITTEN)
    if self.root is None and not self.viewed:
        self.data, self.node = new.data, new.node
    else:
        _write_recorded(self, (slice(None),) if self.data.ndim else (), new)
    return self
