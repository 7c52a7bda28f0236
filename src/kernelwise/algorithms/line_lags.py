"""Lag sums of single lines: each row of one stack matched with the same row of another, and with those behind it.

    S[i, j, r, d, l] = sum over n, q of  a[n, i, r, q] * b[n, j, r + d, q + l]

The edges of an image enter the products of its windows like this (see boxes.py): some dozens of rows, each with as many
partners, at all lags along them. A block of rows stays in registers with some lags of one partner, a vector of sums
each; the rows are at different distances from that partner, of which those that are not asked for are dropped.

All of it is float64. A sum's products are added up in PIECE vectors at most, one after the other in each lane, then the
lanes; so a sum is off by at most (PIECE + lanes + pieces) * 2^-53 * sum |a| |b|.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from ..jit import pool
from ..jit.compile import Code, build
from ..jit.ir import Function, Module
from ..jit.target import Target
from ..jit.types import F64, I64, PTR
from ..jit.values import Record, Value
from .launch import Sheet
from .memory import odd, up
from .routine import current_target
from .vectors import fold

PIECE = 1024  # vectors of a row that are added up in one go
LINE = 64  # bytes
# Nanoseconds on one thread, AVX-512, by `python benchmarks/line_costs.py` on the machine of costs.py: for a
# multiply-add of vectors at full speed; for a call.
MULTIPLY = 0.13
START = 30_000.0
SPARE_REGISTERS = 2  # for numbers of b and for products
FIELDS = (
    # float64 [image, channel, row][pixel]; bytes of an image, of a channel and of a row
    *("a", "a_image", "a_channel", "a_row"),
    *("b", "b_image", "b_channel", "b_row"),
    # float64 [a's channel, b's channel, row, down][lag], zeros; bytes of the last but one
    *("found", "found_down"),
    # how many there are; bytes of a row's numbers, in whole vectors
    *("images", "b_channels", "rows", "downs", "lags", "row_bytes"),
    # units: ((a's channel * b's channels + b's channel) * blocks of rows + block) * partners + partner
    *("row_blocks", "partners"),
)


@dataclass(frozen=True)
class LineSpec:
    """Everything that changes the generated code."""

    rows: int  # of a block
    lags: int
    lanes: int
    piece: int = PIECE


def line_room(rows: tuple[int, ...], pixels: int, lags: int = 1) -> np.ndarray:
    """Zeros for rows of so many pixels, which meet others at so many lags: (*rows, pixels and more). Rows that are
    matched have the same pixels, and those of b as many lags as are asked for."""
    lanes = current_target().lanes(F64.bytes)
    return np.zeros((*rows, odd((up(pixels, lanes) + lags - 1) * F64.bytes) // F64.bytes))


def line_lags(a: np.ndarray, b: np.ndarray, pixels: int, downs: int, lags: int, threads: int | None) -> np.ndarray:
    """a: (n, c, rows, ...) and b: (n, d, rows + downs - 1, ...) by `line_room`, filled from their first pixel on.
    Returns (c, d, rows, downs, lags). The bits do not depend on ``threads``.

    >>> a, b = line_room((1, 1, 1), 3), line_room((1, 1, 2), 3, 2)
    >>> a[..., :3], b[..., :4] = [1, 2, 3], [[[[4, 5, 6, 7], [1, 0, 0, 1]]]]
    >>> line_lags(a, b, 3, 2, 2, 1)[0, 0, 0]
    array([[32., 38.],
           [ 1.,  3.]])
    """
    (images, channels, rows, _), others = a.shape, b.shape[1]
    found = np.zeros((channels, others, rows, downs, lags))
    if not found.size:
        return found
    target = current_target()
    spec = choose(rows, downs, lags, target)
    sheet = Sheet(FIELDS)
    for name, array in (("a", a), ("b", b)):
        sheet.point(name, array)
        sheet.write(**dict(zip((f"{name}_image", f"{name}_channel", f"{name}_row"), array.strides, strict=False)))
    sheet.point("found", found)
    sheet.write(found_down=found.strides[3], images=images, b_channels=others, rows=rows, downs=downs, lags=lags)
    row_blocks, partners = -(-rows // spec.rows), downs + spec.rows - 1
    sheet.write(row_bytes=up(pixels, spec.lanes) * F64.bytes, row_blocks=row_blocks, partners=partners)
    code, args = _code(spec, target), sheet.args()
    units = channels * others * row_blocks * partners
    pool.run(code.address("lines"), args.ctypes.data, 0, units, threads or pool.threads())
    return found


@lru_cache(maxsize=256)
def choose(rows: int, downs: int, lags: int, target: Target) -> LineSpec:
    """The block with the least estimated time for each useful multiply-add: see `direct_lags.choose_block`."""
    room = target.registers - SPARE_REGISTERS - (0 if target.fused else 1)
    sizes = product(range(1, min(rows, 8) + 1), range(1, min(lags, 16) + 1))
    fitting = [(r, c) for r, c in sizes if r * c + r <= room]
    best = min(fitting, key=lambda block: _cost(block, rows, downs, lags, target))
    return LineSpec(*best, target.lanes(F64.bytes))


def _cost(block: tuple[int, int], rows: int, downs: int, lags: int, target: Target) -> float:
    """Time for each useful multiply-add, in units of one at full speed."""
    r, c = block
    loads = (r + c * (1 + target.vector_bytes / LINE)) / (r * c)
    waste = math.prod(-(-n // m) * m / n for n, m in ((rows, r), (lags, c))) * (downs + r - 1) / downs
    return waste * (max(1.0, loads, 8 / (r * c)) + 0.1 * loads)


def nanoseconds(images: int, channels: tuple[int, int], rows: int, pixels: int, downs: int, lags: int) -> float:
    """Predicted time on one thread."""
    target = current_target()
    spec = choose(rows, downs, lags, target)
    products = images * math.prod(channels) * rows * downs * lags * -(-pixels // spec.lanes)
    return START + MULTIPLY * products * _cost((spec.rows, spec.lags), rows, downs, lags, target)


@lru_cache(maxsize=64)
def _code(spec: LineSpec, target: Target) -> Code:
    return build(spec, lambda: emit(spec, target), target)


def forget() -> None:
    """Drop all remembered code. Code that still runs is kept alive by its caller."""
    _code.cache_clear()


# ---------------------------------------------------------------- the code


def emit(spec: LineSpec, target: Target) -> Module:
    """A module with ``void lines(ptr args, ptr scratch, i64 unit)``; args are FIELDS."""
    module = Module(target)
    fn = module.function("lines", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, _, unit = fn.args
    field = Record(fn, args, FIELDS)
    rows, downs, lags = (field.integer(name) for name in ("rows", "downs", "lags"))
    partner, rest = unit % field.integer("partners"), unit // field.integer("partners")
    block, pair = rest % field.integer("row_blocks"), rest // field.integer("row_blocks")
    i, j = pair // field.integer("b_channels"), pair % field.integer("b_channels")
    first = (block * spec.rows).minimum(rows - spec.rows)
    there = (first + partner).minimum(rows + downs - 2)  # the last block is moved back
    a = field.address("a") + i * field.integer("a_channel") + first * field.integer("a_row")
    b = field.address("b") + j * field.integer("b_channel") + there * field.integer("b_row")
    down = there - first
    place = field.address("found") + ((pair * rows + first) * downs + down) * field.integer("found_down")
    with fn.loop(0, lags, spec.lags) as at:
        lag = at.minimum(lags - spec.lags)
        with fn.loop(0, field.integer("row_bytes"), spec.piece * spec.lanes * F64.bytes) as piece:
            totals = _sums(fn, spec, field, a, b + lag * F64.bytes, piece)
            for r in range(spec.rows):  # this row is r nearer to its partner than the first one
                mine = (down >= r) & (down < downs + r) & (first + r >= block * spec.rows)  # and of no block before
                with fn.when(mine):
                    for c, total in enumerate(totals[r * spec.lags : (r + 1) * spec.lags]):
                        row = place + r * (downs - 1) * field.integer("found_down") + (lag + c) * F64.bytes
                        before = fn.select(piece.equals(0), fn.constant(F64, 0), fn.load(F64, row))
                        fn.store(before + fold(fn, total, operator.add), row)
    return module


def _sums(fn: Function, spec: LineSpec, field: Record, a: Value, b: Value, piece: Value) -> list[Value]:
    """Vectors of sums over a piece of the rows of all images."""
    vector = F64.of(spec.lanes)
    end = (piece + spec.piece * vector.bytes).minimum(field.integer("row_bytes"))
    a_row = field.integer("a_row")
    zeros = [fn.constant(vector, 0)] * (spec.rows * spec.lags)
    with fn.counted(0, field.integer("images"), carry=zeros) as n:
        here, there = a + n.index * field.integer("a_image"), b + n.index * field.integer("b_image")
        lines = [here + a_row * r for r in range(spec.rows)]
        with fn.counted(piece, end, vector.bytes, carry=n.carried) as x:
            fn.fence()
            sums, rows = list(x.carried), [fn.load(vector, line + x.index) for line in lines]
            for c in range(spec.lags):
                met = fn.load(vector, there + (x.index + c * F64.bytes))
                for r, row in enumerate(rows):
                    sums[r * spec.lags + c] = fn.fma(row, met, sums[r * spec.lags + c])
            x.carry_on(sums)
        n.carry_on(x.results)
    return n.results
