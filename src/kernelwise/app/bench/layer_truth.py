"""Layers and their gradients by the definition, in float64, tap by tap with NumPy: what everybody's error is from."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from .agree import Disagreement
from .rivals.engines import Layer


def forward(layer: Layer) -> np.ndarray:
    """(n, o, h, w) float64."""
    w = layer.w.astype(np.float64)
    y = np.zeros(layer.y_shape)
    x = _padded(layer)
    for a, b, window in _windows(layer):
        seen = x[window]
        if layer.groups > 1:
            y += seen * w[:, 0, a, b, None, None]
        else:
            y += _by_pixels(w[:, :, a, b], seen)
    return y


def gradients(layer: Layer, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(dx, dw) float64 of sum(dy * y), for a layer without groups."""
    w, slopes = layer.w.astype(np.float64), dy.astype(np.float64)
    x = _padded(layer)
    dx, dw = np.zeros(x.shape), np.zeros(layer.w_shape)
    for a, b, window in _windows(layer):
        dw[:, :, a, b] = np.tensordot(slopes, x[window], axes=((0, 2, 3), (0, 2, 3)))
        dx[window] += _by_pixels(np.ascontiguousarray(w[:, :, a, b].T), slopes)
    side = layer.padding
    return dx[:, :, side : side + layer.size[0], side : side + layer.size[1]], dw


def slopes(layer: Layer) -> np.ndarray:
    """(n, o, h, w) float32: a gradient that comes back to the layer."""
    return np.random.default_rng(99).standard_normal(layer.y_shape, np.float32)


@lru_cache(maxsize=1)
def known_forward(layer: Layer) -> np.ndarray:
    """`forward`, kept for the other thread count of a row."""
    return forward(layer)


@lru_cache(maxsize=1)
def known_gradients(layer: Layer) -> tuple[np.ndarray, np.ndarray]:
    """`gradients` for `slopes`, kept likewise."""
    return gradients(layer, slopes(layer))


def relative_error(got: np.ndarray, truth: np.ndarray) -> float:
    """max |got - truth| / max |truth|; infinite where a NaN or another shape makes it senseless."""
    if got.shape != truth.shape:
        raise Disagreement(f"{got.shape} instead of {truth.shape}")
    with np.errstate(invalid="ignore", over="ignore"):
        error = max((float(np.abs(a - b).max()) for a, b in zip(got, truth, strict=True)), key=_or_infinite)
    return _or_infinite(error) / float(np.abs(truth).max())


def _or_infinite(value: float) -> float:
    return value if value == value else float("inf")


def _padded(layer: Layer) -> np.ndarray:
    side = layer.padding
    return np.pad(layer.x.astype(np.float64), ((0, 0), (0, 0), (side, side), (side, side)))


def _windows(layer: Layer) -> Iterator[tuple[int, int, tuple[slice, ...]]]:
    """Each tap with the padded pixels that it meets."""
    height, width = layer.out_size
    step = layer.stride
    for a in range(layer.taps):
        for b in range(layer.taps):
            rows = slice(a, a + (height - 1) * step + 1, step)
            yield a, b, (slice(None), slice(None), rows, slice(b, b + (width - 1) * step + 1, step))


def _by_pixels(matrix: np.ndarray, x: np.ndarray) -> np.ndarray:
    """(o, i) times the channels of (n, i, h, w): (n, o, h, w)."""
    flat = x.reshape(*x.shape[:2], -1)
    product: np.ndarray = np.matmul(matrix, flat)
    return product.reshape(len(x), len(matrix), *x.shape[2:])
