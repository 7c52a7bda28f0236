"""Arrays and pitches that begin at a line of the cache."""

from __future__ import annotations

import numpy as np

ALIGN = 64  # bytes of a line, and of the widest vector


def up(value: int, step: int) -> int:
    """The next multiple of ``step``."""
    return -(-value // step) * step


def odd(size: int) -> int:
    """At least so many bytes: an odd number of cache lines, so that neighbours do not share sets of the caches."""
    return (-(-size // ALIGN) | 1) * ALIGN


def aligned(values: np.ndarray) -> np.ndarray:
    """The same values, C-contiguous, beginning at a line of the cache."""
    memory = np.empty(values.nbytes + ALIGN, np.uint8)
    skip = -memory.ctypes.data % ALIGN
    out = memory[skip : skip + values.nbytes].view(values.dtype).reshape(values.shape)
    out[...] = values
    return out
