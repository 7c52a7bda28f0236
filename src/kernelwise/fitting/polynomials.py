"""Polynomials over the outputs of an image, in coordinates that run from -1 to 1 along rows and columns."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np

Exponents = tuple[int, int]  # of the row's coordinate, of the column's


def exponents(degree: int) -> list[Exponents]:
    """Of all monomials up to a degree, 1 first."""
    return [(total - j, j) for total in range(degree + 1) for j in range(total + 1)]


@dataclass(frozen=True)
class Grid:
    """The outputs of an image: (row - middle) / half, and for columns alike."""

    rows: int
    columns: int

    @property
    def middles(self) -> tuple[float, float]:
        return (self.rows - 1) / 2, (self.columns - 1) / 2

    @property
    def halves(self) -> tuple[float, float]:
        return max(self.rows - 1, 1) / 2, max(self.columns - 1, 1) / 2

    def coordinates(self, axis: int, pixels: np.ndarray) -> np.ndarray:
        """Of rows (axis 0) or columns (1), which may be fractions or lie outside."""
        found: np.ndarray = (pixels - self.middles[axis]) / self.halves[axis]
        return found

    def monomials(self, terms: list[Exponents], rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """(len(terms), *rows.shape) at the places given, broadcast against each other."""
        y, x = self.coordinates(0, rows), self.coordinates(1, columns)
        return np.stack([np.broadcast_to(y**i * x**j, np.broadcast_shapes(y.shape, x.shape)) for i, j in terms])


def moved(term: Exponents, y: float, x: float) -> list[tuple[Exponents, float]]:
    """(Y - y)^i (X - x)^j as a sum of monomials in Y and X, with their factors."""
    (i, j), found = term, []
    for a in range(i + 1):
        for b in range(j + 1):
            found.append(((a, b), comb(i, a) * comb(j, b) * (-y) ** (i - a) * (-x) ** (j - b)))
    return found
