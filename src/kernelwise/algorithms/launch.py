"""From a plan and the strides of two arrays to the numbers a walk works with."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..borders import OUTSIDE, source_index
from ..problem import Axis
from . import gradient, ordered, separable, walk
from .memory import ALIGN, up
from .spec import Spec

UNIT_WORK = 1 << 27  # multiply-adds in a unit, about: some milliseconds, after which a call can be interrupted
UNIT_OUTPUTS = 1 << 16  # outputs in a unit: large enough to hide its start, small enough to share out
# columns a unit covers: its rows then stay in the second-level cache
PANEL = {"direct": 4096, "separable": 2048, "ordered": 1024, "gradient": 4096}
TEMPORARY = {
    "separable": separable.scratch_bytes,
    "ordered": ordered.scratch_bytes,
    "gradient": gradient.scratch_bytes,
}
TILE_BYTES = 1 << 18
ALIASED, ALIASED_PANEL = 4096, 1024  # bytes between rows; columns
ALIASED_SLOTS = {1: 14, 2: 14, 4: 18, 8: 18}  # bytes of a pixel: rows of a block from which copying them pays
STREAM_MINIMUM = 512  # interior columns below which streaming is not worth its unaligned ends


class Grid(NamedTuple):
    """An image and its result as the walk sees them: batch, planes, rows and columns of interleaved channels.

    Byte strides come in pairs (image, result).
    """

    batch: int
    batch_strides: tuple[int, int]
    planes: tuple[Axis, ...]
    plane_strides: tuple[tuple[int, int], ...]
    rows: Axis
    row_strides: tuple[int, int]
    columns: Axis
    channels: int


class Launch(NamedTuple):
    """What it takes to start a routine on a grid."""

    args: np.ndarray  # walk.FIELDS; the two array pointers still empty
    scratch: int  # bytes each worker needs
    units: int
    keep: tuple  # arrays that args points into
    flags: int = 0  # bytes a call needs, behind the third argument, to flag what is left to be done


class Sheet:
    """The fields of a walk while they are being filled in, with the arrays they point into."""

    def __init__(self, fields: tuple[str, ...]) -> None:
        self.fields = fields
        self.values: dict[str, int] = {}
        self.keep: list[np.ndarray] = []

    def __getitem__(self, name: str) -> int:
        return self.values[name]

    def write(self, **values: int) -> None:
        self.values |= values

    def point(self, name: str, array: np.ndarray) -> None:
        self.keep.append(array)
        self.values[name] = array.ctypes.data

    def lay_out(self, sizes: dict[str, int]) -> int:
        """Places in scratch memory, each at a line of the cache; returns the bytes of all of them."""
        ends = list(itertools.accumulate(up(size, ALIGN) for size in sizes.values()))
        self.write(**dict(zip(sizes, [0, *ends[:-1]], strict=True)))
        return ends[-1]

    def args(self) -> np.ndarray:
        return np.array([self.values.get(name, 0) for name in self.fields], np.int64)


def launch(
    spec: Spec,
    grid: Grid,
    border: str,
    fill: np.ndarray,
    bodies: tuple[int, int],
    table: np.ndarray | None,
    lanes: int,
) -> Launch:
    """Fill in walk.FIELDS. ``fill`` is one pixel, ``bodies`` the addresses of the wide and the plain body, ``lanes``
    the numbers in one vector of sums."""
    sheet = Sheet(walk.FIELDS)
    sheet.write(wide_body=bodies[0], plain_body=bodies[1], lanes=lanes, table=0)
    if table is not None:
        sheet.point("table", table)
    planes_out = _planes(spec, grid, border, sheet)
    widest = _columns(spec, grid, border, lanes, sheet)
    row_units = _rows(spec, grid, border, sheet, widest)
    sheet.write(fill=int.from_bytes(fill.tobytes().ljust(8, b"\0"), "little", signed=True))
    sheet.point("fill_row", np.full(widest + spec.span + lanes, fill, fill.dtype))
    sheet.write(batch_in=grid.batch_strides[0], batch_out=grid.batch_strides[1])
    sheet.write(planes_out=planes_out, row_units=row_units)
    scratch = _scratch(spec, sheet, widest, lanes)
    units = grid.batch * planes_out * row_units * sheet["panels"]
    return Launch(sheet.args(), scratch, units, tuple(sheet.keep))


def _planes(spec: Spec, grid: Grid, border: str, sheet: Sheet) -> int:
    table, out = plane_table(grid, border)
    sheet.point("plane_map", table)
    sheet.point("plane_out", out)
    sheet.write(planes=spec.taps[0])
    return len(out)


def plane_table(grid: Grid, border: str) -> tuple[np.ndarray, np.ndarray]:
    """Byte offsets of the plane under every leading tap, for every leading output position, and of that position."""
    inside = np.zeros((1, 1), np.int64)
    outside = np.zeros((1, 1), bool)
    out = np.zeros(1, np.int64)
    for axis, (stride_in, stride_out) in zip(grid.planes, grid.plane_strides, strict=True):
        index = source_index(
            np.arange(axis.out)[:, None] * axis.stride + axis.start + np.arange(axis.taps)[None, :] * axis.dilation,
            axis.n,
            border,
        )
        shape = (len(out) * axis.out, inside.shape[1] * axis.taps)
        missing = index == OUTSIDE
        inside = (inside[:, None, :, None] + (index * stride_in)[None, :, None, :]).reshape(shape)
        outside = (outside[:, None, :, None] | missing[None, :, None, :]).reshape(shape)
        out = (out[:, None] + np.arange(axis.out)[None, :] * stride_out).ravel()
    return np.ascontiguousarray(np.where(outside, walk.MISSING, inside)), np.ascontiguousarray(out)


def _rows(spec: Spec, grid: Grid, border: str, sheet: Sheet, widest: int) -> int:
    """Units of rows, the slots they need, and where each virtual row lies in the image."""
    axis = grid.rows
    virtual = axis.dense() + axis.reach
    index = source_index(np.arange(virtual) + axis.start, axis.n, border)
    sheet.point("row_map", np.where(index == OUTSIDE, walk.MISSING, index * grid.row_strides[0]))
    blocks = _blocks_per_unit(spec, axis, sheet, widest)
    starts = np.arange(blocks) * (spec.rows * spec.row_step)
    needed = starts[:, None] + np.asarray(_slot_rows(spec, axis))[None, :]
    offsets, place = np.unique(needed, return_inverse=True)
    sheet.point("unit_offsets", offsets.astype(np.int64))
    sheet.point("block_slots", np.ascontiguousarray(place.reshape(-1).astype(np.int64)))
    sheet.write(slots=spec.slots, block_rows=spec.rows, blocks=blocks, unit_slots=len(offsets))
    sheet.write(rows_out=axis.out, row_step=axis.stride, virtual_rows=virtual, row_out=grid.row_strides[1])
    return -(-axis.out // (blocks * spec.rows))


def _slot_rows(spec: Spec, axis: Axis) -> tuple[int, ...]:
    """Where the slots of a block lie; the taps may be at another distance than those that the code was written for."""
    if axis.taps == 1 or axis.dilation == spec.row_gap:
        return spec.offsets
    assert min(axis.dilation, spec.row_gap) >= spec.rows * spec.row_step, "each tap has slots of its own"
    return replace(spec, row_gap=axis.dilation).offsets


def _blocks_per_unit(spec: Spec, axis: Axis, sheet: Sheet, widest: int) -> int:
    work = max(1, spec.work // 32) if spec.algorithm != "separable" else 1
    blocks = max(1, UNIT_OUTPUTS // (max(1, widest) * spec.rows * work))
    blocks = min(blocks, -(-axis.out // spec.rows), 64)
    new_rows = min(spec.rows * spec.row_step, spec.slots)
    while blocks > 1 and (spec.slots + (blocks - 1) * new_rows) * spec.taps[0] * sheet["tile_pitch"] > TILE_BYTES:
        blocks -= 1
    return blocks


def _columns(spec: Spec, grid: Grid, border: str, lanes: int, sheet: Sheet) -> int:
    """Interior, panels and staged columns; returns the most columns that one call of a body covers."""
    axis, channels = grid.columns, grid.channels
    total, lead = axis.dense() * channels, -axis.start * channels
    start, stop = max(0, lead), min(total, axis.n * channels - spec.span + lead)
    left, right = (0, start), (stop, total)
    step = lanes * spec.wide
    align = _alignment(spec, grid, lanes)
    staged = aliased(spec, grid)
    if staged or stop - start < max(step + lanes, STREAM_MINIMUM if spec.stream else 0):
        start = stop = 0
        left, right = (0, total), (total, total)
    else:
        if start > 0:
            left = (0, up(max(start + align // spec.result.bytes - 1, lanes), channels))
        if stop < total:
            right = (max(0, total - up(max(total - stop, lanes), channels)), total)
    most = max(2 * step, min(_most_columns(spec, step), ALIASED_PANEL)) if staged else _most_columns(spec, step)
    if staged:
        sheet.write(plain_body=sheet["wide_body"])
    panels = max(1, min(round((stop - start) / most), (stop - start) // (step * channels)))
    panel = (stop - start) // panels
    panel = panel // (step * channels) * (step * channels) if panels > 1 else panel
    sheet.write(inner_start=start, inner_stop=stop, inner_panels=panels, panel=panel)
    sheet.write(lead=lead, span=spec.span, column_step=axis.stride, channels=channels)
    widest_staged = lanes
    for side, part in (("left", left), ("right", right)):
        widest_staged = max(widest_staged, _staged(side, part, axis, channels, border, most, sheet))
    panels = max(panels, sheet["left_panels"], sheet["right_panels"])
    sheet.write(panels=panels)
    joined = total if panels == 1 and len(spec.outputs) < 2 and _rows_follow(spec, grid, total) else 0
    sheet.write(result_bytes=spec.result.bytes, joined=joined, align=align, stream_step=step if spec.stream else 0)
    sheet.write(others=max(0, len(spec.outputs) - 1))
    sheet.write(tile_pitch=up((widest_staged + spec.span + ALIGN) * spec.image.bytes, ALIGN))
    return max(widest_staged, stop - start - (sheet["inner_panels"] - 1) * panel)


def aliased(spec: Spec, grid: Grid) -> bool:
    """Whether the rows of a block would drive each other out of the first-level cache: rows so far apart share its
    sets. Then all columns are staged, not only those near a border, in rows that do not; and nothing is streamed."""
    stride = abs(grid.row_strides[0])
    many = spec.algorithm == "direct" and spec.slots >= ALIASED_SLOTS[spec.image.bytes] and spec.taps[2] > 1
    wide = grid.columns.stride == 1 and grid.columns.out * grid.channels >= ALIASED_PANEL
    return many and wide and stride > 0 and stride % ALIASED == 0


def _most_columns(spec: Spec, step: int) -> int:
    """Columns in a panel: of a large kernel fewer, so that no unit takes long."""
    return min(PANEL[spec.algorithm], max(2 * step, UNIT_WORK // (spec.work * spec.rows)))


def _alignment(spec: Spec, grid: Grid, lanes: int) -> int:
    """Bytes to which the results of the wide body can be aligned: a vector of them, if that serves every row."""
    vector = min(ALIGN, lanes * spec.result.bytes)
    rows_agree = grid.row_strides[1] % vector == 0 or grid.rows.out == 1
    return vector if rows_agree and grid.columns.stride == 1 else spec.result.bytes


def _rows_follow(spec: Spec, grid: Grid, total: int) -> bool:
    """Whether rows, each its own input, follow each other in both arrays, so that several are like one long row."""
    rows, columns = grid.rows, grid.columns
    if spec.algorithm == "ordered":  # its temporary rows are as long as one row
        return False
    alone = spec.taps[:2] == (1, 1) and (rows.start, rows.stride, rows.out) == (0, 1, rows.n) and not spec.stream
    alike = columns.stride == 1 and columns.n * grid.channels == total
    return alone and alike and grid.row_strides == (total * spec.image.bytes, total * spec.result.bytes)


def _staged(side: str, staged: tuple[int, int], axis: Axis, channels: int, border: str, most: int, sheet: Sheet) -> int:
    """The image column behind every staged column, and the longest run of neighbours among them; in pieces of about
    ``most`` columns, the last one up to twice as wide. Returns the width of the widest."""
    begin, end = staged
    virtual = np.arange(begin, end + sheet["span"] if end > begin else begin, dtype=np.int64) - sheet["lead"]
    pixel, channel = np.divmod(virtual, channels)
    source = source_index(pixel, axis.n, border)
    columns = np.where(source == OUTSIDE, OUTSIDE, source * channels + channel)
    first, stop = np.searchsorted(virtual, [0, axis.n * channels])
    piece = up(most, channels)
    pieces = max(1, (end - begin) // piece)
    sheet.point(f"{side}_map", np.append(columns, 0))
    sheet.write(**{f"{side}_start": begin, f"{side}_stop": end, f"{side}_panels": pieces, f"{side}_panel": piece})
    sheet.write(**{f"{side}_copy": int(first), f"{side}_copy_stop": int(max(first, stop))})
    return end - begin - (pieces - 1) * piece


def _scratch(spec: Spec, sheet: Sheet, widest: int, lanes: int) -> int:
    """Lay out the scratch memory of a worker; returns its size."""
    step = lanes * spec.wide
    needs_dense = sheet["column_step"] != 1 or 0 < sheet["left_stop"] < lanes
    stages = sheet["left_stop"] or sheet["right_stop"] > sheet["right_start"]
    results = max(1, len(spec.outputs))
    largest = max((o.number.bytes for o in spec.outputs), default=spec.result.bytes)
    sheet.write(dense_pitch=up((widest + step) * largest, ALIGN))
    temporary = TEMPORARY.get(spec.algorithm)
    sizes = {
        "at_rows": 8 * spec.taps[0] * spec.slots,
        "at_outs": 8 * spec.rows * results,
        "at_source": 8 * spec.taps[0] * sheet["unit_slots"],
        "at_tile": spec.taps[0] * sheet["unit_slots"] * sheet["tile_pitch"] if stages else 0,
        "at_spare": sheet["dense_pitch"],
        "at_dense": results * spec.rows * sheet["dense_pitch"] if needs_dense else 0,
        "at_temp": temporary(spec, widest + lanes, step) if temporary else 0,
    }
    return sheet.lay_out(sizes)
