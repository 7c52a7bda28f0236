"""NumPy slices for the kernel [1, -1], written as one would write them, into a preallocated result."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..cases import Row
from .contender import Contender

MODULE = "numpy"
DISTRIBUTIONS = ("numpy",)


def set_threads(threads: int) -> None:
    """NumPy's elementwise functions use one thread."""


def contenders(row: Row, x: np.ndarray, out: np.ndarray) -> Iterator[Contender]:
    if row.kernel.family == "difference":
        yield Contender("numpy slices", lambda: _difference(x, out), one_thread=True)


def _difference(x: np.ndarray, out: np.ndarray) -> np.ndarray:
    """The pixel to the left minus the pixel itself; left of column 0 stands column 1."""
    parts = ((x[:, :-1], x[:, 1:], out[:, 1:]), (x[:, 1:2], x[:, :1], out[:, :1]))
    for left, right, into in parts:
        if out.dtype == np.uint8:  # max(a, b) - b is a - b that stops at 0
            np.maximum(left, right, out=into)
            np.subtract(into, right, out=into)
        else:
            np.subtract(left, right, out=into, dtype=out.dtype)
    return out
