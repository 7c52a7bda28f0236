"""Layers made ready: which algorithm, its weights packed, its routine, and the numbers it starts with.

Everything that computes a layer's result goes through here: single calls, which pack their weights and forget them, and
whoever keeps a PreparedLayer, for which they are packed once.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from ..algorithms import spare
from ..algorithms.layer import choice
from ..algorithms.layer.plan import Plan
from ..algorithms.layer.problem import LayerProblem, Strides, problem3
from ..algorithms.numbers import Number
from ..algorithms.routine import current_target
from ..jit import pool
from ..jit.target import Target
from ..problem import Axis
from ..run import worth

UNLIMITED = (-np.inf, np.inf)
RESIDUAL = 4  # its place among the arguments of a routine
MOST_STARTS = 8  # shapes and layouts that a layer is kept ready for; of more, the oldest are made again


class Start(NamedTuple):
    """What the pool needs to run a layer on arrays of one shape and layout; where they lie is still open."""

    plan: Plan
    address: int
    args: np.ndarray  # image, result, weights, bias and, if one is added, residual first
    scratch: int
    units: int
    workers: int
    seconds: float  # predicted, on one thread
    keep: tuple[Any, ...]
    residual: bool = False  # whether an array like the result is added, before limits are kept

    def run(self, image: int, result: int, residual: int = 0) -> None:
        """The layer from and to arrays at these addresses."""
        # not a NumPy array: asking one for its address takes longer than all of this
        args = (ctypes.c_int64 * self.args.size).from_buffer_copy(self.args.data)
        args[0], args[1] = image, result
        if self.residual:
            args[RESIDUAL] = residual
        pool.run(self.address, ctypes.addressof(args), self.scratch, self.units, self.workers)


class PreparedLayer:
    """y[n, o] = x[n] correlated with weight[o] over the channels of its group and axes, plus bias[o], kept in limits.

    weight: (groups * o, c, ...) with one to three axes and bias: (groups * o,) or None, both float32 or both float64,
    of any strides. They are read again whenever arrays of a new shape or layout are met: who changes them makes a new
    PreparedLayer. ``border`` (with zeros for "constant") says what stands around the images.

    ``precision``: "exact" takes sums of many products in pieces of a few hundred, in the arrays' dtype; its error is
    below 1e-6 of the largest output in float32, and what lies under a zero weight does not touch the result. "fast" may
    use Winograd's algorithm: an error up to 5e-6, and a value that is not finite spoils its tile of outputs. Bits
    depend on neither threads nor batch nor strides.

    ``once``: weights are packed once for many calls, so that the choice of the algorithm leaves that work out.
    ``lanes``: see `choice.plan`.
    """

    def __init__(
        self,
        weight: np.ndarray,
        bias: np.ndarray | None = None,
        *,
        groups: int = 1,
        border: str = "constant",
        limits: tuple[float, float] = UNLIMITED,
        precision: str = "exact",
        once: bool = True,
        lanes: str | None = None,
    ) -> None:
        self.weight, self.bias = weight, bias
        self._how = limits, precision, once, lanes
        self._groups, self._border = groups, border
        self._number, self._masked = Number(weight.dtype.str[1:]), not weight.all()
        self._starts: dict[tuple[Any, ...], Start] = {}

    def run(self, x: np.ndarray, out: np.ndarray, axes: tuple[Axis, ...], threads: int | None = None) -> None:
        """x: (n, groups * c, ...) into out: (n, groups * o, ...), not empty, of the weights' dtype in native order,
        aligned, of any strides; ``axes``: the geometry of each."""
        count = pool.threads() if threads is None else threads
        start = self.start(axes, len(x), strides5(x), strides5(out), count)
        start.run(x.ctypes.data, out.ctypes.data)

    def start(
        self,
        axes: tuple[Axis, ...],
        images: int,
        image_strides: Strides,
        result_strides: Strides,
        threads: int,
        residual: bool = False,
    ) -> Start:
        """What runs the layer on so many images. Threads: at most so many, as many as the work is worth. ``residual``:
        add an array that lies like the result, but shares no memory with it, before limits are kept; the Start's own
        ``residual`` tells whether its routine can."""
        key = axes, current_target(), images, image_strides, result_strides, threads, residual
        found = self._starts.get(key)
        if found is None:
            found = self._make(*key)
            kept = list(self._starts.items())[1 - MOST_STARTS :]
            self._starts = dict([*kept, (key, found)])
        return found

    def leave(self) -> None:
        """Leave the memory of packed weights to others: nobody uses the layer, or a Start of it, any more."""
        for start in self._starts.values():
            if start.plan.packs_apart:
                spare.leave(start.keep[0])
        self._starts = {}

    def problem(self, axes: tuple[Axis, ...]) -> LayerProblem:
        """The layer, normalised."""
        outputs, channels = self.weight.shape[:2]
        outputs //= self._groups
        return LayerProblem(problem3(axes), self._groups, channels, outputs, self._border, self._number, self._masked)

    def _make(
        self,
        axes: tuple[Axis, ...],
        target: Target,
        images: int,
        image_strides: Strides,
        result_strides: Strides,
        threads: int,
        residual: bool,
    ) -> Start:
        cut = _cut(self.problem(axes), target, images, image_strides, result_strides, *self._how, threads, residual)
        packing = cut.plan.packing
        packed = next((s.keep[:2] for s in self._starts.values() if s.plan.packing == packing), None)
        if packed is None:
            packed = cut.plan.pack(self.weight, cut.workers), cut.plan.pack_bias(self.bias)
        args = cut.args.copy()
        args[2], args[3] = packed[0].ctypes.data, packed[1].ctypes.data
        return cut._replace(args=args, keep=(*packed, *cut.keep))


@lru_cache(maxsize=1024)
def _cut(
    problem: LayerProblem,
    target: Target,
    images: int,
    image_strides: Strides,
    result_strides: Strides,
    limits: tuple[float, float],
    precision: str,
    once: bool,
    lanes: str | None,
    threads: int,
    residual: bool,
) -> Start:
    """All but the weights."""
    plan = choice.plan(problem, target, image_strides, result_strides, precision, once, lanes).for_images(images)
    seconds = images * plan.nanoseconds(once) * 1e-9
    workers = worth(seconds, threads)
    adds = residual and plan.adds_residual
    ready = plan.prepare(images, image_strides, result_strides, limits, workers, adds)
    return Start(plan, *ready[:-1], workers, seconds, ready.keep, adds)


def strides5(x: np.ndarray) -> Strides:
    """In bytes: batch, channel, plane, row, column."""
    return (*x.strides[:2], *(0,) * (5 - x.ndim), *x.strides[2:])


def plain_strides(shape: tuple[int, ...], size: int, layout: str) -> Strides:
    """Those of a C-contiguous array of (n, c, ...), or (n, ..., c) with "channels_last", of ``size`` bytes a number."""
    steps = [size]
    for n in shape[:0:-1]:
        steps.append(steps[-1] * n)
    batch, *inner = steps[::-1]
    channel = inner.pop(-1 if layout == "channels_last" else 0)
    return (batch, channel, *(0,) * (5 - len(shape)), *inner)


def forget() -> None:
    """Forget what has been made so far. Layers that are kept ready stay so."""
    _cut.cache_clear()
