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
    from .direct_code import Writer
    from .winograd_code import Writer as WinogradWriter

Limits = tuple[Value | None, Value | None]  # the lowest and the highest result, in all lanes


def write(w: Writer, fn: Function, a: Record, sums: Sequence[Value], given: tuple[Value, Value, Value, Value]) -> None:
    """The results of a block. ``given``: how many bytes into the result it lies, how many of its channels are its own,
    a place for the sums, and a spare one for channels that do not exist, as long as a vector.

    All vectors of channels but the first one wait in memory: turning one takes most registers.
    """
    at, valid, room, spare = given
    limits = both_limits(w, fn, a)
    out = Arrays(fn, a.address("result") + at)
    if w.spec.residual:
        out = Arrays(fn, out.result, a.address("residual") + at, limits)
    channel, column = a.integer("result_channel"), a.integer("result_column")
    first, *others = (sums[v :: w.spec.vectors] for v in range(w.spec.vectors))
    places = [room + k * w.vector.bytes for k in range(len(first) * len(others))]
    for place, value in zip(places, (value for values in others for value in values), strict=True):
        fn.store(value, place, align=w.vector.bytes)
    for v in range(w.spec.vectors):
        values = list(first)
        if v:
            fn.fence()
            held = places[(v - 1) * len(first) :][: len(first)]
            values = [fn.load(w.vector, place, align=w.vector.bytes) for place in held]
        if not w.spec.residual:
            values = [limited(fn, value, limits) for value in values]
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
    limits: Limits = (None, None)

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
        fn.store(limited(fn, value, self.limits), self.result)

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
            fn.store_masked(limited(fn, value, self.limits), self.result, mask)
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


def both_limits(w: Writer | WinogradWriter, fn: Function, a: Record) -> Limits:
    """The lowest and the highest result, in all lanes, as far as there are any."""
    wanted = ("floor", w.spec.floor), ("ceiling", w.spec.ceiling)
    floor, ceiling = (fn.splat(fn.load(w.scalar, a.at(name)), w.lanes) if has else None for name, has in wanted)
    return floor, ceiling


def limited(fn: Function, value: Value, limits: Limits) -> Value:
    """A vector kept between two others, of which it may need the first lanes only; a NaN stays one."""
    floor, ceiling = (limit and _first_lanes(fn, limit, value.type.lanes) for limit in limits)
    if floor:
        value = fn.select(value < floor, floor, value)
    if ceiling:
        value = fn.select(value > ceiling, ceiling, value)
    return value


def _first_lanes(fn: Function, value: Value, lanes: int) -> Value:
    if lanes == 1:
        return lane(fn, value, 0)
    return value if lanes == value.type.lanes else fn.shuffle(value, value, range(lanes))


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
            place = out.moved(channel * k + first * w.size)
            place = place if w.spec.whole else place.where(rest > k, spare)
            place.put_first(row, len(part))
