"""The sums where every output has a weight of its own.

Then products of taps no longer depend on their distance alone, and every tap takes a pass of its own: the images, seen
from that tap and weighted, matched with all windows. The cost grows with the square of the number of taps. Taps of some
rows are matched together, as channels, with those in the same or later rows.
"""

from __future__ import annotations

import itertools

import numpy as np

from .moments import Moments, empty
from .pairs import Pair
from .windows import How, Taps, window_matches

SLAB = 1 << 19  # numbers in the weighted images that are matched together
TOGETHER = 12  # taps, about, whose weighted images these are
FLOAT = np.float64


def weighted_moments(pair: Pair, taps: Taps, before: np.ndarray, after: np.ndarray, threads: int | None) -> Moments:
    """``pair`` with finite images, ``weights`` and ``used``."""
    assert pair.weights is not None
    assert pair.used is not None
    total = empty(taps, before, after)
    images = len(before) * taps[2] * _rows_together(taps) + 1 + len(after)
    rows = max(1, SLAB // (images * pair.y.shape[2] * pair.y.shape[4]))
    for n in range(len(pair.y)):
        for r in range(0, pair.y.shape[3], rows):
            x = pair.x[n : n + 1, :, :, r : r + rows + taps[1] - 1]
            y, w = pair.y[n : n + 1, :, :, r : r + rows], pair.weights[n : n + 1, np.newaxis, :, r : r + rows]
            weights = np.where(pair.used[n : n + 1, np.newaxis, :, r : r + rows], w, 0)
            total += _slab(x, y, weights.astype(FLOAT), taps, before, after, threads)
    return total


def _rows_together(taps: Taps) -> int:
    return max(1, min(taps[1], TOGETHER // taps[2]))


def _slab(
    x: np.ndarray,
    y: np.ndarray,
    w: np.ndarray,
    taps: Taps,
    before: np.ndarray,
    after: np.ndarray,
    threads: int | None,
) -> Moments:
    deep = (slice(None), np.newaxis, np.newaxis, np.newaxis)
    x, y = x.astype(FLOAT) - before[deep], y.astype(FLOAT) - after[deep]
    channels, outputs, size = len(before), len(after), int(np.prod(taps))
    gram = np.empty((channels, size, channels, size))
    seen, right = np.empty(channels * size), np.empty((channels * size, outputs))
    how, together = How(threads=threads), _rows_together(taps)
    for z, r in itertools.product(range(taps[0]), range(0, taps[1], together)):
        rows = range(r, min(taps[1], r + together))
        plain = [w, w * y] if z == r == 0 else []  # what sees all taps is matched with the first ones
        images = np.empty((1, channels * len(rows) * taps[2] + sum(one.shape[1] for one in plain), *y.shape[2:]))
        _weight(w, x, z, rows, taps[2], images)
        if plain:
            images[:, -1 - outputs :] = np.concatenate(plain, axis=1)
        # taps in earlier rows have met these already
        later = taps[0] - z, (taps[1] - r if taps[0] == 1 else taps[1]), taps[2]
        first = r if taps[0] == 1 else 0
        found = window_matches(images, x[:, :, z:, first:], later, how)
        if plain:
            seen, right = found[-1 - outputs].ravel(), found[-outputs:].reshape(outputs, -1).T
            found = found[: -1 - outputs]
        here = slice((z * taps[1] + r) * taps[2], (z * taps[1] + rows.stop) * taps[2])
        there = slice((z * taps[1] + first) * taps[2], None)
        found = found.reshape(channels, len(rows) * taps[2], channels, -1)
        gram[:, here, :, there] = found
        gram[:, there, :, here] = found.transpose(2, 3, 0, 1)
    p = channels * size
    return Moments(
        taps,
        before,
        after,
        gram.reshape(p, p),
        seen,
        right,
        (w * y).sum(axis=(0, 2, 3, 4)),
        (w * y * y).sum(axis=(0, 2, 3, 4)),
        float(w.sum()),
        int(np.count_nonzero(w)),
    )


def _weight(w: np.ndarray, x: np.ndarray, z: int, rows: range, columns: int, images: np.ndarray) -> None:
    """The images as the taps of some rows see them, times the weights: (1, channel, row, column, windows...)."""
    planes, height, width = w.shape[2:]
    place = 0
    for channel in x[0]:
        for r in rows:
            for c in range(columns):
                part = channel[z : z + planes, r : r + height, c : c + width]
                np.multiply(w[0, 0], part, out=images[0, place])
                place += 1
