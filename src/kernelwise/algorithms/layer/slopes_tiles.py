"""Tiles of images and of gradients, transformed for Winograd's algorithm: [range of channels][position][tile][channel].

A *strip* is a few rows of tiles of one image, or a segment of them. For a vector of channels at a time its pixels are
turned, so that channels lie in the lanes, transformed down the columns and then along the rows. What stands outside an
image costs nothing: a table says for every row and every column where its pixels lie, or that there are none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ...jit.ir import Function
from ...jit.types import I64, PTR, VOID
from ...jit.values import Record, Value
from .winograd import INPUTS, OUTPUTS, Matrix, of_inputs, of_results, times

if TYPE_CHECKING:
    from .slopes_winograd import Writer

STEP = OUTPUTS  # pixels from one tile to the next
# how pixels are read: an image's rows in one go, row by row, channels as they lie side by side, one by one
JOINED, TURNED, ALONG, GATHERED = range(4)
SIDE_FIELDS = (
    *("image", "group", "row", "column", "offsets", "whole", "blocks", "ahead", "reading", "limit"),
    *("first_row", "rows", "row_map", "column_first", "column_count", "columns", "columns_pitch", "raw_row"),
    # panels: [range of channels][position][tile][channel], and shares of the work on them
    *("panel", "panel_group", "range_blocks", "range", "tile", "position", "share", "shares"),
)


class Side(NamedTuple):
    """One of the two arrays: the images, or the gradients of the results."""

    name: str
    matrix: Matrix  # pixels of a tile into values at the points

    @property
    def window(self) -> int:
        """Pixels that a tile looks at, on an axis."""
        return len(self.matrix[0])


def sides() -> tuple[Side, Side]:
    """Weight gradients are the layer's algorithm turned round: results' gradients go back through its last step."""
    return Side("x", of_inputs()), Side("dy", list(zip(*of_results(), strict=True)))


def emit(w: Writer, side: Side) -> None:
    """``enter_x`` or ``enter_dy``: tiles of a strip, of vectors ``begin`` to ``end`` of the channels, from a place in a
    panel on, whose first vector is number ``base``."""
    _emit_rows(w, side)
    _emit_transform(w, side)
    names = [(name, I64) for name in ("group", "base", "begin", "end", "strip")]
    fn, a, args = w.function(f"enter_{side.name}", [("panel", PTR), *names])
    args_, scratch, panel, group, base, begin, end, strip = args
    field = _Fields(a, side.name)
    segments, bands = a.integer("segments"), a.integer("bands")
    segment, rest = strip % segments, strip // segments
    band, number = rest % bands, rest // bands
    row = band * a.integer("band_tiles")
    rows = (a.integer("tile_rows") - row).minimum(a.integer("band_tiles"))
    columns = (a.integer("tile_columns") - segment * a.integer("segment_tiles")).minimum(a.integer("segment_tiles"))
    image = a.address(side.name) + group * field.integer("group") + number * field.integer("image")
    wide = fn.load(I64, field.address("column_count") + segment * 8)
    _zeros(w, fn, scratch + a.integer("at_zeros"), wide)
    with fn.loop(begin, end) as block:
        count = rows * STEP + (side.window - STEP)
        fn.call(f"rows_{side.name}", VOID, [args_, scratch, image, block, row * STEP, count, segment])
        number, per = block - base, field.integer("range_blocks")
        here = panel + number // per * field.integer("range") + number % per * w.vector.bytes
        with fn.loop(0, rows) as r:
            tiles = here + r * columns * field.integer("tile")
            fn.call(f"transform_{side.name}", VOID, [args_, scratch, row * STEP, r * STEP, segment, columns, tiles])


class _Fields:
    """Those of one side."""

    def __init__(self, a: Record, name: str) -> None:
        self._record, self._name = a, name

    def integer(self, name: str) -> Value:
        return self._record.integer(f"{self._name}_{name}")

    def address(self, name: str) -> Value:
        return self._record.address(f"{self._name}_{name}")


def _zeros(w: Writer, fn: Function, line: Value, vectors: Value) -> None:
    with fn.loop(0, vectors) as x:
        fn.store(fn.constant(w.vector, 0.0), line + x * w.vector.bytes)


# ---------------------------------------------------------------- pixels, channels in the lanes


def _emit_rows(w: Writer, side: Side) -> None:
    """``rows``: rows ``first`` .. ``first + count - 1`` of what tiles look at; those outside the image are left out."""
    args = [("image", PTR), *((name, I64) for name in ("block", "first", "count", "segment"))]
    fn, a, (_, scratch, image, block, first, count, segment) = w.function(f"rows_{side.name}", args)
    field = _Fields(a, side.name)
    offsets = field.address("offsets") + block * (w.lanes * 8)
    raw, pitch = scratch + a.integer("at_raw"), field.integer("raw_row")
    reading = field.integer("reading")
    along = reading.equals(ALONG) & (block < field.integer("whole"))
    with fn.when(reading.equals(JOINED)):
        lead, wide = field.integer("first_row"), fn.load(I64, field.address("column_count") + segment * 8)
        begin = (fn.index(0) - (first + lead)).maximum(0).minimum(count)
        end = (field.integer("rows") - (first + lead)).minimum(count).maximum(begin)
        given = [(first + begin + lead) * wide, (end - begin) * wide, field.integer("limit")]
        place = [raw + begin * pitch, fn.index(w.vector.bytes), field.integer("ahead")]
        fn.call("turn", VOID, [image, offsets, *given, *place])
    with fn.when(reading > JOINED), fn.loop(0, count) as r:
        row = fn.load(I64, field.address("row_map") + (first + r) * 8)
        with fn.when(row >= 0):
            source, line = image + row * field.integer("row"), raw + r * pitch
            column = fn.load(I64, field.address("column_first") + segment * 8)
            wide = fn.load(I64, field.address("column_count") + segment * 8)
            step = field.integer("column")
            with fn.when(reading.equals(TURNED)):
                given = [column, wide, field.integer("limit"), line, fn.index(w.vector.bytes), field.integer("ahead")]
                fn.call("turn", VOID, [source, offsets, *given])
            with fn.when(along):
                here = source + (fn.load(I64, offsets) + column * step)
                with fn.loop(0, wide) as x:
                    fn.store(fn.load(w.vector, here + x * step), line + x * w.vector.bytes)
            with fn.when((reading > TURNED) & along.equals(0)):
                given = [offsets, wide, step, line, fn.index(w.vector.bytes)]
                fn.call("gather", VOID, [source + column * step, *given])


# ---------------------------------------------------------------- values at the points


def _emit_transform(w: Writer, side: Side) -> None:
    """``transform``: a row of tiles, ``at`` rows below row ``first``."""
    args = [*((name, I64) for name in ("first", "at", "segment", "columns")), ("tiles", PTR)]
    fn, a, (_, scratch, first, at, segment, columns, tiles) = w.function(f"transform_{side.name}", args)
    field, vector = _Fields(a, side.name), w.vector
    down, pitch = scratch + a.integer("at_down"), a.integer("down_row")
    raw, zeros = scratch + a.integer("at_raw"), scratch + a.integer("at_zeros")
    lines = []
    for k in range(side.window):
        row = fn.load(I64, field.address("row_map") + (first + at + k) * 8)
        lines.append(fn.select(row < 0, zeros, raw + (at + k) * field.integer("raw_row")))
    places = field.address("columns") + segment * field.integer("columns_pitch")
    with fn.loop(0, columns * STEP + (side.window - STEP)) as x:
        offset, target = fn.load(I64, places + x * 8), down + x * vector.bytes
        with fn.when(offset < 0):
            for k in range(INPUTS):
                fn.store(fn.constant(vector, 0.0), target + pitch * k)
        with fn.when(offset >= 0):
            values = _at_points(fn, side, [fn.load(vector, line + offset) for line in lines])
            for k, value in enumerate(values):
                fn.store(value, target + pitch * k)
    step, tile = field.integer("position"), field.integer("tile")
    with fn.loop(0, INPUTS) as i:
        source = down + i * pitch
        targets = [tiles + step * (i * INPUTS + j) for j in range(INPUTS)]
        with fn.loop(0, columns) as t:
            here = source + t * (STEP * vector.bytes)
            values = _at_points(fn, side, [fn.load(vector, here + j * vector.bytes) for j in range(side.window)])
            for value, place in zip(values, targets, strict=True):
                fn.store(value, place + t * tile)


def _at_points(fn: Function, side: Side, pixels: Sequence[Value]) -> list[Value]:
    if side.window == INPUTS:
        return times(fn, side.matrix, pixels)
    # highest powers first: what odd powers share is then a multiple of the point itself, which is not rounded
    return times(fn, [row[::-1] for row in side.matrix], pixels[::-1])
