"""Plan + arrays -> output."""

from __future__ import annotations

import numpy as np

from .algorithms import reference
from .arrays import convert
from .plan import Plan


def run(plan: Plan, x: np.ndarray, out: np.ndarray, threads: int) -> np.ndarray:
    out[...] = convert(reference.correlate(plan.problem, x), plan.problem.result)
    return out
