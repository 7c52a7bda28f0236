"""Tables that a layer's routine reads: where taps, columns and blocks of pixels lie, and what is outside the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...problem import Axis
from ..launch import Sheet
from .sheets import inside, plane_map, seen

if TYPE_CHECKING:
    from .direct_launch import DirectPlan


def fill(plan: DirectPlan, strides: tuple[int, ...], sheet: Sheet) -> None:
    """All tables of a launch. ``strides`` of the image, in bytes: batch, channel, plane, row, column."""
    _taps(plan, strides, sheet)
    _columns(plan, sheet)
    _blocks(plan, sheet)


def tiles(columns: Axis, tile: int) -> list[int]:
    """Where blocks of pixels begin; the last one is moved back."""
    return [min(x, columns.out - tile) for x in range(0, columns.out, tile)]


def outside(columns: Axis, x: int, tile: int) -> tuple[int, ...]:
    """For each tap, the pixels of the block at ``x`` that find it outside the image, as bits."""
    at = columns.start + np.arange(x, x + tile)[None, :] * columns.stride
    at = at + np.arange(columns.taps)[:, None] * columns.dilation
    return tuple(sum(1 << int(q) for q in np.flatnonzero(row)) for row in (at < 0) | (at >= columns.n))


def _taps(plan: DirectPlan, strides: tuple[int, ...], sheet: Sheet) -> None:
    planes, rows, _ = plan.problem.axes
    border = plan.problem.border
    panel_rows = (plan.band - 1) * rows.stride + rows.reach + 1
    panel_plane = panel_rows * plan.panel_row
    sheet.point("plane_map", plane_map(planes, border))
    sheet.point("row_map", seen(rows, border))
    if plan.panel:
        deep, down = panel_plane, plan.panel_row
    else:
        deep, down = strides[2] * planes.dilation, strides[3]
    offsets = np.arange(planes.taps)[:, None] * deep + np.arange(rows.taps)[None, :] * (rows.dilation * down)
    sheet.point("tap_offsets", np.ascontiguousarray(offsets.ravel()))
    sheet.write(tap_planes=planes.taps, tap_rows=planes.taps * rows.taps, row_step=rows.stride)
    sheet.write(panel=int(plan.panel), panel_rows=rows.reach + 1, panel_plane=panel_plane)
    sheet.write(
        panel_channel=plan.panel_channel if plan.panel else strides[1],
        panel_row=plan.panel_row if plan.panel else strides[3],
    )
    first, stop = _rows_inside(plan)
    sheet.point("tap_first", first)
    sheet.point("tap_stop", stop)
    sheet.write(ahead=0 if plan.panel else rows.stride * strides[3])
    origin = sum(axis.start * stride for axis, stride in zip(plan.problem.axes, strides[2:], strict=True))
    sheet.write(line_step=planes.stride * strides[2], origin=origin)


def _rows_inside(plan: DirectPlan) -> tuple[np.ndarray, np.ndarray]:
    """For each row of the result: the first tap row inside the image, and the one behind the last."""
    planes, rows, _ = plan.problem.axes
    every = planes.taps * rows.taps
    if plan.panel or planes.taps > 1:
        return np.zeros(rows.out, np.int64), np.full(rows.out, every)
    at = np.arange(rows.out) * rows.stride + rows.start
    stop = np.clip((rows.n - 1 - at) // rows.dilation + 1, 0, every)
    return np.clip(-(at // rows.dilation), 0, stop), stop


def _columns(plan: DirectPlan, sheet: Sheet) -> None:
    axis = plan.problem.axes[2]
    column_map, (first, stop) = seen(axis, plan.problem.border), inside(axis)
    sheet.point("column_map", column_map)
    sheet.write(columns=len(column_map), column_lead=axis.start, column_first=first, column_stop=stop)
    sheet.write(mapped=int(plan.problem.border != "constant" and axis.n > 0))


def _blocks(plan: DirectPlan, sheet: Sheet) -> None:
    """Where blocks of pixels lie in a row, and of which kind they are."""
    columns, tile = plan.problem.axes[2], len(plan.spec.pixels)
    places = [0] if plan.row_group > 1 else tiles(columns, tile)
    several = plan.spec.kinds if len(plan.spec.kinds) > 1 else ()
    kinds = [several.index(outside(columns, x, tile)) if several else 0 for x in places]
    sheet.point("tile_kinds", np.array(kinds, np.int64))
    sheet.write(row_group=plan.row_group, tiles=len(places), tile_last=places[-1])
    step = columns.stride * plan.problem.number.bytes
    near = 0 if plan.target.large_caches else tile * step  # else the next block's pixels are in the first-level one
    sheet.write(pixel_step=step, near=near)
