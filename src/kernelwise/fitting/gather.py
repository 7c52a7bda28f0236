"""The sums over a pair of images: all outputs at once, less the few that are not to be used."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..algorithms.chosen_windows import chosen_windows
from ..errors import ArgumentError
from .moments import Moments, of_products
from .pairs import Pair
from .weighted import weighted_moments
from .windows import PLAIN, How, Taps, matched

SAMPLE = 16  # every so many pixels are looked at for the mean
FLOAT = np.float64
LARGEST = 1e150  # sum of squares: some of what is made of a fit grows with its square
TOO_LARGE = "`before` and `after` must hold numbers whose fourth powers fit into float64 (got larger ones: scale them)"


def centres(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Constants near the mean, of before (c,) and of after (m,), the same in all channels and for the same images."""
    return np.full(pair.x.shape[1], _centre(pair.x)), np.full(pair.y.shape[1], _centre(pair.y))


def _centre(x: np.ndarray) -> float:
    steps = (SAMPLE if n >= 4 * SAMPLE else 1 for n in x.shape[2:])
    sample = x[(slice(None), slice(None), *(slice(None, None, step) for step in steps))].astype(FLOAT)
    finite = sample[np.isfinite(sample)]
    if not finite.size:
        return 0.0
    # float32 images hold such a number themselves; the spread of float64 ones may be far below its rounding
    return float(finite.mean() if x.dtype.itemsize > 4 else np.float32(finite.mean()))


def moments(pair: Pair, taps: Taps, before: np.ndarray, after: np.ndarray, how: How = PLAIN) -> Moments:
    """The sums over all outputs of a pair that are used: whose window and result are finite, and whose mask says so.

    Non-finite pixels are found by what they do to the sums; then the windows that hold them are taken out, exactly.
    """
    if pair.weights is not None:
        return weighted_moments(clean_pair(pair, taps, before, after), taps, before, after, how.threads)
    if pair.used is None:
        with np.errstate(invalid="ignore", over="ignore"):
            found = _all_outputs(pair, taps, before, after, how)
        if found is not None:
            return found
    clean = clean_pair(pair, taps, before, after)
    used = clean.used
    assert used is not None
    lost, all_of_them = ~used, used.size
    if 2 * np.count_nonzero(lost) > all_of_them:
        return _few_outputs(clean, used, taps, before, after, how)
    full = _all_outputs(clean, taps, before, after, how)
    if full is None:
        raise ArgumentError(TOO_LARGE)
    return full - _few_outputs(clean, lost, taps, before, after, how) if lost.any() else full


def clean_pair(pair: Pair, taps: Taps, before: np.ndarray, after: np.ndarray) -> Pair:
    """Numbers that are not finite replaced by the centre, and the outputs that they reach not used."""
    x, y = pair.x, pair.y
    used: np.ndarray = np.ones((len(y), *y.shape[2:]), bool) if pair.used is None else pair.used
    bad_y = ~np.isfinite(y)
    if bad_y.any():
        used = np.logical_and(used, ~bad_y.any(axis=1))
        y = np.where(bad_y, _as_channels(after).astype(y.dtype), y)
    bad_x = ~np.isfinite(x)
    if bad_x.any():
        used = np.logical_and(used, ~_touched(bad_x.any(axis=1), taps))
        x = np.where(bad_x, _as_channels(before).astype(x.dtype), x)
    return replace(pair, x=x, y=y, used=used)


def _touched(bad: np.ndarray, taps: Taps) -> np.ndarray:
    """Which windows of (n, planes, rows, columns) hold a bad pixel."""
    for axis, k in enumerate(taps, 1):
        bad = np.any(sliding_window_view(bad, k, axis), axis=-1)
    return bad


def _as_channels(values: np.ndarray) -> np.ndarray:
    return values[:, np.newaxis, np.newaxis, np.newaxis]


def _all_outputs(pair: Pair, taps: Taps, before: np.ndarray, after: np.ndarray, how: How) -> Moments | None:
    """None if the sums are not finite."""
    outputs, size = pair.y.shape[1], len(before) * int(np.prod(taps))
    how = replace(how, before=float(before[0]), after=float(after[0]))
    found = matched(pair.y, pair.x, taps, how)
    if found is None:
        return None
    if max(found.squares.max(), np.diag(found.gram.reshape(size, size)).max()) > LARGEST:
        raise ArgumentError(TOO_LARGE)
    count = pair.y[:, 0].size
    return Moments(
        taps,
        before,
        after,
        found.gram.reshape(size, size),
        found.seen.ravel(),
        found.right.reshape(outputs, size).T,
        found.total,
        found.squares,
        float(count),
        count,
    )


def _few_outputs(
    pair: Pair, chosen: np.ndarray, taps: Taps, before: np.ndarray, after: np.ndarray, how: How
) -> Moments:
    """The sums over the chosen outputs alone, from their windows."""
    where = np.flatnonzero(chosen)
    found = chosen_windows(pair.x, pair.y, where, taps, before, after, how.threads)
    return of_products(found, taps, before, after, len(where))
