"""The gradient operators: for each axis a difference along it, and smoothing along all others.

| name     | smoothing    | difference         | scale in 2-D | source                          |
|----------|--------------|--------------------|--------------|---------------------------------|
| sobel    | 1, 2, 1      | -1, 0, 1           | 8            | Sobel and Feldman 1968          |
| scharr   | 3, 10, 3     | -1, 0, 1           | 32           | Scharr 2000                     |
| prewitt  | 1, 1, 1      | -1, 0, 1           | 6            | Prewitt 1970                    |
| roberts  | 1, 1         | -1, 1              | 2            | Roberts 1965, turned; see below |
| central  | 1            | -1/2, 0, 1/2       | 1            | Abramowitz and Stegun 1964      |
| farid    | 5 taps       | 5 taps             | 0.9918       | Farid and Simoncelli 2004       |
| gaussian | the Gaussian | its derivative     | about 1      | Canny 1986                      |

The *scale* is the response to a slope of 1 per pixel: a component divided by it is the slope. In n axes it is the
difference's own times the smoothing's sum to the power n - 1. References in full: `kernelwise.stencils.sources`.

Roberts took the differences a and b along the two diagonals of 2 x 2 pixels. Turned by 45 degrees onto the axes they
are gy = a + b and gx = a - b, with which directions mean the same as those of the other operators; the magnitude is
sqrt(2) times that of a and b. Their place is the corner of four pixels: half a pixel before the output's, on each axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ArgumentError
from ..problem import one_of
from ..stencils import FARID_DIFFERENCE, FARID_SMOOTH, gaussian
from ..stencils.checks import real

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEFAULT_SIGMA = 1.0
FIXED: dict[str, tuple[Any, Any]] = {  # (smoothing, difference); integers where all weights are
    "sobel": ([1, 2, 1], [-1, 0, 1]),
    "scharr": ([3, 10, 3], [-1, 0, 1]),
    "prewitt": ([1, 1, 1], [-1, 0, 1]),
    "roberts": ([1, 1], [-1, 1]),
    "central": ([0, 1, 0], [-0.5, 0, 0.5]),
    "farid": (FARID_SMOOTH, FARID_DIFFERENCE),
}
OPERATORS = (*FIXED, "gaussian")


@dataclass(frozen=True)
class Operator:
    """One-dimensional weights for cross-correlation, each of the same length: int64 or float64."""

    smooth: NDArray[Any]
    difference: NDArray[Any]

    def factors(self, axes: int) -> list[list[NDArray[Any]]]:
        """For every component, the weights along every axis."""
        return [[self.difference if a == k else self.smooth for a in range(axes)] for k in range(axes)]

    def scale(self, axes: int) -> float:
        """The response to a slope of 1 per pixel."""
        places = np.arange(len(self.difference))
        return float((self.difference * places).sum() * self.smooth.sum() ** (axes - 1))

    def bound(self, axes: int) -> NDArray[Any]:
        """A kernel of the window's shape whose absolute weights sum to those of all components together."""
        total: Any = 0
        for factors in self.factors(axes):
            product: Any = np.ones((), self.smooth.dtype)
            for weights in factors:
                product = np.multiply.outer(product, np.abs(weights))
            total = total + product
        return np.asarray(total)


def find_operator(name: Any, sigma: Any) -> Operator:
    """The operator of that name. ``sigma``, in pixels, goes with "gaussian" only; None is 1 there.

    Raises ArgumentError or ArgumentTypeError.
    """
    one_of("operator", name, OPERATORS)
    if name != "gaussian" and sigma is not None:
        raise ArgumentError(f"`sigma` goes with operator='gaussian' only (got {sigma!r} with operator={name!r})")
    width = DEFAULT_SIGMA if sigma is None else real("sigma", sigma, above=0)
    return _operator(name, width)


@lru_cache(maxsize=64)
def _operator(name: str, sigma: float) -> Operator:
    if name == "gaussian":
        difference = gaussian(sigma, ndim=1, derivative=1) if 4 * sigma >= 0.5 else None
        if difference is None or not difference.any():
            raise ArgumentError(f"`sigma` must be larger, for no other pixel is within its reach (got {sigma})")
        return Operator(gaussian(sigma, ndim=1), difference)
    smooth, difference = (np.asarray(weights) for weights in FIXED[name])
    kind = np.result_type(smooth, difference, np.int64)
    return Operator(smooth.astype(kind), difference.astype(kind))
