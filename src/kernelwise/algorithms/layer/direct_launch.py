"""The direct algorithm for a layer: its blocks of sums, how its work is cut, and a routine's numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from ...jit.compile import Code, build
from ...jit.target import Target
from ..launch import Sheet
from ..memory import ALIGN, odd
from . import costs, one_tap, weights
from . import direct_tables as tables
from .direct_code import FIELDS, POINTS, emit
from .direct_spec import DirectSpec, block_channels, most_pixels
from .plan import Launch, Plan, Ready
from .problem import CHAIN, ONE, LayerProblem, Limits, Strides
from .sheets import write_limits, write_strides
from .weights import WeightsSpec

LONG_CHAIN = 1024  # the same, where precision may be lost
PANEL_BYTES = 320 << 10  # of a unit's input: with the weights of a block it stays in the second-level cache
UNITS_PER_THREAD = 4
LARGE_WEIGHTS = 4  # times the pixels of an image: of a channel, both
MOST_KINDS = 3  # of blocks of pixels, by the taps that they find outside: at the left, at the right, between
LEAST_PIXELS = 4  # of a block: with fewer, sums wait for each other
FETCHED_WEIGHTS = 256 << 10  # bytes of weights from which they are asked for a block ahead
MOST_FETCHED = 8  # lines in a turn of the inner loop
CHUNK_BYTES = 8 << 10  # of weights that blocks of pixels meet in one go: the first-level cache holds them, and pixels
LARGE_CHUNK_BYTES = 128 << 10  # the same where caches are large: the second-level one does
PASS_BYTES = 32 << 10  # of sums that wait in memory while other blocks of pixels meet the same weights
MUCH = 1.02  # larger blocks may cost so much more
BLOCK_PIXELS = 1.5  # what a block costs beside its pixels, in pixels


@dataclass(frozen=True)
class DirectPlan(Plan):
    """How a layer is done, by its shape alone."""

    spec: DirectSpec
    row_group: int  # output rows in a block of pixels
    band: int  # output rows in a unit
    panel: bool  # rows are copied
    panel_row: int  # bytes
    panel_channel: int
    chain: int  # products that are added up in one go, at most
    flat: bool = False  # rows are not those of the arrays, whose pixels all follow each other

    name = "direct"
    reason = "output channels side by side in the lanes, all products added up"

    @property
    def block(self) -> int:
        """Output channels of a block."""
        return block_channels(self.spec, self.target)

    def pack(self, weight: np.ndarray, threads: int) -> np.ndarray:
        return pack(self, weight, threads)

    def prepare(
        self, images: int, image_strides: Strides, result_strides: Strides, limits: Limits, threads: int,
        residual: bool = False,
    ) -> Ready:  # fmt: skip
        plan = finishing(self, limits, residual)
        spec, made = launch(plan, images, image_strides, result_strides, limits, threads)
        return Ready.of(code(spec, self.target), made)

    def nanoseconds(self, packed: bool = False) -> float:
        return costs.direct(self.problem, self.target)


def finishing(plan: DirectPlan, limits: Limits, residual: bool) -> DirectPlan:
    """The same plan, with all that becomes of its sums. ``residual``: an array with the strides of the result is added
    before limits are kept. The two share no memory: some results are made twice."""
    floor, ceiling = limits[0] > -math.inf, limits[1] < math.inf
    return replace(plan, spec=replace(plan.spec, residual=residual, floor=floor, ceiling=ceiling))


@lru_cache(maxsize=1024)
def plan(
    problem: LayerProblem,
    target: Target,
    channels_last: bool,
    row_bytes: int,
    joined: bool = True,
    chain: int = CHAIN,
) -> DirectPlan:
    """``row_bytes``: from one row of the image to the next where it can be read as it lies; 0 where it cannot.
    ``joined``: rows of the result follow each other without a gap. ``chain``: products that are added up in one go."""
    size = problem.number.bytes
    flat = joined and not channels_last and row_bytes == problem.axes[2].n * size and one_tap.each_alone(problem)
    if flat:
        problem = one_tap.other_rows(problem, most_pixels(target))
        row_bytes = problem.axes[2].n * size
    planes, rows, columns = problem.axes
    lanes, most = target.lanes(size), most_pixels(target)
    group = _row_group(rows.out, columns.out, most) if joined and not channels_last else 1
    tile = _tile(columns.out, most)
    kinds = tuple(dict.fromkeys(tables.outside(columns, x, tile) for x in tables.tiles(columns, tile)))
    copied = row_bytes == 0 or (problem.padded and (group > 1 or not _left_out(problem, len(kinds))))
    pitch = ((columns.out - 1) * columns.stride + columns.reach + 1) * size if copied else row_bytes
    if group > 1:
        pixels = [
            y * rows.stride * (pitch // size) + x * columns.stride for y in range(group) for x in range(columns.out)
        ]
    else:
        pixels = [x * columns.stride for x in range(tile)]
    vectors = 2 if problem.outputs > lanes else 1
    spec = DirectSpec(
        problem.number,
        tuple(pixels),
        vectors,
        columns.taps,
        ((0,) * columns.taps,) if copied else kinds,
        columns.dilation,
        planes.taps * rows.taps * columns.taps == 1,
        channels_last,
        problem.outputs % (vectors * lanes) == 0,
        problem.masked,
    )
    band = rows.out if group > 1 else _band(problem, pitch)
    return DirectPlan(
        problem, target, spec, group, band, copied, pitch, _panel_channel(problem, band, pitch), chain, flat
    )


def _left_out(problem: LayerProblem, kinds: int) -> bool:
    """Whether taps outside the image can be left out where they are: zeros, around rows and columns only."""
    planes, rows, columns = problem.axes
    return problem.border == "constant" and planes == ONE and rows.taps * columns.taps > 1 and kinds <= MOST_KINDS


def _panel_channel(problem: LayerProblem, band: int, pitch: int) -> int:
    planes, rows, _ = problem.axes
    return odd(planes.taps * ((band - 1) * rows.stride + rows.reach + 1) * pitch)


def _tile(columns: int, most: int) -> int:
    """Pixels of a block: as many as make the fewest and fullest ones in a row, or somewhat more."""
    sizes = {-(-columns // -(-columns // size)) for size in range(1, most + 1)}
    costs = {size: -(-columns // size) * (max(size, LEAST_PIXELS) + BLOCK_PIXELS) for size in sizes}
    return max(size for size, cost in costs.items() if cost <= MUCH * min(costs.values()))


def _row_group(rows: int, columns: int, most: int) -> int:
    """Short rows of a result that are done together: as many as make the fewest and fullest blocks of pixels."""

    def cost(group: int) -> float:
        return -(-rows // group) * (max(group * columns, LEAST_PIXELS) + BLOCK_PIXELS)

    return min(range(1, max(1, min(most // columns, rows)) + 1), key=cost)


def _band(problem: LayerProblem, pitch: int) -> int:
    """Rows of the result in a unit: as many as fit. Where rows are copied, each band copies some that others do too."""
    planes, rows, _ = problem.axes
    each = problem.channels * planes.taps * pitch  # bytes of a row of the panel
    band = max(1, (PANEL_BYTES // each - rows.reach - 1) // rows.stride + 1)
    return -(-rows.out // -(-rows.out // min(rows.out, band)))


def _shared(plan: DirectPlan, images: int, threads: int) -> DirectPlan:
    """With smaller bands where the threads would not have enough of them, of a size that leaves none idle at the end;
    not so small that most is copied twice. Where weights are much larger than the image, blocks of outputs are shared
    out instead, if there are enough: each band reads all weights."""
    problem = plan.problem
    planes, rows, _ = problem.axes
    if threads == 1 or plan.row_group > 1:
        return plan
    whole = images * problem.groups * planes.out
    units = whole * -(-rows.out // plan.band) * -(-problem.outputs // plan.block)
    weight, image = (math.prod(sizes) for sizes in zip(*((a.taps, a.n) for a in problem.axes), strict=True))
    if weight * problem.outputs > LARGE_WEIGHTS * image and units >= threads * UNITS_PER_THREAD:
        return plan
    least = rows.reach + 1 if plan.panel else 1
    most = min(plan.band, max(whole * rows.out // (threads * UNITS_PER_THREAD), least))

    def longest(band: int) -> int:
        """Rows of the thread that has most."""
        return -(-whole * -(-rows.out // band) // threads) * band

    band = min(range(most, max(least, most // 2) - 1, -1), key=longest, default=most)
    return replace(plan, band=band, panel_channel=_panel_channel(problem, band, plan.panel_row))


def pack(plan: DirectPlan, weight: np.ndarray, threads: int = 1) -> np.ndarray:
    """(groups * outputs, channels, ...), of any strides -> [group][block][channel][tap][output in the block]."""
    problem = plan.problem
    taps = math.prod(a.taps for a in problem.axes)
    block = problem.channels * taps * plan.block * problem.number.bytes
    sizes = block, 0, block * -(-problem.outputs // plan.block) * problem.groups
    spec = WeightsSpec(problem.number, plan.spec.vectors, False)
    return weights.pack(spec, plan.target, weight, problem.groups, sizes, threads)


def launch(
    plan: DirectPlan, images: int, image_strides: Strides, result_strides: Strides, limits: Limits, threads: int
) -> tuple[DirectSpec, Launch]:
    """The routine and the numbers of a start. In how many bands and parts the outputs are shared out changes no
    result."""
    plan, problem = _shared(plan, images, threads), plan.problem
    planes, rows, columns = problem.axes
    size, block = problem.number.bytes, block_channels(plan.spec, plan.target)
    if plan.flat:
        given = image_strides, result_strides
        image_strides, result_strides = ((*strides[:3], columns.n * size, size) for strides in given)
    sheet = Sheet(FIELDS)
    taps = math.prod(a.taps for a in problem.axes)
    blocks, bands = -(-problem.outputs // block), -(-rows.out // plan.band)
    units = images * problem.groups * planes.out * bands
    parts = min(blocks, -(-threads * UNITS_PER_THREAD // units) if threads > 1 else 1)
    part_blocks = -(-blocks // parts)
    parts = -(-blocks // part_blocks)
    sheet.write(
        groups=problem.groups, planes=planes.out, bands=bands, parts=parts, part_blocks=part_blocks, blocks=blocks
    )
    sheet.write(band_rows=plan.band, rows_out=rows.out, columns_out=columns.out)
    sheet.write(channels=problem.channels, outputs=problem.outputs)
    write_strides(sheet, problem, image_strides, result_strides)
    weight_block = problem.channels * taps * block * size
    sheet.write(weight_block=weight_block, weight_group=weight_block * blocks)
    tables.fill(plan, image_strides, sheet)
    write_limits(sheet, problem, limits)
    groups, tiles = _pass(plan, sheet["tiles"])
    sheet.write(chunk=_chunk(plan), pass_rows=groups * plan.row_group, pass_tiles=tiles)
    fetch, turns = _fetched(plan, sheet["tiles"], weight_block * blocks)
    sheet.write(fetch_share=fetch * turns * ALIGN)
    scratch = _scratch(plan, sheet)
    return replace(plan.spec, fetch=fetch), Launch(sheet.args(), scratch, units * parts, tuple(sheet.keep))


def _fetched(plan: DirectPlan, tiles: int, weights: int) -> tuple[int, int]:
    """Lines of the next block's weights that are asked for in a turn of the inner loop, and turns for each block of
    pixels: so that all of them have been asked for when it is their turn."""
    planes, rows, columns = plan.problem.axes
    channels, taps = plan.problem.channels, planes.taps * rows.taps
    turns = channels // POINTS if plan.spec.point else channels * taps
    if weights < FETCHED_WEIGHTS or turns == 0:
        return 0, 0
    lines = channels * taps * columns.taps * plan.spec.vectors * plan.target.vector_bytes // ALIGN
    calls = -(-plan.band // plan.row_group) * tiles
    return min(MOST_FETCHED, -(-lines // (calls * turns))), turns


def _chunk(plan: DirectPlan) -> int:
    """Channels whose products are added up in one go: equal parts, whose weights stay in a cache."""
    problem = plan.problem
    taps = math.prod(a.taps for a in problem.axes)
    room = LARGE_CHUNK_BYTES if plan.target.large_caches else CHUNK_BYTES
    products = room // (plan.block * problem.number.bytes)
    if problem.channels * taps <= 2 * products:
        products *= 2  # all of them
    most = max(1, min(plan.chain, products) // taps)
    return -(-problem.channels // -(-problem.channels // most))


def _sums_bytes(plan: DirectPlan) -> int:
    """Of a block of pixels."""
    return len(plan.spec.pixels) * plan.spec.vectors * plan.target.vector_bytes


def _pass(plan: DirectPlan, tiles: int) -> tuple[int, int]:
    """Groups of rows, and blocks of pixels in each, over which a chunk of channels goes before the next one."""
    most = max(1, PASS_BYTES // _sums_bytes(plan))
    tiles = min(tiles, most)
    return max(1, min(-(-plan.band // plan.row_group), most // tiles)), tiles


def _scratch(plan: DirectPlan, sheet: Sheet) -> int:
    """Lay out the memory of a worker; returns its size."""
    return sheet.lay_out(
        {
            "at_sums": sheet["pass_rows"] // plan.row_group * sheet["pass_tiles"] * _sums_bytes(plan),
            "at_spare": ALIGN,
            "at_panel": plan.problem.channels * plan.panel_channel + plan.target.vector_bytes if plan.panel else 0,
        }
    )


@lru_cache(maxsize=512)
def code(spec: DirectSpec, target: Target) -> Code:
    return build(spec, lambda: emit(target, spec), target)


def forget() -> None:
    """Forget what has been made so far. Code that still runs is kept alive by its caller."""
    for made in (plan, code):
        made.cache_clear()
