"""What stands in the brackets of x[key]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..base import MXNetError
from .core import Core

if TYPE_CHECKING:
    pass

PLAIN = {int, slice, type(None), type(Ellipsis)}


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
