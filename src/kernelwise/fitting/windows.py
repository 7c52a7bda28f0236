"""Products of all windows of images with each other: the Gram matrix of a least-squares fit, without the windows.

    G[i, a, j, b] = sum over all windows p of p[i, a] * p[j, b]        channels i, j; taps a, b

For two taps that lie d apart this is the sum of x[q] * x[q + d] over the box of pixels q that the first tap meets. The
boxes share all but a few pixels at the edges of the image. So every axis is cut into *cells* (see cells.py): the first
taps - 1 pixels one by one, the core, the last taps - 1 one by one. Products are summed over each cell, which are lag
sums, and a box is a run of neighbouring cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..algorithms.lag_sums import Lagged, joint_lag_sums
from .cells import Cells, box_sums

Taps = tuple[int, int, int]


@dataclass(frozen=True)
class How:
    """The constants that are taken from every pixel before and after, what sums are taken in, and by whom."""

    before: float = 0.0
    after: float = 0.0
    sums: np.dtype = np.dtype(np.float64)  # float32: tiles are transformed in it; what is added up is float64
    threads: int | None = None


PLAIN = How()


def window_products(x: np.ndarray, taps: Taps, how: How = PLAIN) -> np.ndarray:
    """x: (n, c, planes, rows, columns) of any real dtype. Returns float64 (c, *taps, c, *taps).

    >>> window_products(np.array([[[[[1, 2, 3]]]]]), (1, 1, 2)).reshape(2, 2)
    array([[ 5.,  8.],
           [ 8., 13.]])
    """
    depth, channels = Cells.of(x.shape[2], taps[0]), x.shape[1]
    gram = np.empty((channels, *taps, channels, *taps))
    for dz in range(taps[0]):
        cells = np.stack([_pairs_of_planes(x, cell, dz, taps[1:], how) for cell in depth.all])
        boxes = box_sums(cells, depth.run, 0)
        for z in range(taps[0] - dz):
            gram[:, z, :, :, :, z + dz] = boxes[z]
            gram[:, z + dz, :, :, :, z] = boxes[z].transpose(3, 4, 5, 0, 1, 2)
    return gram


def window_sums(x: np.ndarray, taps: Taps, how: How = PLAIN) -> np.ndarray:
    """The sum of all windows of x (n, c, planes, rows, columns). Returns float64 (c, *taps)."""
    cells = [Cells.of(n, k) for n, k in zip(x.shape[2:], taps, strict=True)]
    sums = _cell_sums(x, cells[1:], how)  # (c, planes, row cells, column cells)
    planes = np.stack([sums[:, cell.start : cell.stop].sum(axis=1) for cell in cells[0].all], axis=1)
    for axis, along in enumerate(cells, 1):
        planes = box_sums(planes, along.run, axis)
    return planes


def window_matches(y: np.ndarray, x: np.ndarray, taps: Taps, how: How = PLAIN) -> np.ndarray:
    """sum over all windows p of x of y * p: y (n, m, *windows), x (n, c, ...). Returns float64 (m, c, *taps)."""
    found = np.empty((y.shape[1], x.shape[1], *taps))
    for z in range(taps[0]):
        of_y, of_x = flat_planes(y), flat_planes(x[:, :, z : z + y.shape[2]])
        found[:, :, z] = sum(
            _lag_sums(a, b, taps[1:], (0, 0), (how.after, how.before), how) for a, b in zip(of_y, of_x, strict=True)
        )
    return found


def products_and_matches(y: np.ndarray, x: np.ndarray, taps: Taps, how: How = PLAIN) -> tuple[np.ndarray, np.ndarray]:
    """`window_products` of x and `window_matches` of y with x, in one go where they can share transforms."""
    rows, columns = Cells.of(x.shape[3], taps[1]), Cells.of(x.shape[4], taps[2])
    if x.shape[2] > 1 or not (rows.core and columns.core):
        return window_products(x, taps, how), window_matches(y, x, taps, how)
    a, (kh, kw) = x[:, :, 0], taps[1:]
    asked = [
        Lagged(_core(a, rows, columns), (kh, 2 * kw - 1), (rows.core.start, 0), how.before),
        Lagged(y[:, :, 0], (kh, kw), (0, 0), how.after),
    ]
    core, right = joint_lag_sums(asked, a, centre=how.before, sums=how.sums, threads=how.threads)
    gram = _plane_products(a, a, (kh, kw), range(kh), True, how, core)
    return gram[:, np.newaxis, :, :, :, np.newaxis], right[:, :, np.newaxis]


def sums_and_squares(y: np.ndarray, how: How) -> tuple[np.ndarray, np.ndarray]:
    """(m,) sums of the channels of y (n, m, planes, rows, columns) and of their squares, how.after taken from all."""
    total, squares = np.zeros(y.shape[1]), np.zeros(y.shape[1])
    for m in range(y.shape[1]):
        for plane in flat_planes(y[:, m : m + 1]):
            ones = np.broadcast_to(np.float64(1), plane.shape)
            total[m] += _lag_sums(ones, plane, (1, 1), (0, 0), (0.0, how.after), how)[0, 0, 0, 0]
            squares[m] += _lag_sums(plane, plane, (1, 1), (0, 0), (how.after, how.after), how)[0, 0, 0, 0]
    return total, squares


def flat_planes(x: np.ndarray) -> list[np.ndarray]:
    """(n, c, planes, rows, columns) as stacks of images (k, c, rows, columns), without a copy."""
    if x.shape[2] == 1:
        return [x[:, :, 0]]
    return [image.transpose(1, 0, 2, 3) for image in x]


def later_products(a: np.ndarray, b: np.ndarray, taps: tuple[int, int], how: How = PLAIN) -> np.ndarray:
    """sum over windows of a (rows, columns) and of b at its place, a's at tap (u, v) times b's at one in the same or a
    later row: (*taps, *taps). Zeros for rows before."""
    lone = (np.newaxis, np.newaxis)
    return _plane_products(a[lone], b[lone], taps, range(taps[0]), False, how)[0, :, :, 0]


def _lag_sums(
    a: np.ndarray, b: np.ndarray, taps: tuple[int, int], start: tuple[int, int], centres: tuple[float, float], how: How
) -> np.ndarray:
    """(o, i, *taps), with constants taken from a and b."""
    asked = [Lagged(a, taps, start, centres[0])]
    found: np.ndarray = joint_lag_sums(asked, b, centre=centres[1], sums=how.sums, threads=how.threads)[0]
    return found


def _core(a: np.ndarray, rows: Cells, columns: Cells) -> np.ndarray:
    return a[:, :, rows.core.start : rows.core.stop, columns.core.start : columns.core.stop]


def _cell_sums(x: np.ndarray, cells: list[Cells], how: How) -> np.ndarray:
    """(c, planes, row cells, column cells): sums of x over the cells of each plane."""
    rows, columns = cells
    down = np.zeros((x.shape[1], x.shape[2], rows.count, x.shape[4]))
    for at, cell in enumerate(rows.all):
        part = x[:, :, :, cell.start : cell.stop]
        down[:, :, at] = part.sum(axis=(0, 3), dtype=np.float64) - how.before * len(x) * len(cell)
    found = [down[..., cell.start : cell.stop].sum(axis=-1) for cell in columns.all]
    return np.stack(found, axis=-1)


def _pairs_of_planes(x: np.ndarray, cell: range, dz: int, taps: tuple[int, int], how: How) -> np.ndarray:
    """Sums over the windows in each plane z of a cell, met by those of plane z + dz: (c, *taps, c, *taps)."""
    channels = x.shape[1]
    total = np.zeros((channels, *taps, channels, *taps))
    if cell.stop + dz > x.shape[2]:  # its partners lie outside: no box has need of it
        return total
    a, b = (flat_planes(x[:, :, cell.start + d : cell.stop + d]) for d in (0, dz))
    for here, there in zip(a, b, strict=True):
        downs = range(0 if dz == 0 else 1 - taps[0], taps[0])
        total += _plane_products(here, there, taps, downs, dz == 0, how)
    return total


def _plane_products(
    a: np.ndarray,
    b: np.ndarray,
    taps: tuple[int, int],
    downs: range,
    mirror: bool,
    how: How,
    core: np.ndarray | None = None,
) -> np.ndarray:
    """Windows of a (n, c, rows, columns) times those of b at their place, for taps that lie ``downs`` rows apart, zeros
    for others: (c, *taps, c, *taps). ``mirror``: also for the same taps the other way round, because a is b. ``core``:
    the lag sums over the cores of both axes, where they are known."""
    (kh, kw), channels = taps, a.shape[1]
    rows, columns = Cells.of(a.shape[2], kh), Cells.of(a.shape[3], kw)
    products = _Products.of(a, b, rows, columns, downs, how, core)
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

    centre: float  # taken from every pixel of a and of b

    @classmethod
    def of(
        cls,
        a: np.ndarray,
        b: np.ndarray,
        rows: Cells,
        columns: Cells,
        downs: range,
        how: How,
        core: np.ndarray | None,
    ) -> _Products:
        lags = len(downs), 2 * columns.taps - 1
        shape = (a.shape[1], a.shape[1], *lags)
        start = rows.core.start + downs.start
        if core is None and rows.core and columns.core:
            core = _lag_sums(_core(a, rows, columns), b, lags, (start, 0), (how.before, how.before), how)
        elif core is None:
            core = np.zeros(shape)
        single_rows = np.zeros((*shape, rows.count))
        if columns.core:
            for s, t, found in _single(a, b, rows, columns, lags[1], 0, how):
                if t - s in downs:
                    single_rows[:, :, t - s - downs.start, :, rows.cell(s)] = found
        single_columns = np.zeros((*shape, columns.count))
        if rows.core:
            turned = a.swapaxes(2, 3), b.swapaxes(2, 3)
            for s, t, found in _single(*turned, columns, rows, lags[0], start, how):
                if abs(t - s) < columns.taps:
                    single_columns[:, :, :, t - s + columns.taps - 1, columns.cell(s)] = found
        return cls(a, b, rows, columns, downs, core, single_rows, single_columns, how.before)

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
        here = self.a[:, :, r[:, np.newaxis], c].astype(np.float64) - self.centre
        places = np.ix_([self.rows.cell(i) for i in r], [self.columns.cell(i) for i in c])
        below = np.clip(r + dy, 0, self.rows.n - 1)[:, np.newaxis]  # of partners outside no box has need
        for dx in range(1 - self.columns.taps, self.columns.taps):
            beside = np.clip(c + dx, 0, self.columns.n - 1)
            there = self.b[:, :, below, beside].astype(np.float64) - self.centre
            cells[:, :, dx + self.columns.taps - 1][..., places[0], places[1]] = np.einsum(
                "nirc,njrc->ijrc", here, there
            )


def _single(
    a: np.ndarray, b: np.ndarray, across: Cells, along: Cells, lags: int, start: int, how: How
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Single rows s of a, their partners t in b, and the lag sums along the core of row s with row t, (c, c, lags)."""
    channels, exact = a.shape[1], replace(how, sums=np.dtype(np.float64))
    for run in across.singles:
        partners = across.partners(run)
        one = _rows_as_channels(a[:, :, run.start : run.stop, along.core.start : along.core.stop])
        other = _rows_as_channels(b[:, :, partners.start : partners.stop])
        found = _lag_sums(one, other, (1, lags), (0, start), (how.before, how.before), exact)
        found = found.reshape(channels, len(run), channels, len(partners), lags)
        for s in run:
            for t in partners:
                yield s, t, found[:, s - run.start, :, t - partners.start]


def _rows_as_channels(x: np.ndarray) -> np.ndarray:
    """(n, c, rows, columns) as (n, c * rows, 1, columns)."""
    return x.reshape(len(x), -1, 1, x.shape[3])
