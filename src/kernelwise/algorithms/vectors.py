"""What generated code does with whole vectors, whatever it computes: turn squares, fold lanes together, copy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..jit.ir import Function
from ..jit.types import Type
from ..jit.values import Value

COPY_BYTES = 32  # a piece of what is copied
PIECE_BYTES = 16  # of a vector: lanes are shuffled within such pieces, or whole pieces are


def transpose(fn: Function, rows: Sequence[Value]) -> list[Value]:
    """As many vectors as they have lanes, rows made columns.

    Rows are taken in pairs, ever further apart; of each pair the even units make one vector, the odd ones the other.
    Units are numbers as long as they stay in their piece of 16 bytes, then such pieces: shuffles of either kind are
    single instructions everywhere, which need no table of lanes and overwrite nothing.
    """
    lanes, values = len(rows), list(rows)
    piece = min(lanes, PIECE_BYTES // rows[0].type.element_bytes)
    step = 1
    while step < lanes:
        unit, span = (1, piece) if step < piece else (piece, lanes)
        even, odd = (_every_second(unit, span, lanes, first) for first in (0, unit))
        for i in range(lanes):
            if not i & step:
                a, b = values[i], values[i + step]
                values[i], values[i + step] = fn.shuffle(a, b, even), fn.shuffle(a, b, odd)
        step *= 2
    return values


def _every_second(unit: int, span: int, lanes: int, first: int) -> list[int]:
    """Lanes of two vectors: from each span of both, first of the one, then of the other, every second unit."""
    blocks = (block + vector for block in range(0, lanes, span) for vector in (0, lanes))
    return [block + at + k for block in blocks for at in range(first, span, 2 * unit) for k in range(unit)]


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
