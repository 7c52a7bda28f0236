"""How large the kernel should be: kernels of all sizes from one set of sums, over the same outputs, compared.

aic         Akaike's criterion: n log(RSS / n) + 2 parameters
bic         Schwarz's, of Bayes: n log(RSS / n) + log(n) parameters
takeuchi    Akaike's with tr(Gram^-1 meat) / sigma^2 parameters, which are more where errors are larger where the
            images have more structure (Takeuchi, Suri-Kagaku 153, 1976)
cv          n log(squared errors of outputs that were left out / n): bands of the images in turn, so that it holds
            for correlated noise as well (Stone, J. Royal Statist. Soc. B 36, 1974)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from .constraints import free_directions, nearest
from .moments import Moments
from .result import SizeCurve
from .system import System, without_noise
from .windows import Taps

EXACT = 1e-12  # of the variance: squared errors below are rounding, and of all sizes that reach it the smallest is best


def candidates(most: Taps) -> list[Taps]:
    """Odd sizes up to the largest, which is one of them whatever it is; axes that are full stay so."""
    found: list[Any] = [tuple(min(k, n) for n in most) for k in range(1, max(most) + 1, 2)]
    return list(dict.fromkeys([*found, most]))


def size_curve(
    moments: Moments,
    background: bool,
    dims: int,
    *,
    by: str = "bic",
    x_noise: float = 0.0,
    meat: np.ndarray | None = None,
    folds: Sequence[Moments] = (),
) -> SizeCurve:
    """The criteria for Gaussian errors, each size fitted without a ridge. ``meat`` (m, P, P): of the largest size, for
    Takeuchi's. ``folds``: the sums of parts of the images, which cross-validation leaves out in turn."""
    sizes = candidates(moments.taps)
    n = moments.count
    logs, parameters = np.empty(len(sizes)), np.empty(len(sizes))
    variance, spent = np.ones(moments.outputs), np.empty(len(sizes))
    for i in reversed(range(len(sizes))):  # the variance that Takeuchi's needs is that of the largest
        system = unconstrained(moments.within(sizes[i]), background, x_noise)
        left = np.maximum(system.squared_errors(system.kernel()), _least(system))
        logs[i] = n * np.log(left / n).sum()
        parameters[i] = (system.freedom() + 1) * moments.outputs
        if meat is not None:
            if i == len(sizes) - 1:
                variance = left / max(1.0, n - system.freedom())
            spent[i] = parameters[i] + _misfit(moments, sizes[i], system, meat, variance)
    criteria = {"aic": logs + 2 * parameters, "bic": logs + np.log(n) * parameters}
    if meat is not None:
        criteria["takeuchi"] = logs + 2 * spent
    if folds:
        criteria["cv"] = np.array([_left_out(folds, taps, background, x_noise) for taps in sizes])
    chosen = sizes[int(np.argmin(criteria[by]))]
    named = tuple(taps[3 - dims :] for taps in sizes)
    return SizeCurve(named, criteria, by, chosen[3 - dims :])


def unconstrained(moments: Moments, background: bool, x_noise: float = 0.0) -> System:
    known, doubtful = without_noise(moments, x_noise)
    along = free_directions(known.channels, known.taps, None, False)
    base = nearest(along, np.zeros((len(along), known.outputs)), None)
    return System(known, background, base, along, doubtful=doubtful)


def _least(system: System) -> np.ndarray:
    found: np.ndarray = EXACT * system.centred[2] + np.finfo(float).tiny
    return found


def _misfit(moments: Moments, taps: Taps, system: System, meat: np.ndarray, variance: np.ndarray) -> float:
    """tr(Gram^-1 meat) / sigma^2 less the parameters that there are, added up over results."""
    bread, found = system.bread(), 0.0
    for of, sigma2 in zip(meat, variance, strict=True):
        inner = replace(moments, gram=of).within(taps).gram
        found += float((bread * inner).sum() / sigma2) - system.rank
    return found


def _left_out(folds: Sequence[Moments], taps: Taps, background: bool, x_noise: float) -> float:
    """n log(error / n), added up over results; infinite where too little is left to fit."""
    parts = [fold.within(taps) for fold in folds]
    total, weight, count = np.zeros(parts[0].outputs), 0.0, 0
    least: Any = 0.0
    for i, part in enumerate(parts):
        rest = reduce(add, (other for j, other in enumerate(parts) if j != i))
        system = unconstrained(rest, background, x_noise)
        if rest.count <= system.freedom():
            return np.inf
        kernel = system.kernel()
        seen, _ = without_noise(part, x_noise)
        total += _squares(seen.measured_from(rest.before, rest.after), kernel, system, background)
        least, weight, count = least + _least(system) / (len(parts) - 1), weight + part.weight, count + part.count
    return float(count * np.log(np.maximum(total, least) / count).sum())


def _squares(part: Moments, kernel: np.ndarray, system: System, background: bool) -> np.ndarray:
    """(m,): the weighted squared errors that a kernel, with the background that it was fitted with, leaves there."""
    if not background:
        part = part.measured_from(np.zeros(part.channels), np.zeros(part.outputs))
        constant = np.zeros(part.outputs)
    else:
        of = system.moments
        constant = (of.total - of.seen @ kernel) / of.weight
    found: np.ndarray = (
        part.squares
        - 2 * (kernel * part.right).sum(axis=0)
        + (kernel * (part.gram @ kernel)).sum(axis=0)
        - 2 * constant * (part.total - part.seen @ kernel)
        + part.weight * constant**2
    )
    return found
