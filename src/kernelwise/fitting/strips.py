"""What lies near the edges of an image, for products of windows: sums over single rows and columns, single pixels.

See algorithms/boxes.py for how boxes are added up from them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..algorithms import fourier_lines, line_lags
from ..algorithms.boxes import Edges, lag_room
from ..algorithms.fourier_lines import Lines, LinesCut
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
    sides = [Side(a, b, range(f, f + kh - 1), downs, columns.core, across) for f in (0, rows.core.stop)]
    turned = a.swapaxes(2, 3), b.swapaxes(2, 3)
    sides += [Side(*turned, range(f, f + kw - 1), across, rows.core, downs) for f in (0, columns.core.stop)]
    top, bottom, left, right = single_lines(sides, centre, threads)
    for first, found in ((0, top), (kh, bottom)):
        lines[..., first : first + kh - 1, :lags] = found.transpose(0, 1, 3, 2, 4)
    for first, found in ((2 * kh - 1, left), (2 * kh + kw - 2, right)):
        lines[..., first : first + kw - 1, :lags] = found.transpose(0, 1, 4, 2, 3)
    firsts = [(0, along.core.stop) for along in (rows, columns)]
    here = [[range(f, f + k - 1) for f in pair] for pair, k in zip(firsts, taps, strict=True)]
    there = [
        [range(f + downs.start, f + downs.start + kh + len(downs) - 2) for f in firsts[0]],
        [range(f + 1 - kw, f + 1 - kw + kw - 2 + lines.shape[-1]) for f in firsts[1]],
    ]
    return Edges(_corners(a, here, centre), _corners(b, there, centre), lines)


class Side(NamedTuple):
    """Single lines of one side of an image: sums over q in ``core`` of a[row, q] * b[row + down, q + lag]."""

    a: np.ndarray  # (n, c, rows, columns)
    b: np.ndarray
    rows: range
    downs: range
    core: range
    across: range

    @property
    def counts(self) -> tuple[int, int, int]:
        """Rows, downs, lags."""
        return len(self.rows), len(self.downs), len(self.across)

    @property
    def partners(self) -> range:
        """Rows of b."""
        return range(self.rows.start + self.downs.start, self.rows.stop + self.downs.stop - 1)

    @property
    def met(self) -> range:
        """Columns of b."""
        return range(self.core.start + self.across.start, self.core.stop + self.across.stop - 1)


def single_lines(sides: list[Side], centre: float, threads: int | None) -> list[np.ndarray]:
    """(c, c, rows, downs, across) for each side: by products or by transforms, whichever takes less time."""
    found: dict[int, np.ndarray] = {}
    transformed: dict[int, Lines] = {}
    for number, side in enumerate(sides):
        shape = len(side.a), (side.a.shape[1], side.b.shape[1]), len(side.rows), len(side.core), *side.counts[1:]
        if not all(shape[2:]):
            found[number] = np.zeros((*shape[1], *side.counts))
            continue
        of = fourier_lines.cut(*shape)
        if of is not None and of.nanoseconds < line_lags.nanoseconds(*shape):
            transformed[number] = for_transforms(side, of, centre)
        else:
            found[number] = by_products(side, centre, threads)
    found |= zip(transformed, fourier_lines.fourier_lines(list(transformed.values()), threads), strict=True)
    return [found[number] for number in range(len(sides))]


def by_products(side: Side, centre: float, threads: int | None) -> np.ndarray:
    """(c, c, rows, downs, across)."""
    _, downs, across = side.counts
    one = line_lags.line_room((*side.a.shape[:2], len(side.rows)), len(side.core))
    other = line_lags.line_room((*side.b.shape[:2], len(side.partners)), len(side.core), across)
    _fill(side, centre, one, other)
    return line_lags.line_lags(one, other, len(side.core), downs, across, threads)


def for_transforms(side: Side, of: LinesCut, centre: float) -> Lines:
    """Where lines lie side by side."""

    def fill(one: np.ndarray, other: np.ndarray) -> None:
        _fill(side, centre, one.swapaxes(2, 3), other.swapaxes(2, 3))

    return Lines(of, len(side.a), (side.a.shape[1], side.b.shape[1]), *side.counts, fill)


def _fill(side: Side, centre: float, one: np.ndarray, other: np.ndarray) -> None:
    """The lines of a and of b, less the centre, from the first row and pixel of zeros on: zeros stay where the image
    has none."""
    for x, rows, columns, room in ((side.a, side.rows, side.core, one), (side.b, side.partners, side.met, other)):
        inside = range(max(0, rows.start), min(x.shape[2], rows.stop))
        if inside:
            part = x[:, :, inside.start : inside.stop, columns.start : columns.stop]
            place = room[:, :, inside.start - rows.start :][:, :, : len(inside), : len(columns)]
            np.subtract(part, centre, out=place, dtype=FLOAT)


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
