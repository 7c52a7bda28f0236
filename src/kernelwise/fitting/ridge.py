"""How strongly to damp a kernel that the images do not determine: generalised cross-validation.

Golub, Heath and Wahba, "Generalized cross-validation as a method for choosing a good ridge parameter", Technometrics 21
(1979). Along the eigenvectors of the Gram matrix every quantity is a sum, so a hundred ridges cost less than one solve.
"""

from __future__ import annotations

import numpy as np

from .system import System

RIDGES = 141  # tried, evenly on a logarithmic scale
SMALLEST, LARGEST = 1e-14, 1e-0  # of the largest eigenvalue


def choose_ridge(system: System) -> float:
    """The ridge whose kernel would predict outputs that were left out best, as estimated from all of them."""
    values = system.eigenvalues
    if not system.rank:
        return 0.0
    tried = np.append(0.0, values[-1] * np.geomspace(SMALLEST, LARGEST, RIDGES))
    return float(tried[np.argmin(prediction_errors(system, tried))])


def prediction_errors(system: System, ridges: np.ndarray) -> np.ndarray:
    """(len(ridges),) the estimate, added up over results, each in units of its own least squared error."""
    n, known = system.moments.count, system.known
    values, z = system.eigenvalues[known], system.projected[known]
    damped = values + ridges[:, np.newaxis]
    freedom = system.background + (values / damped).sum(axis=1)
    gram, right, squares = system.centred
    base = squares - 2 * (system.base * right).sum(axis=0) + (system.base * (gram @ system.base)).sum(axis=0)
    least = np.maximum(base - (z**2 / values[:, np.newaxis]).sum(axis=0), 1e-12 * base + np.finfo(float).tiny)
    rise = ((ridges[:, np.newaxis] / damped) ** 2 / values) @ z**2  # (ridges, m): above the least
    errors: np.ndarray = ((least + rise) / least).sum(axis=1) * n / np.maximum(n - freedom, 1e-9) ** 2
    return errors
