"""Numbers of many rows side by side: rows of memory read along, and written so that a vector holds one of each.

Rows are images' channels, or output channels of weights. Where they are read along, squares of them are turned in
registers; a square may begin before the numbers that are asked for, as long as it stays in the row.
"""

from __future__ import annotations

from ...jit.ir import Function, Module
from ...jit.types import I64, PTR, Type
from ...jit.values import Value
from ..vectors import transpose

TURN_ARGS = [("source", PTR), ("offsets", PTR), ("first", I64), ("count", I64), ("limit", I64)]


def emit_turn(module: Module, vector: Type) -> None:
    """``turn(source, offsets, first, count, limit, line, pitch, ahead)``: numbers first .. first + count - 1 of rows.

    Row k begins at ``source`` plus the k-th of ``offsets``, in bytes, and has ``limit`` numbers, at least a vector's,
    all of which may be read. Number ``first + i`` of all rows goes to ``line + i * pitch``. If there are fewer than a
    vector's, up to a vector's are written, and as many before the line. What lies ``ahead`` bytes on is asked for.
    """
    lanes, size = vector.lanes, vector.element_bytes
    fn = module.function("turn", [*TURN_ARGS, ("line", PTR), ("pitch", I64), ("ahead", I64)], internal=True)
    source, offsets, first, count, limit, line, pitch, ahead = fn.args
    rows = [source + fn.load(I64, offsets + 8 * k) for k in range(lanes)]
    last = (first + count.maximum(lanes) - lanes).minimum(limit - lanes)
    with fn.loop(0, count, lanes) as i:
        at = (first + i).minimum(last)
        turned = transpose(fn, [fn.load(vector, row + at * size) for row in rows])
        for row in rows:
            fn.prefetch(row + at * size + ahead)
        place = line + (at - first) * pitch
        for k, value in enumerate(turned):
            fn.store(value, place + pitch * k)


def emit_gather(module: Module, vector: Type) -> None:
    """``gather(source, offsets, count, step, line, pitch)``: numbers ``step`` bytes apart, one by one."""
    args = [("source", PTR), ("offsets", PTR), ("count", I64), ("step", I64), ("line", PTR), ("pitch", I64)]
    fn = module.function("gather", args, internal=True)
    source, offsets, count, step, line, pitch = fn.args
    with fn.loop(0, count) as i, fn.loop(0, vector.lanes) as k:
        value = fn.load(vector.scalar, source + fn.load(I64, offsets + k * 8) + i * step)
        fn.store(value, line + i * pitch + k * vector.element_bytes)


def lane(fn: Function, value: Value, number: int) -> Value:
    """One number of a vector."""
    return fn.emit(value.type.scalar, f"extractelement {value.typed}, i64 {number}")
