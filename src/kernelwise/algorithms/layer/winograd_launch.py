"""Winograd's algorithm for a layer: how its work is cut, its weights packed, and its numbers written down."""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ...borders import source_index
from ...jit import pool
from ...jit.compile import Code, build
from ...jit.target import Target
from ...problem import Axis
from ..fourier.launch import aligned
from ..launch import Sheet
from .launch import ALIGN, LEAST_UNITS, LayerLaunch, LayerProblem, bits, odd, up
from .spec import most_pixels
from .winograd import INPUTS, OUTPUTS, POSITIONS, TAPS, WinogradSpec
from .winograd_code import FIELDS, UNROLL, emit
from .winograd_tiles import ALONG, GATHERED, TURNED
from .winograd_weights import PACK_FIELDS

CHAIN = 128  # channels whose products are added up in one go
NEAR_BYTES = 640 << 10  # of tiles, products and weights that a unit goes through again and again
FAR_BYTES = 3 << 20  # of tiles and products, where the weights are larger than that: they are gone through once
LEAST_OUTPUTS = 64  # of a unit: each transforms its pixels, whoever else does so too


class WinogradPlan(NamedTuple):
    """How a layer is done, by its shape alone."""

    problem: LayerProblem
    spec: WinogradSpec
    target: Target
    band: int  # rows of tiles in a unit
    segment: int  # columns of tiles in a unit
    tiles: int  # of a unit, about: so many small images are taken together
    together: int  # blocks of outputs for which products are kept at a time


def possible(problem: LayerProblem) -> bool:
    """Three by three taps next to each other, and every pixel asked for."""
    planes, rows, columns = problem.axes
    return all((a.taps, a.stride, a.dilation) == (TAPS, 1, 1) for a in (rows, columns))


@lru_cache(maxsize=1024)
def plan(problem: LayerProblem, target: Target, channels_last: bool) -> WinogradPlan:
    """Units of a size that the second-level cache holds; see NEAR_BYTES and FAR_BYTES."""
    planes, rows, columns = problem.axes
    size, lanes = problem.number.bytes, target.lanes(problem.number.bytes)
    vectors = 2 if problem.outputs > lanes else 1
    block = vectors * lanes
    channels = up(problem.channels, lanes) * planes.taps
    blocks = -(-problem.outputs // block)
    weights = POSITIONS * channels * blocks * block * size
    if weights <= NEAR_BYTES:
        together, tiles = 1, (NEAR_BYTES - weights // 2) // (POSITIONS * (channels + block) * size)
    else:
        together = blocks
        tiles = FAR_BYTES // (POSITIONS * (channels + blocks * block) * size)
    down, across = -(-rows.out // OUTPUTS), -(-columns.out // OUTPUTS)
    tiles = max(1, tiles)
    segment = _even(across, tiles)
    band = _even(down, max(1, tiles // segment))
    most = most_pixels(target)
    each = band * segment
    pixels = min(range(1, most + 1), key=lambda p: (-(-each // p) * (p + 1.5), -p))
    spec = WinogradSpec(problem.number, tuple(q * lanes for q in range(pixels)), vectors, channels_last)
    return WinogradPlan(problem, spec, target, band, segment, tiles, together)


def _even(count: int, most: int) -> int:
    """``count`` in equal parts of at most ``most``."""
    return -(-count // -(-count // min(count, most)))


# ---------------------------------------------------------------- weights


def pack(plan: WinogradPlan, weight: np.ndarray, threads: int) -> np.ndarray:
    """(groups * outputs, channels, ...), of any strides, transformed; see `winograd_weights`."""
    problem, lanes = plan.problem, _lanes(plan)
    size, planes = problem.number.bytes, problem.axes[0].taps
    if not (weight.flags.aligned and weight.dtype.isnative):
        weight = np.require(weight, weight.dtype.newbyteorder("="), "A")
    full = weight.reshape(*weight.shape[:2], *(1,) * (5 - weight.ndim), *weight.shape[2:])
    blocks, pieces = _blocks(plan), -(-problem.channels // lanes)
    block, position, everything = _weight_bytes(plan)
    packed = aligned(np.zeros(everything // size, problem.number.dtype))
    sheet = Sheet(PACK_FIELDS)
    sheet.write(given=full.ctypes.data, packed=packed.ctypes.data, channels=problem.channels, blocks=blocks)
    sheet.write(given_group=full.strides[0] * problem.outputs, given_channel=full.strides[1], pieces=pieces)
    outputs = np.minimum(np.arange(blocks * plan.spec.vectors * lanes), problem.outputs - 1)
    sheet.point("output_offsets", outputs * full.strides[0])
    taps = np.stack(np.meshgrid(*map(np.arange, full.shape[2:]), indexing="ij"), -1) @ np.array(full.strides[2:])
    sheet.point("tap_offsets", np.ascontiguousarray(taps.ravel()))
    dense = full[0].flags.c_contiguous and full[0].size >= lanes
    sheet.write(dense=int(dense), tap_planes=planes, packed_block=block, packed_position=position)
    scratch = (2 + planes * TAPS * TAPS) * lanes * plan.target.vector_bytes
    args = sheet.args()
    units = problem.groups * blocks * plan.spec.vectors * pieces
    pool.run(code(plan.spec, plan.target).address("pack"), args.ctypes.data, scratch, units, threads)
    return packed


def _lanes(plan: WinogradPlan) -> int:
    return plan.target.lanes(plan.problem.number.bytes)


def _blocks(plan: WinogradPlan) -> int:
    """Of output channels, in a group."""
    return -(-plan.problem.outputs // (plan.spec.vectors * _lanes(plan)))


def _channel_blocks(plan: WinogradPlan) -> int:
    return -(-plan.problem.channels // _lanes(plan)) * plan.problem.axes[0].taps


def _weight_bytes(plan: WinogradPlan) -> tuple[int, int, int]:
    """From one block of outputs to the next, from one position to the next, and of all packed weights."""
    block_bytes = plan.spec.vectors * plan.target.vector_bytes
    position = odd(_channel_blocks(plan) * _lanes(plan) * block_bytes)
    block = position * POSITIONS
    return block, position, block * _blocks(plan) * plan.problem.groups


# ---------------------------------------------------------------- numbers of a launch


@lru_cache(maxsize=1024)
def launch(
    plan: WinogradPlan,
    images: int,
    image_strides: tuple[int, ...],
    result_strides: tuple[int, ...],
    limits: tuple[float, float],
) -> LayerLaunch:
    """Strides in bytes: batch, channel, plane, row, column. ``limits``: results stay between them."""
    problem = plan.problem
    planes, rows, columns = problem.axes
    sheet = Sheet(FIELDS)
    down, across = -(-rows.out // OUTPUTS), -(-columns.out // OUTPUTS)
    bands, segments = -(-down // plan.band), -(-across // plan.segment)
    together = min(images, max(1, plan.tiles // (plan.band * plan.segment))) if bands * segments == 1 else 1
    units = -(-images // together) * problem.groups * planes.out * bands * segments
    blocks, parts = _parts(plan, units)
    sheet.write(images=images, together=together, groups=problem.groups, planes=planes.out)
    sheet.write(bands=bands, segments=segments, parts=parts, band_tiles=plan.band, tile_rows=down)
    sheet.write(segment_tiles=plan.segment, tile_columns=across, rows_out=rows.out, columns_out=columns.out)
    for name, (batch, channel, plane, row, column), inner in (
        ("image", image_strides, problem.channels), ("result", result_strides, problem.outputs),
    ):  # fmt: skip
        sheet.write(**{f"{name}_batch": batch, f"{name}_group": channel * inner, f"{name}_channel": channel})
        sheet.write(**{f"{name}_plane": plane, f"{name}_row": row, f"{name}_column": column})
    block, position, _ = _weight_bytes(plan)
    sheet.write(weight_block=block, weight_position=position, weight_group=block * _blocks(plan))
    sheet.write(blocks=_blocks(plan), part_blocks=blocks, round_blocks=min(plan.together, blocks))
    floor, ceiling = (bits(limit, problem.number) for limit in limits)
    sheet.write(outputs=problem.outputs, floor=floor, ceiling=ceiling)
    _channels(plan, image_strides, sheet)
    _rows(plan, image_strides, sheet)
    _columns(plan, sheet)
    scratch = _scratch(plan, min(plan.together, blocks), together, sheet)
    return LayerLaunch(sheet.args(), scratch, units * parts, tuple(sheet.keep))


def _parts(plan: WinogradPlan, units: int) -> tuple[int, int]:
    """Blocks of outputs in a unit, and how many such parts there are."""
    block = plan.spec.vectors * _lanes(plan)
    blocks = _blocks(plan)
    parts = min(max(1, LEAST_UNITS // units), max(1, blocks * block // LEAST_OUTPUTS))
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
    sheet.write(channel_blocks=blocks, whole_blocks=channels // lanes, all_blocks=blocks * planes)
    sheet.write(chain=max(1, CHAIN // lanes))


def _rows(plan: WinogradPlan, strides: tuple[int, ...], sheet: Sheet) -> None:
    planes, rows, columns = plan.problem.axes
    size, lanes = plan.problem.number.bytes, _lanes(plan)
    at = (
        np.arange(planes.out)[:, None] * planes.stride
        + planes.start
        + np.arange(planes.taps)[None, :] * planes.dilation
    )
    sheet.write(tap_planes=planes.taps)
    sheet.point("plane_map", np.ascontiguousarray(source_index(at, planes.n, plan.problem.border)))
    sheet.point("row_map", _places(rows, -(-rows.out // OUTPUTS), plan.problem.border))
    _, channel, _, row, column = strides
    reading, lead, limit = GATHERED, 0, columns.n
    if column == size and columns.n >= lanes:
        reading = TURNED
    elif column == size and row == columns.n * size and rows.n * columns.n >= lanes:
        reading, lead, limit = TURNED, columns.n, rows.n * columns.n
    elif channel == size:
        reading = ALONG
    sheet.write(reading=reading, lead=lead, limit=limit)


def _places(axis: Axis, tiles: int, border: str) -> np.ndarray:
    """The image's index of every pixel that a row of tiles looks at; -1 for zeros, also where no output needs any."""
    count = axis.out + TAPS - 1
    found = np.full(tiles * OUTPUTS + INPUTS - OUTPUTS, -1)
    found[:count] = source_index(np.arange(count) + axis.start, axis.n, border)
    return found


def _columns(plan: WinogradPlan, sheet: Sheet) -> None:
    """For each segment: the columns of the image it reads, and where each of its columns lies among them."""
    axis, across, vector = plan.problem.axes[2], plan.segment, plan.target.vector_bytes
    tiles = -(-axis.out // OUTPUTS)
    segments = -(-tiles // across)
    places = _places(axis, segments * across, plan.problem.border)
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


def _scratch(plan: WinogradPlan, blocks: int, together: int, sheet: Sheet) -> int:
    """Lay out the memory of a worker; returns its size."""
    vector, lanes = plan.target.vector_bytes, _lanes(plan)
    block_bytes = plan.spec.vectors * vector
    room = max(len(plan.spec.pixels), together * plan.band * plan.segment)
    raw = (lanes + max(lanes, sheet["columns_most"]) + 1) * vector
    wide = plan.segment * OUTPUTS
    columns = odd((wide + INPUTS - OUTPUTS) * vector)
    tile_block, product_block = room * vector, room * block_bytes
    tiles, products = odd(sheet["all_blocks"] * tile_block), odd(blocks * product_block)
    sheet.write(raw_row=raw, columns_row=columns, tile_block=tile_block, tile_position=tiles)
    sheet.write(product_block=product_block, product_position=products)
    sizes = {
        "at_raw": (plan.band * OUTPUTS + INPUTS - OUTPUTS) * raw,
        "at_columns": INPUTS * columns,
        "at_rows": (OUTPUTS * wide + OUTPUTS) * vector,
        "at_spare": ALIGN,
        "at_tiles": POSITIONS * tiles,
        "at_products": POSITIONS * products,
    }
    ends = list(itertools.accumulate(up(size, ALIGN) for size in sizes.values()))
    sheet.write(**dict(zip(sizes, [0, *ends[:-1]], strict=True)))
    return ends[-1] + ALIGN


@lru_cache(maxsize=512)
def code(spec: WinogradSpec, target: Target) -> Code:
    return build(spec, lambda: emit(target, spec), target)
