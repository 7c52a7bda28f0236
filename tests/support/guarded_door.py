"""Ordered and running sums between forbidden pages, as `guarded` has the other routines there.

`python -m support.guarded_door TARGET FIRST COUNT` runs so many random cases for a target in a process of its own and
prints each before it runs it, so that the last line names the one at which the process died.
"""

from __future__ import annotations

import ctypes
import faulthandler
import sys
from collections.abc import Iterator
from functools import partial

import numpy as np

from kernelwise import run
from kernelwise.borders import OUTSIDE, source_index
from kernelwise.calls import Call
from kernelwise.jit.target import named
from kernelwise.ndimage import definition, engine, windows
from kernelwise.ndimage.passes import Pass

from . import guarded
from .fences import Padded

REAL = "bBhHiIlLfd"
SIZES = (1, 2, 3, 5, 8, 17, 33, 70)
TAPS = (1, 2, 3, 5, 8, 9, 31, 60)
BORDERS = ("constant", "edge", "reflect", "symmetric", "wrap")


def one_pass(rng: np.random.Generator, axis: int, border: str, cval: float) -> Pass:
    """Taps of every symmetry, whole and real, anywhere around the centre."""
    taps = int(rng.choice(TAPS))
    weights = rng.standard_normal(taps) if rng.random() < 0.5 else rng.integers(-3, 4, taps).astype(float)
    turned = weights[::-1] * rng.integers(-1, 2)
    return Pass(axis, weights + turned, border, cval, -int(rng.integers(0, taps)))


def image(rng: np.random.Generator) -> np.ndarray:
    shape = [int(rng.choice(SIZES)) for _ in range(rng.integers(1, 4))]
    if rng.random() < 0.3:
        shape[-1] = int(rng.integers(100, 300))
    while np.prod(shape) > 60_000:
        shape[int(np.argmax(shape))] //= 2
    with np.errstate(all="ignore"):
        return (rng.standard_normal(shape) * 60).astype(rng.choice(list(REAL)))


def chains(rng: np.random.Generator, ndim: int) -> tuple[list[list[Pass]], str]:
    """One or two chains of one or two passes, and how they are put together."""
    border = str(rng.choice(BORDERS))
    cval = float(rng.choice([0, 0, 5]))
    count = int(rng.choice([1, 1, 2]))
    made = []
    for _ in range(count):
        axes = rng.permutation(ndim)[: rng.integers(1, min(ndim, 2) + 1)]
        made.append([one_pass(rng, int(axis), border, cval) for axis in axes])
    return made, "" if count == 1 else str(rng.choice(["sum", "magnitude"]))


def expected(x: np.ndarray, parts: list[list[Pass]], how: str, result: np.dtype) -> np.ndarray:
    """What the chains make, pass by pass in NumPy."""
    values = []
    for chain in parts:
        source = x
        for step in chain:
            target = np.empty(x.shape, result)
            definition.assign(definition.correlate1d(source, step), target)
            source = target
        values.append(source)
    with np.errstate(all="ignore"):
        if how == "magnitude":
            return np.sqrt(sum(value * value for value in values[1:]) + values[0] * values[0])
        return values[0] if not how else values[0] + values[1]


def cases(first: int, count: int, target: str) -> Iterator[tuple[str, Call | None, np.ndarray, np.ndarray]]:
    """(name, call, image, what is expected)"""
    machine = named(target)
    for number in range(first, first + count):
        rng = np.random.default_rng([11, number])
        x = image(rng)
        result = np.dtype(rng.choice(list(REAL)))
        if number % 3 == 0:
            weights = rng.integers(-2, 3, [int(rng.choice([1, 2, 3, 4, 7])) for _ in x.shape]) * rng.choice([1, 0.37])
            starts = tuple(-int(rng.integers(0, n)) for n in weights.shape)
            border, cval = str(rng.choice(BORDERS)), float(rng.choice([0, 5]))
            fill = cval if border == "constant" else 0.0
            kernel = engine.Kernel.of(weights.astype(float))
            call = engine._planned_points(x.shape, x.dtype, result, kernel, starts, border, fill, machine)
            wanted = np.empty(x.shape, result)
            definition.assign(definition.correlate(x, weights, starts, border, cval), wanted)
            yield f"{number} points {x.shape} {x.dtype} {result} {weights.shape} {border}", call, x, wanted
            continue
        parts, how = chains(rng, x.ndim)
        if how == "magnitude":
            result = np.dtype(rng.choice(["f4", "f8"]))
        keys = tuple(tuple(step.key for step in chain) for chain in parts)
        call = engine._planned(x.shape, x.dtype, result, keys, how, machine)
        taps = [[(step.axis, len(step.weights)) for step in chain] for chain in parts]
        name = f"{number} {how} {x.shape} {x.dtype} {result} {taps} {parts[0][0].border}"
        yield name, call, x, expected(x, parts, how, result)


def uniform1d(x: np.ndarray, size: int, axis: int, start: int, border: str, cval: float) -> np.ndarray:
    """The mean under a window that slides along an axis: a sum to which the new pixel's difference is added."""
    lines = np.moveaxis(x, axis, -1).astype(np.float64)
    n = lines.shape[-1]
    places = source_index(np.arange(n + size - 1) + start, n, border)
    found = lines[..., np.maximum(places, 0)]
    found[..., places == OUTSIDE] = cval
    total = np.zeros(lines.shape[:-1])
    means = np.empty(lines.shape)
    with np.errstate(all="ignore"):
        for j in range(size):
            total = total + found[..., j]
        means[..., 0] = total / size
        for p in range(1, n):
            total = total + (found[..., p + size - 1] - found[..., p - 1])
            means[..., p] = total / size
    return np.moveaxis(means, -1, axis)


def windows_too(target: str, first: int, count: int) -> int:
    """Running sums over plain arrays; image, result and scratch memory are fenced, the image sealed."""
    right = windows._run
    windows.current_target = lambda: named(target)
    done = 0
    for number in range(first, first + count):
        rng = np.random.default_rng([12, number])
        values = image(rng)
        size = int(rng.choice([1, 2, 3, 5, 8, 31, 200]))
        border, cval = str(rng.choice(BORDERS)), float(rng.choice([0, 5]))
        axis = int(rng.integers(values.ndim))
        window = windows.Window(axis, size, -int(rng.integers(0, size)), border, cval)
        result = np.dtype(rng.choice(list(REAL)))
        last = window._replace(axis=values.ndim - 1)  # the second one takes place in the result
        steps = [window, last] if number % 2 else [window]
        source = values
        for step in steps:
            wanted = np.empty(values.shape, result)
            definition.assign(uniform1d(source, *_spread(step)), wanted)
            source = wanted
        print(f"{number} {values.shape} {values.dtype} {result} {steps}", flush=True)
        for at_end in (True, False):
            windows._run = partial(_run_fenced, at_end)
            x = Padded(guarded.room("image"), values.shape, values.dtype, 0, 0, at_end)
            x.array[...] = values
            x.room.seal()
            out = Padded(guarded.room("result"), values.shape, result, 0, 0, at_end)
            windows.apply(x.array, steps, out.array)
            assert out.untouched(), "bytes beside the result were written to"
            assert out.array.tobytes() == wanted.tobytes(), "wrong"
            done += 1
    windows._run = right
    return done


def _spread(window: windows.Window) -> tuple[int, int, int, str, float]:
    return window.size, window.axis, window.start, window.border, window.cval


def _run_fenced(
    at_end: bool, routine: int, fields: tuple[str, ...], values: dict[str, int], size: int, units: int, _: int
) -> None:
    args = np.array([values[field] for field in fields], np.int64)
    room = guarded.room("scratch")
    scratch = room.place(-(-size // 64) * 64, at_end)
    scratch[...] = 0xFF
    run_unit = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(routine)
    for unit in range(units):
        run_unit(args.ctypes.data, scratch.ctypes.data, unit)
    assert room.untouched(scratch), "bytes beside the scratch memory were written to"


def main(target: str, first: int, count: int) -> None:
    faulthandler.disable()
    done = windows_too(target, first, count // 2)
    for name, call, values, wanted in cases(first, count, target):
        print(name, flush=True)
        if call is None:
            continue
        for at_end in (True, False):
            axis = min(1, values.ndim - 1)
            x = Padded(guarded.room("image"), values.shape, values.dtype, axis, 0, at_end)
            x.array[...] = values
            x.room.seal()
            out = Padded(guarded.room("result"), wanted.shape, wanted.dtype, axis, 0, at_end)
            placed = run.place_directly(call.plan, x.array, out.array)
            if placed is None:
                continue
            code, made = run.prepare(call.plan.parts[0], call.plan, placed, out.array.nbytes)
            guarded.walk_over(code.walk, made, x.array, out.array, placed.offsets, at_end)
            assert out.untouched(), "bytes beside the result were written to"
            assert out.array.tobytes() == wanted.tobytes(), "wrong"
            done += 1
    print(f"done {done}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
