"""Products of all windows of images with each other: the Gram matrix of a least-squares fit, without the windows.

    G[i, a, j, b] = sum over all windows p of p[i, a] * p[j, b]        channels i, j; taps a, b

For two taps that lie d apart this is the sum of x[q] * x[q + d] over the box of pixels q that the first tap meets. The
boxes share all but a few pixels at the edges of the image. So every axis is cut into *cells* (see cells.py): the first
taps - 1 pixels one by one, the core, the last taps - 1 one by one. Products are summed over each cell, which are lag
sums, and a box is a run of neighbouring cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..algorithms.lag_sums import lag_sums
from .cells import Cells, box_sums

Taps = tuple[int, int, int]


def window_products(x: np.ndarray, taps: Taps, threads: int | None = None) -> np.ndarray:
    """x: (n, c, planes, rows, columns) of any real dtype. Returns float64 (c, *taps, c, *taps).

    >>> window_products(np.array([[[[[1, 2, 3]]]]]), (1, 1, 2)).reshape(2, 2)
    array([[ 5.,  8.],
           [ 8., 13.]])
    """
    depth, channels = Cells.of(x.shape[2], taps[0]), x.shape[1]
    gram = np.empty((channels, *taps, channels, *taps))
    for dz in range(taps[0]):
        cells = np.stack([_pairs_of_planes(x, cell, dz, taps[1:], threads) for cell in depth.all])
        boxes = box_sums(cells, depth.run, 0)
        for z in range(taps[0] - dz):
            gram[:, z, :, :, :, z + dz] = boxes[z]
            gram[:, z + dz, :, :, :, z] = boxes[z].transpose(3, 4, 5, 0, 1, 2)
    return gram


def window_sums(x: np.ndarray, taps: Taps, threads: int | None = None) -> np.ndarray:
    """The sum of all windows of x (n, c, planes, rows, columns). Returns float64 (c, *taps)."""
    boxes = x.shape[0], 1, *(n - k + 1 for n, k in zip(x.shape[2:], taps, strict=True))
    return window_matches(np.broadcast_to(np.float64(1), boxes), x, taps, threads)[0]


def window_matches(y: np.ndarray, x: np.ndarray, taps: Taps, threads: int | None = None) -> np.ndarray:
    """sum over all windows p of x of y * p: y (n, m, *windows), x (n, c, ...). Returns float64 (m, c, *taps)."""
    found = np.empty((y.shape[1], x.shape[1], *taps))
    for z in range(taps[0]):
        of_y, of_x = flat_planes(y), flat_planes(x[:, :, z : z + y.shape[2]])
        found[:, :, z] = sum(lag_sums(a, b, taps[1:], threads=threads) for a, b in zip(of_y, of_x, strict=True))
    return found


def flat_planes(x: np.ndarray) -> list[np.ndarray]:
    """(n, c, planes, rows, columns) as stacks of images (k, c, rows, columns), without a copy."""
    if x.shape[2] == 1:
        return [x[:, :, 0]]
    return [image.transpose(1, 0, 2, 3) for image in x]


def _pairs_of_planes(x: np.ndarray, cell: range, dz: int, taps: tuple[int, int], threads: int | None) -> np.ndarray:
    """Sums over the windows in each plane z of a cell, met by those of plane z + dz: (c, *taps, c, *taps)."""
    channels = x.shape[1]
    total = np.zeros((channels, *taps, channels, *taps))
    if cell.stop + dz > x.shape[2]:  # its partners lie outside: no box has need of it
        return total
    a, b = (flat_planes(x[:, :, cell.start + d : cell.stop + d]) for d in (0, dz))
    for here, there in zip(a, b, strict=True):
        downs = range(0 if dz == 0 else 1 - taps[0], taps[0])
        total += _plane_products(here, there, taps, downs, dz == 0, threads)
    return total


def later_products(a: np.ndarray, b: np.ndarray, taps: tuple[int, int], threads: int | None = None) -> np.ndarray:
    """sum over windows of a (rows, columns) and of b at its place, a's at tap (u, v) times b's at one in the same or a
    later row: (*taps, *taps). Zeros for rows before."""
    return _plane_products(a[np.newaxis, np.newaxis], b[np.newaxis, np.newaxis], taps, range(taps[0]), False, threads)[
        0, :, :, 0
    ]


def _plane_products(
    a: np.ndarray, b: np.ndarray, taps: tuple[int, int], downs: range, mirror: bool, threads: int | None
) -> np.ndarray:
    """Windows of a (n, c, rows, columns) times those of b at their place, for taps that lie ``downs`` rows apart, zeros
    for others: (c, *taps, c, *taps). ``mirror``: also for the same taps the other way round, because a is b."""
    (kh, kw), channels = taps, a.shape[1]
    rows, columns = Cells.of(a.shape[2], kh), Cells.of(a.shape[3], kw)
    products = _Products.of(a, b, rows, columns, downs, threads)
    gram = np.zeros((channels, kh, kw, channels, kh, kw))
    for dy in downs:
        boxes = box_sums(box_sums(products.cells(dy), rows.run, 3), columns.run, 4)
        for dx in range(1 - kw, kw):
            u, v = np.ogrid[max(0, -dy) : min(kh, kh - dy), max(0, -dx) : min(kw, kw - dx)]
            found = boxes[:, :, dx + kw - 1, u, v].transpose(2, 3, 0, 1)
            gram[:, u, v, :, u + dy, v + dx] = found
            if mirror:
                gram[:, u + dy, v + dx, :, u, v] = found.swapaxes(2, 3)
    return gram


@dataclass(frozen=True)
class _Products:
    """Sums of a[i, q] * b[j, q + (dy, dx)] over cells, by [i, j, dy - first, dx + kw - 1, ...]."""

    a: np.ndarray
    b: np.ndarray
    rows: Cells
    columns: Cells
    downs: range
    core: np.ndarray  # [...]
    single_rows: np.ndarray  # [..., row cell], over the core of the columns
    single_columns: np.ndarray  # [..., column cell], over the core of the rows

    @classmethod
    def of(
        cls, a: np.ndarray, b: np.ndarray, rows: Cells, columns: Cells, downs: range, threads: int | None
    ) -> _Products:
        lags = len(downs), 2 * columns.taps - 1
        shape = (a.shape[1], a.shape[1], *lags)
        core = np.zeros(shape)
        if rows.core and columns.core:
            middle = a[:, :, rows.core.start : rows.core.stop, columns.core.start : columns.core.stop]
            core = lag_sums(middle, b, lags, (rows.core.start + downs.start, 0), threads=threads)
        single_rows = np.zeros((*shape, rows.count))
        if columns.core:
            for s, t, found in _single(a, b, rows, columns, lags[1], 0, threads):
                if t - s in downs:
                    single_rows[:, :, t - s - downs.start, :, rows.cell(s)] = found
        single_columns = np.zeros((*shape, columns.count))
        if rows.core:
            turned = a.swapaxes(2, 3), b.swapaxes(2, 3)
            start = rows.core.start + downs.start
            for s, t, found in _single(*turned, columns, rows, lags[0], start, threads):
                if abs(t - s) < columns.taps:
                    single_columns[:, :, :, t - s + columns.taps - 1, columns.cell(s)] = found
        return cls(a, b, rows, columns, downs, core, single_rows, single_columns)

    def cells(self, dy: int) -> np.ndarray:
        """[i, j, dx + kw - 1, row cell, column cell]"""
        core_row, core_column = self.rows.core.start, self.columns.core.start  # their numbers among the cells
        at = dy - self.downs.start
        cells = np.zeros((*self.core.shape[:2], self.core.shape[3], self.rows.count, self.columns.count))
        if self.columns.core:
            cells[..., core_column] = self.single_rows[:, :, at]
        if self.rows.core:
            cells[..., core_row, :] = self.single_columns[:, :, at]
        if self.rows.core and self.columns.core:
            cells[..., core_row, core_column] = self.core[:, :, at]
        self._fill_corners(cells, dy)
        return cells

    def _fill_corners(self, cells: np.ndarray, dy: int) -> None:
        """Cells of a single pixel: its product with each partner."""
        r, c = self.rows.single_pixels, self.columns.single_pixels
        here = self.a[:, :, r[:, np.newaxis], c].astype(np.float64)
        places = np.ix_([self.rows.cell(i) for i in r], [self.columns.cell(i) for i in c])
        below = np.clip(r + dy, 0, self.rows.n - 1)[:, np.newaxis]  # of partners outside no box has need
        for dx in range(1 - self.columns.taps, self.columns.taps):
            beside = np.clip(c + dx, 0, self.columns.n - 1)
            there = self.b[:, :, below, beside].astype(np.float64)
            cells[:, :, dx + self.columns.taps - 1][..., places[0], places[1]] = np.einsum(
                "nirc,njrc->ijrc", here, there
            )


def _single(
    a: np.ndarray, b: np.ndarray, across: Cells, along: Cells, lags: int, start: int, threads: int | None
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Single rows s of a, their partners t in b, and the lag sums along the core of row s with row t, (c, c, lags)."""
    channels = a.shape[1]
    for run in across.singles:
        partners = across.partners(run)
        one = _rows_as_channels(a[:, :, run.start : run.stop, along.core.start : along.core.stop])
        other = _rows_as_channels(b[:, :, partners.start : partners.stop])
        found = lag_sums(one, other, (1, lags), (0, start), threads=threads)
        found = found.reshape(channels, len(run), channels, len(partners), lags)
        for s in run:
            for t in partners:
                yield s, t, found[:, s - run.start, :, t - partners.start]


def _rows_as_channels(x: np.ndarray) -> np.ndarray:
    """(n, c, rows, columns) as (n, c * rows, 1, columns)."""
    return x.reshape(len(x), -1, 1, x.shape[3])
