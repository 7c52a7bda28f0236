"""The sums over a pair of images: all outputs at once, less the few that are not to be used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .moments import Moments, empty
from .pairs import Pair
from .weighted import weighted_moments
from .windows import Taps, window_matches, window_products, window_sums

SLAB = 1 << 22  # outputs that are centred in one go
SAMPLE = 16  # every so many pixels are looked at for the mean
PATCHES = 4096  # windows that are gathered at a time
FLOAT = np.float64


def centres(pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    """Constants near the mean of each channel, before (c,) and after (m,); the same for the same images."""
    return _centre(pair.x), _centre(pair.y)


def _centre(x: np.ndarray) -> np.ndarray:
    steps = (SAMPLE if n >= 4 * SAMPLE else 1 for n in x.shape[2:])
    sample = x[(slice(None), slice(None), *(slice(None, None, step) for step in steps))].astype(FLOAT)
    finite = np.isfinite(sample)
    count = finite.sum(axis=(0, 2, 3, 4))
    total = np.where(finite, sample, 0).sum(axis=(0, 2, 3, 4))
    return total / np.maximum(count, 1)


def moments(pair: Pair, taps: Taps, before: np.ndarray, after: np.ndarray, threads: int | None) -> Moments:
    """The sums over all outputs of a pair that are used: whose window and result are finite, and whose mask says so.

    Non-finite pixels are found by what they do to the sums; then the windows that hold them are taken out, exactly.
    """
    if pair.weights is not None:
        return weighted_moments(clean_pair(pair, taps, before, after), taps, before, after, threads)
    if pair.used is None:
        with np.errstate(invalid="ignore", over="ignore"):
            found = _all_outputs(pair, taps, before, after, threads)
        if np.isfinite(found.squares).all() and np.isfinite(found.gram).all():
            return found
    clean = clean_pair(pair, taps, before, after)
    used = clean.used
    assert used is not None
    lost, all_of_them = ~used, used.size
    if 2 * np.count_nonzero(lost) > all_of_them:
        return _few_outputs(clean, used, taps, before, after)
    full = _all_outputs(clean, taps, before, after, threads)
    return full - _few_outputs(clean, lost, taps, before, after) if lost.any() else full


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


def _all_outputs(pair: Pair, taps: Taps, before: np.ndarray, after: np.ndarray, threads: int | None) -> Moments:
    total = empty(taps, before, after)
    for x, y in _slabs(pair, taps):
        total += _slab_moments(x, y, taps, before, after, threads)
    return total


def _slabs(pair: Pair, taps: Taps) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Bands of outputs with the pixels they need: images one by one where they are large, and their rows."""
    n, _, planes, rows, columns = pair.y.shape
    images = max(1, SLAB // (planes * rows * columns))
    deep = max(1, SLAB // (images * rows * columns))
    high = max(1, SLAB // (images * min(deep, planes) * columns))
    for i in range(0, n, images):
        for z in range(0, planes, deep):
            for r in range(0, rows, high):
                y = pair.y[i : i + images, :, z : z + deep, r : r + high]
                x = pair.x[i : i + images, :, z : z + deep + taps[0] - 1, r : r + high + taps[1] - 1]
                yield x, y


def _slab_moments(
    x: np.ndarray, y: np.ndarray, taps: Taps, before: np.ndarray, after: np.ndarray, threads: int | None
) -> Moments:
    x, y = x.astype(FLOAT) - _as_channels(before), y.astype(FLOAT) - _as_channels(after)
    outputs, size = y.shape[1], len(before) * int(np.prod(taps))
    count = y[:, 0].size
    return Moments(
        taps,
        before,
        after,
        window_products(x, taps, threads).reshape(size, size),
        window_sums(x, taps, threads).ravel(),
        window_matches(y, x, taps, threads).reshape(outputs, size).T,
        y.sum(axis=(0, 2, 3, 4)),
        np.square(y).sum(axis=(0, 2, 3, 4)),
        float(count),
        count,
    )


def _few_outputs(pair: Pair, chosen: np.ndarray, taps: Taps, before: np.ndarray, after: np.ndarray) -> Moments:
    """The sums over the chosen outputs alone, from their windows."""
    total = empty(taps, before, after)
    windows = sliding_window_view(pair.x, taps, axis=(2, 3, 4))
    where = np.nonzero(chosen)
    for first in range(0, len(where[0]), PATCHES):
        n, z, r, c = (index[first : first + PATCHES] for index in where)
        p = windows[n, :, z, r, c].astype(FLOAT) - _as_channels(before)
        y = pair.y[n, :, z, r, c].astype(FLOAT) - after
        p = p.reshape(len(p), -1)
        total += Moments(
            taps, before, after, p.T @ p, p.sum(axis=0), p.T @ y, y.sum(axis=0), np.square(y).sum(axis=0),
            float(len(p)), len(p),
        )  # fmt: skip
    return total
