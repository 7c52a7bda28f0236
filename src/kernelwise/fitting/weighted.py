"""The sums where every output has a weight of its own."""

from __future__ import annotations

import numpy as np

from ..algorithms.weighted_windows import weighted_windows
from .moments import Moments, of_products
from .pairs import Pair
from .windows import Taps


def weighted_moments(pair: Pair, taps: Taps, before: np.ndarray, after: np.ndarray, threads: int | None) -> Moments:
    """``pair`` with finite images, ``weights`` and ``used``."""
    assert pair.weights is not None
    weights = pair.weights if pair.used is None else np.where(pair.used, pair.weights, 0)
    found = weighted_windows(pair.x, pair.y, weights, taps, before, after, threads)
    return of_products(found, taps, before, after, int(np.count_nonzero(weights)))
