"""From a block of sums to results: bias, what is added to them, limits, and the way into the array."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...jit.ir import Function
from ...jit.types import I64, PTR
from ...jit.values import Record, Value
from ..vectors import transpose
from .turn import lane

if TYPE_CHECKING:
    from .code import Writer
    from .winograd_code import Writer as WinogradWriter


def emit(w: Writer) -> None:
    """``finish``: the block ``at`` bytes into the result; ``valid`` of its channels are its own."""
    args = [("args", PTR), ("sums", PTR), ("bias", PTR), ("at", I64), ("valid", I64), ("spare", PTR)]
    fn = w.module.function("finish", args, internal=True)
    arguments, sums, bias, at, valid, spare = fn.args
    a = w.record(fn, arguments)
    residual = a.address("residual") + at if w.spec.residual else None
    out = Arrays(fn, a.address("result") + at, residual, both_limits(w, fn, a))
    channel, column = a.integer("result_channel"), a.integer("result_column")
    for v in range(w.spec.vectors):
        shift = fn.load(w.vector, bias + v * w.vector.bytes)
        places = (sums + (q * w.spec.vectors + v) * w.vector.bytes for q in range(len(w.spec.pixels)))
        values = [fn.load(w.vector, place, align=w.vector.bytes) + shift for place in places]
        rest = valid - v * w.lanes
        if w.spec.channels_last:
            _store_pixels(w, out.moved(v * w.vector.bytes), values, column, rest)
        else:
            here, dense = out.moved(channel * (v * w.lanes)), column.equals(w.size)
            with fn.when(dense):
                _store_channels(w, here, values, channel, rest, spare)
            with fn.when(dense.equals(0)):
                _store_apart(w, here, values, channel, column, rest)


@dataclass(frozen=True)
class Arrays:
    """Places in the result, and the same ones in the array that is added to it, if there is one."""

    fn: Function
    result: Value
    residual: Value | None = None
    limits: tuple[Value, Value] | None = None  # the lowest and the highest result, in all lanes

    def moved(self, by: Value | int) -> Arrays:
        """So many bytes further."""
        residual = None if self.residual is None else self.residual + by
        return replace(self, result=self.result + by, residual=residual)

    def where(self, condition: Value, spare: Value) -> Arrays:
        """These places if the condition holds, else a spare one: what is written there, nobody reads."""
        residual = None if self.residual is None else self.fn.select(condition, self.residual, spare)
        return replace(self, result=self.fn.select(condition, self.result, spare), residual=residual)

    def put(self, value: Value) -> None:
        """Numbers side by side: what the residual holds there is added, limits are kept, and they are stored."""
        fn = self.fn
        if self.residual is not None:
            value = value + fn.load(value.type, self.residual)
        if self.limits is not None:
            value = limited(fn, value, *self.limits)
        fn.store(value, self.result)

    def put_some(self, slot: Value, value: Value, count: Value, step: Value | int) -> None:
        """The first ``count`` lanes of a vector, ``step`` bytes apart, one by one, by way of a slot on the stack."""
        fn, kind = self.fn, value.type.scalar
        fn.store(value, slot)
        with fn.loop(0, count) as k:
            self.moved(k * step).put(fn.load(kind, slot + k * kind.bytes))


def both_limits(w: Writer | WinogradWriter, fn: Function, a: Record) -> tuple[Value, Value]:
    """The lowest and the highest result, in all lanes."""
    floor, ceiling = (fn.splat(fn.load(w.scalar, a.at(name)), w.lanes) for name in ("floor", "ceiling"))
    return floor, ceiling


def limited(fn: Function, value: Value, floor: Value, ceiling: Value) -> Value:
    """A vector kept between two others, of which it may need the first lanes only; a NaN stays one."""
    if value.type.lanes == 1:
        floor, ceiling = lane(fn, floor, 0), lane(fn, ceiling, 0)
    elif value.type.lanes < floor.type.lanes:
        floor, ceiling = (fn.shuffle(limit, limit, range(value.type.lanes)) for limit in (floor, ceiling))
    value = fn.select(value < floor, floor, value)
    return fn.select(value > ceiling, ceiling, value)


def _store_pixels(w: Writer, out: Arrays, values: list[Value], column: Value, rest: Value) -> None:
    """Channels side by side: a vector a pixel, or as much of it as there is."""
    fn = out.fn
    with fn.when(rest >= w.lanes):
        for q, value in enumerate(values):
            out.moved(column * q).put(value)
    slot = fn.stack(w.vector.bytes)
    with fn.when((rest > 0) & (rest < w.lanes)):
        for q, value in enumerate(values):
            out.moved(column * q).put_some(slot, value, rest, w.size)


def _store_apart(w: Writer, out: Arrays, values: list[Value], channel: Value, column: Value, rest: Value) -> None:
    """Neither pixels nor channels side by side: one by one."""
    slot = out.fn.stack(w.vector.bytes)
    for q, value in enumerate(values):
        out.moved(column * q).put_some(slot, value, rest.minimum(w.lanes), channel)


def _store_channels(w: Writer, out: Arrays, values: list[Value], channel: Value, rest: Value, spare: Value) -> None:
    """Pixels side by side: squares are turned; channels that do not exist go to a spare place."""
    fn = out.fn
    for first in range(0, len(values), w.lanes):
        part = values[first : first + w.lanes]
        square = part + [part[-1]] * (w.lanes - len(part))
        for k, row in enumerate(transpose(fn, square)):
            place = out.moved(channel * k + first * w.size).where(rest > k, spare)
            _store_part(w, place, row, len(part))


def _store_part(w: Writer, out: Arrays, value: Value, count: int) -> None:
    """The first numbers of a vector, in as few stores as powers of two allow; pieces may overlap."""
    fn = out.fn
    if count == w.lanes:
        out.put(value)
        return
    piece = 1 << (count.bit_length() - 1)
    for at in sorted({0, count - piece}):
        part = fn.shuffle(value, value, range(at, at + piece)) if piece > 1 else lane(fn, value, at)
        out.moved(at * w.size).put(part)
