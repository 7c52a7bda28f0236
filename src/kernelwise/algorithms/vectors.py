"""What generated code does with whole vectors, whatever it computes: turn squares, fold lanes together, copy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..jit.ir import Function
from ..jit.types import Type
from ..jit.values import Value

COPY_BYTES = 32  # a piece of what is copied


def transpose(fn: Function, rows: Sequence[Value]) -> list[Value]:
    """As many vectors as they have lanes, rows made columns."""
    lanes, values = len(rows), list(rows)
    index, step = np.arange(lanes), lanes // 2
    while step:
        moved = list(values)
        low = np.where(index & step, lanes + index - step, index)
        high = np.where(index & step, lanes + index, index + step)
        for i in range(lanes):
            if not i & step:
                a, b = values[i], values[i + step]
                moved[i] = fn.shuffle(a, b, low.tolist())
                moved[i + step] = fn.shuffle(a, b, high.tolist())
        values, step = moved, step // 2
    return values


def fold(fn: Function, vector: Value, join: Callable[[Value, Value], Value]) -> Value:
    """All lanes joined into one number: half of them onto the other half, again and again."""
    while vector.type.lanes > 2:
        half = vector.type.lanes // 2
        vector = join(fn.shuffle(vector, vector, range(half)), fn.shuffle(vector, vector, range(half, 2 * half)))
    first, second = (fn.emit(vector.type.scalar, f"extractelement {vector.typed}, i64 {lane}") for lane in (0, 1))
    return join(first, second)


def copy_numbers(fn: Function, kind: Type, source: Value, target: Value, n: Value) -> None:
    """n numbers, in pieces of COPY_BYTES, the last one moved back so that it ends at n; fewer than a piece singly."""
    piece = COPY_BYTES // kind.bytes
    with fn.when(n >= piece), fn.loop(0, n, piece) as c:
        at = c.minimum(n - piece) * kind.bytes
        fn.store(fn.load(kind.of(piece), source + at), target + at)
    with fn.when(n < piece), fn.loop(0, n) as c:
        fn.store(fn.load(kind, source + c * kind.bytes), target + c * kind.bytes)
