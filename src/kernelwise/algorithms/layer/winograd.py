"""Winograd's way to four outputs of three taps with six products instead of twelve, on each of two axes.

Four neighbouring sums y[i] = g[0] d[i] + g[1] d[i + 1] + g[2] d[i + 2] are, transposed, the product of two polynomials.
That product is known by its values at six points: y = A ((G g) * (B d)). On two axes, 36 products stand for 144
(S. Winograd, Arithmetic Complexity of Computations, 1980; A. Lavin and S. Gray, Fast Algorithms for Convolutional
Neural Networks, 2016).

The points are 0, 3/4, -3/4, 3/2, -3/2 and infinity. Mirrored points share half of their arithmetic, and fractions of
powers of two keep A and B free of rounding. Between large points, whose powers differ widely, and close ones, whose
differences are small, these lose least: errors are a third to a sixth of those with the usual 0, 1, -1, 2, -2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from ...jit.ir import Function
from ...jit.values import Value
from ..numbers import Number

OUTPUTS, TAPS = 4, 3  # of a tile, on each axis
INPUTS = OUTPUTS + TAPS - 1
POSITIONS = INPUTS * INPUTS
POINTS = (Fraction(0), Fraction(3, 4), Fraction(-3, 4), Fraction(3, 2), Fraction(-3, 2))  # and infinity
Row = Sequence[Fraction]
Matrix = Sequence[Row]


@dataclass(frozen=True)
class WinogradSpec:
    """Everything that changes the generated code of one routine."""

    number: Number  # of images, weights, sums and results
    pixels: tuple[int, ...]  # tiles of a block of products: element offsets of their inputs
    vectors: int  # of output channels in a block
    channels_last: bool = False  # results have their channels side by side
    residual: bool = False  # an array like the result is added to it
    fresh: bool = False  # weights are transformed whenever they are read
    floor: bool = True  # there is a lowest result, and a highest
    ceiling: bool = True
    algorithm: str = "winograd"


def of_results() -> Matrix:
    """A, (4, 6): values at the points into outputs."""
    infinity = [Fraction(int(j == OUTPUTS - 1)) for j in range(OUTPUTS)]
    return [[*(p**j for p in POINTS), infinity[j]] for j in range(OUTPUTS)]


def of_inputs() -> Matrix:
    """B, (6, 6): pixels into values at the points, by the polynomial that is zero at all others."""
    rows = [[*_product([o for o in POINTS if o != p]), Fraction(0)] for p in POINTS]
    return [*rows, _product(POINTS)]


def of_weights() -> Matrix:
    """G without its scales, (6, 3): taps into values at the points."""
    return [*([p**j for j in range(TAPS)] for p in POINTS), [Fraction(int(j == TAPS - 1)) for j in range(TAPS)]]


def scales() -> Sequence[Fraction]:
    """What the rows of G are multiplied by: one over the product of a point's distances from the others."""
    found = []
    for p in POINTS:
        distance = Fraction(1)
        for o in POINTS:
            distance *= p - o if o != p else 1
        found.append(1 / distance)
    return [*found, Fraction(1)]


def _product(roots: Sequence[Fraction]) -> list[Fraction]:
    """Coefficients of the polynomial with these roots, constant first."""
    found = [Fraction(1)]
    for root in roots:
        found = [up - root * same for up, same in zip([Fraction(0), *found], [*found, Fraction(0)], strict=True)]
    return found


# ---------------------------------------------------------------- matrices made into arithmetic


def times(fn: Function, matrix: Matrix, x: Sequence[Value]) -> list[Value]:
    """matrix @ x. What mirrored points have in common is computed once."""
    columns = _mirrored(list(zip(*matrix, strict=True)))
    if columns:
        values, parts = list(x), [list(row) for row in matrix]
        for a, b in columns:
            values[a], values[b] = x[a] + x[b], x[a] - x[b]
            for part in parts:
                part[a], part[b] = (part[a], Fraction(0)) if part[a] == part[b] else (Fraction(0), part[a])
        return [_sum(fn, part, values) for part in parts]
    mates = dict(_mirrored(matrix))
    results: dict[int, Value] = {}
    for a, row in enumerate(matrix):
        if a in mates:
            odd = [c if c != d else Fraction(0) for c, d in zip(row, matrix[mates[a]], strict=True)]
            even = _sum(fn, [c - o for c, o in zip(row, odd, strict=True)], x)
            lead = next(c for c in reversed(odd) if c)
            half = _sum(fn, [c / lead for c in odd], x)
            results[a] = fn.fma(half, float(lead), even)
            results[mates[a]] = fn.fma(half, float(-lead), even)
        elif a not in results:
            results[a] = _sum(fn, row, x)
    return [results[a] for a in range(len(matrix))]


def _mirrored(rows: Matrix) -> list[tuple[int, int]]:
    """Pairs of neighbouring rows that differ in signs only, and do differ."""
    pairs = zip(range(len(rows)), range(1, len(rows)), strict=False)
    return [(a, b) for a, b in pairs if list(map(abs, rows[a])) == list(map(abs, rows[b])) and rows[a] != rows[b]]


def _sum(fn: Function, row: Row, x: Sequence[Value]) -> Value:
    """sum of row[j] * x[j]."""
    terms = sorted(((c, v) for c, v in zip(row, x, strict=True) if c), key=lambda term: term[0] != 1)
    (first, total), rest = terms[0], terms[1:]
    if first != 1:
        total = total * float(first)
    for c, v in rest:
        total = total + v if c == 1 else fn.fma(v, float(c), total)
    return total
