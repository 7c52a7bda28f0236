"""Gradients by their definition, in float64 and apart from the library: one correlation for each component."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from . import oracle

FARID = (
    [0.037659, 0.249153, 0.426375, 0.249153, 0.037659],
    [-0.109604, -0.276691, 0.0, 0.276691, 0.109604],
)
WEIGHTS: dict[str, tuple[list, list]] = {  # (smoothing, difference)
    "sobel": ([1, 2, 1], [-1, 0, 1]),
    "scharr": ([3, 10, 3], [-1, 0, 1]),
    "prewitt": ([1, 1, 1], [-1, 0, 1]),
    "roberts": ([1, 1], [-1, 1]),
    "central": ([0, 1, 0], [-0.5, 0, 0.5]),
    "farid": FARID,
}
WHOLE = ("sobel", "scharr", "prewitt", "roberts")
OPERATORS = (*WEIGHTS, "gaussian")
NAMES = ("gz", "gy", "gx")


def weights(operator: str, sigma: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """(smoothing, difference) along one axis."""
    if operator != "gaussian":
        smooth, difference = WEIGHTS[operator]
        return np.array(smooth), np.array(difference)
    sigma = 1.0 if sigma is None else sigma
    reach = int(4 * sigma + 0.5)
    x = np.arange(-reach, reach + 1.0)
    bell = np.exp(-(x**2) / (2 * sigma**2))
    bell /= bell.sum()
    return bell, x / sigma**2 * bell


def kernels(operator: str, axes: int, sigma: float | None = None) -> list[np.ndarray]:
    """The kernel of every component, in the order of the axes."""
    smooth, difference = weights(operator, sigma)
    return [reduce(np.multiply.outer, [difference if a == k else smooth for a in range(axes)]) for k in range(axes)]


def components(x: np.ndarray, operator: str, axes: tuple[int, ...], sigma: float | None = None, **border: Any) -> dict:
    """float64 arrays by their names."""
    found = [
        oracle.correlate(x.astype(np.float64), k, axes=axes, **border) for k in kernels(operator, len(axes), sigma)
    ]
    return dict(zip(NAMES[-len(axes) :], found, strict=True))


def bounds(
    x: np.ndarray, operator: str, axes: tuple[int, ...], sigma: float | None = None, **border: Any
) -> np.ndarray:
    """sum |k| |x| of all components together: what rounding errors are measured by."""
    total = sum(np.abs(k) for k in kernels(operator, len(axes), sigma))
    border = {**border, "fill": abs(border.get("fill", 0))}
    return oracle.correlate(np.abs(x.astype(np.float64)), np.asarray(total, float), axes=axes, **border)
