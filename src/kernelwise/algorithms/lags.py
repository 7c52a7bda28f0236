"""Lag sums: how well two stacks of images match at a few shifts. The gradient of a layer's weights, generated.

    S[o, i, r, c] = sum over n, y, x of  a[n, o, y, x] * b[n, i, y + start_row + r, x + start_column + c]

for r, c below ``taps`` and b zero outside its images. With a = the gradient of a layer's output and b = its input this
is the gradient of the weights; with a = b it is an autocorrelation, from which a kernel is learned.

The images are worked on in *tiles*, small enough for the first-level cache. Rows of a and the rows of b that they meet
are copied there, in the dtype of the sums, b with the zeros that stand around it; so tails and borders are settled
before the arithmetic begins, nothing outside the arrays is read, and no image is padded. On a tile, a *block* of
``channels`` x ``rows`` x ``columns`` sums stays in registers, one vector each:

    for image, for y in steps of ``steps``, for x in vectors:
        for q in 0 .. steps + rows - 1, for c in columns:    one vector of b, at row y + q and shifted by c,
            for p + r = q, for o in channels:                 meets the rows y + p of all channels of a
                sum[o, r, c] += a[o, y + p, x] * b[y + q, x + c]

In a row's last vector the lanes beyond its end are zero in both factors, so that a NaN meets only what it should. (The
zeros around b are numbers like any: a NaN in a that meets one gives NaN.) A block holds at most CHAIN products in each
lane; then the lanes are added up in float64, in a fixed order, and go to the unit's own place. So in float32 an output
is off by at most (CHAIN + 2) * 2^-24 * sum |a| |b|, however large the images are, and in float64 by
(CHAIN + 6 + tiles) * 2^-53 * sum |a| |b|.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from ..jit.ir import Function, Module
from ..jit.target import Target
from ..jit.types import F64, I64, PTR, VOID
from ..jit.values import Record, Value
from .filling import copy_row, read_centre
from .numbers import Number
from .vectors import fold

CHAIN = {4: 64, 8: 128}  # products added up in one lane, and vectors of one channel of a in a tile: by bytes of a sum
CHAINS = 2  # vectors of each kind of total, so that additions need not wait for each other
LINE = 64  # bytes
FIELDS = (
    # the two stacks: their first element, their shape, bytes from one element to the next along each axis
    *("a", "a_image", "a_channel", "a_row", "a_column"),
    *("b", "b_image", "b_channel", "b_row", "b_column"),
    *("images", "a_channels", "b_channels", "a_rows", "a_columns", "b_rows", "b_columns"),
    *("start_row", "start_column"),
    # a tile: images and rows at most; how many there are along each direction
    *("tile_images", "tile_rows", "row_tiles", "column_tiles", "tiles"),
    # units: (part of the tiles * groups of a's channels + group) * groups of b's channels + group
    *("parts", "a_groups", "a_group", "b_groups", "b_group"),
    # the sums: [part, channel of b, block of a's channels, block of rows, block of columns][channel, row, column]
    *("sums", "a_blocks", "row_blocks", "column_blocks"),
    # float64: what is taken from every number of a, of b
    *("a_centre", "b_centre"),
    # if they are wanted, float64 [part][channel of a]: the sum of its numbers and that of their squares
    "totals",
    # a vector that is 1 in the lanes that a row's last vector fills; a place in scratch memory
    *("inside", "at_b"),
)


@dataclass(frozen=True)
class Block:
    """The sums in registers: channels of a, rows and columns of lags; and the rows of a taken at once."""

    channels: int
    rows: int
    columns: int
    steps: int

    @property
    def size(self) -> int:
        return self.channels * self.rows * self.columns


@dataclass(frozen=True)
class LagSpec:
    """Everything that changes the generated code."""

    a: Number  # as stored
    b: Number
    sums: Number
    taps: tuple[int, int]
    vectors: int  # in a row of a tile of a
    lanes: int
    block: Block
    totals: bool = False  # of a's numbers, too

    @property
    def chain(self) -> int:
        """Vectors of one channel of a in a tile."""
        return CHAIN[self.sums.bytes]

    @property
    def tile_columns(self) -> int:
        return self.vectors * self.lanes

    @property
    def a_pitch(self) -> int:
        """Bytes from one row of a tile to the next."""
        return _odd_lines(self.tile_columns * self.sums.bytes)

    @property
    def b_pitch(self) -> int:
        return _odd_lines((self.tile_columns + self.taps[1] - 1) * self.sums.bytes)

    @property
    def a_tile(self) -> int:
        """Bytes of one channel's tile of a."""
        return self.chain // self.vectors * self.a_pitch


def _odd_lines(size: int) -> int:
    """Room for ``size`` bytes. An odd number of cache lines, so that the rows of a tile fall on different sets."""
    return (-(-size // LINE) | 1) * LINE


def emit(spec: LagSpec, target: Target) -> Module:
    """A module with ``void lags(ptr args, ptr scratch, i64 unit)``; args are FIELDS."""
    module = Module(target)
    _emit_fill(module, "fill_a", spec.a, spec, spec.a_pitch)
    _emit_fill(module, "fill_b", spec.b, spec, spec.b_pitch)
    _emit_block(module, spec)
    _emit_blocks(module, spec)
    if spec.totals:
        _emit_totals(module, spec)
    _emit_tile(module, spec)
    _emit_unit(module)
    return module


# ---------------------------------------------------------------- one unit of work, tile by tile


def _emit_unit(module: Module) -> None:
    """The tiles of one part, for one group of a's channels and one group of b's."""
    fn = module.function("lags", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, scratch, unit = fn.args
    field = Record(fn, args, FIELDS)
    parts, b_groups, a_groups = field.integer("parts"), field.integer("b_groups"), field.integer("a_groups")
    b_group, rest = unit % b_groups, unit // b_groups
    a_group, part = rest % a_groups, rest // a_groups
    tiles = field.integer("tiles")
    with fn.loop(part * tiles // parts, (part + 1) * tiles // parts) as tile:
        fn.call("tile", VOID, [args, scratch, part, a_group, b_group, tile])


def _emit_tile(module: Module, spec: LagSpec) -> None:
    """Copy the rows of one tile; then all blocks of sums on it."""
    names = ("part", "a_group", "b_group", "tile")
    fn = module.function("tile", [("args", PTR), ("scratch", PTR), *((name, I64) for name in names)], internal=True)
    args, scratch, part, a_group, b_group, tile = fn.args
    field = Record(fn, args, FIELDS)
    across, down = field.integer("column_tiles"), field.integer("row_tiles")
    x = tile % across * spec.tile_columns
    y = tile // across % down * field.integer("tile_rows")
    first_image = tile // across // down * field.integer("tile_images")
    images = (field.integer("images") - first_image).minimum(field.integer("tile_images"))
    rows = (field.integer("a_rows") - y).minimum(field.integer("tile_rows"))
    columns = (field.integer("a_columns") - x).minimum(spec.tile_columns)
    a_first, a_stop = _channels_of_group(field, a_group, spec)
    with fn.loop(a_first, a_stop) as channel:
        with fn.loop(0, images) as n:
            source = (
                field.address("a") + (first_image + n) * field.integer("a_image") + channel * field.integer("a_channel")
            )
            place = scratch + (channel - a_first) * spec.a_tile + n * rows * spec.a_pitch
            fn.call("fill_a", VOID, [args, source, place, y, x, rows, columns])
        if spec.totals:
            with fn.when(b_group.equals(0)):
                place = scratch + (channel - a_first) * spec.a_tile
                fn.call("totals", VOID, [args, place, part * field.integer("a_channels") + channel, images * rows])
    b_tile = scratch + field.integer("at_b")
    b_rows, b_columns = rows + (spec.taps[0] - 1), columns + (spec.taps[1] - 1)
    b_first = b_group * field.integer("b_group")
    with fn.loop(b_first, (b_first + field.integer("b_group")).minimum(field.integer("b_channels"))) as channel:
        with fn.loop(0, images) as n:
            source = (
                field.address("b") + (first_image + n) * field.integer("b_image") + channel * field.integer("b_channel")
            )
            place = b_tile + n * b_rows * spec.b_pitch
            corner = y + field.integer("start_row"), x + field.integer("start_column")
            fn.call("fill_b", VOID, [args, source, place, *corner, b_rows, b_columns])
        fn.call("blocks", VOID, [args, scratch, part, a_group, channel, images, rows, columns])


def _emit_totals(module: Module, spec: LagSpec) -> None:
    """The sums of a tile of one channel of a, whose rows end in zeros, added to what that channel's are already."""
    arguments = [("args", PTR), ("tile", PTR), ("channel", I64), ("rows", I64)]
    fn = module.function("totals", arguments, internal=True)
    args, tile, channel, rows = fn.args
    vector = spec.sums.type.of(spec.lanes)
    with fn.counted(0, rows, carry=[fn.constant(vector, 0)] * (2 * CHAINS)) as r:
        sums = list(r.carried)
        for k in range(spec.vectors):
            seen = fn.load(vector, tile + (r.index * spec.a_pitch + k * vector.bytes), align=vector.bytes)
            plain, square = k % CHAINS, k % CHAINS + CHAINS
            sums[plain], sums[square] = sums[plain] + seen, fn.fma(seen, seen, sums[square])
        r.carry_on(sums)
    for which, chains in enumerate((r.results[:CHAINS], r.results[CHAINS:])):
        place = Record(fn, args, FIELDS).address("totals") + (channel * 2 + which) * F64.bytes
        total = chains[0] + chains[1]
        wide = total if total.type.element == F64.element else total.to(F64, "fpext")
        fn.store(fn.load(F64, place) + fold(fn, wide, operator.add), place)


def _channels_of_group(field: Record, group: Value, spec: LagSpec) -> tuple[Value, Value]:
    """The channels of a that one group works on: whole blocks; the last block is moved back to end at the last one."""
    channels, size = field.integer("a_channels"), field.integer("a_group")
    first = (group * size).minimum(channels - spec.block.channels)
    return first, ((group + 1) * size).minimum(channels)


def _emit_blocks(module: Module, spec: LagSpec) -> None:
    """All blocks of sums of one channel of b with one group of a's, on the tile in scratch."""
    names = ("part", "a_group", "b_channel", "images", "rows", "columns")
    fn = module.function("blocks", [("args", PTR), ("scratch", PTR), *((name, I64) for name in names)], internal=True)
    args, scratch, part, a_group, b_channel, images, rows, columns = fn.args
    field, block = Record(fn, args, FIELDS), spec.block
    first, stop = _channels_of_group(field, a_group, spec)
    first_block, last_block = (a_group * field.integer("a_group")) // block.channels, (stop - 1) // block.channels
    down, across = field.integer("row_blocks"), field.integer("column_blocks")
    line = (part * field.integer("b_channels") + b_channel) * field.integer("a_blocks")
    with fn.loop(first_block, last_block + 1) as o:
        channel = (o * block.channels).minimum(field.integer("a_channels") - block.channels) - first
        with fn.loop(0, down) as r, fn.loop(0, across) as c:
            row = (r * block.rows).minimum(spec.taps[0] - block.rows)
            column = (c * block.columns).minimum(spec.taps[1] - block.columns)
            a = scratch + channel * spec.a_tile
            b = scratch + field.integer("at_b") + row * spec.b_pitch + column * spec.sums.bytes
            place = field.address("sums") + (((line + o) * down + r) * across + c) * (block.size * F64.bytes)
            fn.call("block", VOID, [a, b, place, images, rows, columns, field.address("inside")])


# ---------------------------------------------------------------- one block of sums


def _emit_block(module: Module, spec: LagSpec) -> None:
    """The sums of one block over a whole tile, added to what is at ``place`` already."""
    names = ("images", "rows", "columns")
    pointers = [("a", PTR), ("b", PTR), ("place", PTR)]
    fn = module.function("block", [*pointers, *((name, I64) for name in names), ("inside", PTR)], internal=True)
    a, b, place, images, rows, columns, inside = fn.args
    zero = fn.constant(spec.sums.type.of(spec.lanes), 0)
    with fn.counted(0, images, carry=[zero] * spec.block.size) as image:
        a_image = a + image.index * rows * spec.a_pitch
        b_image = b + image.index * (rows + (spec.taps[0] - 1)) * spec.b_pitch
        sums, start = image.carried, fn.index(0)
        for steps in sorted({spec.block.steps, 1}, reverse=True):  # then the rows that are left, one by one
            stop = rows // steps * steps
            with fn.counted(start, stop, steps, carry=sums) as y:
                a_row, b_row = a_image + y.index * spec.a_pitch, b_image + y.index * spec.b_pitch
                y.carry_on(_along_rows(fn, spec, steps, y.carried, a_row, b_row, columns, inside))
            sums, start = y.results, stop
        image.carry_on(sums)
    for k, total in enumerate(image.results):
        here = place + k * F64.bytes
        wide = total if total.type.element == F64.element else total.to(F64, "fpext")
        fn.store(fn.load(F64, here) + fold(fn, wide, operator.add), here)


def _along_rows(
    fn: Function, spec: LagSpec, steps: int, sums: Sequence[Value], a: Value, b: Value, columns: Value, inside: Value
) -> list[Value]:
    """``steps`` rows of a, from a row's first vector to its last, which is cut where the row ends."""
    whole = columns // spec.lanes * spec.lanes
    with fn.counted(0, whole, spec.lanes, carry=sums) as x:
        shift = x.index * spec.sums.bytes
        x.carry_on(_multiply(fn, spec, steps, x.carried, a + shift, b + shift, None))
    with fn.counted(whole, columns, spec.lanes, carry=x.results) as x:  # once, or not at all
        shift = x.index * spec.sums.bytes
        mask = fn.load(spec.sums.type.of(spec.lanes), inside).differs(0)
        x.carry_on(_multiply(fn, spec, steps, x.carried, a + shift, b + shift, mask))
    return x.results


def _multiply(
    fn: Function, spec: LagSpec, steps: int, sums: Sequence[Value], a: Value, b: Value, mask: Value | None
) -> list[Value]:
    """One vector from each of ``steps`` rows of every channel of a, with all that it meets in b."""
    block, vector = spec.block, spec.sums.type.of(spec.lanes)
    sums = list(sums)
    rows_of_a = {
        (o, p): fn.load(vector, a + (o * spec.a_tile + p * spec.a_pitch), align=vector.bytes)
        for o, p in product(range(block.channels), range(steps))
    }
    for q in range(steps + block.rows - 1):
        fn.fence()
        for c in range(block.columns):
            pixels = fn.load(vector, b + (q * spec.b_pitch + c * spec.sums.bytes))
            if mask is not None:
                pixels = fn.select(mask, pixels, 0)
            for p, o in product(range(steps), range(block.channels)):
                r = q - p
                if 0 <= r < block.rows:
                    k = (o * block.rows + r) * block.columns + c
                    sums[k] = fn.fma(rows_of_a[o, p], pixels, sums[k])
    return sums


# ---------------------------------------------------------------- copying into tiles


def _emit_fill(module: Module, name: str, stored: Number, spec: LagSpec, pitch: int) -> None:
    """Rows y .. y + rows, columns x .. x + columns of one image into a tile, converted; zeros where it has none.

    The rows of the tile are zero from there to their end too.
    """
    names = ("y", "x", "rows", "columns")
    arguments = [("args", PTR), ("image", PTR), ("tile", PTR), *((n, I64) for n in names)]
    fn = module.function(name, arguments, internal=True)
    args, image, tile, y, x, rows, columns = fn.args
    field, which = Record(fn, args, FIELDS), name[-1]
    centre = read_centre(fn, field.at(f"{which}_centre"), spec.sums)
    row_bytes, column_bytes = field.integer(f"{which}_row"), field.integer(f"{which}_column")
    begin = (fn.index(0) - x).maximum(0)
    end = (field.integer(f"{which}_columns") - x).minimum(columns)
    filled = end * spec.sums.bytes // LINE * LINE
    with fn.loop(0, rows) as r:
        line, row = tile + r * pitch, y + r
        inside = row.compare("ult", field.integer(f"{which}_rows")) & (begin < end)
        with fn.loop(fn.select(inside & begin.equals(0), filled, 0), pitch, LINE) as at:
            for part in range(0, LINE, fn.target.vector_bytes):
                fn.store(fn.constant(spec.sums.type.of(spec.lanes), 0), line + at + part)
        with fn.when(inside):
            source = image + row * row_bytes + (x + begin) * column_bytes
            place = line + begin * spec.sums.bytes
            copy_row(fn, stored, spec.sums, spec.lanes, source, column_bytes, place, end - begin, centre)
