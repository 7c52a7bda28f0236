"""From sums to a kernel: the ridge, the residual, the error bars and the findings."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ArgumentError
from .constraints import free_directions, nearest
from .diagnosis import Findings, notes
from .moments import Moments
from .nonnegative import nonnegative_kernel
from .options import Options
from .pairs import Pair
from .residual import autocorrelation, residual_images, squared_residuals
from .result import KernelFit, SizeCurve
from .ridge import choose_ridge
from .system import System, without_noise
from .uncertainty import hac_covariance, robust_covariance, white_covariance

UNCERTAIN = 0.1  # of the largest tap: error bars from which on a ridge is chosen, where none was asked for


def estimate(
    known: Moments, data: list[Pair], chosen: Options, curve: SizeCurve | None, same: bool
) -> tuple[KernelFit, Findings]:
    """``known``: the sums over all outputs of ``data``, the pairs as the kernel sees them; no data if they are gone."""
    system = normal_equations(known, chosen)
    ridge = _ridge(system, chosen)
    kernel = nonnegative_kernel(system, ridge) if chosen.nonnegative else system.kernel(ridge)
    offset = system.offset(kernel)
    shaped = kernel.T.reshape(known.outputs, known.channels, *known.taps)
    residuals = [residual_images(one, shaped, offset, chosen.threads) for one in data]
    if data:
        parts = [squared_residuals(e, one.weights, chosen.threads) for e, one in zip(residuals, data, strict=True)]
        squares = np.sum(parts, axis=0)
    else:
        squares = system.squared_errors(kernel)
    variance = squares / max(1e-300, known.count - system.freedom(ridge))
    covariance = _covariance(system, ridge, variance, data, residuals, chosen)
    correlation = autocorrelation(residuals, chosen.threads) if data else None
    found = Findings(
        system, ridge, chosen.ridge is not None, shaped, covariance, np.sqrt(variance), data, residuals, correlation,
        chosen.errors, chosen.x_noise, curve, chosen.layout.dims, chosen.threads,
    )  # fmt: skip
    total = system.centred[2]
    lone, size = not chosen.layout.channels, chosen.layout.size(known.taps)

    def told(values: np.ndarray) -> Any:
        """Of each result; a plain number where there is one."""
        return float(values[0]) if lone else values

    def like_kernel(values: np.ndarray) -> np.ndarray:
        return values.reshape(size if lone else (known.outputs, known.channels, *size))

    fit = KernelFit(
        kernel=like_kernel(shaped),
        background=told(offset),
        stderr=like_kernel(np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))),
        covariance=covariance[0] if lone else covariance,
        sigma=told(np.sqrt(variance)),
        r2=told(1 - np.divide(squares, total, out=np.full_like(total, np.nan), where=total > 0)),
        outputs=known.count,
        rank=system.rank,
        condition=system.condition,
        freedom=system.freedom(ridge),
        ridge=ridge / known.weight,
        errors=chosen.errors,
        undetermined=system.directions[:, ~system.known].T.reshape(-1, *(() if lone else (known.channels,)), *size),
        size_curve=curve,
        residuals=tuple(chosen.layout.given(one) for one in residuals),
        autocorrelation=None if correlation is None else correlation.reshape(correlation.shape[-chosen.layout.dims :]),
        notes=notes(found),
        same=same,
        channels=chosen.layout.channels,
    )
    return fit, found


def normal_equations(known: Moments, chosen: Options) -> System:
    """With the constraints, the prior, and the noise of the images before taken out."""
    size = int(np.prod(known.taps))
    along = free_directions(known.channels, known.taps, chosen.symmetric, chosen.sum_to is not None)
    known, doubtful = without_noise(known, chosen.x_noise)
    prior = _prior(chosen, known, size)
    return System(known, chosen.background, nearest(along, prior, chosen.sum_to), along, doubtful=doubtful)


def _prior(chosen: Options, known: Moments, size: int) -> np.ndarray:
    wanted = (known.outputs, known.channels, *known.taps)
    if chosen.prior is None:
        return np.zeros((known.channels * size, known.outputs))
    shape = (known.outputs, known.channels) if chosen.layout.channels else ()
    shape = (*shape, *chosen.layout.size(known.taps))
    if chosen.prior.shape != shape:
        raise ArgumentError(f"`prior` must have the kernel's shape, {shape} (got {chosen.prior.shape})")
    found: np.ndarray = chosen.prior.reshape(wanted).reshape(known.outputs, -1).T
    return found


def _ridge(system: System, chosen: Options) -> float:
    """What is added to the Gram matrix: none where the images determine every direction well enough."""
    if chosen.ridge is not None:
        return chosen.ridge * system.moments.weight
    if system.rank == system.known.size:
        kernel = system.kernel()
        variance = system.squared_errors(kernel) / max(1.0, system.moments.count - system.freedom())
        longest = np.sqrt(variance * np.diag(system.covariance()).max())
        if (longest < UNCERTAIN * np.abs(kernel).max(axis=0)).all():
            return 0.0
    return choose_ridge(system)


def _covariance(
    system: System, ridge: float, variance: np.ndarray, data: list[Pair], residuals: list[np.ndarray], chosen: Options
) -> np.ndarray:
    if chosen.errors == "white" and not (chosen.x_noise and data):
        return white_covariance(system, ridge, variance)
    if chosen.errors == "robust" and not chosen.x_noise:
        return robust_covariance(system, ridge, data, residuals, chosen.threads)
    # noise in the images before reaches all outputs around it, so theirs is correlated
    if any(one.weights is not None for one in data):
        raise ArgumentError("`errors` must be 'white' or 'robust' where there are `weights` (got 'hac')")
    return hac_covariance(system, ridge, data, residuals, chosen.threads)
