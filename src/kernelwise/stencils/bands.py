"""Kernels that differentiate or pick a band of frequencies, by parameters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import ArgumentError
from . import checks
from .smoothing import TRUNCATE, Floats, gaussian, hermite, separable

if TYPE_CHECKING:
    from numpy.typing import NDArray

GABOR_TRUNCATE = 3.0  # standard deviations of the envelope; what OpenCV takes where no size is given
MOST_BITS = 62  # of the sum of |weights|, so that it fits in int64


def sobel(size: int = 3, *, axis: int = -1, ndim: int = 2) -> NDArray[np.int64]:
    """Sobel's gradient along `axis` for any odd size from 3: binomial smoothing across, a binomial difference along.

    The weights along `axis` are those of (1, 1)**(size - 2) * (-1, 1), elsewhere those of (1, 1)**(size - 1): OpenCV's
    getDerivKernels. Scale: the response to a ramp of slope 1 along `axis` is 2**(ndim * (size - 1) - 1), so 8, 128 and
    2048 for sizes 3, 5 and 7 in 2-D. Returns int64, positive where brightness grows along the axis. Raises
    ArgumentError or ArgumentTypeError; the sum of the absolute weights must fit in 62 bits (size 31 in 2-D).
    Source: Sobel and Feldman 1968 (sources.SOBEL), extended by repeated (1, 1) smoothing.

    >>> sobel(3)
    array([[-1,  0,  1],
           [-2,  0,  2],
           [-1,  0,  1]])
    """
    ndim = checks.axes(ndim)
    along = checks.whole("axis", axis, low=-ndim, high=ndim - 1) % ndim
    size = checks.whole("size", size, low=3, high=max(3, MOST_BITS // ndim + 1), odd=True)
    if ndim * (size - 1) > MOST_BITS:
        raise ArgumentError(f"`ndim` must be at most {MOST_BITS // 2} (got {ndim!r})")
    checks.affordable("size", size, (size,) * ndim)
    smooth = np.array([math.comb(size - 1, k) for k in range(size)], np.int64)
    shorter = [math.comb(size - 2, k) for k in range(size - 1)]
    difference = np.array([0, *shorter], np.int64) - np.array([*shorter, 0], np.int64)
    return separable([difference if a == along else smooth for a in range(ndim)])


def log(
    sigma: float,
    *,
    size: int | Sequence[int] | None = None,
    truncate: float = TRUNCATE,
    ndim: int = 2,
) -> Floats:
    """The Laplacian of the Gaussian: negative in the middle, the sum made 0.

    Arguments as in `gaussian`, `sigma` above 0 and the same on all axes. It is the sum of the second derivatives of
    `gaussian`; what the cut tails leave of a sum is taken out in the shape of the Gaussian itself, so that an even
    background gives 0 (SciPy's gaussian_laplace leaves about 1e-3 / sigma**2 of it on each axis). Scale: the response
    to x**2 / 2 is 1, within 1 % from sigma = 0.8 on. Returns float64. Raises ArgumentError or ArgumentTypeError.
    Source: Marr and Hildreth 1980 (sources.MARR_HILDRETH).

    >>> log(1.4).shape, bool(abs(log(1.4).sum()) < 1e-15)
    ((13, 13), True)
    """
    ndim = checks.axes(ndim)
    sigma = checks.real("sigma", sigma, above=0)
    sizes = checks.truncated_sizes((sigma,) * ndim, size, truncate, TRUNCATE)
    if max(sizes) < 3:
        raise ArgumentError(
            f"`sigma` or `size` must give at least 3 taps on an axis (got sigma {sigma}, sizes {sizes})"
        )
    smooth = gaussian(sigma, size=sizes, ndim=ndim)
    with np.errstate(all="ignore"):
        curve = np.zeros(sizes)
        for axis, n in enumerate(sizes):
            z = (np.arange(n) - float(n // 2)) / sigma
            curve += hermite(z, 2).reshape([-1 if a == axis else 1 for a in range(ndim)])
        kernel = smooth * curve / np.float64(sigma) ** 2
        kernel -= kernel.sum() * smooth
    if not np.isfinite(kernel).all() or not kernel.any():
        raise ArgumentError(f"`sigma` must be larger, for no other pixel is within its reach (got {sigma})")
    return kernel


def dog(
    sigma: float,
    ratio: float = 1.6,
    *,
    size: int | Sequence[int] | None = None,
    truncate: float = TRUNCATE,
    ndim: int = 2,
) -> Floats:
    """The difference of two Gaussians: `sigma` minus `ratio` times as wide. Positive in the middle, the sum is 0.

    Arguments as in `gaussian`, `sigma` above 0 and the same on all axes; without `size` the wider one decides. `ratio`
    is above 1; 1.6 comes closest to the Laplacian of the Gaussian (with the opposite sign), says the source. Returns
    float64. Raises ArgumentError or ArgumentTypeError. Source: Marr and Hildreth 1980
    (sources.MARR_HILDRETH).

    >>> bool(abs(dog(1.0).sum()) < 1e-15)
    True
    """
    ndim = checks.axes(ndim)
    sigma = checks.real("sigma", sigma, above=0)
    wide = sigma * checks.real("ratio", ratio, above=1)
    sizes = checks.truncated_sizes((wide,) * ndim, size, truncate, TRUNCATE)
    kernel = gaussian(sigma, size=sizes, ndim=ndim) - gaussian(wide, size=sizes, ndim=ndim)
    if not kernel.any():
        raise ArgumentError(f"`sigma` must be larger, for no other pixel is within its reach (got {sigma})")
    return kernel


def gabor(
    wavelength: float,
    theta: float = 0.0,
    sigma: float | None = None,
    gamma: float = 0.5,
    phase: float = 0.0,
    size: int | Sequence[int] | None = None,
    *,
    truncate: float = GABOR_TRUNCATE,
) -> Floats:
    """A wave under a Gaussian: exp(-(u**2 + gamma**2 v**2) / (2 sigma**2)) * cos(2 pi u / wavelength + phase).

    u runs along `theta` (radians, 0 along x and growing from x towards y, which points down), v across; the stripes
    stand across u. `wavelength` is in pixels, at least 2; `sigma` is the width along u, 0.56 wavelengths if left out;
    `gamma` makes the envelope 1 / gamma times as long along the stripes. Phase 0 is even (a bar), -pi / 2 odd (an edge,
    positive where brightness grows along theta). Without `size` (odd, one or (rows, columns)) the kernel is the
    smallest that holds `truncate` standard deviations of the envelope.

    Returns float64 (2-D). The envelope is scaled to the sum 1, so the response to a cosine of the same wave is about
    1/2. A constant image leaves about exp(-2 (pi sigma / wavelength)**2) cos(phase). Apart from that scale these are
    the weights of OpenCV's getGaborKernel turned by 180 degrees. Raises ArgumentError or ArgumentTypeError.
    Sources: Daugman 1985; the defaults: Petkov and Kruizinga 1997 (sources.GABOR).

    >>> gabor(4.0, size=(1, 5)).round(3)
    array([[-0.162,  0.   ,  0.241,  0.   , -0.162]])
    """
    wavelength = checks.real("wavelength", wavelength, at_least=2)
    theta, phase = checks.real("theta", theta), checks.real("phase", phase)
    along = 0.56 * wavelength if sigma is None else checks.real("sigma", sigma, above=0)
    across = checks.real("sigma / gamma", along / checks.real("gamma", gamma, above=0))
    cos, sin = math.cos(theta), math.sin(theta)
    extents = (
        math.hypot(along * sin, across * cos),
        math.hypot(along * cos, across * sin),
    )  # of the ellipse, in y and x
    rows, columns = checks.truncated_sizes(extents, size, truncate, GABOR_TRUNCATE)
    y, x = np.ogrid[-(rows // 2) : rows // 2 + 1, -(columns // 2) : columns // 2 + 1]
    u, v = x * cos + y * sin, y * cos - x * sin
    with np.errstate(over="ignore"):  # far out exp() is 0, and that is right
        envelope = np.exp(-0.5 * ((u / along) ** 2 + (v / across) ** 2))
    return envelope / envelope.sum() * np.cos(2 * np.pi * u / wavelength + phase)
