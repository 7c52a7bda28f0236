"""The rules for dtypes: what an image may hold, what sums are kept in, what the result holds."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import ArgumentTypeError, RangeError

IMAGE_KINDS = "?bBhHiIlLqQefdFD"  # bool, 8- to 64-bit integers, float16/32/64, complex64/128
RESULT_KINDS = IMAGE_KINDS[1:]


def integer_range(dtype: np.dtype) -> tuple[int, int]:
    if dtype.kind == "b":
        return 0, 1
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def result_dtype(dtype: Any) -> np.dtype:
    """The dtype asked for, checked."""
    try:
        asked = np.dtype(dtype)
    except TypeError:
        raise ArgumentTypeError(f"`dtype` must be a NumPy dtype (got {dtype!r})") from None
    if asked.char not in RESULT_KINDS:
        raise ArgumentTypeError(f"`dtype` must be an integer, real or complex dtype of up to 128 bits (got {dtype!r})")
    return np.dtype(asked.type)


def choose_types(
    image: np.dtype, kernel: np.ndarray, dtype: Any, fill: complex, largest: int | None
) -> tuple[np.dtype, np.dtype]:
    """(what sums are kept in, what the result holds), by the contract's rule 3."""
    asked = None if dtype is None else result_dtype(dtype)
    if image.kind in "biu" and kernel.dtype.kind in "biu":
        sums, result = _exact_types(image, kernel, fill, largest)
        return sums, asked or result
    wide = image.kind in "iu" and image.itemsize >= 4
    real = np.dtype(np.float64 if wide else np.float32) if image.kind in "biu" else _real_part(image)
    sums = np.dtype(np.float32) if real.itemsize == 2 else real
    is_complex = "c" in (image.kind, kernel.dtype.kind)
    if is_complex:
        real = np.dtype(np.complex128 if sums.itemsize == 8 else np.complex64)
    if asked is None:
        return sums, real
    if is_complex and asked.kind != "c":
        raise ArgumentTypeError(f"`dtype` must be complex, for the result is (got {dtype!r})")
    if asked.kind in "fc" and _real_part(asked).itemsize > sums.itemsize:
        sums = _real_part(asked)
    return sums, asked


def _real_part(dtype: np.dtype) -> np.dtype:
    return np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else np.dtype(dtype.type)


def _exact_types(image: np.dtype, kernel: np.ndarray, fill: complex, largest: int | None) -> tuple[np.dtype, np.dtype]:
    weight = sum(abs(int(k)) for k in kernel.ravel()) if kernel.size < 4096 else int(_exact_sum(kernel))
    low, high = integer_range(np.dtype(np.uint8) if image.kind == "b" else image)
    peak = max(-low, high, abs(int(fill.real)))
    bound = weight * peak
    if bound >= 2**63 and largest is not None:
        bound = weight * max(largest, abs(int(fill.real)))
        if bound >= 2**63:
            raise RangeError(f"`x` reaches {largest} and the kernel {weight}: their exact sum may not fit in 64 bits")
    if bound >= 2**63:
        raise NeedsLargest
    result = np.dtype(np.int32 if bound < 2**31 and image.itemsize < 8 else np.int64)
    needed = 2 if bound < 2**15 else 4 if bound < 2**31 else 8
    return np.dtype(f"i{max(needed, image.itemsize)}"), result


def _exact_sum(kernel: np.ndarray) -> int:
    magnitude = np.abs(kernel.astype(object)) if kernel.dtype.itemsize == 8 else np.abs(kernel.astype(np.int64))
    return int(magnitude.sum())


class NeedsLargest(Exception):
    """The dtype alone does not bound the sums: ask again with ``largest``."""
