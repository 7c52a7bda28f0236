"""Depthwise layers whose rows are read as they lie: neighbouring pixels of a row in the lanes, no copy of them.

A unit of work is a band of blocks of rows, of a few channels of one image. A block of sums is ``rows`` by ``vectors``:

    for channel, for block of rows, for strip of columns:
        for tap column:
            for slot, a row of pixels that some output row of the block needs:
                the pixels of each vector, zeros outside the image, meet the weights of each output row that needs it

Where a strip reaches over the left or the right end of the image, lanes outside it are masked off: the zeros of a
constant border, and nothing is read there. Rows above and below it are known when the code is written: for each way in
which a block may reach over them, a *pattern* of slots, there is a body.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...jit.ir import Function, Module
from ...jit.target import Target
from ...jit.types import I32, I64, PTR
from ...jit.values import Record, Value
from ..memory import ALIGN
from .sums import Block, add_column, limited, store_part

FIELDS = (
    *("image", "result", "weights", "bias"),
    # units: (image * group ranges + range) * bands + band
    *("groups", "group_range", "group_ranges", "bands", "band_blocks", "blocks", "last_row", "origin"),
    *("image_batch", "image_group", "result_batch", "result_group", "result_channel", "output_blocks"),
    # of each block of rows its pattern; of each strip its first column, whether it lies inside, and its masks
    *("patterns", "strips", "strip_columns", "strip_inside", "masks"),
    # limits; bytes to the pixels that are asked for ahead of their time; whether lines of the
    # result are asked for too, and whether it goes past the caches
    *("floor", "ceiling", "ahead", "announce", "stream"),
)
MOST_UNROLLED = 220  # multiply-adds written out in one body; above that columns of taps are a loop


@dataclass(frozen=True)
class RowsSpec(Block):
    """Everything that changes the generated code of one routine. The lanes hold neighbouring columns of a result."""

    tap_columns: int
    column_step: int  # stride and dilation of the columns
    column_gap: int
    image_row: int  # bytes from one row to the next
    result_row: int
    width: int  # columns of a result that is no wider than a block; 0 where it is wider
    patterns: tuple[tuple[int, int], ...]  # slots inside the image: first and stop
    inside: bool  # some strips lie inside the image
    outside: bool  # some do not
    streams: bool  # where one row of the result begins at a vector's multiple, all do
    algorithm: str = "layer rows"

    @property
    def halves(self) -> int:
        """Vectors of pixels that one vector of sums needs: of two, every other number."""
        return self.column_step


class _Writer:
    def __init__(self, target: Target, spec: RowsSpec) -> None:
        self.module, self.spec = Module(target), spec
        self.lanes = target.lanes(spec.number.bytes)
        self.size = spec.number.bytes
        self.scalar = spec.number.type
        self.vector = self.scalar.of(self.lanes)
        self.mask = (I32 if self.size == 4 else I64).of(self.lanes)


def emit(target: Target, spec: RowsSpec) -> Module:
    """A module with the function ``layer`` for the pool."""
    w = _Writer(target, spec)
    fn = w.module.function("layer", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, _, unit = fn.args
    a = Record(fn, args, FIELDS)
    bands, ranges = a.integer("bands"), a.integer("group_ranges")
    band, rest = unit % bands, unit // bands
    batch, first = rest // ranges, rest % ranges * a.integer("group_range")
    start = band * a.integer("band_blocks")
    stop = (start + a.integer("band_blocks")).minimum(a.integer("blocks"))
    image = a.address("image") + batch * a.integer("image_batch") + a.integer("origin")
    result = a.address("result") + batch * a.integer("result_batch")
    with fn.loop(first, (first + a.integer("group_range")).minimum(a.integer("groups"))) as group:
        x, y = image + group * a.integer("image_group"), result + group * a.integer("result_group")
        with fn.loop(0, a.integer("output_blocks")) as part, fn.loop(start, stop) as block:
            row = (block * spec.rows).minimum(a.integer("last_row"))
            line = x + row * (spec.row_step * spec.image_row)
            out = y + part * a.integer("result_channel") * spec.outputs + row * spec.result_row
            each = group * a.integer("output_blocks") + part
            _patterns(w, fn, a, line, out, each, fn.load(I64, a.address("patterns") + block * 8))
    return w.module


def _patterns(w: _Writer, fn: Function, a: Record, line: Value, out: Value, each: Value, pattern: Value) -> None:
    """The body of the block's pattern; ``each``: number of the weights."""
    spec = w.spec
    weights = a.address("weights") + each * (spec.tap_columns * spec.tap_rows * spec.outputs * w.size)
    bias = a.address("bias") + each * (spec.outputs * w.size)
    for number, slots in enumerate(spec.patterns):
        if len(spec.patterns) == 1:
            _strips(w, fn, a, line, out, weights, bias, slots)
        else:
            with fn.when(pattern.equals(number)):
                _strips(w, fn, a, line, out, weights, bias, slots)


def _strips(
    w: _Writer, fn: Function, a: Record, line: Value, out: Value, weights: Value, bias: Value, slots: tuple[int, int]
) -> None:
    """All strips of a block of rows."""
    spec = w.spec
    columns, inside, masks = a.address("strip_columns"), a.address("strip_inside"), a.address("masks")
    each = spec.tap_columns * spec.vectors * spec.halves * w.vector.bytes
    with fn.loop(0, a.integer("strips")) as strip:
        at = fn.load(I64, columns + strip * 8)
        here, there = line + at * (spec.column_step * w.size), out + at * w.size
        mask = masks + strip * each
        if spec.inside != spec.outside:
            _body(w, fn, a, here, mask if spec.outside else None, weights, bias, there, slots)
        else:
            whole = fn.load(I64, inside + strip * 8)
            with fn.when(whole.differs(0)):
                _body(w, fn, a, here, None, weights, bias, there, slots)
            with fn.when(whole.equals(0)):
                _body(w, fn, a, here, mask, weights, bias, there, slots)


def _body(
    w: _Writer, fn: Function, a: Record, x: Value, masks: Value | None, weights: Value, bias: Value, out: Value,
    slots: tuple[int, int],
) -> None:  # fmt: skip
    """A block of sums, from its pixels to the result."""
    spec = w.spec
    total = [fn.constant(w.vector, 0.0)] * spec.block
    _fetch(w, fn, x + a.integer("ahead"))
    with fn.when(a.integer("announce").differs(0)):
        _announce(w, fn, out)
    if spec.tap_columns * spec.tap_rows * spec.block <= MOST_UNROLLED:
        for j in range(spec.tap_columns):
            _column(w, fn, x, masks, weights, j, total, slots)
    else:
        with fn.counted(0, spec.tap_columns, carry=total) as column:
            total = list(column.carried)
            _column(w, fn, x, masks, weights, column.index, total, slots)
            column.carry_on(total)
        total = column.results
    floor, ceiling = (fn.splat(fn.load(w.scalar, a.at(name)), w.lanes) for name in ("floor", "ceiling"))
    channel = a.integer("result_channel")
    shifts = [fn.splat(fn.load(w.scalar, bias + o * w.size), w.lanes) for o in range(spec.outputs)]
    values = [
        limited(fn, value + shifts[o], floor, ceiling) for value, (o, _, _) in zip(total, spec.places, strict=True)
    ]
    channels = [out + channel * o if o else out for o in range(spec.outputs)]
    places = [channels[o] + (r * spec.result_row + v * w.vector.bytes) for o, r, v in spec.places]
    if not spec.streams:
        for value, place, (_, r, v) in zip(values, places, spec.places, strict=True):
            store_part(fn, value, place, _count(w, r, v), w.size)
        return
    # The address is only looked at; no pointer is made from it.
    skewed = fn.emit(I64, f"ptrtoint {out.typed} to i64") & (w.vector.bytes - 1)
    stream = a.integer("stream").differs(0) & skewed.equals(0)
    with fn.when(stream):
        for value, place in zip(values, places, strict=True):
            fn.store(value, place, w.vector.bytes, stream=True)
    with fn.when(stream.equals(0)):
        for value, place in zip(values, places, strict=True):
            fn.store(value, place)


def _count(w: _Writer, row: int, vector: int) -> int:
    """Numbers of a vector that are stored. Rows that follow each other without a gap are written in their order: what
    one writes too much, the next ones write over."""
    spec = w.spec
    if not spec.width:
        return w.lanes
    after = row * spec.width + (vector + 1) * w.lanes
    if spec.result_row == spec.width * w.size and after <= spec.rows * spec.width:
        return w.lanes
    return min(w.lanes, spec.width - vector * w.lanes)


def _column(
    w: _Writer, fn: Function, x: Value, masks: Value | None, weights: Value, j: Value | int, total: list[Value],
    slots: tuple[int, int],
) -> None:  # fmt: skip
    """One column of taps."""
    spec = w.spec
    table = weights + j * (spec.tap_rows * spec.outputs * w.size)
    line, zero = x + j * (spec.column_gap * w.size), fn.constant(w.vector, 0.0)
    kept: list[Value] | None = None
    if masks is not None:
        count = spec.vectors * spec.halves
        row = masks + j * (count * w.vector.bytes)
        kept = [fn.load(w.mask, row + k * w.vector.bytes).compare("slt", 0) for k in range(count)]

    def pixels(slot: int) -> list[Value]:
        if not slots[0] <= slot < slots[1]:
            return [zero] * spec.vectors
        place = line + slot * spec.image_row
        loaded = [
            _load(w, fn, place + k * w.vector.bytes, kept[k] if kept else None)
            for k in range(spec.vectors * spec.halves)
        ]
        if spec.halves == 1:
            return loaded
        every_other = range(0, 2 * w.lanes, 2)
        return [fn.shuffle(loaded[k], loaded[k + 1], every_other) for k in range(0, len(loaded), 2)]

    def weight(i: int, o: int) -> Value:
        return fn.splat(fn.load(w.scalar, table + (i * spec.outputs + o) * w.size), w.lanes)

    add_column(fn, spec, pixels, weight, total)


def _fetch(w: _Writer, fn: Function, pixels: Value) -> None:
    """Ask for the pixels of a later block. Rows are too short, and too many at a time, for the machine to foresee."""
    spec = w.spec
    for slot in range(spec.rows * spec.row_step):
        for at in range(0, spec.vectors * spec.halves * w.vector.bytes, ALIGN):
            fn.prefetch(pixels + (slot * spec.image_row + at))


def _announce(w: _Writer, fn: Function, out: Value) -> None:
    """Ask for the lines of the result that the block below will write."""
    spec = w.spec
    for r in range(spec.rows, 2 * spec.rows):
        for at in range(0, spec.vectors * w.vector.bytes, ALIGN):
            fn.prefetch(out + (r * spec.result_row + at), write=True)


def _load(w: _Writer, fn: Function, place: Value, mask: Value | None) -> Value:
    """A vector of pixels; zeros where the mask has none, and nothing is read there."""
    if mask is None:
        return fn.load(w.vector, place)
    return fn.load_masked(w.vector, place, mask)
