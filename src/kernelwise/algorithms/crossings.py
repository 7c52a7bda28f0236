"""Zero crossings: where the sign changes between a pixel and its neighbour along some axis, by more than a threshold.

A body as in spec.py, over windows of 3 pixels along each axis; the table holds the threshold in the dtype of the sums.
Of two pixels between which the sign changes the one nearer to zero is marked, the first one if both are as near; of
three whose middle is zero the middle one.
"""

from __future__ import annotations

from itertools import product

from ..jit.ir import Function
from ..jit.types import I8, PTR
from ..jit.values import Value
from .angles import magnitude
from .numbers import load, put
from .spec import Spec, columns


def crossings(fn: Function, spec: Spec, wide: int, stream: bool) -> None:
    """Writes 1 where there is a crossing along an axis that the window reaches over, else 0."""
    rows, outs, n, table, _ = fn.args
    lanes = fn.target.lanes(spec.sums.bytes)
    planes, tall, across = spec.taps
    middle = planes // 2, tall // 2, across // 2
    jump = fn.splat(fn.load(spec.sums.type, table), lanes)
    lines = {
        (p, s): fn.load(PTR, rows + 8 * (p * spec.slots + s)) for p, s in product(range(planes), range(spec.slots))
    }
    results = [fn.load(PTR, outs + 8 * r) for r in range(spec.rows)]
    with columns(fn, n, lanes * wide) as x:
        for c, r in product(range(wide), range(spec.rows)):

            def pixel(plane: int, row: int, column: int, c: int = c, r: int = r) -> Value:
                place = (x + (c * lanes + column * spec.pitch)) * spec.image.bytes
                return load(fn, lines[plane, r + row] + place, lanes, spec.image, spec.sums)

            found: Value | None = None
            here = pixel(*middle)
            for axis in (a for a in range(3) if spec.taps[a] == 3):
                before, after = (pixel(*(middle[a] + (step if a == axis else 0) for a in range(3))) for step in (-1, 1))
                crossing = _crosses(fn, before, here, after, jump)
                found = crossing if found is None else found | crossing
            assert found is not None, "the window reaches over an axis"
            put(fn, found.to(I8, "zext"), results[r] + x + c * lanes, stream)


def _crosses(fn: Function, before: Value, here: Value, after: Value, jump: Value) -> Value:
    """Whether ``here`` is to be marked, along one axis."""
    sizes = [magnitude(fn, v) for v in (before, here, after)]
    with_before = _opposite(before, here) & _less(sizes[1], sizes[0], "lt") & _exceeds(sizes[0] + sizes[1], jump)
    with_after = _opposite(here, after) & _less(sizes[1], sizes[2], "le") & _exceeds(sizes[1] + sizes[2], jump)
    between = here.equals(0) & _opposite(before, after) & _exceeds(sizes[0] + sizes[2], jump)
    return with_before | with_after | between


def _opposite(a: Value, b: Value) -> Value:
    return ((a < 0) & (b > 0)) | ((a > 0) & (b < 0))


def _less(a: Value, b: Value, how: str) -> Value:
    """Magnitudes, as unsigned numbers: that of the lowest integer is one too."""
    return a.compare(("o" if a.type.is_float else "u") + how, b)


def _exceeds(total: Value, jump: Value) -> Value:
    """Sums of two magnitudes; as unsigned numbers those of integers of opposite signs always fit."""
    return _less(jump, total, "lt")
