"""Lag sums of arrays: how well two stacks of images match at every shift of a range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..jit import pool
from . import direct_lags

Pair = tuple[int, int]


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
    products are added up in, no narrower than a and b: float64, or float32 for short stretches (see `lags` for the
    error). The bits do not depend on ``threads``.

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
) -> list[np.ndarray]:
    """The lag sums of several stacks with the same one, b, in one go. Returns float64 (o, i, *taps) for each."""
    b = _readable(b)
    asked = [Lagged(_readable(one.a), one.taps, one.start, one.centre) for one in asked]
    wide = np.result_type(sums, *(x.dtype for x in (b, *(one.a for one in asked)) if x.dtype.kind == "f"))
    threads = threads or pool.threads()
    return [
        direct_lags.direct_lag_sums(one.a, b, one.taps, one.start, (one.centre, centre), wide, threads)
        if one.a.size and b.size
        else np.zeros((one.a.shape[1], b.shape[1], *one.taps))
        for one in asked
    ]


def _readable(x: np.ndarray) -> np.ndarray:
    """The array itself where generated code can read it; a copy where it cannot (float16, foreign byte order)."""
    if x.dtype.kind == "b":
        return x.view(np.uint8)
    return np.require(x, np.float32 if x.dtype.char == "e" else x.dtype.newbyteorder("="), "A")


def forget() -> None:
    """Drop all remembered plans and code. Code that still runs is kept alive by its caller."""
    direct_lags.forget()
