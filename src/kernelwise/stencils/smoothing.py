"""Kernels that smooth, by parameters: float64, every one with the sum 1 (but for derivatives of the Gaussian)."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ..errors import ArgumentError, ArgumentTypeError
from . import checks

if TYPE_CHECKING:
    from numpy.typing import NDArray

Floats: TypeAlias = "NDArray[np.float64]"
TRUNCATE = 4.0  # standard deviations; SciPy's default
MOST_DERIVATIVES = 32  # the order beyond which a sampled Gaussian means nothing


def delta(size: int | Sequence[int] = 1, *, ndim: int = 2) -> NDArray[np.int64]:
    """The unit impulse: 1 in the middle, 0 elsewhere; correlating with it gives the image back.

    `size` is odd, one for all `ndim` axes or one for each. Returns int64 of that shape. Raises ArgumentError or
    ArgumentTypeError for a size that is even, below 1 or too large.

    >>> delta(3, ndim=1)
    array([0, 1, 0])
    """
    kernel = np.zeros(checks.odd_sizes(size, checks.axes(ndim)), np.int64)
    kernel[tuple(n // 2 for n in kernel.shape)] = 1
    return kernel


def box(size: int | Sequence[int], ndim: int = 2) -> Floats:
    """The mean of a window of `size` pixels, one size for all `ndim` axes or one for each.

    Returns float64 of that shape, every tap 1 / count. An even size has no middle pixel: its mean lies half a pixel
    before the anchor. Raises ArgumentError or ArgumentTypeError for a size below 1 or too large.

    >>> box((1, 4))
    array([[0.25, 0.25, 0.25, 0.25]])
    """
    sizes = checks.per_axis("size", size, checks.axes(ndim), lambda s: checks.whole("size", s, low=1))
    checks.affordable("size", size, sizes)
    return np.full(sizes, 1 / math.prod(sizes))


def binomial(size: int | Sequence[int], ndim: int = 2) -> Floats:
    """A row of Pascal's triangle on each axis, divided by its sum 2**(size - 1): (1, 2, 1) / 4 for size 3.

    `size` is from 1 to 1023, one for all `ndim` axes or one for each; the standard deviation is sqrt(size - 1) / 2
    pixels. Returns float64. An even size has no middle pixel, as in `box`. Raises ArgumentError or ArgumentTypeError.
    Source: Haddad and Akansu 1991 (sources.BINOMIAL).

    >>> binomial(3, ndim=1)
    array([0.25, 0.5 , 0.25])
    """
    sizes = checks.per_axis("size", size, checks.axes(ndim), lambda s: checks.whole("size", s, low=1, high=1023))
    checks.affordable("size", size, sizes)
    return separable([np.array([math.comb(n - 1, k) / 2 ** (n - 1) for k in range(n)]) for n in sizes])


def gaussian(
    sigma: float | Sequence[float],
    *,
    size: int | Sequence[int] | None = None,
    truncate: float = TRUNCATE,
    ndim: int = 2,
    derivative: int | Sequence[int] = 0,
) -> Floats:
    """The Gaussian, or a derivative of it, sampled at the pixels: the weights of SciPy's gaussian_filter.

    `sigma` is the standard deviation in pixels (0: that axis is left alone), `derivative` the order of the derivative,
    `size` the odd number of taps; each is one value for all `ndim` axes or one for each. Without `size` the taps reach
    int(truncate * sigma + 0.5) pixels to either side. Returns float64 for cross-correlation: with ``derivative=(0, 1)``
    the response is positive where brightness grows to the right.

    Without a derivative the weights sum to 1. A derivative is sampled too, not corrected: as in SciPy, the response to
    a ramp is within 1 % of the slope from sigma = 0.7 on, and the sum of a second derivative is not 0 but down to
    -1.1e-3 / sigma**2 from sigma = 0.8 on, for the tails are cut at 4 sigma (the sum of `log` is 0). Raises
    ArgumentError or ArgumentTypeError, also where the taps are too few for the derivative.

    >>> gaussian(0.5, size=3, ndim=1).round(3)
    array([0.107, 0.787, 0.107])
    """
    ndim = checks.axes(ndim)
    sigmas = checks.per_axis("sigma", sigma, ndim, lambda s: checks.real("sigma", s, at_least=0))
    orders = checks.per_axis(
        "derivative", derivative, ndim, lambda d: checks.whole("derivative", d, low=0, high=MOST_DERIVATIVES)
    )
    sizes = checks.truncated_sizes(sigmas, size, truncate, TRUNCATE)
    return separable([_gaussian_axis(*axis) for axis in zip(sigmas, sizes, orders, strict=True)])


def _gaussian_axis(sigma: float, size: int, order: int) -> Floats:
    if order >= size or (order and not sigma):
        raise ArgumentError(
            f"`derivative` must be below the number of taps, and 0 where sigma is 0 "
            f"(got {order} for sigma {sigma} and {size} taps)"
        )
    x = np.arange(size) - float(size // 2)
    if sigma == 0:
        return np.where(x == 0, 1.0, 0.0)
    with np.errstate(all="ignore"):  # far out exp() is 0, and that is right; what is not finite is refused below
        z = x / sigma
        weights = np.exp(-0.5 * z * z)
        weights = weights / weights.sum() * hermite(z, order) / np.float64(sigma) ** order
    if not np.isfinite(weights).all():
        raise ArgumentError(f"`sigma` must be larger for a derivative of order {order} (got {sigma})")
    return weights


def hermite(z: NDArray[Any], order: int) -> NDArray[Any]:
    """He_n(z). The n-th derivative of the Gaussian, mirrored, is He_n(x / sigma) / sigma**n times the Gaussian."""
    before, now = np.zeros_like(z), np.ones_like(z)
    for n in range(order):
        before, now = now, z * now - n * before
    return now


def separable(axes: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """The kernel with the given weights along each axis."""
    return functools.reduce(np.multiply.outer, axes)


def sigma_of_size(size: int) -> float:
    """The standard deviation that OpenCV takes for a Gaussian of a given odd size: 0.3 * ((size - 1) * 0.5 - 1) + 0.8.

    For small sizes (up to 9 taps in OpenCV 5) OpenCV replaces the weights of that sigma by rounded ones; here they are
    never rounded.

    >>> sigma_of_size(5)
    1.1
    """
    return 0.3 * ((checks.whole("size", size, low=1, odd=True) - 1) * 0.5 - 1) + 0.8


def disk(radius: float, *, antialiased: bool = True) -> Floats:
    """A disk of the given radius in pixels, the same in all directions: the blur of a lens out of focus.

    Antialiased, a tap is the exact share of its pixel inside the circle, and every radius above 0 is a kernel of its
    own; otherwise a tap counts fully if its middle is not outside the circle. Returns float64 of odd size (2-D), the
    sum made 1. Raises ArgumentError or ArgumentTypeError.

    >>> disk(1, antialiased=False)
    array([[0. , 0.2, 0. ],
           [0.2, 0.2, 0.2],
           [0. , 0.2, 0. ]])
    """
    r = checks.real("radius", radius, above=0)
    if not isinstance(antialiased, (bool, np.bool_)):
        raise ArgumentTypeError(f"`antialiased` must be True or False (got {antialiased!r})")
    reach = min(r, float(checks.MOST_TAPS))
    n = math.ceil(reach - 0.5) if antialiased else math.floor(reach)
    checks.affordable("radius", radius, (2 * n + 1, 2 * n + 1))
    if antialiased:
        corner = _share_of_disk(np.arange(n + 1.0), r)
        corner = (corner + corner.T) / 2  # the same bits on both sides of the diagonal
    else:
        corner = (np.hypot(*np.ogrid[: n + 1, : n + 1]) <= r).astype(np.float64)
    kernel = np.pad(corner, ((n, 0), (n, 0)), mode="reflect") if n else corner
    return kernel / kernel.sum()


def _share_of_disk(middle: Floats, r: float) -> Floats:
    """The area that the disk around (0, 0) shares with each unit pixel around (middle[i], middle[j]), middles >= 0."""
    low, high = middle - 0.5, middle + 0.5

    def area(x: Floats, y: Floats) -> Floats:  # of the disk inside the rectangle from (0, 0) to (x, y), signed
        u, v = np.minimum(np.abs(x), r)[:, None], np.minimum(np.abs(y), r)[None, :]
        start = np.minimum(np.sqrt(r * r - v * v), u)  # up to here the rectangle is full, then the circle bounds it
        return np.sign(x)[:, None] * np.sign(y)[None, :] * (start * v + _under_circle(u, r) - _under_circle(start, r))

    share = area(high, high) - area(low, high) - area(high, low) + area(low, low)
    nearest, farthest = np.maximum(low, 0), high
    inside, outside = np.hypot(*np.ix_(farthest, farthest)) <= r, np.hypot(*np.ix_(nearest, nearest)) >= r
    return np.where(inside, 1.0, np.where(outside, 0.0, np.clip(share, 0.0, 1.0)))


def _under_circle(u: Floats, r: float) -> Floats:
    """The integral of sqrt(r**2 - t**2) for t from 0 to u."""
    return (u * np.sqrt(np.maximum(r * r - u * u, 0.0)) + r * r * np.arcsin(np.minimum(u / r, 1.0))) / 2


def motion(length: float, angle: float = 0.0) -> Floats:
    """A straight line of `length` pixels through the middle: the blur of a camera or an object that moves.

    `angle` is in radians, 0 along x and growing from x towards y (down). A tap is the length of the line inside its
    pixel; `length` is at least 1. Returns float64 (2-D) of the smallest odd shape that holds the line, the sum made 1.
    Raises ArgumentError or ArgumentTypeError.

    >>> motion(3)
    array([[0.33333333, 0.33333333, 0.33333333]])
    """
    length = checks.real("length", length, at_least=1)
    angle = checks.real("angle", angle)
    whole = min(length, float(checks.MOST_TAPS))  # pixels; a longer line is refused in any direction
    steps = (math.sin(angle), math.cos(angle))  # along y and x
    reach = [max(0, math.ceil(abs(step) * whole / 2 - 0.5 - 1e-9)) for step in steps]
    checks.affordable("length", length, [2 * n + 1 for n in reach])
    enter, leave = np.array(-length / 2), np.array(length / 2)  # the line's own coordinate, 0 in the middle
    with np.errstate(divide="ignore", over="ignore"):  # edges at infinity: a line along an axis never meets them
        for axis, (n, step) in enumerate(zip(reach, steps, strict=True)):
            edges = np.arange(-n - 0.5, n + 1.0) / step
            near, far = np.minimum(edges[:-1], edges[1:]), np.maximum(edges[:-1], edges[1:])
            shape = (-1, 1) if axis == 0 else (1, -1)
            enter, leave = np.maximum(enter, near.reshape(shape)), np.minimum(leave, far.reshape(shape))
    inside = np.maximum(leave - enter, 0.0)
    inside[inside < 1e-9] = 0.0  # a corner that is only touched
    return inside / inside.sum()
