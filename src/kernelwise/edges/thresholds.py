"""Canny's two thresholds: numbers, or rules that look at the gradient magnitudes."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import ArgumentError, ArgumentTypeError

LOW_SHARE = 0.4  # of the high threshold; Canny 1986, section VII: a ratio of two or three to one
OTSU_LOW_SHARE = 0.5
MEDIAN_SHARES = 2 / 3, 4 / 3  # of the median pixel, a rule of thumb
NOISE_FACTOR = math.sqrt(math.log(1000) / math.log(2))  # of the median magnitude; see `automatic`
SAMPLE = 1 << 17  # magnitudes that "auto" and "otsu" look at
BINS = 1 << 13
RULES = ("auto", "otsu", "median")
ALLOWED = "a number, 'auto', 'otsu', 'median', ('fraction', f) or a callable"


class Source(NamedTuple):
    """What rules look at; asked when it is needed. Values times 2**exponent are in the caller's units."""

    magnitudes: Callable[[int], NDArray[Any]]  # about so many of the known magnitudes, all for 0; one axis
    pixels: Callable[[], NDArray[Any]]  # the known pixel values
    least: Callable[[], float]  # what "auto" and "otsu" must not go below
    exponent: int = 0


def levels(low: Any, high: Any, source: Source, ordered: bool = True) -> tuple[float, float]:
    """The thresholds that ``low`` and ``high`` stand for, in the units of the source.

    With ``ordered``, a number for low above one for high is an error. Raises ArgumentError, ArgumentTypeError.
    """
    for name, given in (("low", low), ("high", high)):
        _check(name, given)
    numbers = _is_number(low) and _is_number(high)
    if numbers and ordered and low > high:
        raise ArgumentError(f"`low` must not be larger than `high` (got {low!r} and {high!r})")
    lower, upper = _pair("high", high, source)
    if not (isinstance(low, str) and low == "auto"):
        own, single = _pair("low", low, source)
        lower = single if own is None else own
    elif lower is None:
        lower = LOW_SHARE * upper
    if numbers:
        return lower, upper
    return (lower, max(lower, upper)) if _is_number(low) else (min(lower, upper), upper)


def _is_number(given: Any) -> bool:
    return isinstance(given, Real) and not isinstance(given, (bool, np.bool_))


def _check(name: str, given: Any) -> None:
    wrong = f"`{name}` must be {ALLOWED} (got {given!r})"
    if isinstance(given, str):
        if given not in RULES:
            raise ArgumentError(wrong)
    elif isinstance(given, tuple):
        if len(given) != 2 or given[0] != "fraction" or not isinstance(given[1], Real) or not 0 <= float(given[1]) <= 1:
            raise ArgumentError(f"`{name}` must be {ALLOWED}, with f from 0 to 1 (got {given!r})")
    elif _is_number(given):
        if not math.isfinite(given):
            raise ArgumentError(f"`{name}` must be finite (got {given!r})")
    elif not callable(given):
        raise ArgumentTypeError(wrong)


def _pair(name: str, rule: Any, source: Source) -> tuple[float | None, float]:
    """(low, high) by one rule; (None, threshold) where it gives only one."""
    if _is_number(rule):
        return None, _scaled(float(rule), -source.exponent)
    if rule == "median":
        known = source.pixels()
        middle = float(np.median(known)) if known.size else 0.0
        return MEDIAN_SHARES[0] * middle, MEDIAN_SHARES[1] * middle
    if rule in ("auto", "otsu"):
        lower, upper = (automatic if rule == "auto" else otsu)(source.magnitudes(SAMPLE))
        least = source.least()
        return max(lower, least), max(upper, least)
    known = source.magnitudes(0)
    if isinstance(rule, tuple):
        return None, exceeded_by(known, float(rule[1]))
    exact = np.ldexp(known.astype(np.float64), source.exponent) if source.exponent else known
    asked, upper = _asked(name, rule(exact))
    return None if asked is None else _scaled(asked, -source.exponent), _scaled(upper, -source.exponent)


def _scaled(number: float, exponent: int) -> float:
    with np.errstate(over="ignore", under="ignore"):
        return float(np.ldexp(number, exponent))


def _asked(name: str, answer: Any) -> tuple[float | None, float]:
    """What a callable returned."""
    numbers = answer if isinstance(answer, (tuple, list, np.ndarray)) and np.ndim(answer) == 1 else (answer,)
    try:
        values = [float(number) for number in numbers]
    except (TypeError, ValueError):
        values = []
    if len(values) not in (1, 2) or not all(map(math.isfinite, values)):
        raise ArgumentError(f"`{name}` must return a finite threshold, or a low and a high one (got {answer!r})")
    return (None, values[0]) if len(values) == 1 else (values[0], values[1])


# ---------------------------------------------------------------- the rules


def automatic(sizes: NDArray[Any]) -> tuple[float, float]:
    """Low and high for any picture: high is Otsu's threshold, but never so low that noise alone would pass it.

    Where a picture shows nothing but Gaussian noise, its magnitudes follow Rayleigh's distribution, and one in a
    thousand exceeds sqrt(ln 1000 / ln 2) = 3.16 times their median; in other pictures the median is that of the areas
    between edges. ``sizes``: magnitudes, one axis.

    >>> automatic(np.array([0.0, 0.0, 0.0, 1.0, 50.0, 60.0]))[1] > 1
    True
    """
    if not sizes.size:
        return 0.0, 0.0
    counts, step = _histogram(sizes)
    high = max(_otsu(counts) * step, NOISE_FACTOR * _middle(counts) * step)
    return LOW_SHARE * high, high


def otsu(sizes: NDArray[Any]) -> tuple[float, float]:
    """Half of Otsu's threshold, and that: it parts the magnitudes into two groups of the least inner variance.

    Source: Otsu, A threshold selection method from gray-level histograms, 1979.
    """
    if not sizes.size:
        return 0.0, 0.0
    counts, step = _histogram(sizes)
    high = _otsu(counts) * step
    return OTSU_LOW_SHARE * high, high


def exceeded_by(sizes: NDArray[Any], fraction: float) -> float:
    """The smallest of the magnitudes (or 0) that at most this fraction of them exceeds.

    >>> exceeded_by(np.array([1.0, 2.0, 3.0, 4.0]), 0.25)
    3.0
    """
    above = min(int(fraction * sizes.size + 1e-9), sizes.size)
    place = sizes.size - above - 1
    return float(np.partition(sizes, place)[place]) if place >= 0 else 0.0


def _histogram(sizes: NDArray[Any]) -> tuple[NDArray[np.int64], float]:
    """How many magnitudes lie in each of BINS equal steps from 0 to the largest, and the step."""
    step = float(sizes.max()) / BINS
    if step == 0:
        return np.bincount([0], minlength=BINS) * sizes.size, 0.0
    places = np.minimum((sizes * sizes.dtype.type(1 / step)).astype(np.intp), BINS - 1)
    return np.bincount(places, minlength=BINS), step


def _middle(counts: NDArray[np.int64]) -> float:
    """The median, in steps."""
    total = np.cumsum(counts)
    return float(np.searchsorted(total, total[-1] / 2)) + 0.5 if counts[0] <= total[-1] / 2 else 0.0


def _otsu(counts: NDArray[np.int64]) -> float:
    """The best border between two groups, in steps; the middle of all that are equally good."""
    below = np.cumsum(counts, dtype=np.float64)
    moment = np.cumsum(counts * (np.arange(BINS) + 0.5))
    above = below[-1] - below
    parted = (below > 0) & (above > 0)
    if not parted.any():
        return 0.0
    spread = np.zeros(BINS)
    spread[parted] = (moment[-1] * below[parted] - moment[parted] * below[-1]) ** 2 / (below[parted] * above[parted])
    best = np.flatnonzero(spread >= spread.max() * (1 - 1e-12))
    return float(best[0] + best[-1]) / 2 + 1
