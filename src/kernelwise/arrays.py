"""What comes in and goes out: arrays looked at once, results rounded and saturated once."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from . import stencils
from .dtypes import IMAGE_KINDS, integer_range
from .errors import ArgumentError, ArgumentTypeError
from .problem import Problem


def is_masked(x: Any) -> bool:
    """Whether x is a masked array; without importing numpy.ma, which takes longer than a first call."""
    masked = sys.modules.get("numpy.ma")
    return masked is not None and isinstance(x, masked.MaskedArray)


def as_image(name: str, x: Any) -> np.ndarray:
    """An ndarray from anything NumPy takes, never copied if it is one already. Masked arrays are refused."""
    if type(x) is np.ndarray:
        return x
    if is_masked(x):
        raise ArgumentTypeError(
            f"`{name}` must be a plain array (got a masked array: fill the masked pixels with NaN and pass nan='omit')"
        )
    try:
        array = np.asarray(x)
    except (ValueError, TypeError) as error:
        raise ArgumentTypeError(f"`{name}` must be an array or something NumPy turns into one ({error})") from None
    if array.dtype.char not in IMAGE_KINDS:
        raise ArgumentTypeError(f"`{name}` must hold numbers (got {type(x).__name__} of {array.dtype})")
    return array


def as_kernel(k: Any) -> np.ndarray:
    """The weights as an ndarray; a string is looked up among the named kernels."""
    if isinstance(k, str):
        return stencils.get(k, argument="k")
    return as_image("k", k)


def check_out(out: Any, problem: Problem) -> None:
    """`out` must be a writable ndarray of exactly the result's shape and dtype."""
    if not isinstance(out, np.ndarray) or is_masked(out):
        raise ArgumentTypeError(f"`out` must be an ndarray (got {type(out).__name__})")
    if out.shape != problem.result_shape:
        raise ArgumentError(f"`out` must have the shape {problem.result_shape} (got {out.shape})")
    if out.dtype.newbyteorder("=") != problem.result:
        raise ArgumentTypeError(f"`out` must hold {problem.result} (got {out.dtype}; `dtype` asks for another)")
    if not out.flags.writeable:
        raise ArgumentError("`out` must be writable (got a read-only array)")
    if out.size > 1 and 0 in (s for s, n in zip(out.strides, out.shape, strict=True) if n > 1):
        raise ArgumentError("`out` must not be a broadcast view (several of its elements share one place in memory)")


def largest_magnitude(x: np.ndarray) -> int:
    """max |x| of an integer array, as a Python int."""
    return max(abs(int(x.min())), abs(int(x.max()))) if x.size else 0


def convert(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Values in the result's dtype: integers by rounding half to even and saturating, NaN to 0; never wrapping."""
    if values.dtype == dtype:
        return values
    with np.errstate(all="ignore"):
        if dtype.kind not in "iu" or values.dtype.kind == "b":
            return values.astype(dtype)
        low, high = integer_range(dtype)
        if values.dtype.kind in "iu":
            have = integer_range(values.dtype)
            return np.clip(values, max(low, have[0]), min(high, have[1])).astype(dtype)
        return _saturate(np.rint(values), dtype, low, high)


def _saturate(values: np.ndarray, dtype: np.dtype, low: int, high: int) -> np.ndarray:
    """Rounded floats to integers; the bounds of wide integers are not floats themselves, so they are set by masks."""
    over, under = values >= float(high), values <= float(low)
    inside = np.where(over | under | np.isnan(values), 0, values).astype(dtype)
    inside[over] = high
    inside[under] = low
    return inside
