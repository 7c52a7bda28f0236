"""Gaussian filters and their derivatives, with SciPy's arguments."""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..errors import ArgumentError
from .arguments import per_axis, result_array, some_axes
from .correlation import correlate1d
from .steps import Step, run

SMALLEST_SIGMA = 1e-15  # along an axis with a sigma up to here nothing is done


def gaussian_filter1d(
    input: Any,
    sigma: float,
    axis: int = -1,
    order: int = 0,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    truncate: float = 4.0,
    *,
    radius: int | None = None,
) -> np.ndarray:
    """A Gaussian, or its derivative of the given order, along one axis; see `scipy.ndimage.gaussian_filter1d`.

    sigma: in pixels. The kernel reaches ``radius`` pixels to either side, else truncate * sigma, rounded. The other
    arguments are those of `correlate1d`. Raises ArgumentError for a negative order or radius.

    >>> gaussian_filter1d([1.0, 2.0, 3.0, 4.0, 5.0], 1).round(2)
    array([1.43, 2.07, 3.  , 3.93, 4.57])
    """
    return correlate1d(input, weights(sigma, order, truncate, radius), axis, output, mode, cval, 0)


def gaussian_filter(
    input: Any,
    sigma: Any,
    order: Any = 0,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    truncate: float = 4.0,
    *,
    radius: Any = None,
    axes: Any = None,
) -> np.ndarray:
    """A Gaussian, or its derivatives, along several axes; see `scipy.ndimage.gaussian_filter`.

    sigma, order, mode, radius: one for all axes, or one for each. What one axis leaves is converted to the output's
    dtype before the next one.

    >>> gaussian_filter(np.arange(50, step=2).reshape(5, 5), sigma=1)
    array([[ 4,  6,  8,  9, 11],
           [10, 12, 14, 15, 17],
           [20, 22, 24, 25, 27],
           [29, 31, 33, 34, 36],
           [35, 37, 39, 40, 42]])
    """
    x = np.asarray(input)
    out = result_array(output, x)
    where = some_axes(axes, x.ndim)
    steps = steps_along(x, where, sigma, order, mode, truncate, radius)
    return run(x, steps, cval, out)


def steps_along(
    x: np.ndarray, where: Sequence[int], sigma: Any, order: Any, mode: Any, truncate: float = 4.0, radius: Any = None
) -> list[Step]:
    """The Gaussians along the axes whose sigma is not 0."""
    count = len(where)
    orders = per_axis("order", order, count)
    sigmas = per_axis("sigma", sigma, count)
    modes = per_axis("mode", mode, count)
    radii = per_axis("radius", radius, count)
    return [
        Step(axis, weights(s, o, truncate, r), m)
        for axis, s, o, m, r in zip(where, sigmas, orders, modes, radii, strict=True)
        if s > SMALLEST_SIGMA
    ]


def weights(sigma: Any, order: Any, truncate: float, radius: Any) -> np.ndarray:
    """The taps of a Gaussian's derivative, in correlation order."""
    reach = int(truncate * float(sigma) + 0.5)
    if radius is not None:
        reach = radius
    if not isinstance(reach, numbers.Integral) or reach < 0:
        raise ArgumentError(f"`radius` must be an integer of at least 0 (got {reach!r})")
    plain = type(sigma) in (float, int) and type(order) is int and type(reach) is int
    return (_remembered if plain else _sampled)(sigma, order, reach)[::-1]


@lru_cache(maxsize=256, typed=True)
def _remembered(sigma: float, order: int, reach: int) -> np.ndarray:
    taps = _sampled(sigma, order, reach)
    taps.flags.writeable = False
    return taps


def _sampled(sigma: Any, order: Any, reach: int) -> np.ndarray:
    """exp(-x**2 / (2 sigma**2)), normalised, times the polynomial that its derivative brings in front of it."""
    if order < 0:
        raise ArgumentError(f"`order` must be at least 0 (got {order!r})")
    powers = np.arange(order + 1)
    variance = sigma * sigma
    x = np.arange(-reach, reach + 1)
    bell = np.exp(-0.5 / variance * x**2)
    bell = bell / bell.sum()
    if order == 0:
        return bell
    # The derivative of q(x) exp(..) is (q'(x) - q(x) x / sigma**2) exp(..): a matrix on the coefficients of q.
    q = np.zeros(order + 1)
    q[0] = 1
    differentiate = np.diag(powers[1:], 1) + np.diag(np.ones(order) / -variance, -1)
    for _ in range(order):
        q = differentiate.dot(q)
    return (x[:, None] ** powers).dot(q) * bell
