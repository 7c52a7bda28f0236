"""Lines of lanes into rows of memory: a vector of outputs at a time becomes each output's numbers side by side."""

from __future__ import annotations

from ...jit.ir import Module
from ...jit.types import I64, PTR, Type
from ..vectors import transpose


def emit(module: Module, scalar: Type, vector: Type) -> None:
    """``put_rows(lines, count, out, step, valid, spare, adding)``: number ``i`` of row ``k`` from lane k of line i.

    There are ``count`` lines, one vector each, and ``valid`` rows, ``step`` bytes apart. ``adding``: to what is there.
    ``spare``: room for a vector, where rows go that do not exist.
    """
    args = [("lines", PTR), ("count", I64), ("out", PTR), ("step", I64), ("valid", I64), ("spare", PTR)]
    fn = module.function("put_rows", [*args, ("adding", I64)], internal=True)
    lines, count, out, step, valid, spare, adding = fn.args
    lanes, size = vector.lanes, scalar.bytes
    whole = count // lanes * lanes
    fn.store(fn.constant(vector, 0.0), spare)
    with fn.loop(0, whole, lanes) as i:
        source, target = lines + i * vector.bytes, out + i * size
        rows = transpose(fn, [fn.load(vector, source + k * vector.bytes) for k in range(lanes)])
        places = [fn.select(valid > k, target + step * k, spare) for k in range(lanes)]
        with fn.when(adding.equals(0)):
            for row, place in zip(rows, places, strict=True):
                fn.store(row, place)
        with fn.when(adding > 0):
            for row, place in zip(rows, places, strict=True):
                fn.store(fn.load(vector, place) + row, place)
    with fn.loop(whole, count) as i, fn.loop(0, valid) as k:
        number, place = fn.load(scalar, lines + i * vector.bytes + k * size), out + i * size + k * step
        before = fn.load(scalar, place)
        fn.store(fn.select(adding > 0, before + number, number), place)
