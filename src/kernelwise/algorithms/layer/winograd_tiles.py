"""From pixels to tiles: rows are turned, so that channels lie in the lanes, and transformed along both axes.

Padding costs nothing here: a row outside the image is zeros, and a table says for every column where its pixel lies
in a row that was read, or that a zero stands there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...jit.ir import Function
from ...jit.types import I64, PTR, VOID
from ...jit.values import Record, Value
from .winograd import INPUTS, OUTPUTS, of_inputs, times

if TYPE_CHECKING:
    from .winograd_code import Writer

TURNED, ALONG, GATHERED = 0, 1, 2  # how rows are read: turned in registers, channels as they lie, one by one


def emit(w: Writer) -> None:
    """``enter``: the tiles of a band and segment of an image, all its channels, from tile number ``at`` on."""
    _emit_rows(w)
    _emit_transform(w)
    arguments = ["row", "rows", "segment", "columns", "at"]
    fn, a, args = w.function("enter", [("image", PTR), ("plane", I64), *((name, I64) for name in arguments)])
    args_, scratch, image, plane, row, rows, segment, columns, at = args
    planes, blocks = a.integer("tap_planes"), a.integer("channel_blocks")
    with fn.loop(0, planes) as p, fn.loop(0, blocks) as block:
        source = fn.load(I64, a.address("plane_map") + (plane * planes + p) * 8)
        where = image + source.maximum(0) * a.integer("image_plane")
        count = fn.select(source < 0, fn.index(0), rows * OUTPUTS + (INPUTS - OUTPUTS))
        fn.call("rows", VOID, [args_, scratch, where, block, row * OUTPUTS, count, segment])
        with fn.when(source < 0):
            _no_rows(w, fn, a, scratch, rows * OUTPUTS + (INPUTS - OUTPUTS), segment)
        tiles = scratch + a.integer("at_tiles") + (p * blocks + block) * a.integer("tile_block") + at * w.vector.bytes
        with fn.loop(0, rows) as r:
            here = tiles + r * columns * w.vector.bytes
            fn.call("transform", VOID, [args_, scratch, r * OUTPUTS, segment, columns, here])


def _line(w: Writer, a: Record, scratch: Value, row: Value) -> Value:
    """Where a row of pixels begins; before it there is room for what a square reads too much."""
    return scratch + a.integer("at_raw") + row * a.integer("raw_row") + w.lanes * w.vector.bytes


def _no_rows(w: Writer, fn: Function, a: Record, scratch: Value, rows: Value, segment: Value) -> None:
    with fn.loop(0, rows) as r:
        _zero(w, fn, _line(w, a, scratch, r), fn.load(I64, a.address("column_count") + segment * 8) + 1)


def _zero(w: Writer, fn: Function, line: Value, columns: Value) -> None:
    with fn.loop(0, columns) as x:
        fn.store(fn.constant(w.vector, 0.0), line + x * w.vector.bytes)


def _emit_rows(w: Writer) -> None:
    """``rows``: rows of pixels of one block of channels; behind each a zero."""
    args = [("image", PTR), *((name, I64) for name in ("block", "first", "count", "segment"))]
    fn, a, (args_, scratch, image, block, first, count, segment) = w.function("rows", args)
    offsets = a.address("channel_offsets") + block * (w.lanes * 8)
    column = fn.load(I64, a.address("column_first") + segment * 8)
    columns = fn.load(I64, a.address("column_count") + segment * 8)
    step, reading, pitch = a.integer("image_column"), a.integer("reading"), fn.index(w.vector.bytes)
    along = reading.equals(ALONG) & (block < a.integer("whole_blocks"))
    with fn.loop(0, count) as r:
        row = fn.load(I64, a.address("row_map") + (first + r) * 8)
        line = _line(w, a, scratch, r)
        with fn.when(row < 0):
            _zero(w, fn, line, columns)
        with fn.when(row >= 0):
            source = image + row * a.integer("image_row")
            with fn.when(reading.equals(TURNED)):
                begin = row * a.integer("lead")
                arguments = [
                    offsets,
                    begin + column,
                    columns,
                    a.integer("limit"),
                    line,
                    pitch,
                    a.integer("image_block"),
                ]
                fn.call("turn", VOID, [source + begin * -w.size, *arguments])
            with fn.when(along):
                here = source + (fn.load(I64, offsets) + column * step)
                with fn.loop(0, columns) as x:
                    fn.store(fn.load(w.vector, here + x * step), line + x * w.vector.bytes)
            with fn.when((reading > TURNED) & along.equals(0)):
                fn.call("gather", VOID, [source + column * step, offsets, columns, step, line, pitch])
        fn.store(fn.constant(w.vector, 0.0), line + columns * w.vector.bytes)


def _emit_transform(w: Writer) -> None:
    """``transform``: a row of tiles, from row ``first`` of the pixels on."""
    args = [*((name, I64) for name in ("first", "segment", "columns")), ("tiles", PTR)]
    fn, a, (_, scratch, first, segment, columns, tiles) = w.function("transform", args)
    matrix, vector = of_inputs(), w.vector
    line, raw = _line(w, a, scratch, first), a.integer("raw_row")
    down, pitch = scratch + a.integer("at_columns"), a.integer("columns_row")
    wide = a.integer("segment_tiles") * OUTPUTS + (INPUTS - OUTPUTS)
    offsets = a.address("column_offsets") + segment * wide * 8
    lines = [line + raw * k for k in range(INPUTS)]
    with fn.loop(0, columns * OUTPUTS + (INPUTS - OUTPUTS)) as x:
        offset = fn.load(I64, offsets + x * 8)
        values = times(fn, matrix, [fn.load(vector, line + offset) for line in lines])
        for k, value in enumerate(values):
            fn.store(value, down + pitch * k + x * vector.bytes)
    step = a.integer("tile_position")
    with fn.loop(0, INPUTS) as i:
        source, target = down + i * pitch, tiles + i * step * INPUTS
        targets = [target + step * j for j in range(INPUTS)]
        with fn.loop(0, columns) as t:
            here = source + t * (OUTPUTS * vector.bytes)
            values = times(fn, matrix, [fn.load(vector, here + j * vector.bytes) for j in range(INPUTS)])
            for value, place in zip(values, targets, strict=True):
                fn.store(value, place + t * vector.bytes)
