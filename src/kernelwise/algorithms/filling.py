"""Rows of images copied into tiles: converted to the dtype of the sums, less a constant."""

from __future__ import annotations

from ..jit.ir import Function
from ..jit.types import F64
from ..jit.values import Value
from .numbers import Number, load
from .spec import columns


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
    wide = fn.splat(centre, lanes)
    with columns(fn, in_vectors, lanes) as k:
        fn.prefetch(source + (k + n) * stored.bytes)
        fn.store(load(fn, source + k * stored.bytes, lanes, stored, sums) - wide, place + k * sums.bytes)
    with fn.loop(in_vectors, n) as k:
        fn.store(load(fn, source + k * step, 1, stored, sums) - centre, place + k * sums.bytes)
