"""Tiles that a transform left to be done directly: those with a NaN, an infinity, or too wide a range of pixels."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from .algorithms.fourier.launch import Cut, cut
from .algorithms.fourier.spec import FourierSpec
from .algorithms.layout import Placed, column_axis, layout
from .problem import Problem


class Rest(NamedTuple):
    """A part of a problem that is still to be done, and where it lies in the image and in the result."""

    problem: Problem
    source: tuple[slice, ...]
    where: tuple[slice, ...]


def rests(problem: Problem, spec: FourierSpec, placed: Placed, flags: np.ndarray) -> Iterator[Rest]:
    """The parts that are flagged; ``flags`` as the routine left them, one piece for each start of the grid."""
    grid = placed.grid
    of = cut(spec, grid.rows, grid.columns, grid.channels, grid.planes)
    by_tile = flags.reshape(placed.starts * grid.batch, -1, *of.tiles)
    plan = layout(problem)
    images = [problem.shape[a] for a in plan.batch]
    for image, group in zip(*np.nonzero(by_tile.any(axis=(2, 3))), strict=True):
        chosen = {a: (i, i + 1) for a, i in zip(plan.batch, np.unravel_index(image, images), strict=True)}
        chosen |= _planes(problem, of, int(group))
        for down, first, stop in _runs(by_tile[image, group]):
            yield _rest(problem, chosen | _tiles(problem, of, down, first, stop))


def _planes(problem: Problem, of: Cut, group: int) -> dict[int, tuple[int, int]]:
    planes = layout(problem).planes
    outs = [problem.result_shape[a] for a in planes]
    if len(planes) == 1:
        return {planes[0]: (group * of.group, min(outs[0], (group + 1) * of.group))}
    return {a: (int(i), int(i) + 1) for a, i in zip(planes, np.unravel_index(group, outs), strict=True)}


def _runs(flags: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """(row of tiles, first, stop) of neighbours that are all flagged."""
    for down, row in enumerate(flags):
        across = 0
        for flagged, run in itertools.groupby(row):
            stop = across + len(list(run))
            if flagged:
                yield down, across, stop
            across = stop


def _tiles(problem: Problem, of: Cut, down: int, first: int, stop: int) -> dict[int, tuple[int, int]]:
    plan = layout(problem)
    chosen = {}
    if plan.rows is not None:
        begin = down * of.step[0]
        chosen[plan.rows] = begin, min(problem.result_shape[plan.rows], begin + of.step[0])
    if plan.columns is not None:
        _, channels = column_axis(problem)
        end = -(-stop * of.step[1] // channels)
        chosen[plan.columns] = first * of.step[1] // channels, min(problem.result_shape[plan.columns], end)
    return chosen


def _rest(problem: Problem, chosen: dict[int, tuple[int, int]]) -> Rest:
    shape, geometry = list(problem.shape), list(problem.geometry)
    source, where = ([slice(None)] * len(shape) for _ in range(2))
    for axis, (first, stop) in chosen.items():
        where[axis] = slice(first, stop)
        if axis in problem.axes:
            number = problem.axes.index(axis)
            old = geometry[number]
            geometry[number] = old._replace(start=old.start + first * old.stride, out=stop - first)
        else:
            source[axis], shape[axis] = slice(first, stop), stop - first
    return Rest(replace(problem, shape=tuple(shape), geometry=tuple(geometry)), tuple(source), tuple(where))
