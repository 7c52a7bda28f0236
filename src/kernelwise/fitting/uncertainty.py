"""How uncertain a fitted kernel is: the covariance of its taps under three beliefs about the noise.

The kernel is bread @ (sum of p * y), so its covariance is bread @ meat @ bread, the meat being the covariance of that
sum (White, Econometrica 48, 1980; Newey and West, Econometrica 55, 1987):

    white    sigma^2 times the Gram matrix
    robust   sum of e^2 p p': each output has a variance of its own
    hac      sum over pairs of outputs of c(p, q) p q', c the noise's covariance, which is the same everywhere
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .. import correlation
from .pairs import Pair
from .spectrum import noise_filter
from .system import System
from .weighted import weighted_moments
from .windows import How, window_products, window_sums


def white_covariance(system: System, ridge: float, variance: np.ndarray) -> np.ndarray:
    """(m, P, P), from the variance of each result (m,)."""
    found: np.ndarray = variance[:, np.newaxis, np.newaxis] * system.covariance(ridge)
    return found


def robust_covariance(
    system: System, ridge: float, data: list[Pair], residuals: list[np.ndarray], threads: int | None
) -> np.ndarray:
    """(m, P, P); residuals: (n, m, planes, rows, columns) for each of the data."""
    of = system.moments
    bread = system.bread(ridge)
    spared = of.count / max(1.0, of.count - system.freedom(ridge))  # parameters that the errors have been fitted with
    found: np.ndarray = spared * bread @ robust_meat(system, data, residuals, threads) @ bread
    return found


def robust_meat(system: System, data: list[Pair], residuals: list[np.ndarray], threads: int | None) -> np.ndarray:
    """(m, P, P): the sum of w^2 e^2 p p' over all outputs, windows measured from the mean window."""
    of, found = system.moments, []
    for m in range(of.outputs):
        meat = np.zeros_like(of.gram)
        for one, errors in zip(data, residuals, strict=True):
            e = np.nan_to_num(errors[:, m].astype(np.float64))
            weight = e**2 if one.weights is None else (e * one.weights) ** 2
            pair = replace(one, y=one.y[:, :1], weights=weight, used=np.isfinite(errors[:, m]))
            x = np.where(np.isfinite(one.x), one.x, 0) if one.x.dtype.kind == "f" else one.x
            scores = weighted_moments(replace(pair, x=x), of.taps, of.before, of.after[:1], threads)
            meat += _about_the_mean(scores.gram, scores.seen, scores.weight, system)
        found.append(meat)
    return np.array(found)


def hac_covariance(
    system: System, ridge: float, data: list[Pair], residuals: list[np.ndarray], threads: int | None
) -> np.ndarray:
    """(m, P, P). Noise with the spectrum of the residual is white noise through a filter; its sum with the images is
    that of white noise with the filtered images, so the meat is a Gram matrix again, and never negative."""
    of = system.moments
    bread = system.bread(ridge)
    spared = of.count / max(1.0, of.count - system.freedom(ridge))
    found: np.ndarray = spared * bread @ hac_meat(system, data, residuals, threads) @ bread
    return found


def hac_meat(system: System, data: list[Pair], residuals: list[np.ndarray], threads: int | None) -> np.ndarray:
    """(m, P, P): the sum of c(p, q) p q' over all pairs of outputs, c from the residual's spectrum."""
    of, found = system.moments, []
    for m in range(of.outputs):
        meat = np.zeros_like(of.gram)
        for one, errors in zip(data, residuals, strict=True):
            taps = noise_filter(errors[:, m])
            used = np.isfinite(errors[:, m])
            meat += used.mean() * _filtered_gram(one.x, taps, system, threads)
        found.append(meat)
    return np.array(found)


def _filtered_gram(x: np.ndarray, taps: np.ndarray, system: System, threads: int | None) -> np.ndarray:
    of = system.moments
    middle = of.before if system.background else np.zeros(of.channels)
    centred = x.astype(np.float64) - middle[:, np.newaxis, np.newaxis, np.newaxis]
    centred[~np.isfinite(centred)] = 0
    smooth = correlation.correlate(centred, taps, axes=(2, 3, 4), border="reflect", threads=threads)
    size = of.gram.shape[0]
    gram = window_products(smooth, of.taps, How(threads=threads)).reshape(size, size)
    if not system.background:
        return gram
    seen = window_sums(smooth, of.taps).ravel()
    count = len(x) * int(np.prod([n - k + 1 for n, k in zip(x.shape[2:], of.taps, strict=True)]))
    found: np.ndarray = gram - np.outer(seen, seen) / count
    return found


def _about_the_mean(gram: np.ndarray, seen: np.ndarray, weight: float, system: System) -> np.ndarray:
    """Sums over windows less the mean window, which is what a background leaves of them."""
    if not system.background:
        return gram
    mean = system.moments.seen / system.moments.weight
    cross = np.outer(seen, mean)
    found: np.ndarray = gram - cross - cross.T + weight * np.outer(mean, mean)
    return found
