"""The contract's third rule, written once more: which dtype a result has, and how sums become numbers of it."""

from __future__ import annotations

from typing import Any

import numpy as np

BITS_64 = 2**63


def integer_limits(dtype: np.dtype) -> tuple[int, int]:
    if dtype.kind == "b":  # counts as uint8
        return 0, 255
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


def weight_of(k: np.ndarray) -> int:
    return sum(abs(int(w)) for w in k.ravel().tolist())


def result_dtype(x: np.ndarray, k: np.ndarray, fill: Any, dtype: Any = None) -> np.dtype:
    """The dtype that `correlate(x, k)` must give; OverflowError where the exact sums may not fit in 64 bits.

    ``fill`` is 0 where it has no effect.
    """
    image = x.dtype.newbyteorder("=")
    if image.kind in "biu" and k.dtype.kind in "biu":
        natural = _exact(image, x, k, fill)
    else:
        if image.kind in "biu":
            natural = np.dtype(np.float64 if image.itemsize >= 4 else np.float32)
        else:
            natural = image
        if "c" in (image.kind, k.dtype.kind):
            natural = np.result_type(natural, np.complex64) if natural != np.float16 else np.dtype(np.complex64)
    return natural if dtype is None else np.dtype(dtype).newbyteorder("=")


def _exact(image: np.dtype, x: np.ndarray, k: np.ndarray, fill: Any) -> np.dtype:
    weight = weight_of(k)
    low, high = integer_limits(image)
    if image.itemsize < 8:
        bound = weight * max(-low, high, abs(int(fill)))
        if bound < 2**31:
            return np.dtype(np.int32)
        if bound < BITS_64:
            return np.dtype(np.int64)
    largest = max([abs(int(fill)), *(abs(int(v)) for v in x.ravel().tolist())])
    if weight * largest >= BITS_64:
        raise OverflowError
    return np.dtype(np.int64)


def converted(sums: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Sums (int64, Python integers, float64, complex128) in the dtype: rounded half to even, saturated, NaN to 0."""
    with np.errstate(all="ignore"):
        if sums.dtype == object:
            sums = sums.astype(np.int64)  # that they fit is a rule of its own
        if dtype.kind not in "iu":
            return sums.astype(dtype)
        if sums.dtype.kind == "f" and not (np.abs(sums) < 2.0**53).all():
            return _one_by_one(sums, dtype)
        low, high = integer_limits(dtype)
        whole = np.rint(sums).astype(np.int64) if sums.dtype.kind == "f" else sums
        return np.clip(whole, max(low, -BITS_64), min(high, BITS_64 - 1)).astype(dtype)


def _one_by_one(sums: np.ndarray, dtype: np.dtype) -> np.ndarray:
    low, high = integer_limits(dtype)
    values = [0 if np.isnan(v) else low if v <= low else high if v >= high else int(np.rint(v)) for v in sums.ravel()]
    return np.array(values, dtype).reshape(sums.shape)
