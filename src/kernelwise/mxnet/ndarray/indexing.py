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
from .core import Core, apply, graph, is_leaf, view, view_of
from .graph import LEAF_WRITTEN
from .keys import PLAIN, basic, check_empty, check_range, cut, places, turned

if TYPE_CHECKING:
    from .array import NDArray

NUMBERS = (int, float)


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
    if part.is_contiguous() and _same_memory(part, data):
        shape = part.shape
        return view(self, part, lambda whole: cut(whole, parts).view(shape))
    return apply(lambda whole: cut(whole, parts).contiguous(), self)


def _same_memory(part: Tensor, whole: Tensor) -> bool:
    return part.untyped_storage().data_ptr() == whole.untyped_storage().data_ptr()


def gathered(self: Core, key: Any) -> NDArray:
    """self[key] for a key with arrays in it: a copy."""
    where = places(self.data, key)
    return apply(lambda whole: whole[where].contiguous(), self)


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
    alone = self.root is None and self.node is None
    if alone and type(value) in NUMBERS and self.data.is_floating_point() and PLAIN.issuperset(map(type, parts)):
        try:
            self.data[parts] = value
            return
        except (IndexError, ValueError):
            pass  # said better below
    write_plainly(self, parts, _values(self, value, False))


def write_plainly(self: Core, parts: tuple[Any, ...], values: Any) -> None:
    """Into the array's memory, and into what is recorded of it where that lies elsewhere."""
    _write(self.data, parts, values)
    root = self if self.root is None else self.root
    node = root.node
    if node is not None and node.data_ptr() != root.data.data_ptr():
        _write(node.detach() if root is self else view_of(node.detach(), self, root), parts, values)


def _write(tensor: Tensor, parts: tuple[Any, ...], value: Any) -> None:
    """tensor[parts] = value, a number or a tensor of the same dtype."""
    if isinstance(value, (int, float)):
        value = torch.tensor(value if tensor.dtype.is_floating_point else int(value), dtype=tensor.dtype)
    elif _same_memory(value, tensor):
        value = value.clone()  # x[0:2] = x[1:3]
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
    """The same, so that gradients know of it: into a copy of what is recorded, and into the memory that views share."""
    root = self if self.root is None else self.root
    if is_leaf(self) or is_leaf(root):
        raise MXNetError(LEAF_WRITTEN)
    values = _values(self, value, True)
    made = graph(root).clone()
    _write(made if root is self else view_of(made, self, root), parts, values)
    if root.viewed:
        _write(self.data, parts, values.detach() if isinstance(values, Tensor) else values)
    else:
        root.data = made.detach()
    root.node = made if made.requires_grad else None


def take_over(self: Core, new: Core) -> Core:
    """self[:] = new, for ``self += other``: while recorded, without writing over numbers that gradients may need."""
    if not STATE.recording or not (graph(self).requires_grad or graph(new).requires_grad):
        write_plainly(self, (slice(None),) if self.data.ndim else (), new.data)
        return self
    if is_leaf(self):
        raise MXNetError(LEAF_WRITTEN)
    if self.root is None and not self.viewed:
        self.data, self.node = new.data, new.node
    else:
        _write_recorded(self, (slice(None),) if self.data.ndim else (), new)
    return self
