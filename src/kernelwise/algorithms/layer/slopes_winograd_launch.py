"""The gradient of three by three taps by Winograd's algorithm: how its work is cut, its memory, and the start."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ...jit import pool
from ...jit.compile import Code, build
from ...jit.target import Target
from ...problem import Axis
from .. import spare
from ..launch import Sheet
from ..memory import ALIGN, odd, up
from ..numbers import Number
from ..routine import current_target
from . import slopes_fold
from .direct_spec import most_pixels
from .problem import ONE, Axes, Strides
from .sheets import even, seen_by_tiles
from .slopes_tiles import ALONG, GATHERED, JOINED, STEP, TURNED, Side, sides
from .slopes_winograd import FIELDS, SQUARE, SlopeTilesSpec, emit
from .winograd import POSITIONS, TAPS

ALONE_BYTES = 640 << 10  # of all sums of a group: more, and tiles are transformed for all units together
CACHE_BYTES = 1 << 20  # of a unit's sums and tiles
CHAIN = 128  # tiles whose products are added up in registers
STRIP = 28  # tiles of a strip, about
OUTPUT_RANGE, CHANNEL_RANGE = 32, 64  # of a unit with shared tiles
SHARE = 8  # vectors of channels that are transformed in one go
PARTS = 8  # of the tiles, where each unit has its own
PANEL_BYTES, MOST_PANEL_BYTES = 5 << 20, 24 << 20  # of all shared tiles: what the last cache holds easily, and at most
SHARED_TILES = 96  # if the latter holds them: taps are made from sums of so many
PART_STRIPS = 64  # sums in memory that are added up to one
PARTIAL_BYTES = 16 << 20  # what the sums of further parts may take
# Nanoseconds for float32 in 16 lanes, one thread, on an AMD EPYC of the Zen 5 generation
DIRECT = 0.0108  # for each multiply-add of `slopes`
COPY = 0.5  # for each pixel and channel that it copies
COLLECT = 15.0  # for each pair of channel and output whose taps it collects
PRODUCT = 0.0095  # for each multiply-add between tiles
ENTER = 7.2  # for each tile and channel, to transform pixels
FINISH = 5.0  # for each pair of channel and output, to make taps and store them
LEAST_CHANNELS = 8  # with fewer, sums wait for each other and little is gained


class SlopeTilesPlan(NamedTuple):
    """How a gradient is done, by its shape alone."""

    spec: SlopeTilesSpec
    axes: Axes
    groups: int
    channels: int  # of a group
    outputs: int
    band: int  # rows of tiles in a strip
    segment: int  # columns of tiles in a strip
    strips: int
    together: int  # strips whose tiles are multiplied at a time
    ranges: tuple[int, int]  # blocks of outputs, channels: of a unit
    parts: int


class Launch(NamedTuple):
    """What it takes to start; the arrays and shared panels still empty."""

    args: np.ndarray
    scratch: int
    units: int
    units_before: int  # for each strip: of `tiles`
    panels: tuple[int, int]  # bytes of x's and of dy's
    keep: tuple[np.ndarray, ...]


def worthwhile(axes: Axes, channels: int, outputs: int, images: int, number: Number, target: Target) -> bool:
    """Three by three taps next to each other, every pixel asked for, float32; and less work than all the products."""
    planes, rows, columns = axes
    square = all((a.taps, a.stride, a.dilation) == (TAPS, 1, 1) for a in (rows, columns))
    if not square or planes != ONE or number.dtype != np.float32 or channels < LEAST_CHANNELS:
        return False
    lanes = target.lanes(number.bytes)
    tiles, width = (
        images * -(-rows.out // STEP) * -(-columns.out // STEP),
        up(outputs, min(2, -(-outputs // lanes)) * lanes),
    )
    each = POSITIONS * channels * width * PRODUCT + (up(channels, lanes) + width) * ENTER
    fast = tiles * each + channels * width * FINISH
    pixels = images * rows.out * columns.out
    direct = pixels * (SQUARE * channels * up(outputs, lanes) * DIRECT + (channels + outputs) * COPY)
    return fast < direct + channels * outputs * COLLECT


@lru_cache(maxsize=1024)
def plan(
    axes: Axes, groups: int, channels: int, outputs: int, images: int, number: Number, target: Target
) -> SlopeTilesPlan:
    """``outputs`` and ``channels`` of one group."""
    lanes, size = target.lanes(number.bytes), number.bytes
    vectors = 2 if outputs > lanes else 1
    blocks = -(-outputs // (vectors * lanes))
    sums = POSITIONS * up(channels, lanes) * blocks * vectors * lanes * size
    shared = sums > ALONE_BYTES
    channel_range = min(channels, CHANNEL_RANGE) if shared else channels
    output_range = min(blocks, max(1, OUTPUT_RANGE // (vectors * lanes))) if shared else blocks
    most = most_pixels(target)
    width = min((channels - 1) % channel_range + 1, -(-channel_range // -(-channel_range // most)))
    spec = SlopeTilesSpec(number, vectors, width, shared)
    down, across = (-(-axis.out // STEP) for axis in axes[1:])
    each = POSITIONS * groups * (up(channels, lanes) + blocks * vectors * lanes) * size  # bytes of a tile, transformed
    tiles = STRIP if shared else min(CHAIN, max(STRIP, (CACHE_BYTES - sums) // each))
    segment = even(across, tiles)
    band = even(down, max(1, tiles // segment))
    strips = images * -(-across // segment) * -(-down // band)
    together = max(1, min(strips, tiles // (band * segment)))
    parts = 1
    if shared:
        some = min(max(SHARED_TILES, PANEL_BYTES // each), MOST_PANEL_BYTES // each)
        together = even(strips, max(1, some // (band * segment)))
    else:
        most_parts = max(PARTS, PARTIAL_BYTES // (groups * outputs * channels * SQUARE * size))
        parts = min(strips, max(PARTS, min(most_parts, -(-strips // (together * PART_STRIPS)))))
    return SlopeTilesPlan(
        spec, axes, groups, channels, outputs, band, segment, strips, together, (output_range, channel_range), parts
    )


# ---------------------------------------------------------------- the start


def weight_slopes(
    made: SlopeTilesPlan, dy: np.ndarray, x: np.ndarray, border: str, out: np.ndarray, threads: int | None = None
) -> None:
    """dw[o, i, a] = sum over n, p of dy[n, o, p] * x[n, i, p + start + a], into ``out``.

    dy: (n, groups * o, 1, rows, columns), x: (n, groups * c, ...), float32, aligned, of any strides; ``border`` says
    what stands outside x; out: float32, (groups * o, c, 3, 3), C-contiguous, sharing no memory with either. An image
    makes a difference of a few parts in ten million of the largest result. Bits do not depend on ``threads``.
    """
    workers, routine = threads or pool.threads(), code(made.spec, current_target())
    ready = _launch(made, current_target(), len(x), x.strides, dy.strides, border)
    places = np.empty((made.parts, *out.shape), out.dtype) if made.parts > 1 else out[np.newaxis]
    args = ready.args.copy()
    field = {name: k for k, name in enumerate(FIELDS)}
    args[[field[name] for name in ("x", "dy", "out")]] = [array.ctypes.data for array in (x, dy, places)]
    if not made.spec.shared:
        pool.run(routine.address("slopes"), args.ctypes.data, ready.scratch, ready.units, workers)
    else:
        memory = spare.take(sum(ready.panels))
        args[field["x_panel"]], args[field["dy_panel"]] = memory.ctypes.data, memory.ctypes.data + ready.panels[0]
        for first in range(0, made.strips, made.together):
            strips = min(made.together, made.strips - first)
            args[[field[name] for name in ("first_strip", "strips", "adding")]] = first, strips, first > 0
            units = strips * ready.units_before
            pool.run(routine.address("tiles"), args.ctypes.data, ready.scratch, units, workers)
            pool.run(routine.address("slopes"), args.ctypes.data, ready.scratch, ready.units, workers)
        spare.leave(memory)
    if made.parts > 1:
        slopes_fold.add_up(places, out, workers)


@lru_cache(maxsize=256)
def _launch(
    made: SlopeTilesPlan, target: Target, images: int, x_strides: Strides, dy_strides: Strides, border: str
) -> Launch:
    """Strides in bytes: batch, channel, plane, row, column."""
    sheet = Sheet(FIELDS)
    spec, (_, rows, columns) = made.spec, made.axes
    lanes, size = target.lanes(spec.number.bytes), spec.number.bytes
    _strips(made, images, sheet)
    blocks = -(-made.outputs // (spec.vectors * lanes))
    output_range, channel_range = made.ranges
    output_ranges, channel_ranges = -(-blocks // output_range), -(-made.channels // channel_range)
    sheet.write(parts=made.parts, groups=made.groups, channels=made.channels, outputs=made.outputs)
    sheet.write(output_blocks=blocks, output_range=output_range, output_ranges=output_ranges)
    sheet.write(channel_range=channel_range, channel_ranges=channel_ranges)
    row = made.channels * SQUARE * size
    sheet.write(out_row=row, out_group=row * made.outputs, out_part=row * made.outputs * made.groups)
    vectors = {"x": -(-made.channels // lanes), "dy": blocks * spec.vectors}
    around = {"x": border, "dy": "constant"}
    seen = {"x": (rows, columns), "dy": tuple(Axis(a.out, 1, 0, 1, 1, a.out) for a in (rows, columns))}
    for side, strides, channels in zip(sides(), (x_strides, dy_strides), (made.channels, made.outputs), strict=True):
        name = side.name
        shares = -(-vectors[name] // SHARE)
        sheet.write(**{f"{name}_blocks": vectors[name], f"{name}_share": SHARE, f"{name}_shares": shares})
        _channels(name, strides, channels, vectors[name], lanes, sheet)
        _pixels(side, strides, seen[name], around[name], made, target, sheet)  # type: ignore[arg-type]
    scratch = _scratch(made, target, sheet)
    panels = [made.groups * sheet[f"{name}_panel_group"] for name in ("x", "dy")]
    units = made.groups * output_ranges * (channel_ranges if spec.shared else made.parts)
    before = made.groups * (sheet["x_shares"] + sheet["dy_shares"])
    return Launch(sheet.args(), scratch, units, before, (panels[0], panels[1]), tuple(sheet.keep))


def _strips(made: SlopeTilesPlan, images: int, sheet: Sheet) -> None:
    """How many tiles there are before every strip; chains of them of about equal length."""
    down, across = (-(-axis.out // STEP) for axis in made.axes[1:])
    bands, segments = -(-down // made.band), -(-across // made.segment)
    high = np.minimum(made.band, down - np.arange(bands) * made.band)
    wide = np.minimum(made.segment, across - np.arange(segments) * made.segment)
    before = np.concatenate([[0], np.cumsum(np.tile(np.outer(high, wide).ravel(), images))]).astype(np.int64)
    sheet.point("strip_at", before)
    sheet.write(strips=made.strips, bands=bands, segments=segments, together=made.together)
    sheet.write(band_tiles=made.band, tile_rows=down, segment_tiles=made.segment, tile_columns=across)
    several = before[[*range(made.together, made.strips, made.together), made.strips]]
    tiles = int(np.diff(several, prepend=0).max()) if made.spec.shared else made.together * made.band * made.segment
    sheet.write(tiles=tiles, chain=even(tiles, CHAIN))


def _channels(name: str, strides: Strides, channels: int, blocks: int, lanes: int, sheet: Sheet) -> None:
    """Where the channels of every vector lie; those that do not exist are the last one once more."""
    number = np.minimum(np.arange(blocks * lanes), channels - 1)
    sheet.point(f"{name}_offsets", number * strides[1])
    names = ("image", "group", "row", "column", "whole", "ahead")
    values = (strides[0], strides[1] * channels, strides[3], strides[4], channels // lanes, strides[1] * lanes)
    sheet.write(**{f"{name}_{key}": value for key, value in zip(names, values, strict=True)})


def _pixels(
    side: Side, strides: Strides, axes: tuple[Axis, Axis], border: str, made: SlopeTilesPlan, target: Target,
    sheet: Sheet,
) -> None:  # fmt: skip
    """Which row and column of the array stands where, and how its rows are read."""
    name, (rows, columns) = side.name, axes
    size, vector = made.spec.number.bytes, target.vector_bytes
    lanes, segments = vector // size, sheet["segments"]
    sheet.point(f"{name}_row_map", seen_by_tiles(rows, side.window, sheet["bands"] * made.band, border))
    places = seen_by_tiles(columns, side.window, segments * made.segment, border)
    wide = made.segment * STEP + side.window - STEP
    _, channel, _, row, column = strides
    reading, limit = GATHERED, columns.n
    if column == size and row == columns.n * size and border == "constant" and segments == 1 < rows.n * columns.n:
        reading, limit = JOINED, rows.n * columns.n
    elif column == size:
        reading = TURNED
    if reading != GATHERED and limit < lanes:
        reading = GATHERED
    if channel == size and reading == GATHERED:
        reading = ALONG
    first, count = np.zeros(segments, np.int64), np.zeros(segments, np.int64)
    offsets = np.full((segments, wide), -1, np.int64)
    for s in range(segments):
        here = places[s * made.segment * STEP :][:wide]
        inside = here[here >= 0]
        if reading == JOINED:
            count[s] = columns.n
        elif inside.size:
            first[s], count[s] = inside.min(), inside.max() + 1 - inside.min()
        offsets[s, here >= 0] = (inside - first[s]) * vector
    sheet.point(f"{name}_column_first", first)
    sheet.point(f"{name}_column_count", count)
    sheet.point(f"{name}_columns", offsets)
    most = int(count.max())
    pitch = most if reading == JOINED else lanes + max(lanes, most)
    keys = ("reading", "limit", "first_row", "rows", "columns_pitch", "raw_row")
    values = (reading, limit, rows.start, rows.n, wide * 8, pitch * vector)
    sheet.write(**{f"{name}_{key}": value for key, value in zip(keys, values, strict=True)})
    sheet.write(**{f"{name}_raw": (made.band * STEP + side.window - STEP) * pitch * vector, f"{name}_most": most})


# ---------------------------------------------------------------- memory


def _scratch(made: SlopeTilesPlan, target: Target, sheet: Sheet) -> int:
    """Lay out the memory of a worker; returns its size."""
    spec, vector = made.spec, target.vector_bytes
    lanes, (output_range, channel_range) = vector // spec.number.bytes, made.ranges
    down = odd((made.segment * STEP + 2) * vector)
    place = -(-channel_range // spec.channels) * output_range * spec.channels * spec.vectors * vector
    sums, taps = odd(place), odd(channel_range * SQUARE * vector)
    sheet.write(down_row=down, sums_position=sums, taps_pitch=taps)
    for name, each in (("x", -(-channel_range // lanes)), ("dy", output_range * spec.vectors)):
        # what a unit reads and writes itself: no two tiles in one set of a cache; what it reads alone: one long line
        tile = (each if spec.shared else each | 1) * vector
        position = odd(sheet["tiles"] * tile)
        ranges = -(-sheet[f"{name}_blocks"] // each)
        keys = ("range_blocks", "tile", "position", "range", "panel_group")
        values = (each, tile, position, POSITIONS * position, ranges * POSITIONS * position)
        sheet.write(**{f"{name}_{key}": value for key, value in zip(keys, values, strict=True)})
    raw = max(sheet["x_raw"], sheet["dy_raw"]) + 2 * lanes * vector
    zeros = max(sheet["x_most"], sheet["dy_most"]) * vector
    sizes = {"at_spare": ALIGN, "at_raw": raw, "at_zeros": zeros, "at_down": 6 * down}
    sizes |= {"at_sums": POSITIONS * sums, "at_taps": spec.vectors * taps}
    if not spec.shared:
        sizes |= {f"at_{name}": POSITIONS * sheet[f"{name}_position"] for name in ("x", "dy")}
    total = sheet.lay_out(sizes)
    sheet.write(at_raw=sheet["at_raw"] + lanes * vector)
    return total + ALIGN


@lru_cache(maxsize=64)
def code(spec: SlopeTilesSpec, target: Target) -> Code:
    return build(spec, lambda: emit(target, spec), target)


def forget() -> None:
    """Drop all remembered plans and code. Code that still runs is kept alive by its caller."""
    for made in (plan, _launch, code):
        made.cache_clear()
