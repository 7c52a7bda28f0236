"""Images before and after as they are given, made into pairs of one shape: channels, planes, rows, columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import as_image
from ..errors import ArgumentError, ArgumentTypeError
from .windows import Taps


@dataclass(frozen=True)
class Pair:
    """One or several images, with the results of all windows that lie inside them."""

    x: np.ndarray  # (n, c, planes, rows, columns)
    y: np.ndarray  # (n, m, windows down each of the three axes)
    used: np.ndarray | None = None  # (n, windows...): False where a result is not to be used
    weights: np.ndarray | None = None  # (n, windows...)
    offset: tuple[int, int, int] = (0, 0, 0)  # of the first window's result in the array that was given


@dataclass(frozen=True)
class Layout:
    """What the axes of the arrays given stand for."""

    dims: int  # 1 to 3 spatial axes
    channels: bool  # whether an axis of channels precedes them

    def five(self, name: str, given: Any) -> np.ndarray:
        """(n, c, planes, rows, columns); a single image is a stack of one."""
        array = as_image(name, given)
        if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
            raise ArgumentTypeError(f"`{name}` must hold real numbers of up to 64 bits (got {array.dtype})")
        least = self.dims + self.channels
        if array.ndim not in (least, least + 1) or 0 in array.shape:
            raise ArgumentError(
                f"`{name}` must have {least} axes, {self._axes()}, or one more in front for a stack, and not be empty "
                f"(got the shape {array.shape})"
            )
        stacked = array if array.ndim > least else array[np.newaxis]
        with_channels = stacked if self.channels else stacked[:, np.newaxis]
        return with_channels[(slice(None), slice(None), *(np.newaxis,) * (3 - self.dims))]

    def given(self, images: np.ndarray) -> np.ndarray:
        """(n, c, planes, rows, columns) with the axes that there are; one image without an axis for the stack."""
        n, c, *spatial = images.shape
        shape = ((n,) if n > 1 else ()) + ((c,) if self.channels else ()) + tuple(spatial[3 - self.dims :])
        return images.reshape(shape)

    def _axes(self) -> str:
        spatial = ("length",), ("height", "width"), ("depth", "height", "width")
        names = (("channels",) if self.channels else ()) + spatial[self.dims - 1]
        return f"({', '.join(names)})"

    def taps(self, size: tuple[int, ...]) -> Taps:
        return (1,) * (3 - self.dims) + tuple(size)  # type: ignore[return-value]

    def size(self, taps: Taps) -> tuple[int, ...]:
        """Of a kernel, along the axes that there are."""
        return taps[3 - self.dims :]


def pairs(before: Any, after: Any, mask: Any = None, weights: Any = None) -> Iterator[tuple[Any, Any, Any, Any]]:
    """Lists, tuples and iterators of images one pair at a time; anything else is one pair."""
    if not several(before):
        yield before, after, mask, weights
        return
    if not several(after):
        raise ArgumentTypeError(f"`after` must be a list or an iterator, as `before` is (got {type(after).__name__})")
    masks = iter(mask) if several(mask) else None
    heavy = iter(weights) if several(weights) else None
    follow = iter(after)
    for x in before:
        try:
            y = next(follow)
            yield x, y, next(masks) if masks else mask, next(heavy) if heavy else weights
        except StopIteration:
            raise ArgumentError("`after`, `mask` and `weights` must have an entry for each of `before`") from None
    if next(follow, None) is not None:
        raise ArgumentError("`after` must have as many entries as `before` (got more)")


def several(given: Any) -> bool:
    """Whether it is a collection of arrays, not numbers: a list of arrays, or an iterator."""
    if isinstance(given, (list, tuple)):
        return bool(given) and all(isinstance(entry, np.ndarray) or hasattr(entry, "__array__") for entry in given)
    return isinstance(given, Iterable) and not hasattr(given, "__array__") and not isinstance(given, (str, bytes))


def room(layout: Layout, before: Any, after: Any) -> Taps | None:
    """The largest kernel that the shapes allow, (1,)s included; None where both are alike, so that any fits."""
    x, y = layout.five("before", before), layout.five("after", after)
    if x.shape[2:] == y.shape[2:]:
        return None
    taps = tuple(n - k + 1 for n, k in zip(x.shape[2:], y.shape[2:], strict=True))
    if min(taps) < 1:
        raise ArgumentError(
            f"`after` must not be larger than `before`, {x.shape[5 - layout.dims :]} (got {y.shape[5 - layout.dims :]})"
        )
    return taps  # type: ignore[return-value]


def pair(layout: Layout, taps: Taps, before: Any, after: Any, mask: Any = None, weights: Any = None) -> Pair:
    """The outputs of all windows of ``taps`` inside the images. Arrays of one shape are taken as a "same" result, whose
    window lies around taps // 2; else the results are those of all windows of a kernel as large as the shapes say, and
    a smaller one has its middle where that one's is."""
    x, y = layout.five("before", before), layout.five("after", after)
    if len(x) != len(y):
        raise ArgumentError(f"`after` must have as many images as `before`, {len(x)} (got {len(y)})")
    spare = room(layout, before, after)
    at: Any = (...,)
    first: Any = (0, 0, 0)
    if spare is None:
        if any(k > n for k, n in zip(taps, x.shape[2:], strict=True)):
            raise ArgumentError(f"`size` must fit into `before`, {layout.size(x.shape[2:])} (got {layout.size(taps)})")
        first = tuple(k // 2 for k in taps)
        count = tuple(n - k + 1 for n, k in zip(x.shape[2:], taps, strict=True))
        at = (..., *(slice(f, f + c) for f, c in zip(first, count, strict=True)))
    else:
        if any(k > s for k, s in zip(taps, spare, strict=True)):
            raise ArgumentError(
                f"`size` must be at most {layout.size(spare)}, by which `before` is larger than `after` "
                f"(got {layout.size(taps)})"
            )
        lead = [s // 2 - k // 2 for s, k in zip(spare, taps, strict=True)]
        seen: Any = (..., *(slice(f, f + n + k - 1) for f, n, k in zip(lead, y.shape[2:], taps, strict=True)))
        x = x[seen]
    used = None if mask is None else _of_outputs("mask", layout, mask, y)[at]
    heavy = None if weights is None else _of_outputs("weights", layout, weights, y)[at]
    if used is not None and used.dtype.kind != "b":
        raise ArgumentTypeError(f"`mask` must hold booleans, True where a pixel is to be used (got {used.dtype})")
    if heavy is not None and not (heavy.dtype.kind in "biuf" and np.isfinite(heavy).all() and (heavy >= 0).all()):
        raise ArgumentError("`weights` must be finite and not negative (got others)")
    return Pair(x, y[at], used, heavy, first)


def _of_outputs(name: str, layout: Layout, given: Any, y: np.ndarray) -> np.ndarray:
    """(n, planes, rows, columns) of an array with the shape of `after` without its channels."""
    array = Layout(layout.dims, False).five(name, given)[:, 0]
    if array.shape[1:] != y.shape[2:] or len(array) not in (1, len(y)):
        raise ArgumentError(
            f"`{name}` must have the shape of `after`, {layout.size(y.shape[2:])}, without channels "  # type: ignore[arg-type]
            f"(got {layout.size(array.shape[1:])})"  # type: ignore[arg-type]
        )
    return np.broadcast_to(array, (len(y), *array.shape[1:]))
