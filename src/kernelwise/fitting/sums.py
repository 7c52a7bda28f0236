"""The sums that a kernel is learned from: all that least squares needs to know of two images, however large.

With the windows of x written as rows, p[y, x] = (x[y + u, x + v] for all taps (u, v)), the sum of the squared errors of
a kernel k is

    sum (p . k - after)^2  =  k' G k - 2 k' r + t      G = sum p p',   r = sum p * after,   t = sum after^2

r is a lag sum. G holds, for two taps that lie d apart, the sum of x[q] * x[q + d] over the box of pixels q that the
first tap meets. These boxes share all but a few rows and columns at the edges of the image. So every axis is cut into
*cells*: the first taps - 1 rows one by one, the core, the last taps - 1 rows one by one. The products are summed over
each cell, which again are lag sums, and a box is a run of neighbouring cells. Only additions, so nothing cancels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..algorithms.lag_sums import lag_sums

Pair = tuple[int, int]


@dataclass(frozen=True)
class Sums:
    """What least squares knows of two images. With a bias, it is the last entry, as if of a tap that sees ones."""

    gram: np.ndarray  # (p, p) float64, symmetric
    right: np.ndarray  # (p,)
    total: float  # of after^2
    outputs: int


def gather(before: np.ndarray, after: np.ndarray, size: Pair, bias: bool, threads: int | None) -> Sums:
    """The sums of ``before`` (n, H, W) and ``after`` (n, H - kh + 1, W - kw + 1), in float64."""
    x, y = before[:, np.newaxis], after[:, np.newaxis]
    gram = window_products(before, size, threads)
    right = lag_sums(y, x, size, threads=threads).ravel()
    total = float(lag_sums(y, y, (1, 1), threads=threads)[0, 0, 0, 0])
    if bias:
        ones = np.broadcast_to(np.float64(1), y.shape)
        seen = lag_sums(ones, x, size, threads=threads).ravel()
        gram = np.block([[gram, seen[:, np.newaxis]], [seen, np.float64(y.size)]])
        right = np.append(right, lag_sums(ones, y, (1, 1), threads=threads).ravel())
    return Sums(gram, right, total, y.size)


def window_products(x: np.ndarray, size: Pair, threads: int | None = None) -> np.ndarray:
    """G = sum of p p' over all windows p of ``size`` in the images x (n, H, W). Returns float64 (kh * kw, kh * kw).

    >>> window_products(np.array([[[1, 2, 3]]]), (1, 2))
    array([[ 5.,  8.],
           [ 8., 13.]])
    """
    kh, kw = size
    rows, columns = Cells.of(x.shape[1], kh), Cells.of(x.shape[2], kw)
    products = _Products.of(x, rows, columns, threads)
    gram = np.empty((kh, kw, kh, kw))
    for dy in range(kh):
        boxes = _runs(_runs(products.cells(dy), rows.run, 1), columns.run, 2)
        for dx in range(0 if dy == 0 else 1 - kw, kw):
            u, v = np.ogrid[: kh - dy, max(0, -dx) : min(kw, kw - dx)]
            gram[u, v, u + dy, v + dx] = gram[u + dy, v + dx, u, v] = boxes[dx + kw - 1][u, v]
    return gram.reshape(kh * kw, kh * kw)


def _runs(cells: np.ndarray, length: int, axis: int) -> np.ndarray:
    """Sums of ``length`` neighbours along an axis."""
    return sliding_window_view(cells, length, axis).sum(axis=-1)


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
    def single_pixels(self) -> np.ndarray:
        return np.array([pixel for run in self.singles for pixel in run], np.intp)

    def cell(self, pixel: int) -> int:
        """The number of the cell of a single pixel."""
        before_core = not self.core or pixel < self.core.start
        return pixel if before_core else pixel - len(self.core) + 1

    def partners(self, run: range) -> range:
        """All pixels that lie within ``taps`` of a run."""
        return range(max(0, run.start - self.taps + 1), min(self.n, run.stop + self.taps - 1))


@dataclass(frozen=True)
class _Products:
    """Sums of x[q] * x[q + (dy, dx)] over cells, by [dy, dx + kw - 1, ...]."""

    x: np.ndarray
    rows: Cells
    columns: Cells
    core: np.ndarray  # [...]
    single_rows: np.ndarray  # [..., row cell], over the core of the columns
    single_columns: np.ndarray  # [..., column cell], over the core of the rows

    @classmethod
    def of(cls, x: np.ndarray, rows: Cells, columns: Cells, threads: int | None) -> _Products:
        kh, kw = rows.taps, columns.taps
        lags = kh, 2 * kw - 1
        core = np.zeros(lags)
        if rows.core and columns.core:
            middle = x[:, np.newaxis, rows.core.start : rows.core.stop, columns.core.start : columns.core.stop]
            core = lag_sums(middle, x[:, np.newaxis], lags, (rows.core.start, 0), threads=threads)[0, 0]
        single_rows = np.zeros((*lags, rows.count))
        if columns.core:
            for s, t, found in _single(x, rows, columns, lags[1], 0, threads):
                if 0 <= t - s < kh:
                    single_rows[t - s, :, rows.cell(s)] = found
        single_columns = np.zeros((*lags, columns.count))
        if rows.core:
            for s, t, found in _single(x.transpose(0, 2, 1), columns, rows, kh, rows.core.start, threads):
                if abs(t - s) < kw:
                    single_columns[:, t - s + kw - 1, columns.cell(s)] = found
        return cls(x, rows, columns, core, single_rows, single_columns)

    def cells(self, dy: int) -> np.ndarray:
        """[dx + kw - 1, row cell, column cell]"""
        core_row, core_column = self.rows.core.start, self.columns.core.start  # their numbers among the cells
        cells = np.zeros((self.core.shape[1], self.rows.count, self.columns.count))
        if self.columns.core:
            cells[:, :, core_column] = self.single_rows[dy]
        if self.rows.core:
            cells[:, core_row] = self.single_columns[dy]
        if self.rows.core and self.columns.core:
            cells[:, core_row, core_column] = self.core[dy]
        self._fill_corners(cells, dy)
        return cells

    def _fill_corners(self, cells: np.ndarray, dy: int) -> None:
        """Cells of a single pixel: its product with each partner."""
        r, c = self.rows.single_pixels, self.columns.single_pixels
        here = self.x[:, r[:, np.newaxis], c].astype(np.float64)
        places = np.ix_([self.rows.cell(i) for i in r], [self.columns.cell(i) for i in c])
        below = np.minimum(r + dy, self.rows.n - 1)[:, np.newaxis]  # of partners outside no box has need
        for dx in range(1 - self.columns.taps, self.columns.taps):
            beside = np.clip(c + dx, 0, self.columns.n - 1)
            cells[dx + self.columns.taps - 1][places] = (here * self.x[:, below, beside]).sum(axis=0)


def _single(
    x: np.ndarray, across: Cells, along: Cells, lags: int, start: int, threads: int | None
) -> Iterator[tuple[int, int, np.ndarray]]:
    """For single rows s and their partners t: the lag sums along the core, of row s with row t."""
    for run in across.singles:
        partners = across.partners(run)
        a = x[:, run.start : run.stop, np.newaxis, along.core.start : along.core.stop]
        b = x[:, partners.start : partners.stop, np.newaxis]
        found = lag_sums(a, b, (1, lags), (0, start), threads=threads)
        for s in run:
            for t in partners:
                yield s, t, found[s - run.start, t - partners.start, 0]
