"""Arguments that several functions on edges share, checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import as_image, is_masked
from ..errors import ArgumentError, ArgumentTypeError
from ..problem import per_axis

MOST_AXES = 3  # of an image


def image_axes(axes: Any, ndim: int, name: str = "x") -> tuple[int, ...]:
    """The axes of an image among those of an array: all of up to three, or those named, ascending."""
    if axes is None:
        if not 1 <= ndim <= MOST_AXES:
            raise ArgumentError(f"`axes` must be given unless `{name}` has 1, 2 or 3 axes (got {ndim})")
        return tuple(range(ndim))
    given = tuple(axes) if isinstance(axes, (tuple, list, np.ndarray)) and np.ndim(axes) == 1 else (axes,)
    if not 1 <= len(given) <= MOST_AXES:
        raise ArgumentError(f"`axes` must name from 1 to {MOST_AXES} axes of `{name}` (got {axes!r})")
    found = tuple(a % ndim for a in per_axis("axes", given, len(given), -ndim, ndim - 1))
    if any(a >= b for a, b in zip(found, found[1:], strict=False)):
        raise ArgumentError(f"`axes` must name different axes of `{name}` in ascending order (got {axes!r})")
    return found


def as_map(name: str, given: Any, shape: tuple[int, ...] | None = None) -> NDArray[np.bool_]:
    """The argument called ``name`` as a boolean map (H, W), True where it is not 0; of a shape, if one is asked for."""
    array = as_image(name, given)
    if array.dtype.kind not in "biu":
        raise ArgumentTypeError(f"`{name}` must be a map of booleans or integers (got {array.dtype})")
    if array.ndim != 2 or (shape is not None and array.shape != shape):
        allowed = "two axes, rows and columns" if shape is None else f"the shape {shape}"
        raise ArgumentError(f"`{name}` must have {allowed} (got {array.shape})")
    return array if array.dtype.kind == "b" else array != 0


def check_result(array: Any, shape: tuple[int, ...], dtype: np.dtype, what: str = "the result") -> None:
    """An array to write into must be a writable ndarray of the result's shape and dtype."""
    if not isinstance(array, np.ndarray) or is_masked(array):
        raise ArgumentTypeError(f"`out` must hold ndarrays (got {type(array).__name__} for {what})")
    if array.shape != shape:
        raise ArgumentError(f"`out` must have the shape {shape} (got {array.shape} for {what})")
    if array.dtype.newbyteorder("=") != dtype:
        raise ArgumentTypeError(f"`out` must hold {dtype} (got {array.dtype} for {what})")
    if not array.flags.writeable:
        raise ArgumentError(f"`out` must be writable (got a read-only array for {what})")
    if array.size > 1 and 0 in (s for s, n in zip(array.strides, array.shape, strict=True) if n > 1):
        raise ArgumentError(f"`out` must not be a broadcast view (got one for {what})")
