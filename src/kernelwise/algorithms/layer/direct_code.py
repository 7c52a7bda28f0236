"""The code of a layer: the block of sums, the panel, and a unit of work.

The image is read as it lies where that can be: taps outside are left out, whole rows of them by counting, others
where the code is written, which knows which pixels of a block at the left or right border they belong to. Else a
*panel* holds the rows of input that a unit needs, all channels of a group, padding included: [channel][plane][row]
[column]. A unit is a band of output rows of one plane of one group of one image, for some blocks of output channels.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from ...jit.ir import Function, Module
from ...jit.target import Target
from ...jit.types import I64, PTR, VOID
from ...jit.values import Record, Value
from ..memory import ALIGN
from . import direct_panel as panel
from . import results
from .direct_spec import DirectSpec, block_channels
from .writer import BaseWriter

FIELDS = (
    # the arrays
    *("image", "result", "weights", "bias", "residual"),
    # units: (((image * groups + group) * planes + plane) * bands + band) * parts + part
    *("groups", "planes", "bands", "parts", "band_rows", "rows_out", "columns_out", "part_blocks", "blocks"),
    *("image_batch", "image_group", "image_channel", "image_plane", "image_row", "image_column"),
    *("result_batch", "result_group", "result_channel", "result_plane", "result_row", "result_column"),
    *("weight_group", "weight_block", "fetch_share", "channels", "outputs"),
    # taps: planes of a tap, byte offsets in the panel of the tap rows (planes times rows of the kernel)
    *("tap_planes", "plane_map", "tap_rows", "tap_offsets"),
    # for each row of the result: the first tap row inside the image, and the one behind the last
    *("tap_first", "tap_stop"),
    # the panel: rows of a band, which image row each one is; columns
    *("panel", "panel_channel", "panel_plane", "panel_row", "panel_rows", "row_map", "row_step", "columns"),
    *("column_first", "column_stop", "column_lead", "column_map", "mapped", "origin"),
    # blocks of pixels
    *("row_group", "tiles", "tile_last", "tile_kinds", "pixel_step", "line_step"),
    # bytes from a block's pixels to those that are asked for: for the first block of outputs, and for all others, which
    # find them in the caches
    *("ahead", "near"),
    *("chunk", "pass_rows", "pass_tiles", "floor", "ceiling"),
    *("at_panel", "at_sums", "at_spare"),
)


POINTS = 4  # channels in a turn of the inner loop, where there is one tap


class Writer(BaseWriter[DirectSpec]):
    """What all functions of one routine share."""

    fields = FIELDS

    def __init__(self, module: Module, spec: DirectSpec) -> None:
        super().__init__(module, spec)
        self.block = block_channels(spec, module.target)
        self.tap_bytes = self.block * self.size
        self.sums_bytes = len(spec.pixels) * self.tap_bytes  # of a block of pixels


def emit(target: Target, spec: DirectSpec) -> Module:
    """A module with the function ``layer`` for the pool."""
    module = Module(target)
    writer = Writer(module, spec)
    _emit_block(writer)
    panel.emit(writer)
    _emit_unit(writer)
    return module


# ---------------------------------------------------------------- a block


def _emit_block(w: Writer) -> None:
    """``block``: sums of a block of pixels and outputs over a chunk of channels, from ``begin`` on.

    Chunks are added up apart, in ``sums``: long sums lose less that way. The last one brings the results, which lie
    ``at`` bytes into the array; ``valid`` of the block's outputs are its own. ``kind`` is the block's among those of
    the specification; pixels ``ahead`` bytes on are asked for, and weights from ``fetch`` on.
    """
    names = ("begin", "at", "valid", "first", "stop", "kind", "ahead")
    pointers = ("args", "scratch", "x", "w", "bias", "fetch", "sums")
    args = [*((name, PTR) for name in pointers), *((name, I64) for name in names)]
    fn = w.module.function("block", args, internal=True)
    arguments, scratch, x, weights, bias, fetch, sums, begin, at, valid, first, stop, kind, ahead = fn.args
    a = w.record(fn, arguments)
    end = begin + a.integer("chunk")
    start = [fn.load(w.vector, bias + v * w.vector.bytes) for v in range(w.spec.vectors)]
    start = [fn.select(begin.equals(0), shift, 0.0) for shift in start] * len(w.spec.pixels)
    reading = Reading(x, weights, (begin, end.minimum(a.integer("channels"))), (first, stop), kind, ahead, fetch)
    totals = _sums(w, fn, a, reading, start)
    places = [sums + k * w.vector.bytes for k in range(len(totals))]
    with fn.counted(0, begin.minimum(1), carry=totals) as earlier:  # one turn, if there are any
        held = [fn.load(w.vector, place, align=w.vector.bytes) for place in places]
        earlier.carry_on([before + value for before, value in zip(held, earlier.carried, strict=True)])
    totals = earlier.results
    with fn.when(end < a.integer("channels")):
        for place, value in zip(places, totals, strict=True):
            fn.store(value, place, align=w.vector.bytes)
    with fn.when(end >= a.integer("channels")):
        results.write(w, fn, a, totals, (at, valid, sums, scratch + a.integer("at_spare")))


class Reading(NamedTuple):
    """What a block reads."""

    x: Value  # its first pixel, of the first channel, under the first tap
    weights: Value
    channels: tuple[Value, Value]
    tap_rows: tuple[Value, Value]  # those inside the image
    kind: Value
    ahead: Value
    fetch: Value


def _sums(w: Writer, fn: Function, a: Record, of: Reading, start: list[Value]) -> list[Value]:
    """Sums over some channels and all taps. There is a loop for each kind of block, or with one tap for those that ask
    for what is ahead and for others; one of them takes its turn."""
    if w.spec.point:
        asks = of.ahead.differs(0)
        turns = [(asks, partial(_point_sums, asking=True)), (asks.equals(0), partial(_point_sums, asking=False))]
    else:
        kinds = enumerate(w.spec.kinds)
        turns = [(of.kind.equals(number), partial(_channel_sums, outside=outside)) for number, outside in kinds]
    totals = start
    for condition, sums in turns:
        with fn.counted(0, fn.select(condition, fn.index(1), 0), carry=totals) as mine:
            mine.carry_on(sums(w, fn, a, of, mine.carried))
        totals = mine.results
    return totals


def _channel_sums(
    w: Writer, fn: Function, a: Record, of: Reading, start: list[Value], outside: Sequence[int]
) -> list[Value]:
    """``outside``: for each tap of a row, the pixels that it finds outside the image, as bits."""
    pitch, offsets = a.integer("panel_channel"), a.address("tap_offsets")
    row_bytes = w.spec.taps * w.tap_bytes
    each = a.integer("tap_rows") * row_bytes
    with fn.counted(*of.channels, carry=start) as c:
        plane, ws = of.x + c.index * pitch, of.weights + c.index * each
        with fn.counted(*of.tap_rows, carry=c.carried) as r:
            line, row = plane + fn.load(I64, offsets + r.index * 8), ws + r.index * row_bytes
            total = list(r.carried)
            _ask(w, fn, line + of.ahead)
            _fetch(w, fn, of.fetch, c.index * a.integer("tap_rows") + r.index)
            for s, skipped in enumerate(outside):
                _tap(w, fn, line + s * w.spec.gap * w.size, row + s * w.tap_bytes, total, skipped)
            r.carry_on(total)
        c.carry_on(r.results)
    return c.results


def _point_sums(w: Writer, fn: Function, a: Record, of: Reading, start: list[Value], asking: bool) -> list[Value]:
    """One tap: several channels in a turn."""
    (begin, stop), pitch, together = of.channels, a.integer("panel_channel"), POINTS
    whole = begin + (stop - begin) // together * together
    results = start
    for first, end, step in ((begin, whole, together), (whole, stop, 1)):
        with fn.counted(first, end, step, carry=results) as c:
            total = list(c.carried)
            if step > 1:
                _fetch(w, fn, of.fetch, c.index // step)
            for u in range(step):
                x = of.x + (c.index + u) * pitch
                if asking:
                    _ask(w, fn, x + of.ahead)
                _tap(w, fn, x, of.weights + (c.index + u) * w.tap_bytes, total)
            c.carry_on(total)
        results = c.results
    return results


def _ask(w: Writer, fn: Function, line: Value) -> None:
    """Ask for a row of pixels; where its first ones are in a line of their own, the block to its left has."""
    last = (w.spec.pixels[-1] + (w.spec.taps - 1) * w.spec.gap) * w.size
    for at in range(last, 0, -ALIGN):
        fn.prefetch(line + at)


def _fetch(w: Writer, fn: Function, place: Value, turn: Value) -> None:
    """Ask for some of the weights that the next block of outputs needs: they come from far, and are read once for each
    block of pixels."""
    for line in range(w.spec.fetch):
        fn.prefetch(place + (turn * w.spec.fetch + line) * ALIGN)


def _tap(w: Writer, fn: Function, x: Value, weights: Value, total: list[Value], skipped: int = 0) -> None:
    """The products of one tap. ``skipped``: pixels without one, as bits."""
    fn.fence()
    vectors = [fn.load(w.vector, weights + v * w.vector.bytes) for v in range(w.spec.vectors)]
    for q, offset in enumerate(w.spec.pixels):
        if skipped >> q & 1:
            continue
        fn.fence()  # one pixel at a time: the sums of a large block leave no register for two
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
        ahead = fn.select(block.equals(begin), a.integer("ahead"), a.integer("near"))
        with fn.loop(first, stop, a.integer("pass_rows")) as top:
            end = (top + a.integer("pass_rows")).minimum(stop)
            with fn.loop(0, a.integer("tiles"), a.integer("pass_tiles")) as left:
                with fn.loop(0, a.integer("channels"), a.integer("chunk")) as channel:
                    of = Pass(source, channels, ws, shift, valid, ahead, channel, (first, top, end, stop), left)
                    _emit_pass(w, fn, a, args, scratch, of)


class Pass(NamedTuple):
    """A chunk of the channels of some blocks of a unit: its weights stay in the first-level cache."""

    source: Value  # the unit's first row of pixels
    result: Value  # how many bytes into the array its block of channels lies
    weights: Value
    bias: Value
    valid: Value
    ahead: Value
    channel: Value  # the first one
    rows: tuple[Value, Value, Value, Value]  # the unit's first, the first and the one behind the last of these, its end
    left: Value  # the first block of a row


def _emit_pass(w: Writer, fn: Function, a: Record, args: Value, scratch: Value, of: Pass) -> None:
    first, top, end, stop = of.rows
    tiles, group, block_bytes = a.integer("tiles"), a.integer("row_group"), a.integer("weight_block")
    last = of.channel + a.integer("chunk") >= a.integer("channels")
    with fn.loop(top, end, group) as y_:
        y = y_.minimum(stop - group)
        line = of.source + (y - first) * (a.integer("row_step") * a.integer("panel_row"))
        out = of.result + y * a.integer("result_row")
        tap_rows = [fn.load(I64, a.address(name) + y * 8) for name in ("tap_first", "tap_stop")]
        with fn.loop(of.left, (of.left + a.integer("pass_tiles")).minimum(tiles)) as t:
            x = (t * len(w.spec.pixels)).minimum(a.integer("tile_last"))
            kind = fn.load(I64, a.address("tile_kinds") + t * 8)
            at = out + x * a.integer("result_column")
            with fn.when(last):
                _announce(w, fn, a, a.address("result") + at)
                if w.spec.residual:
                    _announce(w, fn, a, a.address("residual") + at, write=False)
            fetched = ((y_ - first) // group * tiles + t) * a.integer("fetch_share")
            fetch = fn.select(fetched < block_bytes, of.weights + (block_bytes + fetched), of.weights)
            waiting = (y_ - top) // group * a.integer("pass_tiles") + (t - of.left)
            sums = scratch + a.integer("at_sums") + waiting * w.sums_bytes
            given = [line + x * a.integer("pixel_step"), of.weights, of.bias, fetch, sums, of.channel, at, of.valid]
            fn.call("block", VOID, [args, scratch, *given, *tap_rows, kind, of.ahead])


def _announce(w: Writer, fn: Function, a: Record, out: Value, write: bool = True) -> None:
    """Ask for the lines of the result that the block will write, so that they are there when it does. One for each
    channel: where its first pixels are in a line of their own, the block to its left has."""
    channel, end = a.integer("result_channel"), (len(w.spec.pixels) - 1) * w.size
    for k in range(0 if w.spec.channels_last else w.block):
        fn.prefetch(out + channel * k + end, write=write)
