"""Winograd's algorithm with weights that are transformed whenever they are read.

Transformed weights are four times as many numbers. Of a layer with many channels and few pixels they do not fit the
caches, and are read once for a handful of tiles: to make them anew, some channels at a time, then takes less time than
to read them, from weights that are packed as they are. Nothing else changes: sums are taken in the same order, over
the same numbers, so the results have the same bits.

    fresh    [position][channel][lanes]    the transformed weights of FRESH_BYTES / (36 lanes) channels
    held     [position][tile][lanes]       sums of the chain that is being added up
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...jit.ir import Function
from ...jit.target import Target
from ...jit.types import I64, PTR, VOID
from ...jit.values import Value
from ..memory import ALIGN
from .winograd import POSITIONS, WinogradSpec
from .winograd_weights import MANY_REGISTERS, SQUARE, emit_transform

if TYPE_CHECKING:
    from .winograd_code import Writer

FRESH_BYTES = 40 << 10  # of transformed weights at a time: they stay in the first-level cache
ENOUGH_SUMS = 14  # vectors of sums: two multiply-adds begin in a cycle, and each takes four; and some room


def channels_together(spec: WinogradSpec, target: Target) -> int:
    """Channels whose weights are transformed at a time: a whole part of a vector of them."""
    together = target.lanes(spec.number.bytes)
    while together > 1 and POSITIONS * together * spec.vectors * target.vector_bytes > FRESH_BYTES:
        together //= 2
    return together


def positions_together(spec: WinogradSpec, target: Target) -> int:
    """Positions whose sums are in registers at a time: with few tiles, one position's sums wait for each other."""
    sums = len(spec.pixels) * spec.vectors
    fits = [n for n in (1, 2, 3) if n * sums + spec.vectors + 2 <= target.registers]
    return next((n for n in fits if n * sums >= ENOUGH_SUMS), fits[-1])


def emit(w: Writer) -> None:
    """``fresh_products``: all products of some tiles with a block of outputs, whose weights are packed as they are."""
    emit_transform(w.module, w.vector, w.block_bytes)
    _emit_refresh(w)
    _emit_stretch(w)
    _emit_sums(w)
    together = channels_together(w.spec, w.module.target)
    fn, a, args = w.function("fresh_products", [("weights", PTR), ("tiles", I64)])
    args_, scratch, weights, tiles = args
    every, chain, blocks = a.integer("all_blocks"), a.integer("chain"), a.integer("channel_blocks")
    with fn.loop(0, every, chain) as first:
        fn.call("open_chain", VOID, [args_, scratch, tiles])
        with fn.loop(first, (first + chain).minimum(every)) as b:
            plane, block = b // blocks, b % blocks
            real = a.integer("channels") - block * w.lanes
            with fn.loop(0, real.minimum(w.lanes), together) as c:
                channel = (block * w.lanes + c) * a.integer("tap_planes") + plane
                source = weights + channel * (SQUARE * w.block_bytes)
                fn.call("refresh", VOID, [args_, scratch, source, (real - c).minimum(together)])
                x = scratch + a.integer("at_tiles") + b * a.integer("tile_block") + c * w.size
                following = source + together * a.integer("tap_planes") * (SQUARE * w.block_bytes)
                fn.call("stretch", VOID, [args_, scratch, x, tiles, following])
        fn.call("close_chain", VOID, [args_, scratch, tiles, first])


def _emit_refresh(w: Writer) -> None:
    """``refresh``: the weights of ``count`` channels transformed; behind them zeros, as for channels that only fill a
    vector up."""
    fn, a, args = w.function("refresh", [("weights", PTR), ("count", I64)])
    _, scratch, weights, count = args
    made, position = scratch + a.integer("at_fresh"), a.integer("fresh_position")
    each = a.integer("tap_planes") * (SQUARE * w.block_bytes)
    with fn.loop(0, count) as c:
        for v in range(0, w.block_bytes, w.vector.bytes):
            fn.call("transform_weights", VOID, [weights + c * each + v, made + c * w.block_bytes + v, position])
    with fn.loop(count, channels_together(w.spec, w.module.target)) as c, fn.loop(0, POSITIONS) as p:
        for v in range(0, w.block_bytes, w.vector.bytes):
            fn.store(fn.constant(w.vector, 0.0), made + p * position + c * w.block_bytes + v)


def _emit_stretch(w: Writer) -> None:
    """``stretch``: the products of the channels whose weights are fresh, added to the chain's sums, for all tiles and
    positions. The last block of tiles may reach beyond them, into memory that is the worker's own. Meanwhile the
    weights that ``follow`` are asked for."""
    fn, a, args = w.function("stretch", [("x", PTR), ("tiles", I64), ("follow", PTR)])
    _, scratch, x, tiles, follow = args
    fresh, held = (scratch + a.integer(name) for name in ("at_fresh", "at_held"))
    places = range(0, len(w.spec.pixels) * w.block_bytes, w.vector.bytes)
    beside = positions_together(w.spec, w.module.target)
    lines = -(-channels_together(w.spec, w.module.target) * SQUARE * w.block_bytes * beside // (ALIGN * POSITIONS))
    with fn.loop(0, POSITIONS, beside) as first:
        for line in range(lines):
            fn.prefetch(follow + (first // beside * lines + line) * ALIGN)
        positions = [first + k for k in range(beside)]
        with fn.loop(0, tiles, len(w.spec.pixels)) as t:
            xs = [x + p * a.integer("tile_position") + t * w.vector.bytes for p in positions]
            weights = [fresh + p * a.integer("fresh_position") for p in positions]
            sums = [held + p * a.integer("product_position") + t * w.block_bytes for p in positions]
            _add_products(w, fn, xs, weights, [here + k for here in sums for k in places])


def _add_products(w: Writer, fn: Function, xs: list[Value], weights: list[Value], places: list[Value]) -> None:
    """Those of a block of tiles, at some positions, added to the sums at ``places``. Where registers are few, so are
    these products: a loop over the channels would take as long as they do."""
    each = len(places) // len(xs)
    start = [fn.load(w.vector, place) for place in places]
    together = channels_together(w.spec, w.module.target)
    unroll = together if fn.target.registers < MANY_REGISTERS else w.unroll
    with fn.counted(0, together, unroll, carry=start) as c:
        totals = [c.carried[k : k + each] for k in range(0, len(places), each)]
        for u in range(unroll):
            for x, ws, total in zip(xs, weights, totals, strict=True):
                w.multiply(fn, x + (c.index + u) * w.size, ws + (c.index + u) * w.block_bytes, total)
        c.carry_on([value for total in totals for value in total])
    for value, place in zip(c.results, places, strict=True):
        fn.store(value, place)


def _emit_sums(w: Writer) -> None:
    """``open_chain``: its sums are zero. ``close_chain``: they are added to those of the chains before, if there are
    any."""
    for name, extra in (("open_chain", []), ("close_chain", [("first", I64)])):
        fn, a, args = w.function(name, [("tiles", I64), *extra])
        scratch, tiles = args[1:3]
        held, out = (scratch + a.integer(name) for name in ("at_held", "at_products"))
        whole = up_to_blocks(fn, w, tiles) * w.block_bytes
        with fn.loop(0, POSITIONS) as position, fn.loop(0, whole, w.vector.bytes) as k:
            here = position * a.integer("product_position") + k
            if not extra:
                fn.store(fn.constant(w.vector, 0.0), held + here)
            else:
                total = fn.load(w.vector, held + here)
                before = fn.load(w.vector, out + here)
                fn.store(fn.select(args[3].equals(0), total, before + total), out + here)


def up_to_blocks(fn: Function, w: Writer, tiles: Value) -> Value:
    """Tiles in whole blocks."""
    together = len(w.spec.pixels)
    return (tiles + (together - 1)) // together * together
