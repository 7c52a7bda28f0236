"""How much more than white noise would the noise of a fit make its taps uncertain: on average, and cheaply.

The variance of the taps is bread @ meat @ bread. Under white noise the trace of bread @ meat is sigma^2 for every
parameter; what it is with the residuals found, in that unit, is 1 where errors are as large wherever the images show
much as elsewhere. A sample of windows is enough to tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .pairs import Pair
from .system import System
from .uncertainty import hac_meat

ENTRIES = 2_000_000  # pixels in all sampled windows together
MOST = 20_000  # windows


@dataclass(frozen=True)
class Unevenness:
    """Mean variance of the taps over that under white noise, and the standard error of this ratio."""

    ratio: float
    error: float


def unevenness(system: System, ridge: float, data: list[Pair], residuals: list[np.ndarray]) -> Unevenness:
    """Whether errors are larger where windows have more to say: where their leverage p' bread p is higher."""
    bread = system.bread(ridge)
    leverage, squares = [], []
    share = min(MOST, ENTRIES // len(bread)) // len(data) + 1
    for one, errors in zip(data, residuals, strict=True):
        at = _sample(errors, share)
        windows = sliding_window_view(one.x, system.moments.taps, axis=(2, 3, 4))
        n, z, r, c = at
        p = windows[n, :, z, r, c].reshape(len(n), -1).astype(np.float64) - _mean_window(system)
        w = np.ones(len(n)) if one.weights is None else one.weights[n, z, r, c].astype(np.float64)
        leverage.append(w * ((p @ bread) * p).sum(axis=1))
        squares.append(w[:, np.newaxis] * errors[n, :, z, r, c].astype(np.float64) ** 2)
    h, e = np.concatenate(leverage), np.concatenate(squares)
    if len(h) < 2 or h.mean() <= 0 or not (e.mean(axis=0) > 0).all():
        return Unevenness(1.0, np.inf)
    h = h / h.mean()
    e = e / e.mean(axis=0)
    ratio = float((h[:, np.newaxis] * e).mean())
    # were they independent, the mean of h e would spread like this around 1
    error = float(np.sqrt(e.var() * h.var() / (len(h) * e.shape[1])))
    return Unevenness(ratio, error if error > 0 else np.inf)


def correlation_inflation(
    system: System, ridge: float, data: list[Pair], residuals: list[np.ndarray], threads: int | None
) -> float:
    """The same ratio for noise that is correlated between neighbours, as the spectrum of the residual says."""
    if any(one.weights is not None for one in data) or not system.rank:
        return 1.0
    meat = hac_meat(system, data, residuals, threads)
    variance = sum(float(np.nansum(np.square(errors, dtype=np.float64))) for errors in residuals)
    each = variance / max(1, system.moments.count)  # added up over results, as the meat is below
    return float((system.bread(ridge) * meat.sum(axis=0)).sum() / (each * system.rank)) if each > 0 else 1.0


def _sample(errors: np.ndarray, share: int) -> tuple[np.ndarray, ...]:
    """Places (image, plane, row, column) of outputs that are used, the same at every call."""
    shape = (len(errors), *errors.shape[2:])
    size = int(np.prod(shape))
    if size <= 2 * share:
        chosen = np.arange(size)
    else:
        chosen = np.random.default_rng(0).integers(0, size, 2 * share)
    places = np.unravel_index(chosen, shape)
    n, z, r, c = places
    used = np.isfinite(errors[n, :, z, r, c]).all(axis=1)
    if np.count_nonzero(used) < min(share, size) // 2:  # most are masked: those that are left, one by one
        places = np.nonzero(np.isfinite(errors).all(axis=1))
        step = max(1, len(places[0]) // share)
        return tuple(index[::step] for index in places)
    return tuple(index[used][:share] for index in places)


def _mean_window(system: System) -> np.ndarray:
    of = system.moments
    size = len(of.gram) // of.channels
    if not system.background:
        return np.zeros(len(of.gram))
    found: np.ndarray = np.repeat(of.before, size) + of.seen / of.weight
    return found
