"""What is asked: every argument normalised once, into a frozen and hashable Problem.

The definition, per axis, with every choice of mode, anchor and flip folded into ``start``:

    y[p] = sum over a of k[a] * x[p * stride + start + a * dilation],     p = 0 .. out - 1

Nothing after this module asks about modes, anchors or flips again.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .dtypes import IMAGE_KINDS, choose_types, integer_range
from .errors import ArgumentError, ArgumentTypeError
from .lazy import lazy

MODES = ("same", "valid", "full")
BORDERS = ("constant", "edge", "reflect", "symmetric", "wrap")
NAN_RULES = ("propagate", "omit")

LARGEST_STEP = 2**31 - 1  # of stride, dilation and of the reach of a kernel, in pixels
LARGEST_RESULT = 2**46  # bytes; what is larger is refused before anything is allocated


class Axis(NamedTuple):
    """One axis the kernel runs over; all lengths in pixels."""

    n: int  # of the image
    taps: int  # of the kernel
    start: int  # image index under tap 0 for output 0; negative: outside
    stride: int
    dilation: int
    out: int  # of the result

    @property
    def reach(self) -> int:
        """Pixels between the first tap and the last."""
        return (self.taps - 1) * self.dilation

    def dense(self) -> int:
        """Outputs there would be at stride 1."""
        return (self.out - 1) * self.stride + 1 if self.out else 0


class Kernel(NamedTuple):
    """The weights as a value: hashable, compared by content."""

    shape: tuple[int, ...]
    dtype: str
    data: bytes

    @classmethod
    def of(cls, array: np.ndarray) -> Kernel:
        array = np.ascontiguousarray(array)
        return cls(array.shape, array.dtype.str, array.tobytes())

    def array(self) -> np.ndarray:
        """The weights, read-only."""
        return np.frombuffer(self.data, self.dtype).reshape(self.shape)


@dataclass(frozen=True)
class Problem:
    """A correlation, normalised. ``kernel`` is in the order of ``axes`` and in correlation orientation."""

    shape: tuple[int, ...]  # of the image, all axes
    axes: tuple[int, ...]  # that the kernel runs over, ascending
    geometry: tuple[Axis, ...]  # one for each of them
    kernel: Kernel
    border: str
    fill: complex
    image: np.dtype
    sums: np.dtype  # what products are added up in
    result: np.dtype
    nan: str = "propagate"

    @lazy
    def result_shape(self) -> tuple[int, ...]:
        shape = list(self.shape)
        for axis, geometry in zip(self.axes, self.geometry, strict=True):
            shape[axis] = geometry.out
        return tuple(shape)

    @lazy
    def weights(self) -> np.ndarray:
        return self.kernel.array()

    @lazy
    def hash(self) -> int:
        return hash((self.shape, self.axes, self.geometry, self.kernel, self.border, self.nan, self.image, self.result))

    def __hash__(self) -> int:
        return self.hash


def normalise(
    shape: tuple[int, ...],
    image: np.dtype,
    kernel: np.ndarray,
    *,
    flip: bool,
    mode: Any,
    border: Any,
    fill: Any,
    anchor: Any,
    stride: Any,
    dilation: Any,
    axes: Any,
    nan: Any,
    dtype: Any,
    largest: int | None = None,
) -> Problem:
    """Check every argument and fold it into a Problem.

    ``largest`` is the largest magnitude found in an integer image whose dtype alone does not bound the sums.
    """
    one_of("mode", mode, MODES)
    one_of("border", border, BORDERS)
    one_of("nan", nan, NAN_RULES)
    check_image_dtype(image)
    check_kernel(kernel, len(shape))
    where = _axes(axes, kernel.ndim, len(shape))
    steps = per_axis("stride", stride, kernel.ndim, 1)
    gaps = per_axis("dilation", dilation, kernel.ndim, 1)
    anchors = _anchors(anchor, mode, kernel.shape)
    if flip:
        kernel = kernel[(slice(None, None, -1),) * kernel.ndim]
    geometry = [
        _axis(shape[w], k, a, s, d, mode, flip)
        for w, k, a, s, d in zip(where, kernel.shape, anchors, steps, gaps, strict=True)
    ]
    order = sorted(range(kernel.ndim), key=where.__getitem__)
    kernel = kernel.transpose(order)
    geometry = [geometry[i] for i in order]
    if nan == "omit":
        _check_omit(kernel)
    fill = _fill(fill, image, border, mode)
    if mode == "valid":  # neither has an effect
        border, fill = "edge", 0
    sums, result = choose_types(image, kernel, dtype, fill, largest)
    problem = Problem(
        shape=shape,
        axes=tuple(sorted(where)),
        geometry=tuple(geometry),
        kernel=Kernel.of(kernel),
        border=border,
        fill=fill,
        image=np.dtype(image.type),  # the one object NumPy has for it, in native byte order
        sums=sums,
        result=result,
        nan=nan if image.kind in "fc" else "propagate",
    )
    _check_size(problem)
    return problem


# ---------------------------------------------------------------- one argument each


def one_of(name: str, value: Any, allowed: Sequence[str]) -> None:
    if not isinstance(value, str):
        raise ArgumentTypeError(f"`{name}` must be one of {_listing(allowed)} (got {value!r})")
    if value not in allowed:
        raise ArgumentError(f"`{name}` must be one of {_listing(allowed)} (got {value!r})")


def _listing(names: Sequence[str]) -> str:
    return ", ".join(repr(n) for n in names)


def whole_number(name: str, value: Any, low: int, high: int = LARGEST_STEP) -> int:
    """A Python int from any integer but bool, within low .. high."""
    try:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise ArgumentTypeError(f"`{name}` must be an integer of at least {low} (got {value!r})") from None
    if not low <= number <= high:
        bound = f"from {low} to {high}" if number > high else f"of at least {low}"
        raise ArgumentError(f"`{name}` must be an integer {bound} (got {value!r})")
    return number


def per_axis(name: str, value: Any, n: int, low: int, high: int = LARGEST_STEP) -> tuple[int, ...]:
    """One integer for each of n axes, from an integer or a sequence of n."""
    if isinstance(value, (list, tuple, np.ndarray)) and np.ndim(value) == 1:
        if len(value) != n:
            raise ArgumentError(f"`{name}` must be an integer or {n} of them, one for each axis (got {value!r})")
        return tuple(whole_number(name, v, low, high) for v in value)
    if isinstance(value, (str, bytes)) or np.ndim(value) > 0:
        raise ArgumentTypeError(f"`{name}` must be an integer or {n} of them, one for each axis (got {value!r})")
    return (whole_number(name, value, low, high),) * n


def check_image_dtype(image: np.dtype) -> None:
    if image.char not in IMAGE_KINDS:
        raise ArgumentTypeError(
            f"`x` must hold bool, 8- to 64-bit integers, float16/32/64 or complex64/128 (got {image})"
        )


def check_kernel(kernel: np.ndarray, ndim: int) -> None:
    if kernel.dtype.char not in IMAGE_KINDS:
        raise ArgumentTypeError(
            f"`k` must hold bool, integers, real or complex numbers of up to 128 bits (got {kernel.dtype})"
        )
    if kernel.size == 0:
        raise ArgumentError(f"`k` must have at least one tap on every axis (got shape {kernel.shape})")
    if not 1 <= kernel.ndim <= ndim:
        raise ArgumentError(f"`k` must have from 1 to {ndim} axes, as many as `x` at most (got shape {kernel.shape})")
    if kernel.dtype.kind in "fc" and not np.isfinite(kernel).all():
        raise ArgumentError("`k` must be finite (got a kernel with NaN or infinity)")


def _axes(axes: Any, n: int, ndim: int) -> tuple[int, ...]:
    if axes is None:
        return tuple(range(ndim - n, ndim))
    given = axes if isinstance(axes, (str, bytes)) or np.ndim(axes) else (axes,)
    found = per_axis("axes", given, n, -ndim, ndim - 1)
    found = tuple(a % ndim for a in found)
    if len(set(found)) != n:
        raise ArgumentError(f"`axes` must name different axes of `x` (got {axes!r})")
    return found


def _anchors(anchor: Any, mode: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    if anchor is None:
        return tuple(k // 2 for k in shape)
    if mode != "same":
        raise ArgumentError(f"`anchor` goes with mode='same' only (got {anchor!r} with mode={mode!r})")
    found = per_axis("anchor", anchor, len(shape), 0)
    if any(a >= k for a, k in zip(found, shape, strict=True)):
        raise ArgumentError(f"`anchor` must name a tap of the kernel, each below {shape} (got {anchor!r})")
    return found


def _axis(n: int, taps: int, anchor: int, stride: int, dilation: int, mode: str, flip: bool) -> Axis:
    reach = (taps - 1) * dilation
    if reach > LARGEST_STEP:
        raise ArgumentError(f"`dilation` stretches the kernel over more than {LARGEST_STEP} pixels (got {dilation!r})")
    if mode == "same":
        before = (taps - 1 - anchor if flip else anchor) * dilation
        dense = n
    else:
        before = reach if mode == "full" else 0
        dense = n + reach if mode == "full" else n - reach
    return Axis(n, taps, -before, stride, dilation, -(-max(0, dense) // stride))


def _fill(fill: Any, image: np.dtype, border: str, mode: str) -> complex:
    if isinstance(fill, (str, bytes)) or np.ndim(fill) != 0 or not isinstance(fill, (int, float, complex, np.generic)):
        raise ArgumentTypeError(f"`fill` must be one number (got {fill!r})")
    value = fill.item() if isinstance(fill, np.generic) else fill
    if not isinstance(value, (int, float, complex)):
        raise ArgumentTypeError(f"`fill` must be one number (got {fill!r})")
    if border != "constant" and mode != "valid" and value != 0:
        raise ArgumentError(f"`fill` goes with border='constant' only (got {fill!r} with border={border!r})")
    if isinstance(value, complex) and image.kind != "c":
        if value.imag != 0:
            raise ArgumentTypeError(f"`fill` must be real for an image of {image} (got {fill!r})")
        value = value.real
    if image.kind in "biu":
        low, high = integer_range(image)
        real = value.real
        if not ((isinstance(real, int) or real.is_integer()) and low <= real <= high):
            allowed = f"an integer from {low} to {high} for an image of {image}"
            raise ArgumentError(f"`fill` must be {allowed} (got {fill!r})")
        return int(real)
    try:
        number = complex(value)
    except OverflowError:  # an integer beyond every float
        number = complex(math.inf)
    with np.errstate(over="ignore"):
        stored = (np.complex128(number) if image.kind == "c" else np.float64(number.real)).astype(image)
    if not np.isfinite(stored) and (isinstance(value, int) or np.isfinite(value)):
        raise ArgumentError(f"`fill` must be within the range of {image} (got {fill!r})")
    return stored.item() + 0  # a zero has no sign: equal problems are solved alike


def _check_omit(kernel: np.ndarray) -> None:
    total = kernel.sum(dtype=np.result_type(kernel.dtype, np.float64))
    if abs(total) <= kernel.size * np.finfo(np.float64).eps * np.abs(kernel).sum(dtype=np.float64):
        raise ArgumentError("`nan`='omit' needs a kernel whose sum is not 0 (got one whose sum is 0)")


def _check_size(problem: Problem) -> None:
    size = math.prod(problem.result_shape) * problem.result.itemsize
    if size > LARGEST_RESULT:
        raise ArgumentError(
            f"`x` and `k` ask for a result of shape {problem.result_shape}, {size} bytes, which is too large"
        )
    if problem.border != "constant":
        for axis in problem.geometry:
            if axis.n == 0 and axis.out > 0:
                raise ArgumentError(f"`border`={problem.border!r} cannot extend an axis of length 0; 'constant' can")
