"""Kernels that change over the image: a polynomial of kernels, learned in closed form.

Alard, "Image subtraction using a space-varying kernel", Astron. Astrophys. Suppl. 144 (2000), with a free kernel in
place of Gaussians (Bramich, MNRAS Letters 386, 2008), and exact sums in place of stamps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import as_image
from ..correlation import check_threads
from ..errors import ArgumentError
from ..layers.bank import correlate_bank
from ..problem import Axis, per_axis, whole_number
from .gather import centres
from .options import MOST_TAPS, ridge_number
from .pairs import Layout, Pair, pair, room
from .polynomials import Exponents, Grid
from .residual import autocorrelation
from .ridge import choose_ridge
from .sizes import unconstrained
from .system import System
from .varying_sums import Terms, varying_sums

LARGEST_DEGREE = 2
BAND = 1 << 20  # outputs at a time
CORRELATED = 0.05
PLANE = Layout(2, False)


@dataclass(frozen=True, eq=False)
class VaryingKernelFit:
    """A kernel at every place: the sum over terms (i, j) of r^i * c^j * kernels[term].

    r and c run from -1 to 1 over rows and columns of the outputs that were fitted.
    """

    kernels: np.ndarray  # (terms, h, w) float64
    terms: tuple[Exponents, ...]  # (i, j) of each
    background: np.ndarray  # factors of the background's terms
    background_terms: tuple[Exponents, ...]
    covariance: np.ndarray  # (terms * h * w, terms * h * w) of the kernels, in C order
    sigma: float  # standard deviation of what is left
    r2: float
    outputs: int
    rank: int
    condition: float
    ridge: float
    residual: np.ndarray  # (rows, columns) float32 of the outputs fitted; NaN where one was not used
    notes: tuple[str, ...]
    same: bool  # whether ``after`` had the shape of ``before``

    @property
    def size(self) -> tuple[int, int]:
        return self.kernels.shape[1], self.kernels.shape[2]

    @property
    def _grid(self) -> Grid:
        return Grid(*self.residual.shape)

    def _place(self, row: float, column: float) -> tuple[Any, Any]:
        """Among the outputs that were fitted."""
        first = (self.size[0] // 2, self.size[1] // 2) if self.same else (0, 0)
        return np.asarray(row - first[0], float), np.asarray(column - first[1], float)

    def at(self, row: float, column: float) -> np.ndarray:
        """(h, w): the kernel of the pixel (row, column) of ``after``."""
        weights = self._grid.monomials(list(self.terms), *self._place(row, column))
        found: np.ndarray = np.tensordot(weights, self.kernels, 1)
        return found

    def stderr_at(self, row: float, column: float) -> np.ndarray:
        """(h, w): the standard error of each tap there, for white noise."""
        weights = self._grid.monomials(list(self.terms), *self._place(row, column))
        terms, size = len(self.terms), self.size[0] * self.size[1]
        blocks = self.covariance.reshape(terms, size, terms, size)
        variance = np.einsum("i,iaja,j->a", weights, blocks, weights)
        found: np.ndarray = np.sqrt(np.maximum(variance, 0)).reshape(self.size)
        return found

    def __call__(self, x: Any, *, threads: int | None = None) -> np.ndarray:
        """The kernels applied to an image of the shape of ``before``: (rows, columns) float64 of the outputs fitted."""
        image = PLANE.five("x", x)[0, 0, 0]
        shape = self._grid.rows, self._grid.columns
        wanted = tuple(n + k - 1 for n, k in zip(shape, self.size, strict=True))
        if image.shape != wanted:
            raise ArgumentError(f"`x` must have the shape of the images before, {wanted} (got {image.shape})")
        return _apply(image, self.kernels, self.terms, self.background, self.background_terms, self._grid, threads)

    def __str__(self) -> str:
        rows, columns = self.size
        lines = [
            ("kernels", f"{rows} x {columns}, {len(self.terms)} terms of degree {max(map(sum, self.terms))}"),
            ("residual", f"{self.sigma:.6g} (standard deviation), {100 * self.r2:.4g} % of the variance explained"),
            ("outputs", f"{self.outputs}"),
            ("condition", f"{self.condition:.3g}, rank {self.rank} of {self.kernels.size}"),
            *(("note", note) for note in self.notes),
        ]
        return "\n".join(f"{name:<12}{text}" for name, text in lines)


def fit_varying_kernel(
    before: Any,
    after: Any,
    size: int | tuple[int, int],
    *,
    degree: int = 1,
    background_degree: int = 0,
    mask: Any = None,
    weights: Any = None,
    ridge: float | str = "auto",
    threads: int | None = None,
) -> VaryingKernelFit:
    """The kernel that turns one image into another where it changes from place to place, as a polynomial of kernels.

        after[p] = sum over i + j <= degree of r(p)^i c(p)^j * corr(before, K_ij)[p] + background(p) + noise

    Parameters
    ----------
    before : (H, W), real.
    after : of the shape of ``before`` (outputs whose window lies inside are used), or its valid correlation.
    size : of the kernels, (h, w) or one number for both; with all terms at most 4096 taps.
    degree : of the kernel's polynomial in the place, 0 to 2.
    background_degree : of the background's, -1 (none) to 2.
    mask, weights, ridge, threads : see `fit_kernel`.

    Returns a VaryingKernelFit: ``at(row, column)`` is the kernel there, ``fit(x)`` applies it.

    Raises ArgumentError or ArgumentTypeError naming the argument.
    """
    h, w = per_axis("size", size, 2, 1)
    terms = Terms(
        whole_number("degree", degree, 0, LARGEST_DEGREE),
        whole_number("background_degree", background_degree, -1, LARGEST_DEGREE),
    )
    count = len(terms.kernel) * h * w
    if count > MOST_TAPS:
        raise ArgumentError(f"`size` must be of at most {MOST_TAPS} taps in all terms (got {count})")
    chosen, workers = ridge_number(ridge), check_threads(threads)
    one = pair(PLANE, (1, h, w), before, after, mask, weights)
    if len(one.x) > 1:
        raise ArgumentError(f"`before` must be one image (got {len(one.x)})")
    # constants can be taken out where a polynomial of the background takes them up again
    centre = tuple(float(v[0]) for v in centres(one)) if terms.background >= terms.degree else (0.0, 0.0)
    sums = varying_sums(one, (h, w), terms, centre, workers)  # type: ignore[arg-type]
    if sums.count <= len(sums.right):
        raise ArgumentError(f"`before` must leave more outputs than there are parameters, {len(sums.right)}")
    system = unconstrained(sums.without_background(count, (1, h, w), len(terms.kernel)), False)
    added = chosen * sums.weight if chosen is not None else 0.0 if system.rank == count else choose_ridge(system)
    flat = system.kernel(added)
    kernels = flat.reshape(len(terms.kernel), h, w)
    background = _uncentred(sums.background(flat[:, 0]), kernels, terms, centre)  # type: ignore[arg-type]
    return _told(
        one, kernels, background, terms, system, added, chosen is None, room(PLANE, before, after) is None, workers
    )


def _uncentred(factors: np.ndarray, kernels: np.ndarray, terms: Terms, centre: tuple[float, float]) -> np.ndarray:
    """The background's factors for images as they are: constants that were subtracted come back through the kernels."""
    found = dict(zip(terms.offset, factors, strict=True))
    if centre != (0.0, 0.0):
        found[0, 0] += centre[1]
        for term, kernel in zip(terms.kernel, kernels, strict=True):
            found[term] -= centre[0] * float(kernel.sum())
    return np.array(list(found.values()))


def _told(
    one: Pair, kernels: np.ndarray, background: np.ndarray, terms: Terms, system: System, ridge: float, automatic: bool,
    same: bool, threads: int | None,
) -> VaryingKernelFit:  # fmt: skip
    x, y = one.x[0, 0, 0], one.y[0, 0, 0]
    grid = Grid(*y.shape)
    residual = y - _apply(x, kernels, tuple(terms.kernel), background, tuple(terms.offset), grid, threads)
    if one.used is not None:
        residual[~one.used[0, 0]] = np.nan
    residual[~np.isfinite(residual)] = np.nan
    weight = np.ones(()) if one.weights is None else one.weights[0, 0]
    squares = float(np.nansum(weight * residual**2))
    known = system.moments
    sigma = np.sqrt(squares / max(1.0, known.count - system.freedom(ridge) - len(background)))
    total = float(system.centred[2][0])
    image = residual.astype(np.float32)
    return VaryingKernelFit(
        kernels=kernels,
        terms=tuple(terms.kernel),
        background=background,
        background_terms=tuple(terms.offset),
        covariance=sigma**2 * system.covariance(ridge),
        sigma=float(sigma),
        r2=1 - squares / total if total > 0 else float("nan"),
        outputs=known.count,
        rank=system.rank,
        condition=system.condition,
        ridge=ridge / known.weight,
        residual=image,
        notes=tuple(_notes(system, ridge, automatic, image)),
        same=same,
    )


def _notes(system: System, ridge: float, automatic: bool, residual: np.ndarray) -> list[str]:
    found = []
    lost = int((~system.known).sum())
    if lost:
        found.append(
            f"`before` does not determine {lost} of {system.known.size} directions of the kernels; along them they are "
            "zero. Use a smaller `size` or `degree`."
        )
    if ridge > 0 and automatic:
        found.append(
            f"`before` shows the kernels poorly, so they were damped: cross-validation chose a ridge of "
            f"{ridge / system.moments.weight:.2g}. Error bars do not hold the bias that this brings."
        )
    rho = autocorrelation([residual[np.newaxis, np.newaxis, np.newaxis]])[0]
    middle = rho.shape[0] // 2, rho.shape[1] // 2
    beside = [rho[middle[0] + 1, middle[1]]] if rho.shape[0] > 1 else []
    beside += [rho[middle[0], middle[1] + 1]] if rho.shape[1] > 1 else []
    worst = max(beside, key=abs, default=0.0)
    if abs(worst) > max(CORRELATED, 5 / np.sqrt(system.moments.count)):
        found.append(
            f"Neighbouring residuals are correlated ({worst:+.2f}): the kernels may need a higher `degree`, or the "
            "noise is correlated, and error bars for white noise are wrong."
        )
    return found


def _apply(
    x: np.ndarray,
    kernels: np.ndarray,
    terms: tuple[Exponents, ...],
    background: np.ndarray,
    offsets: tuple[Exponents, ...],
    grid: Grid,
    threads: int | None,
) -> np.ndarray:
    out = np.empty((grid.rows, grid.columns))
    step = max(1, BAND // grid.columns)
    h, w = kernels.shape[1:]
    columns = np.arange(grid.columns)[np.newaxis]
    for top in range(0, grid.rows, step):
        rows = np.arange(top, min(top + step, grid.rows))[:, np.newaxis]
        image = as_image("x", x)[np.newaxis, np.newaxis, top : top + len(rows) + h - 1]
        axes = (Axis(image.shape[2], h, 0, 1, 1, len(rows)), Axis(image.shape[3], w, 0, 1, 1, grid.columns))
        parts = correlate_bank(image, kernels[:, np.newaxis], axes, np.dtype(np.float64), threads)[0]
        out[top : top + len(rows)] = (grid.monomials(list(terms), rows, columns) * parts).sum(axis=0)
        if len(offsets):
            out[top : top + len(rows)] += np.tensordot(background, grid.monomials(list(offsets), rows, columns), 1)
    return out
