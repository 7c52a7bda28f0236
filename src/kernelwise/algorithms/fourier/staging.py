"""Where a tile lies, borders resolved, and how large its pixels are."""

from __future__ import annotations

from ...jit.types import I64, PTR, VOID
from ...jit.values import Record, Value
from ..numbers import TYPES, load
from ..vectors import copy_numbers, fold
from ..walk import MISSING
from .record import FIELDS, Writer

BLOCK = 16  # rows and columns of a block whose largest pixel is looked at


# ---------------------------------------------------------------- where a tile lies


def emit_stage(w: Writer) -> None:
    """n columns of an image row, from virtual column v, into ``line``: borders resolved."""
    args = [("args", PTR), ("pixels", PTR), ("line", PTR), ("v", I64), ("n", I64)]
    fn = w.module.function("stage", args, internal=True)
    arguments, pixels, line, v, n = fn.args
    a = Record(fn, arguments, FIELDS)
    size = w.spec.image.bytes
    kind = TYPES[size]
    first = v - a.integer("lead")  # the image column behind the tile's first
    begin = (fn.index(0) - first).maximum(0).minimum(n)
    end = (a.integer("inside_stop") - first).minimum(n).maximum(begin)
    copy_numbers(fn, kind, pixels + (first + begin) * size, line + begin * size, end - begin)
    outside = fn.load(kind, a.address("fill_row"))
    for start, stop, table in (
        (fn.index(0), begin, a.address("left_map") + v * 8),
        (end, n, a.address("right_map") + (first - a.integer("inside_stop")) * 8),
    ):
        with fn.loop(start, stop) as c:
            column = fn.load(I64, table + c * 8)
            value = fn.load(kind, pixels + column.maximum(0) * size)
            fn.store(fn.select(column < 0, outside, value), line + c * size)


def emit_find(w: Writer) -> None:
    """The rows of a tile: pointers to its first column, into the image or into what is staged of it."""
    args = [("args", PTR), ("scratch", PTR), ("which", I64), ("plane", PTR), ("y", I64), ("x", I64)]
    fn = w.module.function("find", args, internal=True)
    arguments, scratch, which, plane, y, x = fn.args
    a = Record(fn, arguments, FIELDS)
    size, down, across = w.spec.image.bytes, w.down, w.across
    rows = scratch + a.integer("at_rows") + which * (8 * down)
    pitch = a.integer("stage_pitch")
    stage = scratch + a.integer("at_stage") + which * (pitch * (1 if w.spec.line else down))
    v = x * a.integer("step_across")
    width = w.spec.size if w.spec.line else across
    first = v - a.integer("lead")
    inside = (first >= 0) & (first + width <= a.integer("inside_stop")) & a.integer("copied").equals(0)
    fill_row = a.address("fill_row")
    row_map = a.address("row_map") + y * a.integer("step_down") * 8
    missing_plane = plane.equals(fn.null())
    with fn.loop(0, 1 if w.spec.line else down) as r:
        offset = fn.load(I64, row_map + r * 8)
        missing = missing_plane | offset.equals(MISSING)
        pixels = plane + offset
        line = stage + r * pitch
        with fn.when((missing | inside).equals(0)):
            fn.call("stage", VOID, [arguments, pixels, line, v, fn.index(width)])
        begin = fn.select(inside, pixels + first * size, line)
        if w.spec.line:
            with fn.loop(0, down) as part:
                fn.store(fn.select(missing, fill_row, begin + part * (across * size)), rows + part * 8)
        else:
            fn.store(fn.select(missing, fill_row, begin), rows + r * 8)


# ---------------------------------------------------------------- how large its pixels are


def emit_measure(w: Writer) -> None:
    """found[0] = the bits of the largest |pixel|, found[1] = of the least among the largest of all blocks that are
    not all zero; both joined with what is there."""
    fn = w.module.function("measure", [("rows", PTR), ("found", PTR)], internal=True)
    rows, found = fn.args
    zero = fn.constant(w.bits.of(w.lanes), 0)
    magnitude = (1 << (w.bits.bytes * 8 - 1)) - 1  # all bits but the sign
    none = fn.constant(w.bits, magnitude)
    height = BLOCK if w.spec.ranged else w.down
    with fn.counted(0, w.across, w.lanes, carry=[fn.constant(w.bits, 0), none]) as columns:
        with fn.counted(0, w.down, height, carry=columns.carried) as blocks:
            with fn.counted(blocks.index, blocks.index + height, 4, carry=[zero] * 4) as lines:
                largest = []
                for part, value in enumerate(lines.carried):
                    pixels = fn.load(PTR, rows + lines.index * 8 + part * 8) + columns.index * w.spec.image.bytes
                    number = load(fn, pixels, w.lanes, w.spec.image, w.spec.sums)
                    bits = fn.emit(zero.type, f"bitcast {number.typed} to {zero.type.text}") & magnitude
                    largest.append(bits.maximum(value))
                lines.carry_on(largest)
            one, two, three, four = lines.results
            block = fold(fn, one.maximum(two).maximum(three.maximum(four)), Value.maximum)
            most, least = blocks.carried
            blocks.carry_on([most.maximum(block), fn.select(block.equals(0), least, least.minimum(block))])
        columns.carry_on(blocks.results)
    most, least = columns.results
    fn.store(most.maximum(fn.load(w.bits, found)), found)
    fn.store(least.minimum(fn.load(w.bits, found + 8)), found + 8)
