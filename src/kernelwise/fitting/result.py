"""What fitting a kernel gives back."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from ..arrays import as_image
from ..correlation import correlate
from .table import html_table, table


@dataclass(frozen=True)
class SizeCurve:
    """How well kernels of each size explain the same outputs; the least value of a criterion is the best."""

    sizes: tuple[tuple[int, ...], ...]
    criteria: dict[str, np.ndarray]  # "aic", "bic", and "takeuchi" or "cv" where they were taken: (len(sizes),)
    chosen_by: str  # one of these
    chosen: tuple[int, ...]


@dataclass(frozen=True, eq=False, repr=False)
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
    size_curve: SizeCurve | None  # if the size was chosen from the data
    residuals: tuple[np.ndarray, ...]  # of each pair, float32: all outputs that could be used, NaN where one was not
    autocorrelation: np.ndarray | None  # of the residuals, (2 * d + 1, ...), 1 in the middle
    notes: tuple[str, ...]  # what one should know about this result, in sentences
    same: bool  # whether ``after`` had the shape of ``before``
    channels: bool  # whether there are channels

    @property
    def residual(self) -> np.ndarray:
        """Of the first pair: after - fit(before)."""
        if not self.residuals:
            raise AttributeError("a fit from sums alone has no residual image")
        return self.residuals[0]

    @property
    def size(self) -> tuple[int, ...]:
        return self.kernel.shape

    def __call__(self, x: Any) -> np.ndarray:
        """The kernel applied to an image, plus the background: of the image's shape (pixels outside are reflected) if
        the fit was of images of one shape, else what windows inside it give."""
        mode = "same" if self.same else "valid"
        if not self.channels:
            return correlate(x, self.kernel, mode=mode) + self.background
        image = as_image("x", x)
        results = []
        for kernel, background in zip(self.kernel, self.background, strict=True):
            parts = [correlate(channel, k, mode=mode) for channel, k in zip(image, kernel, strict=True)]
            results.append(sum(parts) + background)
        return np.stack(results)

    def plot(self) -> Any:
        """A Matplotlib figure: the kernel, its error bars, the residual, and the size curve. Needs kernelwise[app]."""
        pictures = import_module("kernelwise.pictures")  # a door: opened only where somebody wants to look
        return pictures.draw_fit(self)

    def __str__(self) -> str:
        return table(self)

    def __repr__(self) -> str:
        size, count = " x ".join(map(str, self.kernel.shape)), len(self.notes)
        told = f"{count} note{'s' if count > 1 else ''}" if count else "no notes"
        return f"<KernelFit {size} from {self.outputs} outputs, sigma {np.max(self.sigma):.4g}, {told}>"

    def _repr_html_(self) -> str:
        """In a notebook."""
        return html_table(self)
