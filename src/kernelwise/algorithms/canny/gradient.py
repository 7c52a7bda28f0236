"""Gradients of a block of rows: their magnitude, and what the thinning needs to know of their direction."""

from __future__ import annotations

from ...jit.ir import Function, Module
from ...jit.types import I1, I8, I16, I32, I64, PTR
from ...jit.values import Value
from ..numbers import load
from ..spec import accumulate
from .spec import BLOCK, EdgeSpec

TAN_22 = 13573  # tan(22.5 degrees) * 2^15


def emit(module: Module, spec: EdgeSpec) -> None:
    """``void gradient(ptr rows, ptr known, ptr magnitudes, ptr turns, i64 first, i64 stop)``: columns first .. stop.

    All are lists of pointers to where column 0 of a row would be. ``rows`` are BLOCK + 2 rows of pixels of each
    channel, or else BLOCK rows of gy and BLOCK of gx; of several channels that with the largest magnitude counts, the
    first of equal ones. Where ``known`` holds a zero the magnitude is infinite: nothing there is an edge, and nothing
    beside it is larger.
    """
    names = [(name, PTR) for name in ("rows", "known", "magnitudes", "turns")]
    fn = module.function("gradient", [*names, ("first", I64), ("stop", I64)], internal=True)
    rows, known, magnitudes, turns, first, stop = fn.args
    sources = [fn.load(PTR, rows + 8 * i) for i in range(spec.channels * spec.slots)]
    known_rows = [fn.load(PTR, known + 8 * r) for r in range(BLOCK)] if spec.masked else []
    outs = [fn.load(PTR, magnitudes + 8 * r) for r in range(BLOCK)]
    turn_rows = [fn.load(PTR, turns + 8 * r) for r in range(BLOCK)]
    with fn.loop(first, stop, spec.lanes) as x:
        channels = [
            _components(fn, spec, sources[c * spec.slots : (c + 1) * spec.slots], x) for c in range(spec.channels)
        ]
        for r in range(BLOCK):
            size, gy, gx = _largest(fn, spec, [next(channel) for channel in channels])
            _store_turn(fn, spec, turn_rows[r] + (x * spec.turn_bits >> 3), gy, gx)
            if spec.masked:
                inside = fn.load(I8.of(spec.lanes), known_rows[r] + x).differs(0)
                size = fn.select(inside, size, float("inf"))
            fn.store(size, outs[r] + x * spec.magnitude.bytes)


def _components(fn: Function, spec: EdgeSpec, rows: list[Value], x: Value):  # type: ignore[no-untyped-def]
    """(gy, gx) of one row after the other."""
    shift = x * spec.stored.bytes

    def pixels(row: Value, column: int) -> Value:
        return load(fn, row + shift + column * spec.stored.bytes, spec.lanes, spec.stored, spec.work)

    if spec.smooth is None:
        for gy_row, gx_row in zip(rows[:BLOCK], rows[BLOCK:], strict=True):
            yield pixels(gy_row, 0), pixels(gx_row, 0)
        return
    side, middle = spec.smooth
    differences: list[Value] = []
    sums: list[Value] = []
    for t, row in enumerate(rows):
        left, here, right = (pixels(row, column) for column in (-1, 0, 1))
        differences.append(right - left)
        sums.append(accumulate(fn, accumulate(fn, None, left + right, side), here, middle))
        if t >= 2:
            gx = accumulate(fn, None, differences[t - 2] + differences[t], side)
            yield sums[t] - sums[t - 2], accumulate(fn, gx, differences[t - 1], middle)


def _largest(fn: Function, spec: EdgeSpec, channels: list[tuple[Value, Value]]) -> tuple[Value, Value, Value]:
    """(magnitude, gy, gx) of the channel whose magnitude is the largest."""
    (gy, gx), *others = channels
    size = _magnitude(fn, spec, gy, gx)
    for other_gy, other_gx in others:
        other = _magnitude(fn, spec, other_gy, other_gx)
        larger = other > size
        size, gy, gx = (fn.select(larger, a, b) for a, b in ((other, size), (other_gy, gy), (other_gx, gx)))
    return size, gy, gx


def magnitude_of(fn: Function, value: Value) -> Value:
    """|value|"""
    if value.type.is_float:
        return fn.intrinsic("fabs", value.type, [value])
    return fn.call(f"llvm.abs.{value.type.mangled}", value.type, [value, fn.constant(I1, 0)])


def _magnitude(fn: Function, spec: EdgeSpec, gy: Value, gx: Value) -> Value:
    if spec.norm == "l1":
        return magnitude_of(fn, gx) + magnitude_of(fn, gy)
    if spec.exact:  # its square: a whole number too
        gx, gy = gx.to(I32, "sext"), gy.to(I32, "sext")
        return gx * gx + gy * gy
    return fn.intrinsic("sqrt", gx.type, [fn.fma(gx, gx, gy * gy)])


def _store_turn(fn: Function, spec: EdgeSpec, place: Value, gy: Value, gx: Value) -> None:
    """Masks for: nearly horizontal, nearly vertical, components of different signs. Or both components."""
    if not spec.exact:
        fn.store(gy, place)
        fn.store(gx, place + spec.lanes * spec.work.bytes)
        return
    ax, ay = magnitude_of(fn, gx), magnitude_of(fn, gy)
    twice = ax + ax  # floor(tan 22.5 ax) = 2 ax tan 22.5 2^15 / 2^16; tan 67.5 = tan 22.5 + 2
    slope = (twice.to(I32, "zext") * TAN_22 >> 16).to(I16, "trunc")
    for k, mask in enumerate((ay <= slope, ay > slope + twice, (gx ^ gy) < 0)):
        bits = fn.emit(spec.mask, f"bitcast {mask.typed} to {spec.mask.text}")
        fn.store(bits, place + k * spec.lanes // 8, align=1)
