"""The gradient of a layer's weights: the block that fits the registers, the work cut into units, and the start."""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ...jit import pool
from ...jit.compile import Code, build
from ...jit.target import Target
from ...problem import Axis
from ..launch import Sheet
from ..memory import ALIGN, odd, up
from ..numbers import Number
from ..routine import current_target
from .direct_spec import most_pixels
from .problem import ONE, Axes
from .sheets import inside, plane_map, seen
from .slopes import FIELDS, SlopeSpec, emit, room
from .slopes_collect import Layout, collect

CHAIN = 256  # products added up in one lane: pixels of a tile, about
UNITS = 8  # at least so many, where there is work for them
UNIT_WORK = 1 << 20  # multiply-adds below which a unit is not worth being shared out
CHANNEL_WORK = 256  # taps times channels of a range, for which it pays to turn dy once more
OUTPUT_WORK = 512  # taps times outputs of a range, for which it pays to copy x once more
PARTIAL_BYTES = 16 << 20  # what the sums of further parts may take


class SlopePlan(NamedTuple):
    """How a gradient is done, by its shape alone."""

    spec: SlopeSpec
    axes: Axes
    groups: int  # that are done one after the other: 1 where the lanes run over all
    outputs: int  # of such a group
    channels: int
    own: int  # outputs that share their channels
    blocks: tuple[int, ...]  # of outputs, of channels, tap planes, blocks of rows, of columns
    tile: tuple[int, int, int]  # images, rows, columns
    ranges: tuple[int, int]  # blocks of outputs and of channels in a unit
    tiles: int
    parts: int


@lru_cache(maxsize=1024)
def plan(
    axes: Axes,
    groups: int,
    outputs: int,
    channels: int,
    images: int,
    number: Number,
    target: Target,
    halved: bool = False,
) -> SlopePlan:
    """``outputs`` and ``channels`` of one group. ``halved``: see `slopes.SlopeSpec`."""
    planes, rows, columns = axes
    lanes = target.lanes(number.bytes)
    apart = groups > 1 and outputs <= lanes // 2
    own = outputs
    if apart:
        groups, outputs = 1, groups * outputs
    vectors = 2 if outputs > lanes else 1
    most = most_pixels(target)
    across = -(-columns.taps // -(-columns.taps // most))
    inner = 1 if apart else -(-channels // -(-channels // max(1, most // across)))
    down = -(-rows.taps // -(-rows.taps // max(1, most // (across * inner))))
    spec = SlopeSpec(
        number,
        vectors,
        down,
        across,
        inner,
        rows.stride,
        rows.dilation,
        columns.stride,
        columns.dilation,
        apart,
        halved,
    )
    output_blocks, channel_blocks = -(-outputs // (vectors * lanes)), -(-channels // inner)
    blocks = (output_blocks, channel_blocks, planes.taps, -(-rows.taps // down), -(-columns.taps // across))
    tile_columns = -(-columns.out // -(-columns.out // CHAIN))
    tile_rows = -(-rows.out // -(-rows.out // max(1, CHAIN // tile_columns)))
    alone = planes.out == 1 and (tile_rows, tile_columns) == (rows.out, columns.out)
    tile_images = max(1, min(images, CHAIN // (rows.out * columns.out))) if alone else 1
    tiles = -(-images // tile_images) * planes.out * -(-rows.out // tile_rows) * -(-columns.out // tile_columns)
    taps = planes.taps * rows.taps * columns.taps
    channel_parts = max(1, min(channel_blocks, UNITS, channels * taps // CHANNEL_WORK))
    channel_range = -(-channel_blocks // channel_parts)
    so_far = groups * -(-channel_blocks // channel_range)
    output_parts = max(1, min(output_blocks, -(-UNITS // so_far), outputs * taps // OUTPUT_WORK))
    output_range = -(-output_blocks // output_parts)
    so_far *= -(-output_blocks // output_range)
    work = groups * outputs * channels * taps * images * planes.out * rows.out * columns.out
    size = 8 * groups * output_blocks * vectors * lanes * channel_blocks * inner * taps
    parts = min(tiles, -(-UNITS // so_far), 1 + PARTIAL_BYTES // size, max(1, work // so_far // UNIT_WORK))
    return SlopePlan(
        spec, axes, groups, outputs, channels, own, blocks, (tile_images, tile_rows, tile_columns),
        (output_range, channel_range), tiles, parts,
    )  # fmt: skip


def weight_slopes(
    dy: np.ndarray,
    x: np.ndarray,
    axes: Axes,
    groups: int,
    border: str,
    out: np.ndarray,
    threads: int | None = None,
) -> None:
    """dw[o, i, a] = sum over n, p of dy[n, o, p] * x[n, i, p * stride + start + a * dilation], into ``out``.

    dy: (n, groups * o, planes, rows, columns), x: (n, groups * c, ...), both float32 or both float64 and aligned;
    ``border`` says what stands outside x; out: float32 or float64, (groups * o, c, *taps), C-contiguous, sharing no
    memory with either. Bits do not depend on ``threads``.
    """
    target, number = current_target(), Number(x.dtype.str[1:])
    outputs, channels = dy.shape[1] // groups, x.shape[1] // groups
    dy, x, axes = _joined(dy, *_thinned(x, axes))
    halved = x.strides[4] == 2 * number.bytes and axes[2].taps == axes[2].stride == 1
    made = plan(axes, groups, outputs, channels, len(x), number, target, halved)
    spec = made.spec
    lanes = spec.vectors * target.lanes(number.bytes)
    block = (spec.rows, spec.columns, spec.channels, lanes)
    sums = np.empty((made.parts, made.groups, *made.blocks, *block))
    sheet = Sheet(FIELDS)
    sheet.write(x=x.ctypes.data, dy=dy.ctypes.data, sums=sums.ctypes.data)
    _work(made, len(x), sheet)
    for name, array, inner in (("x", x, channels), ("dy", dy, outputs)):
        batch, channel, *rest = array.strides
        group = 0 if made.groups == 1 else channel * inner
        values = zip(("image", "group", "plane", "row", "column"), (batch, group, *rest), strict=True)
        sheet.write(**{f"{name}_{axis}": value for axis, value in values})
    _offsets(made, lanes, x.strides[1], dy.strides[1], sheet)
    _maps(made, border, sheet)
    scratch = _panels(made, lanes, sheet)
    args = sheet.args()
    units = made.parts * made.groups * sheet["output_ranges"] * sheet["channel_ranges"]
    address = code(spec, target).address("slopes")
    workers = threads or pool.threads()
    pool.run(address, args.ctypes.data, scratch, units, workers)
    collect(sums, _layout(made, sums), out, workers)


def _thinned(x: np.ndarray, axes: Axes) -> tuple[np.ndarray, Axes]:
    """Without the pixels that a stride leaves out, on axes with one tap."""
    kept, found = [slice(None), slice(None)], []
    for axis in axes:
        last = axis.start + (axis.out - 1) * axis.stride
        alone = axis.taps == 1 < axis.stride and axis.start >= 0 and last < axis.n
        kept.append(slice(axis.start, last + 1, axis.stride) if alone else slice(None))
        found.append(Axis(axis.out, 1, 0, 1, 1, axis.out) if alone else axis)
    return x[tuple(kept)], (found[0], found[1], found[2])


def _joined(dy: np.ndarray, x: np.ndarray, axes: Axes) -> tuple[np.ndarray, np.ndarray, Axes]:
    """Rows that follow each other without a gap, as one, where there is one tap in all."""
    _, rows, columns = axes
    if any((a.taps, a.stride, a.start, a.n) != (1, 1, 0, a.out) for a in (rows, columns)):
        return dy, x, axes
    if any(a.strides[4] != a.itemsize or a.strides[3] != a.itemsize * columns.n for a in (dy, x)):
        return dy, x, axes
    n = rows.n * columns.n
    dy, x = (a.reshape(*a.shape[:3], 1, n) for a in (dy, x))
    return dy, x, (axes[0], ONE, Axis(n, 1, 0, 1, 1, n))


def _work(made: SlopePlan, images: int, sheet: Sheet) -> None:
    planes, rows, columns = made.axes
    output_blocks, channel_blocks, tap_planes, row_blocks, column_blocks = made.blocks
    output_range, channel_range = made.ranges
    sheet.write(parts=made.parts, groups=made.groups, tiles=made.tiles)
    sheet.write(output_range=output_range, output_ranges=-(-output_blocks // output_range))
    sheet.write(channel_range=channel_range, channel_ranges=-(-channel_blocks // channel_range))
    sheet.write(output_blocks=output_blocks, channel_blocks=channel_blocks)
    sheet.write(tap_planes=tap_planes, row_blocks=row_blocks, column_blocks=column_blocks)
    sheet.write(images=images, planes=planes.out, rows=rows.out, columns=columns.out)
    sheet.write(tile_images=made.tile[0], tile_rows=made.tile[1], tile_columns=made.tile[2])
    sheet.write(row_tiles=-(-rows.out // made.tile[1]), column_tiles=-(-columns.out // made.tile[2]))
    sheet.write(row_taps=rows.taps, column_taps=columns.taps, reach_rows=rows.reach, reach_columns=columns.reach)


def _offsets(made: SlopePlan, lanes: int, x_channel: int, dy_channel: int, sheet: Sheet) -> None:
    """Where the channels of every block lie; those that do not exist are the first one once more."""
    spec, (output_blocks, channel_blocks, *_) = made.spec, made.blocks
    outputs = np.arange(output_blocks * lanes)
    outputs[outputs >= made.outputs] = 0
    sheet.point("dy_offsets", outputs * dy_channel)
    if spec.apart:
        own = outputs.reshape(output_blocks, 1, lanes) // made.own * made.channels
        sheet.point("x_offsets", (own + np.arange(channel_blocks)[:, None]) * x_channel)
        return
    channels = np.arange(channel_blocks)[:, None] * spec.channels + np.arange(room(spec.channels))
    channels[channels >= made.channels] = 0
    sheet.point("x_offsets", np.ascontiguousarray(channels * x_channel))


def _maps(made: SlopePlan, border: str, sheet: Sheet) -> None:
    """Which plane, row and column of x stands where."""
    planes, rows, columns = made.axes
    sheet.point("plane_map", plane_map(planes, border))
    sheet.point("row_map", seen(rows, border))
    sheet.point("column_map", seen(columns, border))
    first, stop = inside(columns)
    sheet.write(column_lead=columns.start, column_first=first, column_stop=stop)
    sheet.point("dy_rows", np.arange(rows.out))
    sheet.point("dy_columns", np.arange(columns.out + CHAIN))


def _panels(made: SlopePlan, lanes: int, sheet: Sheet) -> int:
    """Lay out the scratch memory of a worker; returns its size."""
    spec, (_, rows, columns) = made.spec, made.axes
    images, tall, wide = made.tile
    size = spec.number.bytes
    together = lanes if spec.apart else room(spec.channels)
    row = up(((wide - 1) * columns.stride + columns.reach + 1) * together * size, ALIGN)
    plane = ((tall - 1) * rows.stride + rows.reach + 1) * row
    image = plane * made.axes[0].taps
    block, dy_block = odd(image * images), odd(images * tall * wide * lanes * size)
    sheet.write(panel_row=row, panel_plane=plane, panel_image=image, panel_block=block, dy_block=dy_block)
    ends = list(itertools.accumulate((block * made.ranges[1], dy_block * made.ranges[0])))
    sheet.write(at_dy=ends[0])
    return ends[1] + ALIGN


def _layout(made: SlopePlan, sums: np.ndarray) -> Layout:
    """Where the sums of a tap lie; of those that two blocks hold, the earlier one's."""
    spec, (planes, rows, columns) = made.spec, made.axes
    row_block, row = _places(rows.taps, spec.rows)
    column_block, column = _places(columns.taps, spec.columns)
    plane_step, row_block_step, column_block_step, row_step, column_step = sums.strides[4:9]
    down = row_block * row_block_step + row * row_step
    across = column_block * column_block_step + column * column_step
    places = np.arange(planes.taps)[:, None, None] * plane_step + down[:, None] + across
    block = sums.shape[-1], spec.channels
    return Layout(sums.strides[:4], places.ravel(), block, made.groups, made.outputs, made.channels, made.parts)  # type: ignore[arg-type]


def _places(n: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(block, place in it) of 0 .. n - 1; the last block is moved back to end at n."""
    index = np.arange(n)
    block = index // size
    return block, index - np.minimum(block * size, n - size)


@lru_cache(maxsize=512)
def code(spec: SlopeSpec, target: Target) -> Code:
    return build(spec, lambda: emit(target, spec), target)


def forget() -> None:
    """Drop all remembered plans and code. Code that still runs is kept alive by its caller."""
    plan.cache_clear()
    code.cache_clear()
