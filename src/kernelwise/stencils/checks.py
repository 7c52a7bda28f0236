"""What the arguments of a stencil may be; each check names the argument, what is allowed and what was given."""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..errors import ArgumentError, ArgumentTypeError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike, NDArray

MOST_TAPS = 2**24  # of one kernel: 4096 x 4096, 128 MiB of float64
MOST_AXES = 32

T = TypeVar("T")


def real(argument: str, value: Any, *, above: float | None = None, at_least: float | None = None) -> float:
    """`value` as a float: finite, above one bound or at least another."""
    allowed = "a finite number"
    allowed += "" if above is None else f" above {above:g}"
    allowed += "" if at_least is None else f" of at least {at_least:g}"
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise ArgumentTypeError(f"`{argument}` must be {allowed} (got {value!r})")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if (
        not math.isfinite(number)
        or (above is not None and number <= above)
        or (at_least is not None and number < at_least)
    ):
        raise ArgumentError(f"`{argument}` must be {allowed} (got {value!r})")
    return number


def whole(argument: str, value: Any, *, low: int, high: int = MOST_TAPS, odd: bool = False) -> int:
    """`value` as an int from `low` to `high`, odd where a kernel must have a middle tap."""
    allowed = f"an {'odd ' if odd else ''}integer from {low} to {high}"
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise ArgumentTypeError(f"`{argument}` must be {allowed} (got {value!r})")
    number = int(value)
    if not low <= number <= high or (odd and number % 2 == 0):
        raise ArgumentError(f"`{argument}` must be {allowed} (got {value!r})")
    return number


def per_axis(argument: str, value: Any, ndim: int, check: Callable[[Any], T]) -> tuple[T, ...]:
    """One checked value for each axis, from one value for all of them or from a sequence with one for each."""
    if not isinstance(value, (list, tuple, np.ndarray)):
        return (check(value),) * ndim
    if len(np.shape(value)) != 1 or len(value) != ndim:
        raise ArgumentError(
            f"`{argument}` must be one number, or a sequence of {ndim}, one for each axis (got {value!r})"
        )
    return tuple(check(v) for v in value)


def axes(ndim: Any) -> int:
    """The number of axes of a kernel."""
    return whole("ndim", ndim, low=1, high=MOST_AXES)


def odd_sizes(size: Any, ndim: int) -> tuple[int, ...]:
    """An odd size for each axis, of a kernel that is not too large."""
    sizes = per_axis("size", size, ndim, lambda s: whole("size", s, low=1, odd=True))
    return affordable("size", size, sizes)


def affordable(argument: str, value: Any, shape: Sequence[int]) -> tuple[int, ...]:
    """The shape itself, if a kernel of that shape may be built; looked at before anything is allocated."""
    if math.prod(shape) > MOST_TAPS:
        raise ArgumentError(
            f"`{argument}` must give a kernel of at most {MOST_TAPS} taps (got {value!r}: {math.prod(shape)})"
        )
    return tuple(shape)


def truncated_sizes(sigmas: Sequence[float], size: Any, truncate: Any, default: float) -> tuple[int, ...]:
    """The sizes of sampled Gaussians: those asked for, or 2 * int(truncate * sigma + 0.5) + 1 taps, as in SciPy."""
    truncate = real("truncate", truncate, above=0)
    if size is not None:
        if truncate != default:
            raise ArgumentError(f"`truncate` must be left out where `size` is given (got {truncate!r} and {size!r})")
        return odd_sizes(size, len(sigmas))
    reaches = [min(truncate * sigma + 0.5, float(MOST_TAPS)) for sigma in sigmas]  # int() of infinity is an error
    return affordable("sigma", tuple(sigmas), [2 * int(reach) + 1 for reach in reaches])


def constant(values: ArrayLike, dtype: DTypeLike) -> NDArray[Any]:
    """An array that nobody can make writable again, for it stands on bytes."""
    array = np.asarray(values, dtype=dtype)
    return np.frombuffer(array.tobytes(), dtype=array.dtype).reshape(array.shape)
