"""The threshold of a gradient mask as generated code compares it, so that the mask is exactly ``magnitude > above``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..algorithms.gradient import TABLE, float_number, threshold_number, whole_squares
from ..algorithms.spec import Spec
from ..errors import ArgumentError, ArgumentTypeError

# Thresholds whose squares, and the squares of all components that matter, stay within float32 and float64.
ORDINARY = {4: (2.0**-40, 2.0**55), 8: (2.0**-390, 2.0**490)}


def check_above(above: Any) -> float | int:
    """A real number, infinity included."""
    if isinstance(above, np.generic):
        above = above.item()
    if isinstance(above, bool) or not isinstance(above, (int, float)):
        raise ArgumentTypeError(f"`above` must be a number (got {above!r})")
    if math.isnan(above):
        raise ArgumentError(f"`above` must be a number (got {above!r})")
    return above


def mask_kind(norm: str, above: float | int, sums: np.dtype) -> str:
    """The `Output.what` of a mask; see algorithms.gradient.Results."""
    if norm == "l1":
        return "mask:l1"
    if sums.kind == "f":
        if above <= 0:  # both norms are 0 at the same places
            return "mask:l1"
        low, high = ORDINARY[sums.itemsize]
        if not low <= above <= high and above != math.inf:
            return "mask:scaled"
    return "mask:l2"


def threshold_table(spec: Spec, above: float | int) -> np.ndarray:
    """The table of a gradient routine."""
    table = np.zeros(TABLE, np.uint8)
    kinds = [o.what for o in spec.outputs if o.what.startswith("mask")]
    for kind in kinds:
        number = threshold_number(spec, kind)
        value: Any
        if kind == "mask:l1":
            value = _above_whole(above, number.dtype) if not number.is_float else _as_float(above, number.dtype)
        elif whole_squares(spec):
            value = _largest_whole_square(above, float_number(spec).dtype)
        else:
            scale = 1.0
            if kind == "mask:scaled":
                scale = 2.0 ** min(1000 if number.bytes == 8 else 120, max(-1000, -math.frexp(above)[1]))
                table[8 : 8 + number.bytes] = np.array([scale], number.dtype).view(np.uint8)
            value = _largest_square(_as_float(above, number.dtype) * number.dtype.type(scale))
        table[: number.bytes] = np.array([value], number.dtype).view(np.uint8)
    return table


def _as_float(above: float | int, dtype: np.dtype) -> Any:
    with np.errstate(over="ignore", under="ignore"):
        return np.array(float(above)).astype(dtype)[()]


def _above_whole(above: float | int, dtype: np.dtype) -> int:
    """The integer t with: v > t exactly where v > above."""
    info = np.iinfo(dtype)
    if math.isinf(above):
        return int(info.max if above > 0 else info.min)
    return max(int(info.min), min(int(info.max), math.floor(above)))


def _largest_square(above: Any) -> Any:
    """The largest float whose root is not above ``above``; below all squares if that is negative."""
    dtype = above.dtype.type
    if above < 0:
        return dtype(-1)
    with np.errstate(all="ignore"):
        square = above * above
        while np.sqrt(square) > above:
            square = np.nextafter(square, dtype(0))
        while np.isfinite(square) and np.sqrt(np.nextafter(square, dtype(np.inf))) <= above:
            square = np.nextafter(square, dtype(np.inf))
    return square


def _largest_whole_square(above: float | int, dtype: np.dtype) -> int:
    """The largest integer, as a float of ``dtype`` and then its root, not above ``above``."""
    limit = _as_float(above, dtype)
    low, high = -1, 2**31 - 1  # of the low one it holds; squares are never below 0
    while low < high:
        middle = (low + high + 1) // 2
        if np.sqrt(dtype.type(middle)) <= limit:
            low = middle
        else:
            high = middle - 1
    return low
