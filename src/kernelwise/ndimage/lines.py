"""Filters along one axis, and whole lists of them: arguments already looked at, arrays real."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentError
from . import engine
from .arguments import NdimageError, border, check_real, check_writable, one_axis, real_number
from .passes import Pass


def one_pass(weights: Any, axis: Any, ndim: int, mode: Any, cval: Any, origin: Any) -> Pass:
    """A pass from SciPy's arguments, checked in SciPy's order."""
    weights = np.asarray(weights, np.float64)
    if weights.ndim != 1 or weights.shape[0] < 1:
        raise NdimageError(f"`weights` must have one axis and at least one tap (got shape {weights.shape})")
    axis = one_axis(axis, ndim)
    taps = len(weights)
    check_origin(origin, taps)
    name = border(mode)
    value = real_number("cval", cval)
    return Pass(axis, np.ascontiguousarray(weights), name, value, -(taps // 2) - operator.index(origin))


def check_origin(origin: Any, taps: int) -> None:
    if origin < -(taps // 2) or origin > (taps - 1) // 2:
        allowed = f"from {-(taps // 2)} to {(taps - 1) // 2} for {taps} taps"
        raise ArgumentError(f"`origin` must lie {allowed} (got {origin!r})")


def fill(x: np.ndarray, passes: Sequence[Pass], out: np.ndarray) -> None:
    """Passes over a real image into a real array; bool counts as uint8 until the end."""
    check_real("input", x.dtype)
    check_real("output", out.dtype)
    check_writable(out)
    engine.apply(as_bytes(x), passes, as_bytes(out))
    settle(out)


def as_bytes(array: np.ndarray) -> np.ndarray:
    """A bool array as the bytes it consists of."""
    return array.view(np.uint8) if array.dtype.kind == "b" else array


def settle(out: np.ndarray) -> None:
    """Bytes written into a bool array made True and False: any but 0 is True."""
    if out.dtype.kind == "b":
        np.not_equal(out.view(np.uint8), 0, out=out)
