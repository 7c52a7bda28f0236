"""The code of a layer: the block of sums, the panel, and a unit of work.

A *panel* holds the rows of input that a unit needs, all channels of a group, padding included: [channel][plane][row]
[column]. Where nothing is padded the image itself is the panel. A unit is a band of output rows of one plane of one
group of one image, for some blocks of output channels.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...jit.ir import Function, Module
from ...jit.target import Target
from ...jit.types import I64, PTR, VOID
from ...jit.values import Record, Value
from . import panel, results
from .spec import LayerSpec, block_channels

FIELDS = (
    # the arrays
    *("image", "result", "weights", "bias", "residual"),
    # units: (((image * groups + group) * planes + plane) * bands + band) * parts + part
    *("groups", "planes", "bands", "parts", "band_rows", "rows_out", "columns_out", "part_blocks", "blocks"),
    *("image_batch", "image_group", "image_channel", "image_plane", "image_row", "image_column"),
    *("result_batch", "result_group", "result_channel", "result_plane", "result_row", "result_column"),
    *("weight_group", "weight_block", "channels", "outputs"),
    # taps: planes of a tap, byte offsets in the panel of the tap rows (planes times rows of the kernel)
    *("tap_planes", "plane_map", "tap_rows", "tap_offsets"),
    # the panel: rows of a band, which image row each one is; columns
    *("panel", "panel_channel", "panel_plane", "panel_row", "panel_rows", "row_map", "row_step", "columns"),
    *("column_first", "column_stop", "column_lead", "column_map", "mapped", "origin"),
    # blocks of pixels
    *("row_group", "tiles", "tile_last", "pixel_step", "line_step"),
    *("chunk", "floor", "ceiling"),
    *("at_panel", "at_sums", "at_spare"),
)


class Writer:
    """What all functions of one routine share."""

    def __init__(self, module: Module, spec: LayerSpec) -> None:
        self.module, self.spec = module, spec
        self.lanes = module.target.lanes(spec.number.bytes)
        self.scalar = spec.number.type
        self.vector = self.scalar.of(self.lanes)
        self.size = spec.number.bytes
        self.block = block_channels(spec, module.target)
        self.tap_bytes = self.block * self.size

    def record(self, fn: Function, pointer: Value) -> Record:
        """The arguments of the routine."""
        return Record(fn, pointer, FIELDS)


def emit(target: Target, spec: LayerSpec) -> Module:
    """A module with the function ``layer`` for the pool."""
    module = Module(target)
    writer = Writer(module, spec)
    _emit_sums(writer)
    results.emit(writer)
    panel.emit(writer)
    _emit_unit(writer)
    return module


# ---------------------------------------------------------------- the block of sums


def _emit_sums(w: Writer) -> None:
    """Sums of a block over ``channels`` from channel ``begin`` on, the first ones put into memory, others added."""
    args = [("args", PTR), ("x", PTR), ("w", PTR), ("begin", I64), ("channels", I64), ("sums", PTR)]
    fn = w.module.function("sums", args, internal=True)
    arguments, x, weights, begin, channels, sums = fn.args
    a = w.record(fn, arguments)
    pitch, tap_rows, offsets = a.integer("panel_channel"), a.integer("tap_rows"), a.address("tap_offsets")
    zero = [fn.constant(w.vector, 0.0)] * (len(w.spec.pixels) * w.spec.vectors)
    if w.spec.point:
        totals = _point_sums(w, fn, x, weights, channels, pitch, zero)
    else:
        each = tap_rows * (w.spec.taps * w.tap_bytes)
        with fn.counted(0, channels, carry=zero) as c:
            plane, ws = x + c.index * pitch, weights + c.index * each
            with fn.counted(0, tap_rows, carry=c.carried) as r:
                line = plane + fn.load(I64, offsets + r.index * 8)
                row = ws + r.index * (w.spec.taps * w.tap_bytes)
                total = list(r.carried)
                for s in range(w.spec.taps):
                    _tap(w, fn, line + s * w.spec.gap * w.size, row + s * w.tap_bytes, total)
                r.carry_on(total)
            c.carry_on(r.results)
        totals = c.results
    places = [sums + k * w.vector.bytes for k in range(len(totals))]
    with fn.when(begin.equals(0)):
        for place, value in zip(places, totals, strict=True):
            fn.store(value, place, align=w.vector.bytes)
    with fn.when(begin > 0):
        for place, value in zip(places, totals, strict=True):
            fn.store(fn.load(w.vector, place, align=w.vector.bytes) + value, place, align=w.vector.bytes)


def _point_sums(
    w: Writer, fn: Function, x: Value, weights: Value, channels: Value, pitch: Value, zero: Sequence[Value]
) -> list[Value]:
    """One tap: several channels in a turn."""
    together = 4
    whole = channels // together * together
    results = list(zero)
    for start, stop, step in ((fn.index(0), whole, together), (whole, channels, 1)):
        with fn.counted(start, stop, step, carry=results) as c:
            total = list(c.carried)
            for u in range(step):
                _tap(w, fn, x + (c.index + u) * pitch, weights + (c.index + u) * w.tap_bytes, total)
            c.carry_on(total)
        results = c.results
    return results


def _tap(w: Writer, fn: Function, x: Value, weights: Value, total: list[Value]) -> None:
    fn.fence()
    vectors = [fn.load(w.vector, weights + v * w.vector.bytes) for v in range(w.spec.vectors)]
    for q, offset in enumerate(w.spec.pixels):
        pixel = fn.splat(fn.load(w.scalar, x + offset * w.size), w.lanes)
        for v, weight in enumerate(vectors):
            k = q * w.spec.vectors + v
            added = fn.fma(weight, pixel, total[k])
            total[k] = fn.select(weight.differs(0), added, total[k]) if w.spec.masked else added


# ---------------------------------------------------------------- units


def _emit_unit(w: Writer) -> None:
    fn = w.module.function("layer", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, scratch, unit = fn.args
    a = w.record(fn, args)
    part, rest = unit % a.integer("parts"), unit // a.integer("parts")
    band, rest = rest % a.integer("bands"), rest // a.integer("bands")
    plane, rest = rest % a.integer("planes"), rest // a.integer("planes")
    group, batch = rest % a.integer("groups"), rest // a.integer("groups")
    first = band * a.integer("band_rows")
    stop = (first + a.integer("band_rows")).minimum(a.integer("rows_out"))
    image = a.address("image") + batch * a.integer("image_batch") + group * a.integer("image_group")
    result = batch * a.integer("result_batch") + group * a.integer("result_group") + plane * a.integer("result_plane")
    row = first * a.integer("row_step")
    copied = a.integer("panel").differs(0)
    copy = scratch + a.integer("at_panel")
    with fn.when(copied):
        rows = (stop - first - 1) * a.integer("row_step") + a.integer("panel_rows")
        fn.call("fill_panel", VOID, [args, image, copy, plane, row, rows])
    direct = image + (plane * a.integer("line_step") + row * a.integer("panel_row")) + a.integer("origin")
    source = fn.select(copied, copy, direct)
    weights = a.address("weights") + group * a.integer("weight_group")
    bias = a.address("bias") + group * (a.integer("blocks") * w.tap_bytes)
    begin = part * a.integer("part_blocks")
    with fn.loop(begin, (begin + a.integer("part_blocks")).minimum(a.integer("blocks"))) as block:
        ws, shift = weights + block * a.integer("weight_block"), bias + block * w.tap_bytes
        channels = result + block * (a.integer("result_channel") * w.block)
        valid = (a.integer("outputs") - block * w.block).minimum(w.block)
        with fn.loop(first, stop, a.integer("row_group")) as y_:
            y = y_.minimum(stop - a.integer("row_group"))
            line = source + (y - first) * (a.integer("row_step") * a.integer("panel_row"))
            out = channels + y * a.integer("result_row")
            with fn.loop(0, a.integer("tiles")) as t:
                x = (t * len(w.spec.pixels)).minimum(a.integer("tile_last"))
                here = line + x * a.integer("pixel_step"), out + x * a.integer("result_column")
                _block(w, fn, a, (args, scratch), here, (ws, shift, valid))


def _block(
    w: Writer,
    fn: Function,
    a: Record,
    given: tuple[Value, Value],
    pixels: tuple[Value, Value],
    outputs: tuple[Value, Value, Value],
) -> None:
    """All channels of a block, in chunks that are added up apart: long sums lose less that way."""
    (args, scratch), (x, out), (weights, bias, valid) = given, pixels, outputs
    sums, spare = scratch + a.integer("at_sums"), scratch + a.integer("at_spare")
    chunk, channels = a.integer("chunk"), a.integer("channels")
    each = a.integer("tap_rows") * (w.spec.taps * w.tap_bytes)
    _announce(w, fn, a, a.address("result") + out)
    with fn.loop(0, channels, chunk) as c:
        count = chunk.minimum(channels - c)
        fn.call("sums", VOID, [args, x + c * a.integer("panel_channel"), weights + c * each, c, count, sums])
    fn.call("finish", VOID, [args, sums, bias, out, valid, spare])


def _announce(w: Writer, fn: Function, a: Record, out: Value) -> None:
    """Ask for the lines of the result that the block will write, so that they are there when it does."""
    channel, end = a.integer("result_channel"), (len(w.spec.pixels) - 1) * w.size
    for k in range(0 if w.spec.channels_last else w.block):
        line = out + channel * k
        fn.prefetch(line, write=True)
        fn.prefetch(line + end, write=True)
