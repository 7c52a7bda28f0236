"""An axis of an image cut so that the boxes which the taps of a kernel meet are runs of neighbouring cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


@dataclass(frozen=True)
class Cells:
    """One axis of n pixels under ``taps`` taps: single pixels, the core that every tap meets, single pixels."""

    n: int
    taps: int
    singles: tuple[range, ...]  # runs of single pixels
    core: range  # empty in a short image

    @classmethod
    def of(cls, n: int, taps: int) -> Cells:
        core = range(taps - 1, n - taps + 1)
        if not core:
            return cls(n, taps, (range(n),), core)
        return cls(n, taps, tuple(run for run in (range(core.start), range(core.stop, n)) if run), core)

    @property
    def count(self) -> int:
        return sum(map(len, self.singles)) + bool(self.core)

    @property
    def run(self) -> int:
        """Cells in a box."""
        return self.count - self.taps + 1

    @property
    def all(self) -> tuple[range, ...]:
        """The pixels of every cell, in order."""
        ones = [[range(pixel, pixel + 1) for pixel in run] for run in self.singles]
        if not self.core:
            return tuple(ones[0])
        before = ones[0] if self.core.start else []
        return (*before, self.core, *(ones[-1] if self.core.stop < self.n else []))

    @property
    def single_pixels(self) -> np.ndarray:
        return np.array([pixel for run in self.singles for pixel in run], np.intp)

    def cell(self, pixel: int) -> int:
        """The number of the cell of a single pixel."""
        before_core = not self.core or pixel < self.core.start
        return pixel if before_core else pixel - len(self.core) + 1

    def partners(self, run: range) -> range:
        """All pixels that lie within ``taps`` of a run."""
        return range(max(0, run.start - self.taps + 1), min(self.n, run.stop + self.taps - 1))


def box_sums(cells: np.ndarray, length: int, axis: int) -> np.ndarray:
    """Sums of ``length`` neighbouring cells along an axis: one for each box. Additions only, so nothing cancels."""
    return sliding_window_view(cells, length, axis).sum(axis=-1)
