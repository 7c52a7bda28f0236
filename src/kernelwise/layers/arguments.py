"""What a layer's functions are given, looked at once: arrays, dtypes, layouts, activations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..arrays import as_image, is_masked
from ..errors import ArgumentError, ArgumentTypeError
from ..problem import LARGEST_RESULT, one_of, whole_number

LAYOUTS = ("channels_first", "channels_last")
PRECISIONS = ("fast", "exact")
ACTIVATIONS = {  # what it keeps results between
    None: (-math.inf, math.inf),
    "relu": (0.0, math.inf),
    "relu6": (0.0, 6.0),
}
MOST_GROUPS = 2**24
LETTERS = {1: "w", 2: "h, w", 3: "d, h, w"}  # the spatial axes, as error messages call them


def real_array(name: str, x: Any) -> np.ndarray:
    """An array of real numbers of up to 64 bits."""
    array = as_image(name, x)
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise ArgumentTypeError(f"`{name}` must hold real numbers of up to 64 bits (got {array.dtype})")
    return array


def result_dtype(image: np.dtype) -> np.dtype:
    """A float image's own dtype; float32 for integers of up to 16 bits and bool, float64 for wider ones."""
    if image.kind == "f":
        return np.dtype(image.type)
    return np.dtype(np.float64 if image.kind in "iu" and image.itemsize >= 4 else np.float32)


def sums_dtype(result: np.dtype) -> np.dtype:
    """What is added up in: float32 for float16."""
    return np.dtype(np.float32) if result.itemsize == 2 else result


def limits(activation: Any) -> tuple[float, float]:
    """What an activation keeps results between."""
    if activation is None:
        return ACTIVATIONS[None]
    one_of("activation", activation, [name for name in ACTIVATIONS if name])
    return ACTIVATIONS[activation]


def channels_first(array: np.ndarray, layout: str) -> np.ndarray:
    """A view of (n, c, ...)."""
    return np.moveaxis(array, -1, 1) if layout == "channels_last" and array.ndim > 2 else array


def images(name: str, x: Any, n: int, layout: Any) -> np.ndarray:
    """(n, c, ...) with so many spatial axes, as a view."""
    one_of("layout", layout, LAYOUTS)
    array = real_array(name, x)
    if array.ndim != n + 2:
        spatial = LETTERS[n]
        wanted = f"(n, {spatial}, c)" if layout == "channels_last" else f"(n, c, {spatial})"
        raise ArgumentError(f"`{name}` must have the shape {wanted}, as `w` has {n} spatial axes (got {array.shape})")
    return channels_first(array, layout)


def weights(w: Any) -> np.ndarray:
    """(o, c, ...) with one to three spatial axes and at least one tap."""
    array = real_array("w", w)
    if not 3 <= array.ndim <= 5:
        raise ArgumentError(f"`w` must have the shape (o, c, ...) with one to three spatial axes (got {array.shape})")
    if 0 in array.shape:
        raise ArgumentError(f"`w` must have at least one channel and one tap on every axis (got shape {array.shape})")
    return array


def check_groups(groups: Any, outputs: int, of: str = "output channels in `w`") -> int:
    number = whole_number("groups", groups, 1, MOST_GROUPS)
    if outputs % number:
        raise ArgumentError(f"`groups` must divide the {outputs} {of} (got {groups!r})")
    return number


def check_channels(name: str, array: np.ndarray, channels: int) -> None:
    if array.shape[1] != channels:
        raise ArgumentError(
            f"`{name}` must have {channels} channels, as `w` and `groups` say (got {array.shape[1]} in {array.shape})"
        )


def vector(name: str, values: Any, n: int) -> np.ndarray | None:
    """(n,) or None."""
    if values is None:
        return None
    array = real_array(name, values)
    if array.shape != (n,):
        raise ArgumentError(f"`{name}` must have the shape ({n},) (got {array.shape})")
    return array


def result(out: Any, shape: tuple[int, ...], dtype: np.dtype, layout: str, argument: str) -> np.ndarray:
    """A place for (n, c, ...), made or given, as a view channels first; ``argument`` asked for its size."""
    lying = (shape[0], *shape[2:], shape[1]) if layout == "channels_last" else shape
    if math.prod(shape) * dtype.itemsize > LARGEST_RESULT:
        raise ArgumentError(f"{argument} ask for a result of shape {lying}, which is too large")
    if out is None:
        return channels_first(np.empty(lying, dtype), layout)
    if not isinstance(out, np.ndarray) or is_masked(out):
        raise ArgumentTypeError(f"`out` must be an ndarray (got {type(out).__name__})")
    if out.shape != lying:
        raise ArgumentError(f"`out` must have the shape {lying} (got {out.shape})")
    if out.dtype.newbyteorder("=") != dtype:
        raise ArgumentTypeError(f"`out` must hold {dtype} (got {out.dtype})")
    if not out.flags.writeable:
        raise ArgumentError("`out` must be writable (got a read-only array)")
    if out.size > 1 and 0 in (s for s, n in zip(out.strides, out.shape, strict=True) if n > 1):
        raise ArgumentError("`out` must not be a broadcast view (several of its elements share one place in memory)")
    return channels_first(out, layout)
