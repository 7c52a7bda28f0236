"""From a plan and the strides of two arrays to the numbers a walk works with."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np

from ..borders import OUTSIDE, source_index
from ..problem import Axis
from . import separable, walk
from .spec import Spec

UNIT_OUTPUTS = 1 << 16  # outputs in a unit: large enough to hide its start, small enough to share out
PANEL = {"direct": 4096, "separable": 2048}  # columns a unit covers: its rows then stay in the second-level cache
TILE_BYTES = 1 << 18
ALIGN = 64


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


def launch(spec: Spec, grid: Grid, border: str, fill: np.ndarray, bodies: tuple[int, int], table: np.ndarray | None, target_lanes: int) -> Launch:
    """Fill in walk.FIELDS. ``fill`` is one pixel; ``bodies`` the addresses of the wide and the plain body."""
    keep: list[np.ndarray] = [] if table is None else [table]
    values: dict[str, int] = {"wide_body": bodies[0], "plain_body": bodies[1]}
    values["table"] = 0 if table is None else table.ctypes.data
    values["lanes"] = target_lanes

    def pointer(name: str, array: np.ndarray) -> None:
        keep.append(array)
        values[name] = array.ctypes.data

    planes_out = _planes(spec, grid, border, values, pointer)
    widest = _columns(spec, grid, border, target_lanes, values, pointer)
    row_units = _rows(spec, grid, border, values, pointer, widest)
    _outside(fill, values, pointer, widest + spec.span + target_lanes)
    values["batch_in"], values["batch_out"] = grid.batch_strides
    values["planes_out"], values["row_units"] = planes_out, row_units
    scratch = _scratch(spec, values, widest, target_lanes)
    args = np.zeros(len(walk.FIELDS), np.int64)
    for i, name in enumerate(walk.FIELDS):
        args[i] = values.get(name, 0)
    units = grid.batch * planes_out * row_units * values["panels"]
    return Launch(args, scratch, units, tuple(keep))


def _planes(spec: Spec, grid: Grid, border: str, values: dict, pointer) -> int:  # type: ignore[no-untyped-def]
    """Byte offsets of the plane under every leading tap, for every leading output position."""
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
    pointer("plane_map", np.ascontiguousarray(np.where(outside, walk.MISSING, inside)))
    pointer("plane_out", np.ascontiguousarray(out))
    values["planes"] = spec.taps[0]
    return len(out)


def _rows(spec: Spec, grid: Grid, border: str, values: dict, pointer, widest: int) -> int:  # type: ignore[no-untyped-def]
    """Units of rows, the slots they need, and where each virtual row lies in the image."""
    axis = grid.rows
    virtual = axis.dense() + axis.reach
    index = source_index(np.arange(virtual) + axis.start, axis.n, border)
    pointer("row_map", np.where(index == OUTSIDE, walk.MISSING, index * grid.row_strides[0]))
    blocks = _blocks_per_unit(spec, axis, values, widest)
    starts = np.arange(blocks) * (spec.rows * spec.row_step)
    needed = starts[:, None] + np.asarray(spec.offsets)[None, :]
    offsets, place = np.unique(needed, return_inverse=True)
    pointer("unit_offsets", offsets.astype(np.int64))
    pointer("block_slots", np.ascontiguousarray(place.reshape(-1).astype(np.int64)))
    values |= {"slots": spec.slots, "block_rows": spec.rows, "blocks": blocks, "unit_slots": len(offsets)}
    values |= {"rows_out": axis.out, "row_step": axis.stride, "virtual_rows": virtual, "row_out": grid.row_strides[1]}
    return -(-axis.out // (blocks * spec.rows))


def _blocks_per_unit(spec: Spec, axis: Axis, values: dict, widest: int) -> int:
    work = max(1, math.prod(spec.taps) // 32) if spec.algorithm == "direct" else 1
    blocks = max(1, UNIT_OUTPUTS // (max(1, widest) * spec.rows * work))
    blocks = min(blocks, -(-axis.out // spec.rows), 64)
    new_rows = min(spec.rows * spec.row_step, spec.slots)
    while blocks > 1 and (spec.slots + (blocks - 1) * new_rows) * spec.taps[0] * values["tile_pitch"] > TILE_BYTES:
        blocks -= 1
    return blocks


def _columns(spec: Spec, grid: Grid, border: str, lanes: int, values: dict, pointer) -> int:  # type: ignore[no-untyped-def]
    """Interior, panels and staged columns; returns the most columns that one call of a body covers."""
    axis, channels = grid.columns, grid.channels
    total, lead = axis.dense() * channels, -axis.start * channels
    start, stop = max(0, lead), min(total, axis.n * channels - spec.span + lead)
    left, right = (0, start), (stop, total)
    if stop - start < max(lanes * spec.wide, STREAM_MINIMUM if spec.stream else 0):
        start = stop = 0
        left, right = (0, total), (total, total)
    else:
        if start > 0:
            left = (0, _up(max(start, lanes), channels))
        if stop < total:
            right = (max(0, total - _up(max(total - stop, lanes), channels)), total)
    panels = max(1, round((stop - start) / PANEL[spec.algorithm]))
    panel = (stop - start) // panels
    panel = panel // (ALIGN * channels) * (ALIGN * channels) if panels > 1 else panel
    values |= {"inner_start": start, "inner_stop": stop, "panels": panels, "panel": panel}
    values |= {"lead": lead, "span": spec.span, "column_step": axis.stride, "channels": channels}
    values |= {"left_stop": left[1], "right_start": right[0], "right_stop": right[1]}
    for side, (a, b) in (("left", left), ("right", right)):
        _staged(axis, channels, border, side, a, b, lead, spec.span, values, pointer)
    values["result_bytes"] = spec.result.bytes
    values["stream_step"] = lanes * spec.wide if spec.stream else 0
    widest_staged = max(left[1], right[1] - right[0], lanes)
    values["tile_pitch"] = _up((widest_staged + spec.span + ALIGN) * spec.image.bytes, ALIGN)
    return max(widest_staged, stop - start - (panels - 1) * panel)


STREAM_MINIMUM = 512  # interior columns below which streaming is not worth its unaligned ends


def _staged(axis: Axis, channels: int, border: str, side: str, a: int, b: int, lead: int, span: int, values: dict, pointer) -> None:  # type: ignore[no-untyped-def]
    """The image column behind every column of the tile, and the longest run of neighbours among them."""
    virtual = np.arange(a, b + span if b > a else a, dtype=np.int64) - lead
    pixel, channel = np.divmod(virtual, channels)
    source = source_index(pixel, axis.n, border)
    columns = np.where(source == OUTSIDE, OUTSIDE, source * channels + channel)
    first, stop = np.searchsorted(virtual, [0, axis.n * channels])
    pointer(f"{side}_map", np.append(columns, 0))
    values[f"{side}_copy"], values[f"{side}_copy_stop"] = int(first), int(max(first, stop))


def _outside(fill: np.ndarray, values: dict, pointer, length: int) -> None:  # type: ignore[no-untyped-def]
    values["fill"] = int.from_bytes(fill.tobytes().ljust(8, b"\0"), "little", signed=True)
    pointer("fill_row", np.full(length, fill, fill.dtype))


def _scratch(spec: Spec, values: dict, widest: int, lanes: int) -> int:
    """Lay out the scratch memory of a worker; returns its size."""
    step = lanes * spec.wide
    needs_dense = values["column_step"] != 1 or 0 < values["left_stop"] < lanes
    stages = values["left_stop"] or values["right_stop"] > values["right_start"]
    values["dense_pitch"] = _up((widest + step) * spec.result.bytes, ALIGN)
    temp = separable.scratch_bytes(spec, widest + lanes, step) if spec.algorithm == "separable" else 0
    sizes = {
        "at_rows": 8 * spec.taps[0] * spec.slots,
        "at_outs": 8 * spec.rows,
        "at_source": 8 * spec.taps[0] * values["unit_slots"],
        "at_tile": spec.taps[0] * values["unit_slots"] * values["tile_pitch"] if stages else 0,
        "at_spare": values["dense_pitch"],
        "at_dense": spec.rows * values["dense_pitch"] if needs_dense else 0,
        "at_temp": temp,
    }
    ends = list(itertools.accumulate(_up(size, ALIGN) for size in sizes.values()))
    values |= dict(zip(sizes, [0, *ends[:-1]], strict=True))
    return ends[-1]


def _up(value: int, step: int) -> int:
    return -(-value // step) * step
