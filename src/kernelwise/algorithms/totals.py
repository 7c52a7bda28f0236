"""The sum of an image's numbers and of their squares, less a constant, in float64 and in one pass over memory.

Rows are copied piece by piece into scratch memory, converted (see filling.py), and added up there in CHAINS vectors of
each kind. A unit of work is a run of rows, cut by the shape alone, with a place of its own for what it finds.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..jit import pool
from ..jit.compile import Code, build
from ..jit.ir import Function, Module
from ..jit.target import Target
from ..jit.types import F64, I64, PTR
from ..jit.values import Record, Value
from .filling import copy_row, read_centre
from .launch import Sheet
from .numbers import Number, readable
from .routine import current_target
from .vectors import fold

PIECE = 1024  # numbers that are converted at a time: they stay in the first-level cache
CHAINS = 4  # vectors of sums, so that additions need not wait for each other
UNIT = 1 << 16  # numbers in a unit of work, about
SUMS = Number("f8")
FIELDS = ("x", "image", "row", "column", "images", "rows", "columns", "units", "centre", "found")


@dataclass(frozen=True)
class TotalsSpec:
    """Everything that changes the generated code."""

    stored: Number
    lanes: int

    @property
    def turn(self) -> int:
        """Numbers that are added up in one turn of the loop."""
        return CHAINS * self.lanes


def image_totals(x: np.ndarray, centre: float = 0.0, threads: int | None = None) -> tuple[float, float]:
    """sum of (x - centre) and of its square. x: (n, rows, columns), of any real dtype and strides.

    The bits do not depend on ``threads``. A NaN or an infinity spoils both.

    >>> image_totals(np.arange(6.0).reshape(1, 2, 3), 1.0)
    (9.0, 31.0)
    """
    if x.size == 0:
        return 0.0, 0.0
    x = readable(x)
    target = current_target()
    spec = TotalsSpec(Number(x.dtype.str[1:]), target.lanes(SUMS.bytes))
    units = max(1, min(x.shape[0] * x.shape[1], x.size // UNIT))
    found = np.zeros((units, 2))
    sheet = Sheet(FIELDS)
    sheet.point("x", x)
    sheet.point("found", found)
    sheet.write(**dict(zip(("image", "row", "column"), x.strides, strict=True)), units=units)
    sheet.write(**dict(zip(("images", "rows", "columns"), x.shape, strict=True)))
    sheet.write(centre=int(np.float64(centre).view(np.int64)))
    code, args = _code(spec, target), sheet.args()
    pool.run(
        code.address("totals"), args.ctypes.data, SUMS.bytes * (PIECE + spec.turn), units, threads or pool.threads()
    )
    with np.errstate(over="ignore", invalid="ignore"):
        total, squares = found.sum(axis=0)
    return float(total), float(squares)


@lru_cache(maxsize=64)
def _code(spec: TotalsSpec, target: Target) -> Code:
    return build(spec, lambda: emit(spec, target), target)


def forget() -> None:
    """Drop all remembered code. Code that still runs is kept alive by its caller."""
    _code.cache_clear()


def emit(spec: TotalsSpec, target: Target) -> Module:
    """A module with ``void totals(ptr args, ptr scratch, i64 unit)``; args are FIELDS."""
    module = Module(target)
    fn = module.function("totals", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, scratch, unit = fn.args
    field = Record(fn, args, FIELDS)
    rows, columns, units = (field.integer(name) for name in ("rows", "columns", "units"))
    every = field.integer("images") * rows
    centre = read_centre(fn, field.at("centre"), SUMS)
    zero = fn.constant(F64.of(spec.lanes), 0)
    with fn.counted(unit * every // units, (unit + 1) * every // units, carry=[zero] * (2 * CHAINS)) as line:
        row = (
            field.address("x") + line.index // rows * field.integer("image") + line.index % rows * field.integer("row")
        )
        with fn.counted(0, columns, PIECE, carry=line.carried) as piece:
            n = (columns - piece.index).minimum(PIECE)
            source = row + piece.index * field.integer("column")
            copy_row(fn, spec.stored, SUMS, spec.lanes, source, field.integer("column"), scratch, n, centre)
            end = (n + (spec.turn - 1)) // spec.turn * spec.turn
            with fn.loop(n, end) as k:
                fn.store(fn.constant(F64, 0), scratch + k * F64.bytes)
            piece.carry_on(_add_up(fn, spec, scratch, end, piece.carried))
        line.carry_on(piece.results)
    place = field.address("found") + unit * (2 * F64.bytes)
    for which, chains in enumerate((line.results[:CHAINS], line.results[CHAINS:])):
        joined = (chains[0] + chains[1]) + (chains[2] + chains[3])
        fn.store(fold(fn, joined, operator.add), place + which * F64.bytes)
    return module


def _add_up(fn: Function, spec: TotalsSpec, numbers: Value, n: Value, sums: list[Value]) -> list[Value]:
    """CHAINS sums, then CHAINS sums of squares, with n more numbers in them."""
    vector = F64.of(spec.lanes)
    with fn.counted(0, n, spec.turn, carry=sums) as turn:
        here = numbers + turn.index * F64.bytes
        seen = [fn.load(vector, here + k * vector.bytes) for k in range(CHAINS)]
        plain, squares = turn.carried[:CHAINS], turn.carried[CHAINS:]
        plain = [total + value for total, value in zip(plain, seen, strict=True)]
        squares = [fn.fma(value, value, total) for total, value in zip(squares, seen, strict=True)]
        turn.carry_on([*plain, *squares])
    return turn.results
