"""From a block of sums to results: what is added to them, limits, and the way into the array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...jit.ir import Function
from ...jit.values import Record, Value
from ..vectors import transpose
from .turn import lane

if TYPE_CHECKING:
    from .code import Writer
    from .winograd_code import Writer as WinogradWriter


def write(w: Writer, fn: Function, a: Record, sums: Sequence[Value], given: tuple[Value, Value, Value]) -> None:
    """The results of a block. ``given``: how many bytes into the result it lies, how many of its channels are its own,
    and a spare place for the others, as long as a vector."""
    at, valid, spare = given
    limits = both_limits(w, fn, a)
    out = Arrays(fn, a.address("result") + at)
    if w.spec.residual:
        out = Arrays(fn, out.result, a.address("residual") + at, limits)
    channel, column = a.integer("result_channel"), a.integer("result_column")
    for v in range(w.spec.vectors):
        values = list(sums[v :: w.spec.vectors])
        if not w.spec.residual:
            values = [limited(fn, value, *limits) for value in values]
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

    def put_first(self, value: Value, count: int) -> None:
        """The first ``count`` numbers of a vector, where AVX-512 has no better way in as few pieces as powers of two
        allow; they may overlap."""
        fn, size = self.fn, value.type.element_bytes
        if count == value.type.lanes:
            self.put(value)
        elif fn.target.name == "avx512":
            mask = fn.first_lanes(value.type.lanes, count)
            if self.residual is not None:
                value = value + fn.load_masked(value.type, self.residual, mask)
            if self.limits is not None:
                value = limited(fn, value, *self.limits)
            fn.store_masked(value, self.result, mask)
        else:
            piece = 1 << (count.bit_length() - 1)
            for at in sorted({0, count - piece}):
                part = fn.shuffle(value, value, range(at, at + piece)) if piece > 1 else lane(fn, value, at)
                self.moved(at * size).put(part)

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
            place.put_first(row, len(part))
