"""The fixed stencils, for cross-correlation (the kernel is not flipped); full references are in sources.py.

Every constant is read-only, int64 where all its weights are whole numbers and float64 otherwise. Gradient kernels are
positive where brightness grows to the right (``_X``) or downwards (``_Y``). Each comment gives the scale: the response
to a ramp that grows by 1 per pixel along the kernel's axis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .checks import constant

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _whole(*rows: Any) -> NDArray[np.int64]:
    return constant(rows, np.int64)


def _outer(down: NDArray, across: NDArray) -> NDArray:
    """The separable kernel that runs `down` along y and `across` along x."""
    return constant(np.multiply.outer(down, across), np.result_type(down, across))


# ---- one axis: what the others are built from
_DIFFERENCE = _whole(-1, 0, 1)  # scale 2
_SECOND = _whole(1, -2, 1)  # Abramowitz and Stegun 1964, section 25.3
_ONE = _whole(1)
_NONE = _whole(0, 1, 0)

# ---- differences
# Dive into Deep Learning, 'Object Edge Detection in Images'. Scale -1: positive where brightness falls to the right.
DECK = _whole([1, -1])

# Abramowitz and Stegun 1964, section 25.3. Scale 1.
CENTRAL_X = _outer(_ONE, constant(_DIFFERENCE / 2, np.float64))
CENTRAL_Y = constant(CENTRAL_X.T, np.float64)

# Abramowitz and Stegun 1964, section 25.3. The response to x**2 / 2 is 1.
SECOND_X = _outer(_ONE, _SECOND)
SECOND_Y = _outer(_SECOND, _ONE)

# ---- gradients of 3 x 3: smoothing across, difference along
# Sobel and Feldman 1968; Duda and Hart 1973. Scale 8.
SOBEL_X = _outer(_whole(1, 2, 1), _DIFFERENCE)
SOBEL_Y = _outer(_DIFFERENCE, _whole(1, 2, 1))

# Scharr 2000; Jähne, Scharr and Körkel 1999. Scale 32.
SCHARR_X = _outer(_whole(3, 10, 3), _DIFFERENCE)
SCHARR_Y = _outer(_DIFFERENCE, _whole(3, 10, 3))

# Prewitt 1970. Scale 6.
PREWITT_X = _outer(_whole(1, 1, 1), _DIFFERENCE)
PREWITT_Y = _outer(_DIFFERENCE, _whole(1, 1, 1))

# Roberts 1965, signed to grow along the diagonal. [0] looks down and to the right, [1] down and to the left.
# Scale: +1 or -1 on a ramp along x, 1 on a ramp along y.
ROBERTS = _whole([[-1, 0], [0, 1]], [[0, -1], [1, 0]])

# Farid and Simoncelli 2004, table I (5 taps, first order). The smoothing weights sum to 0.999999, the slope of the
# difference is 0.991798; the product of both is the scale.
FARID_SMOOTH = constant([0.037659, 0.249153, 0.426375, 0.249153, 0.037659], np.float64)
FARID_DIFFERENCE = constant([-0.109604, -0.276691, 0.0, 0.276691, 0.109604], np.float64)
FARID_X = _outer(FARID_SMOOTH, FARID_DIFFERENCE)
FARID_Y = _outer(FARID_DIFFERENCE, FARID_SMOOTH)

# ---- compass sets of 3 x 3: [0] looks for the bright side in the north (up), then ne, e, se, s, sw, w, nw
COMPASS = ("n", "ne", "e", "se", "s", "sw", "w", "nw")


def _compass(ring: list[int]) -> NDArray[np.int64]:
    """Eight kernels from the eight outer weights of the first, clockwise from the upper left, 45 degrees apart."""
    rows, columns = [0, 0, 0, 1, 2, 2, 2, 1], [0, 1, 2, 2, 2, 1, 0, 0]
    kernels = np.zeros((8, 3, 3), np.int64)
    for turn, kernel in enumerate(kernels):
        kernel[rows, columns] = np.roll(ring, turn)
    return constant(kernels, np.int64)


# Kirsch 1971. Scale 24 (for n, e, s and w, on a ramp that grows that way).
KIRSCH = _compass([5, 5, 5, -3, -3, -3, -3, -3])

# Robinson 1977, with three levels (scale 6) and with five (scale 8), on the same ramps.
ROBINSON_3 = _compass([1, 1, 1, 0, -1, -1, -1, 0])
ROBINSON_5 = _compass([1, 2, 1, 0, -1, -2, -1, 0])

# ---- the nine orthonormal kernels of Frei and Chen 1977: W1-W4 span the edges, W5-W8 the lines, W9 is the mean.
_R = np.sqrt(2.0)
_FREI_CHEN = (
    (2 * _R, [[1, _R, 1], [0, 0, 0], [-1, -_R, -1]]),
    (2 * _R, [[1, 0, -1], [_R, 0, -_R], [1, 0, -1]]),
    (2 * _R, [[0, -1, _R], [1, 0, -1], [-_R, 1, 0]]),
    (2 * _R, [[_R, -1, 0], [-1, 0, 1], [0, 1, -_R]]),
    (2, [[0, 1, 0], [-1, 0, -1], [0, 1, 0]]),
    (2, [[-1, 0, 1], [0, 0, 0], [1, 0, -1]]),
    (6, [[1, -2, 1], [-2, 4, -2], [1, -2, 1]]),
    (6, [[-2, 1, -2], [1, 4, 1], [-2, 1, -2]]),
    (3, [[1, 1, 1], [1, 1, 1], [1, 1, 1]]),
)
FREI_CHEN = constant([np.array(kernel) / divisor for divisor, kernel in _FREI_CHEN], np.float64)

# The isotropic gradient of the same paper, in whole units: scale 2 * (2 + sqrt(2)).
FREI_CHEN_X = _outer(np.array([1, _R, 1]), _DIFFERENCE)
FREI_CHEN_Y = _outer(_DIFFERENCE, np.array([1, _R, 1]))

# ---- second derivatives, sharpening, high-pass
IDENTITY = _outer(_ONE, _ONE)
_CENTRE = _outer(_NONE, _NONE)

# Abramowitz and Stegun 1964, section 25.3. The response to (x**2 + y**2) / 2 is 2.
LAPLACE = constant(np.outer(_NONE, _SECOND) + np.outer(_SECOND, _NONE), np.int64)

# Gonzalez and Woods 2008, section 3.6.2: with the diagonals. The response to (x**2 + y**2) / 2 is 6.
LAPLACE_8 = constant(1 - 9 * _CENTRE, np.int64)

# Gonzalez and Woods 2008, section 3.6.2: the image minus its Laplacian. Both sum to 1.
SHARPEN = constant(_CENTRE - LAPLACE, np.int64)
SHARPEN_8 = constant(_CENTRE - LAPLACE_8, np.int64)

# GIMP user manual, Convolution Matrix: lit from the lower right. Sums to 1.
EMBOSS = _whole([-2, -1, 0], [-1, 1, 1], [0, 1, 2])

# By definition: the image minus its 3 x 3 mean. Sums to 0.
HIGHPASS = constant(-LAPLACE_8 / 9, np.float64)

# Gonzalez and Woods 2008, section 10.2: lines one pixel wide, horizontal, vertical, along the diagonal that runs down
# to the right, and along the other one. The response to a bright line of height 1 in its direction is 6.
LINES = constant(
    [
        np.outer(3 * _NONE - 1, [1, 1, 1]),
        np.outer([1, 1, 1], 3 * _NONE - 1),
        3 * np.eye(3) - 1,
        3 * np.eye(3)[::-1] - 1,
    ],
    np.int64,
)

# ---- smoothing
# Haddad and Akansu 1991: rows of Pascal's triangle; powers of 2, so exact. Both sum to 1.
BINOMIAL_3 = constant(np.outer([1, 2, 1], [1, 2, 1]) / 16, np.float64)
BINOMIAL_5 = constant(np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256, np.float64)

# By definition: twice the image minus its 5 x 5 binomial mean. Sums to 1.
UNSHARP = constant(2 * np.pad(_CENTRE, 1) - BINOMIAL_5, np.float64)
