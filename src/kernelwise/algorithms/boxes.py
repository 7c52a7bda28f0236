"""Products of windows from sums over rows, columns and single pixels at the edges of an image: additions alone.

    G[i, u, v, j, u + dy, v + dx] = sum over pixels (r, c) in the box of tap (u, v) of a[i, r, c] * b[j, r + dy, c + dx]

The box is all that the tap meets. Rows and columns are cut alike: the first kh - 1 one by one, the core, the last
kh - 1 one by one. Then a box is the rows from single u on, the core, and u of the last ones; columns likewise. For
given channels, dy and a vector of dx, the sum over a row's boxes is

    row[v] = sum over c >= v of a[c] * b[c + dx]  +  the row's sum over the core  +  sum over c < v of the last ones

and rows are added up in the same way: from the last of the first ones back, then the core and the last ones onwards.
Everything is a vector over neighbouring dx, so a unit of work is one pair of channels, one dy and one such vector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..jit import pool
from ..jit.compile import Code, build
from ..jit.ir import Function, Module
from ..jit.target import Target
from ..jit.types import F64, I64, PTR, VOID
from ..jit.values import Record, Value
from .launch import Sheet
from .routine import current_target

FIELDS = (
    # taps; channels; images; lags dy: the first one, and how many; vectors of lags dx
    *("rows", "columns", "channels", "images", "first", "downs", "vectors"),
    # float64 [image, channel, end, single row, end, single column]; bytes of an image and of a channel
    *("a", "a_image", "a_channel"),
    # float64 [image, channel, end, single row + lag, end, single column + lag]; bytes of all but the last
    *("b", "b_image", "b_channel", "b_end", "b_row", "b_side"),
    # float64 [channel, channel, dy][line, dx]: of the first single rows, the core and the last ones over the core of
    # the columns; then of single columns, first and last, over the core of the rows; bytes of all lines, and of one
    *("lines", "lines_of", "line"),
    # float64 [channel, row, column, channel, row, column]; whether also the other way round; bytes of a row of it
    *("gram", "mirror", "gram_row"),
    "at_boxes",  # a place in scratch memory
)


@dataclass(frozen=True)
class BoxSpec:
    """Everything that changes the generated code."""

    lanes: int


@dataclass(frozen=True)
class Edges:
    """What the boxes are added up from, all float64. ``spare`` numbers behind the lags of a line belong to nothing."""

    a: np.ndarray  # (n, c, 2, kh - 1, 2, kw - 1) single pixels
    b: np.ndarray  # (n, c, 2, kh - 2 + downs, 2, kw - 2 + lags) what they meet, 0 outside the image; lags >= 2 kw - 1
    lines: np.ndarray  # (c, c, downs, 2 (kh - 1) + 1 + 2 (kw - 1), lags)


def lag_room(columns: int) -> int:
    """How many lags lines must have room for, with so many columns of taps: whole vectors."""
    lanes = current_target().lanes(F64.bytes)
    return -(-(2 * columns - 1) // lanes) * lanes


def add_boxes(
    of: Edges, taps: tuple[int, int], first: int, mirror: bool, gram: np.ndarray, threads: int | None
) -> None:
    """Write G for lags dy = first, first + 1, ... into ``gram`` (c, *taps, c, *taps), float64, C order.

    ``mirror``: for a = b; then also G of the same taps the other way round, where dy > 0.
    """
    target = current_target()
    spec = BoxSpec(target.lanes(F64.bytes))
    channels, downs, lags = of.lines.shape[0], of.lines.shape[2], of.lines.shape[4]
    vectors = lags // spec.lanes
    sheet = Sheet(FIELDS)
    for name in ("a", "b", "lines"):
        sheet.point(name, getattr(of, name))
    sheet.point("gram", gram)
    sheet.write(rows=taps[0], columns=taps[1], channels=channels, images=len(of.a), first=first, downs=downs)
    sheet.write(vectors=vectors, mirror=int(mirror), gram_row=gram.strides[2])
    sheet.write(**dict(zip(("a_image", "a_channel"), of.a.strides, strict=False)))
    sheet.write(**dict(zip(("b_image", "b_channel", "b_end", "b_row", "b_side"), of.b.strides, strict=False)))
    sheet.write(lines_of=of.lines.strides[2], line=of.lines.strides[3])
    vector = spec.lanes * F64.bytes
    scratch = sheet.lay_out({"at_sums": taps[1] * vector, "at_boxes": taps[0] * taps[1] * vector})
    code, args = _code(spec, target), sheet.args()
    units = channels * channels * downs * vectors
    pool.run(code.address("boxes"), args.ctypes.data, scratch, units, threads or pool.threads())


@lru_cache(maxsize=8)
def _code(spec: BoxSpec, target: Target) -> Code:
    return build(spec, lambda: emit(spec, target), target)


def forget() -> None:
    """Drop all remembered code. Code that still runs is kept alive by its caller."""
    _code.cache_clear()


# ---------------------------------------------------------------- the code

Product = Callable[[Value, Value, Value], Value]  # (image, single column, sum so far) -> sum


class _Unit:
    """What the parts of the code share: the fields, and where the unit's numbers lie."""

    def __init__(self, fn: Function, spec: BoxSpec) -> None:
        args, self.scratch, unit, *_ = fn.args
        self.fn, self.vector = fn, F64.of(spec.lanes)
        self.field = field = Record(fn, args, FIELDS)
        self.rows, self.columns = field.integer("rows"), field.integer("columns")
        channels, vectors, downs = (field.integer(name) for name in ("channels", "vectors", "downs"))
        self.lag = unit % vectors * spec.lanes  # the first of the vector
        pair_and_down = unit // vectors
        self.down, pair = pair_and_down % downs, pair_and_down // downs
        self.i, self.j = pair // channels, pair % channels
        self.line = field.integer("line")
        self.lines = field.address("lines") + pair_and_down * field.integer("lines_of") + self.lag * F64.bytes
        self.boxes = self.scratch + field.integer("at_boxes")

    def sum_at(self, column: Value) -> Value:
        return self.scratch + column * self.vector.bytes

    def box(self, row: Value, column: Value) -> Value:
        return self.boxes + (row * self.columns + column) * self.vector.bytes

    def add(self, place: Value, value: Value) -> None:
        self.fn.store(self.fn.load(self.vector, place) + value, place)


def emit(spec: BoxSpec, target: Target) -> Module:
    """A module with ``void boxes(ptr args, ptr scratch, i64 unit)``; args are FIELDS."""
    module = Module(target)
    arguments = [("args", PTR), ("scratch", PTR), ("unit", I64)]
    _emit_row(module, spec, "single_row", single=True)
    _emit_row(module, spec, "core_row", single=False)
    of = _Unit(module.function("boxes", arguments), spec)
    fn, singles = of.fn, of.rows - 1
    args, scratch, unit = fn.args
    zero = fn.constant(of.vector, 0)
    with fn.loop(0, of.columns) as v:  # the last box has none of the first rows
        fn.store(zero, of.sum_at(v))
        fn.store(zero, of.box(singles, v))
    with fn.loop(0, singles) as t:
        row = singles - 1 - t
        fn.call("single_row", VOID, [args, scratch, unit, fn.index(0), row])
        with fn.loop(0, of.columns) as v:
            fn.store(fn.load(of.vector, of.sum_at(v)), of.box(row, v))
    with fn.loop(0, of.columns) as v:
        fn.store(zero, of.sum_at(v))
    fn.call("core_row", VOID, [args, scratch, unit, fn.index(0), fn.index(0)])
    with fn.loop(0, of.columns) as v:
        of.add(of.box(fn.index(0), v), fn.load(of.vector, of.sum_at(v)))
    with fn.loop(0, singles) as row:
        fn.call("single_row", VOID, [args, scratch, unit, fn.index(1), row])
        with fn.loop(0, of.columns) as v:
            of.add(of.box(row + 1, v), fn.load(of.vector, of.sum_at(v)))
    _hand_over(of, spec)
    return module


def _emit_row(module: Module, spec: BoxSpec, name: str, single: bool) -> None:
    """Add a row's sums over the boxes of its columns to what is in scratch memory."""
    arguments = [("args", PTR), ("scratch", PTR), ("unit", I64), ("end", I64), ("row", I64)]
    fn = module.function(name, arguments, internal=True)
    end, row = fn.args[3:]
    of = _Unit(fn, spec)
    singles = of.columns - 1
    if single:
        number = end * of.rows + row  # the core's line lies between those of the two ends
        images, products = of.field.integer("images"), [_of_pixels(of, end, row, fn.index(side)) for side in (0, 1)]
    else:
        first, number = of.rows * 2 - 1, of.rows - 1
        images, products = fn.index(1), [_of_columns(of, first), _of_columns(of, first + singles)]
    zero, middle = fn.constant(of.vector, 0), fn.load(of.vector, of.lines + number * of.line)
    of.add(of.sum_at(fn.index(0)), middle)
    with fn.loop(0, images) as n:
        start = fn.select(n.equals(0), middle, zero)
        with fn.counted(0, singles, carry=[zero, start]) as t:  # two chains hide each other's waiting
            columns = singles - 1 - t.index, t.index
            totals = [one(n, *given) for one, *given in zip(products, columns, t.carried, strict=True)]
            of.add(of.sum_at(columns[0]), totals[0])
            of.add(of.sum_at(columns[1] + 1), totals[1])
            t.carry_on(totals)


def _of_pixels(of: _Unit, end: Value, row: Value, side: Value) -> Product:
    """Single pixels of a row, at one side, with what they meet."""
    fn, field, singles = of.fn, of.field, of.columns - 1
    a = field.address("a") + of.i * field.integer("a_channel")
    a = a + ((end * (of.rows - 1) + row) * 2 + side) * singles * F64.bytes
    b = field.address("b") + of.j * field.integer("b_channel") + end * field.integer("b_end")
    b = b + (row + of.down) * field.integer("b_row") + side * field.integer("b_side") + of.lag * F64.bytes
    a_image, b_image = field.integer("a_image"), field.integer("b_image")

    def product(image: Value, column: Value, total: Value) -> Value:
        here = fn.load(F64, a + (image * a_image + column * F64.bytes))
        there = fn.load(of.vector, b + (image * b_image + column * F64.bytes))
        return fn.fma(fn.splat(here, of.vector.lanes), there, total)

    return product


def _of_columns(of: _Unit, first: Value) -> Product:
    """Single columns, already added up over the core of the rows."""

    def product(_: Value, column: Value, total: Value) -> Value:
        return total + of.fn.load(of.vector, of.lines + (first + column) * of.line)

    return product


def _hand_over(of: _Unit, spec: BoxSpec) -> None:
    """The boxes into the matrix: of each tap of a, those lags whose tap of b there is."""
    fn, field = of.fn, of.field
    dy = of.down + field.integer("first")
    size, gram_row = of.rows * of.columns, field.integer("gram_row")
    dx = of.lag - (of.columns - 1)
    mirrored = field.integer("mirror").differs(0) & (dy > 0)
    with fn.loop((0 - dy).maximum(0), (of.rows - dy).minimum(of.rows)) as u, fn.loop(0, of.columns) as v:
        first, stop = (0 - dx - v).maximum(0), (of.columns - dx - v).minimum(spec.lanes)
        here, there = (of.i * size + u * of.columns + v), (of.j * size + (u + dy) * of.columns + v + dx)
        box, gram = of.box(u, v), field.address("gram")
        line = gram + here * gram_row + there * F64.bytes
        with fn.loop(first, stop) as lane:
            fn.store(fn.load(F64, box + lane * F64.bytes), line + lane * F64.bytes)
        with fn.when(mirrored):
            line = gram + there * gram_row + here * F64.bytes
            with fn.loop(first, stop) as lane:
                fn.store(fn.load(F64, box + lane * F64.bytes), line + lane * gram_row)
