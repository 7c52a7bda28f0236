"""Products of some windows of images with each other and with results: those of the outputs that are named.

    G = sum over the chosen outputs of  f f',     f = (the window in all channels, 1, all results)

For what is to be taken out of the sums over all outputs, or for few. BATCH windows at a time are copied into rows of
scratch memory, converted to float64 and less a constant; then the product of that matrix with itself is added to the
unit's sums, by blocks of rows times two vectors that stay in registers. Units are cut by the number of outputs alone,
so the bits do not depend on threads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..jit import pool
from ..jit.compile import Code, build
from ..jit.ir import Function, Module
from ..jit.target import Target
from ..jit.types import F64, I64, PTR, VOID
from ..jit.values import Record, Value
from .filling import copy_row
from .launch import Sheet
from .memory import odd, up
from .numbers import Number, load, readable
from .routine import current_target

BATCH = 64  # windows whose products are added up in one go
ACROSS = 2  # vectors of a block
MOST_UNITS = 32
GRAM_BYTES = 16 << 20  # of the sums of all units
ROUND_WORK = 1 << 31  # multiply-adds of all units together, after which a call can be interrupted
WIDE = Number("f8")
FIELDS = (
    # the arrays, and where the first pixel of each window and its result lie in them, in bytes
    *("x", "x_channel", "x_plane", "x_row", "x_column", "x_places"),
    *("y", "y_channel", "y_places"),
    # float64: what is taken from every number of each channel
    *("x_centre", "y_centre"),
    # taps; channels; outputs that are done now: the first one, and how many; units
    *("planes", "rows", "columns", "x_channels", "y_channels", "first", "count", "units"),
    # blocks of features down and across; bytes of the features of a window
    *("left_blocks", "right_blocks", "pitch"),
    # float64 [unit][feature][feature], bytes of the first two
    *("gram", "gram_unit", "gram_row"),
)

Taps = tuple[int, int, int]


@dataclass(frozen=True)
class ChosenSpec:
    """Everything that changes the generated code."""

    x: Number  # as stored
    y: Number
    lanes: int
    down: int  # features of a block, met by ACROSS vectors of them

    @property
    def across(self) -> int:
        """Features."""
        return ACROSS * self.lanes


def chosen_windows(
    x: np.ndarray,
    y: np.ndarray,
    where: np.ndarray,
    taps: Taps,
    before: np.ndarray,
    after: np.ndarray,
    threads: int | None,
) -> np.ndarray:
    """x: (n, c, planes, rows, columns), y: (n, m, ...) with a result for each window, both real, of any strides;
    ``where``: numbers of outputs, as in y[:, 0].ravel(); ``before`` (c,) and ``after`` (m,) are taken from every pixel
    and result first.

    Returns the symmetric G, float64 (P + 1 + m, P + 1 + m), P = c * taps.

    >>> x, y = np.arange(4.0).reshape(1, 1, 1, 1, 4), np.ones((1, 1, 1, 1, 3))
    >>> chosen_windows(x, y, np.array([0, 2]), (1, 1, 2), np.zeros(1), np.zeros(1), 1)
    array([[ 4.,  6.,  2.,  2.],
           [ 6., 10.,  4.,  4.],
           [ 2.,  4.,  2.,  2.],
           [ 2.,  4.,  2.,  2.]])
    """
    x, y = readable(x), readable(y)
    size = x.shape[1] * math.prod(taps) + 1 + y.shape[1]
    if not where.size:
        return np.zeros((size, size))
    target = current_target()
    spec = _spec(Number(x.dtype.str[1:]), Number(y.dtype.str[1:]), size, target)
    room = up(size, spec.down), up(size, spec.across)
    pitch = odd(max(room) * F64.bytes)
    units = max(1, min(MOST_UNITS, where.size // (2 * BATCH), GRAM_BYTES // (8 * math.prod(room))))
    gram = np.zeros((units, *room))
    sheet = _sheet(x, y, where, taps, before, after)
    sheet.point("gram", gram)
    sheet.write(gram_unit=gram.strides[0], gram_row=gram.strides[1], units=units, pitch=pitch)
    sheet.write(left_blocks=room[0] // spec.down, right_blocks=room[1] // spec.across)
    code, count = _code(spec, target), threads or pool.threads()
    together = max(1, ROUND_WORK // size**2 // (units * BATCH)) * units * BATCH
    for first in range(0, where.size, together):
        sheet.write(first=first, count=min(together, where.size - first))
        args = sheet.args()
        pool.run(code.address("chosen"), args.ctypes.data, BATCH * pitch, units, count)
    found = gram.sum(axis=0)[:size, :size]
    return np.triu(found) + np.triu(found, 1).T


def _sheet(x: np.ndarray, y: np.ndarray, where: np.ndarray, taps: Taps, before: np.ndarray, after: np.ndarray) -> Sheet:
    sheet = Sheet(FIELDS)
    at = np.unravel_index(where, (len(y), *y.shape[2:]))
    for name, array in (("x", x), ("y", y)):
        steps = (array.strides[0], *array.strides[2:])
        places = sum((along * step for along, step in zip(at, steps, strict=True)), np.zeros(where.size, np.int64))
        sheet.point(name, array)
        sheet.point(f"{name}_places", np.ascontiguousarray(places))
        sheet.write(**{f"{name}_channel": array.strides[1], f"{name}_channels": array.shape[1]})
    sheet.point("x_centre", np.ascontiguousarray(before, np.float64))
    sheet.point("y_centre", np.ascontiguousarray(after, np.float64))
    sheet.write(**dict(zip(("x_plane", "x_row", "x_column"), x.strides[2:], strict=True)))
    sheet.write(**dict(zip(("planes", "rows", "columns"), taps, strict=True)))
    return sheet


@lru_cache(maxsize=256)
def _spec(x: Number, y: Number, size: int, target: Target) -> ChosenSpec:
    """Blocks with as many rows as the registers allow, or a few less where that leaves less over."""
    most = (target.registers - ACROSS - (1 if target.fused else 2)) // ACROSS
    down = min(range(max(1, most - 3), most + 1), key=lambda rows: (up(size, rows) * (1 + 1 / rows), -rows))
    return ChosenSpec(x, y, target.lanes(F64.bytes), down)


@lru_cache(maxsize=64)
def _code(spec: ChosenSpec, target: Target) -> Code:
    return build(spec, lambda: emit(spec, target), target)


def forget() -> None:
    """Drop all remembered code. Code that still runs is kept alive by its caller."""
    _spec.cache_clear()
    _code.cache_clear()


# ---------------------------------------------------------------- the code


def emit(spec: ChosenSpec, target: Target) -> Module:
    """A module with ``void chosen(ptr args, ptr scratch, i64 unit)``; args are FIELDS."""
    module = Module(target)
    _emit_fill(module, spec)
    _emit_block(module, spec)
    fn = module.function("chosen", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, scratch, unit = fn.args
    field = Record(fn, args, FIELDS)
    pitch, units, count = (field.integer(name) for name in ("pitch", "units", "count"))
    with fn.loop(0, pitch * BATCH, F64.bytes) as k:  # what is behind the features stays zero
        fn.store(fn.constant(F64, 0), scratch + k)
    begin, end = (field.integer("first") + u * count // units for u in (unit, unit + 1))
    gram = field.address("gram") + unit * field.integer("gram_unit")
    with fn.loop(begin, end, BATCH) as first:
        windows = (end - first).minimum(BATCH)
        with fn.loop(0, windows) as n:
            fn.call("fill", VOID, [args, scratch + n * pitch, first + n])
        with fn.loop(0, field.integer("left_blocks")) as i:
            row = gram + i * spec.down * field.integer("gram_row")
            with fn.loop(i * spec.down // spec.across, field.integer("right_blocks")) as j:
                right = j * (spec.across * F64.bytes)
                left = scratch + i * (spec.down * F64.bytes)
                fn.call("block", VOID, [args, left, scratch + right, row + right, windows * pitch])
    return module


def _emit_fill(module: Module, spec: ChosenSpec) -> None:
    """The features of one output."""
    fn = module.function("fill", [("args", PTR), ("place", PTR), ("number", I64)], internal=True)
    args, place, number = fn.args
    field = Record(fn, args, FIELDS)
    planes, rows, columns = (field.integer(name) for name in ("planes", "rows", "columns"))
    window = field.address("x") + fn.load(I64, field.address("x_places") + number * 8)
    with fn.loop(0, field.integer("x_channels")) as c, fn.loop(0, planes) as p, fn.loop(0, rows) as r:
        source = window + c * field.integer("x_channel") + p * field.integer("x_plane") + r * field.integer("x_row")
        target = place + ((c * planes + p) * rows + r) * columns * F64.bytes
        centre = fn.load(F64, field.address("x_centre") + c * F64.bytes)
        copy_row(fn, spec.x, WIDE, spec.lanes, source, field.integer("x_column"), target, columns, centre)
    one = place + field.integer("x_channels") * planes * rows * columns * F64.bytes
    fn.store(fn.constant(F64, 1.0), one)
    result = field.address("y") + fn.load(I64, field.address("y_places") + number * 8)
    with fn.loop(0, field.integer("y_channels")) as m:
        value = load(fn, result + m * field.integer("y_channel"), 1, spec.y, WIDE)
        centre = fn.load(F64, field.address("y_centre") + m * F64.bytes)
        fn.store(value - centre, one + (m + 1) * F64.bytes)


def _emit_block(module: Module, spec: ChosenSpec) -> None:
    """The products of ``down`` features with two vectors of them, added to what is at ``gram`` already."""
    pointers = [(name, PTR) for name in ("args", "left", "right", "gram")]
    fn = module.function("block", [*pointers, ("end", I64)], internal=True)
    args, left, right, gram, end = fn.args
    field, vector = Record(fn, args, FIELDS), F64.of(spec.lanes)
    zeros = [fn.constant(vector, 0)] * (spec.down * ACROSS)
    with fn.counted(0, end, field.integer("pitch"), carry=zeros) as n:
        n.carry_on(_multiply(fn, spec, left + n.index, right + n.index, n.carried))
    for k, total in enumerate(n.results):
        place = gram + k // ACROSS * field.integer("gram_row") + k % ACROSS * vector.bytes
        fn.store(fn.load(vector, place) + total, place)


def _multiply(fn: Function, spec: ChosenSpec, left: Value, right: Value, sums: list[Value]) -> list[Value]:
    """One window."""
    vector, sums = F64.of(spec.lanes), list(sums)
    fn.fence()
    met = [fn.load(vector, right + v * vector.bytes) for v in range(ACROSS)]
    for i in range(spec.down):
        one = fn.splat(fn.load(F64, left + i * F64.bytes), spec.lanes)
        for v, there in enumerate(met):
            sums[i * ACROSS + v] = fn.fma(one, there, sums[i * ACROSS + v])
    return sums
