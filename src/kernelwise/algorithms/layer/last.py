"""Depthwise layers on channels-last arrays: neighbouring channels of a pixel in the lanes, all read as they lie.

A unit of work is a band of blocks of rows, of a range of vectors of channels of one image. A block of sums is ``rows``
by ``vectors`` pixels of one vector of channels each:

    for block of rows, for strip of pixels, for vector of channels:
        for tap column:
            for slot, a row of pixels that some output row of the block needs:
                its pixels meet the weights of each output row that needs it

Weights lie as the channels do. Where all pixels of a block lie inside the image, they are found by their distance from
the first; else by a table of pointers, made for the block and used for all of its channels: a border is a pixel listed
twice, or a pixel of zeros. Channels that fill no vector are done with others before them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

from ...jit.ir import Function, Module
from ...jit.target import Target
from ...jit.types import I64, PTR
from ...jit.values import Record, Value
from ..memory import ALIGN
from .sums import Block, add_column, limited

FIELDS = (
    *("image", "result", "weights", "bias"),
    # units: (image * channel ranges + range) * bands + band
    *("bands", "band_blocks", "blocks", "last_row", "strips", "last_column"),
    *("channel_range", "channel_ranges", "channel_blocks", "last_channel"),
    *("image_batch", "result_batch", "origin"),
    # whether a block of rows, a strip, lies inside the image; where each row and column of pixels is; zeros
    *("rows_inside", "strips_inside", "row_map", "column_map", "zeros"),
    *("floor", "ceiling", "stream"),  # limits; whether results go past the caches
)
MOST_UNROLLED = 220  # multiply-adds written out in one body; above that columns of taps are a loop


@dataclass(frozen=True)
class LastSpec(Block):
    """Everything that changes the generated code of one routine. Vectors are pixels, their lanes channels."""

    lanes: int
    tap_columns: int
    column_step: int  # stride and dilation of the columns
    column_gap: int
    image_row: int  # bytes from one row, one pixel to the next
    image_pixel: int
    result_row: int
    result_pixel: int
    inside: bool  # some blocks lie inside the image
    outside: bool  # some do not
    held: bool  # all weights of a vector of channels stay in registers, and each pixel is read once for a block
    streams: bool  # where one vector of the result begins at a vector's multiple, all do
    algorithm: str = "layer last"

    @property
    def tall(self) -> int:
        """Rows of pixels under a block."""
        return (self.rows - 1) * self.row_step + (self.tap_rows - 1) * self.row_gap + 1

    @property
    def wide(self) -> int:
        """Pixels of a row under a block."""
        return (self.vectors - 1) * self.column_step + (self.tap_columns - 1) * self.column_gap + 1


class _Writer:
    def __init__(self, target: Target, spec: LastSpec) -> None:
        self.module, self.spec = Module(target), spec
        self.size = spec.number.bytes
        self.scalar = spec.number.type
        self.vector = self.scalar.of(spec.lanes)


def emit(target: Target, spec: LastSpec) -> Module:
    """A module with the function ``layer`` for the pool."""
    w = _Writer(target, spec)
    fn = w.module.function("layer", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, table, unit = fn.args
    a = Record(fn, args, FIELDS)
    bands, ranges = a.integer("bands"), a.integer("channel_ranges")
    band, rest = unit % bands, unit // bands
    batch, first = rest // ranges, rest % ranges * a.integer("channel_range")
    last = (first + a.integer("channel_range")).minimum(a.integer("channel_blocks"))
    start = band * a.integer("band_blocks")
    stop = (start + a.integer("band_blocks")).minimum(a.integer("blocks"))
    image = a.address("image") + batch * a.integer("image_batch")
    result = a.address("result") + batch * a.integer("result_batch")
    with fn.loop(start, stop) as block, fn.loop(0, a.integer("strips")) as strip:
        y, x = (
            (block * spec.rows).minimum(a.integer("last_row")),
            (strip * spec.vectors).minimum(a.integer("last_column")),
        )
        out = result + y * spec.result_row + x * spec.result_pixel
        row, column = y * spec.row_step, x * spec.column_step
        inside = fn.load(I64, a.address("rows_inside") + block * 8) & fn.load(
            I64, a.address("strips_inside") + strip * 8
        )
        if spec.inside:
            here = image + a.integer("origin") + row * spec.image_row + column * spec.image_pixel
            with fn.when(inside.differs(0)):
                _channels(w, fn, a, here, None, out, first, last)
        if spec.outside:
            with fn.when(inside.equals(0)):
                _list_pixels(w, fn, a, image, row, column, table)
                _channels(w, fn, a, image, table, out, first, last)
    return w.module


def _list_pixels(w: _Writer, fn: Function, a: Record, image: Value, row: Value, column: Value, table: Value) -> None:
    """Pointers to all pixels under a block: [row][pixel]."""
    spec = w.spec
    rows, columns = a.address("row_map") + row * 8, a.address("column_map") + column * 8
    zeros = a.address("zeros")
    with fn.loop(0, spec.tall) as r:
        y = fn.load(I64, rows + r * 8)
        line = image + y * spec.image_row
        with fn.loop(0, spec.wide) as c:
            x = fn.load(I64, columns + c * 8)
            pixel = fn.select((y >= 0) & (x >= 0), line + x * spec.image_pixel, zeros)
            fn.store(pixel, table + (r * spec.wide + c) * 8)


def _channels(
    w: _Writer, fn: Function, a: Record, image: Value, table: Value | None, out: Value, first: Value, last: Value
) -> None:
    """All vectors of channels of a block. ``image``: its first pixel, if there is no table of them."""
    spec, step = w.spec, w.vector.bytes
    weights, bias = a.address("weights"), a.address("bias")
    each = spec.tap_columns * spec.tap_rows * step
    with fn.loop(first, last) as c:
        channel = (c * step).minimum(a.integer("last_channel"))
        total = _sums(w, fn, image + channel, table, channel, weights + c * each)
        _finish(w, fn, a, total, bias + c * step, out + channel)


def _sums(w: _Writer, fn: Function, image: Value, table: Value | None, channel: Value, weights: Value) -> list[Value]:
    """The sums of a block and a vector of channels."""
    spec, step = w.spec, w.vector.bytes
    zero = [fn.constant(w.vector, 0.0)] * spec.block

    def line(j: Value | int) -> Callable[[int, int], Value]:
        """From a column of taps on: how to load the pixel at (slot, column)."""
        if table is None:
            here = image + j * (spec.column_gap * spec.image_pixel)
            return lambda slot, c: fn.load(w.vector, here + (slot * spec.image_row + c * spec.image_pixel))
        row = table + j * (spec.column_gap * 8)
        return lambda slot, c: fn.load(w.vector, fn.load(PTR, row + (slot * spec.wide + c) * 8) + channel)

    def column(j: Value | int, total: list[Value]) -> None:
        pixel, ours = line(j), weights + j * (spec.tap_rows * step)
        add_column(
            fn,
            spec,
            lambda slot: [pixel(slot, v * spec.column_step) for v in range(spec.vectors)],
            lambda i, _: fn.load(w.vector, ours + i * step),
            total,
        )

    if spec.held:
        return _held(w, fn, line(0), weights, zero)
    if spec.tap_columns * spec.tap_rows * spec.block <= MOST_UNROLLED:
        total = list(zero)
        for j in range(spec.tap_columns):
            column(j, total)
        return total
    with fn.counted(0, spec.tap_columns, carry=zero) as turn:
        total = list(turn.carried)
        column(turn.index, total)
        turn.carry_on(total)
    return turn.results


def _held(
    w: _Writer, fn: Function, pixel: Callable[[int, int], Value], weights: Value, zero: list[Value]
) -> list[Value]:
    """The same, pixel after pixel: columns from left to right, in each of them rows from top to bottom, so that every
    sum gets its products in the same order."""
    spec, total = w.spec, list(zero)
    taps = [
        [fn.load(w.vector, weights + (j * spec.tap_rows + i) * w.vector.bytes) for i in range(spec.tap_rows)]
        for j in range(spec.tap_columns)
    ]
    under: dict[int, list[tuple[int, int]]] = {}  # column of pixels -> (pixel of the block, tap column)
    for v, j in product(range(spec.vectors), range(spec.tap_columns)):
        under.setdefault(v * spec.column_step + j * spec.column_gap, []).append((v, j))
    for c in sorted(under):
        for slot, meeting in spec.slots.items():
            fn.fence()
            value = pixel(slot, c)
            for (v, j), (r, i) in product(under[c], meeting):
                k = r * spec.vectors + v
                total[k] = fn.pin(fn.fma(value, taps[j][i], total[k]))
    return total


def _finish(w: _Writer, fn: Function, a: Record, total: list[Value], bias: Value, out: Value) -> None:
    """Bias, limits and the way into the result."""
    spec = w.spec
    floor, ceiling = (fn.splat(fn.load(w.scalar, a.at(name)), spec.lanes) for name in ("floor", "ceiling"))
    shift = fn.load(w.vector, bias)
    values = [limited(fn, value + shift, floor, ceiling) for value in total]
    places = [out + (r * spec.result_row + v * spec.result_pixel) for _, r, v in spec.places]
    if not spec.streams:
        for value, place in zip(values, places, strict=True):
            fn.store(value, place)
        return
    # The address is only looked at; no pointer is made from it.
    skewed = fn.emit(I64, f"ptrtoint {out.typed} to i64") & (ALIGN - 1)
    stream = a.integer("stream").differs(0) & skewed.equals(0)
    with fn.when(stream):
        for value, place in zip(values, places, strict=True):
            fn.store(value, place, w.vector.bytes, stream=True)
    with fn.when(stream.equals(0)):
        for value, place in zip(values, places, strict=True):
            fn.store(value, place)
