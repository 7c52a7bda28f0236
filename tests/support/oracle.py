"""The definition, written once more and apart from the library: plain loops over arrays that np.pad has extended.

    y[p] = sum over a of k[a] * x[p * stride + o + offset(a)],    offset(a) = (a - anchor) * dilation

per axis; `convolve` has ``(anchor - a) * dilation``. Nothing here imports kernelwise.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

NUMPY_MODE = {"constant": "constant", "edge": "edge", "reflect": "reflect", "symmetric": "symmetric", "wrap": "wrap"}


@dataclass(frozen=True)
class Line:
    """One axis: where output p finds the pixel under tap a, at ``first + p * stride + offsets[a]``."""

    n: int
    first: int
    stride: int
    offsets: tuple[int, ...]
    out: int

    def padding(self) -> tuple[int, int]:
        """Pixels that have to stand before and behind the image."""
        if self.out == 0:
            return 0, 0
        lowest = self.first + min(self.offsets)
        highest = self.first + (self.out - 1) * self.stride + max(self.offsets)
        return max(0, -lowest), max(0, highest - (self.n - 1))


def line(n: int, taps: int, mode: str, anchor: int | None, stride: int, dilation: int, flip: bool) -> Line:
    """The geometry of one axis, by the contract's first rule."""
    centre = taps // 2 if anchor is None else anchor
    offsets = tuple((centre - a if flip else a - centre) * dilation for a in range(taps))
    reach = (taps - 1) * dilation
    if mode == "same":
        dense, first = n, 0
    elif mode == "valid":  # output 0 is the first window wholly inside: its lowest pixel is pixel 0
        dense, first = n - reach, -min(offsets)
    else:  # output 0 is the first window that touches the image: its highest pixel is pixel 0
        dense, first = n + reach, -max(offsets)
    return Line(n, first, stride, offsets, -(-max(0, dense) // stride))


def each(value: Any, n: int) -> list[Any]:
    """One value for each of n axes."""
    return list(value) if isinstance(value, Sequence | np.ndarray) else [value] * n


def correlate(
    x: np.ndarray,
    k: np.ndarray,
    *,
    mode: str = "same",
    border: str = "reflect",
    fill: Any = 0,
    anchor: Any = None,
    stride: Any = 1,
    dilation: Any = 1,
    axes: Any = None,
    flip: bool = False,
    work: Any = None,
) -> np.ndarray:
    """The sums, in ``work``: exact Python integers (object) for integers, float64 or complex128 for the rest.

    A tap of weight zero is absent: what lies under it does not matter.
    """
    x, k = np.asarray(x), np.asarray(k)
    if work is None:
        whole = x.dtype.kind in "biu" and k.dtype.kind in "biu"
        work = object if whole else np.result_type(x.dtype, k.dtype, np.float64)
    y, taps = None, windows(x, k, mode, border, fill, anchor, stride, dilation, axes, flip, work)
    for weight, pixels in taps:
        y = np.zeros(pixels.shape, work) if y is None else y
        if weight != 0:
            y = y + _product(pixels, weight, work)
    assert y is not None
    return y


def _product(pixels: np.ndarray, weight: Any, work: Any) -> np.ndarray:
    """A real weight times the real and the imaginary part: an infinity in one of them stays there."""
    if work is object:
        return pixels * int(weight)
    if np.dtype(work).kind == "c" and weight.imag == 0:
        return (np.ascontiguousarray(pixels).view(pixels.real.dtype) * weight.real).view(work).reshape(pixels.shape)
    return pixels * np.asarray(weight).astype(work)


def windows(
    x: np.ndarray,
    k: np.ndarray,
    mode: str,
    border: str,
    fill: Any,
    anchor: Any,
    stride: Any,
    dilation: Any,
    axes: Any,
    flip: bool,
    work: Any,
) -> Iterator[tuple[Any, np.ndarray]]:
    """(weight, the pixel under that tap for every output), tap by tap."""
    ndim = k.ndim
    where = [a % x.ndim for a in (range(x.ndim - ndim, x.ndim) if axes is None else each(axes, ndim))]
    anchors = each(anchor, ndim) if anchor is not None else [None] * ndim
    settings = zip(where, k.shape, anchors, each(stride, ndim), each(dilation, ndim), strict=True)
    lines = [line(x.shape[w], n, mode, a, s, d, flip) for w, n, a, s, d in settings]
    padding = [(0, 0)] * x.ndim
    for w, geometry in zip(where, lines, strict=True):
        padding[w] = geometry.padding()
    values = x.astype(work) if work is not object else x.astype(object)
    padded = extended(values, padding, border, fill)
    for tap in itertools.product(*(range(n) for n in k.shape)):
        cut = [slice(None)] * x.ndim
        for w, geometry, a in zip(where, lines, tap, strict=True):
            start = padding[w][0] + geometry.first + geometry.offsets[a]
            stop = start + (geometry.out - 1) * geometry.stride + 1
            cut[w] = slice(start, stop, geometry.stride) if geometry.out else slice(0, 0)
        yield k[tap], padded[tuple(cut)]


def extended(values: np.ndarray, padding: list[tuple[int, int]], border: str, fill: Any) -> np.ndarray:
    """np.pad itself."""
    if not any(map(any, padding)):
        return values
    if border == "constant":
        return np.pad(values, padding, "constant", constant_values=fill)
    return np.pad(values, padding, border)  # type: ignore[call-overload]


def magnitude(x: np.ndarray, k: np.ndarray, **options: Any) -> np.ndarray:
    """sum |x| |k| of every output, in long double: what bounds of rounding errors are made of."""
    options = {**options, "work": np.longdouble}
    if options.get("border") == "constant":
        options["fill"] = abs(options.get("fill", 0))
    return correlate(np.abs(x.astype(np.result_type(x.dtype, np.float64))), np.abs(k), **options)
