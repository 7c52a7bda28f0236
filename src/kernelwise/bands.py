"""Cutting a problem into bands: pieces of the result, each with the piece of the image it needs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from .borders import OUTSIDE, pick, source_index
from .problem import Axis, Problem

BAND_BYTES = 4 << 20  # of the image and the result together, in their widest working dtype
SLACK = 4  # a piece of so many times as much is not cut along another axis


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
        for axis, places in self.places:
            piece = pick(piece, axis, places)
        taken = np.array(piece, native, order="C", subok=False)
        for axis, places in self.places:
            outside = places == OUTSIDE
            if outside.any():
                taken[(slice(None),) * axis + (outside,)] = self.problem.fill
        return taken


def bands(problem: Problem, gather: bool = True, kept: int = 1, budget: int = BAND_BYTES) -> Iterator[Band]:
    """Pieces that cover the result, each within ``budget`` bytes as far as steps along the axes allow it.

    With ``gather`` the pixels of a piece are copied, borders resolved; without, it refers to the image as it is. Axes
    behind the last one of the kernel stay as they are, or at least ``kept`` long: their length decides how they are
    walked.
    """
    order = [a for a in range(len(problem.shape)) if a not in problem.axes] + list(problem.axes)
    whole = tuple(slice(None) for _ in problem.shape)
    yield from _cut(Band(problem, whole, whole, ()), order, gather, kept, budget)


def _cut(band: Band, order: list[int], gather: bool, kept: int, budget: int) -> Iterator[Band]:
    """Cut along the first axis of ``order``; along the next ones too where a single step is still too much."""
    axis, rest = order[0], order[1:]
    n = band.problem.result_shape[axis]
    step = max(1, budget * n // max(1, _bytes(band.problem, gather)))
    if axis > band.problem.axes[-1]:
        step = max(step, 2 * kept)
    pieces = -(-n // step)
    act = _along if axis in band.problem.axes else _among
    for i in range(pieces):
        piece = act(band, axis, i * n // pieces, (i + 1) * n // pieces, gather)
        if rest and _bytes(piece.problem, gather) > SLACK * budget:
            yield from _cut(piece, rest, gather, kept, budget)
        else:
            yield piece


def _bytes(problem: Problem, gather: bool) -> int:
    """What a piece takes while it is worked on: its result, and its pixels if they are copied."""
    pixels = math.prod(problem.shape) * max(8, problem.image.itemsize) if gather else 0
    return pixels + math.prod(problem.result_shape) * max(8, problem.result.itemsize)


def _among(band: Band, axis: int, first: int, stop: int, gather: bool) -> Band:
    """Some images of a batch."""
    shape = _with(band.problem.shape, axis, stop - first)
    where = _with(band.where, axis, slice(first, stop))
    return band._replace(
        problem=replace(band.problem, shape=shape), where=where, source=_with(band.source, axis, where[axis])
    )


def _along(band: Band, axis: int, first: int, stop: int, gather: bool) -> Band:
    """Outputs first .. stop along an axis of the kernel, with the pixels under all their taps."""
    problem = band.problem
    number = problem.axes.index(axis)
    old = problem.geometry[number]
    begin = first * old.stride + old.start
    new, gathered = old._replace(start=begin, out=stop - first), band.places
    if gather:
        length = (stop - 1 - first) * old.stride + old.reach + 1
        places = source_index(np.arange(begin, begin + length, dtype=np.int64), old.n, problem.border)
        new = Axis(length, old.taps, 0, old.stride, old.dilation, stop - first)
        gathered = (*gathered, (axis, places))
    cut = replace(problem, shape=_with(problem.shape, axis, new.n), geometry=_with(problem.geometry, number, new))
    return Band(cut, _with(band.where, axis, slice(first, stop)), band.source, gathered)


def _with(values: tuple, place: int, value: object) -> tuple:
    return (*values[:place], value, *values[place + 1 :])
