"""The geometry of a layer with few channels in a group, and the strides of two arrays, as its routine's numbers."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ...borders import source_index
from ...jit.compile import Code, build
from ...jit.target import Target
from ..launch import Sheet
from ..memory import ALIGN, aligned, up
from . import last, last_launch, rows, rows_launch
from .across import emit
from .across_spec import FIELDS, AcrossSpec
from .last import LastSpec
from .launch import CHAIN, LEAST_UNITS, LayerProblem, bits, odd
from .rows import RowsSpec
from .sums import choose_block

PANEL_BYTES = 128 << 10  # of a unit's input: it stays in the second-level cache
PLANE_BYTES = 32 << 10  # of one channel alone: in the first
PANEL_COLUMNS = 1024  # outputs of a row in a unit, about
TALLEST = 8  # tap rows unrolled
UNIT_WORK = 1 << 19  # multiply-adds below which a unit is not worth being shared out
MOST_OUTPUTS = 8  # of a block of sums: channels
WIDEST = 4  # vectors
FEW_LINES = 16  # cache lines of a row up to which each width has code of its own


Spec = AcrossSpec | RowsSpec | LastSpec


class AcrossPlan(NamedTuple):
    """How such a layer is done, by its shape alone."""

    problem: LayerProblem
    spec: Spec
    target: Target
    chunks: int  # of tap rows
    band: int  # output rows in a unit
    panel: int  # output columns in a unit
    together: int  # groups in a unit

    @property
    def block(self) -> int:
        """Outputs of a group in a block."""
        return self.spec.outputs


class AcrossLaunch(NamedTuple):
    """What it takes to start such a layer; images, result, weights and bias still empty."""

    args: np.ndarray
    scratch: int
    units: int
    keep: tuple


def plan(
    problem: LayerProblem,
    target: Target,
    image_strides: tuple[int, ...] | None = None,
    result_strides: tuple[int, ...] | None = None,
) -> AcrossPlan:
    """How a layer is done, for arrays that lie so (bytes: batch, channel, plane, row, column), or lie anywhere."""
    if image_strides is None or result_strides is None:
        return _panel_plan(problem, target)
    return _plan(problem, target, (0, *image_strides[1:]), (0, *result_strides[1:]))


@lru_cache(maxsize=1024)
def _plan(
    problem: LayerProblem, target: Target, image_strides: tuple[int, ...], result_strides: tuple[int, ...]
) -> AcrossPlan:
    strides = image_strides, result_strides
    channels = last_launch.spec_for(problem, target, *strides)
    if channels is not None:
        return AcrossPlan(problem, channels, target, 1, *last_launch.units(channels, problem))
    as_they_lie = rows_launch.spec_for(problem, target, *strides)
    if as_they_lie is not None:
        return AcrossPlan(problem, as_they_lie, target, 1, *rows_launch.units(as_they_lie, problem))
    return _panel_plan(problem, target)


@lru_cache(maxsize=1024)
def _panel_plan(problem: LayerProblem, target: Target) -> AcrossPlan:
    """The block, the panel and the band."""
    planes, rows, columns = problem.axes
    number = problem.number
    lanes = target.lanes(number.bytes)
    tall = _chunk(rows.taps)
    chunks = -(-rows.taps // tall)
    masked = problem.masked or chunks * tall > rows.taps
    taps, steps, out = (tall, columns.taps), (rows.stride, rows.dilation), (rows.out, columns.out)
    most = tuple(range(1, min(problem.outputs, MOST_OUTPUTS) + 1))
    outputs, down, across = choose_block(target, problem.outputs, most, taps, steps, out, masked, lanes, WIDEST)
    step = across * lanes
    width = columns.out if columns.out < step else 0
    panels = max(1, round(columns.out / max(step, PANEL_COLUMNS // step * step)))
    panel = min(columns.out, up(-(-columns.out // panels), step))
    positions = max(panel, step) + columns.reach // columns.stride + 1
    phase_bytes = _pitch((positions + lanes) * number.bytes)
    products = problem.channels * planes.taps * rows.taps * columns.taps
    spec = AcrossSpec(
        number, outputs, down, across, tall, rows.stride, rows.dilation, masked,
        tap_columns=columns.taps, phases=columns.stride, phase_bytes=phase_bytes, width=width,
        chained=products > CHAIN,
    )  # fmt: skip
    reach = (chunks * tall - 1) * rows.dilation
    each = problem.channels * planes.taps * spec.row_bytes
    room = PLANE_BYTES if problem.channels * planes.taps == 1 else PANEL_BYTES
    band = max(down, (room // each - reach - 1) // rows.stride + 1)
    units = planes.out * problem.groups * -(-columns.out // panel)
    small = -(-UNIT_WORK // (products * problem.outputs * panel)) if units < LEAST_UNITS else rows.out
    band = min(band, max(small, -(-rows.out * units // LEAST_UNITS)))
    band = min(rows.out, up(max(1, band), down))
    band = min(rows.out, up(-(-rows.out // -(-rows.out // band)), down))
    work = products * problem.outputs * band * panel
    together = max(1, min(-(-problem.groups // LEAST_UNITS), UNIT_WORK // work))
    return AcrossPlan(problem, spec, target, chunks, band, panel, together)


def _chunk(taps: int) -> int:
    """Tap rows to unroll at a time: all if they are few, else so many that the fewest rows of zeros are added."""
    return taps if taps <= TALLEST else min(range(4, TALLEST + 1), key=lambda rows: (-taps % rows, -rows))


def _pitch(size: int) -> int:
    """Room for so many bytes: an odd number of cache lines; few different ones, for each has code of its own."""
    lines = -(-size // ALIGN)
    return odd(lines * ALIGN if lines <= FEW_LINES else up(lines, 8) * ALIGN)


def pack(plan: AcrossPlan, weight: np.ndarray) -> np.ndarray:
    """(groups * outputs, channels, ...) -> [group][block][channel][plane][chunk][column][its row][output in block]."""
    problem, spec = plan.problem, plan.spec
    if isinstance(spec, RowsSpec):
        return rows_launch.pack(spec, weight)
    if isinstance(spec, LastSpec):
        return last_launch.pack(spec, weight)
    planes, rows, columns = (a.taps for a in problem.axes)
    blocks = -(-problem.outputs // spec.outputs)
    room = (problem.groups, blocks * spec.outputs, problem.channels, planes, plan.chunks * spec.tap_rows, columns)
    given = weight.reshape(problem.groups, problem.outputs, problem.channels, planes, rows, columns)
    if room != given.shape:
        full = np.zeros(room, problem.number.dtype)
        full[:, : problem.outputs, :, :, :rows] = given
        given = full
    split = given.reshape(
        problem.groups, blocks, spec.outputs, problem.channels, planes, plan.chunks, spec.tap_rows, columns
    )
    return aligned(split.transpose(0, 1, 3, 4, 5, 7, 6, 2).astype(problem.number.dtype, copy=False))


def pack_bias(plan: AcrossPlan, bias: np.ndarray | None) -> np.ndarray:
    """[group][block][output in the block]."""
    problem, outputs = plan.problem, plan.spec.outputs
    if isinstance(plan.spec, LastSpec):
        return last_launch.pack_bias(plan.spec, problem.groups, bias)
    packed = np.zeros((problem.groups, up(problem.outputs, outputs)), problem.number.dtype)
    if bias is not None:
        packed[:, : problem.outputs] = bias.reshape(problem.groups, problem.outputs)
    return aligned(packed)


@lru_cache(maxsize=1024)
def launch(
    plan: AcrossPlan,
    images: int,
    image_strides: tuple[int, ...],
    result_strides: tuple[int, ...],
    limits: tuple[float, float],
) -> AcrossLaunch:
    """Strides in bytes: batch, channel, plane, row, column. ``limits``: results stay between them."""
    problem, spec = plan.problem, plan.spec
    strides = image_strides, result_strides
    if isinstance(spec, RowsSpec):
        cut = rows_launch.launch(spec, problem, plan.target, plan.band, plan.together, images, *strides, limits)
        return AcrossLaunch(*cut)
    if isinstance(spec, LastSpec):
        return AcrossLaunch(*last_launch.launch(spec, problem, plan.band, plan.together, images, *strides, limits))
    planes, rows, columns = problem.axes
    size = problem.number.bytes
    sheet = Sheet(FIELDS)
    bands, panels = -(-rows.out // plan.band), -(-columns.out // plan.panel)
    blocks = -(-problem.outputs // spec.outputs)
    ranges = -(-problem.groups // plan.together)
    sheet.write(group_range=plan.together, group_ranges=ranges)
    sheet.write(groups=problem.groups, planes=planes.out, bands=bands, panels=panels, blocks=blocks)
    sheet.write(band_rows=plan.band, rows_out=rows.out, columns_out=columns.out, panel_columns=plan.panel)
    for name, (batch, channel, plane, row, column), inner in (
        ("image", image_strides, problem.channels), ("result", result_strides, problem.outputs),
    ):  # fmt: skip
        sheet.write(**{f"{name}_batch": batch, f"{name}_group": channel * inner, f"{name}_channel": channel})
        sheet.write(**{f"{name}_plane": plane, f"{name}_row": row, f"{name}_column": column})
    chunk_bytes = spec.tap_columns * spec.tap_rows * spec.outputs * size
    block_bytes = problem.channels * planes.taps * plan.chunks * chunk_bytes
    sheet.write(weight_block=block_bytes, weight_group=block_bytes * blocks, chunk_bytes=chunk_bytes)
    sheet.write(channels=problem.channels, outputs=problem.outputs)
    panel_rows = _maps(plan, spec, sheet)
    floor, ceiling = (bits(limit, problem.number) for limit in limits)
    products = planes.taps * rows.taps * columns.taps
    sheet.write(chain=max(1, CHAIN // products), floor=floor, ceiling=ceiling)
    panel_channel = planes.taps * panel_rows * spec.row_bytes
    sheet.write(panel_plane=panel_rows * spec.row_bytes, panel_channel=panel_channel)
    scratch = _scratch(spec, plan.target, problem.channels * panel_channel, sheet)
    units = images * ranges * planes.out * bands * panels
    return AcrossLaunch(sheet.args(), scratch, units, tuple(sheet.keep))


def _maps(plan: AcrossPlan, spec: AcrossSpec, sheet: Sheet) -> int:
    """Which plane, row and column of the image stands where; returns the rows of a panel."""
    planes, rows, columns = plan.problem.axes
    border = plan.problem.border
    at = (
        np.arange(planes.out)[:, None] * planes.stride
        + planes.start
        + np.arange(planes.taps)[None, :] * planes.dilation
    )
    sheet.point("plane_map", np.ascontiguousarray(source_index(at, planes.n, border)))
    reach = (plan.chunks * spec.tap_rows - 1) * rows.dilation
    virtual = np.arange((rows.out - 1) * rows.stride + reach + 1) + rows.start
    sheet.point("row_map", source_index(virtual, rows.n, border))
    virtual = np.arange((columns.out - 1) * columns.stride + columns.reach + 1) + columns.start
    sheet.point("column_map", source_index(virtual, columns.n, border))
    first = min(len(virtual), max(0, -columns.start))
    stop = max(first, min(len(virtual), columns.n - columns.start))
    sheet.write(zeros=int(border == "constant"))
    sheet.write(column_lead=columns.start, column_first=first, column_stop=stop, reach=columns.reach)
    phase = np.arange(columns.taps) * columns.dilation % columns.stride
    place = np.arange(columns.taps) * columns.dilation // columns.stride
    sheet.point("tap_columns", phase * spec.phase_bytes + place * plan.problem.number.bytes)
    sheet.write(tap_planes=planes.taps, tap_chunks=plan.chunks, panel_rows=reach + 1)
    return (plan.band - 1) * rows.stride + reach + 1


def _scratch(spec: AcrossSpec, target: Target, panel: int, sheet: Sheet) -> int:
    return (
        sheet.lay_out(
            {
                "at_sums": spec.block * target.vector_bytes if spec.chained else 0,
                "at_spare": spec.vectors * target.vector_bytes,
                "at_panel": panel,
            }
        )
        + ALIGN
    )


@lru_cache(maxsize=512)
def code(spec: Spec, target: Target) -> Code:
    if isinstance(spec, RowsSpec):
        return build(spec, lambda: rows.emit(target, spec), target)
    if isinstance(spec, LastSpec):
        return build(spec, lambda: last.emit(target, spec), target)
    return build(spec, lambda: emit(target, spec), target)


def forget() -> None:
    """Drop all remembered plans and code. Code that still runs is kept alive by its caller."""
    for remembered in (_plan, _panel_plan, launch, code):
        remembered.cache_clear()
