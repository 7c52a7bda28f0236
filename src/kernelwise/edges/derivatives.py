"""Derivatives of an image smoothed by a Gaussian: the taps, and one band of rows at a time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..correlation import correlate
from ..stencils.checks import constant

TRUNCATE = 4.5  # standard deviations that the taps reach; what lies beyond would change a position by 1e-4 pixels

Derivatives = dict[tuple[int, int], NDArray[np.floating]]  # (order along y, order along x): one band of the image


def reach(sigma: float) -> int:
    """How many pixels the taps reach to either side."""
    return math.ceil(TRUNCATE * sigma)


@lru_cache(maxsize=256)
def taps(sigma: float, order: int) -> NDArray[np.float64]:
    """The ``order``-th derivative of a Gaussian as weights for cross-correlation, exact on polynomials.

    Returns float64 of 2 * reach(sigma) + 1 weights w with sum w x**j = order! where j = order and 0 for every j
    below, so that a brightness added to the image, or a ramp, cannot shift anything. Sampled derivatives of the
    Gaussian have this property but for the cut tails and the sampling; here the polynomial beside the Gaussian is the
    discrete one.

    >>> taps(1.0, 2).sum().round(12), (taps(1.0, 2) * np.arange(-5, 6.0) ** 2).sum().round(12)
    (np.float64(0.0), np.float64(2.0))
    """
    z = np.arange(-reach(sigma), reach(sigma) + 1.0) / sigma
    gauss = np.exp(-0.5 * z * z)
    powers = np.vander(z, order + 1, increasing=True)
    moments = np.zeros(order + 1)
    moments[order] = math.factorial(order) / sigma**order
    weights = gauss * (powers @ np.linalg.solve(powers.T @ (gauss[:, None] * powers), moments))
    mirrored = weights[::-1] if order % 2 == 0 else -weights[::-1]
    return constant((weights + mirrored) / 2, np.float64)


@lru_cache(maxsize=64)
def kernels(sigma: float, most: int) -> Mapping[tuple[int, int], NDArray[np.float64]]:
    """The kernels of all derivatives of the orders 1 to ``most``, by (order along y, order along x)."""
    orders = [(i, total - i) for total in range(1, most + 1) for i in range(total + 1)]
    return {(i, j): constant(np.outer(taps(sigma, i), taps(sigma, j)), np.float64) for i, j in orders}


def band(x: NDArray, start: int, stop: int, sigma: float, most: int, border: str, threads: int | None) -> Derivatives:
    """All derivatives up to the order ``most`` of the rows start .. stop - 1: those of the whole image, exactly.

    x: (H, W), real. Returns arrays (stop - start, W), float32 or float64 as the operator's rule has it for x.
    """
    halo = reach(sigma)
    top, bottom = max(0, start - halo), min(len(x), stop + halo)
    rows = x[top:bottom]
    return {
        orders: correlate(rows, kernel, border=border, threads=threads)[start - top : stop - top]
        for orders, kernel in kernels(sigma, most).items()
    }
