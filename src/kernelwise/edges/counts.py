"""Matched pixels of one image, at every threshold at once.

A largest matching is built for the strongest found pixels first and extended by weaker ones. One that is matched stays
matched, and after those of a strength the matching is as large as any for the pixels so far. So what is matched at a
threshold are the matched pixels that reach it: one matching serves all thresholds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .matching import match, squared_distances

Map = NDArray[np.bool_]


def count(found: NDArray, truths: list[Map], radius: float, thresholds: NDArray[np.float64]) -> NDArray[np.int64]:
    """The counts of one image. found: (H, W), boolean or float64; truths: (H, W) each; radius in pixels.

    A found pixel is an edge at a threshold t if it is at least t; True counts as 1. Returns int64 (thresholds, 4): true
    pixels matched, true pixels, found pixels matched, found pixels.
    """
    edge = found >= thresholds[0]
    strength = found[edge].astype(np.float64)
    right = np.zeros(len(strength), bool)
    counts = np.zeros((len(thresholds), 4), np.int64)
    rank = np.unique(strength, return_inverse=True)[1]
    for true in truths:
        matched = _matched(edge, rank, true, radius)
        counts[:, 0] += _reaching(strength[matched], thresholds)
        counts[:, 1] += int(true.sum())
        right |= matched
    counts[:, 2] = _reaching(strength[right], thresholds)
    counts[:, 3] = _reaching(strength, thresholds)
    return counts


def _matched(edge: Map, rank: NDArray[np.int64], true: Map, radius: float) -> NDArray[np.bool_]:
    """Which of the found pixels, row by row, have a partner; those of a higher rank come first, then nearer ones."""
    matched = np.zeros(len(rank), bool)
    if not len(rank) or not true.any():
        return matched
    squared = squared_distances(true, edge)
    within = np.flatnonzero(squared <= radius * radius)
    order = within[np.lexsort((squared[within], -rank[within]))]  # stable: row by row where all else is equal
    matched[order] = match(np.flatnonzero(edge)[order], true, radius, -rank[order]) >= 0
    return matched


def _reaching(strength: NDArray[np.float64], thresholds: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many are at least as strong as each threshold."""
    return len(strength) - np.searchsorted(np.sort(strength), thresholds, side="left")
