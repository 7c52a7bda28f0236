"""Sliding windows over real arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import definition


class Window(NamedTuple):
    """A window that slides along an axis."""

    axis: int
    size: int
    start: int  # its first pixel for output 0
    border: str
    cval: float


def means(x: np.ndarray, window: Window, out: np.ndarray) -> None:
    """The means under a window, converted to the dtype of ``out``."""
    if x.size == 0:
        return
    values = definition.uniform1d(x, window.size, window.axis, window.start, window.border, window.cval)
    definition.assign(values, out)
