"""A claim: a sentence that the tour says, and whether it held in this run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Claim:
    """`text` is what is said, `holds` whether the numbers of this run bear it out, `found` what they were."""

    text: str
    holds: bool
    found: str


def equal(text: str, got: Any, expected: Any) -> Claim:
    """Claim that two arrays are the same, shape and every value.

    >>> equal("the sum is 3", np.array([1 + 2]), [3]).holds
    True
    """
    got, expected = np.asarray(got), np.asarray(expected)
    if got.shape != expected.shape:
        return Claim(text, False, f"shape {got.shape} beside {expected.shape}")
    different = np.argwhere(got != expected)
    if not len(different):
        return Claim(text, True, f"{got.size} values")
    first = tuple(different[0].tolist())
    return Claim(text, False, f"{len(different)} of {got.size} differ, first {got[first]} beside {expected[first]}")


def close(text: str, got: Any, expected: Any, within: float) -> Claim:
    """Claim that no value of `got` is further than `within` from the one in `expected`; NaN is far from everything."""
    got, expected = np.asarray(got, np.float64), np.asarray(expected, np.float64)
    if got.shape != expected.shape:
        return Claim(text, False, f"shape {got.shape} beside {expected.shape}")
    distance = float(np.max(np.abs(got - expected), initial=0.0))
    return Claim(text, distance <= within, f"largest distance {distance:.3g}, allowed {within:.3g}")


def falling(text: str, values: Any, floor: float = 0.0) -> Claim:
    """Claim that every value is smaller than the one before it, or that both are at or below `floor`.

    >>> falling("it falls", [3, 2, 2.5]).holds
    False
    >>> falling("it falls to rounding", [3, 1e-9, 2e-9], floor=1e-8).holds
    True
    """
    values = np.asarray(values, np.float64)
    arrived = (values[1:] <= floor) & (values[:-1] <= floor)
    holds = len(values) > 1 and bool(np.all((np.diff(values) < 0) | arrived))
    return Claim(text, holds, ", ".join(f"{value:.6g}" for value in values))
