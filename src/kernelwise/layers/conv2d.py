"""The layer itself: it holds the weights, looks at what comes in, and leaves the computing to `operations`."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..arrays import as_image
from ..errors import ArgumentError, ArgumentTypeError
from ..problem import LARGEST_RESULT, whole_number
from .operations import bias_gradient, forward, input_gradient, weight_gradient
from .window import window

DTYPES = ("float32", "float64")
MOST_CHANNELS = 2**24


class Gradients(NamedTuple):
    """Gradients of sum(dy * layer(x)), each of the shape of what it belongs to."""

    x: np.ndarray  # (n, i, h, w)
    weight: np.ndarray  # (o, i, kh, kw)
    bias: np.ndarray | None  # (o,); None in a layer without


class Conv2D:
    """A convolution layer: every output channel is the input cross-correlated with a kernel of its own, plus a bias.

        y[n, o] = sum over i of corr2d(x[n, i], weight[o, i]) + bias[o]

    Layers say "convolution" by custom; like all of them, this one does not flip the kernel.

    Parameters
    ----------
    channels : output channels, o.
    kernel_size : (kh, kw), or one number for both.
    in_channels : input channels, i; if not given, the first call finds them.
    bias : whether there is one.
    padding : zeros around the image, in pixels: a number, one for each axis, or ((above, below), (left, right)).
        No padded copy is made.
    seed : of the start. Weights are drawn from numpy.random.default_rng(seed), uniformly between plus and minus
        1 / sqrt(i * kh * kw); the bias is zero.
    dtype : "float32" or "float64", of the weights, of all arithmetic and of all results. Images of any real dtype are
        taken in that one. Gradients of weights and bias are added up over the images in float64.

    Attributes
    ----------
    weight : (o, i, kh, kw) and bias : (o,) or None. They are arrays to be changed in place, ``layer.weight[...] -=
        rate * gradient``, or assigned: then a copy in the layer's dtype is kept. The code that runs does not depend on
        their values.

    Raises ArgumentError or ArgumentTypeError naming the argument.

    >>> layer = Conv2D(1, (1, 2))
    >>> layer.weight = [[[[1, -1]]]]
    >>> layer([[[[1, 1, 0, 0, 1, 1]]]])
    array([[[[ 0.,  1.,  0., -1.,  0.]]]], dtype=float32)
    """

    def __init__(
        self,
        channels: int,
        kernel_size: int | tuple[int, int],
        *,
        in_channels: int | None = None,
        bias: bool = True,
        padding: int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]] = 0,
        seed: int = 0,
        dtype: Any = "float32",
    ) -> None:
        self.channels = whole_number("channels", channels, 1, MOST_CHANNELS)
        self._window = window(kernel_size, padding)
        self._seed = whole_number("seed", seed, 0, 2**128)
        self.dtype = _dtype(dtype)
        if not isinstance(bias, (bool, np.bool_)):
            raise ArgumentTypeError(f"`bias` must be True or False (got {bias!r})")
        self._bias = np.zeros(self.channels, self.dtype) if bias else None
        self._weight: np.ndarray | None = None
        if in_channels is not None:
            self._begin(whole_number("in_channels", in_channels, 1, MOST_CHANNELS))

    @property
    def kernel_size(self) -> tuple[int, int]:
        """(kh, kw)."""
        return self._window.taps

    @property
    def padding(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """((above, below), (left, right)), in pixels."""
        return self._window.padding

    @property
    def in_channels(self) -> int | None:
        """Input channels; None while the layer has not met an image."""
        return None if self._weight is None else self._weight.shape[1]

    @property
    def weight(self) -> np.ndarray:
        """(o, i, kh, kw)."""
        if self._weight is None:
            raise ArgumentError(
                "`in_channels` is not known yet, so there are no weights: give it to the layer, or call the layer once"
            )
        return self._weight

    @weight.setter
    def weight(self, value: Any) -> None:
        if value is self._weight:  # layer.weight -= ... ends here
            return
        array = as_image("weight", value)
        given = self.in_channels or (array.shape[1] if array.ndim == 4 else "in_channels")
        if array.ndim != 4 or array.shape != (self.channels, given, *self.kernel_size) or 0 in array.shape:
            wanted = f"({self.channels}, {given}, {', '.join(map(str, self.kernel_size))})"
            raise ArgumentError(f"`weight` must have the shape {wanted} (got {array.shape})")
        self._weight = _real("weight", array).astype(self.dtype, order="C")

    @property
    def bias(self) -> np.ndarray | None:
        """(o,), or None in a layer without."""
        return self._bias

    @bias.setter
    def bias(self, value: Any) -> None:
        if value is self._bias:
            return
        if self._bias is None:
            raise ArgumentError("`bias` cannot be set in a layer made with bias=False")
        array = as_image("bias", value)
        if array.shape != (self.channels,):
            raise ArgumentError(f"`bias` must have the shape ({self.channels},) (got {array.shape})")
        self._bias = _real("bias", array).astype(self.dtype)

    def __call__(self, x: Any) -> np.ndarray:
        """The layer's result, (n, o, h + padding - kh + 1, w + padding - kw + 1), for images x of (n, i, h, w)."""
        x = self._images(x)
        return forward(x, self.weight, self._bias, self._window)

    def gradients(self, x: Any, dy: Any) -> Gradients:
        """The gradients of sum(dy * layer(x)) by x, weight and bias, which is how a loss with gradient dy falls.

        x: (n, i, h, w) as in the call, dy: of the shape of layer(x). Returns Gradients(x, weight, bias). For any
        number of threads the bits are the same.

        Raises ArgumentError or ArgumentTypeError naming the argument.

        >>> layer = Conv2D(1, (1, 2), in_channels=1)
        >>> layer.gradients([[[[1, 2, 3]]]], [[[[1, 10]]]]).weight
        array([[[[21., 32.]]]], dtype=float32)
        """
        x = self._images(x)
        dy = _real("dy", as_image("dy", dy)).astype(self.dtype, copy=False)
        image = x.shape[2], x.shape[3]
        wanted = (len(x), self.channels, *self._window.outputs(image))
        if dy.shape != wanted:
            raise ArgumentError(f"`dy` must have the shape of layer(x), {wanted} (got {dy.shape})")
        return Gradients(
            input_gradient(dy, self.weight, self._window, image),
            weight_gradient(dy, x, self._window),
            None if self._bias is None else bias_gradient(dy),
        )

    def __repr__(self) -> str:
        found = f", in_channels={self.in_channels}" if self.in_channels else ""
        rest = "" if self._bias is not None else ", bias=False"
        if self.padding != ((0, 0), (0, 0)):
            rest += f", padding={self.padding}"
        return f"Conv2D({self.channels}, {self.kernel_size}{found}{rest}, dtype={self.dtype.name!r})"

    # ---------------------------------------------------------------- looking at arguments

    def _begin(self, in_channels: int) -> None:
        """Draw the weights."""
        shape = (self.channels, in_channels, *self.kernel_size)
        if math.prod(shape) * self.dtype.itemsize > LARGEST_RESULT:
            raise ArgumentError(f"`kernel_size` and the channels ask for weights of shape {shape}, which are too many")
        reach = 1 / math.sqrt(math.prod(shape[1:]))
        self._weight = np.random.default_rng(self._seed).uniform(-reach, reach, shape).astype(self.dtype)

    def _images(self, x: Any) -> np.ndarray:
        """The images in the layer's dtype, checked; the first ones tell the number of channels."""
        array = _real("x", as_image("x", x))
        wanted = "(n, in_channels, h, w)" if self._weight is None else f"(n, {self.in_channels}, h, w)"
        if array.ndim != 4 or array.shape[1] != (self.in_channels or array.shape[1]) or array.shape[1] == 0:
            raise ArgumentError(f"`x` must have the shape {wanted} (got {array.shape})")
        if min(self._window.outputs((array.shape[2], array.shape[3]))) < 1:
            least = tuple(k - sum(p) for k, p in zip(self.kernel_size, self.padding, strict=True))
            raise ArgumentError(f"`x` must have at least {least} rows and columns (got shape {array.shape})")
        if self._weight is None:
            self._begin(array.shape[1])
        return array.astype(self.dtype, copy=False)


def _dtype(dtype: Any) -> np.dtype:
    allowed = f"`dtype` must be one of {', '.join(map(repr, DTYPES))} (got {dtype!r})"
    try:
        found = np.dtype(dtype).newbyteorder("=")
    except TypeError:
        raise ArgumentTypeError(allowed) from None
    if found.name not in DTYPES or dtype is None:
        raise ArgumentError(allowed)
    return found


def _real(name: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise ArgumentTypeError(f"`{name}` must hold real numbers of up to 64 bits (got {array.dtype})")
    return array
