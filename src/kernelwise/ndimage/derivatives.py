"""Derivatives by small kernels, and sums of derivatives along several axes, with SciPy's arguments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .arguments import one_axis, per_axis, result_array, some_axes
from .gaussian import steps_along
from .steps import Step, run, together

DIFFERENCE = (-1, 0, 1)
SECOND_DIFFERENCE = (1, -2, 1)
SMOOTHING = {"sobel": (1, 2, 1), "prewitt": (1, 1, 1)}  # across the direction of the derivative


def sobel(input: Any, axis: int = -1, output: Any = None, mode: Any = "reflect", cval: float = 0.0) -> np.ndarray:
    """The derivative [-1, 0, 1] along one axis, smoothed with [1, 2, 1] along all others; see `scipy.ndimage.sobel`.

    mode: one for all axes, or one for each. The other arguments and errors are those of `correlate1d`.

    >>> sobel([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    array([[0., 4., 4.],
           [0., 4., 4.]])
    """
    return _smoothed_difference("sobel", input, axis, output, mode, cval)


def prewitt(input: Any, axis: int = -1, output: Any = None, mode: Any = "reflect", cval: float = 0.0) -> np.ndarray:
    """The derivative [-1, 0, 1] along one axis, smoothed with [1, 1, 1] along all others; see `scipy.ndimage.prewitt`.

    mode: one for all axes, or one for each. The other arguments and errors are those of `correlate1d`.

    >>> prewitt([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    array([[0., 3., 3.],
           [0., 3., 3.]])
    """
    return _smoothed_difference("prewitt", input, axis, output, mode, cval)


def _smoothed_difference(name: str, input: Any, axis: Any, output: Any, mode: Any, cval: Any) -> np.ndarray:
    x = np.asarray(input)
    axis = one_axis(axis, x.ndim)
    out = result_array(output, x)
    return run(x, _difference_steps(name, x.ndim, axis, mode), cval, out)


def _difference_steps(name: str, ndim: int, axis: int, mode: Any) -> list[Step]:
    modes = per_axis("mode", mode, ndim)
    others = [other for other in range(ndim) if other != axis]
    return [Step(axis, DIFFERENCE, modes[axis]), *(Step(other, SMOOTHING[name], modes[other]) for other in others)]


# ---------------------------------------------------------------- sums over axes


def generic_laplace(
    input: Any,
    derivative2: Callable[..., Any],
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    extra_arguments: Sequence[Any] = (),
    extra_keywords: dict[str, Any] | None = None,
    *,
    axes: Any = None,
) -> np.ndarray:
    """The sum of second derivatives along the axes; see `scipy.ndimage.generic_laplace`.

    derivative2: called as derivative2(input, axis, output, mode, cval, *extra_arguments, **extra_keywords), where
    output is an array to fill, or a dtype. mode: one, or one for each axis.

    >>> from kernelwise.ndimage import correlate1d
    >>> second = lambda x, axis, output, mode, cval: correlate1d(x, [1, -2, 1], axis, output, mode, cval)
    >>> generic_laplace([[0.0, 1.0, 0.0]], second)
    array([[ 1., -2.,  1.]])
    """
    derivative = _with_extras(derivative2, extra_arguments, extra_keywords)
    return _one_by_one(np.asarray(input), derivative, "sum", output, mode, cval, axes)


def laplace(
    input: Any, output: Any = None, mode: Any = "reflect", cval: float = 0.0, *, axes: Any = None
) -> np.ndarray:
    """The sum of the second differences [1, -2, 1] along the axes; see `scipy.ndimage.laplace`.

    >>> laplace([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    array([[ 0.,  1.,  0.],
           [ 1., -4.,  1.],
           [ 0.,  1.,  0.]])
    """

    def steps(x: np.ndarray, axis: int, mode: Any) -> list[Step]:
        return [Step(axis, SECOND_DIFFERENCE, mode)]

    return _over_axes(np.asarray(input), steps, "sum", output, mode, cval, axes)


def gaussian_laplace(
    input: Any,
    sigma: Any,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    *,
    axes: Any = None,
    **kwargs: Any,
) -> np.ndarray:
    """The Laplacian by second derivatives of Gaussians; see `scipy.ndimage.gaussian_laplace`.

    sigma: one, or one for each axis. kwargs: truncate and radius, as in `gaussian_filter`.

    >>> gaussian_laplace(np.eye(3), sigma=1).round(2)
    array([[-0.38,  0.04,  0.35],
           [ 0.04, -0.07,  0.04],
           [ 0.35,  0.04, -0.38]])
    """
    x = np.asarray(input)
    where = some_axes(axes, x.ndim)
    sigmas = per_axis("sigma", sigma, len(where))
    if len(where) < x.ndim:
        given, sigmas = sigmas, [0] * x.ndim
        for axis, value in zip(where, given, strict=True):
            sigmas[axis] = value
    return _over_axes(x, _gaussian_steps(sigmas, 2, kwargs), "sum", output, mode, cval, where)


def generic_gradient_magnitude(
    input: Any,
    derivative: Callable[..., Any],
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    extra_arguments: Sequence[Any] = (),
    extra_keywords: dict[str, Any] | None = None,
    *,
    axes: Any = None,
) -> np.ndarray:
    """The root of the sum of squared derivatives along the axes; see `scipy.ndimage.generic_gradient_magnitude`.

    derivative: called as derivative(input, axis, output, mode, cval, *extra_arguments, **extra_keywords), where output
    is an array to fill, or a dtype. mode: one, or one for each axis.

    >>> generic_gradient_magnitude([[0.0, 0.0, 1.0], [0.0, 0.0, 1.0]], sobel)
    array([[0., 4., 4.],
           [0., 4., 4.]])
    """
    x = np.asarray(input)
    if (derivative is sobel or derivative is prewitt) and not extra_arguments and not extra_keywords:
        name = derivative.__name__

        def steps(x: np.ndarray, axis: int, mode: Any) -> list[Step]:
            return _difference_steps(name, x.ndim, one_axis(axis, x.ndim), mode)

        return _over_axes(x, steps, "magnitude", output, mode, cval, axes)
    derivative = _with_extras(derivative, extra_arguments, extra_keywords)
    return _one_by_one(x, derivative, "magnitude", output, mode, cval, axes)


def gaussian_gradient_magnitude(
    input: Any,
    sigma: Any,
    output: Any = None,
    mode: Any = "reflect",
    cval: float = 0.0,
    *,
    axes: Any = None,
    **kwargs: Any,
) -> np.ndarray:
    """The gradient's magnitude by derivatives of Gaussians; see `scipy.ndimage.gaussian_gradient_magnitude`.

    sigma: one, or one for each axis of the image. kwargs: truncate and radius, as in `gaussian_filter`.

    >>> gaussian_gradient_magnitude(np.eye(3), sigma=1).round(2)
    array([[0.15, 0.2 , 0.13],
           [0.2 , 0.  , 0.2 ],
           [0.13, 0.2 , 0.15]])
    """
    return _over_axes(np.asarray(input), _gaussian_steps(sigma, 1, kwargs), "magnitude", output, mode, cval, axes)


Steps = Callable[[np.ndarray, int, Any], list[Step]]  # (image, axis, mode): the derivative along that axis
Derivative = Callable[[np.ndarray, int, Any, Any, Any], Any]  # (image, axis, output, mode, cval): the same, carried out


def _with_extras(
    derivative: Callable[..., Any], arguments: Sequence[Any], keywords: dict[str, Any] | None
) -> Derivative:
    """The caller's derivative, called with the caller's further arguments."""

    def along(x: np.ndarray, axis: int, output: Any, mode: Any, cval: Any) -> Any:
        return derivative(x, axis, output, mode, cval, *arguments, **(keywords or {}))

    return along


def _gaussian_steps(sigma: Any, order: int, options: dict[str, Any]) -> Steps:
    """Gaussians along all axes, differentiated along one."""

    def steps(x: np.ndarray, axis: int, mode: Any) -> list[Step]:
        orders = [0] * x.ndim
        orders[axis] = order
        return steps_along(x, range(x.ndim), sigma, orders, mode, **options)

    return steps


def _over_axes(x: np.ndarray, steps: Steps, how: str, output: Any, mode: Any, cval: Any, axes: Any) -> np.ndarray:
    """Derivatives along all axes put together, in one walk over the image where that can be."""
    out = result_array(output, x)
    where = some_axes(axes, x.ndim)
    if not where:
        out[...] = x
        return out
    modes = per_axis("mode", mode, len(where))
    lists = [steps(x, axis, name) for axis, name in zip(where, modes, strict=True)]
    whole = out.dtype.kind in "iu" and how == "magnitude"
    if together(x, lists, cval, "squares" if whole else how, out):
        return root(out) if whole else out
    known = dict(zip(where, lists, strict=True))

    def derivative(x: np.ndarray, axis: int, output: Any, mode: Any, cval: Any) -> np.ndarray:
        return run(x, known[axis], cval, result_array(output, x))

    return _put_together(x, derivative, how, out, where, modes, cval)


def _one_by_one(
    x: np.ndarray, derivative: Derivative, how: str, output: Any, mode: Any, cval: Any, axes: Any
) -> np.ndarray:
    """Derivatives that only the caller knows."""
    out = result_array(output, x)
    where = some_axes(axes, x.ndim)
    modes = per_axis("mode", mode, len(where)) if where else []
    return _put_together(x, derivative, how, out, where, modes, cval)


def _put_together(
    x: np.ndarray,
    derivative: Derivative,
    how: str,
    out: np.ndarray,
    where: Sequence[int],
    modes: Sequence[Any],
    cval: Any,
) -> np.ndarray:
    """The "sum" of the derivatives, or the "magnitude", the root of the sum of their squares; a copy without axes."""
    if not where:
        out[...] = x
        return out
    x, squared = _apart(x, out), how == "magnitude"
    derivative(x, where[0], out, modes[0], cval)
    if squared:
        np.multiply(out, out, out)
    for axis, mode in zip(where[1:], modes[1:], strict=True):
        more = derivative(x, axis, out.dtype, mode, cval)
        if squared:
            np.multiply(more, more, more)
        out += more
    return root(out) if squared else out


def _apart(x: np.ndarray, out: np.ndarray) -> np.ndarray:
    """The image as it was before the result overwrites it."""
    return x.copy() if np.may_share_memory(x, out) else x


def root(out: np.ndarray) -> np.ndarray:
    """Square roots in place, as NumPy converts them; small integers are looked up."""
    if out.dtype.kind in "iu" and out.dtype.itemsize <= 2 and out.size > 1 << 17:
        every = np.arange(1 << 8 * out.dtype.itemsize).astype(out.dtype)
        with np.errstate(invalid="ignore"):
            table = np.sqrt(every).astype(out.dtype)
        out[...] = table[out.view(f"u{out.dtype.itemsize}")]
    else:
        np.sqrt(out, out, casting="unsafe")
    return out
