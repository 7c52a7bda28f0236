"""The normal equations of a fit, in the coordinates that its constraints leave free, and seen along their axes.

    kernel = base + along @ free        free (q, m): one column for each result

``base`` is what the kernel is drawn to (a prior, or zero); the columns of ``along`` span what the constraints allow.
With a background, every sum is taken about the mean, which eliminates it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..lazy import lazy
from .moments import Moments

TRUSTED = 1e-13  # eigenvalues below this share of the largest one are rounding, where sums are in float64

CHANCE = 2.0


@dataclass(frozen=True)
class System:
    """sum of w (y - p . kernel - background)^2, as a function of ``free``."""

    moments: Moments
    background: bool
    base: np.ndarray  # (P, m)
    along: np.ndarray  # (P, q)
    trusted: float = TRUSTED
    doubtful: float = 0.0  # eigenvalues up to this one may be chance, where noise has been taken out

    @lazy
    def centred(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Gram (P, P), right-hand side (P, m) and squares (m,), the background taken out."""
        of = self.moments
        if not self.background:
            of = of.measured_from(np.zeros(of.channels), np.zeros(of.outputs))
            return of.gram, of.right, of.squares
        n = of.weight
        return (
            of.gram - np.outer(of.seen, of.seen) / n,
            of.right - np.outer(of.seen, of.total) / n,
            of.squares - of.total**2 / n,
        )

    @lazy
    def _spectrum(self) -> tuple[np.ndarray, np.ndarray]:
        values, vectors = np.linalg.eigh(self.along.T @ self.centred[0] @ self.along)
        return np.maximum(values, 0.0), vectors

    @property
    def eigenvalues(self) -> np.ndarray:
        """(q,) of the Gram matrix in free coordinates, ascending: how well the images show each direction."""
        return self._spectrum[0]

    @lazy
    def directions(self) -> np.ndarray:
        """(P, q): the kernels that these eigenvalues belong to."""
        found: np.ndarray = self.along @ self._spectrum[1]
        return found

    @property
    def floor(self) -> float:
        """Eigenvalues up to this one cannot be told from zero."""
        rounding = self.trusted * float(self.eigenvalues[-1]) if self.eigenvalues.size else 0.0
        return max(rounding, self.doubtful)

    @property
    def known(self) -> np.ndarray:
        """(q,) whether the images determine a direction at all."""
        return (self.eigenvalues > self.floor) & (self.eigenvalues > 0)

    @property
    def rank(self) -> int:
        return int(np.count_nonzero(self.known))

    @property
    def condition(self) -> float:
        """Largest over smallest eigenvalue; infinite where a direction is not determined."""
        if not self.eigenvalues.size or not self.known.all():
            return np.inf
        return float(self.eigenvalues[-1] / self.eigenvalues[0])

    @lazy
    def projected(self) -> np.ndarray:
        """(q, m): the right-hand side along the directions, as seen from ``base``."""
        gram, right, _ = self.centred
        found: np.ndarray = self.directions.T @ (right - gram @ self.base)
        return found

    def inverse(self, ridge: float) -> np.ndarray:
        """(q,) 1 / (eigenvalue + ridge) along the directions; 0 where the images say nothing."""
        damped = self.eigenvalues + ridge
        return np.divide(1.0, damped, out=np.zeros_like(damped), where=self.known & (damped > 0))

    def kernel(self, ridge: float = 0.0) -> np.ndarray:
        """(P, m): of all kernels that the constraints allow, the one with the least sum of squared errors plus ridge
        times its squared distance from ``base``; along directions that the images do not show it is ``base``."""
        found: np.ndarray = self.base + self.directions @ (self.inverse(ridge)[:, np.newaxis] * self.projected)
        return found

    def offset(self, kernel: np.ndarray) -> np.ndarray:
        """(m,): the background that goes with a kernel, in the units of the images."""
        if not self.background:
            return np.zeros(kernel.shape[1])
        of = self.moments
        size = len(kernel) // of.channels
        found: np.ndarray = (of.total - of.seen @ kernel) / of.weight + of.after - np.repeat(of.before, size) @ kernel
        return found

    def squared_errors(self, kernel: np.ndarray) -> np.ndarray:
        """(m,): the weighted sum of squared errors that a kernel leaves, its best background included; to rounding of
        the sums, so useless once it is 1e-10 of them."""
        gram, right, squares = self.centred
        left = squares - 2 * (kernel * right).sum(axis=0) + (kernel * (gram @ kernel)).sum(axis=0)
        found: np.ndarray = np.maximum(left, 0.0)
        return found

    def freedom(self, ridge: float = 0.0) -> float:
        """Parameters that the data really set: the effective degrees of freedom of one result."""
        return float((self.eigenvalues * self.inverse(ridge)).sum()) + self.background

    def covariance(self, ridge: float = 0.0) -> np.ndarray:
        """(P, P), to be multiplied by the variance of an output of weight 1: that of the kernel under white noise."""
        inverse = self.inverse(ridge)
        found: np.ndarray = (self.directions * (inverse**2 * self.eigenvalues)) @ self.directions.T
        return found

    def bread(self, ridge: float = 0.0) -> np.ndarray:
        """(P, P): what turns the covariance of the right-hand side into that of the kernel, from both sides."""
        found: np.ndarray = (self.directions * self.inverse(ridge)) @ self.directions.T
        return found


def without_noise(moments: Moments, x_noise: float) -> tuple[Moments, float]:
    """The sums as they would be on average without white noise of this standard deviation in the images before, and
    how large an eigenvalue chance alone may leave where the images themselves show nothing: of n squares of noise, the
    sum spreads by sqrt(2 n), and neighbouring windows share their noise."""
    if not x_noise:
        return moments, 0.0
    noise = moments.weight * x_noise**2
    gram = moments.gram - noise * np.eye(len(moments.gram))
    return replace(moments, gram=gram), CHANCE * noise * float(np.sqrt(2 * len(gram) / max(1, moments.count)))
