"""What can be wrong with a fit, looked for in what it leaves unexplained. Each finding is a sentence with a remedy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..lazy import lazy
from .inflation import Unevenness, correlation_inflation, unevenness
from .pairs import Pair
from .result import SizeCurve
from .ring import ring_around
from .rounding import rounding_errors
from .shifts import strongest_shift
from .spectrum import power_spectrum
from .system import System

CORRELATED = 0.05  # between neighbouring residuals
UNEVEN, SURE = 1.3, 6.0  # ratio of variances; standard errors
ROUNDED, VISIBLE = 3.0, 0.02  # by which rounding moves a tap: in standard errors, and of the largest tap
RING = 4.0  # standard deviations of a chi-square above its mean
LEAST_PEAK = 9.0  # of phase correlation, in standard deviations of its surface
LEAST_GAIN, SOME_GAIN = 1e-4, 1e-2  # of the squared errors; where something else may explain it too
FEW, LEAST_LEFT = 3.0, 8.0  # outputs for each parameter, where errors differ; and more of them than parameters
LOST = 50.0  # times condition and rounding unit: what sums and a solve may lose
CLIPPED = 20  # pixels at the very end of the scale
NOISE = 6.0  # standard errors
HARM = 0.01  # by which such noise shortens the kernel in the worst direction
ROUNDING = 4.0  # units in the last place of images
LEAST_NOISE = 1e-11  # of the largest values: what rounding of sums may leave


@dataclass(frozen=True)
class Findings:
    """A fit before it is told about."""

    system: System
    ridge: float  # added to the Gram matrix
    asked_ridge: bool
    kernel: np.ndarray  # (m, c, *taps)
    covariance: np.ndarray  # (m, P, P)
    sigma: np.ndarray  # (m,)
    data: list[Pair]
    residuals: list[np.ndarray]  # (n, m, planes, rows, columns), NaN where an output was not used
    autocorrelation: np.ndarray | None  # (2 d + 1 along each axis)
    errors: str
    x_noise: float
    curve: SizeCurve | None
    dims: int
    threads: int | None = None

    @property
    def explained(self) -> np.ndarray:
        """(m,): the share of the variance."""
        total = self.system.centred[2] / self.system.moments.weight
        shares: np.ndarray = 1 - np.divide(self.sigma**2, total, out=np.ones_like(total), where=total > 0)
        return shares

    @lazy
    def unevenness(self) -> Unevenness:
        return unevenness(self.system, self.ridge, self.data, self.residuals)

    @property
    def uneven(self) -> bool:
        """Whether errors are surely and clearly larger, or smaller, where the images show more."""
        if not self.data:
            return False
        ratio, error = self.unevenness.ratio, self.unevenness.error
        return not 1 / UNEVEN < ratio < UNEVEN and abs(ratio - 1) > SURE * error

    @property
    def neighbours(self) -> float:
        """The strongest correlation between residuals side by side; 0 where it is weak enough to be chance."""
        if self.autocorrelation is None:
            return 0.0
        middle = tuple(n // 2 for n in self.autocorrelation.shape)
        beside = []
        for axis, n in enumerate(self.autocorrelation.shape):
            if n > 1:
                at = list(middle)
                at[axis] += 1
                beside.append(float(self.autocorrelation[tuple(at)]))
        worst = max(beside, key=abs, default=0.0)
        return worst if abs(worst) > max(CORRELATED, 5 / np.sqrt(self.system.moments.count)) else 0.0

    def named(self, taps: tuple[int, ...]) -> str:
        """A size along the axes that there are."""
        return " x ".join(map(str, taps[-self.dims :]))


def notes(of: Findings) -> tuple[str, ...]:
    """All that was found, the gravest first. What a grave finding brings about by itself is not told as well."""
    found = [*_undetermined(of), *_damped(of), *_uncorrected(of), *_few(of), *_imprecise(of)]
    if of.curve is not None:
        found += _at_the_limit(of)
    if not of.data:
        return tuple(found)
    found += _rounded(of)
    if _is_rounding(of):
        return tuple(found)
    noisy = _noisy_before(of)
    grave = list(_clipped(of)) or _shifted(of) or _too_small(of, SOME_GAIN if noisy else LEAST_GAIN)
    if grave:
        return (*grave, *found)
    return (*found, *(noisy or _correlated(of) or _uneven(of)))


def doubtful(of: Findings) -> bool:
    """Whether what is left is far from the white noise that information criteria rest on."""
    return bool(of.data) and not _is_rounding(of) and (of.errors != "white" or of.neighbours != 0 or of.uneven)


def _is_rounding(of: Findings) -> bool:
    """Whether nothing is left but what the arrays' dtypes cannot hold."""
    total = of.system.centred[2] / of.system.moments.weight + of.system.moments.after**2
    smallest = max(_resolution(array.dtype) for one in of.data for array in (one.x, one.y))
    return bool((of.sigma**2 <= max(ROUNDING * smallest, LEAST_NOISE) ** 2 * total).all())


def _resolution(dtype: np.dtype) -> float:
    return float(np.finfo(dtype).eps) if dtype.kind == "f" else float(np.finfo(np.float64).eps)


def _undetermined(of: Findings) -> Iterator[str]:
    lost = int((~of.system.known).sum())
    if not lost:
        return
    total = of.system.known.size
    if of.x_noise > 0 and of.system.doubtful == of.system.floor:
        yield (
            f"In {lost} of {total} directions of the kernel `before` shows no more than noise of a standard deviation "
            f"of {of.x_noise:.2g}, as `x_noise` says: they are left out (see `undetermined`), and error bars say "
            "nothing about them. Use a smaller `size`, or images with more detail or less noise, and see that "
            "`x_noise` is not too large."
        )
    else:
        yield (
            f"`before` does not determine {lost} of {total} directions of the kernel (they leave no trace in it: see "
            "`undetermined`); along them the kernel is zero, or the prior, and its error bars say nothing. Use a "
            "smaller `size`, or images with more detail."
        )


def _damped(of: Findings) -> Iterator[str]:
    if of.ridge > 0 and not of.asked_ridge:
        share = of.system.freedom(of.ridge) - of.system.background
        yield (
            f"`before` shows the kernel poorly (condition {of.system.condition:.1e}), so it was damped: "
            f"cross-validation chose a ridge of {of.ridge / of.system.moments.weight:.2g}, which leaves {share:.1f} of "
            f"{of.system.known.size} parameters free. Error bars do not hold the bias that this brings. ridge=0 turns "
            "it off."
        )


def _at_the_limit(of: Findings) -> list[str]:
    assert of.curve is not None
    if of.curve.chosen != of.curve.sizes[-1] or len(of.curve.sizes) == 1:
        return []
    return [
        f"The largest size that was looked at, {of.named(of.system.moments.taps)}, is the best of them: the kernel may "
        "be larger. Raise `max_size`."
    ]


def _too_small(of: Findings, least: float) -> list[str]:
    """Whether taps around the kernel would explain more than chance allows: a chi-square, on a piece of the image."""
    if of.curve is not None or of.x_noise > 0:
        return []
    taps = of.system.moments.taps
    excess, gain = ring_around(of.data[0], taps, of.system.background)
    if excess < RING or gain < least:
        return []
    more = len(of.sigma) * (int(np.prod([k + 2 for k in taps[-of.dims :]])) - int(np.prod(taps))) * of.kernel.shape[1]
    # noise that is not white makes the chi-square larger, about as much as it does to the variance of taps
    uneven = of.unevenness.ratio
    by = max(1.0, uneven, correlation_inflation(of.system, of.ridge, of.data, of.residuals, of.threads))
    if ((excess * np.sqrt(2 * more) + more) / by - more) / np.sqrt(2 * more) < RING:
        return []
    return [
        f"Taps around a kernel of {of.named(taps)} would explain more of `after` (the squared errors would fall by "
        f"{100 * gain:.2g} %, far more than chance allows): it is too small. Raise `size`, or let size='auto' choose."
    ]


def _shifted(of: Findings) -> list[str]:
    """A match well outside the kernel. Where the kernel is damped, what is left follows the image anyway."""
    if of.ridge > 0 and not of.asked_ridge and (of.explained > 0.5).any():
        return []
    for one, residual in zip(of.data, of.residuals, strict=True):
        for m in range(residual.shape[1]):
            found = strongest_shift(one.x[0, 0], residual[0, m], of.system.moments.taps)
            if found is not None and found.height > LEAST_PEAK and found.beyond(of.system.moments.taps):
                return [
                    f"What is left follows `before` at a shift of {found.told(of.dims)} pixels from the kernel's "
                    f"middle, beyond its {of.named(of.system.moments.taps)} taps. Align the images, or raise `size`."
                ]
    return []


def _clipped(of: Findings) -> Iterator[str]:
    for m in range(len(of.sigma)):
        for largest in (True, False):
            worst = 0
            for one, residual in zip(of.data, of.residuals, strict=True):
                y, e = one.y[:, m], residual[:, m]
                end = y.max() if largest else y.min()
                errors = e[y == end]
                errors = errors[np.isfinite(errors)]
                count = len(errors)
                if count < max(CLIPPED, 1e-4 * y.size):
                    continue
                bias = float(errors.mean(dtype=np.float64)) * (-1 if largest else 1)
                if bias > 6 * of.sigma[m] / np.sqrt(count) and bias > 0.25 * of.sigma[m]:
                    worst = max(worst, count)
            if worst:
                word = "largest" if largest else "smallest"
                yield (
                    f"{worst} pixels of `after` stand at its {word} value, where the kernel asks for more: it is "
                    "saturated. Leave them out with `mask`, and those of `before` that are saturated too."
                )


def _noisy_before(of: Findings) -> list[str]:
    """Noise in the images before reaches the residual through the kernel, so its spectrum has the kernel's shape."""
    if of.x_noise > 0 or len(of.sigma) > 1 or of.kernel.shape[1] > 1:
        return []
    for residual in of.residuals:
        found = _noise_before(residual[:, 0], of.kernel[0, 0])
        if found is None:
            continue
        variance, error = found
        weakest = float(of.system.eigenvalues[of.system.known].min(initial=np.inf))
        if variance > NOISE * error and variance * of.system.moments.weight > HARM * weakest:
            tau = float(np.sqrt(variance))
            return [
                f"The residual has the spectrum of noise in `before`, of a standard deviation near {tau:.2g}, seen "
                "through the kernel (or of noise in `after` that is smooth itself). Noise in `before` draws kernels to "
                f"zero: pass x_noise={tau:.2g} if it is there, else errors='hac'."
            ]
    return []


def _noise_before(residual: np.ndarray, kernel: np.ndarray) -> tuple[float, float] | None:
    """The part of the residual's spectrum in proportion to the kernel's: its height and standard error."""
    power = power_spectrum(residual)
    response = np.abs(np.fft.fftn(kernel, power.shape, axes=range(power.ndim))) ** 2
    if response.std() < 0.05 * response.mean():
        return None  # a kernel with a flat spectrum: its noise and that of the result look alike
    weight = 1 / np.maximum(power, 1e-3 * power.mean()).ravel()  # frequencies are known in proportion to their power
    design = np.stack([np.ones(power.size), response.ravel()], 1) * weight[:, np.newaxis]
    wanted = power.ravel() * weight
    inverse = np.linalg.pinv(design)
    solution = inverse @ wanted
    # of a real image every frequency comes twice, and Hann windows make neighbours along each axis alike
    alike = 2 * 1.5 ** sum(n > 1 for n in power.shape)
    spread = inverse @ inverse.T * (wanted - design @ solution).var() * alike
    return float(solution[1]), float(np.sqrt(spread[1, 1]))


def _correlated(of: Findings) -> list[str]:
    if of.errors == "hac" or of.x_noise > 0 or of.neighbours == 0:
        return []
    return [
        f"Neighbouring residuals are correlated ({of.neighbours:+.2f}), so error bars for white noise are wrong in "
        "both directions: too long for single taps, too short for their sum. Pass errors='hac'."
    ]


def _uneven(of: Findings) -> list[str]:
    if of.errors != "white" or of.x_noise > 0 or not of.uneven:
        return []
    ratio = of.unevenness.ratio
    where, bars = ("larger", "too short") if ratio > 1 else ("smaller", "too long")
    return [
        f"Residuals are {where} where `before` shows more, so error bars for white noise are {bars} (by a factor near "
        f"{np.sqrt(max(ratio, 1 / ratio)):.2g}). Pass errors='robust', or `weights`."
    ]


def _few(of: Findings) -> Iterator[str]:
    """Error bars rest on the squares of what is left, and weights may leave very little."""
    weights = [
        one.weights[np.isfinite(errors).all(axis=1)]
        for one, errors in zip(of.data, of.residuals, strict=True)
        if one.weights is not None
    ]
    squares = sum(float(np.square(w, dtype=np.float64).sum()) for w in weights)
    count = of.system.moments.weight**2 / squares if squares > 0 else float(of.system.moments.count)
    freedom = of.system.freedom(of.ridge)
    if count < (FEW if squares > 0 or of.errors != "white" else 1) * freedom + LEAST_LEFT:
        yield (
            f"{freedom:.0f} parameters rest on {'weights that are worth ' if squares > 0 else ''}{count:.0f} outputs: "
            "error bars are unsure themselves. Use a smaller `size`, or more of the images."
        )


def _imprecise(of: Findings) -> Iterator[str]:
    """Sums are rounded, which a poorly determined kernel magnifies; error bars do not know of it."""
    if not np.isfinite(of.system.condition) or of.ridge > 0:
        return
    rounding = LOST * of.system.condition * np.finfo(float).eps
    bars = np.sqrt(np.diagonal(of.covariance, axis1=1, axis2=2)).max(axis=1)
    largest = np.abs(of.kernel).reshape(len(of.kernel), -1).max(axis=1)
    if rounding > VISIBLE and (rounding * largest > bars).any():
        yield (
            f"`before` shows the kernel so poorly (condition {of.system.condition:.1e}) that rounding alone may move "
            f"taps by {rounding * largest.max():.2g}, which error bars do not hold. Use a smaller `size`, or a `ridge`."
        )


def _rounded(of: Findings) -> list[str]:
    moved = rounding_errors(of.system, of.ridge, of.data, of.residuals, of.sigma, of.threads)
    if moved is None:
        return []
    bars = np.sqrt(np.diagonal(of.covariance, axis1=1, axis2=2))
    largest = np.abs(of.kernel).reshape(len(of.kernel), -1).max(axis=1)[:, np.newaxis]
    if not ((moved > ROUNDED * bars) & (moved > VISIBLE * largest)).any():
        return []
    return [
        "What is left is hardly more than the steps in which `after` is stored, and rounding errors that repeat with "
        f"the image are no noise: they may have moved taps by {moved.max():.2g}, which error bars do not hold. Store "
        "`after` in finer steps (a wider dtype, or less of an offset)."
    ]


def _uncorrected(of: Findings) -> Iterator[str]:
    if of.x_noise > 0 and of.system.known.any():
        smallest = float(of.system.eigenvalues[of.system.known][0]) / of.system.moments.weight
        if of.x_noise**2 >= smallest:
            yield (
                f"`x_noise` is as strong as the weakest detail of `before` that was used (variance {of.x_noise**2:.2g} "
                f"against {smallest:.2g}): in such directions the correction is large, and as unsure as `x_noise` is."
            )
