"""Lag sums of arrays: how well two stacks of images match at every shift of a range.

They are taken directly (`lags`) or by transforms of tiles (`fourier_lags`), whichever takes less time for the shapes;
with many shifts, from about 7 x 7 on, these are the transforms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..errors import ArgumentError
from ..jit import pool
from ..jit.target import Target
from . import direct_lags
from .fourier_lags import launch as transforms
from .fourier_lags.cut import Cut, cut
from .fourier_lags.spec import Stack
from .numbers import readable
from .routine import current_target
from .totals import image_totals

Pair = tuple[int, int]
METHODS = ("auto", "direct", "fourier")


@dataclass(frozen=True)
class Lagged:
    """A stack of images that is matched with another one, b, at every shift from ``start`` on."""

    a: np.ndarray  # (n, o, h, w), real or integer, any strides
    taps: Pair  # shifts, along rows and columns
    start: Pair = (0, 0)
    centre: float = 0.0  # taken from every number of a


def lag_sums(
    a: np.ndarray,
    b: np.ndarray,
    taps: Pair,
    start: Pair = (0, 0),
    *,
    sums: type | np.dtype = np.float64,
    threads: int | None = None,
) -> np.ndarray:
    """S[o, i, r, c] = sum of a[n, o, y, x] * b[n, i, y + start[0] + r, x + start[1] + c], b zero outside its images.

    a: (n, o, h, w); b: (n, i, H, W); real or integer, any strides. Returns float64 (o, i, *taps). ``sums`` is what
    products are added up in, no narrower than a and b: float64, or float32 for short stretches (see `lags` and
    `fourier_lags` for the errors). A NaN or an infinity spoils the sums that it touches and no others. The bits do not
    depend on ``threads``.

    >>> x = np.arange(6.0).reshape(1, 1, 2, 3)
    >>> lag_sums(x, x, (1, 2))
    array([[[[55., 34.]]]])
    """
    return joint_lag_sums([Lagged(a, taps, start)], b, sums=sums, threads=threads)[0]


def joint_lag_sums(
    asked: Sequence[Lagged],
    b: np.ndarray,
    *,
    centre: float = 0.0,
    sums: type | np.dtype = np.float64,
    threads: int | None = None,
    method: str = "auto",
    totals: list[np.ndarray] | None = None,
) -> list[np.ndarray]:
    """The lag sums of several stacks with the same one, b, in one go. Returns float64 (o, i, *taps) for each.

    ``centre`` is taken from every number of b; what lies outside its images stays zero. All stacks have as many images
    as b. Transforms of b are shared. ``method``: "auto", "direct" or "fourier"; the latter raises ArgumentError where
    there are too many shifts for it. ``totals``: gets the sum of the numbers of each channel, less the centre, and that
    of their squares, (o, 2) for each stack. Where these are not finite nothing else may be: an empty list is returned.

    Here for all that a kernel is fitted from: of images x and y, the products of x with itself and with y.

    >>> x, y = np.arange(12.0).reshape(1, 1, 3, 4), np.ones((1, 1, 2, 3))
    >>> asked = [Lagged(x[:, :, :2, 1:3], (2, 3)), Lagged(y, (2, 2))]
    >>> [found.tolist() for found in joint_lag_sums(asked, x, method="direct")]
    [[[[[52.0, 66.0, 80.0], [108.0, 122.0, 136.0]]]], [[[[18.0, 24.0], [42.0, 48.0]]]]]
    """
    if method not in METHODS:
        raise ArgumentError(f"`method` must be one of {', '.join(map(repr, METHODS))} (got {method!r})")
    b = readable(b)
    asked = [Lagged(readable(one.a), one.taps, one.start, one.centre) for one in asked]
    if any(len(one.a) != len(b) for one in asked):
        raise ArgumentError(f"`a` must have as many images as `b`, {len(b)} (got {[len(one.a) for one in asked]})")
    if totals is not None:
        totals[:] = [np.zeros((one.a.shape[1], 2)) for one in asked]
    if any(one.a.size == 0 for one in asked) or b.size == 0:
        _total(asked, totals, threads)
        return [_each_alone(one, b, centre, sums, threads) for one in asked]
    wide = np.result_type(sums, *(x.dtype for x in (b, *(one.a for one in asked)) if x.dtype.kind == "f"))
    target, threads = current_target(), threads or pool.threads()
    stacks = tuple(Stack(one.a.shape[1], one.a.shape[2:], one.start, one.taps) for one in asked)
    of = _chosen(stacks, tuple(one.a.dtype for one in asked), b.shape, b.dtype, wide, target, method)
    if of is not None:
        _total(asked, totals, threads)
        if totals is not None and not all(np.isfinite(part).all() for part in totals):
            return []
        with np.errstate(over="ignore", invalid="ignore"):
            sides = [(transforms.Side(one.a, one.centre), stack) for one, stack in zip(asked, stacks, strict=True)]
            found = transforms.fourier_lags(of, sides, transforms.Side(b, centre), wide, target, threads)
        if all(np.isfinite(part).all() for part in found):
            return found
        totals = None
    places = [None] * len(asked) if totals is None else totals
    found = [
        direct_lags.direct_lag_sums(one.a, b, one.taps, one.start, (one.centre, centre), wide, threads, place)
        for one, place in zip(asked, places, strict=True)
    ]
    return found if totals is None or all(np.isfinite(part).all() for part in totals) else []


def _total(asked: Sequence[Lagged], totals: list[np.ndarray] | None, threads: int | None) -> None:
    """By a pass of its own."""
    for one, place in zip(asked, totals or (), strict=totals is not None):
        for channel in range(len(place)):
            place[channel] = image_totals(one.a[:, channel], one.centre, threads)


def _each_alone(one: Lagged, b: np.ndarray, centre: float, sums: type | np.dtype, threads: int | None) -> np.ndarray:
    """Where some stacks are empty."""
    if one.a.size == 0 or b.size == 0:
        return np.zeros((one.a.shape[1], b.shape[1], *one.taps))
    return joint_lag_sums([one], b, centre=centre, sums=sums, threads=threads)[0]


@lru_cache(maxsize=1024)
def _chosen(
    stacks: tuple[Stack, ...],
    stored: tuple[np.dtype, ...],
    b_shape: tuple[int, ...],
    b_dtype: np.dtype,
    sums: np.dtype,
    target: Target,
    method: str,
) -> Cut | None:
    """How transforms would do it, if they are to; None for the direct way."""
    if method == "direct":
        return None
    images, b_channels = b_shape[:2]
    of = cut(images, stacks, b_channels, sums.itemsize, target)
    if method == "fourier":
        if of is None:
            raise ArgumentError("`method` must not be 'fourier' where no tile is large enough for the shifts")
        return of
    if of is None:
        return None
    alone = sum(
        direct_lags.nanoseconds((images, s.channels, *s.shape), b_shape, (dtype, b_dtype, sums), s.taps, target)
        for s, dtype in zip(stacks, stored, strict=True)
    )
    return of if of.nanoseconds < alone else None


def forget() -> None:
    """Drop all remembered plans and code. Code that still runs is kept alive by its caller."""
    _chosen.cache_clear()
    direct_lags.forget()
    transforms.forget()
