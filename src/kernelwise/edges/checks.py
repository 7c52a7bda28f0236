"""Arguments of the functions on edge maps, checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import as_image
from ..errors import ArgumentError, ArgumentTypeError


def as_map(name: str, given: Any, shape: tuple[int, ...] | None = None) -> NDArray[np.bool_]:
    """The argument called ``name`` as a boolean map (H, W), True where it is not 0; of a shape, if one is asked for."""
    array = as_image(name, given)
    if array.dtype.kind not in "biu":
        raise ArgumentTypeError(f"`{name}` must be a map of booleans or integers (got {array.dtype})")
    if array.ndim != 2 or (shape is not None and array.shape != shape):
        allowed = "two axes, rows and columns" if shape is None else f"the shape {shape}"
        raise ArgumentError(f"`{name}` must have {allowed} (got {array.shape})")
    return array if array.dtype.kind == "b" else array != 0
