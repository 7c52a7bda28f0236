"""The loss of a kernel as what it is: a bowl over the space of kernels, known from a few sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..lazy import lazy
from .sums import Sums

TRUSTED = 1e-13  # eigenvalues below this share of the largest one are rounding


@dataclass(frozen=True)
class Bowl:
    """loss(k) = k' G k - 2 k' r + t, seen from ``start``.

    G = Q diag(curvatures) Q'. Along the directions Q the bowl falls like so many parabolas, each for itself; along
    those that the images do not show it is flat, and descent never moves.
    """

    sums: Sums
    start: np.ndarray  # (p,)

    @lazy
    def _eigen(self) -> tuple[np.ndarray, np.ndarray]:
        values, vectors = np.linalg.eigh(self.sums.gram)
        return np.maximum(values, 0.0), vectors

    @property
    def curvatures(self) -> np.ndarray:
        """Eigenvalues of the Gram matrix, ascending; the loss is twice as curved along each direction."""
        return self._eigen[0]

    @lazy
    def known(self) -> np.ndarray:
        """Whether a direction shows in the images at all."""
        return (self.curvatures > TRUSTED * self.steepest) & (self.curvatures > 0)

    @property
    def steepest(self) -> float:
        return float(self.curvatures[-1])

    @property
    def condition(self) -> float:
        return self.steepest / float(self.curvatures[0]) if self.known.all() else np.inf

    @lazy
    def _directions(self) -> tuple[np.ndarray, np.ndarray]:
        """Of those that show: (curvatures, vectors as rows)."""
        return self.curvatures[self.known], np.ascontiguousarray(self._eigen[1][:, self.known].T)

    @lazy
    def lowest(self) -> np.ndarray:
        """Where descent leads: a kernel of the least loss; of several, the one nearest to the start."""
        c, along = self._directions
        return self.start - along.T @ (along @ self.gradient(self.start) / (2 * c))

    def gradient(self, k: np.ndarray) -> np.ndarray:
        return 2.0 * (self.sums.gram @ k - self.sums.right)

    def height(self, k: np.ndarray) -> float:
        """loss(k) - loss(lowest), without the cancellation that taking the difference would bring."""
        c, along = self._directions
        away = along @ (k - self.lowest)
        return float(max(0.0, away @ (c * away + self._slope)))

    @lazy
    def _slope(self) -> np.ndarray:
        """The gradient at the lowest point, along the directions: what rounding leaves of 0."""
        return self._directions[1] @ self.gradient(self.lowest)

    def best_rate(self, steps: int) -> float:
        """The learning rate whose worst result after ``steps`` steps is best, over all starts equally far from the end.

        A step multiplies the distance along a direction of curvature c by 1 - 2 * rate * c. Rates from 1 / steepest on
        diverge; 1 / (2 * steepest) takes the steepest direction to its end at once, and every rate between the two
        gains on the flat directions what it loses on the steep one. 0 where there is nothing to descend.
        """
        c, _ = self._directions
        if c.size == 0:
            return 0.0
        low, high = 0.5, 1 - 1e-6  # in units of 1 / steepest
        for _ in range(60):
            middle = (low + high) / 2
            factor = 1 - 2 * middle * c / self.steepest
            with np.errstate(divide="ignore"):
                left = np.log(c) + 2 * steps * np.log(np.abs(factor))  # logarithms of the losses left
            overshooting = factor[np.argmax(left)] < 0
            low, high = (low, middle) if overshooting else (middle, high)
        return low / self.steepest
