"""The gradient of a layer by its weights: lag sums of the result's gradient with the images."""

from __future__ import annotations

import numpy as np

from ..algorithms.lag_sums import lag_sums
from ..borders import source_index
from ..problem import Axis


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

    dy: (n, groups * o, ...), x: (n, groups * c, ...). Returns float64 (groups * o, c, *taps).
    """
    if groups == 1 and border == "constant" and len(axes) < 3 and all(a.stride == a.dilation == 1 for a in axes):
        return _by_lags(dy, x, axes, sums, threads)
    return _tap_by_tap(dy, x, axes, groups, border)


def _by_lags(dy: np.ndarray, x: np.ndarray, axes: tuple[Axis, ...], sums: np.dtype, threads: int | None) -> np.ndarray:
    if len(axes) == 1:
        lone = Axis(1, 1, 0, 1, 1, 1)
        return _by_lags(dy[:, :, np.newaxis], x[:, :, np.newaxis], (lone, *axes), sums, threads)[:, :, 0]
    taps, start = zip(*((a.taps, a.start) for a in axes), strict=True)
    return lag_sums(dy, x, taps, start, sums=np.result_type(sums, dy.dtype), threads=threads)


def _tap_by_tap(dy: np.ndarray, x: np.ndarray, axes: tuple[Axis, ...], groups: int, border: str) -> np.ndarray:
    outputs, channels = dy.shape[1] // groups, x.shape[1] // groups
    dw = np.zeros((groups, outputs, channels, *(a.taps for a in axes)))
    slopes = dy.reshape(len(dy), groups, outputs, -1).astype(np.float64)
    for tap in np.ndindex(*(a.taps for a in axes)):
        part = x.reshape(len(x), groups, channels, *x.shape[2:])
        for j, (axis, a) in enumerate(zip(axes, tap, strict=True)):
            places = source_index(np.arange(axis.out) * axis.stride + axis.start + a * axis.dilation, axis.n, border)
            inside = (places >= 0).reshape(-1, *(1,) * (len(axes) - 1 - j))
            part = np.where(inside, part.take(np.maximum(places, 0), axis=3 + j), 0)
        flat = part.reshape(len(x), groups, channels, -1).astype(np.float64)
        dw[(slice(None), slice(None), slice(None), *tap)] = np.einsum("ngop,ngip->goi", slopes, flat)
    return dw.reshape(groups * outputs, channels, *(a.taps for a in axes))
