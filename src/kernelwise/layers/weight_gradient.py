"""The gradient of a layer by its weights: lag sums of the result's gradient with the images."""

from __future__ import annotations

import numpy as np

from ..algorithms.lag_sums import lag_sums
from ..algorithms.layer import slopes_winograd_launch
from ..algorithms.layer.problem import ONE, problem3
from ..algorithms.layer.slopes_launch import weight_slopes
from ..algorithms.numbers import Number
from ..algorithms.routine import current_target
from ..problem import Axis
from .operations import batches, image_bytes

FEW_OUTPUTS = 8  # channels of a result below which pixels, not they, go side by side in the lanes
PART_BYTES = 16 << 20  # of images that are converted at a time


def weight_gradient(
    dy: np.ndarray,
    x: np.ndarray,
    axes: tuple[Axis, ...],
    groups: int,
    border: str,
    sums: np.dtype,
    threads: int | None = None,
    *,
    precision: str = "exact",
    out: np.ndarray | None = None,
) -> np.ndarray:
    """dw[o, i, a] = sum over n, p of dy[n, o, p] * x[n, i, p * stride + start + a * dilation].

    dy: (n, groups * o, ...), x: (n, groups * c, ...), of any real dtype; ``sums``: what short stretches are added up
    in, float32 or float64. ``precision``: "fast" may use Winograd's algorithm for float32, with an error up to 5e-6 of
    the largest result; "exact" adds up the products themselves, below 1e-6.

    Returns (groups * o, c, *taps): ``out``, of any real dtype and strides, or a new array of float64.
    """
    outputs, channels = dy.shape[1], x.shape[1] // groups
    taps = tuple(axis.taps for axis in axes)
    if out is None:
        out = np.empty((outputs, channels, *taps))
    if 0 in dy.shape or 0 in x.shape:
        out[...] = 0
        return out
    plain = groups == 1 and border == "constant" and {a.stride for a in axes} | {a.dilation for a in axes} == {1}
    if plain and len(axes) < 3 and outputs < FEW_OUTPUTS:
        rows, columns = (ONE, *axes)[-2:]
        dy, x = (array[:, :, np.newaxis] if array.ndim == 3 else array for array in (dy, x))
        wide = np.result_type(sums, *(a.dtype for a in (dy, x) if a.dtype.kind == "f"))
        lags = lag_sums(dy, x, (rows.taps, columns.taps), (rows.start, columns.start), sums=wide, threads=threads)
        with np.errstate(over="ignore"):
            out[...] = lags.reshape(out.shape)
        return out
    ready = all(array.dtype == sums and array.dtype.isnative and array.flags.aligned for array in (dy, x))
    with np.errstate(over="ignore", invalid="ignore"):
        if ready:
            place = out if _fits(out, sums, dy, x) else np.empty(out.shape, sums)
            _one_go(dy, x, axes, groups, border, place, precision, threads)
        else:
            place, each = np.zeros(out.shape), image_bytes(x, sums) + image_bytes(dy, sums)
            some, how = np.empty(out.shape), precision if x.dtype.kind == "f" else "exact"
            for part in batches(len(x), each, PART_BYTES):
                slopes, pixels = (np.require(array[part], sums, "A") for array in (dy, x))
                _one_go(slopes, pixels, axes, groups, border, some, how, threads)
                place += some
        if place is not out:
            out[...] = place
    return out


def _fits(out: np.ndarray, dtype: np.dtype, *inputs: np.ndarray) -> bool:
    """Whether generated code can write to it as it lies."""
    plain = out.dtype == dtype and out.dtype.isnative and out.flags.aligned and out.flags.c_contiguous
    return plain and out.flags.writeable and not any(np.may_share_memory(out, array) for array in inputs)


def _one_go(
    dy: np.ndarray,
    x: np.ndarray,
    axes: tuple[Axis, ...],
    groups: int,
    border: str,
    out: np.ndarray,
    precision: str,
    threads: int | None,
) -> None:
    """Of arrays that generated code reads as they lie; ``out``: float32 or float64, C-contiguous."""
    lone = (slice(None), slice(None), *(np.newaxis,) * (5 - x.ndim))
    dy, x, whole = dy[lone], x[lone], problem3(axes)
    channels, outputs = x.shape[1] // groups, dy.shape[1] // groups
    given = channels, outputs, len(x), Number(x.dtype.str[1:]), current_target()
    if precision == "exact" or not slopes_winograd_launch.worthwhile(whole, *given):
        weight_slopes(dy, x, whole, groups, border, out, threads)
        return
    plan = slopes_winograd_launch.plan(whole, groups, *given)
    place = out if out.dtype == x.dtype else np.empty(out.shape, x.dtype)
    slopes_winograd_launch.weight_slopes(plan, dy, x, border, place, threads)
    if place is not out:
        out[...] = place
