"""A block of sums that stays in registers while the taps of a kernel go by, and what becomes of it afterwards.

A block has ``outputs`` channels by ``rows`` by ``vectors`` vectors of sums; what lies in the lanes is up to its user.
A sum's products are added in the same order everywhere: column of taps after column, in each of them row after row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

from ...jit.ir import Function
from ...jit.target import Target
from ...jit.values import Value
from ..numbers import Number

RESERVED = {"avx512": 2, "avx2": 3, "sse": 4, "neon": 10}  # registers that are neither sums, pixels nor weights
UNALIGNED = 1.6  # what a load costs that may cross a line of the cache, compared with one that does not


@dataclass(frozen=True)
class Block:
    """The shape of a block of sums and the rows of taps that meet it."""

    number: Number  # of images, weights, sums and results
    outputs: int  # of a block of sums: channels, rows, vectors
    rows: int
    vectors: int
    tap_rows: int  # that are unrolled
    row_step: int  # stride and dilation of the rows
    row_gap: int
    masked: bool  # some weights are zero: what lies under them does not touch the sums

    @property
    def slots(self) -> dict[int, list[tuple[int, int]]]:
        """For each row of pixels that the rows of taps need: the (output row, tap row) pairs that meet there."""
        found: dict[int, list[tuple[int, int]]] = {}
        for r, i in product(range(self.rows), range(self.tap_rows)):
            found.setdefault(r * self.row_step + i * self.row_gap, []).append((r, i))
        return dict(sorted(found.items()))

    @property
    def block(self) -> int:
        """Vectors of sums."""
        return self.outputs * self.rows * self.vectors

    @property
    def places(self) -> list[tuple[int, int, int]]:
        """(output, row, vector) of every vector of sums, in their order."""
        return list(product(range(self.outputs), range(self.rows), range(self.vectors)))


def add_column(
    fn: Function,
    block: Block,
    pixels: Callable[[int], list[Value]],
    weight: Callable[[int, int], Value],
    total: list[Value],
) -> None:
    """One column of taps into all sums: ``pixels`` loads the vectors of a slot, ``weight`` a (tap row, output)."""
    weights: dict[tuple[int, int], Value] = {}
    for slot, meeting in block.slots.items():
        fn.fence()
        row = pixels(slot)
        for (r, i), o in product(meeting, range(block.outputs)):
            if (i, o) not in weights:
                weights[i, o] = weight(i, o)
            for v, pixel in enumerate(row):
                k = (o * block.rows + r) * block.vectors + v
                added = fn.fma(pixel, weights[i, o], total[k])
                total[k] = fn.select(weights[i, o].differs(0), added, total[k]) if block.masked else added


def limited(fn: Function, value: Value, floor: Value, ceiling: Value) -> Value:
    """The value, or the limit that it passes; a NaN stays one."""
    value = fn.select(value < floor, floor, value)
    return fn.select(value > ceiling, ceiling, value)


def store_part(fn: Function, value: Value, place: Value, count: int, size: int) -> None:
    """The first ``count`` numbers of a vector, in pieces of a power of two that may overlap."""
    if count == value.type.lanes:
        fn.store(value, place)
        return
    piece = 1 << (count.bit_length() - 1)
    for at in sorted({0, count - piece}):
        if piece > 1:
            fn.store(fn.shuffle(value, value, range(at, at + piece)), place + at * size)
        else:
            fn.store(fn.emit(value.type.scalar, f"extractelement {value.typed}, i64 {at}"), place + at * size)


def choose_block(
    target: Target,
    outputs: int,
    most: tuple[int, ...],
    taps: tuple[int, int],
    steps: tuple[int, int],
    out: tuple[int, int],
    masked: bool,
    lanes: int,
    widest: int,
    reserved: int = 0,
) -> tuple[int, int, int]:
    """(outputs, rows, vectors) of the block with the least estimated time for each useful multiply-add.

    ``outputs``: channels of a group; ``most``: how many of them a block may have; ``taps``: rows that are unrolled,
    columns; ``steps``: stride and dilation of rows; ``out``: rows and columns of the result; ``lanes``: columns in a
    vector, 1 where something else lies in its lanes; ``widest``: vectors of a row; ``reserved``: more registers in use.
    """
    room = target.registers - RESERVED[target.name] - reserved
    per_weight = 2 if masked and target.name != "avx512" else 1  # its mask takes a register too, but on AVX-512
    load = UNALIGNED if taps[1] > 1 and lanes > 1 else 1.0

    def cost(block: tuple[int, int, int]) -> float:
        o, r, v = block
        slots = len({y * steps[0] + i * steps[1] for y in range(r) for i in range(taps[0])})
        work = o * r * v * taps[0]
        loads = (slots * v * load + taps[0] * o) / work
        waste = math.prod(-(-n // m) * m / n for n, m in ((outputs, o), (out[0], r), (out[1], v * lanes)))
        return waste * (max(1.0, loads, 8 / (o * r * v)) + 0.1 * loads + 2 / (taps[0] * taps[1]) * (1 / (r * v)))

    def fits(o: int, r: int, v: int) -> bool:
        weights = per_weight * (taps[0] * o if r > 1 and taps[0] > 1 else 1)
        return o * r * v + weights + v <= room or o * r * v == 1

    rows, vectors = range(1, min(out[0], 14) + 1), range(1, min(-(-out[1] // lanes), widest) + 1)
    return min((sizes for sizes in product(most, rows, vectors) if fits(*sizes)), key=cost)
