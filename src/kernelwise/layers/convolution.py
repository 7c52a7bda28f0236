"""A convolution layer with its options, applied to images of any kind: `conv` once, PreparedConv often."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..correlation import check_threads
from ..jit import entry, pool
from ..problem import Axis, one_of
from .arguments import (
    LAYOUTS,
    PRECISIONS,
    check_channels,
    check_groups,
    images,
    limits,
    result,
    result_dtype,
    sums_dtype,
    vector,
    weights,
)
from .converting import as_dtype, as_given, in_parts
from .explanation import ConvPlan
from .known import Known
from .prepared import MOST_STARTS, PreparedLayer, Start, plain_strides
from .window import Window, fitting, window

RELEASE_SECONDS = 4e-6  # jobs above let other Python threads run meanwhile


class Bound(NamedTuple):
    """A layer tied to plain images of one shape."""

    apply: entry.Apply  # (x, out) -> out; None, with nothing done, for any other arrays
    result_shape: tuple[int, ...]
    dtype: np.dtype  # of images and result
    threads: int  # that were allowed


class Convolution:
    """activation(y + bias) of images in any dtype and of any strides. Arguments as in `conv`.

    ``once``: the choice of the algorithm leaves the packing of weights out. ``lasting``: it will be called again, so
    it keeps the weights for itself.
    """

    def __init__(
        self,
        w: Any,
        bias: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        groups: Any,
        border: Any,
        activation: Any,
        precision: Any,
        layout: Any,
        threads: Any,
        *,
        once: bool = False,
        lasting: bool = False,
    ) -> None:
        kernels = weights(w)
        self._groups = check_groups(groups, len(kernels))
        self._window = _window(kernels.shape[2:], padding, stride, dilation, border)
        one_of("precision", precision, PRECISIONS)
        one_of("layout", layout, LAYOUTS)
        self._limits, self._precision, self._layout = limits(activation), precision, layout
        self._threads = check_threads(threads)
        shift = vector("bias", bias, len(kernels))
        self._weight = _own(kernels) if lasting else kernels
        self._bias = _own(shift) if lasting and shift is not None else shift
        self._once, self._lasting = once, lasting
        self._layers: dict[np.dtype, PreparedLayer] = {}  # by what is added up in
        self._bound: dict[tuple[int, ...], Bound] = {}  # by the shape of the images

    def __call__(self, x: Any, out: np.ndarray | None = None) -> np.ndarray:
        """(n, c, ...) or (n, ..., c) -> (n, o, ...) or (n, ..., o)."""
        done = self.at_once(x, out) if type(x) is np.ndarray else None
        return self._apply(x, out) if done is None else done

    def at_once(self, x: np.ndarray, out: np.ndarray | None = None) -> np.ndarray | None:
        """The result for images like some seen before; None, with nothing done, for others."""
        bound = self._bound.get(x.shape)
        if bound is None or (self._threads is None and bound.threads != pool.threads()):
            return None
        if out is None:
            if x.dtype != bound.dtype:
                return None
            out = np.empty(bound.result_shape, bound.dtype)
        return bound.apply(x, out)

    def _apply(self, x: Any, out: np.ndarray | None) -> np.ndarray:
        pictures = images("x", x, len(self._window.taps), self._layout)
        check_channels("x", pictures, self._weight.shape[1] * self._groups)
        axes = fitting(self._window, pictures.shape[2:], "x", pictures.shape)
        dtype = result_dtype(pictures.dtype)
        sums = sums_dtype(dtype)
        to = (len(pictures), len(self._weight), *(axis.out for axis in axes))
        place = result(out, to, dtype, self._layout, "`x` and `padding`")
        layer = self._layer(sums)

        def compute(part: np.ndarray, into: np.ndarray) -> None:
            if into.size:
                layer.run(part, into, axes, self._threads)

        in_parts(pictures, place, sums, compute)
        found = as_given(out, place, self._layout)
        if self._lasting and type(x) is np.ndarray and x.dtype == sums == dtype and found.size:
            self._bind(x.shape, found.shape, dtype, axes)
        return found

    def _layer(self, sums: np.dtype) -> PreparedLayer:
        found = self._layers.get(sums)
        if found is None:
            found = self._layers[sums] = PreparedLayer(
                as_dtype(self._weight, sums),
                None if self._bias is None else as_dtype(self._bias, sums),
                groups=self._groups,
                border=self._window.border,
                limits=self._limits,
                precision=self._precision,
                once=self._once,
            )
        return found

    def _start(self, shape: tuple[int, ...], out: tuple[int, ...], dtype: np.dtype, axes: tuple[Axis, ...]) -> Start:
        """What runs the layer on C-contiguous arrays of these shapes, which are in the layer's layout."""
        there, back = (plain_strides(of, dtype.itemsize, self._layout) for of in (shape, out))
        return self._layer(dtype).start(axes, shape[0], there, back, self._threads or pool.threads())

    def _bind(self, shape: tuple[int, ...], out: tuple[int, ...], dtype: np.dtype, axes: tuple[Axis, ...]) -> None:
        """Let the next call with such arrays take the short way."""
        start = self._start(shape, out, dtype, axes)
        apply = entry.bind(
            routine=start.address,
            args=start.args,
            scratch_bytes=start.scratch,
            units=start.units,
            x_shape=shape,
            x_dtype=dtype,
            out_shape=out,
            out_dtype=dtype,
            threads=start.workers,
            release=start.seconds >= RELEASE_SECONDS,
            keep=start,
        )
        kept = list(self._bound.items())[1 - MOST_STARTS :]
        self._bound = dict([*kept, (shape, Bound(apply, out, dtype, self._threads or pool.threads()))])

    def __getstate__(self) -> dict[str, Any]:
        """What was made ready is made again where the object arrives."""
        return {**self.__dict__, "_layers": {}, "_bound": {}}


class PreparedConv(Convolution):
    """A convolution layer whose weights are packed once, then applied at little cost: to `conv` what Filter is to
    `correlate`.

    Parameters
    ----------
    w : weights, (o, c / groups, ...) with one to three spatial axes.
    bias : (o,), or None.
    others : as in `conv`.

    Weights and bias are copied: what happens to the arrays afterwards changes nothing. They are packed for each
    algorithm that images ask for, and what is packed stays in memory as long as one of the last eight shapes of images
    uses it; Winograd's algorithm takes four times the bytes of the weights.

    With precision="fast" the choice of the algorithm leaves the packing out, so that it may be another one than in a
    single call of `conv`: the results differ in their last bits, both within the stated error. With "exact" they are
    the same.

    Raises ArgumentError or ArgumentTypeError naming the argument.

    >>> edges = PreparedConv([[[[1, -1]]]])
    >>> edges(np.array([[[[1.0, 1.0, 0.0, 0.0, 1.0]]]]))
    array([[[[ 0.,  1.,  0., -1.]]]])
    """

    def __init__(
        self,
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
        threads: int | None = None,
    ) -> None:
        super().__init__(
            w, bias, stride, padding, dilation, groups, border, activation, precision, layout, threads,
            once=True, lasting=True,
        )  # fmt: skip

    def __call__(self, x: Any, out: np.ndarray | None = None) -> np.ndarray:
        """The layer's result for images (n, c, ...) or (n, ..., c) of any real dtype; into ``out`` if given.

        Raises ArgumentError or ArgumentTypeError naming the argument.
        """
        done = self.at_once(x, out) if type(x) is np.ndarray else None
        return self._apply(x, out) if done is None else done

    @property
    def weight(self) -> np.ndarray:
        """(o, c / groups, ...), as they were given; read-only."""
        return self._weight

    @property
    def bias(self) -> np.ndarray | None:
        """(o,), or None; read-only."""
        return self._bias

    def plan(self, shape: tuple[int, ...], dtype: Any = np.float32) -> ConvPlan:
        """How the layer does images of this shape and dtype: print it to read it. Packs the weights for it.

        Raises ArgumentError or ArgumentTypeError naming the argument.
        """
        size = sums_dtype(result_dtype(np.dtype(dtype)))
        images_of = np.broadcast_to(np.zeros((), dtype), shape)
        pictures = images("shape", images_of, len(self._window.taps), self._layout)
        check_channels("shape", pictures, self._weight.shape[1] * self._groups)
        axes = fitting(self._window, pictures.shape[2:], "shape", pictures.shape)
        to = (len(pictures), len(self._weight), *(axis.out for axis in axes))
        lying = (to[0], *to[2:], to[1]) if self._layout == "channels_last" else to
        return ConvPlan.of(self._start(tuple(shape), lying, size, axes), lying, self._precision)


@lru_cache(maxsize=1024)
def _plain_window(taps: tuple[int, ...], padding: Any, stride: Any, dilation: Any, border: Any) -> Window:
    return window(taps, padding, stride, dilation, border)


def _window(taps: tuple[int, ...], *how: Any) -> Window:
    """Remembered for arguments that are equal only where they are the same."""
    return (_plain_window if all(type(value) in (int, str) for value in how) else window)(taps, *how)


def _own(array: np.ndarray) -> np.ndarray:
    """A copy that nobody can write to."""
    own: np.ndarray = array.astype(array.dtype.newbyteorder("="))
    own.flags.writeable = False
    return own


# ---------------------------------------------------------------- single calls with weights met before

_known: Known[Convolution] = Known()


def known(w: np.ndarray, bias: np.ndarray | None, *how: Any) -> Convolution:
    """The layer for a single call with few weights; ``how``: the other arguments, plain numbers and words."""
    numbers = w.tobytes()
    shift = None if bias is None else (bias.tobytes(), bias.shape, bias.dtype)

    def make() -> Convolution:
        weight = np.frombuffer(numbers, w.dtype).reshape(w.shape)
        return Convolution(weight, bias, *how, lasting=True)

    return _known.find((w.shape, w.dtype, shift, how), numbers, id(w), make)


def forget() -> None:
    """Forget the layers of single calls."""
    _known.forget()
    _plain_window.cache_clear()
