"""Weights packed once for many calls: what a layer in inference keeps ready for each shape of images it has met."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..algorithms.layer import across_launch as across
from ..algorithms.layer import choice
from ..algorithms.layer.launch import LayerProblem, pack_bias, problem3
from ..algorithms.numbers import Number
from ..algorithms.routine import current_target
from ..jit import pool
from ..layers.arguments import ACTIVATIONS
from ..layers.operations import pixels_fill_lanes
from ..run import worth
from . import engine
from .engine import array
from .geometry import Geometry

MOST_SHAPES = 8  # for which weights are kept; of more, the oldest are packed again
SMALL, MOST_SMALL = 512, 128  # weights in a layer that are looked up by their numbers, and such layers

_small: dict[tuple[Any, ...], Ready] = {}


class Ready(NamedTuple):
    """What the pool needs; image and result still empty."""

    address: int
    args: np.ndarray  # image, result, weights, bias first
    scratch: int
    units: int
    workers: int
    keep: tuple[Any, ...]


class Prepared:
    """The packed weights of one layer. Copies of it, and what is read from a file, begin empty."""

    def __init__(self) -> None:
        self._ready: dict[tuple[Any, ...], Ready] = {}
        self._weights: tuple[int, ...] = ()

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return Prepared, ()

    def forward(
        self, x: Tensor, weight: Tensor, bias: Tensor | None, of: Geometry, activation: str | None, out: Tensor
    ) -> None:
        """activation(y) into ``out``. Weights are packed again when torch says that they have changed."""
        marks = _marks(weight) if bias is None else _marks(weight) + _marks(bias)
        if marks != self._weights:
            self._ready, self._weights = {}, marks
        key = (x.shape, x.stride(), out.stride(), of, activation, torch.get_num_threads(), engine.PRECISION)
        ready = self._ready.get(key)
        if ready is None:
            while len(self._ready) >= MOST_SHAPES:
                self._ready.pop(next(iter(self._ready)), None)
            shift = None if bias is None else array(bias)
            ready = _prepare(array(x), array(weight), array(out), shift, of, activation)
            # while the tensors are kept, no others come to lie where they do
            self._ready[key] = ready = ready._replace(keep=(*ready.keep, weight.detach(), shift))
        _run(ready, x, out)


def readable(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Whether generated code can read the tensors as they lie, and their numbers are what their memory holds."""
    if x.data_ptr() % x.element_size() or x.is_neg() or weight.is_neg():
        return False
    return bias is None or not bias.is_neg()


def forget() -> None:
    """Forget the small layers."""
    _small.clear()


def forward_small(x: Tensor, weight: Tensor, bias: Tensor | None, of: Geometry, out: Tensor) -> None:
    """y into ``out``, for layers of at most SMALL weights: what was packed is found again by their very numbers."""
    numbers = weight.detach().numpy().tobytes(), None if bias is None else bias.detach().numpy().tobytes()
    layout = x.shape, x.stride(), weight.shape, out.stride(), x.dtype
    key = (*numbers, *layout, of, torch.get_num_threads(), engine.PRECISION)
    ready = _small.get(key)
    if ready is None:
        while len(_small) >= MOST_SMALL:
            _small.pop(next(iter(_small)), None)
        shift = None if bias is None else array(bias)
        ready = _prepare(array(x), array(weight), array(out), shift, of, None)
        _small[key] = ready
    _run(ready, x, out)


def _run(ready: Ready, x: Tensor, out: Tensor) -> None:
    args = ready.args.copy()
    args[0], args[1] = x.data_ptr(), out.data_ptr()
    pool.run(ready.address, args.ctypes.data, ready.scratch, ready.units, ready.workers)


def _marks(tensor: Tensor) -> tuple[int, ...]:
    """What changes when a tensor's numbers do."""
    return tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version


def _prepare(
    x: np.ndarray,
    weight: np.ndarray,
    out: np.ndarray,
    bias: np.ndarray | None,
    of: Geometry,
    activation: str | None,
) -> Ready:
    axes = engine.axes(x.shape[2:], weight.shape[2:], of)
    number, target, threads = Number(weight.dtype.str[1:]), current_target(), torch.get_num_threads()
    problem = LayerProblem(
        problem3(axes),
        of.groups,
        weight.shape[1],
        len(weight) // of.groups,
        of.border,
        number,
        not weight.all(),
    )
    strides, limits = (_strides(x), _strides(out)), ACTIVATIONS[activation]
    if pixels_fill_lanes(problem.outputs, axes[-1].out, weight.itemsize):
        plan = across.plan(problem, target)
        packed, shift = across.pack(plan, weight), across.pack_bias(plan, bias)
        made = across.launch(plan, len(x), *strides, limits)
        code = across.code(plan.spec, target)
        args, seconds = made.args.copy(), len(x) * choice.direct_nanoseconds(problem, target) * 1e-9
        found = Ready(code.address("layer"), args, made.scratch, made.units, worth(seconds, threads), (code, made.keep))
    else:
        joined = out.strides[-1] == out.itemsize and (out.ndim == 3 or out.strides[-2] == out.shape[-1] * out.itemsize)
        readable = len(axes) > 1 and x.strides[-1] == x.itemsize and x.strides[-2] > 0
        chosen = choice.choose(
            problem, target, out.strides[1] == out.itemsize, x.strides[-2] if readable else 0, joined, engine.PRECISION
        )
        workers = worth(len(x) * choice.nanoseconds(chosen) * 1e-9, threads)
        packed, shift = choice.pack(chosen, weight, workers), pack_bias(chosen, bias)
        ready = choice.prepare(chosen, len(x), *strides, limits, workers)
        found = Ready(ready.address, ready.args, ready.scratch, ready.units, workers, ready.keep)
    found.args[2:4] = packed.ctypes.data, shift.ctypes.data
    return found._replace(keep=(*found.keep, packed, shift))


def _strides(x: np.ndarray) -> tuple[int, ...]:
    """In bytes: batch, channel, plane, row, column."""
    return (*x.strides[:2], *(0,) * (5 - x.ndim), *x.strides[2:])
