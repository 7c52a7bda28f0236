"""The gradient of a layer by its weights: lag sums of the result's gradient with the images."""

from __future__ import annotations

import numpy as np

from ..algorithms.lag_sums import lag_sums
from ..algorithms.layer.launch import ONE, problem3
from ..algorithms.layer.slopes_launch import weight_slopes
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
) -> np.ndarray:
    """dw[o, i, a] = sum over n, p of dy[n, o, p] * x[n, i, p * stride + start + a * dilation].

    dy: (n, groups * o, ...), x: (n, groups * c, ...), of any real dtype; ``sums``: what short stretches are added up
    in, float32 or float64. Returns float64 (groups * o, c, *taps).
    """
    outputs, channels = dy.shape[1], x.shape[1] // groups
    taps = tuple(axis.taps for axis in axes)
    if 0 in dy.shape or 0 in x.shape:
        return np.zeros((outputs, channels, *taps))
    lone = (slice(None), slice(None), *(np.newaxis,) * (5 - x.ndim))
    plain = groups == 1 and border == "constant" and {a.stride for a in axes} | {a.dilation for a in axes} == {1}
    if plain and len(axes) < 3 and outputs < FEW_OUTPUTS:
        rows, columns = (ONE, *axes)[-2:]
        dy, x = (array[:, :, np.newaxis] if array.ndim == 3 else array for array in (dy, x))
        wide = np.result_type(sums, *(a.dtype for a in (dy, x) if a.dtype.kind == "f"))
        lags = lag_sums(dy, x, (rows.taps, columns.taps), (rows.start, columns.start), sums=wide, threads=threads)
        return lags.reshape(outputs, channels, *taps)
    total = np.zeros((outputs, channels, *(axis.taps for axis in problem3(axes))))
    ready = all(array.dtype == sums and array.dtype.isnative and array.flags.aligned for array in (dy, x))
    each = 0 if ready else image_bytes(x, sums) + image_bytes(dy, sums)
    with np.errstate(over="ignore", invalid="ignore"):
        for part in batches(len(x), each, PART_BYTES) if each else [slice(None)]:
            slopes, pixels = (np.require(array[part], sums, "A")[lone] for array in (dy, x))
            total += weight_slopes(slopes, pixels, problem3(axes), groups, border, threads)
    return total.reshape(outputs, channels, *taps)
