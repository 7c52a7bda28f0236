"""From a plan and the strides of two arrays to the numbers that a Fourier routine works with."""

from __future__ import annotations

import math
from collections import OrderedDict
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ...borders import OUTSIDE, source_index
from ...jit import pool
from ...jit.compile import Code
from ...jit.target import Target
from ...problem import Axis
from ..launch import Grid, Launch, Sheet, plane_table
from ..memory import ALIGN, aligned, up
from ..walk import MISSING
from .record import FIELDS
from .spec import FourierSpec, frequencies, twiddles

ALIASED = 2048  # bytes; rows so far apart share few sets of the caches, and a tile of them is copied before it is used
GROUP_BYTES = 4 << 20  # that the spectra of the planes of a group may take
MOST_SPECTRA, MOST_SPECTRA_BYTES = 64, 16 << 20  # of kernels that are remembered


class Cut(NamedTuple):
    """How a result is cut into tiles, by its shape alone."""

    step: tuple[int, int]  # outputs of a tile: rows, and columns in elements
    tiles: tuple[int, int]
    paired: int  # tiles of a pair are neighbours down (0) or across (1)
    group: int  # planes of the result that share the spectra of their sources
    sources: int  # planes of the image that such a group needs, at most

    @property
    def pairs(self) -> tuple[int, int]:
        down, across = self.tiles
        return (-(-down // 2), across) if self.paired == 0 else (down, -(-across // 2))


def cut(spec: FourierSpec, rows: Axis, columns: Axis, channels: int, planes: tuple[Axis, ...]) -> Cut:
    """The cut of a result; the kernel must leave at least one output of a tile."""
    across = columns.out * channels
    if spec.line:
        step = 1, spec.size - columns.reach * channels
    else:
        step = spec.tile[0] - rows.reach, spec.tile[1] - columns.reach * channels
    tiles = -(-rows.out // step[0]), -(-across // step[1])
    taps = math.prod(axis.taps for axis in planes)
    if not spec.deep or len(planes) != 1:
        return Cut(step, tiles, spec.paired, 1, taps)
    axis = planes[0]
    most = max(1, GROUP_BYTES // spec.tile_bytes - axis.taps + 1)
    group = min(axis.out, most)
    return Cut(
        step, tiles, spec.paired, group, min(axis.n + 1, (group - 1) * axis.stride + axis.reach + 1, group * axis.taps)
    )


def pairing(of: Cut) -> int:
    """The way of pairing tiles that leaves fewer of them alone."""
    down, across = of.tiles
    return 0 if -(-down // 2) * across < down * -(-across // 2) else 1


def launch(
    spec: FourierSpec, grid: Grid, border: str, fill: np.ndarray, weights: np.ndarray, code: Code, target: Target
) -> Launch:
    """Fill in record.FIELDS. ``weights``: [planes, rows, columns] in the dtype of the sums; ``fill`` is one pixel."""
    of = cut(spec, grid.rows, grid.columns, grid.channels, grid.planes)
    sheet = Sheet(FIELDS)
    groups = _planes(of, grid, border, sheet)
    _rows(spec, of, grid, border, sheet)
    _columns(spec, of, grid, border, sheet)
    sheet.point("fill_row", np.full(spec.tile[1], fill, fill.dtype))
    sheet.point("zero_row", np.zeros(spec.tile[1], fill.dtype))
    _tables(spec, target, sheet)
    values, exponent = spectrum(spec, grid, weights, code, target)
    sheet.point("spectrum", values)
    sheet.write(
        kernel_exponent=exponent, taps=len(weights), batch_in=grid.batch_strides[0], batch_out=grid.batch_strides[1]
    )
    scratch = _scratch(spec, of, sheet)
    units = grid.batch * groups * math.prod(of.pairs)
    flags = grid.batch * groups * math.prod(of.tiles)
    return Launch(sheet.args(), scratch, units, tuple(sheet.keep), flags)


def _planes(of: Cut, grid: Grid, border: str, sheet: Sheet) -> int:
    """The planes of the image that each group needs, each once, and which of them lies under each tap."""
    table, out = plane_table(grid, border)
    groups = -(-len(out) // of.group)
    sources = np.full((groups, of.sources), MISSING, np.int64)
    counts, source_of = np.empty(groups, np.int64), np.empty(table.shape, np.int64)
    for g in range(groups):
        part = slice(g * of.group, (g + 1) * of.group)
        needed, place = np.unique(table[part], return_inverse=True)
        sources[g, : len(needed)], counts[g] = needed, len(needed)
        source_of[part] = place.reshape(table[part].shape)
    for name, array in (
        ("group_sources", sources),
        ("group_count", counts),
        ("source_of", source_of),
        ("plane_out", out),
    ):
        sheet.point(name, array)
    sheet.write(groups=groups, group=of.group, most_sources=of.sources, planes_out=len(out))
    return groups


def _rows(spec: FourierSpec, of: Cut, grid: Grid, border: str, sheet: Sheet) -> None:
    axis = grid.rows
    virtual = np.arange(of.tiles[0] * of.step[0] + (0 if spec.line else spec.tile[0]))
    index = source_index(np.minimum(virtual, axis.out - 1 + axis.reach) + axis.start, axis.n, border)
    sheet.point("row_map", np.where(index == OUTSIDE, MISSING, index * grid.row_strides[0]))
    pair = {"down": 1, "across": 1, "next_down": 0, "next_across": 0}
    way = "down" if of.paired == 0 else "across"
    pair |= {way: 2, f"next_{way}": 1}
    sheet.write(**pair, pairs_down=of.pairs[0], pairs_across=of.pairs[1])
    sheet.write(tiles_down=of.tiles[0], tiles_across=of.tiles[1], step_down=of.step[0], step_across=of.step[1])
    sheet.write(rows_out=axis.out, row_out=grid.row_strides[1])


def _columns(spec: FourierSpec, of: Cut, grid: Grid, border: str, sheet: Sheet) -> None:
    """Columns count elements. What lies right of the last pixel that any output needs repeats that one."""
    axis, channels = grid.columns, grid.channels
    lead = -axis.start * channels
    width = spec.size if spec.line else spec.tile[1]
    last = axis.out * channels - 1 + axis.reach * channels - lead
    inside_stop = min(axis.n * channels, last + 1)
    end = of.tiles[1] * of.step[1] + width - lead
    sheet.point("left_map", _source_columns(np.arange(-lead, 0), axis, channels, border))
    sheet.point("right_map", _source_columns(np.minimum(np.arange(inside_stop, end), last), axis, channels, border))
    aliased = not spec.line and grid.row_strides[0] % ALIASED == 0
    sheet.write(columns_out=axis.out * channels, lead=lead, inside_stop=inside_stop, copied=int(aliased))


def _source_columns(element: np.ndarray, axis: Axis, channels: int, border: str) -> np.ndarray:
    pixel, channel = np.divmod(element, channels)
    source = source_index(pixel, axis.n, border)
    return np.append(np.where(source == OUTSIDE, OUTSIDE, source * channels + channel), 0)


def _tables(spec: FourierSpec, target: Target, sheet: Sheet) -> None:
    down, across = spec.tile
    sheet.point("twiddles_down", twiddles(down, target, spec.sums.dtype))
    sheet.point("twiddles_across", twiddles(across, target, spec.sums.dtype))
    if spec.line:
        sheet.point("twist", _twist(spec, target))


@lru_cache(maxsize=4)
def _twist(spec: FourierSpec, target: Target) -> np.ndarray:
    """The factors between the transforms down and across that make one transform of a line."""
    turns = np.outer(frequencies(spec.tile[0], target), np.arange(spec.tile[1])) / spec.size
    return _in_vectors(np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns), spec, target)


def _in_vectors(re: np.ndarray, im: np.ndarray, spec: FourierSpec, target: Target) -> np.ndarray:
    """[down][across] complex numbers as tiles keep them: [down / lanes][across][re, im][lanes]."""
    lanes = target.lanes(spec.sums.bytes)
    both = np.stack([re, im]).astype(spec.sums.dtype).reshape(2, -1, lanes, spec.tile[1])
    return aligned(both.transpose(1, 3, 0, 2))


def _scratch(spec: FourierSpec, of: Cut, sheet: Sheet) -> int:
    """Lay out the scratch memory of a worker; returns its size."""
    down, across = spec.tile
    pitch = up((spec.size if spec.line else across) * spec.image.bytes, ALIGN) + ALIGN
    complex_row = 2 * ALIGN  # a complex vector is never larger
    sizes = {
        "at_rows": 16 * down,
        "at_stage": 2 * pitch * (1 if spec.line else down),
        "at_column": down * complex_row,
        "at_found": 32,
        "at_sum": spec.tile_bytes if spec.deep else 0,
        "at_sources": spec.tile_bytes * (of.sources if spec.deep else 1),
    }
    sheet.write(stage_pitch=pitch)
    return sheet.lay_out(sizes)


# ---------------------------------------------------------------- the kernel

_spectra: OrderedDict[tuple, tuple[np.ndarray, int]] = OrderedDict()


def spectrum(spec: FourierSpec, grid: Grid, weights: np.ndarray, code: Code, target: Target) -> tuple[np.ndarray, int]:
    """The conjugate spectrum of every plane of the kernel over the number of pixels, and the power of two that is
    left out of it so that its largest weight is near 1."""
    gaps = grid.rows.dilation, grid.columns.dilation * grid.channels
    key = spec, target, weights.shape, weights.tobytes(), gaps
    found = _spectra.get(key)
    if found is None:
        found = _spectra[key] = _transformed(spec, gaps, weights, code, target)
        while len(_spectra) > MOST_SPECTRA or sum(v.nbytes for v, _ in list(_spectra.values())) > MOST_SPECTRA_BYTES:
            try:
                _spectra.popitem(last=False)
            except KeyError:  # another thread was faster
                break
    return found


def forget() -> None:
    """Drop all remembered spectra."""
    _spectra.clear()
    _twist.cache_clear()


def _transformed(
    spec: FourierSpec, gaps: tuple[int, int], weights: np.ndarray, code: Code, target: Target
) -> tuple[np.ndarray, int]:
    exponent = math.frexp(float(np.abs(weights).max(initial=0)))[1]
    planes = np.zeros((len(weights), *((1, spec.size) if spec.line else spec.tile)), spec.sums.dtype)
    rows, columns = ((n - 1) * gap + 1 for n, gap in zip(weights.shape[1:], gaps, strict=True))
    planes[:, : rows : gaps[0], : columns : gaps[1]] = np.ldexp(weights, -exponent)
    lanes = target.lanes(spec.sums.bytes)
    made = aligned(np.zeros((len(weights), spec.size // lanes, 2, lanes), spec.sums.dtype))
    sheet = Sheet(FIELDS)
    sheet.point("image", planes)
    sheet.point("spectrum", made)
    sheet.point("fill_row", np.zeros(spec.tile[1], spec.sums.dtype))
    _tables(spec, target, sheet)
    scratch = _scratch(spec, Cut((1, 1), (1, 1), 0, 1, 0), sheet)
    pool.run(code.address("kernel"), sheet.args().ctypes.data, scratch, len(weights), 1)
    made *= (np.array([1, -1]) / spec.size).astype(spec.sums.dtype)[:, None]
    return made, exponent
