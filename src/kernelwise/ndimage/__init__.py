"""A door for programs written for SciPy: `from kernelwise import ndimage` in place of `from scipy import ndimage`.

The linear filters of scipy.ndimage with its signatures, its dtypes, its borders and its errors, and the same results,
to the last bit: sums are kept in float64 and added up in SciPy's order. docs/ndimage.md says where they differ.
"""

from __future__ import annotations

from .arguments import NdimageError
from .correlation import convolve, convolve1d, correlate, correlate1d
from .derivatives import (
    gaussian_gradient_magnitude,
    gaussian_laplace,
    generic_gradient_magnitude,
    generic_laplace,
    laplace,
    prewitt,
    sobel,
)
from .gaussian import gaussian_filter, gaussian_filter1d
from .uniform import uniform_filter, uniform_filter1d

__all__ = [
    "NdimageError",
    "convolve",
    "convolve1d",
    "correlate",
    "correlate1d",
    "gaussian_filter",
    "gaussian_filter1d",
    "gaussian_gradient_magnitude",
    "gaussian_laplace",
    "generic_gradient_magnitude",
    "generic_laplace",
    "laplace",
    "prewitt",
    "sobel",
    "uniform_filter",
    "uniform_filter1d",
]
