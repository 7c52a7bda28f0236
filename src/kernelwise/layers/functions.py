"""A layer's functions on arrays: `conv`, its transpose, and its gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..correlation import check_threads
from ..errors import ArgumentError
from ..problem import one_of, per_axis, whole_number
from .arguments import (
    PRECISIONS,
    check_channels,
    check_groups,
    images,
    limits,
    real_array,
    result,
    result_dtype,
    sums_dtype,
    vector,
    weights,
)
from .converting import as_dtype, as_given, in_parts
from .convolution import Convolution, known
from .input_gradient import hand_back, input_gradient, transposed
from .known import MOST_NUMBERS
from .operations import bias_gradient
from .weight_gradient import weight_gradient
from .window import LARGEST_PADDING, Window, fitting, window

LARGEST_IMAGE = 2**31 - 1


def conv(
    x: Any,
    w: Any,
    bias: Any = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    border: str = "constant",
    activation: str | None = None,
    precision: str = "fast",
    layout: str = "channels_first",
    out: np.ndarray | None = None,
    threads: int | None = None,
) -> np.ndarray:
    """A convolution layer: every output channel is the input cross-correlated with a kernel of its own.

        y[n, o] = activation(sum over i of corr(x[n, i], w[o, i]) + bias[o])

    Layers say "convolution" by custom; like all of them, this one does not flip the kernel.

    Parameters
    ----------
    x : images, (n, c, ...) with one to three spatial axes, or (n, ..., c) with layout="channels_last".
    w : weights, (o, c / groups, ...) in either layout.
    bias : (o,), or None.
    stride, dilation : a number, or one for each spatial axis.
    padding : pixels around the image: a number, one for each axis, ((before, after), ...), "valid" for none, or "same"
        for as many as make ceil(n / stride) outputs; then half of them, rounded down, stand before. No padded copy is
        made.
    groups : the channels are split into so many groups, and each goes to its own outputs. With as many groups as
        channels the layer is called depthwise.
    border : what the padding holds: "constant" (zeros), "edge", "reflect", "symmetric" or "wrap", as in np.pad.
    activation : None, "relu", or "relu6", which also cuts at 6. Applied as results are written.
    precision : "fast" may use Winograd's algorithm; "exact" adds up the products themselves.
    out : where the result goes.
    threads : at most this many. Bits depend neither on it nor on how a batch is split.

    Returns
    -------
    (n, o, ...) or (n, ..., o), of the images' dtype: float16 (added up in float32), float32 or float64. Integer images
    give float32, those of 32 and 64 bits float64. Weights and bias are taken in the dtype of the sums.

    Raises ArgumentError or ArgumentTypeError naming the argument.

    >>> x = np.arange(12.0).reshape(1, 1, 3, 4)
    >>> conv(x, [[[[1, -1]]]], stride=(1, 2))
    array([[[[-1., -1.],
             [-1., -1.],
             [-1., -1.]]]])
    """
    how = stride, padding, dilation, groups, border, activation, precision, layout, threads
    few = type(w) is np.ndarray and 0 < w.size <= MOST_NUMBERS and (bias is None or type(bias) is np.ndarray)
    plain = (
        type(stride) is type(dilation) is type(groups) is int
        and type(padding) in (int, str)
        and type(border) is type(precision) is type(layout) is str
        and (activation is None or type(activation) is str)
        and (threads is None or type(threads) is int)
    )  # options that are equal only where they are the same
    if few and plain:
        return known(w, bias, *how)(x, out)
    return Convolution(w, bias, *how)(x, out)


def conv_transpose(
    x: Any,
    w: Any,
    bias: Any = None,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    activation: str | None = None,
    precision: str = "fast",
    layout: str = "channels_first",
    out: np.ndarray | None = None,
    threads: int | None = None,
) -> np.ndarray:
    """A transposed convolution layer: what the layer `conv` with these weights does to gradients on their way back.

    Every pixel of x adds the kernels, times its value, to the result, ``stride`` pixels from those of its neighbours;
    then ``padding`` pixels are cut off.

    Parameters
    ----------
    x : (n, i, ...) with one to three spatial axes, or (n, ..., i) with layout="channels_last".
    w : (i, o / groups, ...): weights of a `conv` from o to i channels.
    bias : (o,), or None.
    padding : as in `conv`, in pixels cut off; "same" gives stride times as many pixels as there were.
    output_padding : pixels more at the end of each axis, fewer than the stride or the dilation.
    stride, dilation, groups, activation, precision, layout, out, threads : as in `conv`.

    Returns (n, o, ...) of (m - 1) * stride + (k - 1) * dilation + 1 - padding + output_padding pixels on each axis.

    Raises ArgumentError or ArgumentTypeError naming the argument.

    >>> conv_transpose(np.array([[[1.0, 10.0]]]), [[[1, 2, 3]]], stride=2)
    array([[[ 1.,  2., 13., 20., 30.]]])
    """
    kernels = weights(w)
    n = kernels.ndim - 2
    groups = check_groups(groups, len(kernels), "input channels in `w`")
    pictures = images("x", x, n, layout)
    check_channels("x", pictures, len(kernels))
    shape = window(kernels.shape[2:], padding, stride, dilation)
    sizes = _transposed_sizes(shape, pictures.shape[2:], per_axis("output_padding", output_padding, n, 0))
    axes = tuple(axis._replace(out=m) for axis, m in zip(shape.axes(sizes), pictures.shape[2:], strict=True))
    one_of("precision", precision, PRECISIONS)
    kept, workers = limits(activation), check_threads(threads)
    dtype = result_dtype(pictures.dtype)
    outputs = kernels.shape[1] * groups
    shift = vector("bias", bias, outputs)
    place = result(out, (len(pictures), outputs, *sizes), dtype, layout, "`x`, `stride` and `padding`")
    sums = sums_dtype(dtype)
    flipped, summed = transposed(as_dtype(kernels, sums), groups), None if shift is None else as_dtype(shift, sums)
    ranges = [(0, size) for size in sizes]

    def compute(x: np.ndarray, out: np.ndarray) -> None:
        hand_back(
            x, flipped, axes, ranges, out, summed, groups=groups, limits=kept, precision=precision, threads=workers
        )

    in_parts(pictures, place, sums, compute)
    return as_given(out, place, layout)


def conv_input_gradient(
    dy: Any,
    w: Any,
    shape: Any,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    border: str = "constant",
    precision: str = "fast",
    layout: str = "channels_first",
    out: np.ndarray | None = None,
    threads: int | None = None,
) -> np.ndarray:
    """The gradient of sum(dy * conv(x, w)) by x: every output hands its gradient back to the pixels it was made from.

    Parameters
    ----------
    dy : the gradient of the layer's result, of that result's shape.
    w : the layer's weights.
    shape : of the images, spatial axes only: (h, w), or a number for all axes.
    others : as in `conv`. What a border repeated is handed back to the pixel that was repeated.

    Returns (n, c, *shape), or (n, *shape, c), of the dtype of dy.

    Raises ArgumentError or ArgumentTypeError naming the argument.

    >>> conv_input_gradient(np.array([[[1.0, 10.0]]]), [[[1, 2]]], 3)
    array([[[ 1., 12., 20.]]])
    """
    kernels = weights(w)
    n = kernels.ndim - 2
    groups = check_groups(groups, len(kernels))
    slopes = images("dy", dy, n, layout)
    sizes = per_axis("shape", shape, n, 0, LARGEST_IMAGE)
    view = window(kernels.shape[2:], padding, stride, dilation, border)
    axes = fitting(view, sizes, "shape", sizes)
    _check_slopes(slopes, (len(slopes), len(kernels), *(axis.out for axis in axes)), layout)
    one_of("precision", precision, PRECISIONS)
    workers, dtype = check_threads(threads), result_dtype(slopes.dtype)
    channels = kernels.shape[1] * groups
    place = result(out, (len(slopes), channels, *sizes), dtype, layout, "`shape` and `w`")
    sums = sums_dtype(dtype)
    packed = as_dtype(kernels, sums)

    def compute(dy: np.ndarray, out: np.ndarray) -> None:
        input_gradient(dy, packed, axes, out, groups=groups, border=border, precision=precision, threads=workers)

    in_parts(slopes, place, sums, compute)
    return as_given(out, place, layout)


def conv_weight_gradient(
    dy: Any,
    x: Any,
    taps: Any,
    *,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    border: str = "constant",
    precision: str = "fast",
    layout: str = "channels_first",
    out: np.ndarray | None = None,
    threads: int | None = None,
) -> np.ndarray:
    """The gradient of sum(dy * conv(x, w)) by w: how well dy matches the images under every tap.

        dw[o, i, a] = sum over n, p of dy[n, o, p] * x[n, i, p * stride - padding + a * dilation]

    Parameters
    ----------
    dy : the gradient of the layer's result, of that result's shape.
    x : the images.
    taps : of the kernels on each spatial axis, (kh, kw), or a number for all.
    others : as in `conv`.

    Returns (o, c / groups, *taps) of the dtype of x. With precision="exact" its products are added up in float64, in
    short stretches in the images' dtype; "fast" may use Winograd's algorithm for three by three taps in float32, with
    an error up to 5e-6 of the largest result. Bits do not depend on ``threads``.

    Raises ArgumentError or ArgumentTypeError naming the argument.

    >>> conv_weight_gradient([[[1, 10]]], np.array([[[1.0, 2.0, 3.0]]]), 2)
    array([[[21., 32.]]])
    """
    array = real_array("x", x)
    n = array.ndim - 2
    if not 1 <= n <= 3:
        raise ArgumentError(f"`x` must have channels and one to three spatial axes (got shape {array.shape})")
    pictures, slopes = images("x", array, n, layout), images("dy", dy, n, layout)
    view = window(per_axis("taps", taps, n, 1), padding, stride, dilation, border)
    channels, outputs = pictures.shape[1], slopes.shape[1]
    groups = check_groups(groups, outputs, "channels of `dy`")
    if channels % groups:
        raise ArgumentError(f"`groups` must divide the {channels} channels of `x` (got {groups})")
    axes = fitting(view, pictures.shape[2:], "x", pictures.shape)
    _check_slopes(slopes, (len(pictures), outputs, *(axis.out for axis in axes)), layout)
    workers, dtype = check_threads(threads), result_dtype(pictures.dtype)
    place = result(out, (outputs, channels // groups, *view.taps), dtype, "channels_first", "`taps`")
    one_of("precision", precision, PRECISIONS)
    weight_gradient(slopes, pictures, axes, groups, border, sums_dtype(dtype), workers, precision=precision, out=place)
    return place


def conv_bias_gradient(dy: Any, *, layout: str = "channels_first") -> np.ndarray:
    """The gradient of sum(dy * conv(x, w, bias)) by bias: the sum of dy over images and pixels, taken in float64.

    dy: (n, o, ...) with one to three spatial axes, or (n, ..., o). Returns (o,) of the dtype of dy.

    Raises ArgumentError or ArgumentTypeError naming the argument.

    >>> conv_bias_gradient(np.ones((2, 3, 4, 5)))
    array([40., 40., 40.])
    """
    array = real_array("dy", dy)
    if not 3 <= array.ndim <= 5:
        raise ArgumentError(f"`dy` must have channels and one to three spatial axes (got shape {array.shape})")
    slopes = images("dy", array, array.ndim - 2, layout)
    with np.errstate(over="ignore"):
        return bias_gradient(slopes).astype(result_dtype(slopes.dtype))


# ---------------------------------------------------------------- shapes


def _check_slopes(dy: np.ndarray, wanted: tuple[int, ...], layout: str) -> None:
    if dy.shape != wanted:
        shown = [(s[0], *s[2:], s[1]) if layout == "channels_last" else s for s in (wanted, dy.shape)]
        raise ArgumentError(f"`dy` must have the shape of the layer's result, {shown[0]} (got {shown[1]})")


def _transposed_sizes(view: Window, sizes: tuple[int, ...], more: tuple[int, ...]) -> tuple[int, ...]:
    """The images that a layer would have made these sizes from."""
    found = []
    for j, (m, s, d, reach, extra) in enumerate(zip(sizes, view.stride, view.dilation, view.reach, more, strict=True)):
        if extra >= max(s, d):
            raise ArgumentError(
                f"`output_padding` must be below the stride or the dilation on each axis (got {extra} with {s} and {d})"
            )
        if isinstance(view.padding, str):
            found.append(m * s + extra)
            continue
        found.append((m - 1) * s + reach + 1 - sum(view.padding[j]) + extra)
    if min(found) < 1 and 0 not in sizes:
        raise ArgumentError(f"`padding` leaves no pixel of a result of {tuple(found)} (got {view.padding})")
    return tuple(max(0, whole_number("x", size, -(4 * LARGEST_PADDING), LARGEST_IMAGE)) for size in found)


__all__ = [
    "conv",
    "conv_bias_gradient",
    "conv_input_gradient",
    "conv_transpose",
    "conv_weight_gradient",
]
