"""Cutting a problem into bands: pieces of the result, each with the piece of the image it needs."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from .borders import OUTSIDE, pick, source_index
from .problem import Axis, Problem

BAND_BYTES = 4 << 20  # of the image and the result together, in their widest working dtype
SLACK = 10  # a piece may be so many times as large rather than be cut along another axis
LEAST_GAP = 16  # outputs; taps that are pulled together stay so far apart, which is more than a block of rows
NO_GRID: Mapping[int, int] = {}


class Band(NamedTuple):
    """A piece: ``problem`` is its own, the borders of the axes that were cut already resolved."""

    problem: Problem
    where: tuple[slice, ...]  # in the result
    source: tuple[slice, ...]  # in the image, before anything is gathered
    places: tuple[tuple[int, np.ndarray], ...]  # (axis, places along it), OUTSIDE where the fill stands

    def take(self, x: np.ndarray) -> np.ndarray:
        """The pixels of the band, as a plain C-contiguous array in native byte order."""
        piece = x[self.source]
        native = piece.dtype.newbyteorder("=")
        if piece.size == 0:
            return np.full(self.problem.shape, self.problem.fill, native)
        taken = np.empty(self.problem.shape, native)
        for parts in itertools.product(*(_runs(places) for _, places in self.places)):
            target, span = ([slice(None)] * taken.ndim for _ in range(2))
            chosen = []
            for (axis, places), part in zip(self.places, parts, strict=True):
                inside = np.maximum(places[part], 0)
                target[axis], span[axis] = part, slice(int(inside.min()), int(inside.max()) + 1)
                chosen.append((axis, inside - inside.min()))
            pixels = piece[tuple(span)]  # a view, so that what is picked along one axis is cut along the others
            for axis, inside in chosen:
                pixels = pick(pixels, axis, inside)
            taken[tuple(target)] = pixels
        for axis, places in self.places:
            outside = places == OUTSIDE
            if outside.any():
                taken[(slice(None),) * axis + (outside,)] = self.problem.fill
        return taken


def _runs(places: np.ndarray) -> list[slice]:
    """The places before, among and behind those that are inside the image and in order."""
    breaks = np.flatnonzero(np.diff(places) != 1) + 1
    ends = [0, *breaks.tolist(), len(places)]
    first, stop = max(itertools.pairwise(ends), key=lambda run: run[1] - run[0])
    return [part for part in (slice(0, first), slice(first, stop), slice(stop, len(places))) if part.start < part.stop]


class Cuts(NamedTuple):
    """How a problem may be cut."""

    gather: bool  # pixels are copied, borders resolved; else a piece refers to the image as it is
    kept: int  # axes behind the last one of the kernel stay as they are, or at least so long
    pulled: int  # along so many leading axes of the kernel taps that are far apart may be pulled together
    budget: int  # bytes of a piece
    grid: Mapping[int, int]  # axis: cuts are at multiples of so many outputs


def bands(
    problem: Problem,
    gather: bool = True,
    kept: int = 1,
    pulled: int = 0,
    budget: int = BAND_BYTES,
    grid: Mapping[int, int] = NO_GRID,
) -> Iterator[Band]:
    """Pieces that cover the result; see Cuts. The ``budget`` holds as far as steps along the axes allow it."""
    order = [a for a in range(len(problem.shape)) if a not in problem.axes] + list(problem.axes)
    whole = tuple(slice(None) for _ in problem.shape)
    yield from _cut(Band(problem, whole, whole, ()), order, Cuts(gather, kept, pulled, budget, grid))


def _cut(band: Band, order: list[int], cuts: Cuts) -> Iterator[Band]:
    """Cut along the first axis of ``order``; along the next ones too where a piece is still too large."""
    axis, rest = order[0], order[1:]
    n = band.problem.result_shape[axis]
    spatial = axis in band.problem.axes
    if spatial:
        step = _steps_along(band.problem, axis, cuts, bool(rest))
    else:
        step = max(1, cuts.budget * n // max(1, _bytes(band.problem, cuts.gather)))
        if axis > band.problem.axes[-1]:
            step = max(step, 2 * cuts.kept)
    for first, stop in _pieces(n, step, cuts.grid.get(axis)):
        piece = (_along if spatial else _among)(band, axis, first, stop, cuts)
        if rest and _bytes(piece.problem, cuts.gather) > SLACK * cuts.budget:
            yield from _cut(piece, rest, cuts)
        else:
            yield piece


def _pieces(n: int, step: int, multiple: int | None) -> Iterator[tuple[int, int]]:
    """n outputs in pieces of about ``step``, all alike, or each a multiple of so many."""
    pieces = -(-n // step)
    if multiple is None:
        yield from ((i * n // pieces, (i + 1) * n // pieces) for i in range(pieces))
    else:
        step = max(1, step // multiple) * multiple
        yield from ((first, min(n, first + step)) for first in range(0, n, step))


def _steps_along(problem: Problem, axis: int, cuts: Cuts, more: bool) -> int:
    """Outputs along an axis of the kernel in one piece.

    The pixels between the first tap and the last are copied for every piece anew. Where they are many the pieces are
    larger, up to SLACK times the budget; where not even that is enough, and ``more`` axes can be cut, a quarter of the
    reach long.
    """
    number = problem.axes.index(axis)
    geometry = problem.geometry[number]
    stride, reach = geometry.stride, geometry.reach if cuts.gather else 0
    result = math.prod(problem.result_shape) * _width(problem, problem.result) / geometry.out
    pixels = math.prod(problem.shape) * _width(problem, problem.image) / max(1, geometry.n) if cuts.gather else 0

    def fitting(size: int) -> int:
        return max(1, int((size - reach * pixels) / (stride * pixels + result)))

    step = fitting(cuts.budget)
    if number < cuts.pulled and geometry.dilation >= LEAST_GAP * stride:
        together = int(cuts.budget / (geometry.taps * stride * pixels + result))
        return max(step, min(max(LEAST_GAP, together), geometry.dilation // stride))
    if step * stride < reach:
        step = max(step, min(fitting(SLACK * cuts.budget), reach // stride))
    if step == 1 and more:
        step = max(1, reach // (4 * stride))
    return step


def _bytes(problem: Problem, gather: bool) -> int:
    """What a piece takes while it is worked on: its result, and its pixels if they are copied."""
    pixels = math.prod(problem.shape) * _width(problem, problem.image) if gather else 0
    return pixels + math.prod(problem.result_shape) * _width(problem, problem.result)


def _width(problem: Problem, dtype: np.dtype) -> int:
    """Bytes for a number; with nan="omit" there are its weight and its count as well."""
    return max(8, dtype.itemsize) * (3 if problem.nan == "omit" else 1)


def _among(band: Band, axis: int, first: int, stop: int, cuts: Cuts) -> Band:
    """Some images of a batch."""
    shape = _with(band.problem.shape, axis, stop - first)
    where = _with(band.where, axis, slice(first, stop))
    return band._replace(
        problem=replace(band.problem, shape=shape), where=where, source=_with(band.source, axis, where[axis])
    )


def _along(band: Band, axis: int, first: int, stop: int, cuts: Cuts) -> Band:
    """Outputs first .. stop along an axis of the kernel, with the pixels under all their taps."""
    problem = band.problem
    number = problem.axes.index(axis)
    old = problem.geometry[number]
    begin = first * old.stride + old.start
    new, gathered = old._replace(start=begin, out=stop - first), band.places
    if cuts.gather:
        under = (stop - 1 - first) * old.stride + 1  # pixels under one tap
        gap = max(under, LEAST_GAP * old.stride)
        if number < cuts.pulled and gap <= old.dilation:
            places = (np.arange(old.taps)[:, None] * old.dilation + np.arange(gap)[None, :]).ravel()
        else:
            gap, places = old.dilation, np.arange(under + old.reach)
        new = Axis(len(places), old.taps, 0, old.stride, gap, stop - first)
        gathered = (*gathered, (axis, source_index(places + begin, old.n, problem.border)))
    cut = replace(problem, shape=_with(problem.shape, axis, new.n), geometry=_with(problem.geometry, number, new))
    return Band(cut, _with(band.where, axis, slice(first, stop)), band.source, gathered)


def _with(values: tuple, place: int, value: object) -> tuple:
    return (*values[:place], value, *values[place + 1 :])
