"""Whether a kernel is too small: what the taps around it would add, tested on a piece of the images."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .gather import centres, moments
from .moments import Moments
from .pairs import Pair
from .sizes import unconstrained
from .windows import Taps

MOST = 512  # outputs along an axis of the piece
LEAST = 4  # outputs for each tap
DETERMINED = 1e-5  # what is left of every tap, of length 1, without those before it: else the rank is looked at


def ring_around(pair: Pair, taps: Taps, background: bool) -> tuple[float, float]:
    """(excess, gain) of a kernel two taps larger along each axis: how many standard deviations of a chi-square the
    fall of the squared errors lies above its mean, and which share of them it is. (0, 0) where there is no room."""
    wider: Any = tuple(k + 2 if n > 1 else k for k, n in zip(taps, pair.x.shape[2:], strict=True))
    # outputs whose wider window still lies inside: one pixel in from each end
    margin = [(w - k) // 2 for w, k in zip(wider, taps, strict=True)]
    count = [min(MOST, n - 2 * m) for n, m in zip(pair.y.shape[2:], margin, strict=True)]
    if min(count) < 1 or int(np.prod(count)) < LEAST * int(np.prod(wider)) * pair.x.shape[1]:
        return 0.0, 0.0
    first = [(n - c) // 2 for n, c in zip(pair.y.shape[2:], count, strict=True)]
    inside: Any = (..., *(slice(f, f + c) for f, c in zip(first, count, strict=True)))
    seen: Any = (
        slice(0, 1),
        slice(None),
        *(slice(f - m, f - m + c + w - 1) for f, m, c, w in zip(first, margin, count, wider, strict=True)),
    )
    piece = replace(
        pair,
        x=pair.x[seen],
        y=pair.y[inside][:1],
        used=None if pair.used is None else pair.used[inside][:1],
        weights=None if pair.weights is None else pair.weights[inside][:1],
    )
    known = moments(piece, wider, *centres(piece))
    small, large, more, freedom = _both(known, taps, background)
    left = known.count - freedom
    if more <= 0 or left <= 0 or not (np.minimum(small, large) > 0).all():
        return 0.0, 0.0
    statistic = float(((small - large) / (large / left)).sum())
    mean = more * len(large)
    return (statistic - mean) / float(np.sqrt(2 * mean)), float(((small - large) / small).max())


def _both(known: Moments, taps: Taps, background: bool) -> tuple[np.ndarray, np.ndarray, int, float]:
    """The squared errors (m,) of a kernel of ``taps`` and of one as large as the sums; how many more directions the
    larger one has, and its degrees of freedom."""
    systems = [unconstrained(known.within(size), background) for size in (taps, known.taps)]
    gram, right, squares = systems[1].centred
    inner = known.places(taps)
    outer = np.setdiff1d(np.arange(len(gram)), inner)
    order = np.concatenate([inner, outer])
    scale = np.sqrt(np.maximum(np.diag(gram), 0.0))
    if (scale > 0).all():
        try:
            # of taps in this order, the first steps of the elimination are those of the smaller kernel
            factor = np.linalg.cholesky((gram / np.outer(scale, scale))[np.ix_(order, order)])
        except np.linalg.LinAlgError:
            factor = np.zeros((1, 1))
        if np.diag(factor).min() > DETERMINED:
            falls = np.square(np.linalg.solve(factor, (right / scale[:, np.newaxis])[order]))
            small = squares - falls[: len(inner)].sum(axis=0)
            return small, small - falls[len(inner) :].sum(axis=0), len(outer), len(gram) + float(background)
    small, large = (system.squared_errors(system.kernel()) for system in systems)
    return small, large, systems[1].rank - systems[0].rank, systems[1].freedom()
