"""Lag sums done directly: the blocks that fit the registers, the work cut into units, and the start (see lags.py)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numpy as np

from ..jit import pool
from ..jit.compile import Code, build
from ..jit.target import Target
from .lags import CHAIN, FIELDS, LINE, Block, LagSpec, emit
from .numbers import Number
from .routine import current_target

WIDEST = {4: 8, 8: 16}  # vectors in a row of a tile, by bytes of a number
B_TILE = 1 << 15  # bytes; a tile takes more images only while its part of b is smaller
A_GROUP = 1 << 18  # bytes that the tiles of one group of a's channels may take: the second-level cache
UNIT_WORK = 1 << 18  # vector multiply-adds in a unit: well over 50 us, so that sharing them out pays
COPYING = 4  # multiply-adds that copying a vector into a tile takes as long as
# Nanoseconds on one thread, by `python benchmarks/lag_costs.py` on the machine of costs.py: for a multiply-add of
# vectors at full speed, for a vector and for a row that is copied into a tile, for a call.
MULTIPLY = 0.135
VECTOR = 0.0  # no more than the start of its row
ROW = 20.0
START = 39_000.0
MOST_PARTS, MOST_UNITS = 256, 1024
PARTIAL_BYTES = 16 << 20  # what the sums of all parts may take, before they are added up


def direct_lag_sums(
    a: np.ndarray,
    b: np.ndarray,
    taps: tuple[int, int],
    start: tuple[int, int],
    centres: tuple[float, float],
    sums: np.dtype,
    threads: int,
    totals: np.ndarray | None = None,
) -> np.ndarray:
    """As `lag_sums.lag_sums`, for arrays that generated code can read and that are not empty.

    ``centres``: what is taken from every number of a, of b. ``totals``: (o, 2), where the sums of a's numbers and of
    their squares go, if they are wanted. Returns float64 (o, i, *taps).
    """
    target = current_target()
    spec, cut = _planned(a.shape, b.shape, (a.dtype, b.dtype, sums), taps, target)
    spec = replace(spec, totals=totals is not None)
    partial = np.zeros((cut.parts, *cut.sums, *_block_shape(spec)))
    found = np.zeros((cut.parts, a.shape[1], 2))
    inside = (np.arange(spec.lanes) <= (a.shape[3] - 1) % spec.lanes).astype(spec.sums.dtype)
    args = _arguments(spec, cut, a, b, start, centres, partial, inside, found)
    code = _code(spec, target)
    pool.run(code.address("lags"), args.ctypes.data, cut.scratch, cut.units, threads)
    if totals is not None:
        totals[...] = found.sum(axis=0)
    return _gather(partial.sum(axis=0), spec.block, a.shape[1], taps)


# ---------------------------------------------------------------- the specification


Shape = tuple[int, ...]


@lru_cache(maxsize=1024)
def _planned(
    a_shape: Shape, b_shape: Shape, dtypes: tuple[np.dtype, ...], taps: tuple[int, int], target: Target
) -> tuple[LagSpec, Cut]:
    """``dtypes``: of a, of b, of the sums."""
    a, b, sums = (Number(dtype.str[1:]) for dtype in dtypes)
    lanes = target.lanes(sums.bytes)
    vectors = min(WIDEST[sums.bytes], 1 << (-(-a_shape[3] // lanes) - 1).bit_length())
    height = min(a_shape[2], CHAIN[sums.bytes] // vectors)
    spec = LagSpec(a, b, sums, taps, vectors, lanes, choose_block(a_shape[1], taps, height, target))
    return spec, _cut(spec, a_shape, b_shape)


def choose_block(channels: int, taps: tuple[int, int], height: int, target: Target) -> Block:
    """The block of sums with the least estimated time for each useful multiply-add."""
    return min(_blocks(channels, taps, height, target), key=lambda b: _cost(b, channels, taps, target.vector_bytes))


def _blocks(channels: int, taps: tuple[int, int], height: int, target: Target) -> Iterator[Block]:
    """Those that fit the registers: the sums, the vectors of a that are in use, and a few for b and for products."""
    room = target.registers - (3 if target.fused else 4)
    sizes = (range(1, min(n, most) + 1) for n, most in ((channels, 8), (taps[0], 8), (taps[1], 16)))
    for steps, o, r, c in product((1, 2, 4), *sizes):
        if o * r * c + o * steps <= room and (steps == 1 or steps <= height):
            yield Block(o, r, c, steps)


def _cost(block: Block, channels: int, taps: tuple[int, int], vector_bytes: int) -> float:
    """Time for each useful multiply-add, in units of one at full speed.

    A core starts two multiply-adds and two loads in a cycle; a load that crosses a cache line counts twice; four
    cycles pass from one sum to the next in a register. Blocks overlap where they do not divide the sums evenly.
    """
    o, r, c, steps = block.channels, block.rows, block.columns, block.steps
    crossing = min(1.0, vector_bytes / LINE) if taps[1] > 1 else 0.0
    loads = (o * steps + (steps + r - 1) * c * (1 + crossing)) / (o * steps * r * c)
    waste = math.prod(-(-n // m) * m / n for n, m in ((channels, o), (taps[0], r), (taps[1], c)))
    flush = 12 / CHAIN[8]  # adding up the lanes of a sum, about 12 instructions
    return waste * (max(1.0, loads, 8 / block.size) + 0.1 * loads + flush)


def nanoseconds(
    a_shape: Shape, b_shape: Shape, dtypes: tuple[np.dtype, ...], taps: tuple[int, int], target: Target
) -> float:
    """Predicted time on one thread; ``dtypes``: of a, of b, of the sums."""
    spec, cut = _planned(a_shape, b_shape, dtypes, taps, target)
    images, channels, rows, columns = a_shape
    useful = channels * b_shape[1] * math.prod(taps) * images * rows * -(-columns // spec.lanes)
    width = min(spec.tile_columns, columns)
    a_rows, b_rows = cut.tile_rows, cut.tile_rows + taps[0] - 1
    a_vectors, b_vectors = (-(-n // spec.lanes) for n in (width, width + taps[1] - 1))
    tiles = images * cut.row_tiles * cut.column_tiles
    a_copies, b_copies = tiles * channels * cut.b_groups, tiles * b_shape[1] * cut.a_groups
    copied = a_copies * a_rows * a_vectors + b_copies * b_rows * b_vectors
    return (
        START
        + MULTIPLY * useful * _cost(spec.block, channels, taps, target.vector_bytes)
        + VECTOR * copied
        + ROW * (a_copies * a_rows + b_copies * b_rows)
    )


@lru_cache(maxsize=256)
def _code(spec: LagSpec, target: Target) -> Code:
    return build(spec, lambda: emit(spec, target), target)


def forget() -> None:
    """Drop all remembered plans and code. Code that still runs is kept alive by its caller."""
    _planned.cache_clear()
    _code.cache_clear()


# ---------------------------------------------------------------- the cut


@dataclass(frozen=True)
class Cut:
    """How the work is divided, by shape alone."""

    tile_images: int
    tile_rows: int
    row_tiles: int
    column_tiles: int
    tiles: int
    parts: int
    a_group: int  # channels
    a_groups: int
    b_group: int
    b_groups: int
    sums: tuple[int, int, int, int]  # channels of b, blocks of a's channels, of rows, of columns
    at_b: int
    scratch: int

    @property
    def units(self) -> int:
        return self.parts * self.a_groups * self.b_groups


def _block_shape(spec: LagSpec) -> tuple[int, int, int]:
    return spec.block.channels, spec.block.rows, spec.block.columns


def _cut(spec: LagSpec, a_shape: Shape, b_shape: Shape) -> Cut:
    images, a_channels, a_rows, a_columns = a_shape
    b_channels = b_shape[1]
    block, down = spec.block, spec.chain // spec.vectors
    tile_rows = min(a_rows, down)
    b_image = (tile_rows + spec.taps[0] - 1) * spec.b_pitch
    tile_images = max(1, min(images, down // tile_rows, B_TILE // b_image))
    row_tiles, column_tiles = -(-a_rows // tile_rows), -(-a_columns // spec.tile_columns)
    tiles = -(-images // tile_images) * row_tiles * column_tiles
    a_blocks = -(-a_channels // block.channels)
    sums = (b_channels, a_blocks, -(-spec.taps[0] // block.rows), -(-spec.taps[1] // block.columns))
    # Cut a's channels by what fits the cache, then the tiles, then b's channels, until units are small enough.
    a_group = min(a_channels, max(1, A_GROUP // (spec.a_tile * block.channels)) * block.channels)
    a_groups = -(-a_channels // a_group)
    size = math.prod(sums) * block.size
    work = (size + COPYING * (a_channels + b_channels)) * images * a_rows * -(-a_columns // spec.lanes)
    units = min(MOST_UNITS, max(1, work // UNIT_WORK))
    parts = max(1, min(tiles, MOST_PARTS, units // a_groups, PARTIAL_BYTES // (8 * size)))
    b_groups = max(1, min(b_channels, units // (a_groups * parts)))
    b_group = -(-b_channels // b_groups)
    at_b = a_group * spec.a_tile
    return Cut(
        tile_images, tile_rows, row_tiles, column_tiles, tiles, parts, a_group, a_groups, b_group,
        -(-b_channels // b_group), sums, at_b, at_b + tile_images * b_image,
    )  # fmt: skip


def _arguments(
    spec: LagSpec,
    cut: Cut,
    a: np.ndarray,
    b: np.ndarray,
    start: tuple[int, int],
    centres: tuple[float, float],
    partial: np.ndarray,
    inside: np.ndarray,
    totals: np.ndarray,
) -> np.ndarray:
    """FIELDS, filled in."""
    values = {name: getattr(cut, name) for name in FIELDS if hasattr(cut, name) and name != "sums"}
    for which, array in (("a", a), ("b", b)):
        values[which] = array.ctypes.data
        values |= zip((f"{which}_{axis}" for axis in ("image", "channel", "row", "column")), array.strides, strict=True)
        values |= zip((f"{which}_{axes}" for axes in ("channels", "rows", "columns")), array.shape[1:], strict=True)
    values |= {"images": a.shape[0], "start_row": start[0], "start_column": start[1]}
    values |= zip(("a_blocks", "row_blocks", "column_blocks"), cut.sums[1:], strict=True)
    values |= {"sums": partial.ctypes.data, "inside": inside.ctypes.data, "totals": totals.ctypes.data}
    values |= zip(("a_centre", "b_centre"), np.array(centres, np.float64).view(np.int64).tolist(), strict=True)
    return np.array([values[name] for name in FIELDS], np.int64)


# ---------------------------------------------------------------- the result


def _gather(sums: np.ndarray, block: Block, channels: int, taps: tuple[int, int]) -> np.ndarray:
    """[b channel, block.., in block..] -> [o, i, row, column]; of sums that two blocks hold, the earlier one's."""
    (o_block, o), (r_block, r), (c_block, c) = (
        _places(n, size) for n, size in zip((channels, *taps), (block.channels, block.rows, block.columns), strict=True)
    )
    picked = sums[:, o_block[:, None, None], r_block[:, None], c_block, o[:, None, None], r[:, None], c]
    return np.ascontiguousarray(picked.transpose(1, 0, 2, 3))


def _places(n: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(block, place in it) of 0 .. n - 1; the last block is moved back to end at n."""
    index = np.arange(n)
    block = index // size
    return block, index - np.minimum(block * size, n - size)
