"""The images cut into bands, whose sums add up to those of the whole: what cross-validation leaves out in turn."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from operator import add

import numpy as np

from .gather import moments
from .moments import Moments
from .pairs import Pair
from .windows import How, Taps

FOLDS = 5


def folds(data: list[Pair], taps: Taps, like: Moments, threads: int | None) -> list[Moments]:
    """At most FOLDS sums over about as many outputs each, measured from the constants of ``like``. Every image gives a
    band to each, along its longest axis, so that all of them see every image. Empty where there is one output."""
    longest = [int(np.argmax(one.y.shape[2:])) for one in data]
    count = min(FOLDS, *(one.y.shape[2 + axis] for one, axis in zip(data, longest, strict=True)))
    if count < 2:
        return []
    found = []
    for fold in range(count):
        bands = [_band(one, taps, axis, fold, count) for one, axis in zip(data, longest, strict=True)]
        sums = (moments(band, taps, like.before, like.after, How(threads=threads)) for band in bands)
        found.append(reduce(add, sums))
    return [part for part in found if part.count]


def _band(one: Pair, taps: Taps, axis: int, fold: int, count: int) -> Pair:
    n = one.y.shape[2 + axis]
    first, stop = n * fold // count, n * (fold + 1) // count
    outputs = (slice(None),) * axis + (slice(first, stop),)
    windows = (slice(None),) * (2 + axis) + (slice(first, stop + taps[axis] - 1),)
    return replace(
        one,
        x=one.x[windows],
        y=one.y[(slice(None), slice(None), *outputs)],
        used=None if one.used is None else one.used[(slice(None), *outputs)],
        weights=None if one.weights is None else one.weights[(slice(None), *outputs)],
    )
