"""Weights as routines read them, made by generated code: a layer that trains has new ones at every step.

Plain: [group][block of outputs][channel][tap][output in the block]. For Winograd's algorithm:
[group][block of outputs][position][plane of taps][channel, in whole vectors][output in the block].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...jit import pool
from ...jit.compile import Code, build
from ...jit.ir import Function, Module
from ...jit.target import Target
from ...jit.types import I64, PTR, VOID, Type
from ...jit.values import Record, Value
from .. import spare
from ..launch import Sheet
from ..numbers import Number
from .plan import Launch
from .turn import emit_gather, emit_turn
from .winograd import POSITIONS
from .winograd_weights import SQUARE, emit_transform

FIELDS = (
    *("given", "packed", "channels", "taps", "tap_planes"),
    # a unit: ((group * blocks + block) * vectors + vector) * pieces + piece, a piece being a vector's channels
    *("blocks", "pieces", "given_group", "given_channel", "output_offsets", "tap_offsets", "reading"),
    *("packed_block", "packed_position"),
    # where taps follow each other output by output: the first one, whether they run backwards, and how many channels at
    # either end of a piece are read one by one
    *("low", "backwards", "ends"),
)
# how weights are read: one by one; all channels of an output in one go; all outputs of a channel in one go
SINGLY, ALONG, ACROSS = range(3)
AHEAD = 1024  # bytes of a row that are asked for before their turn


@dataclass(frozen=True)
class WeightsSpec:
    """Everything that changes the generated code of a routine that packs."""

    number: Number
    vectors: int  # of output channels in a block
    winograd: bool
    algorithm: str = "weights"


def emit(target: Target, spec: WeightsSpec) -> Module:
    """A module with the function ``pack`` for the pool: one vector of outputs, one piece of the channels."""
    module = Module(target)
    lanes = target.lanes(spec.number.bytes)
    vector = spec.number.type.of(lanes)
    emit_turn(module, vector)
    emit_gather(module, vector)
    if spec.winograd:
        emit_transform(module, vector, vector.bytes)
    fn = module.function("pack", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, scratch, unit = fn.args
    a = Record(fn, args, FIELDS)
    pieces, taps = a.integer("pieces"), a.integer("taps")
    piece, rest = unit % pieces, unit // pieces
    v, rest = rest % spec.vectors, rest // spec.vectors
    block, group = rest % a.integer("blocks"), rest // a.integer("blocks")
    first = piece * lanes
    count = (a.integer("channels") - first).minimum(lanes)
    offsets = a.address("output_offsets") + (block * spec.vectors + v) * (lanes * 8)
    given = a.address("given") + group * a.integer("given_group")
    packed = a.address("packed") + rest * a.integer("packed_block") + v * vector.bytes
    pitch = spec.vectors * vector.bytes
    if spec.winograd:
        turned = scratch + lanes * vector.bytes
        _read(fn, a, vector, given, offsets, first, count, turned, fn.index(vector.bytes))
        with fn.loop(0, a.integer("tap_planes")) as p, fn.loop(0, count) as c:
            place = packed + ((p * pieces + piece) * lanes + c) * pitch
            source = turned + (c * taps + p * SQUARE) * vector.bytes
            fn.call("transform_weights", VOID, [source, place, a.integer("packed_position")])
        with fn.loop(0, a.integer("tap_planes")) as p, fn.loop(count, lanes) as c, fn.loop(0, POSITIONS) as position:
            place = packed + ((p * pieces + piece) * lanes + c) * pitch + position * a.integer("packed_position")
            fn.store(fn.constant(vector, 0.0), place)
    else:
        _read(fn, a, vector, given, offsets, first, count, packed + first * taps * pitch, fn.index(pitch))
    return module


def _read(fn: Function, a: Record, vector: Type, given: Value, offsets: Value, *rest: Value) -> None:
    """Taps of some channels, one after the other, of a vector of outputs each."""
    first, count, line, pitch = rest
    taps, reading = a.integer("taps"), a.integer("reading")
    with fn.when(reading.equals(ALONG)):
        limit = a.integer("channels") * taps
        fn.call("turn", VOID, [given, offsets, first * taps, count * taps, limit, line, pitch, fn.index(AHEAD)])
    with fn.when(reading.differs(ALONG)):
        across = reading.equals(ACROSS)
        begin = fn.select(across, a.integer("ends").minimum(count), count)
        end = fn.select(across, (count - a.integer("ends")).maximum(begin), count)
        channel = a.integer("given_channel")
        _read_across(fn, a, vector.lanes, given + first * channel, offsets, begin, end, line, pitch)
        for start, stop in ((fn.index(0), begin), (end, count)):
            with fn.loop(start, stop) as c:
                _read_singly(fn, a, vector, given + (first + c) * channel, offsets, line + c * taps * pitch, pitch)


def _read_across(
    fn: Function,
    a: Record,
    lanes: int,
    given: Value,
    offsets: Value,
    begin: Value,
    end: Value,
    line: Value,
    pitch: Value,
) -> None:
    """Channels ``begin`` .. ``end - 1``: the taps of a vector of outputs follow each other. A turned square has more
    numbers than taps; what it writes too much belongs to the channel that is next, or nearer to the ends."""
    taps, back, channel = a.integer("taps"), a.integer("backwards"), a.integer("given_channel")
    step = fn.select(back > 0, fn.index(0) - pitch, pitch)
    with fn.loop(begin, end) as turn:
        c = fn.select(back > 0, end - 1 - (turn - begin), turn)
        place = line + (c * taps + back * (taps - 1)) * pitch
        source = given + c * channel + a.integer("low")
        fn.call("turn", VOID, [source, offsets, fn.index(0), taps, taps.maximum(lanes), place, step, channel])


def _read_singly(
    fn: Function, a: Record, vector: Type, given: Value, offsets: Value, place: Value, pitch: Value
) -> None:
    """One channel, number by number; or its outputs as they lie side by side."""
    taps, size = a.integer("taps"), vector.element_bytes
    begin, second, end = (fn.load(I64, offsets + k * 8) for k in (0, 1, vector.lanes - 1))
    beside = taps.equals(1) & (second - begin).equals(size) & (end - begin).equals((vector.lanes - 1) * size)
    with fn.when(beside):
        fn.store(fn.load(vector, given + begin), place)
    with fn.when(beside.equals(0)), fn.loop(0, taps) as tap:
        source = given + fn.load(I64, a.address("tap_offsets") + tap * 8)
        fn.call("gather", VOID, [source, offsets, fn.index(1), fn.index(0), place + tap * pitch, pitch])


# ---------------------------------------------------------------- packing


def pack(
    spec: WeightsSpec,
    target: Target,
    weight: np.ndarray,
    groups: int,
    sizes: tuple[int, int, int],
    threads: int,
) -> np.ndarray:
    """(groups * outputs, channels, ...) of any strides, packed. ``sizes``: bytes from one block of outputs to the next,
    from one position to the next, and of all.

    Outputs beyond the last one repeat it; channels beyond the last one are zeros.
    """
    if not (weight.flags.aligned and weight.dtype.isnative):
        weight = np.require(weight, weight.dtype.newbyteorder("="), "A")
    cut = _cut(spec, target, weight.shape, weight.strides, groups, sizes)
    packed = room(sizes[2], spec.number.dtype)
    args = cut.args.copy()
    args[:2] = weight.ctypes.data, packed.ctypes.data
    pool.run(code(spec, target).address("pack"), args.ctypes.data, cut.scratch, cut.units, threads)
    return packed


@lru_cache(maxsize=512)
def _cut(
    spec: WeightsSpec,
    target: Target,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    groups: int,
    sizes: tuple[int, int, int],
) -> Launch:
    size, lanes = spec.number.bytes, target.lanes(spec.number.bytes)
    outputs, channels, kernel = shape[0] // groups, shape[1], shape[2:]
    taps, planes = math.prod(kernel), 1 if len(kernel) < 3 else kernel[0]
    blocks, pieces = -(-outputs // (spec.vectors * lanes)), -(-channels // lanes)
    sheet = Sheet(FIELDS)
    sheet.write(channels=channels, taps=taps, tap_planes=planes, blocks=blocks, pieces=pieces)
    sheet.write(given_group=strides[0] * outputs, given_channel=strides[1])
    rows = np.minimum(np.arange(blocks * spec.vectors * lanes), outputs - 1)
    sheet.point("output_offsets", rows * strides[0])
    places = np.zeros(kernel, np.int64)
    for along, step in zip(np.indices(kernel), strides[2:], strict=True):
        places += along * step
    sheet.point("tap_offsets", places.ravel())
    # turned squares are whole ones: where there is less to read, or to write, numbers go one by one
    along = channels == 1 or strides[1] == taps * size
    dense = along and bool((places.ravel() == np.arange(taps) * size).all())
    least = ((channels - 1) % lanes + 1) * taps
    reading = ALONG if dense and least >= lanes else SINGLY
    if reading == SINGLY and groups == 1 and strides[0] == taps * size and strides[1] >= outputs * strides[0]:
        low, order = int(places.min()), np.sort(places.ravel())
        steps = order - low == np.arange(taps) * size
        if steps.all() and any((places.ravel() == o).all() for o in (order, order[::-1])):
            reading = ACROSS
            sheet.write(low=low, backwards=int(places.flat[0] > low))
            sheet.write(ends=max(0, -(-(lanes - taps) // taps)) if taps > 1 else lanes)
    sheet.write(reading=reading, packed_block=sizes[0], packed_position=sizes[1])
    scratch = (2 * lanes + lanes * taps) * target.vector_bytes if spec.winograd else 0
    return Launch(sheet.args(), scratch, groups * blocks * spec.vectors * pieces, tuple(sheet.keep))


def room(size: int, dtype: np.dtype) -> np.ndarray:
    """So many bytes, beginning at a cache line; nothing is written to them. They may be left to `spare`."""
    return spare.take(size)[:size].view(dtype)


@lru_cache(maxsize=64)
def code(spec: WeightsSpec, target: Target) -> Code:
    return build(spec, lambda: emit(target, spec), target)


def forget() -> None:
    """Forget what has been made so far. Code that still runs is kept alive by its caller."""
    for made in (_cut, code):
        made.cache_clear()
