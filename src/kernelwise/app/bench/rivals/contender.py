"""A contender: a function that computes a row, and what of the row it computes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

EVERYTHING = (slice(None), slice(None))


@dataclass(frozen=True)
class Contender:
    """``call()`` computes and returns the ``region`` of the row's result, divided by ``factor``."""

    name: str
    call: Callable[[], np.ndarray]
    region: tuple[slice, slice] = EVERYTHING
    factor: float = 1.0
    fourier: bool = False
    levels: float = 0.0  # by which its results may differ from ours, where that is more than others may
    one_thread: bool = False  # however many are allowed: it need not be timed again with more
    spins: float = 0.0  # s for which its workers keep a core busy after a call


def valid_region(shape: tuple[int, ...], kernel: tuple[int, ...]) -> tuple[slice, slice]:
    """The outputs whose window, centred at k // 2, lies inside an image of this shape."""
    rows, columns = (slice(k // 2, max(k // 2, n - k + k // 2 + 1)) for n, k in zip(shape, kernel, strict=False))
    return rows, columns


def settle(y: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Write floats into ``out``: integers round half to even and saturate. ``y`` is used up."""
    if out.dtype.kind in "iu":
        limits = np.iinfo(out.dtype)
        np.rint(y, out=y)
        np.clip(y, limits.min, limits.max, out=y)
    np.copyto(out, y, casting="unsafe")
    return out
