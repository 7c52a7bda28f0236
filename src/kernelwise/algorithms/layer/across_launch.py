"""Layers with few channels in a group: the block of sums, the panel, how work is cut, and a routine's numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...jit.compile import Code, build
from ...jit.target import Target
from ..launch import Sheet
from ..memory import ALIGN, aligned, odd, up
from .across import emit
from .across_spec import FIELDS, AcrossSpec
from .plan import Launch, PixelsPlan, Ready
from .problem import CHAIN, LEAST_UNITS, LayerProblem, Limits, Strides
from .sheets import inside, plane_map, seen, write_limits, write_strides
from .sums import choose_block

PANEL_BYTES = 128 << 10  # of a unit's input: it stays in the second-level cache
PLANE_BYTES = 32 << 10  # of one channel alone: in the first
PANEL_COLUMNS = 1024  # outputs of a row in a unit, about
TALLEST = 8  # tap rows unrolled
UNIT_WORK = 1 << 19  # multiply-adds below which a unit is not worth being shared out
MOST_OUTPUTS = 8  # of a block of sums: channels
WIDEST = 4  # vectors
FEW_LINES = 16  # cache lines of a row up to which each width has code of its own


@dataclass(frozen=True)
class AcrossPlan(PixelsPlan):
    """How such a layer is done, by its shape alone."""

    spec: AcrossSpec
    chunks: int  # of tap rows
    band: int  # output rows in a unit
    panel: int  # output columns in a unit
    together: int  # groups in a unit

    name = "pixels"
    reason = "pixels of a row side by side in the lanes, as they fill them better than a group's output channels"

    @property
    def block(self) -> int:
        """Outputs of a group in a block."""
        return self.spec.outputs

    def pack(self, weight: np.ndarray, threads: int) -> np.ndarray:
        return pack(self, weight)

    def prepare(
        self, images: int, image_strides: Strides, result_strides: Strides, limits: Limits, threads: int,
        residual: bool = False,
    ) -> Ready:  # fmt: skip
        made = launch(self, images, image_strides, result_strides, limits)
        return Ready.of(code(self.spec, self.target), made)


@lru_cache(maxsize=1024)
def plan(problem: LayerProblem, target: Target) -> AcrossPlan:
    """The block, the panel and the band, wherever the arrays lie."""
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
    return AcrossPlan(problem, target, spec, chunks, band, panel, together)


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


def launch(plan: AcrossPlan, images: int, image_strides: Strides, result_strides: Strides, limits: Limits) -> Launch:
    """The numbers of a start."""
    problem, spec = plan.problem, plan.spec
    planes, rows, columns = problem.axes
    size = problem.number.bytes
    sheet = Sheet(FIELDS)
    bands, panels = -(-rows.out // plan.band), -(-columns.out // plan.panel)
    blocks = -(-problem.outputs // spec.outputs)
    ranges = -(-problem.groups // plan.together)
    sheet.write(group_range=plan.together, group_ranges=ranges)
    sheet.write(groups=problem.groups, planes=planes.out, bands=bands, panels=panels, blocks=blocks)
    sheet.write(band_rows=plan.band, rows_out=rows.out, columns_out=columns.out, panel_columns=plan.panel)
    write_strides(sheet, problem, image_strides, result_strides)
    chunk_bytes = spec.tap_columns * spec.tap_rows * spec.outputs * size
    block_bytes = problem.channels * planes.taps * plan.chunks * chunk_bytes
    sheet.write(weight_block=block_bytes, weight_group=block_bytes * blocks, chunk_bytes=chunk_bytes)
    sheet.write(channels=problem.channels, outputs=problem.outputs)
    panel_rows = _maps(plan, sheet)
    write_limits(sheet, problem, limits)
    products = planes.taps * rows.taps * columns.taps
    sheet.write(chain=max(1, CHAIN // products))
    panel_channel = planes.taps * panel_rows * spec.row_bytes
    sheet.write(panel_plane=panel_rows * spec.row_bytes, panel_channel=panel_channel)
    scratch = _scratch(spec, plan.target, problem.channels * panel_channel, sheet)
    units = images * ranges * planes.out * bands * panels
    return Launch(sheet.args(), scratch, units, tuple(sheet.keep))


def _maps(plan: AcrossPlan, sheet: Sheet) -> int:
    """Which plane, row and column of the image stands where; returns the rows of a panel."""
    planes, rows, columns = plan.problem.axes
    spec, border = plan.spec, plan.problem.border
    sheet.point("plane_map", plane_map(planes, border))
    reach = (plan.chunks * spec.tap_rows - 1) * rows.dilation
    sheet.point("row_map", seen(rows, border, reach))
    sheet.point("column_map", seen(columns, border))
    first, stop = inside(columns)
    sheet.write(zeros=int(border == "constant"))
    sheet.write(column_lead=columns.start, column_first=first, column_stop=stop, reach=columns.reach)
    phase = np.arange(columns.taps) * columns.dilation % columns.stride
    place = np.arange(columns.taps) * columns.dilation // columns.stride
    sheet.point("tap_columns", phase * spec.phase_bytes + place * plan.problem.number.bytes)
    sheet.write(tap_planes=planes.taps, tap_chunks=plan.chunks, panel_rows=reach + 1)
    return (plan.band - 1) * rows.stride + reach + 1


def _scratch(spec: AcrossSpec, target: Target, panel: int, sheet: Sheet) -> int:
    """Lay out the memory of a worker, whose panel takes so many bytes; returns its size."""
    sizes = {
        "at_sums": spec.block * target.vector_bytes if spec.chained else 0,
        "at_spare": spec.vectors * target.vector_bytes,
        "at_panel": panel,
    }
    return sheet.lay_out(sizes) + ALIGN


@lru_cache(maxsize=512)
def code(spec: AcrossSpec, target: Target) -> Code:
    return build(spec, lambda: emit(target, spec), target)


def forget() -> None:
    """Forget what has been made so far. Code that still runs is kept alive by its caller."""
    for made in (plan, code):
        made.cache_clear()
