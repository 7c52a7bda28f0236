"""Means under a sliding window, with SciPy's arguments."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from ..errors import ArgumentError
from . import windows
from .arguments import (
    NdimageError,
    border,
    check_real,
    check_writable,
    one_axis,
    per_axis,
    real_number,
    result_array,
    some_axes,
)
from .lines import as_bytes, settle


def uniform_filter1d(
    input: Any,
    size: int,
    axis: int = -1,
    output: Any = None,
    mode: str = "reflect",
    cval: float = 0.0,
    origin: int = 0,
) -> np.ndarray:
    """The mean of ``size`` neighbours along one axis; see `scipy.ndimage.uniform_filter1d`.

    One sum slides along each line in float64: what enters less what leaves is added to it. The other arguments and
    errors are those of `correlate1d`.

    >>> uniform_filter1d([2, 8, 0, 4, 1, 9, 9, 0], size=3)
    array([4, 3, 4, 1, 4, 6, 6, 3])
    """
    x = np.asarray(input)
    axis = one_axis(axis, x.ndim)
    if size < 1:
        raise NdimageError(f"`size` must be at least 1 (got {size!r})")
    is_complex = x.dtype.kind == "c"
    out = result_array(output, x, complex_result=is_complex)
    _check_origin(origin, size)
    name = border(mode)
    if is_complex:
        x = x.copy() if np.may_share_memory(x, out) else x
        _fill(x.real, [_window(size, axis, name, np.real(cval), origin)], out.real)
        _fill(x.imag, [_window(size, axis, name, np.imag(cval), origin)], out.imag)
    else:
        _fill(x, [_window(size, axis, name, cval, origin)], out)
    return out


def _check_origin(origin: Any, size: Any) -> None:
    if size // 2 + origin < 0 or size // 2 + origin >= size:
        allowed = f"from {-(size // 2)} to {(size - 1) // 2} for size {size}"
        raise ArgumentError(f"`origin` must lie {allowed} (got {origin!r})")


def _window(size: Any, axis: int, name: str, cval: Any, origin: Any) -> windows.Window:
    size, value = operator.index(size), real_number("cval", cval)
    return windows.Window(axis, size, -(size // 2) - operator.index(origin), name, value)


def _fill(x: np.ndarray, steps: list[windows.Window], out: np.ndarray) -> None:
    """Windows over a real image into a real array."""
    check_real("input", x.dtype)
    check_real("output", out.dtype)
    check_writable(out)
    windows.apply(as_bytes(x), steps, as_bytes(out))
    settle(out)


def uniform_filter(
    input: Any,
    size: Any = 3,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    origin: Any = 0,
    *,
    axes: Any = None,
) -> np.ndarray:
    """The mean of a box of neighbours, one axis after the other; see `scipy.ndimage.uniform_filter`.

    size, mode, origin: one for all axes, or one for each. What one axis leaves is converted to the output's dtype
    before the next one.

    >>> uniform_filter(np.arange(12.0).reshape(3, 4), size=3)
    array([[1.66666667, 2.33333333, 3.33333333, 4.        ],
           [4.33333333, 5.        , 6.        , 6.66666667],
           [7.        , 7.66666667, 8.66666667, 9.33333333]])
    """
    x = np.asarray(input)
    out = result_array(output, x, complex_result=x.dtype.kind == "c")
    where = some_axes(axes, x.ndim)
    count = len(where)
    sizes = per_axis("size", size, count)
    origins = per_axis("origin", origin, count)
    modes = per_axis("mode", mode, count)
    steps = [step for step in zip(where, sizes, origins, modes, strict=True) if step[1] > 1]
    if not steps:
        out[...] = x
    elif "c" in (x.dtype.kind, out.dtype.kind):
        for axis, length, shift, name in steps:
            uniform_filter1d(x, int(length), axis, out, name, cval, shift)
            x = out
    else:
        made = []
        for axis, length, shift, name in steps:
            _check_origin(shift, int(length))
            made.append(_window(int(length), one_axis(axis, x.ndim), border(name), cval, shift))
        _fill(x, made, out)
    return out
