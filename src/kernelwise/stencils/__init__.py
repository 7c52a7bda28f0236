"""Named kernels: constants, functions with parameters, and both by name. Each says where it was published.

All are for cross-correlation (no flip): a gradient kernel is positive where brightness grows to the right or downwards.
The constants are read-only; what a function returns is the caller's own.

>>> from kernelwise import stencils
>>> stencils.get("sobel-x") is stencils.SOBEL_X
True
"""

from __future__ import annotations

from .bands import dog, gabor, log, sobel
from .catalogue import Stencil, clear_cache, describe, get, names
from .constants import (
    BINOMIAL_3,
    BINOMIAL_5,
    CENTRAL_X,
    CENTRAL_Y,
    COMPASS,
    DECK,
    EMBOSS,
    FARID_DIFFERENCE,
    FARID_SMOOTH,
    FARID_X,
    FARID_Y,
    FREI_CHEN,
    FREI_CHEN_X,
    FREI_CHEN_Y,
    HIGHPASS,
    IDENTITY,
    KIRSCH,
    LAPLACE,
    LAPLACE_8,
    LINES,
    PREWITT_X,
    PREWITT_Y,
    ROBERTS,
    ROBINSON_3,
    ROBINSON_5,
    SCHARR_X,
    SCHARR_Y,
    SECOND_X,
    SECOND_Y,
    SHARPEN,
    SHARPEN_8,
    SOBEL_X,
    SOBEL_Y,
    UNSHARP,
)
from .smoothing import binomial, box, delta, disk, gaussian, motion, sigma_of_size

__all__ = [
    "BINOMIAL_3",
    "BINOMIAL_5",
    "CENTRAL_X",
    "CENTRAL_Y",
    "COMPASS",
    "DECK",
    "EMBOSS",
    "FARID_DIFFERENCE",
    "FARID_SMOOTH",
    "FARID_X",
    "FARID_Y",
    "FREI_CHEN",
    "FREI_CHEN_X",
    "FREI_CHEN_Y",
    "HIGHPASS",
    "IDENTITY",
    "KIRSCH",
    "LAPLACE",
    "LAPLACE_8",
    "LINES",
    "PREWITT_X",
    "PREWITT_Y",
    "ROBERTS",
    "ROBINSON_3",
    "ROBINSON_5",
    "SCHARR_X",
    "SCHARR_Y",
    "SECOND_X",
    "SECOND_Y",
    "SHARPEN",
    "SHARPEN_8",
    "SOBEL_X",
    "SOBEL_Y",
    "UNSHARP",
    "Stencil",
    "binomial",
    "box",
    "clear_cache",
    "delta",
    "describe",
    "disk",
    "dog",
    "gabor",
    "gaussian",
    "get",
    "log",
    "motion",
    "names",
    "sigma_of_size",
    "sobel",
]
