"""The code of Winograd's algorithm for layers: one unit of work, from pixels to results.

A unit is a block of tiles of 4 x 4 outputs for some blocks of output channels: a segment of columns of a band of rows
of tiles. All images' rows of tiles follow each other, so that a band may end in another image than it begins in. Three
passes over a unit share the worker's memory, which stays in its second-level cache:

    tiles       [position][block of channels][tile][lane]     what `winograd_tiles` makes of pixels
    products    [position][tile][lanes]     for each of 36 positions a product of two matrices
    results     [row][column][lane]                           of a row of tiles, turned and stored

Nothing is exchanged between units, so results depend on no other than their own tile's pixels.
"""

from __future__ import annotations

from ...jit.ir import Function, Module
from ...jit.target import Target
from ...jit.types import I64, PTR, VOID
from ...jit.values import Record, Value
from ..memory import ALIGN
from . import winograd_fresh, winograd_results, winograd_tiles
from .turn import emit_gather, emit_turn
from .winograd import POSITIONS, WinogradSpec
from .writer import BaseWriter

UNROLL = 4  # channels in a turn of the inner loop
AHEAD = 8 << 10  # bytes of weights that are asked for before their turn: they are read once for some dozens of tiles

FIELDS = (
    # the arrays
    *("image", "result", "weights", "bias", "residual"),
    # units: (((group * planes + plane) * bands + band) * segments + segment) * parts + part
    *("planes", "bands", "segments", "parts", "band_tiles", "tile_rows", "all_rows"),
    *("segment_tiles", "tile_columns", "rows_out", "columns_out"),
    *("image_batch", "image_group", "image_block", "image_plane", "image_row", "image_column"),
    *("result_batch", "result_group", "result_channel", "result_plane", "result_row", "result_column"),
    # channels: byte offsets from the first one of a group, the last one repeated until a vector is full
    *("channel_offsets", "channels", "channel_blocks", "whole_blocks", "all_blocks", "block_counts", "chain"),
    # rows of pixels
    *("tap_planes", "plane_map", "row_map", "reading", "lead", "limit"),
    *("column_first", "column_count", "column_offsets"),
    # blocks of output channels
    *("blocks", "part_blocks", "outputs", "floor", "ceiling"),
    *("weight_group", "weight_block", "weight_position", "fresh_position"),
    # the worker's memory
    *("at_word", "at_raw", "raw_row", "at_columns", "columns_row", "at_tiles", "tile_block", "tile_position"),
    *("at_products", "product_position", "at_rows", "at_spare", "at_fresh", "at_held"),
)


class Writer(BaseWriter[WinogradSpec]):
    """What all functions of one routine share."""

    fields = FIELDS

    def __init__(self, module: Module, spec: WinogradSpec) -> None:
        super().__init__(module, spec)
        self.block_bytes = spec.vectors * self.vector.bytes
        self.unroll = min(UNROLL, self.lanes)
        self.tiles_bytes = len(spec.pixels) * self.vector.bytes  # a block of tiles, of one vector of channels
        self.asks = not module.target.large_caches  # for the next block's: they may not be in the second-level one

    def multiply(self, fn: Function, x: Value, weights: Value, total: list[Value], ahead: int = 0) -> None:
        """One channel into the sums of a block: its weights in vectors, a number of each tile in all lanes. Weights
        ``ahead`` bytes on are asked for, if it is not 0."""
        fn.fence()
        for line in range(0, self.block_bytes if ahead else 0, ALIGN):
            fn.prefetch(weights + (ahead + line))
        vectors = [fn.load(self.vector, weights + v * self.vector.bytes) for v in range(self.spec.vectors)]
        for q, offset in enumerate(self.spec.pixels):
            fn.fence()  # one pixel at a time: the sums of a large block leave no register for two
            pixel = fn.splat(fn.load(self.scalar, x + offset * self.size), self.lanes)
            for v, weight in enumerate(vectors):
                k = q * self.spec.vectors + v
                total[k] = fn.fma(weight, pixel, total[k])


def emit(target: Target, spec: WinogradSpec) -> Module:
    """A module with the function ``layer`` for the pool."""
    module = Module(target)
    w = Writer(module, spec)
    emit_turn(module, w.vector)
    emit_gather(module, w.vector)
    winograd_tiles.emit(w)
    winograd_results.emit(w)
    if spec.fresh:
        winograd_fresh.emit(w)
    else:
        _emit_products(w)
    _emit_unit(w)
    return module


# ---------------------------------------------------------------- products


def _emit_products(w: Writer) -> None:
    """Products of a block of tiles with a block of outputs, at one position, over all channels.

    Sums of many channels are taken in pieces, which are added up apart: long sums lose less that way.
    """
    fn, a, args = w.function("products", [("x", PTR), ("weights", PTR), ("out", PTR)])
    _, _, x, weights, out = args
    blocks, chain, counts = a.integer("all_blocks"), a.integer("chain"), a.address("block_counts")
    pitch, each = a.integer("tile_block"), w.lanes * w.block_bytes
    zero = [fn.constant(w.vector, 0.0)] * (len(w.spec.pixels) * w.spec.vectors)
    with fn.loop(0, blocks, chain) as begin:
        with fn.counted(begin, (begin + chain).minimum(blocks), carry=zero) as b:
            xs, ws = x + b.index * pitch, weights + b.index * each
            for line in range(0, w.tiles_bytes if w.asks else 0, ALIGN):
                fn.prefetch(xs + (w.tiles_bytes + line))
            with fn.counted(0, fn.load(I64, counts + b.index * 8), w.unroll, carry=b.carried) as c:
                total = list(c.carried)
                for u in range(w.unroll):
                    here = xs + c.index * w.size + u * w.size
                    w.multiply(fn, here, ws + (c.index + u) * w.block_bytes, total, AHEAD)
                c.carry_on(total)
            b.carry_on(c.results)
        with fn.when(begin.equals(0)):
            for k, value in enumerate(b.results):
                fn.store(value, out + k * w.vector.bytes)
        with fn.when(begin > 0):
            for k, value in enumerate(b.results):
                place = out + k * w.vector.bytes
                fn.store(fn.load(w.vector, place) + value, place)


# ---------------------------------------------------------------- units


def _emit_unit(w: Writer) -> None:
    fn = w.module.function("layer", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, scratch, unit = fn.args
    a = Record(fn, args, FIELDS)
    part, rest = unit % a.integer("parts"), unit // a.integer("parts")
    segment, rest = rest % a.integer("segments"), rest // a.integer("segments")
    band, rest = rest % a.integer("bands"), rest // a.integer("bands")
    plane, group = rest % a.integer("planes"), rest // a.integer("planes")
    first = band * a.integer("band_tiles")
    end = (first + a.integer("band_tiles")).minimum(a.integer("all_rows"))
    column = segment * a.integer("segment_tiles")
    columns = (a.integer("tile_columns") - column).minimum(a.integer("segment_tiles"))
    image = a.address("image") + group * a.integer("image_group")
    result = group * a.integer("result_group") + plane * a.integer("result_plane")
    tall = a.integer("tile_rows")
    images = first // tall, (end - 1) // tall + 1
    tiles_of = unit // a.integer("parts") + 1
    with fn.when(fn.load(I64, scratch).differs(tiles_of)):  # else they are those of the worker's unit before
        with fn.loop(*images) as n:
            row, rows, at = _share(a, n, first, end, columns)
            here = image + n * a.integer("image_batch")
            fn.call("enter", VOID, [args, scratch, here, plane, row, rows, segment, columns, at])
        fn.store(tiles_of, scratch)
    stop = ((part + 1) * a.integer("part_blocks")).minimum(a.integer("blocks"))
    with fn.loop(part * a.integer("part_blocks"), stop) as block:
        weights = a.address("weights") + group * a.integer("weight_group") + block * a.integer("weight_block")
        tiles = (end - first) * columns
        if w.spec.fresh:
            fn.call("fresh_products", VOID, [args, scratch, weights, tiles])
        else:
            _all_products(w, fn, a, args, scratch, weights, tiles)
        with fn.loop(*images) as n:
            row, rows, at = _share(a, n, first, end, columns)
            here = result + n * a.integer("result_batch")
            products = scratch + a.integer("at_products") + at * w.block_bytes
            fn.call("leave", VOID, [args, scratch, here, group, block, row, rows, column, columns, products])


def _share(a: Record, image: Value, first: Value, end: Value, columns: Value) -> tuple[Value, Value, Value]:
    """Of the rows of tiles first .. end - 1 of all images those of one: its first, how many, and the first one's
    first tile among all."""
    tall = a.integer("tile_rows")
    begin = image * tall
    row = (first - begin).maximum(0)
    return row, (end - begin).minimum(tall) - row, (begin + row - first) * columns


def _all_products(w: Writer, fn: Function, a: Record, args: Value, scratch: Value, *given: Value) -> None:
    """All products of a block of outputs. The last block of tiles is moved back; where there is but one, it may reach
    beyond the tiles, into memory that is the worker's own."""
    weights, tiles = given
    together = len(w.spec.pixels)
    last = tiles.maximum(together) - together
    with fn.loop(0, POSITIONS) as position:
        x = scratch + a.integer("at_tiles") + position * a.integer("tile_position")
        out = scratch + a.integer("at_products") + position * a.integer("product_position")
        block = weights + position * a.integer("weight_position")
        with fn.loop(0, tiles, together) as t:
            at = t.minimum(last)
            arguments = [x + at * w.vector.bytes, block, out + at * w.block_bytes]
            fn.call("products", VOID, [args, scratch, *arguments])
