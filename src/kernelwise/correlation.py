"""Step 1, the operator: corr2d, correlate, convolve, Filter and explain."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import plan as planning
from .algorithms.routine import current_target
from .arrays import as_image, as_kernel, check_out, largest_magnitude
from .calls import Call
from .calls import forget as forget_calls
from .dtypes import NeedsLargest
from .errors import ArgumentError
from .plan import Plan
from .problem import Problem, check_kernel, normalise, whole_number

DEFAULTS: dict[str, Any] = {
    "mode": "same",
    "border": "reflect",
    "fill": 0,
    "anchor": None,
    "stride": 1,
    "dilation": 1,
    "axes": None,
    "nan": "propagate",
    "dtype": None,
}
MOST_THREADS = 1024
MOST_CALLS = 512
ONE = 1

_calls: dict[Any, Call] = {}  # by what was written in the call
_prepared: dict[Any, Call] = {}  # by what it means


def corr2d(X: Any, K: Any) -> np.ndarray:
    """The definition: slide K over X, multiply and add, without flipping and only where K lies wholly inside.

    X: (..., H, W); K: (h, w); any real, complex or integer dtype. Returns (..., H - h + 1, W - w + 1); an integer
    image with an integer kernel gives exact integers, otherwise the image decides (see `correlate`). The same as
    ``correlate(X, K, mode="valid")`` with a two-dimensional K.

    Raises ArgumentError or ArgumentTypeError naming the argument.

    >>> corr2d([[0, 1, 2], [3, 4, 5], [6, 7, 8]], [[0, 1], [2, 3]])
    array([[19, 25],
           [37, 43]])
    """
    kernel = as_kernel(K)
    if kernel.ndim != 2:
        raise ArgumentError(f"`K` must have two axes (got shape {kernel.shape})")
    if np.ndim(X) < 2:
        raise ArgumentError(f"`X` must have at least two axes (got shape {np.shape(X)})")
    return correlate(X, kernel, mode="valid")


def correlate(
    x: Any,
    k: Any,
    *,
    mode: str = "same",
    border: str = "reflect",
    fill: complex = 0,
    anchor: int | tuple[int, ...] | None = None,
    stride: int | tuple[int, ...] = 1,
    dilation: int | tuple[int, ...] = 1,
    axes: int | tuple[int, ...] | None = None,
    nan: str = "propagate",
    method: str = "auto",
    dtype: Any = None,
    out: np.ndarray | None = None,
    threads: int | None = None,
) -> np.ndarray:
    """Cross-correlate an array with a kernel: y[p] = sum over a of k[a] * x[p * stride + (a - anchor) * dilation].

    Parameters
    ----------
    x : array of bool, 8- to 64-bit integers, float16/32/64 or complex64/128, any number of axes, any strides.
    k : array of 1 to x.ndim axes, or the name of a kernel such as "sobel-x" (see `kernelwise.stencils`).
    mode : "same" keeps the shape, "valid" keeps the outputs whose window lies wholly inside, "full" those whose
        window touches the image.
    border : what stands outside the image, by np.pad's names: "constant" (with `fill`), "edge", "reflect",
        "symmetric", "wrap". No effect in "valid".
    anchor : the tap that lies on the output's pixel in "same"; the default is k // 2 on each axis.
    stride, dilation : pixels between outputs and between taps, one number or one for each axis of k.
    axes : the axes of x that k runs over, in the order of k's axes; the trailing ones if not given. Colour images
        (H, W, 3) take ``axes=(0, 1)``.
    nan : "propagate", or "omit": the mean over the known pixels, scaled to the kernel's sum.
    method : "auto", or one of "direct", "separable", "reference".
    dtype : of the result. The default is the image's if that is float; float32 for an integer image and a float
        kernel (float64 for 32- and 64-bit integers); int32 or int64, exact, for integers. A narrower integer
        saturates after rounding half to even, and NaN becomes 0.
    out : an array of the result's shape and dtype to write into; it may overlap x.
    threads : at most this many; the default is kernelwise.set_threads' or what the process may use. The bits of the
        result do not depend on it.

    Returns an array of x's shape but for `axes`, where the length is ceil(n / stride) in "same".

    Raises ArgumentError or ArgumentTypeError naming the argument; RangeError where an exact sum may exceed 64 bits.

    >>> correlate([0, 0, 1, 1], [-1, 1])
    array([0, 0, 1, 0])
    """
    plain = stride is ONE and dilation is ONE and axes is None and anchor is None and type(x) is np.ndarray
    if plain and (threads is None or type(threads) is int):
        try:
            taps = (k.tobytes(), k.shape, k.dtype) if type(k) is np.ndarray else k
            key = (taps, x.shape, x.dtype, mode, border, fill, nan, method, dtype, threads)
            call = _calls.get(key)
        except (TypeError, AttributeError):
            call = None  # something in the key cannot be one: the checks below say what
        if call is not None:
            if out is None:
                out = np.empty(call.result_shape, call.result)
            done = call.bound(x, out)
            if done is not None:
                return done
    return _correlate(x, k, False, method, out, threads, mode, border, fill, anchor, stride, dilation, axes, nan, dtype)


def convolve(
    x: Any,
    k: Any,
    *,
    mode: str = "same",
    border: str = "reflect",
    fill: complex = 0,
    anchor: int | tuple[int, ...] | None = None,
    stride: int | tuple[int, ...] = 1,
    dilation: int | tuple[int, ...] = 1,
    axes: int | tuple[int, ...] | None = None,
    nan: str = "propagate",
    method: str = "auto",
    dtype: Any = None,
    out: np.ndarray | None = None,
    threads: int | None = None,
) -> np.ndarray:
    """Convolve: `correlate` with the kernel flipped.

    y[p] = sum over a of k[a] * x[p * stride + (anchor - a) * dilation].

    The arguments are those of `correlate`; `anchor` names a tap of the kernel as it is given. Nothing is conjugated.

    >>> convolve([0, 0, 1, 0], [1, 2, 3], mode="full", border="constant")
    array([0, 0, 1, 2, 3, 0])
    """
    return _correlate(x, k, True, method, out, threads, mode, border, fill, anchor, stride, dilation, axes, nan, dtype)


class Filter:
    """A kernel with its options, planned once for each shape and dtype it meets, then applied at little cost.

    Filter(k, **options): the options of `correlate` but `out`, and ``flip=True`` for a convolution. Calling it with
    an array, and `out` if wanted, gives what `correlate` gives.

    >>> smooth = Filter([1, 2, 1])
    >>> smooth(np.array([0, 0, 4, 0, 0]))
    array([0, 4, 8, 4, 0])
    """

    def __init__(self, k: Any, *, method: str = "auto", threads: int | None = None, flip: bool = False, **options: Any):
        unknown = sorted(set(options) - set(DEFAULTS))
        if unknown:
            raise TypeError(f"Filter() got an unexpected keyword argument {unknown[0]!r}")
        self.kernel = as_kernel(k).copy()
        self.kernel.flags.writeable = False
        check_kernel(self.kernel, max(1, self.kernel.ndim))
        self._options = {**DEFAULTS, **options}
        self._method, self._flip, self._threads = method, flip, check_threads(threads)
        self._call: Call | None = None
        self._bound: Any = None

    def __call__(self, x: Any, out: np.ndarray | None = None) -> np.ndarray:
        """Apply the filter to ``x``; into ``out`` if given."""
        if self._bound is not None:
            if out is not None:
                done = self._bound(x, out)
            elif type(x) is np.ndarray and x.shape == self._call.shape and x.dtype == self._call.dtype:  # type: ignore[union-attr]
                done = self._bound(x, np.empty(self._call.result_shape, self._call.result))  # type: ignore[union-attr]
            else:
                done = None
            if done is not None:
                return done
        return self._apply(as_image("x", x), out)

    def plan(self, shape: tuple[int, ...], dtype: Any = np.float32) -> Plan:
        """The Plan for an image of this shape and dtype, without an image."""
        try:
            problem = normalise(tuple(shape), np.dtype(dtype), self.kernel, flip=self._flip, **self._options)
        except NeedsLargest:
            problem = normalise(tuple(shape), np.dtype(dtype), self.kernel, flip=self._flip, largest=0, **self._options)
        return planning.choose(problem, self._method)

    def _apply(self, x: np.ndarray, out: np.ndarray | None) -> np.ndarray:
        call = self._call
        if call is not None and call.shape == x.shape and call.dtype == x.dtype and x.dtype.isnative:
            if out is not None:
                check_out(out, call.plan.problem)
            return call(x, out)
        call, lasting = _prepare(x, self.kernel, self._flip, self._method, self._threads, self._options)
        if out is not None:
            check_out(out, call.plan.problem)
        if lasting:
            self._call, self._bound = call, call.bound
        return call(x, out)


def explain(x: Any, k: Any, *, method: str = "auto", **options: Any) -> Plan:
    """How `correlate` would do this: the Plan with its algorithm, reason, predicted time, workspace and error bound.

    x: an array, or a pair (shape, dtype). The options are those of `correlate`. Print the Plan to read it;
    ``plan.ir()`` and ``plan.asm()`` give the generated code.

    >>> explain(np.zeros((480, 640), np.float32), "sobel-x").algorithm
    'direct'
    """
    unknown = sorted(set(options) - set(DEFAULTS) - {"threads", "out"})
    if unknown:
        raise TypeError(f"explain() got an unexpected keyword argument {unknown[0]!r}")
    options = {**DEFAULTS, **{name: value for name, value in options.items() if name in DEFAULTS}}
    if isinstance(x, tuple) and len(x) == 2 and isinstance(x[0], tuple):
        return Filter(k, method=method, **options).plan(*x)
    image = as_image("x", x)
    return planning.choose(_problem(image, as_kernel(k), False, options), method)


# ---------------------------------------------------------------- from arguments to a call


def _correlate(
    x: Any, k: Any, flip: bool, method: str, out: Any, threads: Any, mode: Any, border: Any, fill: Any, anchor: Any,
    stride: Any, dilation: Any, axes: Any, nan: Any, dtype: Any,
) -> np.ndarray:  # fmt: skip
    image, kernel = as_image("x", x), as_kernel(k)
    threads = check_threads(threads)
    given = (mode, border, fill, anchor, stride, dilation, axes, nan, dtype)
    options = dict(zip(DEFAULTS, given, strict=True))
    call, lasting = _prepare(image, kernel, flip, method, threads, options)
    if out is not None:
        check_out(out, call.plan.problem)
    plain = not flip and stride is ONE and dilation is ONE and axes is None and anchor is None
    if lasting and plain and type(x) is np.ndarray:
        _remember(x, k, call, (mode, border, fill, nan, method, dtype, threads))
    return call(image, out)


def _remember(x: np.ndarray, k: Any, call: Call, rest: tuple) -> None:
    """Let the next such call skip the checks."""
    if isinstance(k, str) or type(k) is np.ndarray:
        taps = k if isinstance(k, str) else (k.tobytes(), k.shape, k.dtype)
        try:
            if len(_calls) >= MOST_CALLS:
                _calls.clear()
            _calls[(taps, x.shape, x.dtype, *rest)] = call
        except TypeError:
            pass  # an option that cannot be hashed, such as dtype=[...]: nothing to remember


def _prepare(
    x: np.ndarray, k: np.ndarray, flip: bool, method: str, threads: int | None, options: dict[str, Any]
) -> tuple[Call, bool]:
    """The call for these arguments, and whether it holds for other arrays of the same shape and dtype."""
    try:
        problem, lasting = normalise(x.shape, x.dtype, k, flip=flip, **options), True
    except NeedsLargest:
        problem, lasting = _problem(x, k, flip, options), False
    key = (problem, method, threads, current_target())
    call = _prepared.get(key)
    if call is None:
        call = Call(planning.choose(problem, method), threads)
        if len(_prepared) >= MOST_CALLS:
            _prepared.clear()
        _prepared[key] = call
    return call, lasting and x.dtype.isnative


def _problem(x: np.ndarray, k: np.ndarray, flip: bool, options: dict[str, Any]) -> Problem:
    try:
        return normalise(x.shape, x.dtype, k, flip=flip, **options)
    except NeedsLargest:
        return normalise(x.shape, x.dtype, k, flip=flip, largest=largest_magnitude(x), **options)


def check_threads(threads: Any) -> int | None:
    """None, or a number of threads."""
    return None if threads is None else whole_number("threads", threads, 1, MOST_THREADS)


def forget() -> None:
    """Drop all remembered calls."""
    _calls.clear()
    _prepared.clear()
    forget_calls()


__all__ = ["Filter", "convolve", "corr2d", "correlate", "explain"]
