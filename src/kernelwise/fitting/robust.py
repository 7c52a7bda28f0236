"""Descent on losses that outliers cannot rule, by reweighting: Huber's, and the absolute error.

Huber, "Robust estimation of a location parameter", Ann. Math. Statist. 35 (1964). A loss rho(e) has the slope of
w * e^2 with w = rho'(e) / (2 e), so wherever descent stands, its next step is one on weighted squares.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .learned import LearnedKernel
from .pairs import Pair
from .quadratic import Bowl
from .residual import residuals
from .steps import Film, descend
from .sums import Sums
from .weighted import weighted_moments

LOSSES = ("squared", "huber", "l1")
ROUNDS = 20  # times that weights are taken anew
SHARES = {"huber": 1.345, "l1": 0.01}  # of the spread, where delta is not given: 95 % efficient; nearly the corner
SPREAD = 1.4826  # median of absolute errors -> standard deviation of normal ones


@dataclass(frozen=True)
class Rule:
    """Which loss, and the error at which it turns from a square into a line; None: chosen from the errors."""

    loss: str
    delta: float | None

    def turning(self, errors: np.ndarray) -> float:
        """delta, for errors that are as they are at the start of a round."""
        if self.delta is not None:
            return self.delta
        spread = SPREAD * float(np.median(np.abs(errors)))
        return SHARES[self.loss] * spread or float(np.finfo(float).tiny)

    def weights(self, errors: np.ndarray, delta: float) -> np.ndarray:
        """Of squared errors: 1 up to delta, and delta / |e| beyond."""
        found: np.ndarray = delta / np.maximum(np.abs(errors), delta)
        return found if self.loss == "huber" else found / (2 * delta)

    def total(self, errors: np.ndarray, delta: float) -> float:
        """sum of e^2 up to delta and of 2 delta |e| - delta^2 beyond; for "l1" divided by 2 delta: nearly |e|."""
        size = np.abs(errors)
        values = np.where(size <= delta, errors**2, 2 * delta * size - delta**2)
        return float(values.sum()) / (1.0 if self.loss == "huber" else 2 * delta)


def learn(
    pair: Pair,
    size: tuple[int, int],
    start: np.ndarray,
    bias: bool,
    rule: Rule,
    rate: float | None,
    steps: int,
    film: Film,
    threads: int | None,
) -> LearnedKernel:
    """As `learn_kernel`; ``pair``: of one channel and one plane; ``start``: taps, then the bias if there is one."""
    k, losses, notes, used = start, [], [], 0.0
    first = lowest = None
    delta = rule.turning(_errors(pair, k, size, threads)) if rule.delta is not None else None
    for done, following in _stretches(steps):
        errors = _errors(pair, k, size, threads)
        turn = rule.turning(errors) if delta is None else delta
        bowl = Bowl(_sums(pair, size, bias, rule.weights(errors, turn), threads), k)
        used = bowl.best_rate(steps) if rate is None else rate
        start_loss, height = rule.total(errors, turn), bowl.height(k)
        k, heights = descend(bowl, used, following, film, done)
        # the squares lie above the loss and touch it where the weights were taken
        losses.append(start_loss - height + heights)
        first = start_loss if first is None else first
        lowest = bowl
        if len(heights) < following:
            notes.append(f"Descent stopped at step {done + len(heights)} of {steps}, before the numbers overflowed.")
            break
    assert lowest is not None
    assert first is not None
    errors = _errors(pair, k, size, threads)
    turn = rule.turning(errors) if delta is None else delta
    best = rule.total(_errors(pair, lowest.lowest, size, threads), turn)
    loss = rule.total(errors, turn)
    return LearnedKernel(
        kernel=k[: size[0] * size[1]].reshape(size),
        bias=float(k[-1]) if bias else None,
        losses=np.concatenate(losses),
        loss=loss,
        learning_rate=used,
        condition=lowest.condition,
        remaining=max(0.0, loss - best) / (first - best) if first > best else 0.0,
        frames=film.kernels(size),
        frame_steps=film.steps,
        notes=(*notes, f"The loss is {rule.loss}, with delta {turn:.3g} at the end."),
    )


def _stretches(steps: int) -> list[tuple[int, int]]:
    """(steps before, steps) of each round."""
    ends = np.unique(np.linspace(0, steps, min(ROUNDS, steps) + 1).round().astype(int))
    return [(int(a), int(b - a)) for a, b in zip(ends[:-1], ends[1:], strict=True)]


def _errors(pair: Pair, k: np.ndarray, size: tuple[int, int], threads: int | None) -> np.ndarray:
    """(n, windows down, windows across)"""
    taps = size[0] * size[1]
    kernel = k[:taps].reshape(1, 1, 1, *size)
    found = np.empty((len(pair.y), *pair.y.shape[3:]))
    for n, top, error in residuals(pair, kernel, np.array([k[taps:].sum()]), threads):
        found[n, top : top + error.shape[2]] = error[0, 0]
    return found


def _sums(pair: Pair, size: tuple[int, int], bias: bool, weights: np.ndarray, threads: int | None) -> Sums:
    zero = np.zeros(1)
    heavy = replace(pair, weights=weights[:, np.newaxis], used=np.ones((len(weights), 1, *weights.shape[1:]), bool))
    found = weighted_moments(heavy, (1, *size), zero, zero, threads)
    gram, right = found.gram, found.right[:, 0]
    if bias:
        gram = np.block([[gram, found.seen[:, np.newaxis]], [found.seen, np.float64(found.weight)]])
        right = np.append(right, found.total)
    return Sums(gram, right, float(found.squares[0]), pair.y.size)
