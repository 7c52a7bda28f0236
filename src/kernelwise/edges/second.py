"""Second derivatives, and the edges where they change their sign."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from .. import stencils
from ..algorithms.gradient import TABLE
from ..algorithms.routine import current_target
from ..arrays import as_image
from ..correlation import check_threads, correlate
from ..errors import ArgumentTypeError
from ..problem import normalise
from ..stencils.checks import real
from .arguments import check_result, image_axes
from .fused import Pass, Wanted, assemble, empty_outs, parts_of


def laplace(
    x: Any,
    *,
    diagonals: bool = False,
    axes: int | tuple[int, ...] | None = None,
    border: str = "reflect",
    fill: float = 0,
    dtype: Any = None,
    out: np.ndarray | None = None,
    threads: int | None = None,
) -> np.ndarray:
    """The Laplacian: the sum of the second derivatives along the axes, from the neighbours of each pixel.

    Parameters
    ----------
    x : array; one to three of its axes are the image's, the others a batch.
    diagonals : take the pixel's 3**n - 1 neighbours (in an image 8) instead of its 2 n nearest ones (4). For n axes the
        response is then 3**(n - 1) times as large on a parabola along one of them.
    axes : of the image, ascending; all axes of x if it has three or fewer. Colour (H, W, 3) takes ``axes=(0, 1)``.
    border, fill, dtype, out, threads : as in `kernelwise.correlate`.

    Returns an array of x's shape; exact int32 or int64 for integers, else the image's dtype. Raises ArgumentError or
    ArgumentTypeError naming the argument. Sources: `kernelwise.stencils.sources`, DIFFERENCES and LAPLACIAN_MASKS.

    >>> laplace([[0, 0, 0], [0, 1, 0], [0, 0, 0]], border="constant")
    array([[ 0,  1,  0],
           [ 1, -4,  1],
           [ 0,  1,  0]])
    """
    image = as_image("x", x)
    where = image_axes(axes, image.ndim)
    if not isinstance(diagonals, (bool, np.bool_)):
        raise ArgumentTypeError(f"`diagonals` must be True or False (got {diagonals!r})")
    kernel = _laplacian(len(where), bool(diagonals))
    return correlate(
        image, kernel, axes=where, border=border, fill=fill, dtype=dtype, out=out, threads=check_threads(threads)
    )


def _laplacian(axes: int, diagonals: bool) -> np.ndarray:
    centre = (1,) * axes
    if diagonals:
        kernel = np.ones((3,) * axes, np.int64)
        kernel[centre] -= 3**axes
        return kernel
    kernel = np.zeros((3,) * axes, np.int64)
    for axis in range(axes):
        kernel[tuple(slice(None) if a == axis else 1 for a in range(axes))] += [1, -2, 1]
    return kernel


def log(
    x: Any,
    sigma: float,
    *,
    axes: int | tuple[int, ...] | None = None,
    border: str = "reflect",
    fill: float = 0,
    dtype: Any = None,
    out: np.ndarray | None = None,
    threads: int | None = None,
) -> np.ndarray:
    """The Laplacian of the image smoothed with a Gaussian of ``sigma`` pixels: positive on the dark side of an edge.

    x, axes, border, fill, dtype, out and threads as in `laplace`; the weights are those of `kernelwise.stencils.log`,
    whose sum is 0. Returns an array of x's shape: the image's dtype if that is float, else float32 (float64 for 32- and
    64-bit integers). Its zero crossings are edges; see `zero_crossings`. Raises ArgumentError or ArgumentTypeError
    naming the argument. Source: Marr and Hildreth 1980 (`kernelwise.stencils.sources`).

    >>> import numpy as np
    >>> step = np.repeat([0.0, 1.0], 10)
    >>> np.sign(log(step, 1.0)[8:12])
    array([ 1.,  1., -1., -1.])
    """
    image = as_image("x", x)
    where = image_axes(axes, image.ndim)
    kernel = stencils.log(sigma, ndim=len(where))
    return correlate(
        image, kernel, axes=where, border=border, fill=fill, dtype=dtype, out=out, threads=check_threads(threads)
    )


def zero_crossings(
    y: Any,
    *,
    jump: float = 0.0,
    axes: int | tuple[int, ...] | None = None,
    out: np.ndarray | None = None,
    threads: int | None = None,
) -> np.ndarray:
    """Where the sign changes between neighbours along an axis, by more than ``jump``: edges one pixel wide.

    Parameters
    ----------
    y : array of integers or floats, such as the result of `log` or `laplace`; any strides.
    jump : the least difference of the two neighbours, exclusive; at least 0. It keeps the crossings of noise out.
    axes : of the image, as in `laplace`.
    out : a bool array of y's shape to write into.
    threads : at most this many; the bits of the result do not depend on it.

    Of the two pixels the one nearer to zero is marked, the first one if both are as near. A zero between two pixels of
    opposite signs is marked itself. There is no crossing at the border, nor next to a NaN.

    Returns a bool array of y's shape. Raises ArgumentError or ArgumentTypeError naming the argument. Source: Marr and
    Hildreth 1980 (`kernelwise.stencils.sources`).

    >>> zero_crossings([3.0, 1.0, -2.0, -4.0, 0.0, 5.0])
    array([False,  True, False, False,  True, False])
    """
    image, threads = as_image("y", y), check_threads(threads)
    least = real("jump", jump, at_least=0)
    where = image_axes(axes, image.ndim, "y")
    if out is not None:
        check_result(out, image.shape, np.dtype(bool))
    if image.dtype.kind in "bu":
        return _none(image, out)
    made = _crossings(image, where)
    table = _table(least, made.spec.sums.dtype)
    (found,) = made(image, empty_outs(made) if out is None else [out], table, threads)
    return found


def _none(image: np.ndarray, out: np.ndarray | None) -> np.ndarray:
    """Unsigned numbers have no sign that could change."""
    if out is None:
        return np.zeros(image.shape, bool)
    out[...] = False
    return out


def _crossings(image: np.ndarray, axes: tuple[int, ...]) -> Pass:
    if image.dtype.kind == "c":
        raise ArgumentTypeError(f"`y` must be real (got {image.dtype})")
    kernel = np.ones((3,) * len(axes))
    problem = normalise(
        image.shape, image.dtype, kernel, flip=False, mode="same", border="edge" if image.size else "constant", fill=0,
        anchor=None, stride=1, dilation=1, axes=axes, nan="propagate", dtype=None,
    )  # fmt: skip
    problem = replace(problem, sums=_sums(image.dtype))
    weights = parts_of(problem, [[np.ones(3)] * len(axes)])
    return assemble(problem, weights, "crossings", [Wanted("mask", "mask", np.dtype(bool))], current_target())


def _sums(dtype: np.dtype) -> np.dtype:
    """What pixels are compared in: signed where they are, and wide enough for the sum of two magnitudes as unsigned."""
    if dtype.kind == "f":
        return np.dtype(f"f{max(4, dtype.itemsize)}")
    return np.dtype(f"i{max(2, dtype.itemsize)}")


def _table(least: float, sums: np.dtype) -> np.ndarray:
    """The table of a routine for crossings: the jump, rounded down in unsigned integers."""
    table = np.zeros(TABLE, np.uint8)
    with np.errstate(over="ignore"):
        if sums.kind == "f":
            value = np.array([least]).astype(sums)
        else:
            most = 2 ** (8 * sums.itemsize) - 1
            value = np.array([min(most, math.floor(least))], f"u{sums.itemsize}")
    table[: sums.itemsize] = value.view(np.uint8)
    return table
