"""Rows of images copied into tiles: converted to the dtype of the sums, less a constant."""

from __future__ import annotations

from ..jit.ir import Function
from ..jit.types import F64
from ..jit.values import Value
from .numbers import LINE, Number, load

TOGETHER = 4  # vectors in a turn of the loop


def read_centre(fn: Function, pointer: Value, sums: Number) -> Value:
    """A float64 in memory as a number of the sums."""
    centre = fn.load(F64, pointer)
    return centre if sums.type == F64 else centre.to(sums.type, "fptrunc")


def copy_row(
    fn: Function,
    stored: Number,
    sums: Number,
    lanes: int,
    source: Value,
    step: Value,
    place: Value,
    n: Value,
    centre: Value,
) -> None:
    """n numbers, less ``centre``, that lie ``step`` bytes apart; neighbours in vectors, the last one moved back.

    What lies behind neighbours is asked for: it belongs to the next tile, and no machine guesses that.
    """
    in_vectors = fn.select(step.equals(stored.bytes) & (n >= lanes), n, 0)
    wide, together = fn.splat(centre, lanes), TOGETHER * lanes
    many = in_vectors // together * together
    with fn.loop(0, many, together) as first:
        for line in range(0, together * stored.bytes, LINE):
            fn.prefetch(source + (first + n) * stored.bytes + line)
        for t in range(0, together, lanes):
            here, there = source + (first + t) * stored.bytes, place + (first + t) * sums.bytes
            fn.store(load(fn, here, lanes, stored, sums) - wide, there)
    with fn.loop(many, in_vectors, lanes) as nearly:
        at = nearly.minimum(in_vectors - lanes)
        fn.prefetch(source + (at + n) * stored.bytes)
        fn.store(load(fn, source + at * stored.bytes, lanes, stored, sums) - wide, place + at * sums.bytes)
    with fn.loop(in_vectors, n) as k:
        fn.store(load(fn, source + k * step, 1, stored, sums) - centre, place + k * sums.bytes)
