"""Winograd's algorithm for a layer: how its work is cut, its weights packed, and its numbers written down."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
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
from .winograd_cut import Cut, Work, cut
from .winograd_fresh import channels_together
from .winograd_tiles import ALONG, GATHERED, TURNED
from .winograd_weights import SQUARE

CHAIN = 128  # channels whose products are added up in one go
# Of a unit, where the second-level cache holds its tiles and products, and where it does not, but they are asked for
# ahead: bytes of both, and the fewest tiles, where there are so many. Weights are read once for all of them.
UNIT_BYTES, LEAST_TILES = 960 << 10, 32
FAR_UNIT_BYTES, FAR_LEAST_TILES = 2000 << 10, 64


@dataclass(frozen=True)
class WinogradPlan(Plan):
    """How a layer is done, by its shape alone."""

    channels_last: bool
    vectors: int  # of output channels in a block
    segment: int  # columns of tiles in a unit
    tiles: int  # of a unit, at most, unless a row has more
    fresh: bool = False  # weights are packed as they are, and transformed whenever they are read

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

    @property
    def packing(self) -> Hashable:
        return super().packing, self.fresh

    def for_images(self, images: int) -> WinogradPlan:
        return replace(self, fresh=costs.fresh(self.problem, images))

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
    unit, least = (UNIT_BYTES, LEAST_TILES) if target.large_caches else (FAR_UNIT_BYTES, FAR_LEAST_TILES)
    tiles = max(least, unit // (POSITIONS * (channels + vectors * lanes) * size))
    segment = even(_tiles(columns), tiles)
    return WinogradPlan(problem, target, channels_last, vectors, segment, tiles)


def _tiles(axis: Axis) -> int:
    return -(-axis.out // OUTPUTS)


# ---------------------------------------------------------------- weights


def pack(plan: WinogradPlan, weight: np.ndarray, threads: int) -> np.ndarray:
    """(groups * outputs, channels, ...), of any strides, transformed; see `weights`."""
    spec = weights.WeightsSpec(plan.problem.number, plan.vectors, not plan.fresh)
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
    if plan.fresh:
        block = plan.problem.channels * plan.problem.axes[0].taps * SQUARE * block_bytes
        return block, 0, block * _blocks(plan) * plan.problem.groups
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
    band, together, blocks, parts = shared_out(plan, images, threads)
    bands, segments = -(-images * down // band), -(-across // plan.segment)
    units = problem.groups * planes.out * bands * segments
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
    spec = WinogradSpec(problem.number, offsets, plan.vectors, plan.channels_last, residual, plan.fresh)
    room = up(band * plan.segment, together) if plan.fresh else max(together, band * plan.segment)
    scratch = _scratch(plan, spec, room, min(band, down), sheet)
    return spec, Launch(sheet.args(), scratch, units * parts, tuple(sheet.keep))


def shared_out(plan: WinogradPlan, images: int, threads: int) -> Cut:
    """How rows of tiles and outputs are cut into units."""
    problem = plan.problem
    planes, rows, columns = problem.axes
    return cut(
        Work(
            rows=images * _tiles(rows),
            columns=plan.segment,
            others=problem.groups * planes.out * -(-_tiles(columns) // plan.segment),
            most=plan.tiles,
            products=POSITIONS * _channel_blocks(plan) * _lanes(plan) * _blocks(plan) * plan.block,
            blocks=_blocks(plan),
            block=plan.block,
            together=most_pixels(plan.target),
            threads=threads,
        )
    )


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
        channels=channels,
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


def _scratch(plan: WinogradPlan, spec: WinogradSpec, room: int, rows: int, sheet: Sheet) -> int:
    """Lay out the memory of a worker, with ``room`` for tiles, of so many ``rows`` of one image; returns its size."""
    vector, lanes = plan.target.vector_bytes, _lanes(plan)
    block_bytes = plan.vectors * vector
    raw = (lanes + max(lanes, sheet["columns_most"]) + 1) * vector
    wide = plan.segment * OUTPUTS
    columns = odd((wide + INPUTS - OUTPUTS) * vector)
    tile_block, product_block = room * vector, room * block_bytes
    tiles, products = odd(sheet["all_blocks"] * tile_block), odd(product_block)
    sheet.write(raw_row=raw, columns_row=columns, tile_block=tile_block, tile_position=tiles)
    fresh = odd(channels_together(spec, plan.target) * block_bytes) if plan.fresh else 0
    sheet.write(product_position=products, fresh_position=fresh)
    sizes = {
        "at_word": ALIGN,  # whose tiles are there
        "at_raw": (rows * OUTPUTS + INPUTS - OUTPUTS) * raw,
        "at_columns": INPUTS * columns,
        "at_rows": (OUTPUTS * wide + OUTPUTS) * vector,
        "at_spare": ALIGN,
        "at_tiles": POSITIONS * tiles,
        "at_products": POSITIONS * products,
        "at_fresh": POSITIONS * fresh,
        "at_held": POSITIONS * products if plan.fresh else 0,
    }
    return sheet.lay_out(sizes)


@lru_cache(maxsize=512)
def code(spec: WinogradSpec, target: Target) -> Code:
    return build(spec, lambda: emit(target, spec), target)


def forget() -> None:
    """Forget what has been made so far. Code that still runs is kept alive by its caller."""
    for made in (plan, code):
        made.cache_clear()
