"""Layers as objects: they hold the weights, look at what comes in, and leave the computing to others."""

from __future__ import annotations

import math
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ..arrays import as_image
from ..errors import ArgumentError, ArgumentTypeError
from ..problem import LARGEST_RESULT, one_of, per_axis, whole_number
from .arguments import LAYOUTS, LETTERS, PRECISIONS, check_groups, limits, real_array
from .convolution import Convolution, PreparedConv
from .functions import conv_bias_gradient, conv_input_gradient, conv_weight_gradient
from .known import MOST_NUMBERS
from .window import window

DTYPES = ("float32", "float64")
MOST_CHANNELS = 2**24


class Gradients(NamedTuple):
    """Gradients of sum(dy * layer(x)), each of the shape of what it belongs to."""

    x: np.ndarray  # (n, i, ...)
    weight: np.ndarray  # (o, i / groups, ...)
    bias: np.ndarray | None  # (o,); None in a layer without


class _Conv:
    """What Conv1D, Conv2D and Conv3D share; ``spatial`` is the number of axes the kernel runs over."""

    spatial: ClassVar[int]

    def __init__(
        self,
        channels: int,
        kernel_size: int | tuple[int, ...],
        *,
        in_channels: int | None = None,
        bias: bool = True,
        stride: int | tuple[int, ...] = 1,
        padding: Any = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        border: str = "constant",
        activation: str | None = None,
        precision: str = "fast",
        layout: str = "channels_first",
        seed: int = 0,
        dtype: Any = "float32",
    ) -> None:
        self.channels = whole_number("channels", channels, 1, MOST_CHANNELS)
        taps = per_axis("kernel_size", kernel_size, self.spatial, 1)
        self._window = window(taps, padding, stride, dilation, border)
        self.groups = check_groups(groups, self.channels, "`channels`")
        limits(activation)
        one_of("precision", precision, PRECISIONS)
        one_of("layout", layout, LAYOUTS)
        self.activation, self.precision, self.layout = activation, precision, layout
        self._seed = whole_number("seed", seed, 0, 2**128)
        self.dtype = _dtype(dtype)
        if not isinstance(bias, (bool, np.bool_)):
            raise ArgumentTypeError(f"`bias` must be True or False (got {bias!r})")
        self._bias = np.zeros(self.channels, self.dtype) if bias else None
        self._weight: np.ndarray | None = None
        self._kept: tuple[Any, Convolution] | None = None  # what it was made of, and the layer made of that
        if in_channels is not None:
            self._begin(check_groups_divide(self.groups, whole_number("in_channels", in_channels, 1, MOST_CHANNELS)))

    @property
    def kernel_size(self) -> tuple[int, ...]:
        """Taps on each spatial axis."""
        return self._window.taps

    @property
    def stride(self) -> tuple[int, ...]:
        """Pixels from one window to the next."""
        return self._window.stride

    @property
    def dilation(self) -> tuple[int, ...]:
        """Pixels from one tap to the next."""
        return self._window.dilation

    @property
    def padding(self) -> tuple[tuple[int, int], ...] | str:
        """((before, after), ...) in pixels, or "same"."""
        return self._window.padding

    @property
    def border(self) -> str:
        """What the padding holds."""
        return self._window.border

    @property
    def in_channels(self) -> int | None:
        """Input channels; None while the layer has not met an image."""
        return None if self._weight is None else self._weight.shape[1] * self.groups

    @property
    def weight(self) -> np.ndarray:
        """(o, i / groups, ...)."""
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
        inner = self._weight.shape[1] if self._weight is not None else None
        given = inner or (array.shape[1] if array.ndim == self.spatial + 2 else "in_channels")
        if array.shape != (self.channels, given, *self.kernel_size) or 0 in array.shape:
            wanted = f"({self.channels}, {given}, {', '.join(map(str, self.kernel_size))})"
            raise ArgumentError(f"`weight` must have the shape {wanted} (got {array.shape})")
        self._weight = real_array("weight", array).astype(self.dtype, order="C")

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
        self._bias = real_array("bias", array).astype(self.dtype)

    def __call__(self, x: Any) -> np.ndarray:
        """The layer's result, (n, o, ...) or (n, ..., o), for images x of (n, i, ...) or (n, ..., i)."""
        if self._weight is not None and type(x) is np.ndarray and x.dtype == self.dtype:
            done = self._now().at_once(x)
            if done is not None:
                return done
        x = self._images(x)
        return self._now()(x)

    def prepare(self, threads: int | None = None) -> PreparedConv:
        """The layer with the weights that it has now, packed once: for inference.

        The layer itself packs them in every call, as anybody may have changed them; what is prepared does not see
        later changes. Images of other dtypes are taken as `conv` takes them.

        >>> layer = Conv2D(1, (1, 2), in_channels=1)
        >>> layer.weight = [[[[1, -1]]]]
        >>> layer.prepare()(np.array([[[[1.0, 1.0, 0.0]]]], np.float32))
        array([[[[0., 1.]]]], dtype=float32)
        """
        how = {**self._options, "activation": self.activation, "precision": self.precision}
        return PreparedConv(self.weight, self._bias, threads=threads, **how)

    def gradients(self, x: Any, dy: Any) -> Gradients:
        """The gradients of sum(dy * layer(x)) by x, weight and bias, which is how a loss with gradient dy falls.

        x: images as in the call, dy: of the shape of layer(x). Returns Gradients(x, weight, bias). For any number of
        threads the bits are the same.

        Raises ArgumentError or ArgumentTypeError naming the argument.

        >>> layer = Conv2D(1, (1, 2), in_channels=1)
        >>> layer.gradients([[[[1, 2, 3]]]], [[[[1, 10]]]]).weight
        array([[[[21., 32.]]]], dtype=float32)
        """
        x = self._images(x)
        dy = real_array("dy", dy).astype(self.dtype, copy=False)
        sizes = x.shape[1:-1] if self.layout == "channels_last" else x.shape[2:]
        out = tuple(axis.out for axis in self._window.axes(sizes))
        channels_last = self.layout == "channels_last"
        wanted = (len(x), *out, self.channels) if channels_last else (len(x), self.channels, *out)
        if dy.shape != wanted:
            raise ArgumentError(f"`dy` must have the shape of layer(x), {wanted} (got {dy.shape})")
        low, high = limits(self.activation)
        if low > -math.inf:
            y = self(x)
            dy = np.where((y <= low) | (y >= high), self.dtype.type(0), dy)
        return Gradients(
            conv_input_gradient(dy, self.weight, sizes, precision=self.precision, **self._options),
            conv_weight_gradient(dy, x, self.kernel_size, precision=self.precision, **self._options),
            None if self._bias is None else conv_bias_gradient(dy, layout=self.layout),
        )

    def __repr__(self) -> str:
        shown = {"in_channels": self.in_channels or None, "bias": False if self._bias is None else None}
        names = ("stride", "padding", "dilation", "groups", "border", "activation", "precision", "layout")
        plain = type(self)(1, 1)
        shown |= {n: v for n in names if (v := getattr(self, n)) != getattr(plain, n)}
        listed = "".join(f", {name}={value!r}" for name, value in shown.items() if value is not None)
        return f"{type(self).__name__}({self.channels}, {self.kernel_size}{listed}, dtype={self.dtype.name!r})"

    def _now(self) -> Convolution:
        """The layer with the weights that it has now. Few are known by their numbers, which may change at any time;
        many are packed about as quickly as compared."""
        weight, bias = self.weight, self._bias
        if weight.size > MOST_NUMBERS:
            return self._made_of(weight, bias)
        numbers = weight.tobytes(), b"" if bias is None else bias.tobytes()
        known = numbers, self.activation, self.precision, self.layout, self.groups
        kept = self._kept
        if kept is None or kept[0] != known:
            weight = np.frombuffer(numbers[0], self.dtype).reshape(weight.shape)
            bias = None if bias is None else np.frombuffer(numbers[1], self.dtype)
            kept = self._kept = known, self._made_of(weight, bias, lasting=True)
        return kept[1]

    def _made_of(self, weight: Any, bias: Any, lasting: bool = False) -> Convolution:
        view, how = self._window, (self.activation, self.precision, self.layout)
        geometry = view.stride, view.padding, view.dilation, self.groups, view.border
        return Convolution(weight, bias, *geometry, *how, None, lasting=lasting)

    # ---------------------------------------------------------------- looking at arguments

    @property
    def _options(self) -> dict[str, Any]:
        names = ("stride", "padding", "dilation", "groups", "border", "layout")
        return {name: getattr(self, name) for name in names}

    def _begin(self, in_channels: int) -> None:
        """Draw the weights."""
        shape = (self.channels, in_channels // self.groups, *self.kernel_size)
        if math.prod(shape) * self.dtype.itemsize > LARGEST_RESULT:
            raise ArgumentError(f"`kernel_size` and the channels ask for weights of shape {shape}, which are too many")
        reach = 1 / math.sqrt(math.prod(shape[1:]))
        self._weight = np.random.default_rng(self._seed).uniform(-reach, reach, shape).astype(self.dtype)

    def _images(self, x: Any) -> np.ndarray:
        """The images in the layer's dtype, checked; the first ones tell the number of channels."""
        array = real_array("x", x)
        last = self.layout == "channels_last"
        count = self.in_channels or "in_channels"
        letters = LETTERS[self.spatial]
        wanted = f"(n, {letters}, {count})" if last else f"(n, {count}, {letters})"
        channels = array.shape[-1 if last else 1] if array.ndim == self.spatial + 2 else 0
        if channels == 0 or channels != (self.in_channels or channels):
            raise ArgumentError(f"`x` must have the shape {wanted} (got {array.shape})")
        sizes = array.shape[1:-1] if last else array.shape[2:]
        if any(axis.out == 0 for axis in self._window.axes(sizes)):
            least = self._window.least()
            raise ArgumentError(f"`x` must have at least {least} pixels on its spatial axes (got shape {array.shape})")
        if self._weight is None:
            self._begin(check_groups_divide(self.groups, channels))
        return array.astype(self.dtype, copy=False)


def check_groups_divide(groups: int, in_channels: int) -> int:
    if in_channels % groups:
        raise ArgumentError(f"`groups` must divide the {in_channels} input channels (got {groups})")
    return in_channels


class Conv2D(_Conv):
    """A convolution layer: every output channel is the input cross-correlated with a kernel of its own, plus a bias.

        y[n, o] = activation(sum over i of corr2d(x[n, i], weight[o, i]) + bias[o])

    Layers say "convolution" by custom; like all of them, this one does not flip the kernel.

    Parameters
    ----------
    channels : output channels, o.
    kernel_size : (kh, kw), or one number for both.
    in_channels : input channels, i; if not given, the first call finds them.
    bias : whether there is one.
    stride, padding, dilation, groups, border, activation, precision, layout : as in `conv`. No padded copy is made.
    seed : of the start. Weights are drawn from numpy.random.default_rng(seed), uniformly between plus and minus
        1 / sqrt(i / groups * kh * kw); the bias is zero.
    dtype : "float32" or "float64", of the weights, of all arithmetic and of all results. Images of any real dtype are
        taken in that one. Gradients of weights and bias are added up over the images in float64.

    Attributes
    ----------
    weight : (o, i / groups, kh, kw) and bias : (o,) or None. They are arrays to be changed in place,
        ``layer.weight[...] -= rate * gradient``, or assigned: then a copy in the layer's dtype is kept. The code that
        runs depends on where they are zero, but not on their values.

    Raises ArgumentError or ArgumentTypeError naming the argument.

    >>> layer = Conv2D(1, (1, 2))
    >>> layer.weight = [[[[1, -1]]]]
    >>> layer([[[[1, 1, 0, 0, 1, 1]]]])
    array([[[[ 0.,  1.,  0., -1.,  0.]]]], dtype=float32)
    """

    spatial = 2


class Conv1D(_Conv):
    """Conv2D for signals: images (n, i, w), weight (o, i / groups, kw). Parameters as there.

    >>> layer = Conv1D(1, 2)
    >>> layer.weight = [[[1, -1]]]
    >>> layer([[[1, 1, 0, 0, 1, 1]]])
    array([[[ 0.,  1.,  0., -1.,  0.]]], dtype=float32)
    """

    spatial = 1


class Conv3D(_Conv):
    """Conv2D for volumes: images (n, i, d, h, w), weight (o, i / groups, kd, kh, kw). Parameters as there.

    >>> Conv3D(2, (1, 3, 3), padding="same")(np.zeros((1, 4, 5, 6, 7))).shape
    (1, 2, 5, 6, 7)
    """

    spatial = 3


def _dtype(dtype: Any) -> np.dtype:
    allowed = f"`dtype` must be one of {', '.join(map(repr, DTYPES))} (got {dtype!r})"
    try:
        found = np.dtype(dtype).newbyteorder("=")
    except TypeError:
        raise ArgumentTypeError(allowed) from None
    if found.name not in DTYPES or dtype is None:
        raise ArgumentError(allowed)
    return found
