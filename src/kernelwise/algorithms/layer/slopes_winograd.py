"""The gradient of three by three taps by Winograd's algorithm: 36 products for a tile of 4 x 4 outputs, not 144.

A layer's sums y = A ((G g) * (B d)) are linear in the taps g, so the gradient of g is the same three steps turned
round: dg = G' ((A' dy) * (B d)), with the products added up over all tiles before the last step.

    tiles       of x and of dy, transformed; see `slopes_tiles`
    sums        over tiles: for each of 36 positions a product of two matrices, outputs by channels
    taps        nine from 36, turned so that the taps of an output lie side by side

Sums are taken over some tens of tiles in registers, those are added up in memory. There are two ways to cut the work.
Where all sums of a group fit a core's cache, a unit takes some of the tiles and transforms them for itself. Else all
tiles are transformed first (``tiles``), and a unit takes a range of outputs and channels.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...jit.ir import Function, Module
from ...jit.target import Target
from ...jit.types import I64, PTR, VOID
from ...jit.values import Record, Value
from ..numbers import Number
from . import slopes_rows, slopes_tiles
from .slopes_tiles import SIDE_FIELDS, sides
from .turn import emit_gather, emit_turn
from .winograd import INPUTS, POSITIONS, TAPS, Matrix, of_weights, scales, times
from .writer import BaseWriter

SQUARE = TAPS * TAPS
FIELDS = (
    *("x", "dy", "out"),
    # strips: (image * bands + band) * segments + segment; how many tiles are in those before each
    *(
        "first_strip",
        "strips",
        "bands",
        "segments",
        "band_tiles",
        "tile_rows",
        "segment_tiles",
        "tile_columns",
        "strip_at",
    ),
    *(f"{side}_{name}" for side in ("x", "dy") for name in SIDE_FIELDS),
    # units: (part * groups + group) * output ranges + range;
    # of shared tiles (group * output ranges + range) * channel ranges + range
    *("parts", "groups", "output_ranges", "output_range", "output_blocks", "channel_ranges", "channel_range"),
    *("channels", "outputs", "together", "chain"),
    # the result, or one of its parts: [group][output][channel][tap]
    *("out_part", "out_group", "out_row", "adding"),
    # scratch memory
    *(
        "at_raw",
        "at_zeros",
        "at_down",
        "down_row",
        "at_x",
        "at_dy",
        "at_sums",
        "sums_position",
        "at_taps",
        "taps_pitch",
    ),
    *("at_spare",),
)


@dataclass(frozen=True)
class SlopeTilesSpec:
    """Everything that changes the generated code of one routine."""

    number: Number
    vectors: int  # of outputs in a block of sums
    channels: int  # in it
    shared: bool  # tiles are transformed before, for all units
    algorithm: str = "layer slopes, winograd"


class Writer(BaseWriter[SlopeTilesSpec]):
    """What all functions of one routine share."""

    fields = FIELDS

    def __init__(self, module: Module, spec: SlopeTilesSpec) -> None:
        super().__init__(module, spec)
        self.block_bytes = spec.vectors * self.vector.bytes
        self.place_bytes = spec.channels * self.block_bytes  # of a block of sums


def emit(target: Target, spec: SlopeTilesSpec) -> Module:
    """A module with the function ``slopes`` for the pool, and ``tiles`` if they are shared."""
    module = Module(target)
    w = Writer(module, spec)
    emit_turn(module, w.vector)
    emit_gather(module, w.vector)
    for side in sides():
        slopes_tiles.emit(w, side)
    slopes_rows.emit(module, w.scalar, w.vector)
    _emit_products(w)
    _emit_sums(w)
    _emit_taps(w)
    _emit_finish(w)
    if spec.shared:
        _emit_tiles(w)
        _emit_range(w)
    else:
        _emit_part(w)
    return module


# ---------------------------------------------------------------- sums


def _emit_products(w: Writer) -> None:
    """One block of sums at one position, over some tiles: put into memory, or added to what is there."""
    fn, a, args = w.function("products", [("x", PTR), ("dy", PTR), ("sums", PTR), ("tiles", I64), ("first", I64)])
    _, _, x, dy, sums, tiles, first = args
    pixel, slope = a.integer("x_tile"), a.integer("dy_tile")
    zero = [fn.constant(w.vector, 0.0)] * (w.spec.channels * w.spec.vectors)
    with fn.counted(0, tiles, carry=zero) as t:
        total = list(t.carried)
        here, there = x + t.index * pixel, dy + t.index * slope
        fn.fence()
        vectors = [fn.load(w.vector, there + v * w.vector.bytes) for v in range(w.spec.vectors)]
        for c in range(w.spec.channels):
            value = fn.splat(fn.load(w.scalar, here + c * w.size), w.lanes)
            for v, vector in enumerate(vectors):
                k = c * w.spec.vectors + v
                total[k] = fn.fma(vector, value, total[k])
        t.carry_on(total)
    places = [sums + k * w.vector.bytes for k in range(len(zero))]
    with fn.when(first > 0):
        for value, place in zip(t.results, places, strict=True):
            fn.store(value, place)
    with fn.when(first.equals(0)):
        for value, place in zip(t.results, places, strict=True):
            fn.store(fn.load(w.vector, place) + value, place)


def _emit_sums(w: Writer) -> None:
    """All sums of some outputs and channels over some tiles, in chains. The last block of channels is moved back."""
    names = [(name, I64) for name in ("blocks", "channels", "tiles", "first")]
    fn, a, args = w.function("sums", [("x", PTR), ("dy", PTR), *names])
    args_, scratch, x, dy, blocks, channels, tiles, first = args
    chain, across = a.integer("chain"), w.spec.channels
    with fn.loop(0, POSITIONS) as position:
        pixels, slopes = x + position * a.integer("x_position"), dy + position * a.integer("dy_position")
        place = scratch + a.integer("at_sums") + position * a.integer("sums_position")
        with fn.loop(0, tiles, chain) as t:
            count, fresh = chain.minimum(tiles - t), fn.select(t.equals(0), first, fn.index(0))
            with fn.loop(0, blocks) as block, fn.loop(0, channels, across) as c:
                at = c.minimum(channels - across)
                here = pixels + t * a.integer("x_tile") + at * w.size
                there = slopes + t * a.integer("dy_tile") + block * w.block_bytes
                sums = place + (block * _channel_blocks(w, channels) + c // across) * w.place_bytes
                fn.call("products", VOID, [args_, scratch, here, there, sums, count, fresh])


def _channel_blocks(w: Writer, channels: Value) -> Value:
    return (channels + (w.spec.channels - 1)) // w.spec.channels


# ---------------------------------------------------------------- taps


def _emit_taps(w: Writer) -> None:
    """``taps``: nine taps of a vector of outputs and a channel, from the 36 sums."""
    fn, a, (_, scratch, sums, target) = w.function("taps", [("sums", PTR), ("target", PTR)])
    matrix: Matrix = list(zip(*of_weights(), strict=True))
    step, factors, vector = a.integer("sums_position"), scales(), w.vector
    down = fn.stack(TAPS * INPUTS * vector.bytes)
    for j in range(INPUTS):
        values = [
            fn.load(vector, sums + step * (i * INPUTS + j)) * float(factors[i] * factors[j]) for i in range(INPUTS)
        ]
        for i, value in enumerate(times(fn, matrix, values)):
            fn.store(value, down + (i * INPUTS + j) * vector.bytes)
        fn.fence()
    for i in range(TAPS):
        values = [fn.load(vector, down + (i * INPUTS + j) * vector.bytes) for j in range(INPUTS)]
        for j, value in enumerate(times(fn, matrix, values)):
            fn.store(value, target + (i * TAPS + j) * vector.bytes)
        fn.fence()


def _emit_finish(w: Writer) -> None:
    """``finish``: the taps of some blocks of outputs, from number ``begin`` on, and of some channels."""
    names = [(name, I64) for name in ("begin", "blocks", "channels")]
    fn, a, (args_, scratch, out, begin, blocks, channels) = w.function("finish", [("out", PTR), *names])
    lines, pitch, across = scratch + a.integer("at_taps"), a.integer("taps_pitch"), w.spec.channels
    with fn.loop(0, blocks) as block:
        place = scratch + a.integer("at_sums") + block * _channel_blocks(w, channels) * w.place_bytes
        with fn.loop(0, channels, across) as c, fn.loop(0, across) as q:
            sums = place + (c + q) * w.block_bytes
            line = lines + (c.minimum(channels - across) + q) * (SQUARE * w.vector.bytes)
            for v in range(w.spec.vectors):
                fn.call("taps", VOID, [args_, scratch, sums + v * w.vector.bytes, line + v * pitch])
        for v in range(w.spec.vectors):
            output = ((begin + block) * w.spec.vectors + v) * w.lanes
            rest = a.integer("outputs") - output
            with fn.when(rest > 0):
                place, row = out + output * a.integer("out_row"), a.integer("out_row")
                given = [lines + v * pitch, channels * SQUARE, place, row, rest.minimum(w.lanes)]
                fn.call("put_rows", VOID, [*given, scratch + a.integer("at_spare"), a.integer("adding")])


# ---------------------------------------------------------------- units


def _output_range(a: Record, number: Value) -> tuple[Value, Value]:
    """(first block, how many) of a range of outputs."""
    begin = number * a.integer("output_range")
    return begin, (a.integer("output_blocks") - begin).minimum(a.integer("output_range"))


def _emit_part(w: Writer) -> None:
    """A unit of some strips: tiles of a few of them at a time are transformed, then multiplied."""
    fn = w.module.function("slopes", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, scratch, unit = fn.args
    a = Record(fn, args, FIELDS)
    ranges, groups, parts = a.integer("output_ranges"), a.integer("groups"), a.integer("parts")
    (begin, blocks), rest = _output_range(a, unit % ranges), unit // ranges
    group, part = rest % groups, rest // groups
    start, stop = part * a.integer("strips") // parts, (part + 1) * a.integer("strips") // parts
    x, dy, channels = scratch + a.integer("at_x"), scratch + a.integer("at_dy"), a.integer("channels")
    whole = fn.index(0), a.integer("x_blocks")
    vectors = begin * w.spec.vectors, (begin + blocks) * w.spec.vectors
    with fn.loop(start, stop, a.integer("together")) as several:
        after = (several + a.integer("together")).minimum(stop)
        base = _tiles_before(fn, a, several)
        with fn.loop(several, after) as strip:
            at = _tiles_before(fn, a, strip) - base
            panel = x + at * a.integer("x_tile")
            fn.call("enter_x", VOID, [args, scratch, panel, group, fn.index(0), *whole, strip])
            panel = dy + at * a.integer("dy_tile")
            fn.call("enter_dy", VOID, [args, scratch, panel, group, vectors[0], *vectors, strip])
        tiles = _tiles_before(fn, a, after) - base
        first = fn.select(several.equals(start), fn.index(1), fn.index(0))
        fn.call("sums", VOID, [args, scratch, x, dy, blocks, channels, tiles, first])
    out = a.address("out") + part * a.integer("out_part") + group * a.integer("out_group")
    fn.call("finish", VOID, [args, scratch, out, begin, blocks, channels])


def _tiles_before(fn: Function, a: Record, strip: Value) -> Value:
    return fn.load(I64, a.address("strip_at") + strip * 8)


def _emit_tiles(w: Writer) -> None:
    """``tiles``: a unit of one strip, of a share of the channels of one of the two arrays, into its panel."""
    fn = w.module.function("tiles", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, scratch, unit = fn.args
    a = Record(fn, args, FIELDS)
    shares = a.integer("x_shares") + a.integer("dy_shares")
    share, rest = unit % shares, unit // shares
    strip, group = rest % a.integer("strips") + a.integer("first_strip"), rest // a.integer("strips")
    at = _tiles_before(fn, a, strip) - _tiles_before(fn, a, a.integer("first_strip"))
    for name in ("x", "dy"):
        own = share if name == "x" else share - a.integer("x_shares")
        with fn.when((own >= 0) & (own < a.integer(f"{name}_shares"))):
            begin = own * a.integer(f"{name}_share")
            end = (begin + a.integer(f"{name}_share")).minimum(a.integer(f"{name}_blocks"))
            panel = a.address(f"{name}_panel") + group * a.integer(f"{name}_panel_group")
            panel = panel + at * a.integer(f"{name}_tile")
            fn.call(f"enter_{name}", VOID, [args, scratch, panel, group, fn.index(0), begin, end, strip])


def _emit_range(w: Writer) -> None:
    """A unit of some outputs and channels: their sums over all tiles."""
    fn = w.module.function("slopes", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, scratch, unit = fn.args
    a = Record(fn, args, FIELDS)
    ranges = a.integer("channel_ranges")
    number, rest = unit % ranges, unit // ranges
    first = number * a.integer("channel_range")
    channels = (a.integer("channels") - first).minimum(a.integer("channel_range"))
    output_range, group = rest % a.integer("output_ranges"), rest // a.integer("output_ranges")
    begin, blocks = _output_range(a, output_range)
    x = a.address("x_panel") + group * a.integer("x_panel_group") + number * a.integer("x_range")
    dy = a.address("dy_panel") + group * a.integer("dy_panel_group") + output_range * a.integer("dy_range")
    before = a.integer("first_strip")
    tiles = _tiles_before(fn, a, before + a.integer("strips")) - _tiles_before(fn, a, before)
    fn.call("sums", VOID, [args, scratch, x, dy, blocks, channels, tiles, fn.index(1)])
    out = a.address("out") + group * a.integer("out_group") + first * (SQUARE * w.size)
    fn.call("finish", VOID, [args, scratch, out, begin, blocks, channels])
