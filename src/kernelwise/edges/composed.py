"""Gradients by operators of many taps: one correlation for each component, then one pass over the components.

With few taps all is done in one pass; with many the arithmetic outweighs the memory, and a correlation finds the
algorithm that is best for it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from ..algorithms.spec import Spec
from ..bands import Band, bands
from ..jit.target import Target
from ..plan import choose
from ..problem import Kernel, Problem, normalise
from ..run import run
from .fused import Pass, Wanted, empty_outs, make_pass

MOST_TOGETHER = 24 << 20  # bytes of all components; of larger images they are worked out band by band
BUDGET = 8 << 20  # bytes of a band


@dataclass(frozen=True)
class Composed:
    """A gradient over images of one shape and dtype, component by component; called like a Pass."""

    problem: Problem
    wanted: tuple[Wanted, ...]
    kernels: tuple[Kernel, ...]
    spec: Spec
    target: Target

    def __call__(
        self, x: np.ndarray, outs: Sequence[np.ndarray], table: np.ndarray, threads: int | None
    ) -> Sequence[np.ndarray]:
        """Into ``outs``, one for each of ``wanted``, and returns them."""
        if outs[0].size == 0:
            return outs
        if any(np.may_share_memory(x, out) for out in outs):
            for out, result in zip(outs, self(x, empty_outs(self), table, threads), strict=True):
                out[...] = result
            return outs
        for band in self._bands():
            image = band.take(x) if band.places else x[band.source]
            components = np.empty((len(self.kernels), *band.problem.result_shape), self.problem.sums)
            for component, kernel in zip(components, self.kernels, strict=True):
                part = replace(band.problem, kernel=kernel, result=self.problem.sums)
                run(choose(part, target=self.target), image, component, threads)
            flat = components.reshape(len(components), 1, -1)
            made = pointwise(flat.shape, flat.dtype, self.wanted, self.target)
            pieces = made(flat, empty_outs(made), table, threads)
            for out, piece in zip(outs, pieces, strict=True):
                out[band.where] = piece.reshape(band.problem.result_shape)
        return outs

    def _bands(self) -> Iterator[Band]:
        size = math.prod(self.problem.result_shape) * self.problem.sums.itemsize * len(self.kernels)
        if size <= MOST_TOGETHER:
            whole = tuple(slice(None) for _ in self.problem.shape)
            yield Band(self.problem, whole, whole, ())
        else:
            yield from bands(self.problem, budget=BUDGET)


def compose(
    problem: Problem, factors: Sequence[Sequence[np.ndarray]], wanted: Sequence[Wanted], target: Target
) -> Composed:
    """Prepare it; arguments as those of `make_pass`."""
    kernels = tuple(Kernel.of(reduce(np.multiply.outer, component)) for component in factors)
    made = pointwise((len(factors), 1, 1), problem.sums, wanted, target)
    return Composed(replace(problem, result=made.problem.result), made.wanted, kernels, made.spec, target)


def pointwise(shape: tuple[int, ...], sums: np.dtype, wanted: Sequence[Wanted], target: Target) -> Pass:
    """The pass over components that lie one behind the other: (component, 1, pixel)."""
    count = shape[0]
    problem = normalise(
        shape, sums, np.ones((count, 1, 1)), flip=False, mode="valid", border="edge", fill=0, anchor=None, stride=1,
        dilation=1, axes=(0, 1, 2), nan="propagate", dtype=None,
    )  # fmt: skip
    one = np.ones(1)
    return make_pass(problem, [[row, one, one] for row in np.eye(count)], wanted, target)
