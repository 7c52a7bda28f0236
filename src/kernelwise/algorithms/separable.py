"""Separable: a kernel that is a product of one column, one row (and one depth), or a sum of a few such products.

Per block of output rows: planes are summed into temporary rows, those into one temporary row for each output row, and
these are filtered along. Borders are no concern here: rows and columns arrive resolved.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import numpy as np

from ..jit.ir import Function, Module
from ..jit.types import PTR
from ..jit.values import Value
from .factors import Factors, factorise
from .numbers import Number, load, store
from .spec import Proposal, Request, Spec, accumulate, base_spec, block, body_function, columns, conversions, fitted

Size = TypeVar("Size", int, Value)

NAME = "separable"
ALIGN = 64
MOST_TERMS = 2
LONG = 11  # taps on one axis from which the compiler runs out of registers when left to itself
WIDTH = 2048  # columns that are worked on at a time, about
LONGEST = 160  # taps on one axis: they are written out

# Taps on an axis, and how much slower each of them is than in a short kernel: the code outgrows what a core can keep of
# it, and the compiler keeps fewer pixels in registers. Measured with benchmarks/planner.py's sizes.
Slower = tuple[tuple[int, ...], tuple[float, ...]]
DOWN: Slower = ((1, 31, 63, 95), (1.0, 1.0, 1.25, 1.75))
MIRRORED: Slower = ((1, 15, 31, 63, 95), (1.0, 1.0, 1.15, 1.6, 2.4))
ACROSS: Slower = ((1, 7, 15, 31, 63, 95), (1.0, 1.0, 1.1, 1.6, 3.6, 4.0))


def propose(request: Request) -> Proposal | str:
    """A proposal, or the reason why there is none."""
    planes, tall, across = request.weights.shape
    if request.changing:
        return "the weights change"
    if sum(n > 1 for n in (planes, tall, across)) < 2:
        return "the kernel has one axis only"
    if max(planes, tall, across) > LONGEST:
        return f"the kernel has more than {LONGEST} taps on an axis"
    factors = factorise(request.weights, MOST_TERMS)
    if factors is None:
        return f"the kernel is no sum of up to {MOST_TERMS} products of its axes"
    rows, wide = block(request.target, sharing=True)
    if tall == 1:
        rows = 1
    spec = base_spec(request, NAME, "passes", rows, wide)
    spec = replace(spec, weights=join(factors), terms=len(factors))
    deep = planes * spec.slots / rows if planes > 1 else 0
    width = max(1, min(request.columns.out * request.channels, WIDTH))
    wider = 1 + spec.span / width  # the rows between the two passes are longer than those of the result
    work = sum((deep + tall * _slower(tall, DOWN)) * wider + across * _slower(across, _way(f[2])) for f in factors)
    loads = conversions(spec, planes * len(factors))
    why = f"a product of axes, {len(factors)} term{'s'[: len(factors) - 1]}"
    return Proposal(fitted(spec, request.rows.out), None, float(work), loads, why)


def _slower(taps: int, measured: Slower) -> float:
    return float(np.interp(taps, *measured))


def _way(weights: np.ndarray) -> Slower:
    return MIRRORED if mirror(weights) else ACROSS


def mirror(weights: np.ndarray) -> int:
    """1 for a symmetric row of weights, -1 for an antisymmetric one, else 0."""
    back = weights[::-1]
    return 1 if np.array_equal(weights, back) else -1 if np.array_equal(weights, -back) else 0


def emit(module: Module, spec: Spec, name: str, wide: int, stream: bool) -> None:
    """The body of a separable routine, with ``wide`` vectors side by side."""
    fn = body_function(module, name)
    rows, _, n, _, temp = fn.args
    lanes = fn.target.lanes(spec.sums.bytes)
    step = lanes * wide
    width = n + spec.span
    pitch = temporary_pitch(spec, width, step)
    factors = split(spec)
    deep = spec.taps[0] > 1
    for t, (depth, column, _) in enumerate(factors):
        source, number = rows, spec.image
        if deep:
            source = sum_planes(fn, spec, depth, wide, width, pitch, temp + pitch * (spec.terms * spec.rows))
            number = spec.sums
        sum_rows(fn, spec, column, wide, width, source, number, temp + pitch * (t * spec.rows), pitch)
    _sum_columns(fn, spec, [f[2] for f in factors], wide, temp, pitch, stream)


def temporary_pitch(spec: Spec, width: Size, step: int) -> Size:
    """Bytes from one temporary row to the next, for rows of ``width`` elements; a multiple of ALIGN, and the rows
    do not all fall on the same cache sets because it is an odd multiple."""
    size = (width + (step + ALIGN)) * spec.sums.bytes
    return size // (2 * ALIGN) * (2 * ALIGN) + 3 * ALIGN


def scratch_bytes(spec: Spec, n: int, step: int) -> int:
    """Scratch memory the body needs for n columns."""
    rows = spec.terms * spec.rows + (spec.slots if spec.taps[0] > 1 else 0)
    pointers = 8 * spec.slots if spec.taps[0] > 1 else 0
    return rows * temporary_pitch(spec, n + spec.span, step) + pointers + ALIGN


def join(factors: Factors) -> bytes:
    """Factors, each (depth, column, row) in the dtype of the sums, as the weights of a Spec."""
    return np.concatenate([np.concatenate(f) for f in factors]).tobytes()


def split(spec: Spec) -> Factors:
    planes, tall, across = spec.taps
    terms = spec.array().reshape(spec.terms, planes + tall + across)
    return [(t[:planes], t[planes : planes + tall], t[planes + tall :]) for t in terms]


def sum_planes(
    fn: Function, spec: Spec, weights: np.ndarray, wide: int, width: Value, pitch: Value, temp: Value
) -> Value:
    """One temporary row for each slot; returns the table of pointers to them."""
    rows = fn.args[0]
    lanes = fn.target.lanes(spec.sums.bytes)
    table = temp + pitch * spec.slots
    with fn.loop(0, spec.slots) as s:
        target = temp + pitch * s
        fn.store(target, table + s * 8)
        planes = [fn.load(PTR, rows + s * 8 + 8 * a * spec.slots) for a in range(spec.taps[0])]
        with columns(fn, width, lanes * wide) as x:
            for c in range(wide):
                total: Value | None = None
                for a, plane in enumerate(planes):
                    if weights[a] == 0:
                        continue
                    place = plane + x * spec.image.bytes + c * lanes * spec.image.bytes
                    total = accumulate(fn, total, load(fn, place, lanes, spec.image, spec.sums), weights[a].item())
                fn.store(_sum(fn, spec, total), target + x * spec.sums.bytes + c * lanes * spec.sums.bytes)
    return table


def sum_rows(
    fn: Function,
    spec: Spec,
    weights: np.ndarray,
    wide: int,
    width: Value,
    source: Value,
    number: Number,
    temp: Value,
    pitch: Value,
) -> None:
    """Down the columns: every slot is loaded once and feeds the output rows that need it."""
    lanes = fn.target.lanes(spec.sums.bytes)
    needed = [s for s, meeting in enumerate(spec.uses) if any(weights[i] != 0 for _, i in meeting)]
    pixels = {s: fn.load(PTR, source + 8 * s) for s in needed}
    long = len(weights) >= LONG
    with columns(fn, width, lanes * wide) as x:
        sums: list[list[Value | None]] = [[None] * wide for _ in range(spec.rows)]
        for s in needed:
            row = pixels[s] + x * number.bytes
            for c in range(wide):
                value = load(fn, row + c * lanes * number.bytes, lanes, number, spec.sums)
                for r, i in spec.uses[s]:
                    if weights[i] != 0:
                        total = accumulate(fn, sums[r][c], value, weights[i].item())
                        sums[r][c] = fn.pin(total) if long else total
        target = temp + x * spec.sums.bytes
        for r in range(spec.rows):
            line = target + pitch * r
            for c in range(wide):
                fn.store(_sum(fn, spec, sums[r][c]), line + c * lanes * spec.sums.bytes)


def _sum_columns(
    fn: Function, spec: Spec, rows: list[np.ndarray], wide: int, temp: Value, pitch: Value, stream: bool
) -> None:
    """Along the rows, all terms at once, into the result."""
    _, outs, n, _, _ = fn.args
    lanes = fn.target.lanes(spec.sums.bytes)
    size = spec.sums.bytes
    with fn.loop(0, spec.rows) as r:
        result = fn.load(PTR, outs + r * 8)
        line = temp + pitch * r
        with columns(fn, n, lanes * wide) as x:
            totals: list[Value | None] = [None] * wide
            for t, weights in enumerate(rows):
                base = line + pitch * (t * spec.rows) + x * size
                reader = Window(fn, spec, base, lanes)
                for c in range(wide):
                    totals[c] = _along(fn, spec, weights, reader, c * lanes, totals[c])
            for c in range(wide):
                place = result + x * spec.result.bytes + c * lanes * spec.result.bytes
                store(fn, _sum(fn, spec, totals[c]), place, spec.sums, spec.result, stream)


def _along(
    fn: Function, spec: Spec, weights: np.ndarray, window: Window, start: int, total: Value | None
) -> Value | None:
    """Weights along one row; taps that mirror each other are added before they are multiplied."""
    last = len(weights) - 1
    way = mirror(weights)
    for j in range(last // 2 + 1 if way else last + 1):
        weight = weights[j].item()
        if weight == 0:
            continue
        value = window.at(start + j * spec.pitch)
        if way and j != last - j:
            other = window.at(start + (last - j) * spec.pitch)
            value = value + other if way > 0 else value - other
        total = accumulate(fn, total, value, weight)
        if len(weights) >= LONG:
            total = fn.pin(total)
    return total


class Window:
    """Vectors at any element of a temporary row.

    Floats are cut out of neighbouring whole vectors, each loaded once: a load that crosses a cache line costs two.
    """

    def __init__(self, fn: Function, spec: Spec, base: Value, lanes: int) -> None:
        self.fn, self.spec, self.base, self.lanes = fn, spec, base, lanes
        self._whole: dict[int, Value] = {}

    def at(self, element: int) -> Value:
        vector, rest = divmod(element, self.lanes)
        if rest == 0:
            return self._vector(vector)
        if not self.spec.sums.is_float:
            return self._load(element)
        return self.fn.shuffle(self._vector(vector), self._vector(vector + 1), range(rest, rest + self.lanes))

    def _vector(self, index: int) -> Value:
        if index not in self._whole:
            self._whole[index] = self._load(index * self.lanes)
        return self._whole[index]

    def _load(self, element: int) -> Value:
        kind = self.spec.sums.type.of(self.lanes)
        return self.fn.load(kind, self.base + element * self.spec.sums.bytes)


def _sum(fn: Function, spec: Spec, total: Value | None) -> Value:
    return total or fn.constant(spec.sums.type.of(fn.target.lanes(spec.sums.bytes)), 0)
