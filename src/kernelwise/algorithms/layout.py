"""Which axes of an image are planes, rows, columns and channels of the walk, and which are a batch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..problem import Axis, Problem
from .launch import Grid

MOST_CHANNELS = 64  # interleaved in a row; beyond, the channels themselves are the columns


class Layout(NamedTuple):
    """Axis numbers of the image by their part in the walk."""

    batch: tuple[int, ...]
    planes: tuple[int, ...]
    rows: int | None  # None: the image is one row
    columns: int | None  # None: the channels are the columns
    channels: tuple[int, ...]  # the axes behind the last one of the kernel
    pairs: int  # numbers in a pixel: 2 for a complex one


@lru_cache(maxsize=1024)
def layout(problem: Problem) -> Layout:
    ndim, axes = len(problem.shape), problem.axes
    last = axes[-1]
    channels = tuple(range(last + 1, ndim))
    pairs = 2 if problem.image.kind == "c" else 1
    if math.prod(problem.shape[c] for c in channels) * pairs > MOST_CHANNELS:
        batch = tuple(a for a in range(last) if a not in axes)
        return Layout(batch, axes[:-1], last, None, channels, pairs)
    rest = [a for a in range(last) if a not in axes]
    if len(axes) > 1:
        return Layout(tuple(rest), axes[:-2], axes[-2], last, channels, pairs)
    rows = rest.pop() if rest else None
    return Layout(tuple(rest), (), rows, last, channels, pairs)


def weights3(problem: Problem, kernel: np.ndarray) -> np.ndarray:
    """The kernel as [planes, rows, columns] of the walk."""
    plan = layout(problem)
    columns = kernel.shape[-1] if plan.columns is not None else 1
    inner = kernel.shape[:-1] if plan.columns is not None else kernel.shape
    rows = inner[-1] if inner else 1
    return np.ascontiguousarray(kernel).reshape(-1, rows, columns)


def axis_of(problem: Problem, number: int | None, n: int) -> Axis:
    """The geometry of an axis; a plain one of n positions where the kernel does not run over it."""
    if number in problem.axes:
        return problem.geometry[problem.axes.index(number)]
    return Axis(n, 1, 0, 1, 1, n)


def row_axis(problem: Problem) -> Axis:
    number = layout(problem).rows
    return axis_of(problem, number, 1 if number is None else problem.shape[number])


def column_axis(problem: Problem) -> tuple[Axis, int]:
    """(columns, channels interleaved in them)."""
    plan = layout(problem)
    channels = math.prod(problem.shape[c] for c in plan.channels) * plan.pairs
    if plan.columns is None:
        return Axis(channels, 1, 0, 1, 1, channels), 1
    return axis_of(problem, plan.columns, 0), channels


class Placed(NamedTuple):
    """A grid, and the batch axes that lie outside it: (length, stride in the image, stride in the result)."""

    grid: Grid
    runs: tuple[tuple[int, int, int], ...]

    @property
    def starts(self) -> int:
        """How often the grid is to be run."""
        return math.prod(n for n, _, _ in self.runs)

    @property
    def offsets(self) -> Iterator[tuple[int, int]]:
        """The byte offsets (image, result) at which the grid is to be run."""
        for place in itertools.product(*(range(n) for n, _, _ in self.runs)):
            yield (
                sum(i * a for i, (_, a, _) in zip(place, self.runs, strict=True)),
                sum(i * b for i, (_, _, b) in zip(place, self.runs, strict=True)),
            )


def place(
    problem: Problem, image_strides: tuple[int, ...], result_strides: tuple[int, ...], sizes: tuple[int, int]
) -> Placed | None:
    """The walk over two arrays as they lie in memory; None where a row is not contiguous.

    ``sizes``: bytes of one number of the image and of the result.
    """
    plan = layout(problem)
    shapes = problem.shape, problem.result_shape
    inner = plan.channels if plan.columns is None else (plan.columns, *plan.channels)
    for shape, strides, size in zip(shapes, (image_strides, result_strides), sizes, strict=True):
        if 0 in shape:
            continue  # the strides of an array without elements mean nothing
        if not _contiguous([shape[a] for a in inner], [strides[a] for a in inner], size * plan.pairs):
            return None
    pair = list(zip(image_strides, result_strides, strict=True))
    columns, channels = column_axis(problem)
    runs = _merged([(problem.shape[a], *pair[a]) for a in plan.batch])
    count, batch_in, batch_out = runs.pop() if runs else (1, 0, 0)
    grid = Grid(
        batch=count,
        batch_strides=(batch_in, batch_out),
        planes=tuple(axis_of(problem, a, 0) for a in plan.planes),
        plane_strides=tuple(pair[a] for a in plan.planes),
        rows=row_axis(problem),
        row_strides=pair[plan.rows] if plan.rows is not None else (0, 0),
        columns=columns,
        channels=channels,
    )
    return Placed(grid, tuple(runs))


def _contiguous(shape: list[int], strides: list[int], size: int) -> bool:
    for n, stride in zip(reversed(shape), reversed(strides), strict=True):
        if n > 1 and stride != size:
            return False
        size *= n
    return True


def _merged(runs: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """(count, image stride, result stride) of batch axes, neighbours joined where one stride serves both."""
    merged: list[tuple[int, int, int]] = []
    for n, a, b in reversed([run for run in runs if run[0] != 1]):
        if merged and (a, b) == (merged[0][0] * merged[0][1], merged[0][0] * merged[0][2]):
            merged[0] = (merged[0][0] * n, merged[0][1], merged[0][2])
        else:
            merged.insert(0, (n, a, b))
    return merged
