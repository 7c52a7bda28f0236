"""Products of all windows of images with each other: the Gram matrix of a least-squares fit, without the windows.

    G[i, a, j, b] = sum over all windows p of p[i, a] * p[j, b]        channels i, j; taps a, b

For two taps that lie d apart this is the sum of x[q] * x[q + d] over the box of pixels q that the first tap meets. The
boxes share all but a few pixels at the edges of the image. So every axis is cut into *cells* (see cells.py): the first
taps - 1 pixels one by one, the core, the last taps - 1 one by one. Products are summed over each cell, which are lag
sums (see strips.py), and a box is a run of neighbouring cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..algorithms.boxes import add_boxes
from ..algorithms.lag_sums import Lagged, joint_lag_sums
from ..algorithms.totals import image_totals
from .cells import Cells, box_sums
from .strips import edges

Taps = tuple[int, int, int]
PATCHES = 4096  # windows that are gathered at a time


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


def window_sums(x: np.ndarray, taps: Taps, how: How = PLAIN, core: np.ndarray | None = None) -> np.ndarray:
    """The sum of all windows of x (n, c, planes, rows, columns). Returns float64 (c, *taps). ``core``: (c,) the sums
    over the cores of rows and columns, of images of one plane, where they are known."""
    cells = [Cells.of(n, k) for n, k in zip(x.shape[2:], taps, strict=True)]
    sums = _cell_sums(x, cells[1:], how, core)  # (c, planes, row cells, column cells)
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


class Matched(NamedTuple):
    """All sums over the outputs of images x and results y."""

    gram: np.ndarray  # (c, *taps, c, *taps)
    right: np.ndarray  # (m, c, *taps)
    seen: np.ndarray  # (c, *taps)
    total: np.ndarray  # (m,)
    squares: np.ndarray  # (m,)


def matched(y: np.ndarray, x: np.ndarray, taps: Taps, how: How = PLAIN) -> Matched | None:
    """`window_products` of x, `window_matches` of y with x, `window_sums` of x, and the sums of y and of its squares:
    in one go where they can share transforms and passes over the images. None where sums are not finite."""
    rows, columns = Cells.of(x.shape[3], taps[1]), Cells.of(x.shape[4], taps[2])
    if x.shape[2] > 1 or not (rows.core and columns.core):
        seen, sums = window_sums(x, taps, how), sums_and_squares(y, how)
        if not (np.isfinite(seen).all() and np.isfinite(sums).all()):
            return None
        return Matched(window_products(x, taps, how), window_matches(y, x, taps, how), seen, *sums)
    a, (kh, kw) = x[:, :, 0], taps[1:]
    asked = [
        Lagged(_core(a, rows, columns), (kh, 2 * kw - 1), (rows.core.start, 0), how.before),
        Lagged(y[:, :, 0], (kh, kw), (0, 0), how.after),
    ]
    totals: list[np.ndarray] = []
    found = joint_lag_sums(asked, a, centre=how.before, sums=how.sums, threads=how.threads, totals=totals)
    seen = window_sums(x, taps, how, totals[0][:, 0])
    if not found or not np.isfinite(seen).all():
        return None
    core, right = found
    gram = _plane_products(a, a, (kh, kw), range(kh), True, how, core)
    return Matched(gram[:, np.newaxis, :, :, :, np.newaxis], right[:, :, np.newaxis], seen, *totals[1].T)


def sums_and_squares(y: np.ndarray, how: How) -> tuple[np.ndarray, np.ndarray]:
    """(m,) sums of the channels of y (n, m, planes, rows, columns) and of their squares, how.after taken from all."""
    found = [
        [image_totals(plane[:, 0], how.after, how.threads) for plane in flat_planes(y[:, m : m + 1])]
        for m in range(y.shape[1])
    ]
    total, squares = np.array(found).sum(axis=1).T
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


def _cell_sums(x: np.ndarray, cells: list[Cells], how: How, known: np.ndarray | None) -> np.ndarray:
    """(c, planes, row cells, column cells): sums of x over the cells of each plane."""
    rows, columns = cells
    channels, planes = x.shape[1:3]
    found = np.zeros((channels, planes, rows.count, columns.count))
    for r in rows.singles:
        of_r = (x[:, :, :, r.start : r.stop].astype(np.float64) - how.before).sum(axis=0)  # (c, planes, rows, columns)
        here = slice(rows.cell(r.start), rows.cell(r.start) + len(r))
        for c in columns.singles:
            found[:, :, here, columns.cell(c.start) :][..., : len(c)] = of_r[..., c.start : c.stop]
        if columns.core:
            found[:, :, here, columns.core.start] = of_r[..., columns.core.start : columns.core.stop].sum(axis=-1)
    for c in columns.singles if rows.core else ():
        core = x[:, :, :, rows.core.start : rows.core.stop, c.start : c.stop]
        of_c = core.sum(axis=(0, 3), dtype=np.float64) - how.before * len(x) * len(rows.core)
        found[:, :, rows.core.start, columns.cell(c.start) :][..., : len(c)] = of_c
    if rows.core and columns.core:
        for k, z in np.ndindex(channels, planes):
            core = _core(x[:, k : k + 1, z], rows, columns)[:, 0]
            total = image_totals(core, how.before, how.threads)[0] if known is None else known[k]
            found[k, z, rows.core.start, columns.core.start] = total
    return found


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
    if not (rows.core and columns.core):
        return _gathered_products(a, b, taps, downs, mirror, how)
    if core is None:
        lags, start = (len(downs), 2 * kw - 1), (rows.core.start + downs.start, 0)
        core = _lag_sums(_core(a, rows, columns), b, lags, start, (how.before, how.before), how)
    gram = np.zeros((channels, kh, kw, channels, kh, kw))
    near = edges(a, b, taps, downs, core, how.before, how.threads)
    add_boxes(near, taps, downs.start, mirror, gram, how.threads)
    if mirror:  # in the same row every pair of taps was found from either side, and rounded in two ways
        same = np.arange(kh)
        row = gram[:, same, :, :, same]  # (rows, c, columns, c, columns)
        gram[:, same, :, :, same] = (row + row.transpose(0, 3, 4, 1, 2)) / 2
    return gram


def _gathered_products(
    a: np.ndarray, b: np.ndarray, taps: tuple[int, int], downs: range, mirror: bool, how: How
) -> np.ndarray:
    """The same of images that are hardly larger than the kernel: from the windows themselves."""
    (kh, kw), channels = taps, a.shape[1]
    size = channels * kh * kw
    total = np.zeros((size, size))
    for n in range(len(a)):
        seen = [sliding_window_view(x[n].astype(np.float64) - how.before, taps, (1, 2)) for x in (a, b)]
        long = [of.transpose(1, 2, 0, 3, 4) for of in seen]
        step = max(1, PATCHES // long[0].shape[1])
        for top in range(0, len(long[0]), step):
            here, there = (of[top : top + step].reshape(-1, size) for of in long)
            total += here.T @ there
    if mirror:  # a matrix product rounds an entry and its mirror image in two ways
        total = (total + total.T) / 2
    gram = total.reshape(channels, kh, kw, channels, kh, kw)
    for u, v in np.ndindex(kh, kh):
        if v - u not in downs and not mirror:
            gram[:, u, :, :, v] = 0
    return gram
