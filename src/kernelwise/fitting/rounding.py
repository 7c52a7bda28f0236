"""What the rounding of the images after may have done to a kernel.

Rounding errors count as noise where there is other noise to blur them. Where there is none they repeat with the image
(a flat area is rounded to one side everywhere), and no error bar knows of that. So what the kernel predicts is rounded
as the images were, once for each of several backgrounds, and the kernels of the rounding errors are looked at.
"""

from __future__ import annotations

import numpy as np

from .pairs import Pair
from .system import System
from .windows import How, window_matches

OFFSETS = (0.05, 0.3, 0.55, 0.8)  # of a step: as many cases as there are backgrounds
BLURRED = 0.5  # of a step: residuals from which on rounding is noise like other noise
EXACT = 1e-6  # of a step
SAMPLE = 4096  # pixels that are looked at for whether they are whole numbers


def step_of(y: np.ndarray) -> float:
    """How far numbers of the images after lie apart: 1 for whole numbers, else what the dtype can tell apart at the
    largest of them. 0 for float64 that are not whole: nothing to speak of."""
    if y.dtype.kind in "biu":
        return 1.0
    some = y.reshape(-1)[:: max(1, y.size // SAMPLE)]
    some = some[np.isfinite(some)]
    if not some.size:
        return 0.0
    whole = float((some == np.rint(some)).all() and np.ptp(some) > 0)
    largest = some[np.argmax(np.abs(some))]
    return max(whole, float(np.spacing(np.abs(largest))) if y.dtype.itemsize < 8 else 0.0)


def rounding_errors(
    system: System, ridge: float, data: list[Pair], residuals: list[np.ndarray], sigma: np.ndarray, threads: int | None
) -> np.ndarray | None:
    """(m, P): how far rounding may have moved each tap; None where the residual is larger than it explains."""
    steps = [step_of(one.y) for one in data]
    step = max(steps)
    if step == 0 or (sigma > BLURRED * step).all():
        return None
    if all(one.y.dtype == np.float64 for one in data) and (sigma < EXACT * step).all():
        return None  # whole numbers that were computed, not stored
    bread, of = system.bread(ridge), system.moments
    # were they noise, they would move taps by this much; where they repeat, offsets show it
    moved = np.tile(step / np.sqrt(12) * np.sqrt(np.diag(system.covariance(ridge))), (of.outputs, 1))
    for offset in OFFSETS:
        right, total = np.zeros_like(of.right), np.zeros_like(of.total)
        for one, errors, each in zip(data, residuals, steps, strict=True):
            if each == 0:
                continue
            predicted = one.y.astype(np.float64) / each - errors / each + offset
            wrong = np.where(np.isfinite(errors), each * (np.rint(predicted) - predicted), 0)
            x = one.x if one.x.dtype.kind != "f" else np.where(np.isfinite(one.x), one.x, 0)
            weighted = wrong if one.weights is None else wrong * one.weights[:, np.newaxis]
            centred = x.astype(np.float64) - of.before[:, np.newaxis, np.newaxis, np.newaxis]
            found = window_matches(weighted, centred, of.taps, How(threads=threads))
            right += found.reshape(of.outputs, -1).T
            total += weighted.sum(axis=(0, 2, 3, 4))
        if system.background:
            right -= np.outer(of.seen, total) / of.weight
        moved = np.maximum(moved, np.abs(bread @ right).T)
    return moved
