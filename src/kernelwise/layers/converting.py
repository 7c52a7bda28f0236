"""Arrays that are converted on their way: some images at a time, where generated code cannot use them as they lie."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .operations import batches, image_bytes

PART_BYTES = 16 << 20  # of images that are converted at a time


def as_dtype(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """In native order and aligned, of this dtype; itself if it is so already."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.require(array, dtype, "A")


def in_parts(x: np.ndarray, out: np.ndarray, sums: np.dtype, compute: Callable[[np.ndarray, np.ndarray], None]) -> None:
    """compute(x, out) where both can be used as they lie; else some images at a time, converted."""
    if np.may_share_memory(x, out):
        apart = np.empty(out.shape, out.dtype.newbyteorder("="))
        in_parts(x, apart, sums, compute)
        out[...] = apart
        return
    reads = x.dtype == sums and x.dtype.isnative and x.flags.aligned
    writes = out.dtype == sums and out.dtype.isnative and out.flags.aligned
    if reads and writes:
        compute(x, out)
        return
    each = image_bytes(x, sums) * (not reads) + image_bytes(out, sums) * (not writes)
    for part in batches(len(x), each, PART_BYTES):
        place = out[part] if writes else np.empty(out[part].shape, sums)
        compute(as_dtype(x[part], sums), place)
        if not writes:
            with np.errstate(over="ignore"):
                out[part] = place


def as_given(out: np.ndarray | None, place: np.ndarray, layout: str) -> np.ndarray:
    """The result as the caller sees it."""
    if out is not None:
        return out
    return np.moveaxis(place, 1, -1) if layout == "channels_last" else place
