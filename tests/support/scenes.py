"""Images of edges that are known exactly: every pixel holds the exact mean of its square."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def half_plane(
    shape: tuple[int, int], angle: float, offset: float, dark: float = 60.0, bright: float = 180.0
) -> NDArray[np.float64]:
    """Bright where (x - cx) cos(angle) + (y - cy) sin(angle) > offset, c the middle of the image."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    distance = (x - (shape[1] - 1) / 2) * math.cos(angle) + (y - (shape[0] - 1) / 2) * math.sin(angle) - offset
    return dark + (bright - dark) * share_of_square(distance, abs(math.cos(angle)), abs(math.sin(angle)))


def share_of_square(distance: NDArray, a: float, b: float) -> NDArray:
    """The share of a unit square that lies in a u + b v > 0 when its middle is at that signed distance; a, b >= 0.

    The density of a u + b v over the square is a trapezoid: a box of width a convolved with one of width b.
    """
    large, small = max(a, b), min(a, b)

    def ramp(t: NDArray) -> NDArray:  # the integral of clip(t / large + 1 / 2, 0, 1) from -infinity to t
        inside = np.clip(t, -large / 2, large / 2)
        return (inside + large / 2) ** 2 / (2 * large) + np.maximum(t - large / 2, 0)

    if small < 1e-9:
        return np.clip(distance / large + 0.5, 0, 1)
    return (ramp(distance + small / 2) - ramp(distance - small / 2)) / small


def disk(
    shape: tuple[int, int], centre: tuple[float, float], radius: float, dark: float = 60.0, bright: float = 180.0
) -> NDArray[np.float64]:
    """A bright disk; along x the share of a pixel is exact, along y it is the mean of 64 lines."""
    lines = (np.arange(64) + 0.5) / 64 - 0.5
    y = np.arange(shape[0])[:, None] + lines - centre[0]
    half = np.sqrt(np.maximum(radius**2 - y**2, 0))[:, None, :]
    x = np.arange(shape[1])[:, None] - centre[1]
    covered = np.minimum(x + 0.5, half) - np.maximum(x - 0.5, -half)
    return dark + (bright - dark) * np.clip(covered, 0, 1).mean(axis=2)


def noisy(image: NDArray, sigma: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """With Gaussian noise, as a camera stores it: whole numbers from 0 to 255."""
    return np.clip(np.rint(image + rng.normal(0, sigma, image.shape)), 0, 255).astype(np.uint8)
