"""Nine taps of a vector of outputs into what Winograd's algorithm multiplies with, at its 36 positions.

That is done once, when weights are packed for it, or whenever they are read: see winograd_fresh.py. The bits are the
same.
"""

from __future__ import annotations

from ...jit.ir import Module
from ...jit.types import I64, PTR, Type
from .winograd import INPUTS, TAPS, of_weights, scales, times

SQUARE = TAPS * TAPS
MANY_REGISTERS = 32  # enough to keep three columns at six points
FEW_ROWS = ((0,), (1, 2), (3, 4), (5,))  # else at these at a time: mirrored points share half of their arithmetic


def emit_transform(module: Module, vector: Type, pitch: int) -> None:
    """``transform_weights(ptr taps, ptr packed, i64 position)``: the taps are ``pitch`` bytes apart, the results
    ``position`` bytes. The scales come last: one rounding."""
    args = [("taps", PTR), ("packed", PTR), ("position", I64)]
    fn = module.function("transform_weights", args, internal=True)
    taps, packed, position = fn.args
    matrix, factors = of_weights(), scales()
    for together in [range(INPUTS)] if fn.target.registers >= MANY_REGISTERS else FEW_ROWS:
        part = [matrix[i] for i in together]
        columns = []
        for j in range(TAPS):
            column = [fn.load(vector, taps + (i * TAPS + j) * pitch) for i in range(TAPS)]
            columns.append(times(fn, part, column))
            fn.fence()
        for i, row in zip(together, zip(*columns, strict=True), strict=True):
            for j, value in enumerate(times(fn, matrix, row)):
                fn.store(value * float(factors[i] * factors[j]), packed + position * (i * INPUTS + j))
            fn.fence()
