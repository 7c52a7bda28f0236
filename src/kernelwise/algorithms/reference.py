"""The definition, tap by tap, in float64 or exact integers: slow, obviously right, and the judge of all others."""

from __future__ import annotations

import itertools

import numpy as np

from ..borders import OUTSIDE, pick, source_index
from ..problem import Axis, Problem


def correlate(problem: Problem, x: np.ndarray) -> np.ndarray:
    """y[p] = sum over a of k[a] * x[p * stride + start + a * dilation], before rounding to the result's dtype.

    x: an array of problem.shape. Returns int64, float64 or complex128 of problem.result_shape; a zero tap is absent.
    """
    kernel = problem.weights
    exact = problem.image.kind in "biu" and kernel.dtype.kind in "biu"
    work = np.dtype(np.int64) if exact else np.result_type(kernel.dtype, problem.image, np.float64)
    y = np.zeros(problem.result_shape, work)
    for tap in itertools.product(*(range(n) for n in kernel.shape)):
        weight = kernel[tap]
        if weight == 0:
            continue
        pixels = x if x.size else np.zeros(problem.result_shape, x.dtype)
        outside = np.zeros((1,) * x.ndim, bool)
        for axis, geometry, a in zip(problem.axes, problem.geometry, tap, strict=True):
            places = _places(geometry, a, problem.border)
            pixels = pick(pixels, axis, places) if x.size else pixels
            outside = outside | (places == OUTSIDE).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
        pixels = np.where(outside, np.asarray(problem.fill, problem.image), pixels)
        with np.errstate(all="ignore"):
            y += pixels.astype(work) * work.type(weight) if exact else _times(pixels.astype(work), weight)
    return y


def _times(pixels: np.ndarray, weight: np.number) -> np.ndarray:
    """A product by a real weight keeps real and imaginary parts apart, so that an infinity does not cross over."""
    if np.iscomplexobj(pixels) and not np.iscomplexobj(weight):
        products = np.empty(pixels.shape, np.complex128)
        products.real, products.imag = pixels.real * weight, pixels.imag * weight
        return products
    return pixels * weight


def _places(axis: Axis, tap: int, border: str) -> np.ndarray:
    """The place in the image under a tap, or OUTSIDE, for every output."""
    first = axis.start + tap * axis.dilation
    return source_index(np.arange(axis.out, dtype=np.int64) * axis.stride + first, axis.n, border)
