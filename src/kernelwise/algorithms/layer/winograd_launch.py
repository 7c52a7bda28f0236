"""Winograd's algorithm for a layer: how its work is cut, its weights packed, and its numbers written down."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...jit.compile import Code, build
from ...jit.target import Target
from ...problem import Axis
from ..launch import Sheet
from ..memory import ALIGN, odd, up
from . import costs, weights
from .direct_spec import most_pixels
from .plan import Launch, Plan, Ready
from .problem import LayerProblem, Limits, Strides
from .sheets import even, plane_map, seen_by_tiles, write_limits, write_strides
from .winograd import INPUTS, OUTPUTS, POSITIONS, TAPS, WinogradSpec
from .winograd_code import FIELDS, UNROLL, emit
from .winograd_tiles import ALONG, GATHERED, TURNED

CHAIN = 128  # channels whose products are added up in one go
UNIT_BYTES = 960 << 10  # of a unit's tiles and products: about the second-level cache
LEAST_TILES = 32  # of a unit, where there are so many: weights are read once for all of them
UNIT_TILES = 3.0  # what a unit costs beside its tiles, in tiles: all weights are read
ENTER_OUTPUTS = 20.0  # outputs to which a tile's products cost as much as its transform
LEAST_OUTPUTS = 64  # of a unit: each transforms its pixels, whoever else does so too
UNITS_PER_THREAD = 2
MOST_WORK = 1 << 31  # multiply-adds of a unit: a call can be interrupted between two of them
BLOCK_TILES = 1.5  # what a block of tiles costs beside them, in tiles


@dataclass(frozen=True)
class WinogradPlan(Plan):
    """How a layer is done, by its shape alone."""

    channels_last: bool
    vectors: int  # of output channels in a block
    segment: int  # columns of tiles in a unit
    tiles: int  # of a unit, at most, unless a row has more

    name = "winograd"
    reason = "output channels side by side in the lanes, 36 products in place of 144 for 4 x 4 outputs"

    @property
    def block(self) -> int:
        """Output channels of a block."""
        return self.vectors * _lanes(self)

    def pack(self, weight: np.ndarray, threads: int) -> np.ndarray:
        return pack(self, weight, threads)

    def prepare(
        self, images: int, image_strides: Strides, result_strides: Strides, limits: Limits, threads: int,
        residual: bool = False,
    ) -> Ready:  # fmt: skip
        spec, made = launch(self, images, image_strides, result_strides, limits, threads, residual)
        return Ready.of(code(spec, self.target), made)

    def nanoseconds(self, packed: bool = False) -> float:
        return costs.winograd(self.problem, self.target, packed)


def possible(problem: LayerProblem) -> bool:
    """Three by three taps next to each other, and every pixel asked for."""
    planes, rows, columns = problem.axes
    return all((a.taps, a.stride, a.dilation) == (TAPS, 1, 1) for a in (rows, columns))


@lru_cache(maxsize=1024)
def plan(problem: LayerProblem, target: Target, channels_last: bool) -> WinogradPlan:
    """Units of a size that the second-level cache holds: see UNIT_BYTES and LEAST_TILES. How many rows of tiles are in
    one depends on the batch: see `cut`."""
    planes, rows, columns = problem.axes
    size, lanes = problem.number.bytes, target.lanes(problem.number.bytes)
    vectors = 2 if problem.outputs > lanes else 1
    channels = up(problem.channels, lanes) * planes.taps
    tiles = max(LEAST_TILES, UNIT_BYTES // (POSITIONS * (channels + vectors * lanes) * size))
    segment = even(_tiles(columns), tiles)
    return WinogradPlan(problem, target, channels_last, vectors, segment, tiles)


def _tiles(axis: Axis) -> int:
    return -(-axis.out // OUTPUTS)


# ---------------------------------------------------------------- weights


def pack(plan: WinogradPlan, weight: np.ndarray, threads: int) -> np.ndarray:
    """(groups * outputs, channels, ...), of any strides, transformed; see `weights`."""
    spec = weights.WeightsSpec(plan.problem.number, plan.vectors, True)
    return weights.pack(spec, plan.target, weight, plan.problem.groups, _weight_bytes(plan), threads)


def _lanes(plan: WinogradPlan) -> int:
    return plan.target.lanes(plan.problem.number.bytes)


def _blocks(plan: WinogradPlan) -> int:
    """Of output channels, in a group."""
    return -(-plan.problem.outputs // plan.block)


def _channel_blocks(plan: WinogradPlan) -> int:
    return -(-plan.problem.channels // _lanes(plan)) * plan.problem.axes[0].taps


def _weight_bytes(plan: WinogradPlan) -> tuple[int, int, int]:
    """From one block of outputs to the next, from one position to the next, and of all packed weights."""
    block_bytes = plan.vectors * plan.target.vector_bytes
    position = odd(_channel_blocks(plan) * _lanes(plan) * block_bytes)
    block = position * POSITIONS
    return block, position, block * _blocks(plan) * plan.problem.groups


# ---------------------------------------------------------------- numbers of a launch


def launch(
    plan: WinogradPlan,
    images: int,
    image_strides: Strides,
    result_strides: Strides,
    limits: Limits,
    threads: int,
    residual: bool = False,
) -> tuple[WinogradSpec, Launch]:
    """The routine, which depends on the batch and the threads, and its numbers. How rows and outputs are shared out
    changes no result."""
    problem = plan.problem
    planes, rows, columns = problem.axes
    sheet = Sheet(FIELDS)
    down, across = _tiles(rows), _tiles(columns)
    band, together = cut(plan, images, threads)
    bands, segments = -(-images * down // band), -(-across // plan.segment)
    units = problem.groups * planes.out * bands * segments
    blocks, parts = _parts(plan, units, band * plan.segment, threads)
    sheet.write(planes=planes.out, bands=bands, segments=segments, parts=parts)
    sheet.write(band_tiles=band, tile_rows=down, all_rows=images * down, segment_tiles=plan.segment)
    sheet.write(tile_columns=across, rows_out=rows.out, columns_out=columns.out)
    write_strides(sheet, problem, image_strides, result_strides)
    block, position, _ = _weight_bytes(plan)
    sheet.write(weight_block=block, weight_position=position, weight_group=block * _blocks(plan))
    sheet.write(blocks=_blocks(plan), part_blocks=blocks)
    write_limits(sheet, problem, limits)
    sheet.write(outputs=problem.outputs)
    _channels(plan, image_strides, sheet)
    _rows(plan, image_strides, sheet)
    _columns(plan, sheet)
    offsets = tuple(q * _lanes(plan) for q in range(together))
    spec = WinogradSpec(problem.number, offsets, plan.vectors, plan.channels_last, residual)
    scratch = _scratch(plan, max(together, band * plan.segment), min(band, down), sheet)
    return spec, Launch(sheet.args(), scratch, units * parts, tuple(sheet.keep))


def cut(plan: WinogradPlan, images: int, threads: int) -> tuple[int, int]:
    """Rows of tiles in a unit, and tiles in a block of products: those that leave least over in the last blocks, do
    not read weights or transform pixels too often, and let all threads end together."""
    problem = plan.problem
    rows = images * _tiles(problem.axes[1])
    others = problem.groups * problem.axes[0].out * -(-_tiles(problem.axes[2]) // plan.segment)
    enter = ENTER_OUTPUTS / problem.outputs

    def cost(band: int, together: int) -> float:
        full, left = divmod(rows, band)
        parts = _parts(plan, others * (full + (left > 0)), band * plan.segment, threads)[1]

        def work(tiles: int) -> float:
            blocks = -(-tiles // together) * (together + BLOCK_TILES)
            return (blocks + UNIT_TILES) / parts + tiles * enter

        each, over = divmod(others * full * parts, threads)
        unit, last = work(band * plan.segment), work(left * plan.segment) if left else 0.0
        idle = -(-others * parts // (threads - over))  # last units, for each thread that has no other one any more
        waiting = unit / 2 if threads > 1 else 0.0  # for one that something else held up
        return each * unit + max(unit * (over > 0), idle * last) + waiting

    bands = range(1, min(rows, max(1, plan.tiles // plan.segment)) + 1)
    blocks = range(1, most_pixels(plan.target) + 1)
    return min(((band, p) for band in bands for p in blocks), key=lambda pair: (cost(*pair), -pair[1]))


def _parts(plan: WinogradPlan, units: int, tiles: int, threads: int) -> tuple[int, int]:
    """Blocks of outputs in a unit, and how many such parts there are."""
    blocks = _blocks(plan)
    wanted = -(-threads * UNITS_PER_THREAD // units) if threads > 1 else 1
    work = tiles * POSITIONS * _channel_blocks(plan) * _lanes(plan) * blocks * plan.block
    parts = min(max(wanted, work // MOST_WORK), max(1, blocks * plan.block // LEAST_OUTPUTS))
    each = -(-blocks // parts)
    return each, -(-blocks // each)


def _channels(plan: WinogradPlan, strides: tuple[int, ...], sheet: Sheet) -> None:
    channels, lanes = plan.problem.channels, _lanes(plan)
    planes = plan.problem.axes[0].taps
    blocks = -(-channels // lanes)
    number = np.minimum(np.arange(blocks * lanes), channels - 1)
    sheet.point("channel_offsets", number * strides[1])
    counts = np.minimum(lanes, channels - np.arange(blocks) * lanes)
    unroll = min(UNROLL, lanes)
    sheet.point("block_counts", np.ascontiguousarray(np.tile(-(-counts // unroll) * unroll, planes)))
    sheet.write(
        image_block=lanes * strides[1],
        channel_blocks=blocks,
        whole_blocks=channels // lanes,
        all_blocks=blocks * planes,
    )
    sheet.write(chain=max(1, CHAIN // lanes))


def _rows(plan: WinogradPlan, strides: tuple[int, ...], sheet: Sheet) -> None:
    planes, rows, columns = plan.problem.axes
    size, lanes = plan.problem.number.bytes, _lanes(plan)
    sheet.write(tap_planes=planes.taps)
    sheet.point("plane_map", plane_map(planes, plan.problem.border))
    sheet.point("row_map", seen_by_tiles(rows, INPUTS, _tiles(rows), plan.problem.border))
    _, channel, _, row, column = strides
    reading, lead, limit = GATHERED, 0, columns.n
    if column == size and columns.n >= lanes:
        reading = TURNED
    elif column == size and row == columns.n * size and rows.n * columns.n >= lanes:
        reading, lead, limit = TURNED, columns.n, rows.n * columns.n
    elif channel == size:
        reading = ALONG
    sheet.write(reading=reading, lead=lead, limit=limit)


def _columns(plan: WinogradPlan, sheet: Sheet) -> None:
    """For each segment: the columns of the image it reads, and where each of its columns lies among them."""
    axis, across, vector = plan.problem.axes[2], plan.segment, plan.target.vector_bytes
    tiles = _tiles(axis)
    segments = -(-tiles // across)
    places = seen_by_tiles(axis, INPUTS, segments * across, plan.problem.border)
    wide = across * OUTPUTS + INPUTS - OUTPUTS
    first, count = np.zeros(segments, np.int64), np.zeros(segments, np.int64)
    offsets = np.zeros((segments, wide), np.int64)
    for s in range(segments):
        here = places[s * across * OUTPUTS :][:wide]
        inside = here[here >= 0]
        if inside.size:
            first[s], count[s] = inside.min(), inside.max() + 1 - inside.min()
        offsets[s] = np.where(here < 0, count[s], here - first[s]) * vector
    sheet.point("column_first", first)
    sheet.point("column_count", count)
    sheet.point("column_offsets", offsets)
    sheet.write(columns_most=int(count.max()))


def _scratch(plan: WinogradPlan, room: int, rows: int, sheet: Sheet) -> int:
    """Lay out the memory of a worker, with ``room`` for tiles, of so many ``rows`` of one image; returns its size."""
    vector, lanes = plan.target.vector_bytes, _lanes(plan)
    block_bytes = plan.vectors * vector
    raw = (lanes + max(lanes, sheet["columns_most"]) + 1) * vector
    wide = plan.segment * OUTPUTS
    columns = odd((wide + INPUTS - OUTPUTS) * vector)
    tile_block, product_block = room * vector, room * block_bytes
    tiles, products = odd(sheet["all_blocks"] * tile_block), odd(product_block)
    sheet.write(raw_row=raw, columns_row=columns, tile_block=tile_block, tile_position=tiles)
    sheet.write(product_position=products)
    sizes = {
        "at_raw": (rows * OUTPUTS + INPUTS - OUTPUTS) * raw,
        "at_columns": INPUTS * columns,
        "at_rows": (OUTPUTS * wide + OUTPUTS) * vector,
        "at_spare": ALIGN,
        "at_tiles": POSITIONS * tiles,
        "at_products": POSITIONS * products,
    }
    return sheet.lay_out(sizes)


@lru_cache(maxsize=512)
def code(spec: WinogradSpec, target: Target) -> Code:
    return build(spec, lambda: emit(target, spec), target)


def forget() -> None:
    """Forget what has been made so far. Code that still runs is kept alive by its caller."""
    for made in (plan, code):
        made.cache_clear()
