"""Layers at random: their geometry, their definition, and their routines between forbidden pages.

`python -m support.layered ALGORITHM TURNS` runs so many layers in a process of its own and prints each before it runs
it, so that the last line names the one at which the process died.
"""

from __future__ import annotations

import ctypes
import faulthandler
import itertools
import math
import sys
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from kernelwise.algorithms.layer import choice, direct_launch, winograd_launch
from kernelwise.algorithms.layer.direct_launch import DirectPlan
from kernelwise.algorithms.layer.problem import LayerProblem, problem3
from kernelwise.algorithms.layer.winograd_launch import WinogradPlan
from kernelwise.algorithms.numbers import Number
from kernelwise.jit.target import available, named
from kernelwise.problem import Axis

from .fences import Fenced, Padded

BORDERS = ("constant", "edge", "reflect", "symmetric", "wrap")
MOST_BYTES = 1 << 23
BOUND = {"f4": 5e-6, "f8": 5e-6 * 2.0**-29}  # of Winograd's algorithm, of the largest output
NO_LIMITS = (-math.inf, math.inf)


@dataclass(frozen=True)
class Layer:
    """A layer's shape."""

    images: int
    groups: int
    channels: int  # of a group
    outputs: int  # of a group
    axes: tuple[Axis, ...]
    border: str = "constant"
    dtype: str = "f4"
    channels_last: bool = False
    limits: tuple[float, float] = NO_LIMITS
    residual: bool = False  # an array like the result is added, before limits are kept
    fresh: bool = False  # by Winograd's algorithm: weights are transformed whenever they are read

    @property
    def image_shape(self) -> tuple[int, ...]:
        return (self.images, self.groups * self.channels, *(a.n for a in self.axes))

    @property
    def weight_shape(self) -> tuple[int, ...]:
        return (self.groups * self.outputs, self.channels, *(a.taps for a in self.axes))

    @property
    def result_shape(self) -> tuple[int, ...]:
        return (self.images, self.groups * self.outputs, *(a.out for a in self.axes))

    @property
    def problem(self) -> LayerProblem:
        number = Number(self.dtype)
        return LayerProblem(problem3(self.axes), self.groups, self.channels, self.outputs, self.border, number)

    def plan(self, target: str, algorithm: str, row_bytes: int = 0) -> DirectPlan | WinogradPlan:
        """``row_bytes``: from one row of the image to the next, where it is to be read as it lies."""
        if algorithm == "winograd":
            plan = winograd_launch.plan(self.problem, named(target), self.channels_last)
            return replace(plan, fresh=self.fresh)
        return choice.choose(
            self.problem, named(target), self.channels_last, row_bytes, not self.channels_last, "exact"
        )


def axis(n: int, taps: int, before: int = 0, after: int = 0, stride: int = 1, dilation: int = 1) -> Axis:
    """The axis of an image of ``n`` pixels with so many around it."""
    reach = (taps - 1) * dilation
    return Axis(n, taps, -before, stride, dilation, max(0, (n + before + after - reach - 1) // stride + 1))


def any_layer(rng: np.random.Generator, winograd: bool = False) -> Layer:
    """A small layer of any kind, or of a kind that Winograd's algorithm does; never without a result."""
    dims = 2 if winograd else int(rng.integers(1, 4))
    most = {1: 60, 2: 34, 3: 12}[dims]
    border = str(rng.choice(BORDERS)) if rng.random() < 0.4 else "constant"
    axes = []
    for _ in range(dims):
        taps, stride, dilation = (3, 1, 1) if winograd else (int(rng.integers(1, top)) for top in (5, 4, 3))
        n = int(rng.integers(1, most))
        before, after = (int(p) for p in rng.integers(0, 4, 2))
        needed = (taps - 1) * dilation + 1 - n - before
        axes.append(axis(n, taps, before, max(after, needed), stride, dilation))
    if winograd and rng.random() < 0.15:
        axes.insert(0, axis(int(rng.integers(1, 5)), int(rng.integers(1, 3)), 1, 0, int(rng.integers(1, 3))))
    groups = int(rng.choice([1, 1, 1, 2, 3]))
    channels, outputs = (int(c) for c in rng.integers(1, 40, 2))
    limits = NO_LIMITS if rng.random() < 0.6 else (0.0, math.inf) if rng.random() < 0.5 else (-3.0, 6.0)
    dtype = "f4" if rng.random() < 0.7 else "f8"
    return Layer(
        int(rng.integers(1, 4)),
        groups,
        channels,
        outputs,
        tuple(axes),
        border,
        dtype,
        bool(rng.random() < 0.25),
        limits,
    )


def definition(layer: Layer, x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Tap by tap, in float64, on a padded copy of the images; not yet kept within the limits."""
    around = [(max(0, -a.start), max(0, (a.out - 1) * a.stride + a.reach + 1 + a.start - a.n)) for a in layer.axes]
    x = np.pad(x.astype(np.float64), ((0, 0), (0, 0), *around), mode=layer.border)  # type: ignore[call-overload]
    x = x.reshape(layer.images, layer.groups, layer.channels, *x.shape[2:])
    weight = weight.astype(np.float64).reshape(layer.groups, layer.outputs, *weight.shape[1:])
    y = np.zeros((layer.images, layer.groups, layer.outputs, *(a.out for a in layer.axes)))
    for tap in itertools.product(*(range(a.taps) for a in layer.axes)):
        firsts = [max(0, a.start) + t * a.dilation for a, t in zip(layer.axes, tap, strict=True)]
        part = x[
            (
                ...,
                *(slice(f, f + (a.out - 1) * a.stride + 1, a.stride) for f, a in zip(firsts, layer.axes, strict=True)),
            )
        ]
        y += np.einsum("ngc...,goc->ngo...", part, weight[(..., *tap)])
    return y.reshape(layer.result_shape) + bias.reshape(1, -1, *(1,) * len(layer.axes))


def whole(layer: Layer, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, weights and bias of small whole numbers, none of the weights zero."""
    x = rng.integers(-4, 5, layer.image_shape).astype(layer.dtype)
    weight = rng.integers(1, 4, layer.weight_shape) * rng.choice([-1, 1], layer.weight_shape)
    return x, weight.astype(layer.dtype), rng.integers(-4, 5, len(weight)).astype(layer.dtype)


# ---------------------------------------------------------------- between forbidden pages


@cache
def room(role: str) -> Fenced:
    return Fenced(MOST_BYTES)


def strides5(x: np.ndarray) -> tuple[int, ...]:
    return (*x.strides[:2], *(0,) * (5 - x.ndim), *x.strides[2:])


def fenced(
    layer: Layer, target: str, algorithm: str, rng: np.random.Generator, at_end: bool, in_place: bool
) -> np.ndarray:
    """All units of a layer, one by one, everything it has a pointer to between forbidden pages; returns the result.
    ``in_place``: images are read as they lie, if the algorithm can."""
    x, weight, bias = whole(layer, rng)
    dtype = np.dtype(layer.dtype)
    image = Padded(room("image"), layer.image_shape, dtype, len(layer.image_shape) - 2, int(rng.integers(0, 3)), at_end)
    image.array[...] = x
    image.room.seal()
    plan = layer.plan(target, algorithm, image.array.strides[-2] if in_place and len(layer.axes) > 1 else 0)
    turned = layer.groups == 1 and bool(rng.random() < 0.5)  # as input gradients have them
    back = (slice(None),) * 2 + (slice(None, None, -1),) * len(layer.axes)
    given = Padded(room("given"), (weight.swapaxes(0, 1) if turned else weight).shape, dtype, 1, 0, at_end)
    weights = given.array.swapaxes(0, 1)[back] if turned else given.array
    weights[...] = weight
    given.room.seal()
    shape = layer.result_shape
    if layer.channels_last:
        shape = (shape[0], *shape[2:], shape[1])
    out = Padded(room("result"), shape, dtype, len(shape) - 2, 0, at_end)
    y = np.moveaxis(out.array, -1, 1) if layer.channels_last else out.array
    wanted = definition(layer, x, weight, bias)
    packed, shift = plan.pack(weights, 1), plan.pack_bias(bias)
    ready = plan.prepare(
        layer.images, strides5(image.array), strides5(y), layer.limits, int(rng.integers(1, 5)), layer.residual
    )
    pointers = [image.array.ctypes.data, y.ctypes.data]
    for role, array in (("weights", packed), ("bias", shift)):
        block = room(role)
        place = block.place(array.nbytes, at_end)
        place[...] = array.reshape(-1).view(np.uint8)
        block.seal()
        pointers.append(place.ctypes.data)
    if layer.residual:
        added = Padded(room("residual"), shape, dtype, len(shape) - 2, 0, at_end)
        added.array[...] = rng.integers(-4, 5, shape)
        added.room.seal()
        wanted += np.moveaxis(added.array, -1, 1) if layer.channels_last else added.array
        pointers.append(added.array.ctypes.data)
    args = ready.args
    args[: len(pointers)] = pointers
    for i, array in enumerate(ready.keep[1]):
        block = room(f"kept {i}")
        place = block.place(array.nbytes, at_end)
        place[...] = array.reshape(-1).view(np.uint8)
        args[args == array.ctypes.data] = place.ctypes.data
        block.seal()
    scratch = room("scratch").place(-(-ready.scratch // 64) * 64, at_end)
    scratch[...] = 0xFF  # a NaN in every dtype
    block = room("args")
    placed = block.place(args.nbytes, at_end)
    placed[...] = args.view(np.uint8)
    block.seal()
    routine = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(ready.address)
    for unit in range(ready.units):
        routine(placed.ctypes.data, scratch.ctypes.data, unit)
    assert out.untouched(), "bytes beside the result were written to"
    assert room("scratch").untouched(scratch), "bytes beside the scratch memory were written to"
    check(layer, y, wanted, plan)
    return y


def check(layer: Layer, y: np.ndarray, wanted: np.ndarray, plan: Any) -> None:
    """Whole numbers come out exactly, by Winograd's algorithm within its bound."""
    limited = np.clip(wanted, *layer.limits)
    if isinstance(plan, WinogradPlan):
        assert np.abs(y - limited).max() <= BOUND[layer.dtype] * max(1.0, np.abs(wanted).max())
    else:
        assert np.array_equal(y, limited)


def main(algorithm: str, turns: int) -> None:
    faulthandler.disable()
    rng, usual = np.random.default_rng(11), direct_launch.FETCHED_WEIGHTS
    for turn in range(turns):
        layer, target = any_layer(rng, algorithm == "winograd"), str(rng.choice(available()))
        layer = replace(layer, residual=turn % 3 == 0, fresh=turn % 2 == 0)
        direct_launch.FETCHED_WEIGHTS = 0 if turn % 2 else usual  # below, no weights are asked for ahead
        print(f"{turn} {target} {layer}", flush=True)
        for at_end in (True, False):
            fenced(layer, target, algorithm, np.random.default_rng(turn), at_end, turn % 4 > 0)
    print(f"done {turns}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
