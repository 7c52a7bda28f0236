"""Layers with one tap, whose pixels need not be taken in the rows that they have: others fill blocks of them better."""

from __future__ import annotations

from dataclasses import replace

from .problem import ONE, LayerProblem

FEW_PIXELS = 64  # of an image that may be done as one row
NEARLY_BEST = 1.015  # times the fewest blocks


def each_alone(problem: LayerProblem) -> bool:
    """Whether every pixel of a plane is a product of its own."""
    planes, *others = problem.axes
    return planes == ONE and all((a.taps, a.stride, a.start, a.out) == (1, 1, 0, a.n) for a in others)


def other_rows(problem: LayerProblem, block: int) -> LayerProblem:
    """The same layer with as many pixels in other rows, which blocks of pixels fill better: a single one if there are
    few; else no more than there were, and as many of them as about the best would have: threads share them out."""
    planes, rows, columns = problem.axes
    pixels = rows.n * columns.n

    def blocks(count: int) -> int:
        return count * -(-pixels // count // block)

    counts = [n for n in range(1, rows.n + 1) if pixels % n == 0]
    best = min(map(blocks, counts)) * NEARLY_BEST
    count = 1 if pixels <= FEW_PIXELS else max(n for n in counts if blocks(n) <= best)
    rows, columns = (axis._replace(n=n, out=n) for axis, n in ((rows, count), (columns, pixels // count)))
    return replace(problem, axes=(planes, rows, columns))
