"""The routines with pixels in the lanes and of weight gradients, between forbidden pages.

`python -m support.fenced_layers WHICH TURNS` runs so many layers, "pixels", "depthwise" or "slopes", in a process of
its own and prints each before it runs it, so that the last line names the one at which the process died. WHICH may be
"fault": a layer whose images are said to be one row longer than they are.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import sys
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from kernelwise.algorithms.layer import slopes_collect, slopes_launch
from kernelwise.algorithms.layer.problem import problem3
from kernelwise.jit.target import available
from kernelwise.layers import operations, prepared
from kernelwise.layers.window import window

from . import layer_cases
from .fences import Fenced, Padded

MOST_BYTES = 1 << 23


@cache
def room(role: str) -> Fenced:
    return Fenced(MOST_BYTES)


class Pool:
    """Stands in for the pool: units one by one, with fenced scratch memory."""

    def __init__(self, at_end: bool) -> None:
        self.at_end, self.units = at_end, 0

    def run(self, address: int, args: int, scratch: int, units: int, workers: int) -> None:
        place = room("scratch").place(-(-scratch // 64) * 64, self.at_end)
        place[...] = 0xFF  # a NaN in every dtype
        routine = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(address)
        for unit in range(units):
            routine(args, place.ctypes.data, unit)
        assert room("scratch").untouched(place), "bytes beside the scratch memory were written to"
        self.units += units

    def threads(self) -> int:
        return 1


class Memory:
    """Stands in for NumPy where a gradient takes the memory of its sums: it lies between forbidden pages."""

    def __init__(self, at_end: bool) -> None:
        self.at_end = at_end

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def empty(self, shape: tuple[int, ...]) -> np.ndarray:
        self.place = room("sums").place(8 * int(np.prod(shape)), self.at_end)
        self.place[...] = 0xFF  # a NaN
        return self.place.view(np.float64).reshape(shape)


def draw(rng: np.random.Generator, which: str) -> layer_cases.Layer:
    """Any layer; or one with one channel and one output in each group."""
    while True:
        layer = layer_cases.draw(rng)
        if which != "depthwise":
            return layer
        if layer.groups > 1:
            border = "constant" if rng.random() < 0.7 else layer.border
            return replace(layer, channels=layer.groups, outputs=layer.groups, border=border)


def lying(values: np.ndarray, last: bool) -> np.ndarray:
    """The same numbers, channels behind the pixels if they are to be ``last``."""
    return np.ascontiguousarray(np.moveaxis(values, 1, -1)) if last else values


def fenced(role: str, values: np.ndarray, more: int, at_end: bool, seal: bool = True) -> Padded:
    padded = Padded(room(role), values.shape, values.dtype, max(2, values.ndim - 2), more, at_end)
    padded.array[...] = values
    if seal:
        padded.room.seal()
    return padded


def try_out(number: int, which: str, at_end: bool) -> int:
    """Units that were run."""
    rng = np.random.default_rng((77, number))
    os.environ["KERNELWISE_TARGET"] = str(rng.choice(available()))
    layer = draw(rng, which)
    dtype = str(rng.choice(["f4", "f8"]))
    print(f"{number} {os.environ['KERNELWISE_TARGET']} {dtype} {layer}", flush=True)
    x = layer_cases.whole(rng, (layer.images, layer.channels, *layer.sizes), dtype)
    w = layer_cases.whole(rng, (layer.outputs, layer.channels // layer.groups, *layer.taps), dtype)
    sizes = list(layer.sizes)
    sizes[0] += which == "fault"
    axes = window(layer.taps, layer.padding, layer.stride, layer.dilation, layer.border).axes(tuple(sizes))
    last = which == "depthwise" and rng.random() < 0.5
    image, more = fenced("image", lying(x, last), int(rng.integers(0, 3)), at_end), int(rng.integers(0, 3))
    stand_in = Pool(at_end)
    if which == "slopes":
        dy = layer_cases.whole(rng, (layer.images, layer.outputs, *layer.out), dtype)
        slopes = fenced("dy", dy, more, at_end)
        lone = (slice(None), slice(None), *(np.newaxis,) * (5 - x.ndim))
        memory = Memory(at_end)
        slopes_launch.pool = slopes_collect.pool = stand_in  # type: ignore[assignment]
        slopes_launch.np = memory  # type: ignore[assignment]
        out = fenced("result", np.full(w.shape, np.nan, dtype), 0, at_end, False)
        of = problem3(axes), layer.groups, layer.border
        slopes_launch.weight_slopes(slopes.array[lone], image.array[lone], *of, out.array)
        assert room("sums").untouched(memory.place), "bytes beside the sums were written to"
        assert out.untouched(), "bytes beside the result were written to"
        assert np.array_equal(out.array, layer_cases.gradients(layer, x, w, dy)[1])
        return stand_in.units
    zeros = np.zeros((layer.images, layer.outputs, *(a.out for a in axes)), dtype)
    out = fenced("result", lying(zeros, last), more, at_end, False)
    given, y = (np.moveaxis(padded.array, -1, 1) if last else padded.array for padded in (image, out))
    prepared.pool = stand_in  # type: ignore[assignment]
    operations.correlate(given, w, axes, groups=layer.groups, border=layer.border, lanes="pixels", out=y, threads=1)
    assert out.untouched(), "bytes beside the result were written to"
    assert which == "fault" or np.array_equal(y, layer_cases.forward(layer, x, w))
    return stand_in.units


def main(which: str, turns: int) -> None:
    faulthandler.disable()
    units = sum(try_out(number, which, at_end) for number in range(turns) for at_end in (False, True))
    print(f"done {units}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
