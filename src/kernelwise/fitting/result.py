"""What fitting a kernel gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..correlation import correlate


@dataclass(frozen=True)
class SizeCurve:
    """How well kernels of each size explain the same outputs; the least value of a criterion is the best."""

    sizes: tuple[tuple[int, ...], ...]
    criteria: dict[str, np.ndarray]  # "aic", "bic", ...: (len(sizes),)
    chosen_by: str
    chosen: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class KernelFit:
    """A kernel learned in closed form, and how sure one can be of it. ``print(fit)`` to read it.

    Shapes: one channel to one result has the kernel's own shape, with one to three axes; with channels it is
    (m, c, ...). Numbers for each result are floats, or (m,) with channels.
    """

    kernel: np.ndarray  # float64
    background: Any  # added to every output
    stderr: np.ndarray  # of each tap, like ``kernel``
    covariance: np.ndarray  # (P, P) of the taps in C order; (m, P, P) with channels, P = c * taps
    sigma: Any  # standard deviation of what is left, of an output of weight 1
    r2: Any  # share of the variance of ``after`` that is explained
    outputs: int  # that the fit rests on
    rank: int  # directions of the kernel that the images determine
    condition: float  # of the Gram matrix
    freedom: float  # effective number of parameters, the background's among them
    ridge: float  # added to the Gram matrix for each output; in units of the variance of ``before``
    errors: str  # what stderr allows for: "white", "robust" or "hac"
    undetermined: np.ndarray  # (k, ...): kernels of length 1 that leave no trace in these images
    size_curve: SizeCurve | None
    residual: np.ndarray | None  # float32, like ``after``; NaN where an output was not used. None from statistics alone
    autocorrelation: np.ndarray | None  # of the residual, (2 * d + 1, ...), 1 in the middle
    notes: tuple[str, ...]  # what one should know about this result, in sentences
    same: bool  # whether ``after`` had the shape of ``before``

    @property
    def size(self) -> tuple[int, ...]:
        return self.kernel.shape

    def __call__(self, x: Any) -> np.ndarray:
        """The kernel applied to an image, plus the background: of the image's shape (pixels outside are reflected) if
        the fit was of images of one shape, else what windows inside it give."""
        return correlate(x, self.kernel, mode="same" if self.same else "valid") + self.background
