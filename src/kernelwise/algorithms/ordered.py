"""Ordered: sums in a stated order, each product rounded before it is added.

Every other algorithm here adds up in the order that suits the machine. This one does what a plain loop over the taps
would do in float64, so that its results are those of a library which has such loops, to the last bit. With integer
sums, where no order matters, it wraps around as C does.

A *stage* is a one-dimensional filter along a row ("across") or along a column ("down"). Its order of operations:

    mirrored        x[c] * w[c], then (x[j] + x[k-1-j]) * w[j] for j = 0, 1, .. c - 1     (c = k // 2, w symmetric)
    antisymmetric   the same with x[j] - x[k-1-j]
    else            x[k-1] * w[k-1], then x[j] * w[j] for j = 0, 1, .. k - 2
    mean            integers only, where the order does not matter: the sum of all, divided by a constant

A *chain* is one stage, or two of different directions; what the first one leaves is converted to the result's type.
Several chains over the same pixels are put together in the result's type: as their "sum", the sum of their "squares",
or its root, the "magnitude". The other form, "points", takes the taps of any kernel in the order in which it lists
them (points.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ..jit.ir import Function, Module
from ..jit.types import PTR
from ..jit.values import Value
from . import points
from .casts import cast, through
from .numbers import Number, load, put
from .separable import ALIGN, Window, temporary_pitch
from .spec import Spec, Stage, body_function, columns

NAME = "ordered"
MOST_UNROLLED = 200  # taps times rows of a block that are written out; longer filters are loops
SIDE_BY_SIDE = 4  # vectors that a loop over the taps serves at a time

At = Callable[[Value | int], list[Value]]  # pixels under a tap, one vector for each column block


def emit(module: Module, spec: Spec, name: str, wide: int, stream: bool) -> None:
    """The body of an ordered routine, with ``wide`` vectors side by side."""
    fn = body_function(module, name)
    if spec.form == "points":
        points.emit(fn, spec, wide, stream)
    else:
        Chains(fn, spec, wide, stream).emit()


def temporary_rows(spec: Spec) -> int:
    """Rows of sums that a body keeps between stages, and one to convert pixels in."""
    kept = {"down": spec.rows, "across": spec.slots}
    return 1 + sum(kept[chain[0].way] for chain in spec.chains if len(chain) == 2)


def scratch_bytes(spec: Spec, n: int, step: int) -> int:
    """Scratch memory the body needs for n columns."""
    if spec.form == "points":
        return 0
    return temporary_rows(spec) * temporary_pitch(spec, n + spec.span, step) + ALIGN


class Line:
    """A row of numbers in memory: vectors of them at any column, as sums."""

    def __init__(self, fn: Function, start: Value, number: Number, sums: Number, padded: bool = False) -> None:
        self.fn, self.start, self.number, self.sums, self.padded = fn, start, number, sums, padded
        self.lanes = fn.target.lanes(sums.bytes)

    def at(self, column: Value | int) -> Value:
        return load(self.fn, self.start + column * self.number.bytes, self.lanes, self.number, self.sums)


class Chains:
    """Emits the body for one or several chains."""

    def __init__(self, fn: Function, spec: Spec, wide: int, stream: bool) -> None:
        self.fn, self.spec, self.wide, self.stream = fn, spec, wide, stream
        self.rows, self.outs, self.n, self.table, self.temp = fn.args
        self.lanes = fn.target.lanes(spec.sums.bytes)
        self.width = self.n + spec.span
        self.pitch = temporary_pitch(spec, self.width, self.lanes * wide)

    def emit(self) -> None:
        """First stages into temporary rows, then last stages into the result."""
        used = 1  # the first temporary row holds converted pixels
        lasts: list[tuple[Stage, int | None]] = []
        for chain in self.spec.chains:
            if len(chain) == 1:
                lasts.append((chain[0], None))
                continue
            first, last = chain
            (self._first_down if first.way == "down" else self._first_across)(first, used)
            lasts.append((last, used))
            used += self.spec.rows if first.way == "down" else self.spec.slots
        if len(lasts) == 1 and lasts[0][0].way == "down" and lasts[0][1] is None and self._unrolled(lasts[0][0]):
            self._shared_rows(lasts[0][0], self.n, self._finish_alone)
        else:
            self._last_stages(lasts)

    # ---- first stages

    def _first_down(self, stage: Stage, used: int) -> None:
        def keep(r: Value | int, x: Value, totals: list[Value]) -> None:
            line = self._temporary(r + used)
            for c, total in enumerate(totals):
                left = through(self.fn, total, self.spec.sums, self.spec.result)
                self.fn.store(left, line.start + (x + c * self.lanes) * self.spec.sums.bytes)

        if self._unrolled(stage):
            self._shared_rows(stage, self.width, keep)
            return
        with self.fn.loop(0, self.spec.rows) as r:
            with self._blocks(self.width) as (x, wide):
                keep(r, x, self._down(stage, self._image_rows(r + stage.shift), x, wide))

    def _first_across(self, stage: Stage, used: int) -> None:
        with self.fn.loop(0, self.spec.slots) as s:
            line, target = self._pixels(s), self._temporary(s + used)
            with self._blocks(self.n) as (x, wide):
                for c, total in enumerate(self._across(stage, line, x, wide)):
                    left = through(self.fn, total, self.spec.sums, self.spec.result)
                    self.fn.store(left, target.start + (x + c * self.lanes) * self.spec.sums.bytes)

    def _shared_rows(self, stage: Stage, width: Value, finish: Callable[[int, Value, list[Value]], None]) -> None:
        """Down, all rows of the block together: a vector of pixels is loaded once for all rows that need it."""
        fn, spec = self.fn, self.spec
        needed = range(stage.shift, stage.shift + stage.taps + spec.rows - 1)
        lines = {s: Line(fn, fn.load(PTR, self.rows + 8 * s), spec.image, spec.sums) for s in needed}
        with columns(fn, width, self.lanes) as x:
            pixels = {s: line.at(x + stage.column * spec.pitch) for s, line in lines.items()}
            for r in range(spec.rows):
                above = r + stage.shift
                finish(r, x, self._unrolled_sum(stage, lambda j, above=above: [pixels[above + j]]))  # type: ignore[misc]

    # ---- last stages

    def _last_stages(self, lasts: Sequence[tuple[Stage, int | None]]) -> None:
        """Row by row: the last stage of every chain, put together and stored."""
        fn = self.fn
        with fn.loop(0, self.spec.rows) as r:
            lines = {i: self._source(stage, used, r) for i, (stage, used) in enumerate(lasts)}
            out = fn.load(PTR, self.outs + r * 8)
            with self._blocks(self.n) as (x, wide):
                found = []
                for i, (stage, used) in enumerate(lasts):
                    if stage.way == "across":
                        found.append(self._across(stage, lines[i], x, wide))
                    else:
                        place = self._image_rows if used is None else self._temporary_rows(used)
                        found.append(self._down(stage, place(r + stage.shift), x, wide))
                self._store(out, x, found)

    def _source(self, stage: Stage, used: int | None, r: Value) -> Line:
        if stage.way == "down":
            return self._temporary(0)  # not looked at: a column has a line for every tap
        return self._pixels(r + stage.shift) if used is None else self._temporary(r + used)

    def _finish_alone(self, r: int, x: Value, totals: list[Value]) -> None:
        self._store(self.fn.load(PTR, self.outs + 8 * r), x, [totals])

    def _store(self, out: Value, x: Value, found: list[list[Value]]) -> None:
        spec = self.spec
        for c in range(len(found[0])):
            value = self._combined([cast(self.fn, totals[c], spec.sums, spec.result) for totals in found])
            put(self.fn, value, out + (x + c * self.lanes) * spec.result.bytes, self.stream)

    def _combined(self, values: list[Value]) -> Value:
        how = self.spec.combine
        terms = [value * value for value in values] if how in ("squares", "magnitude") else values
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        return self.fn.intrinsic("sqrt", total.type, [total]) if how == "magnitude" else total

    # ---- where numbers lie

    def _temporary(self, row: Value | int) -> Line:
        return Line(self.fn, self.temp + self.pitch * row, self.spec.sums, self.spec.sums, padded=True)

    def _temporary_rows(self, used: int) -> Callable[[Value], Callable[[Value | int], Line]]:
        return lambda first: lambda j: self._temporary(first + j + used)

    def _image_rows(self, first: Value) -> Callable[[Value | int], Line]:
        def line(j: Value | int) -> Line:
            return Line(self.fn, self.fn.load(PTR, self.rows + (first + j) * 8), self.spec.image, self.spec.sums)

        return line

    def _pixels(self, slot: Value) -> Line:
        """A row of the image as sums: where it lies, or converted into the first temporary row."""
        spec, fn = self.spec, self.fn
        row = Line(fn, fn.load(PTR, self.rows + slot * 8), spec.image, spec.sums)
        if spec.image.code == spec.sums.code:
            return row
        target = self._temporary(0)
        with columns(fn, self.width, self.lanes) as x:
            fn.store(row.at(x), target.start + x * spec.sums.bytes)
        return target

    @contextmanager
    def _blocks(self, width: Value) -> Iterator[tuple[Value, int]]:
        wide = min(self.wide, SIDE_BY_SIDE)
        with columns(self.fn, width, self.lanes * wide) as x:
            yield x, wide

    # ---- one stage

    def _unrolled(self, stage: Stage) -> bool:
        return stage.taps * self.spec.rows <= MOST_UNROLLED

    def _down(self, stage: Stage, line: Callable[[Value | int], Line], x: Value, wide: int) -> list[Value]:
        column = x + stage.column * self.spec.pitch

        def at(j: Value | int) -> list[Value]:
            row = line(j)
            return [row.at(column + c * self.lanes) for c in range(wide)]

        return self._sum(stage, at)

    def _across(self, stage: Stage, line: Line, x: Value, wide: int) -> list[Value]:
        first = x + stage.column * self.spec.pitch

        if self._unrolled(stage) and line.padded and self.spec.sums.is_float:
            window = Window(self.fn, self.spec, line.start + first * self.spec.sums.bytes, self.lanes)

            def cut(j: Value | int) -> list[Value]:
                assert isinstance(j, int), "taps that are written out are known by number"
                return [window.at(c * self.lanes + j * self.spec.pitch) for c in range(wide)]

            return self._unrolled_sum(stage, cut)

        def at(j: Value | int) -> list[Value]:
            return [line.at(first + c * self.lanes + j * self.spec.pitch) for c in range(wide)]

        return self._sum(stage, at)

    def _sum(self, stage: Stage, at: At) -> list[Value]:
        return self._unrolled_sum(stage, at) if self._unrolled(stage) else self._looped_sum(stage, at)

    def _weight(self, stage: Stage, j: Value | int) -> Value:
        size = self.spec.sums.bytes
        place = self.table + (j + stage.at) * size
        return self.fn.splat(self.fn.load(self.spec.sums.type, place), self.lanes)

    def _unrolled_sum(self, stage: Stage, at: At) -> list[Value]:
        if stage.divisor:
            return self._mean(stage, at)
        start, turns = stage.order
        weight = self._weight(stage, start)
        totals = [value * weight for value in at(start)]
        for j in range(turns):
            totals = self._add(stage, at, j, totals)
        return totals

    def _mean(self, stage: Stage, at: At) -> list[Value]:
        totals = at(0)
        for j in range(1, stage.taps):
            totals = [total + value for total, value in zip(totals, at(j), strict=True)]
        divisor = self.fn.constant(totals[0].type, stage.divisor).name
        return [self.fn.emit(total.type, f"sdiv {total.typed}, {divisor}") for total in totals]

    def _looped_sum(self, stage: Stage, at: At) -> list[Value]:
        start, turns = stage.order
        weight = self._weight(stage, start)
        with self.fn.counted(0, turns, carry=[value * weight for value in at(start)]) as loop:
            loop.carry_on(self._add(stage, at, loop.index, list(loop.carried)))
        return loop.results

    def _add(self, stage: Stage, at: At, j: Value | int, totals: list[Value]) -> list[Value]:
        weight, values = self._weight(stage, j), at(j)
        if stage.mirror:
            others = at(stage.taps - 1 - j)
            values = [a + b if stage.mirror > 0 else a - b for a, b in zip(values, others, strict=True)]
        return [total + value * weight for total, value in zip(totals, values, strict=True)]
