"""Nine taps of a vector of outputs into what Winograd's algorithm multiplies with, at its 36 positions.

That is done once, when weights are packed for it, or whenever they are read: see winograd_fresh.py. The bits are the
same.
"""

from __future__ import annotations

from ...jit.ir import Function, Module
from ...jit.types import I64, PTR, Type
from ...jit.values import Value
from .winograd import INPUTS, TAPS, of_weights, scales, times

SQUARE = TAPS * TAPS
MANY_REGISTERS = 32  # enough to keep three columns at six points


def emit_transform(module: Module, vector: Type, pitch: int) -> None:
    """``transform_weights(ptr taps, ptr packed, i64 position)``: the taps are ``pitch`` bytes apart, the results
    ``position`` bytes. The scales come last: one rounding."""
    args = [("taps", PTR), ("packed", PTR), ("position", I64)]
    fn = module.function("transform_weights", args, internal=True)
    taps, packed, position = fn.args
    matrix, factors = of_weights(), scales()
    kept = fn.stack(INPUTS * TAPS * vector.bytes) if fn.target.registers < MANY_REGISTERS else None
    columns = [_column(fn, vector, taps + j * pitch, pitch * TAPS, kept, j) for j in range(TAPS)]
    for i in range(INPUTS):
        row = [column[i] if kept is None else fn.load(vector, column[i]) for column in columns]
        for j, value in enumerate(times(fn, matrix, row)):
            fn.store(value * float(factors[i] * factors[j]), packed + position * (i * INPUTS + j))
        fn.fence()


def _column(fn: Function, vector: Type, taps: Value, pitch: int, kept: Value | None, number: int) -> list[Value]:
    """A column of taps at all points: the values, or their places in memory where there are few registers."""
    values = times(fn, of_weights(), [fn.load(vector, taps + i * pitch) for i in range(TAPS)])
    if kept is not None:
        places = [kept + (number * INPUTS + i) * vector.bytes for i in range(INPUTS)]
        for value, place in zip(values, places, strict=True):
            fn.store(value, place)
        values = places
    fn.fence()
    return values
