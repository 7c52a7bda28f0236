"""Memory that one call leaves to the next: fresh pages of some megabytes take as long as the work that is done in them.

At most MOST_BYTES are kept, in one piece, until `kernelwise.clear_cache`.
"""

from __future__ import annotations

import math

import numpy as np

from .memory import ALIGN, up

LEAST_BYTES, MOST_BYTES = 1 << 20, 64 << 20  # of what is kept
_kept: list[np.ndarray] = []


def take(size: int) -> np.ndarray:
    """At least so many bytes that nobody else uses, beginning at a line of the cache; nothing is written to them."""
    if size >= LEAST_BYTES:
        try:
            memory = _kept.pop()  # any thread may be here: who gets it has it alone
        except IndexError:
            pass
        else:
            if size <= memory.nbytes - ALIGN:
                return _lines(memory)
    return _lines(np.empty(size + ALIGN, np.uint8))


def take_arrays(shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """float64 arrays, each beginning at a line of the cache, of whatever values. `leave` any to give all back."""
    sizes = [up(math.prod(shape) * 8, ALIGN) for shape in shapes]
    rest, found = take(sum(sizes)), []
    for shape, size in zip(shapes, sizes, strict=True):
        found.append(rest[: math.prod(shape) * 8].view(np.float64).reshape(shape))
        rest = rest[size:]
    return found


def leave(taken: np.ndarray) -> None:
    """Give back what `take` gave, or a view of it. It must not be used any more."""
    memory = taken.base
    if isinstance(memory, np.ndarray) and LEAST_BYTES <= memory.nbytes <= MOST_BYTES:
        _kept.append(memory)
        del _kept[:-1]


def _lines(memory: np.ndarray) -> np.ndarray:
    return memory[-memory.ctypes.data % ALIGN :]


def forget() -> None:
    """Keep nothing."""
    _kept.clear()
