"""correlate, convolve and their one-dimensional forms, with SciPy's arguments."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..errors import ArgumentError, ArgumentTypeError
from . import engine
from .arguments import (
    NdimageError,
    border,
    check_real,
    check_writable,
    per_axis,
    real_number,
    result_array,
    some_axes,
)
from .lines import as_bytes, check_origin, fill, one_pass, settle


def correlate1d(
    input: Any,
    weights: Any,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: int = 0,
) -> np.ndarray:
    """Correlate along one axis; see `scipy.ndimage.correlate1d`.

    input: an array of any shape, of bool, integers, float32, float64 or complex numbers. weights: a sequence. output:
    an array to fill, or a dtype; else the result has the image's. origin: shifts the taps, -(k // 2) .. (k - 1) // 2.
    Sums are kept in float64 and converted to the output as C converts numbers. Raises NdimageError (a RuntimeError),
    ArgumentError (a ValueError), TypeError.

    >>> correlate1d([2, 8, 0, 4, 1, 9, 9, 0], weights=[1, 3])
    array([ 8, 26,  8, 12,  7, 28, 36,  9])
    """
    x, weights = np.asarray(input), np.asarray(weights)
    if "c" in (x.dtype.kind, weights.dtype.kind):
        if weights.dtype.kind == "c":
            weights = weights.conj().astype(np.complex128, copy=False)
        out = result_array(output, x, complex_result=True)
        options = {"axis": axis, "mode": mode, "origin": origin}
        return _by_real_parts(correlate1d, x, weights, out, cval, options)
    out = result_array(output, x)
    fill(x, [one_pass(weights, axis, x.ndim, mode, cval, origin)], out)
    return out


def convolve1d(
    input: Any,
    weights: Any,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: int = 0,
) -> np.ndarray:
    """Convolve along one axis; see `scipy.ndimage.convolve1d`. Arguments and errors are those of `correlate1d`.

    >>> convolve1d([2, 8, 0, 4, 1, 9, 9, 0], weights=[1, 3])
    array([14, 24,  4, 13, 12, 36, 27,  0])
    """
    weights = np.asarray(weights)[::-1]
    origin = -origin
    if not weights.shape[0] & 1:
        origin -= 1
    if weights.dtype.kind == "c":
        weights = weights.conj()
    return correlate1d(input, weights, axis, output, mode, cval, origin)


def correlate(
    input: Any,
    weights: Any,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> np.ndarray:
    """Correlate with a kernel of several axes; see `scipy.ndimage.correlate`.

    weights: as many axes as ``axes`` names, or as the image has. origin: one integer, or one for each axis. The other
    arguments and errors are those of `correlate1d`.

    >>> correlate([[0, 0, 0], [0, 1, 0], [0, 0, 0]], [[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    array([[9, 8, 7],
           [6, 5, 4],
           [3, 2, 1]])
    """
    return _correlate(input, weights, output, mode, cval, origin, False, axes)


def convolve(
    input: Any,
    weights: Any,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> np.ndarray:
    """Convolve with a kernel of several axes; see `scipy.ndimage.convolve`. Arguments are those of `correlate`.

    >>> convolve([[0, 0, 0], [0, 1, 0], [0, 0, 0]], [[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    array([[1, 2, 3],
           [4, 5, 6],
           [7, 8, 9]])
    """
    return _correlate(input, weights, output, mode, cval, origin, True, axes)


def _correlate(
    input: Any, weights: Any, output: Any, mode: Any, cval: Any, origin: Any, convolution: bool, axes: Any
) -> np.ndarray:
    x, weights = np.asarray(input), np.asarray(weights)
    if "c" in (x.dtype.kind, weights.dtype.kind):
        if weights.dtype.kind == "c" and not convolution:
            weights = weights.conj()
        out = result_array(output, x, complex_result=True)
        options = {"mode": mode, "origin": origin, "convolution": convolution, "axes": axes}
        return _by_real_parts(_correlate_real, x, weights, out, cval, options)
    return _correlate_real(x, weights, output, cval, mode, origin, convolution, axes)


def _correlate_real(
    x: np.ndarray, weights: Any, output: Any, cval: Any, mode: Any, origin: Any, convolution: bool, axes: Any
) -> np.ndarray:
    where = some_axes(axes, x.ndim)
    weights = np.asarray(weights, np.float64)
    if len(where) < x.ndim:
        if weights.ndim != len(where):
            raise NdimageError(f"`weights` must have {len(where)} axes, as many as `axes` (got {weights.ndim})")
        weights = np.expand_dims(weights, tuple(axis for axis in range(x.ndim) if axis not in where))
    given = per_axis("origin", origin, len(where))
    origins = [0] * x.ndim if len(where) < x.ndim else given
    if len(where) < x.ndim:
        for number, axis in zip(given, where, strict=True):
            origins[axis] = number
    if len([n for n in weights.shape if n > 0]) != x.ndim:
        raise NdimageError(f"`weights` must have {x.ndim} axes with taps (got shape {weights.shape})")
    if convolution:
        weights = weights[(slice(None, None, -1),) * weights.ndim]
        origins = [-o if n & 1 else -o - 1 for o, n in zip(origins, weights.shape, strict=True)]
    for number, taps in zip(origins, weights.shape, strict=True):
        check_origin(number, taps)
    out = result_array(output, x)
    if not isinstance(mode, str) and isinstance(mode, Iterable):
        raise NdimageError(f"`mode` must be one name for all axes (got {mode!r})")
    name, value = border(mode), real_number("cval", cval)
    starts = tuple(-(n // 2) - _whole(o) for o, n in zip(origins, weights.shape, strict=True))
    check_writable(out)
    if x.size == 0:
        return out
    check_real("input", x.dtype)
    check_real("output", out.dtype)
    taps = np.ascontiguousarray(weights).reshape(weights.shape)
    engine.correlate(as_bytes(x), taps, starts, name, value, as_bytes(out))
    settle(out)
    return out


def _whole(origin: Any) -> int:
    if isinstance(origin, (bool, np.bool_)):
        raise ArgumentTypeError(f"`origin` must be an integer (got {origin!r})")
    return operator.index(origin)


def _by_real_parts(
    correlate: Callable[..., np.ndarray],
    x: np.ndarray,
    weights: np.ndarray,
    out: np.ndarray,
    cval: Any,
    options: dict[str, Any],
) -> np.ndarray:
    """Complex images and kernels from correlations of their parts, in SciPy's order."""

    def part(image: np.ndarray, kernel: np.ndarray, output: Any, fill: Any) -> np.ndarray:
        return correlate(image, kernel, output=output, cval=fill, **options)

    overlap = np.may_share_memory(x, out)
    x = x.copy() if overlap else x
    if x.dtype.kind == weights.dtype.kind == "c":
        part(x.real, weights.real, out.real, np.real(cval))
        out.real -= part(x.imag, weights.imag, None, np.imag(cval))
        part(x.real, weights.imag, out.imag, np.real(cval))
        out.imag += part(x.imag, weights.real, None, np.imag(cval))
    elif x.dtype.kind == "c":
        part(x.real, weights, out.real, np.real(cval))
        part(x.imag, weights, out.imag, np.imag(cval))
    else:
        if np.iscomplexobj(cval):
            raise ArgumentError(f"`cval` must be real for a real image (got {cval!r})")
        part(x, weights.real, out.real, cval)
        part(x, weights.imag, out.imag, cval)
    return out
