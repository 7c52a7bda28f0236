"""Cutting a problem into bands: pieces of the result, each with the piece of the image it needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from .borders import OUTSIDE, source_index
from .problem import Axis, Problem

BAND_BYTES = 4 << 20  # of the image and the result together, in their widest working dtype


class Band(NamedTuple):
    """A piece: ``problem`` is its own, the border of the cut axis already resolved."""

    problem: Problem
    where: tuple[slice, ...]  # in the result
    source: tuple[slice, ...]  # in the image, before the cut axis is gathered
    axis: int
    places: np.ndarray | None  # image positions along ``axis``, OUTSIDE where the fill stands; None: all, as they are

    def take(self, x: np.ndarray) -> np.ndarray:
        """The pixels of the band, as a plain C-contiguous array in native byte order."""
        piece = x[self.source]
        native = piece.dtype.newbyteorder("=")
        if self.places is None:
            return np.array(piece, native, order="C", subok=False)
        outside = self.places == OUTSIDE
        if piece.shape[self.axis] == 0:
            shape = list(piece.shape)
            shape[self.axis] = len(self.places)
            return np.full(shape, self.problem.fill, native)
        taken = np.ascontiguousarray(piece.take(np.maximum(self.places, 0), self.axis), native)
        if outside.any():
            taken[(slice(None),) * self.axis + (outside,)] = self.problem.fill
        return taken


def bands(problem: Problem, gather: bool = True, budget: int = BAND_BYTES) -> Iterator[Band]:
    """Pieces that cover the result, each within ``budget`` bytes where one step along an axis allows it.

    With ``gather`` the pixels of a piece are copied, borders resolved; without, it refers to the image as it is.
    """
    order = [a for a in range(len(problem.shape)) if a not in problem.axes] + [problem.axes[0]]
    whole = tuple(slice(None) for _ in problem.shape)
    yield from _cut(problem, whole, order, budget, gather)


def _cut(problem: Problem, where: tuple[slice, ...], order: list[int], budget: int, gather: bool) -> Iterator[Band]:
    axis, rest = order[0], order[1:]
    n = problem.result_shape[axis]
    step = max(1, budget * n // max(1, _bytes(problem)))
    if axis in problem.axes:
        for first in range(0, n, step):
            yield _spatial(problem, where, axis, first, min(n, first + step), gather)
        return
    if step >= n or not rest:
        step = n
    for first in range(0, n, step):
        stop = min(n, first + step)
        here = where[:axis] + (slice(first, stop),) + where[axis + 1 :]
        shape = problem.shape[:axis] + (stop - first,) + problem.shape[axis + 1 :]
        piece = replace(problem, shape=shape)
        if _bytes(piece) > budget:
            yield from _cut(piece, here, rest, budget, gather)
        else:
            yield Band(piece, here, here, axis, None)


def _bytes(problem: Problem) -> int:
    image = int(np.prod(problem.shape, dtype=object)) * max(8, problem.image.itemsize)
    return image + int(np.prod(problem.result_shape, dtype=object)) * max(8, problem.result.itemsize)


def _spatial(problem: Problem, where: tuple[slice, ...], axis: int, first: int, stop: int, gather: bool) -> Band:
    """Outputs first .. stop along an axis of the kernel, with the pixels under all their taps."""
    number = problem.axes.index(axis)
    old = problem.geometry[number]
    begin = first * old.stride + old.start
    new, index = old._replace(start=begin, out=stop - first), None
    if gather:
        length = (stop - 1 - first) * old.stride + old.reach + 1
        index = source_index(np.arange(begin, begin + length, dtype=np.int64), old.n, problem.border)
        new = Axis(length, old.taps, 0, old.stride, old.dilation, stop - first)
    geometry = problem.geometry[:number] + (new,) + problem.geometry[number + 1 :]
    shape = problem.shape[:axis] + (new.n,) + problem.shape[axis + 1 :]
    target = where[:axis] + (slice(first, stop),) + where[axis + 1 :]
    return Band(replace(problem, shape=shape, geometry=geometry), target, where, axis, index)
