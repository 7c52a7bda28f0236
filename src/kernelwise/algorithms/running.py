"""Running sums: the mean under a window that slides along an axis, in float64 and in the order in which it slides.

    s[0] = x[0] + x[1] + .. + x[size - 1];    s[p] = s[p - 1] + (x[p + size - 1] - x[p - 1]);    y[p] = s[p] / size

That order cannot be changed without changing the last bits, so lines that lie side by side are done side by side:

down    the axis runs down columns: a vector holds neighbouring columns, and rows are taken one after the other
across  the axis runs along rows: a vector holds the same position of several rows. Differences are taken along the
        rows, turned round in registers (a square of vectors at a time), added up, divided, and turned back

Positions are *virtual*: 0 is the first pixel under the window of output 0, which may lie outside the image.
"""

from __future__ import annotations

from typing import NamedTuple

from ..jit.ir import Function, Module
from ..jit.target import Target
from ..jit.types import F64, I64, PTR, VOID, Type
from ..jit.values import Record, Value
from .casts import cast
from .numbers import Number, load
from .walk import MISSING

DOWN_FIELDS = (
    *("image", "result", "row_map", "fill_row", "divisor", "size", "rows", "columns", "panel", "panels"),
    *("outer_in", "outer_out", "row_out"),
)
ACROSS_FIELDS = (
    *("image", "result", "line_in", "line_out", "lines", "length", "channels", "divisor", "size", "lead"),
    *("left_map", "right_map", "fill", "copied"),
)
CHUNK = 128  # elements of a line that are done at a time
DOUBLE = Number("f8")
SIDE_BY_SIDE = 4  # vectors of columns


class Running(NamedTuple):
    """Everything that changes the code."""

    image: Number
    result: Number
    exact: bool  # the size is a power of two: dividing is multiplying
    single: bool  # pixels of a line are neighbours: no channels between them


def emit(spec: Running, target: Target) -> Module:
    module = Module(target)
    _emit_down(module, spec)
    _emit_stage(module, spec)
    _emit_block(module, spec)
    _emit_across(module, spec)
    return module


def _mean(fn: Function, spec: Running, total: Value, divisor: Value) -> Value:
    """``divisor`` is the size, or one over it."""
    if spec.exact:
        return total * divisor
    return fn.emit(total.type, f"fdiv {total.typed}, {divisor.name}")


# ---------------------------------------------------------------- down


def down_scratch(panel: int) -> int:
    """Two rows of sums."""
    return 2 * 8 * panel


def _emit_down(module: Module, spec: Running) -> None:
    fn = module.function("down", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, scratch, unit = fn.args
    a = Record(fn, args, DOWN_FIELDS)
    lanes = fn.target.lanes(8)
    panels, size, panel = a.integer("panels"), a.integer("size"), a.integer("panel")
    outer, number = unit // panels, unit % panels
    first = number * panel
    n = (a.integer("columns") - first).minimum(panel)
    image = a.address("image") + outer * a.integer("outer_in")
    result = a.address("result") + outer * a.integer("outer_out") + first * spec.result.bytes
    divisor = fn.splat(fn.load(F64, a.at("divisor")), lanes)
    pitch = panel * 8

    def row(virtual: Value) -> Value:
        offset = fn.load(I64, a.address("row_map") + virtual * 8)
        return fn.select(offset.equals(MISSING), a.address("fill_row"), image + offset) + first * spec.image.bytes

    with fn.loop(0, n, lanes) as k:
        x = k.minimum(n - lanes)
        with fn.counted(0, size, carry=[fn.constant(F64.of(lanes), 0)]) as tap:
            pixels = load(fn, row(tap.index) + x * spec.image.bytes, lanes, spec.image, DOUBLE)
            tap.carry_on([tap.carried[0] + pixels])
        _keep(fn, spec, tap.results[0], scratch + x * 8, result + x * spec.result.bytes, divisor)
    with fn.loop(1, a.integer("rows")) as p:
        enters, leaves = row(p + size - 1), row(p - 1)
        before, after = scratch + (p - 1) % 2 * pitch, scratch + p % 2 * pitch
        out = result + p * a.integer("row_out")
        whole = n // (lanes * SIDE_BY_SIDE) * (lanes * SIDE_BY_SIDE)
        for wide, begin, stop in ((SIDE_BY_SIDE, fn.index(0), whole), (1, whole, n)):
            with fn.loop(begin, stop, lanes * wide) as k:
                for c in range(wide):
                    column = k.minimum(n - lanes * wide) + c * lanes
                    more = load(fn, enters + column * spec.image.bytes, lanes, spec.image, DOUBLE)
                    less = load(fn, leaves + column * spec.image.bytes, lanes, spec.image, DOUBLE)
                    total = fn.load(F64.of(lanes), before + column * 8) + (more - less)
                    _keep(fn, spec, total, after + column * 8, out + column * spec.result.bytes, divisor)


def _keep(fn: Function, spec: Running, total: Value, sums: Value, out: Value, divisor: Value) -> None:
    """A vector of sums for the next row, and the means."""
    fn.store(total, sums)
    fn.store(cast(fn, _mean(fn, spec, total, divisor), DOUBLE, spec.result), out)


# ---------------------------------------------------------------- across


def across_scratch(spec: Running, channels: int, lanes: int, copied: int) -> int:
    """Pointers of five kinds, two staged chunks of pixels, one of results, the sums and a vector to spare, and copies
    of all lines of a unit, ``copied`` bytes each, where the result takes the place of the image."""
    chunk = (CHUNK + lanes) * lanes
    return (
        5 * 64 + chunk * (2 * spec.image.bytes + spec.result.bytes) + 8 * lanes * (channels + 1) + 64 + copied * lanes
    )


class _Places:
    """Where things lie in the scratch memory."""

    def __init__(self, fn: Function, spec: Running, scratch: Value) -> None:
        lanes = fn.target.lanes(8)
        chunk = (CHUNK + lanes) * lanes
        self.pitch_in, self.pitch_out = (CHUNK + lanes) * spec.image.bytes, (CHUNK + lanes) * spec.result.bytes
        self.lines, self.results, self.enters, self.leaves, self.outs = (scratch + 64 * i for i in range(5))
        self.entering = scratch + 5 * 64
        self.leaving = self.entering + chunk * spec.image.bytes
        self.dense = self.leaving + chunk * spec.image.bytes
        self.spare = self.dense + chunk * spec.result.bytes
        self.state, self.vector = self.spare + 8 * lanes, 8 * lanes

    def copies(self, channels: Value) -> Value:
        """Lines that are overwritten while they are still needed."""
        return self.state + channels * self.vector


def _emit_across(module: Module, spec: Running) -> None:
    """One unit: as many lines as a vector has lanes; the last line again where there are fewer."""
    fn = module.function("across", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, scratch, unit = fn.args
    a, at, lanes = Record(fn, args, ACROSS_FIELDS), _Places(fn, spec, scratch), fn.target.lanes(8)
    channels, length, lead = a.integer("channels"), a.integer("length"), a.integer("lead")
    ahead, copied = (a.integer("size") - 1) * channels, a.integer("copied")
    with fn.loop(0, lanes) as r:
        line = (unit * lanes + r).minimum(a.integer("lines") - 1) * 8
        pixels, copy = a.address("image") + fn.load(I64, a.address("line_in") + line), at.copies(channels) + r * copied
        with fn.when(copied > 0):
            _copy(fn, spec.image.type, pixels, copy, length)
        fn.store(fn.select(copied > 0, copy, pixels), at.lines + r * 8)
        fn.store(a.address("result") + fn.load(I64, a.address("line_out") + line), at.results + r * 8)
    _first_sums(fn, spec, a, at, channels)
    with fn.loop(0, length, CHUNK) as start:  # chunks begin at whole vectors, but for the first sums
        e = start.maximum(channels)
        count = (length - e).minimum(CHUNK + start - e).maximum(0)
        whole = (count % lanes).equals(0)
        inside = (e - channels >= lead) & (e + count + ahead <= lead + length) & whole
        with fn.loop(0, lanes) as r:
            line, out = fn.load(PTR, at.lines + r * 8), fn.load(PTR, at.results + r * 8)
            entering, leaving = at.entering + r * at.pitch_in, at.leaving + r * at.pitch_in
            with fn.when(inside.equals(0)):
                fn.call("stage", VOID, [args, line, e + ahead, count, entering])
                fn.call("stage", VOID, [args, line, e - channels, count, leaving])
            size = spec.image.bytes
            fn.store(fn.select(inside, line + (e + ahead - lead) * size, entering), at.enters + r * 8)
            fn.store(fn.select(inside, line + (e - channels - lead) * size, leaving), at.leaves + r * 8)
            fn.store(fn.select(inside, out + e * spec.result.bytes, at.dense + r * at.pitch_out), at.outs + r * 8)
        padded = (count + (lanes - 1)) // lanes * lanes
        fn.call("block", VOID, [args, scratch, padded, e % channels])
        with fn.when(inside.equals(0)):
            with fn.loop(0, lanes) as r:
                out = fn.load(PTR, at.results + r * 8) + e * spec.result.bytes
                _copy(fn, spec.result.type, at.dense + r * at.pitch_out, out, count)


def _first_sums(fn: Function, spec: Running, a: Record, at: _Places, channels: Value) -> None:
    """The sums under the first window of every channel, line by line, and their means."""
    lanes = fn.target.lanes(8)
    divisor = fn.splat(fn.load(F64, a.at("divisor")), lanes)
    args = a.pointer
    with fn.loop(0, channels) as c:
        state = at.state + c * (8 * lanes)
        with fn.loop(0, lanes) as r:
            line = fn.load(PTR, at.lines + r * 8)
            with fn.counted(0, a.integer("size"), carry=[fn.constant(F64, 0)]) as tap:
                fn.call("stage", VOID, [args, line, tap.index * channels + c, fn.index(1), at.entering])
                tap.carry_on([tap.carried[0] + load(fn, at.entering, 1, spec.image, DOUBLE)])
            fn.store(tap.results[0], state + r * 8)
        mean = _mean(fn, spec, fn.load(F64.of(lanes), state), divisor)
        fn.store(cast(fn, mean, DOUBLE, spec.result), at.spare)
        with fn.loop(0, lanes) as r:
            out = fn.load(PTR, at.results + r * 8) + c * spec.result.bytes
            fn.store(fn.load(spec.result.type, at.spare + r * spec.result.bytes), out)


def _emit_stage(module: Module, spec: Running) -> None:
    """Copy ``count`` virtual elements of a line from ``first`` on, the border resolved; zeros for a vector behind them:
    what is staged for both ends of a window differs by nothing there, and the sums stay what they are."""
    args = [("args", PTR), ("line", PTR), ("first", I64), ("count", I64), ("target", PTR)]
    fn = module.function("stage", args, internal=True)
    arguments, line, first, count, target = fn.args
    a, size, pixel = Record(fn, arguments, ACROSS_FIELDS), spec.image.bytes, spec.image.type
    lead, length = a.integer("lead"), a.integer("length")
    fill = fn.load(pixel, a.at("fill"))
    before = (lead - first).maximum(0).minimum(count)
    behind = (lead + length - first).maximum(before).minimum(count)
    for begin, end, name, shift in (
        (fn.index(0), before, "left_map", first),
        (behind, count, "right_map", first - (lead + length)),
    ):
        with fn.loop(begin, end) as k:
            place = fn.load(I64, a.address(name) + (k + shift) * 8)
            value = fn.load(pixel, line + place.maximum(0) * size)
            fn.store(fn.select(place < 0, fill, value), target + k * size)
    _copy(fn, pixel, line + (first + before - lead) * size, target + before * size, behind - before)
    fn.store(fn.constant(pixel.of(fn.target.lanes(8)), 0), target + count * size)


def _copy(fn: Function, kind: Type, source: Value, target: Value, n: Value) -> None:
    """n numbers, in vectors of a few, the last one moved back so that it ends at n; fewer than a vector singly."""
    piece = 32 // kind.bytes
    with fn.when(n >= piece):
        with fn.loop(0, n, piece) as k:
            at = k.minimum(n - piece) * kind.bytes
            fn.store(fn.load(kind.of(piece), source + at), target + at)
    with fn.when(n < piece):
        with fn.loop(0, n) as k:
            fn.store(fn.load(kind, source + k * kind.bytes), target + k * kind.bytes)


def _emit_block(module: Module, spec: Running) -> None:
    """``count`` elements of all lines, squares of as many as there are lanes; ``channel`` is that of the first."""
    args = [("args", PTR), ("scratch", PTR), ("count", I64), ("channel", I64)]
    fn = module.function("block", args, internal=True)
    arguments, scratch, count, channel = fn.args
    a, at, lanes = Record(fn, arguments, ACROSS_FIELDS), _Places(fn, spec, scratch), fn.target.lanes(8)
    channels = a.integer("channels")
    divisor = fn.splat(fn.load(F64, a.at("divisor")), lanes)
    enters, leaves, outs = (
        [fn.load(PTR, table + 8 * r) for r in range(lanes)] for table in (at.enters, at.leaves, at.outs)
    )
    kind = F64.of(lanes)
    carry = [fn.load(kind, at.state)] if spec.single else [channel]
    with fn.counted(0, count, lanes, carry=carry) as loop:
        x = loop.index * spec.image.bytes
        pairs = zip(enters, leaves, strict=True)
        steps = turned(
            fn,
            [
                load(fn, more + x, lanes, spec.image, DOUBLE) - load(fn, less + x, lanes, spec.image, DOUBLE)
                for more, less in pairs
            ],
        )
        means, last = [], loop.carried[0]
        for step in steps:
            if spec.single:
                total = last = last + step
            else:
                place = at.state + last * (8 * lanes)
                total = fn.load(kind, place) + step
                fn.store(total, place)
                last = fn.select((last + 1).equals(channels), fn.index(0), last + 1)
            means.append(_mean(fn, spec, total, divisor))
        for out, mean in zip(outs, turned(fn, means), strict=True):
            fn.store(cast(fn, mean, DOUBLE, spec.result), out + loop.index * spec.result.bytes)
        loop.carry_on([last])
    if spec.single:
        fn.store(loop.results[0], at.state)


def turned(fn: Function, rows: list[Value]) -> list[Value]:
    """The columns of a square of vectors: blocks of 1, 2, 4, .. lanes change places across the diagonal."""
    n, size = len(rows), 1
    rows = list(rows)
    while size < n:
        keep = [lane if not lane & size else n + lane - size for lane in range(n)]
        give = [lane + size if not lane & size else n + lane for lane in range(n)]
        for i in range(n):
            if not i & size:
                a, b = rows[i], rows[i + size]
                rows[i], rows[i + size] = fn.shuffle(a, b, keep), fn.shuffle(a, b, give)
        size *= 2
    return rows
