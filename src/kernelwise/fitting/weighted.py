"""The sums where every output has a weight of its own.

Then products of taps no longer depend on their distance alone, and every tap takes a pass of its own: the images, seen
from that tap and weighted, matched with all windows. The cost grows with the square of the number of taps.
"""

from __future__ import annotations

import numpy as np

from .moments import Moments, empty
from .pairs import Pair
from .windows import How, Taps, window_matches

SLAB = 1 << 20  # outputs at a time
FLOAT = np.float64


def weighted_moments(pair: Pair, taps: Taps, before: np.ndarray, after: np.ndarray, threads: int | None) -> Moments:
    """``pair`` with finite images, ``weights`` and ``used``."""
    assert pair.weights is not None
    assert pair.used is not None
    total = empty(taps, before, after)
    w = np.where(pair.used, pair.weights, 0)
    rows = max(1, SLAB // (pair.y.shape[2] * pair.y.shape[4]))
    for n in range(len(pair.y)):
        for r in range(0, pair.y.shape[3], rows):
            x = pair.x[n : n + 1, :, :, r : r + rows + taps[1] - 1]
            y, weights = pair.y[n : n + 1, :, :, r : r + rows], w[n : n + 1, np.newaxis, :, r : r + rows]
            total += _slab(x, y, weights.astype(FLOAT), taps, before, after, threads)
    return total


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
    windows, how = y.shape[2:], How(threads=threads)
    for tap, (z, r, c) in enumerate(np.ndindex(*taps)):
        seen = w * x[:, :, z : z + windows[0], r : r + windows[1], c : c + windows[2]]
        # taps in earlier rows have met this one already
        later = taps[0] - z, (taps[1] - r if taps[0] == 1 else taps[1]), taps[2]
        first = r if taps[0] == 1 else 0
        found = window_matches(seen, x[:, :, z:, first:], later, how)
        start = (z * taps[1] + first) * taps[2]
        found = found.reshape(channels, channels, -1)
        gram[:, tap, :, start:] = found
        gram[:, start:, :, tap] = found.transpose(1, 2, 0)
    weighted = w * y
    p = channels * size
    return Moments(
        taps,
        before,
        after,
        gram.reshape(p, p),
        window_matches(w, x, taps, how)[0].ravel(),
        window_matches(weighted, x, taps, how).reshape(outputs, p).T,
        weighted.sum(axis=(0, 2, 3, 4)),
        (weighted * y).sum(axis=(0, 2, 3, 4)),
        float(w.sum()),
        int(np.count_nonzero(w)),
    )
