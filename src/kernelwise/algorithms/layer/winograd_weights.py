"""Weights transformed: [group][block of outputs][position][block of channels][lane][output in the block]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...jit.types import I64, PTR, VOID
from ...jit.values import Record
from .winograd import INPUTS, POSITIONS, TAPS, of_weights, scales, times

if TYPE_CHECKING:
    from .winograd_code import Writer

PACK_FIELDS = (
    *("given", "packed", "channels"),
    # a unit: ((group * blocks + block) * vectors + vector) * pieces + piece, a piece being a block of channels
    *("blocks", "pieces", "given_group", "given_channel", "output_offsets", "tap_offsets", "dense"),
    *("tap_planes", "packed_block", "packed_position"),
)
SQUARE = TAPS * TAPS


def emit(w: Writer) -> None:
    """``pack``: one vector of outputs, one block of channels (of one plane of taps after the other)."""
    fn = w.module.function("pack", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, scratch, unit = fn.args
    a = Record(fn, args, PACK_FIELDS)
    pieces, vectors, planes = a.integer("pieces"), w.spec.vectors, a.integer("tap_planes")
    piece, rest = unit % pieces, unit // pieces
    v, rest = rest % vectors, rest // vectors
    block, group = rest % a.integer("blocks"), rest // a.integer("blocks")
    first = piece * w.lanes
    count = (a.integer("channels") - first).minimum(w.lanes)
    offsets = a.address("output_offsets") + (block * vectors + v) * (w.lanes * 8)
    given = a.address("given") + group * a.integer("given_group")
    packed = a.address("packed") + rest * a.integer("packed_block") + v * w.vector.bytes
    turned = scratch + w.lanes * w.vector.bytes
    pitch, dense = fn.index(w.vector.bytes), a.integer("dense")
    taps = planes * SQUARE
    with fn.when(dense > 0):
        limit = a.integer("channels") * taps
        fn.call("turn", VOID, [given, offsets, first * taps, count * taps, limit, turned, pitch])
    with fn.when(dense.equals(0)), fn.loop(0, count) as c, fn.loop(0, taps) as tap:
        source = given + (first + c) * a.integer("given_channel") + fn.load(I64, a.address("tap_offsets") + tap * 8)
        fn.call(
            "gather",
            VOID,
            [source, offsets, fn.index(1), fn.index(0), turned + (c * taps + tap) * w.vector.bytes, pitch],
        )
    with fn.loop(0, planes) as p, fn.loop(0, count) as c:
        place = packed + ((p * pieces + piece) * w.lanes + c) * w.block_bytes
        source = turned + (c * taps + p * SQUARE) * w.vector.bytes
        fn.call("transform_weights", VOID, [source, place, a.integer("packed_position")])
    _emit_transform(w)


def _emit_transform(w: Writer) -> None:
    """Nine taps of a vector of outputs into the values at 36 positions. The scales come last: one rounding."""
    args = [("taps", PTR), ("packed", PTR), ("position", I64)]
    fn = w.module.function("transform_weights", args, internal=True)
    taps, packed, position = fn.args
    matrix, factors, vector = of_weights(), scales(), w.vector
    down = fn.stack(INPUTS * TAPS * vector.bytes)
    for j in range(TAPS):
        values = times(fn, matrix, [fn.load(vector, taps + (i * TAPS + j) * vector.bytes) for i in range(TAPS)])
        for i, value in enumerate(values):
            fn.store(value, down + (i * TAPS + j) * vector.bytes)
        fn.fence()
    for i in range(INPUTS):
        values = times(fn, matrix, [fn.load(vector, down + (i * TAPS + j) * vector.bytes) for j in range(TAPS)])
        for j, value in enumerate(values):
            fn.store(value * float(factors[i] * factors[j]), packed + position * (i * INPUTS + j))
        fn.fence()


assert POSITIONS == INPUTS * INPUTS
