"""The fit of the size that suits the data best, by the criterion asked for or by one that suits their noise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..errors import ArgumentError
from .diagnosis import Findings, doubtful
from .estimate import estimate
from .folds import folds
from .moments import Moments
from .options import Options
from .pairs import Pair
from .residual import residual_images
from .result import KernelFit, SizeCurve
from .sizes import size_curve, unconstrained
from .uncertainty import robust_meat
from .windows import Taps


def fit_of_best_size(known: Moments, data: list[Pair], chosen: Options, same: bool) -> KernelFit:
    """``known``: the sums for the largest size, over ``data``, the pairs as it sees them."""
    automatic = chosen.criterion == "auto"
    curve = _curve(known, data, chosen, "bic" if automatic else chosen.criterion)
    fit, found = _fit(known, data, chosen, curve, same)
    if not (automatic and doubtful(found)):
        return fit
    parts = folds(data, known.taps, known, chosen.threads)
    if len(parts) < 2:
        return fit
    other = size_curve(known, chosen.background, chosen.layout.dims, by="cv", x_noise=chosen.x_noise, folds=parts)
    if other.chosen == curve.chosen:
        return replace(fit, size_curve=other)
    return _fit(known, data, chosen, other, same)[0]


def _fit(known: Moments, data: list[Pair], chosen: Options, curve: SizeCurve, same: bool) -> tuple[KernelFit, Findings]:
    taps = chosen.layout.taps(curve.chosen)
    smaller = [_narrowed(one, known.taps, taps) for one in data]
    return estimate(known.within(taps), smaller, chosen, curve, same)


def _curve(known: Moments, data: list[Pair], chosen: Options, by: str) -> SizeCurve:
    extra: dict[str, Any] = {}
    if by == "takeuchi":
        system = unconstrained(known, chosen.background, chosen.x_noise)
        kernel = system.kernel()
        shaped = kernel.T.reshape(known.outputs, known.channels, *known.taps)
        residuals = [residual_images(one, shaped, system.offset(kernel), chosen.threads) for one in data]
        extra["meat"] = robust_meat(system, data, residuals, chosen.threads)
    elif by == "cv":
        extra["folds"] = folds(data, known.taps, known, chosen.threads)
        if len(extra["folds"]) < 2:
            raise ArgumentError("`criterion` must not be 'cv' where outputs lie in one band of the images")
    return size_curve(known, chosen.background, chosen.layout.dims, by=by, x_noise=chosen.x_noise, **extra)


def _narrowed(one: Pair, taps: Taps, smaller: Taps) -> Pair:
    """The same outputs, with what a smaller kernel sees of the image."""
    cut: Any = [
        slice(k // 2 - s // 2, k // 2 - s // 2 + n + s - 1)
        for k, s, n in zip(taps, smaller, one.y.shape[2:], strict=True)
    ]
    return Pair(one.x[(..., *cut)], one.y, one.used, one.weights, one.offset)
