"""The gradient of a layer's weights, output channels in the lanes.

    dw[o, i, a] = sum over images n and outputs p of dy[n, o, p] * x[n, i, p * stride + start + a * dilation]

The outputs are worked on in *tiles* of a few hundred pixels. The tile of dy is copied into a panel [pixel][channel],
one for each block of output channels, and what its windows see of x into panels [row][column][channel], borders
resolved. On a tile, a block of sums, ``rows`` x ``columns`` taps x ``channels`` of the input, each by two vectors of
output channels, stays in registers:

    for image, row, column of the tile:    the vectors of dy there meet each pixel of x under the block's taps

Then the sums are added, in float64, to the unit's own place. So in float32 only the products of one tile are added up.

In layers of many small groups the lanes run over the outputs of all groups, and each lane has pixels of its own group:
then x is laid out like dy, and vectors meet vectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from ...jit.ir import Function, Module
from ...jit.target import Target
from ...jit.types import F64, I64, PTR, VOID
from ...jit.values import Record, Value
from ..numbers import Number
from .slopes_panels import emit_fill
from .writer import BaseWriter

LINE = 64  # bytes of a line of the caches
FIELDS = (
    # the arrays; the sums: [part][group][block of outputs][block of channels][plane][block of rows][of columns][block]
    *("x", "dy", "sums"),
    # units: ((part * groups + group) * output ranges + range) * channel ranges + range
    *("parts", "groups", "output_ranges", "output_range", "channel_ranges", "channel_range", "tiles"),
    *("output_blocks", "channel_blocks", "tap_planes", "row_blocks", "column_blocks"),
    # tiles: ((image tile * planes + plane) * row tiles + row tile) * column tiles + column tile
    *("images", "planes", "rows", "columns", "tile_images", "tile_rows", "tile_columns", "row_tiles", "column_tiles"),
    *("x_image", "x_group", "x_plane", "x_row", "x_column"),
    *("dy_image", "dy_group", "dy_plane", "dy_row", "dy_column"),
    # byte offsets of the channels of each block, and of the outputs
    *("x_offsets", "dy_offsets"),
    *("plane_map", "row_map", "column_map", "column_first", "column_stop", "column_lead"),
    *("dy_rows", "dy_columns"),
    *("row_taps", "column_taps", "reach_rows", "reach_columns"),
    # panels, in scratch memory
    *("at_dy", "dy_block", "panel_row", "panel_plane", "panel_image", "panel_block"),
)


@dataclass(frozen=True)
class SlopeSpec:
    """Everything that changes the generated code of one routine."""

    number: Number
    vectors: int  # of output channels in a block
    rows: int  # taps of a block
    columns: int
    channels: int  # of the input in a block
    row_step: int  # stride and dilation
    row_gap: int
    column_step: int
    column_gap: int
    apart: bool  # each lane has pixels of its own group
    halved: bool = False  # every other number of the images' rows is a pixel
    algorithm: str = "layer slopes"

    @property
    def pairs(self) -> int:
        """Sums of a block, for each vector of outputs."""
        return self.rows * self.columns * self.channels


def room(channels: int) -> int:
    """Places for so many channels: a power of two, so that they can be turned in vectors."""
    return 1 << (channels - 1).bit_length()


class Writer(BaseWriter[SlopeSpec]):
    """What all functions of one routine share."""

    fields = FIELDS

    def __init__(self, module: Module, spec: SlopeSpec) -> None:
        super().__init__(module, spec)
        self.outputs = spec.vectors * self.lanes  # of a block
        self.together = self.outputs if spec.apart else room(spec.channels)  # numbers of a pixel in a panel of x

    @property
    def place_bytes(self) -> int:
        """Of the sums of one block."""
        return self.spec.pairs * self.outputs * F64.bytes


def emit(target: Target, spec: SlopeSpec) -> Module:
    """A module with the function ``slopes`` for the pool."""
    module = Module(target)
    writer = Writer(module, spec)
    _emit_block(writer)
    emit_fill(writer, "fill_dy", writer.outputs, False)
    emit_fill(writer, "fill_x", writer.together, spec.halved)
    _emit_blocks(writer)
    _emit_tile(writer)
    _emit_unit(writer)
    return module


# ---------------------------------------------------------------- one block of sums


def _emit_block(w: Writer) -> None:
    """The sums of one block over a tile, put to ``place`` if it is the ``first``, else added to what is there."""
    spec = w.spec
    args = [("args", PTR), ("x", PTR), ("dy", PTR), ("place", PTR)]
    names = ("images", "rows", "columns", "first")
    fn = w.module.function("block", [*args, *((name, I64) for name in names)], internal=True)
    arguments, x, dy, place, images, rows, columns, first = fn.args
    a = Record(fn, arguments, FIELDS)
    pixel, slope = w.together * w.size, w.outputs * w.size
    row_bytes = a.integer("panel_row")
    zero = [fn.constant(w.vector, 0.0)] * (spec.pairs * spec.vectors)
    for at in range(0, w.place_bytes, LINE):  # until it is needed, it will have come
        fn.prefetch(place + at, write=True)
    with fn.counted(0, images, carry=zero) as n:
        with fn.counted(0, rows, carry=n.carried) as r:
            line = x + n.index * a.integer("panel_image") + r.index * (row_bytes * spec.row_step)
            lines = [line + row_bytes * (i * spec.row_gap) if i else line for i in range(spec.rows)]
            slopes = dy + (n.index * rows + r.index) * (columns * slope)
            with fn.counted(0, columns, carry=r.carried) as c:
                shift = c.index * (spec.column_step * pixel)
                total = list(c.carried)
                _pixel(w, fn, [line + shift for line in lines], slopes + c.index * slope, total)
                c.carry_on(total)
            r.carry_on(c.results)
        n.carry_on(r.results)
    wide = [value if value.type.element == F64.element else value.to(F64, "fpext") for value in n.results]
    with fn.when(first > 0):
        for k, value in enumerate(wide):
            fn.store(value, place + k * (w.lanes * F64.bytes))
    with fn.when(first.equals(0)):
        for k, value in enumerate(wide):
            here = place + k * (w.lanes * F64.bytes)
            fn.store(fn.load(value.type, here) + value, here)


def _pixel(w: Writer, fn: Function, lines: list[Value], dy: Value, total: list[Value]) -> None:
    spec, pixel = w.spec, w.together * w.size
    fn.fence()
    slopes = [fn.load(w.vector, dy + v * w.vector.bytes) for v in range(spec.vectors)]
    pairs = product(range(spec.rows), range(spec.columns), range(spec.channels))
    for k, (i, j, c) in enumerate(pairs):
        place = lines[i] + (j * spec.column_gap * pixel + c * w.size)
        same = None if spec.apart else fn.splat(fn.load(w.scalar, place), w.lanes)
        for v, slope in enumerate(slopes):
            value = same or fn.load(w.vector, place + v * w.vector.bytes)
            total[k * spec.vectors + v] = fn.fma(slope, value, total[k * spec.vectors + v])


# ---------------------------------------------------------------- units


def _emit_unit(w: Writer) -> None:
    fn = w.module.function("slopes", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, scratch, unit = fn.args
    a = Record(fn, args, FIELDS)
    places, rest = {}, unit
    for name in ("channel_ranges", "output_ranges", "groups"):
        places[name], rest = rest % a.integer(name), rest // a.integer(name)
    tiles, parts = a.integer("tiles"), a.integer("parts")
    start = rest * tiles // parts
    with fn.loop(start, (rest + 1) * tiles // parts) as tile:
        where = [places["groups"], places["output_ranges"], places["channel_ranges"]]
        first = fn.select(tile.equals(start), fn.index(1), fn.index(0))
        fn.call("tile", VOID, [args, scratch, tile, rest, *where, first])


def _ranges(fn: Function, a: Record, which: str, number: Value) -> tuple[Value, Value]:
    first = number * a.integer(f"{which}_range")
    return first, (first + a.integer(f"{which}_range")).minimum(a.integer(f"{which}_blocks"))


def _emit_tile(w: Writer) -> None:
    """Fill the panels of one tile, then all blocks of sums on it."""
    names = ("tile", "part", "group", "output_range", "channel_range", "first")
    fn = w.module.function("tile", [("args", PTR), ("scratch", PTR), *((n, I64) for n in names)], internal=True)
    args, scratch, tile, part, group, output_range, channel_range, first = fn.args
    a = Record(fn, args, FIELDS)
    across, down, planes = (a.integer(name) for name in ("column_tiles", "row_tiles", "planes"))
    left, rest = tile % across * a.integer("tile_columns"), tile // across
    top, rest = rest % down * a.integer("tile_rows"), rest // down
    plane, image = rest % planes, rest // planes * a.integer("tile_images")
    columns = (a.integer("columns") - left).minimum(a.integer("tile_columns"))
    rows = (a.integer("rows") - top).minimum(a.integer("tile_rows"))
    images = (a.integer("images") - image).minimum(a.integer("tile_images"))
    outputs, channels = _ranges(fn, a, "output", output_range), _ranges(fn, a, "channel", channel_range)
    slope_row, slope_image = columns * (w.outputs * w.size), rows * columns * (w.outputs * w.size)
    with fn.loop(*outputs) as block, fn.loop(0, images) as n:
        source = a.address("dy") + group * a.integer("dy_group") + (image + n) * a.integer("dy_image")
        source = source + plane * a.integer("dy_plane")
        target = scratch + a.integer("at_dy") + (block - outputs[0]) * a.integer("dy_block") + n * slope_image
        offsets = a.address("dy_offsets") + block * (w.outputs * 8)
        joined = a.integer("dy_row").equals(a.integer("columns") * w.size) & a.integer("dy_column").equals(w.size)
        joined = joined & columns.equals(a.integer("columns"))
        long, tall = fn.select(joined, rows * columns, columns), fn.select(joined, fn.index(1), rows)
        lists = [a.address("dy_rows") + top * 8, a.address("dy_columns")]
        sizes = [tall, left, long, fn.index(0), left + long, fn.index(0)]
        steps = [a.integer("dy_row"), a.integer("dy_column"), slope_row]
        fn.call("fill_dy", VOID, [source, target, offsets, *lists, *sizes, *steps])
    corner = [group, image, plane, top, left, images, rows, columns]
    if not w.spec.apart:
        _fill_channels(w, fn, a, scratch, channels, fn.index(0), *corner)
    with fn.loop(*outputs) as block:
        if w.spec.apart:
            _fill_channels(w, fn, a, scratch, channels, block, *corner)
        slopes = scratch + a.integer("at_dy") + (block - outputs[0]) * a.integer("dy_block")
        line = ((part * a.integer("groups") + group) * a.integer("output_blocks") + block) * a.integer("channel_blocks")
        with fn.loop(*channels) as channel:
            panel = scratch + (channel - channels[0]) * a.integer("panel_block")
            fn.call("blocks", VOID, [args, panel, slopes, line + channel, images, rows, columns, first])


def _fill_channels(
    w: Writer, fn: Function, a: Record, scratch: Value, channels: tuple[Value, Value], block: Value, group: Value,
    image: Value, plane: Value, top: Value, left: Value, images: Value, rows: Value, columns: Value,
) -> None:  # fmt: skip
    """The panels of x of a range of channels; ``block``: of outputs, where each has its own."""
    spec, planes = w.spec, a.integer("tap_planes")
    with fn.loop(*channels) as channel, fn.loop(0, images) as n, fn.loop(0, planes) as p:
        source_plane = fn.load(I64, a.address("plane_map") + (plane * planes + p) * 8)
        source = a.address("x") + group * a.integer("x_group") + (image + n) * a.integer("x_image")
        source = source + source_plane.maximum(0) * a.integer("x_plane")
        target = scratch + (channel - channels[0]) * a.integer("panel_block") + n * a.integer("panel_image")
        target = target + p * a.integer("panel_plane")
        offsets = a.address("x_offsets") + (block * a.integer("channel_blocks") + channel) * (w.together * 8)
        tall = (rows - 1) * spec.row_step + a.integer("reach_rows") + 1
        wide = (columns - 1) * spec.column_step + a.integer("reach_columns") + 1
        steps = [a.integer("x_row"), a.integer("x_column"), a.integer("panel_row")]
        with fn.when(source_plane >= 0):
            lists = [a.address("row_map") + top * (spec.row_step * 8), a.address("column_map")]
            edges = [a.integer("column_first"), a.integer("column_stop"), a.integer("column_lead")]
            fn.call(
                "fill_x", VOID, [source, target, offsets, *lists, tall, left * spec.column_step, wide, *edges, *steps]
            )
        with fn.when(source_plane < 0), fn.loop(0, tall) as r:
            with fn.loop(0, wide * w.together) as k:
                fn.store(fn.constant(w.scalar, 0.0), target + r * a.integer("panel_row") + k * w.size)


def _emit_blocks(w: Writer) -> None:
    """All taps of one block of channels and one of outputs; the last blocks are moved back to end at the last taps."""
    spec, pixel = w.spec, w.together * w.size
    names = ("line", "images", "rows", "columns", "first")
    args = [("args", PTR), ("panel", PTR), ("slopes", PTR), *((n, I64) for n in names)]
    fn = w.module.function("blocks", args, internal=True)
    arguments, panel, slopes, line, images, rows, columns, first = fn.args
    a = Record(fn, arguments, FIELDS)
    planes, down, across = (a.integer(name) for name in ("tap_planes", "row_blocks", "column_blocks"))
    with fn.loop(0, planes) as p, fn.loop(0, down) as i, fn.loop(0, across) as j:
        row = (i * spec.rows).minimum(a.integer("row_taps") - spec.rows)
        column = (j * spec.columns).minimum(a.integer("column_taps") - spec.columns)
        x = panel + p * a.integer("panel_plane") + row * (a.integer("panel_row") * spec.row_gap)
        x = x + column * (spec.column_gap * pixel)
        place = a.address("sums") + (((line * planes + p) * down + i) * across + j) * w.place_bytes
        fn.call("block", VOID, [arguments, x, slopes, place, images, rows, columns, first])
