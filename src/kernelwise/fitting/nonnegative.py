"""Kernels without a negative tap: least squares by active sets, on the sums.

Lawson and Hanson, "Solving Least Squares Problems" (1974), chapter 23, in the form that needs the Gram matrix alone:
Bro and de Jong, "A fast non-negativity-constrained least squares algorithm", J. Chemometrics 11 (1997).
"""

from __future__ import annotations

import numpy as np

from ..errors import ArgumentError
from .system import System


def nonnegative_kernel(system: System, ridge: float) -> np.ndarray:
    """(P, m): the best kernel whose taps are all at least 0. Constraints other than this one are refused."""
    gram, right, _ = system.centred
    if system.along.shape[0] != system.along.shape[1]:
        raise ArgumentError("`nonnegative` must be False where `symmetric` or `sum_to` is given (got True)")
    damped = gram + (ridge + system.floor) * np.eye(len(gram))
    drawn = right + ridge * system.base
    return np.stack([_solve(damped, column) for column in drawn.T], axis=1)


def _solve(gram: np.ndarray, right: np.ndarray) -> np.ndarray:
    k, free = np.zeros(len(right)), np.zeros(len(right), bool)
    tolerance = 1e-13 * np.abs(right).max(initial=0.0)
    for _ in range(3 * len(right) + 10):
        slope = right - gram @ k
        slope[free] = -np.inf
        best = int(np.argmax(slope))
        if slope[best] <= tolerance:
            break
        free[best] = True
        while True:
            wanted = np.zeros_like(k)
            wanted[free] = np.linalg.solve(gram[np.ix_(free, free)], right[free])
            low = free & (wanted <= 0)
            if not low.any():
                k = wanted
                break
            share = float(np.min(k[low] / (k[low] - wanted[low])))
            k = k + share * (wanted - k)
            free &= k > tolerance * 1e-3
            k[~free] = 0
    return k
