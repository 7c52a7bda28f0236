"""What a layer computes, on arrays: the result, and the three gradients. All of them are correlations."""

from __future__ import annotations

import numpy as np

from ..algorithms.lag_sums import lag_sums
from .bank import correlate_bank
from .channels import correlate_channels
from .window import Window

MANY_OUTPUTS = 6  # channels of a result from which they, not pixels, go side by side in the lanes


def forward(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None, window: Window) -> np.ndarray:
    """y[n, o] = corr(x[n], weight[o]) + bias[o].

    x: (n, i, h, w), weight: (o, i, kh, kw), bias: (o,) or None, all of one dtype. Returns (n, o, y, x).
    """
    axes = window.axes(_image(x))
    if len(weight) >= MANY_OUTPUTS:
        return correlate_channels(x, weight, axes, bias)
    result = correlate_bank(x, weight, axes, weight.dtype)
    if bias is not None:
        result += bias[:, np.newaxis, np.newaxis]
    return result


def input_gradient(dy: np.ndarray, weight: np.ndarray, window: Window, image: tuple[int, int]) -> np.ndarray:
    """The gradient by the images: every result handed back through the taps it came by.

    dx[n, i, p] = sum over o, a of dy[n, o, p - a] * weight[o, i, a]: a full correlation with the kernels flipped.
    dy: (n, o, y, x). Returns (n, i, *image).
    """
    flipped = weight.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1]
    axes = window.axes_back(image)
    if len(flipped) >= MANY_OUTPUTS:
        return correlate_channels(dy, flipped, axes)
    return correlate_bank(dy, flipped, axes, weight.dtype)


def weight_gradient(dy: np.ndarray, x: np.ndarray, window: Window) -> np.ndarray:
    """The gradient by the weights: how well the results' gradient matches the images under every tap.

    dw[o, i, a] = sum over n, p of dy[n, o, p] * x[n, i, p + a]. dy: (n, o, y, x), x: (n, i, h, w).
    Returns (o, i, kh, kw).
    """
    return lag_sums(dy, x, window.taps, window.start, sums=x.dtype).astype(x.dtype)


def bias_gradient(dy: np.ndarray) -> np.ndarray:
    """The gradient by the bias, which every pixel of its channel received. Returns (o,)."""
    return dy.sum(axis=(0, 2, 3), dtype=np.float64).astype(dy.dtype)


def _image(x: np.ndarray) -> tuple[int, int]:
    return x.shape[2], x.shape[3]
