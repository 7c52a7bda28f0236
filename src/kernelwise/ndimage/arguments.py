"""SciPy's arguments, checked as SciPy checks them: the same kinds of errors for the same reasons.

Where SciPy raises RuntimeError, `NdimageError` is raised, which is one.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..errors import ArgumentError, ArgumentTypeError, KernelwiseError

MODES = {  # SciPy's name: np.pad's
    "reflect": "symmetric",
    "grid-mirror": "symmetric",
    "mirror": "reflect",
    "nearest": "edge",
    "wrap": "wrap",
    "grid-wrap": "wrap",
    "constant": "constant",
    "grid-constant": "constant",
}
NUMBERS = "?bBhHiIlLqQfd"  # the dtypes of real images and results


class NdimageError(KernelwiseError, RuntimeError):
    """An argument has a value for which SciPy raises RuntimeError."""


def border(mode: Any) -> str:
    """np.pad's name for one of SciPy's modes."""
    if not isinstance(mode, str) or mode not in MODES:
        raise NdimageError(f"`mode` must be one of {', '.join(map(repr, MODES))} (got {mode!r})")
    return MODES[mode]


def per_axis(name: str, value: Any, n: int) -> list[Any]:
    """A list of n values from one value or from a sequence of n."""
    if isinstance(value, str) or not np.iterable(value):
        return [value] * n
    values = list(value)
    if len(values) != n:
        raise NdimageError(f"`{name}` must be one value or {n}, one for each axis (got {value!r})")
    return values


def one_axis(axis: Any, ndim: int) -> int:
    """An axis from 0 to ndim - 1. The range is looked at first, as SciPy does, even of a float."""
    if isinstance(axis, (int, float, np.number)) and not -ndim <= axis < ndim:
        raise np.exceptions.AxisError(axis, ndim)  # type: ignore[arg-type]
    return operator.index(axis) % ndim


def some_axes(axes: Any, ndim: int) -> tuple[int, ...]:
    """Several different axes; None means all."""
    if axes is None:
        return tuple(range(ndim))
    if np.isscalar(axes):
        numbers: tuple[int, ...] = (operator.index(axes),)  # type: ignore[arg-type]
    elif isinstance(axes, Iterable):
        numbers = tuple(operator.index(axis) for axis in axes)
        if any(not -ndim <= axis < ndim for axis in numbers):
            raise ArgumentError(f"`axes` must lie from {-ndim} to {ndim - 1} (got {axes!r})")
        numbers = tuple(axis % ndim for axis in numbers)
    else:
        raise ArgumentError(f"`axes` must be an integer, several, or None (got {axes!r})")
    if len(set(numbers)) != len(numbers):
        raise ArgumentError(f"`axes` must name different axes (got {axes!r})")
    return numbers


def real_number(name: str, value: Any) -> float:
    """A float from any real number, as C asks for one."""
    if isinstance(value, (str, bytes)) or not hasattr(value, "__float__") and not hasattr(value, "__index__"):
        raise ArgumentTypeError(f"`{name}` must be a real number (got {value!r})")
    if isinstance(value, (complex, np.complexfloating)):
        raise ArgumentTypeError(f"`{name}` must be a real number (got {value!r})")
    return float(value)


def check_real(name: str, dtype: np.dtype) -> None:
    """SciPy filters no float16, longdouble, objects or strings."""
    if dtype.char not in NUMBERS:
        raise NdimageError(f"`{name}` must hold bool, integers of up to 64 bits, float32 or float64 (got {dtype})")


def result_array(output: Any, x: np.ndarray, complex_result: bool = False) -> np.ndarray:
    """The array to be filled: the one given, or a new one of the dtype given or of the image's."""
    if output is None:
        if complex_result:
            return np.empty(x.shape, np.promote_types(x.dtype, np.complex64))
        known = x.dtype.char in NUMBERS
        return np.empty(x.shape, x.dtype.newbyteorder("=") if known else x.dtype.name)
    if isinstance(output, (type, np.dtype)):
        dtype = np.dtype(output)
        if complex_result and dtype.kind != "c":
            warnings.warn(f"`output`={output!r} is made complex, for the result is", stacklevel=4)
            dtype = np.promote_types(dtype, np.complex64)
        return np.empty(x.shape, dtype)
    if isinstance(output, str):
        dtype = np.dtype(output)
        if complex_result and dtype.kind != "c":
            raise NdimageError(f"`output` must be complex, for the result is (got {output!r})")
        if not issubclass(dtype.type, np.number):
            raise NdimageError(f"`output` must be a numeric dtype (got {output!r})")
        return np.empty(x.shape, dtype)
    array = np.asarray(output)
    if array.shape != x.shape:
        raise NdimageError(f"`output` must have the shape {x.shape} (got {array.shape})")
    if complex_result and array.dtype.kind != "c":
        raise NdimageError(f"`output` must be complex, for the result is (got {array.dtype})")
    return array


def check_writable(out: np.ndarray) -> None:
    if not out.flags.writeable:
        raise ArgumentError("`output` must be writable (got a read-only array)")
