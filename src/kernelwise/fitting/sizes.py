"""How large the kernel should be: kernels of all sizes from one set of sums, over the same outputs, compared."""

from __future__ import annotations

from typing import Any

import numpy as np

from .constraints import free_directions, nearest
from .moments import Moments
from .result import SizeCurve
from .system import System
from .windows import Taps

EXACT = 1e-12  # of the variance: squared errors below are rounding, and of all sizes that reach it the smallest is best


def candidates(most: Taps) -> list[Taps]:
    """Odd sizes up to the largest, which is one of them whatever it is; axes that are full stay so."""
    found: list[Any] = [tuple(min(k, n) for n in most) for k in range(1, max(most) + 1, 2)]
    return list(dict.fromkeys([*found, most]))


def size_curve(moments: Moments, background: bool, dims: int) -> SizeCurve:
    """The criteria of Akaike and of Schwarz (Bayes) for Gaussian errors, each size fitted without a ridge."""
    sizes = candidates(moments.taps)
    n = moments.count
    logs, parameters = np.empty(len(sizes)), np.empty(len(sizes))
    for i, taps in enumerate(sizes):
        system = unconstrained(moments.within(taps), background)
        left = system.squared_errors(system.kernel())
        least = EXACT * system.centred[2] + np.finfo(float).tiny
        logs[i] = n * np.log(np.maximum(left, least) / n).sum()
        parameters[i] = (system.freedom() + 1) * moments.outputs
    criteria = {"aic": logs + 2 * parameters, "bic": logs + np.log(n) * parameters}
    chosen = sizes[int(np.argmin(criteria["bic"]))]
    named = tuple(taps[3 - dims :] for taps in sizes)
    return SizeCurve(named, criteria, "bic", chosen[3 - dims :])


def unconstrained(moments: Moments, background: bool) -> System:
    along = free_directions(moments.channels, moments.taps, None, False)
    return System(moments, background, nearest(along, np.zeros((len(along), moments.outputs)), None), along)
