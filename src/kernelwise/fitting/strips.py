"""What lies near the edges of an image, for products of windows: sums over single rows and columns, single pixels.

See algorithms/boxes.py for how boxes are added up from them.
"""

from __future__ import annotations

import numpy as np

from ..algorithms.boxes import Edges, lag_room
from ..algorithms.line_lags import line_lags, line_room
from .cells import Cells

FLOAT = np.float64


def edges(
    a: np.ndarray, b: np.ndarray, taps: tuple[int, int], downs: range, core: np.ndarray, centre: float,
    threads: int | None,
) -> Edges:  # fmt: skip
    """a, b: (n, c, rows, columns), of which ``centre`` is taken; core: (c, c, downs, 2 kw - 1) the lag sums over the
    cores of both axes, which there must be."""
    (kh, kw), channels = taps, a.shape[1]
    rows, columns = Cells.of(a.shape[2], kh), Cells.of(a.shape[3], kw)
    lags = 2 * kw - 1
    across = range(1 - kw, kw)
    lines = np.zeros((channels, channels, len(downs), 2 * kh - 1 + 2 * (kw - 1), lag_room(kw)))
    lines[..., kh - 1, :lags] = core
    for end, first in enumerate((0, rows.core.stop)):
        found = _single_lines(a, b, range(first, first + kh - 1), downs, columns.core, across, centre, threads)
        lines[..., end * kh : end * kh + kh - 1, :lags] = found.transpose(0, 1, 3, 2, 4)
    turned = a.swapaxes(2, 3), b.swapaxes(2, 3)
    for end, first in enumerate((0, columns.core.stop)):
        found = _single_lines(*turned, range(first, first + kw - 1), across, rows.core, downs, centre, threads)
        at = 2 * kh - 1 + end * (kw - 1)
        lines[..., at : at + kw - 1, :lags] = found.transpose(0, 1, 4, 2, 3)
    firsts = [(0, along.core.stop) for along in (rows, columns)]
    here = [[range(f, f + k - 1) for f in pair] for pair, k in zip(firsts, taps, strict=True)]
    there = [
        [range(f + downs.start, f + downs.start + kh + len(downs) - 2) for f in firsts[0]],
        [range(f + 1 - kw, f + 1 - kw + kw - 2 + lines.shape[-1]) for f in firsts[1]],
    ]
    return Edges(_corners(a, here, centre), _corners(b, there, centre), lines)


def _single_lines(
    a: np.ndarray, b: np.ndarray, rows: range, downs: range, core: range, across: range, centre: float,
    threads: int | None,
) -> np.ndarray:  # fmt: skip
    """(c, c, rows, downs, across): sums over q in ``core`` of a[row, q] * b[row + down, q + lag]."""
    partners = range(rows.start + downs.start, rows.stop + downs.stop - 1)
    met = range(core.start + across.start, core.stop + across.stop - 1)
    one, other = _rows(a, rows, core, 1, centre), _rows(b, partners, met, len(across), centre)
    return line_lags(one, other, len(core), len(downs), len(across), threads)


def _rows(x: np.ndarray, rows: range, columns: range, lags: int, centre: float) -> np.ndarray:
    """(n, c, rows, ...) in float64, less the centre, for `line_lags`; zeros outside the image."""
    n, c, height, _ = x.shape
    made = line_room((n, c, len(rows)), len(columns) - lags + 1, lags)
    inside = range(max(0, rows.start), min(height, rows.stop))
    if inside:
        part = x[:, :, inside.start : inside.stop, columns.start : columns.stop]
        place = made[:, :, inside.start - rows.start :][:, :, : len(inside), : len(columns)]
        np.subtract(part, centre, out=place, dtype=FLOAT)
    return made


def _corners(x: np.ndarray, of: list[list[range]], centre: float) -> np.ndarray:
    """(n, c, end, rows, end, columns) in float64, less the centre; zeros outside the image."""
    down, across = of
    found = np.zeros((*x.shape[:2], 2, len(down[0]), 2, len(across[0])))
    for i, rows in enumerate(down):
        for j, columns in enumerate(across):
            (r, here_r), (c, here_c) = _inside(rows, x.shape[2]), _inside(columns, x.shape[3])
            np.subtract(x[:, :, r, c], centre, out=found[:, :, i, here_r, j, here_c], dtype=FLOAT)
    return found


def _inside(wanted: range, n: int) -> tuple[slice, slice]:
    """The pixels that there are, and their places among those wanted."""
    first, stop = max(0, wanted.start), max(0, min(n, wanted.stop))
    stop = max(first, stop)
    return slice(first, stop), slice(first - wanted.start, stop - wanted.start)
