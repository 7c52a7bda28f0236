"""The panel of a unit: the rows of pixels that it needs, copied, borders resolved, columns sorted by phase.

[channel][plane][row][phase][column], see `across`.
"""

from __future__ import annotations

from collections.abc import Callable

from ...jit.ir import Function
from ...jit.types import I64, PTR, Type
from ...jit.values import Record, Value
from .across_spec import FIELDS, Writer


def emit_panel(w: Writer) -> None:
    """The rows of a band, all channels of a group and planes of taps: virtual columns first .. first + columns."""
    names = ("plane", "row", "rows", "first", "columns")
    args = [("args", PTR), ("image", PTR), ("panel", PTR), *((n, I64) for n in names)]
    fn = w.module.function("fill_panel", args, internal=True)
    arguments, image, panel, plane, row, rows, first, columns = fn.args
    a = Record(fn, arguments, FIELDS)
    planes, each = a.integer("tap_planes"), a.integer("panel_plane")
    image_channel, image_plane, image_row = (a.integer(f"image_{name}") for name in ("channel", "plane", "row"))
    plane_map, row_map = a.address("plane_map") + plane * planes * 8, a.address("row_map") + row * 8
    line_of = _line(w, fn, a, first, columns)
    with fn.loop(0, a.integer("channels")) as c, fn.loop(0, planes) as p:
        source_plane = fn.load(I64, plane_map + p * 8)
        channel = image + c * image_channel + source_plane.maximum(0) * image_plane
        target = panel + c * a.integer("panel_channel") + p * each
        with fn.loop(0, rows) as r:
            source_row = fn.load(I64, row_map + r * 8)
            line = target + r * w.spec.row_bytes
            inside = (source_plane >= 0) & (source_row >= 0)
            with fn.when(inside.equals(0)), fn.loop(0, w.spec.row_bytes, w.vector.bytes) as at:
                fn.store(fn.constant(w.vector, 0.0), line + at)
            with fn.when(inside):
                line_of(channel + source_row.maximum(0) * image_row, line)


def _line(w: Writer, fn: Function, a: Record, first: Value, columns: Value) -> Callable[[Value, Value], None]:
    """What copies one row: columns inside the image as they lie; of the border zeros, or one by one."""
    begin = (a.integer("column_first") - first).maximum(0).minimum(columns)
    stop = (a.integer("column_stop") - first).minimum(columns).maximum(begin)
    step, lead = a.integer("image_column"), a.integer("column_lead") + first
    dense, plain = step.equals(w.size), a.integer("zeros").differs(0)
    column_map = a.address("column_map") + first * 8
    zero = fn.constant(w.vector, 0.0)

    def one_by_one(source: Value, line: Value, start: Value | int, end: Value) -> None:
        with fn.loop(start, end) as x:
            column = fn.load(I64, column_map + x * 8)
            pixel = fn.load(w.scalar, source + column.maximum(0) * step)
            phase, place = x % w.spec.phases, x // w.spec.phases
            at = phase * w.spec.phase_bytes + place * w.size if w.spec.phases > 1 else x * w.size
            fn.store(fn.select(column < 0, fn.constant(w.scalar, 0.0), pixel), line + at)

    def copy_line(source: Value, line: Value) -> None:
        if w.spec.phases == 1:
            fast = plain & dense & (stop > begin)
            with fn.when(fast):  # the zeros may be written over the inside: it comes after
                with fn.loop(0, begin, w.lanes) as x:
                    fn.store(zero, line + x * w.size)
                with fn.loop(stop, columns, w.lanes) as x:
                    fn.store(zero, line + x * w.size)
            with fn.when(dense & (stop > begin)):
                copy(fn, w.scalar, w.lanes, source + (begin + lead) * w.size, line + begin * w.size, stop - begin)
            with fn.when(fast.equals(0)):
                one_by_one(source, line, 0, begin)
                one_by_one(source, line, fn.select(dense, stop, begin), columns)
            return
        rest = begin
        if w.spec.phases == 2:
            rest = _pairs(w, fn, source + lead * w.size, line, begin, fn.select(dense, stop, begin))
        one_by_one(source, line, 0, begin)
        one_by_one(source, line, rest, columns)

    return copy_line


def _pairs(w: Writer, fn: Function, source: Value, line: Value, begin: Value, stop: Value) -> Value:
    """Columns begin .. stop into two phases, two vectors at a time; returns where it left off. Where it begins with an
    odd column, the even one before it is read with it if there is one, and written again by its own way later."""
    first = begin + (begin & 1)
    pairs = (stop - first).maximum(0) // 2
    even, odd = range(0, 2 * w.lanes, 2), range(1, 2 * w.lanes, 2)
    with fn.when(first > begin):
        pixel = fn.load(w.scalar, source + begin * w.size)
        fn.store(pixel, line + (begin // 2) * w.size + w.spec.phase_bytes)
    with fn.when(pairs >= w.lanes), fn.loop(0, pairs, w.lanes) as k:
        at = k.minimum(pairs - w.lanes)
        here = source + (first + at * 2) * w.size
        one, two = fn.load(w.vector, here), fn.load(w.vector, here + w.vector.bytes)
        place = line + (first // 2 + at) * w.size
        fn.store(fn.shuffle(one, two, even), place)
        fn.store(fn.shuffle(one, two, odd), place + w.spec.phase_bytes)
    return fn.select(pairs >= w.lanes, first + pairs * 2, begin)


def copy(fn: Function, scalar: Type, lanes: int, source: Value, target: Value, n: Value) -> None:
    """n numbers, at least one: in vectors, the last one moved back; fewer than a vector in two pieces that overlap."""
    size = scalar.bytes
    wide = scalar.of(lanes)
    with fn.when(n >= lanes), fn.loop(0, n, lanes) as x:
        here = x.minimum(n - lanes) * size
        fn.store(fn.load(wide, source + here), target + here)
    piece = lanes // 2
    while piece:
        with fn.when((n >= piece) & (n < 2 * piece)):
            part, last = scalar.of(piece), (n - piece) * size
            values = fn.load(part, source), fn.load(part, source + last)
            fn.store(values[0], target)
            fn.store(values[1], target + last)
        piece //= 2
