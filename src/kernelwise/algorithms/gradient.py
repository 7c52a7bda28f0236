"""Gradients: several derivatives of an image, and what is made of them, in one pass over it.

Each component is a product of one-dimensional weights, one for each axis: a difference along its own axis, smoothing
along the others. Two forms:

block   few taps, no planes: every image row of a block is filtered along once by each kind of row weights; the
        components of a row are summed in registers while the rows of the image go by.
passes  as in a separable routine: planes into temporary rows, those into one temporary row for each output row and
        component, and these are filtered along.

A third form, crossings, has a module of its own.

What is wanted is then made of the components, in registers; see Results for what there is. The table holds
the threshold of a mask, and the power of two by which components are scaled before they are squared for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from ..jit.ir import Function, Module
from ..jit.types import F32, F64, I8, I32, PTR
from ..jit.values import Value
from . import separable
from .angles import atan2, magnitude
from .crossings import crossings
from .numbers import Number, load, put, store
from .separable import LONG, Window, mirror, split, sum_planes, sum_rows, temporary_pitch
from .spec import Spec, accumulate, body_function, columns

NAME = "gradient"
MOST_BLOCK = 7  # taps on an axis in the block form
TABLE = 16  # bytes of the table
SAFE = {  # float: squares of numbers between the first two are exact enough and finite; factors for what lies outside
    F32: (2.0**-50, 2.0**60, 2.0**90, 2.0**-70),
    F64: (2.0**-400, 2.0**500, 2.0**600, 2.0**-600),
}


def emit(module: Module, spec: Spec, name: str, wide: int, stream: bool) -> None:
    """The body of a gradient routine, with ``wide`` vectors side by side."""
    {"block": _block, "passes": _passes, "crossings": crossings}[spec.form](
        body_function(module, name), spec, wide, stream
    )


def scratch_bytes(spec: Spec, n: int, step: int) -> int:
    """Scratch memory the body needs for n columns."""
    return separable.scratch_bytes(spec, n, step) if spec.form == "passes" else 0


# ---------------------------------------------------------------- block


def _block(fn: Function, spec: Spec, wide: int, stream: bool) -> None:
    rows, outs, n, _, _ = fn.args
    lanes = fn.target.lanes(spec.sums.bytes)
    parts = split(spec)
    across = [np.frombuffer(key, spec.sums.dtype) for key in dict.fromkeys(row.tobytes() for _, _, row in parts)]
    lines = [fn.load(PTR, rows + 8 * s) for s in range(spec.slots)]
    places = [
        [fn.load(PTR, outs + 8 * (j * spec.rows + r)) for j in range(len(spec.outputs))] for r in range(spec.rows)
    ]
    results = Results(fn, spec, stream)
    with columns(fn, n, lanes * wide) as x:
        sums: dict[tuple[int, int, int], Value] = {}
        for s, c in product(range(spec.slots), range(wide)):
            pixels = Pixels(fn, spec, lines[s] + x * spec.image.bytes, lanes)
            filtered = {row.tobytes(): _along(fn, spec, row, pixels, c * lanes) for row in across}
            for (r, i), (k, (_, column, row)) in product(spec.uses[s], enumerate(parts)):
                if column[i] != 0:
                    key = r, c, k
                    sums[key] = accumulate(fn, sums.get(key), filtered[row.tobytes()], column[i].item())
            for r in {r for r, i in spec.uses[s] if i == spec.taps[1] - 1}:
                components = [sums.pop((r, c, k)) for k in range(len(parts))]
                results.store(components, places[r], x + c * lanes)


class Pixels:
    """Vectors of pixels at any element of a row, each loaded once."""

    def __init__(self, fn: Function, spec: Spec, base: Value, lanes: int) -> None:
        self.fn, self.spec, self.base, self.lanes = fn, spec, base, lanes
        self._loaded: dict[int, Value] = {}

    def at(self, element: int) -> Value:
        if element not in self._loaded:
            place = self.base + element * self.spec.image.bytes
            self._loaded[element] = load(self.fn, place, self.lanes, self.spec.image, self.spec.sums)
        return self._loaded[element]


def _along(fn: Function, spec: Spec, weights: np.ndarray, row: Pixels | Window, start: int) -> Value:
    """Weights along a row; taps that mirror each other are added, or subtracted, before they are multiplied."""
    last = len(weights) - 1
    way = mirror(weights)
    total: Value | None = None
    for j in range(last // 2 + 1 if way else last + 1):
        weight = weights[j].item()
        if weight == 0:
            continue
        value = row.at(start + j * spec.pitch)
        if way and j != last - j:
            other = row.at(start + (last - j) * spec.pitch)
            value = value + other if way > 0 else other - value
            weight = weight if way > 0 else -weight
        total = accumulate(fn, total, value, weight)
        if len(weights) >= LONG:
            total = fn.pin(total)
    return total or fn.constant(spec.sums.type.of(row.lanes), 0)


# ---------------------------------------------------------------- passes


def _passes(fn: Function, spec: Spec, wide: int, stream: bool) -> None:
    rows, outs, n, _, temp = fn.args
    lanes = fn.target.lanes(spec.sums.bytes)
    width = n + spec.span
    pitch = temporary_pitch(spec, width, lanes * wide)
    parts = split(spec)
    source, number, before = rows, spec.image, None
    for k, (depth, column, _) in enumerate(parts):
        if spec.taps[0] > 1 and before != depth.tobytes():  # what the component before has summed serves this one too
            source = sum_planes(fn, spec, depth, wide, width, pitch, temp + pitch * (spec.terms * spec.rows))
            number, before = spec.sums, depth.tobytes()
        sum_rows(fn, spec, column, wide, width, source, number, temp + pitch * (k * spec.rows), pitch)
    results = Results(fn, spec, stream)
    with fn.loop(0, spec.rows) as r:
        places = [fn.load(PTR, outs + (r + j * spec.rows) * 8) for j in range(len(spec.outputs))]
        line = temp + pitch * r
        with columns(fn, n, lanes * wide) as x:
            for c in range(wide):
                components = []
                for k, (_, _, row) in enumerate(parts):
                    window = Window(fn, spec, line + pitch * (k * spec.rows) + x * spec.sums.bytes, lanes)
                    components.append(_along(fn, spec, row, window, c * lanes))
                results.store(components, places, x + c * lanes)


# ---------------------------------------------------------------- what is made of the components


class Results:
    """Stores what is wanted of a vector of components. ``Output.what`` is one of

    component:K   the K-th of them
    l1, l2        their magnitude
    direction     the angle of the last two of them, atan2(y, x)
    mask:l1, mask:l2    whether the magnitude is above the threshold; 0 or 1
    mask:scaled   the same as mask:l2 for thresholds whose square, or that of some component, may leave the range
    """

    def __init__(self, fn: Function, spec: Spec, stream: bool) -> None:
        self.fn, self.spec, self.stream = fn, spec, stream
        self.lanes = fn.target.lanes(spec.sums.bytes)
        self.floats = float_number(spec)
        table = fn.args[3]
        self.threshold = self.scale = None
        masks = [o.what for o in spec.outputs if o.what.startswith("mask")]
        for what in masks:
            kind = threshold_number(spec, what).type
            self.threshold = fn.splat(fn.load(kind, table), self.lanes)
            if what == "mask:scaled":
                self.scale = fn.splat(fn.load(kind, table + 8), self.lanes)

    def store(self, components: Sequence[Value], places: Sequence[Value], x: Value) -> None:
        """All outputs of one vector, at column x."""
        self.components = components
        self._made: dict[str, Value] = {}
        for output, place in zip(self.spec.outputs, places, strict=True):
            at = place + x * output.number.bytes
            what, _, detail = output.what.partition(":")
            if what == "component":
                store(self.fn, components[int(detail)], at, self.spec.sums, output.number, self.stream)
            elif what == "l1":
                store(self.fn, self._get("l1"), at, self.spec.sums, output.number, self.stream)
            elif what == "l2":
                self._store_l2(at, output.number)
            elif what == "direction":
                y, x_ = (self._get(f"float {k}") for k in (-2, -1))
                store(self.fn, atan2(self.fn, y, x_), at, self.floats, output.number, self.stream)
            else:
                put(self.fn, self._above(detail).to(I8, "zext"), at, self.stream)

    def _get(self, what: str) -> Value:
        """A value that several outputs may need, made once."""
        if what not in self._made:
            self._made[what] = self._make(what)
        return self._made[what]

    def _make(self, what: str) -> Value:
        fn = self.fn
        if what == "l1":
            total: Value | None = None
            for component in self.components:
                size = magnitude(fn, component)
                total = size if total is None else total + size
            assert total is not None, "there is a component"
            return total
        if what == "squares":
            if whole_squares(self.spec):
                return sum_of_products(fn, *self.components)
            return _squares(fn, [self._get(f"float {k}") for k in range(len(self.components))])
        value = self.components[int(what.removeprefix("float "))]
        return value if self.spec.sums.is_float else value.to(self.floats.type, "sitofp")

    def _store_l2(self, at: Value, number: Number) -> None:
        squares = self._get("squares")
        if not squares.type.is_float:
            squares = squares.to(self.floats.type, "sitofp")
        root = self.fn.intrinsic("sqrt", squares.type, [squares])
        store(self.fn, root, at, self.floats, number, self.stream)
        if self.spec.sums.is_float:
            self._mend_l2(root, at, number)

    def _mend_l2(self, root: Value, at: Value, number: Number) -> None:
        """Squares leave the range of floats long before their root does: there components are scaled first."""
        fn = self.fn
        low, high, up, down = SAFE[root.type.scalar]
        size = self._get("l1")
        large, small = size > high, (size < low) & (size > 0.0)
        outside = large | small
        some = fn.call(f"llvm.vector.reduce.or.v{self.lanes}i1", outside.type.scalar, [outside])
        with fn.when(some):
            factor = fn.select(large, fn.constant(root.type, down), up)
            back = fn.select(large, fn.constant(root.type, 1 / down), 1 / up)
            squares = _squares(fn, [component * factor for component in self.components])
            scaled = fn.intrinsic("sqrt", squares.type, [squares]) * back
            store(fn, fn.select(outside, scaled, root), at, self.floats, number, self.stream)

    def _above(self, norm: str) -> Value:
        assert self.threshold is not None, "a mask has a threshold"
        if norm == "l1":
            return self._get("l1") > self.threshold
        if norm == "scaled":
            assert self.scale is not None
            return _squares(self.fn, [c * self.scale for c in self.components]) > self.threshold
        return self._get("squares") > self.threshold


def float_number(spec: Spec) -> Number:
    """What roots and angles are worked out in."""
    if spec.sums.is_float:
        return spec.sums
    wide = spec.sums.bytes == 8 or any(o.number.code == "f8" for o in spec.outputs)
    return Number("f8") if wide else Number("f4")


def whole_squares(spec: Spec) -> bool:
    """Whether squares are summed up as integers: two components of 16 bits."""
    return spec.sums.code == "i2" and spec.terms == 2


def threshold_number(spec: Spec, what: str) -> Number:
    """What the threshold is compared in: the magnitude itself, or its square."""
    if what == "mask:l1":
        return spec.sums
    return Number("i4") if whole_squares(spec) else float_number(spec)


def _squares(fn: Function, values: Sequence[Value]) -> Value:
    total: Value | None = None
    for value in values:
        total = value * value if total is None else fn.fma(value, value, total)
    assert total is not None, "there is a component"
    return total


MULTIPLY_ADD = {
    "avx512": "llvm.x86.avx512.pmaddw.d.512",
    "avx2": "llvm.x86.avx2.pmadd.wd",
    "sse": "llvm.x86.sse2.pmadd.wd",
}  # pairs of 16 bits


def sum_of_products(fn: Function, a: Value, b: Value) -> Value:
    """a * a + b * b of 16-bit integers, in 32 bits."""
    lanes = a.type.lanes
    name = MULTIPLY_ADD.get(fn.target.name)
    if name is None:
        a, b = a.to(I32, "sext"), b.to(I32, "sext")
        return a * a + b * b
    half = lanes // 2
    low, high = (_dot(fn, name, fn.shuffle(a, b, _interleaved(lanes, first))) for first in (0, half))
    return fn.shuffle(low, high, range(lanes))


def _interleaved(lanes: int, first: int) -> list[int]:
    """Half of the elements of two vectors from element ``first`` on, in turns."""
    return [place for k in range(first, first + lanes // 2) for place in (k, lanes + k)]


def _dot(fn: Function, name: str, pairs: Value) -> Value:
    return fn.call(name, I32.of(pairs.type.lanes // 2), [pairs, pairs])
