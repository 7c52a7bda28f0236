"""Weights packed once for many calls: what a layer in inference keeps ready for each shape of images it has met."""

from __future__ import annotations

import ctypes
from typing import Any

import torch
from torch import Tensor

from ..layers.arguments import ACTIVATIONS
from ..layers.known import Known
from ..layers.prepared import MOST_STARTS, PreparedLayer, Start, strides5
from . import engine
from .engine import array
from .geometry import Geometry

_known: Known[Start] = Known()


class Prepared:
    """The packed weights of one layer. Copies of it, and what is read from a file, begin empty."""

    def __init__(self) -> None:
        self._made_of: tuple[Any, ...] = ()
        self._layers: dict[str | None, PreparedLayer] = {}  # by their activation
        self._starts: dict[tuple[Any, ...], Start] = {}

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return Prepared, ()

    def forward(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        of: Geometry,
        activation: str | None,
        out: Tensor,
        residual: Tensor | None = None,
        precision: str | None = None,
    ) -> bool:
        """activation(y + residual) into ``out``; False where no routine adds the residual: then ``out`` is y.

        ``residual`` lies like ``out`` and shares no memory with it. ``precision``: None for what is set for all.
        Weights are packed again when torch says that they have changed.
        """
        adds = residual is not None
        start = self.start(x, weight, bias, of, activation, out, adds, precision)
        start.run(x.data_ptr(), out.data_ptr(), residual.data_ptr() if residual is not None else 0)
        return start.residual is adds

    def start(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        of: Geometry,
        activation: str | None,
        out: Tensor,
        adds: bool,
        precision: str | None,
    ) -> Start:
        """What `forward` runs. ``adds``: whether there is a residual."""
        precision = precision or engine.PRECISION
        made_of = (*marks(weight), bias is None or marks(bias), of.groups, of.border, precision)
        if made_of != self._made_of:
            self._starts, self._layers = {}, {}
            self._made_of = made_of  # while the tensors are kept in a layer, no others come to lie where they do
        key = (x.shape, x.stride(), out.stride(), of, activation, adds, torch.get_num_threads())
        start = self._starts.get(key)
        if start is None:
            start = self._start(x, weight, bias, of, activation, out, adds, precision)
            self._starts = dict([*list(self._starts.items())[1 - MOST_STARTS :], (key, start)])
        return start

    def _start(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        of: Geometry,
        activation: str | None,
        out: Tensor,
        adds: bool,
        precision: str,
    ) -> Start:
        layer = self._layers.get(activation)
        if layer is None:
            layer = _layer(weight, bias, of, activation, precision, once=True)
            self._layers[activation] = layer
        start = _start(layer, x, weight, of, out, adds)
        if adds and not start.residual and activation:  # limits must wait for the addition
            return self._start(x, weight, bias, of, None, out, False, precision)
        return start


def readable(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Whether generated code can read the tensors as they lie, and their numbers are what their memory holds."""
    if x.data_ptr() % x.element_size() or x.is_neg() or weight.is_neg():
        return False
    return bias is None or not bias.is_neg()


def forget() -> None:
    """Forget the layers that are known by their numbers."""
    _known.forget()


def forward_known(x: Tensor, weight: Tensor, bias: Tensor | None, of: Geometry, out: Tensor) -> None:
    """y into ``out``, for layers of at most MOST_NUMBERS weights: what was packed is found again by their numbers."""
    numbers, shift = _numbers(weight), None if bias is None else _numbers(bias)
    layout = x.shape, x.stride(), weight.shape, out.stride(), x.dtype
    key = (shift, layout, of, torch.get_num_threads(), engine.PRECISION)

    def make() -> Start:
        return _start(_layer(weight, bias, of, None, engine.PRECISION, once=True), x, weight, of, out)

    _known.find(key, numbers, weight.data_ptr(), make).run(x.data_ptr(), out.data_ptr())


def _numbers(tensor: Tensor) -> bytes:
    """What a tensor holds."""
    if tensor.is_contiguous():  # a third of the time that the way through an array takes
        return ctypes.string_at(tensor.data_ptr(), tensor.numel() * tensor.element_size())
    held: bytes = tensor.detach().numpy().tobytes()
    return held


def marks(tensor: Tensor) -> tuple[int, ...]:
    """What changes when a tensor's numbers do."""
    return tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version


def _layer(
    weight: Tensor, bias: Tensor | None, of: Geometry, activation: str | None, precision: str, once: bool
) -> PreparedLayer:
    return PreparedLayer(
        array(weight),
        None if bias is None else array(bias),
        groups=of.groups,
        border=of.border,
        limits=ACTIVATIONS[activation],
        precision=precision,
        once=once,
    )


def _start(layer: PreparedLayer, x: Tensor, weight: Tensor, of: Geometry, out: Tensor, residual: bool = False) -> Start:
    axes = engine.axes(x.shape[2:], weight.shape[2:], of)
    strides = strides5(array(x)), strides5(array(out))
    return layer.start(axes, x.shape[0], *strides, torch.get_num_threads(), residual)
