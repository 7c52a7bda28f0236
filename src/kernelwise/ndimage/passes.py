"""What is asked for, one axis at a time."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

Key = tuple[int, bytes, str, float, int, int]
EPSILON = float(np.finfo(np.float64).eps)


class Pass(NamedTuple):
    """A one-dimensional correlation along an axis."""

    axis: int
    weights: np.ndarray  # float64, contiguous
    border: str
    cval: float
    start: int  # the pixel under tap 0 of output 0
    divisor: int = 0  # of the mean of integers under a window; then all weights are 1

    @property
    def fill(self) -> float:
        """What stands outside the image; 0 where a border extends it."""
        return self.cval if self.border == "constant" else 0.0

    @property
    def key(self) -> Key:
        return self.axis, self.weights.tobytes(), self.border, self.cval, self.start, self.divisor


def mirror_of(weights: np.ndarray) -> int:
    """1 for symmetric weights, -1 for antisymmetric ones, else 0; differences up to EPSILON are none."""
    if len(weights) % 2 == 0:
        return 0
    half = len(weights) // 2
    before, behind = weights[:half][::-1], weights[half + 1 :]
    with np.errstate(all="ignore"):
        if not (np.abs(behind - before) > EPSILON).any():
            return 1
        return 0 if (np.abs(behind + before) > EPSILON).any() else -1


def present(weights: np.ndarray) -> np.ndarray:
    """The taps of a kernel of several axes that take part: those larger than EPSILON."""
    with np.errstate(all="ignore"):
        return np.abs(weights) > EPSILON
