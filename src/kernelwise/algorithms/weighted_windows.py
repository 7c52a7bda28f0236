"""Weighted products of all windows of images with each other and with results, in one pass over the images.

    G = sum over outputs of  w f f',     f = (the window in all channels, 1, all results)

With a weight for every output, products of two taps depend on more than the distance between them, and there are no
lags to make use of: every output multiplies all pairs of taps, P^2 / 2 of them. All of it is float64. A unit's sums are
taken tile by tile, MOST_TILE products in each lane; the units are cut by the shapes alone, so the bits do not depend on
threads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from ..jit import pool
from ..jit.compile import Code, build
from ..jit.target import Target
from ..jit.types import F64
from .launch import Sheet
from .memory import up
from .numbers import Number, readable
from .routine import current_target
from .weighted_code import FIELDS, SIDES, WeightedSpec, emit

MOST_TILE = 128  # vectors of a tile
WIDEST = 16  # vectors of a row of it
MOST_UNITS = 32
UNIT_TILES = 4  # at least, on average
GRAM_BYTES = 16 << 20  # of the sums of all units
ROUND_WORK = 1 << 31  # multiply-adds of all units together, after which a call can be interrupted
SPARE_REGISTERS = 2  # for weights and for a feature
LINE = 64  # bytes

Taps = tuple[int, int, int]
Shape = tuple[int, ...]


def weighted_windows(
    x: np.ndarray, y: np.ndarray, w: np.ndarray, taps: Taps, before: np.ndarray, after: np.ndarray, threads: int | None
) -> np.ndarray:
    """x: (n, c, planes, rows, columns), y: (n, m, ...) with a result for each window, w: (n, ...) their weights, all
    real, of any strides; ``before`` (c,) and ``after`` (m,) are taken from every pixel and result first.

    Returns the symmetric G, float64 (P + 1 + m, P + 1 + m), P = c * taps. Weights of 0 leave outputs out, if they and
    what their windows see are finite.

    >>> x, y = np.arange(3.0).reshape(1, 1, 1, 1, 3), np.ones((1, 1, 1, 1, 2))
    >>> zero = np.zeros(1)
    >>> weighted_windows(x, y, 2 * y[0], (1, 1, 2), zero, zero, 1)
    array([[ 2.,  4.,  2.,  2.],
           [ 4., 10.,  6.,  6.],
           [ 2.,  6.,  4.,  4.],
           [ 2.,  6.,  4.,  4.]])
    """
    x, y, w = readable(x), readable(y), readable(w)[:, np.newaxis]
    size = x.shape[1] * math.prod(taps) + 1 + y.shape[1]
    if y.size == 0:
        return np.zeros((size, size))
    target = current_target()
    cut = _cut(x.shape, y.shape, tuple(array.dtype for array in (x, y, w)), taps, target)
    gram = np.zeros((cut.units, *cut.room))
    sheet = _sheet(cut, x, y, w, taps, before, after)
    sheet.point("gram", gram)
    sheet.write(gram_unit=gram.strides[0], gram_row=gram.strides[1])
    code, count = _code(cut.spec, target), threads or pool.threads()
    for first in range(0, cut.tiles, cut.round):
        sheet.write(first_tile=first, tiles=min(cut.round, cut.tiles - first))
        args = sheet.args()
        pool.run(code.address("weighted"), args.ctypes.data, cut.scratch, cut.units, count)
    found = gram.sum(axis=0)[:size, :size]
    upper = np.triu(found)
    return upper + np.triu(found, 1).T


@dataclass(frozen=True)
class Cut:
    """How the work is divided, by shapes alone."""

    spec: WeightedSpec
    row_tiles: int
    column_tiles: int
    tiles: int  # of all planes and images
    units: int
    round: int  # tiles that are done in one go
    features: np.ndarray  # their places in a tile
    room: tuple[int, int]  # features in whole blocks, of either kind
    places: dict[str, int]  # in scratch memory
    scratch: int


@lru_cache(maxsize=256)
def _cut(x_shape: Shape, y_shape: Shape, dtypes: tuple[np.dtype, ...], taps: Taps, target: Target) -> Cut:
    channels, results, (planes, rows, columns) = x_shape[1], y_shape[1], y_shape[2:]
    size = channels * math.prod(taps) + 1 + results
    lanes = target.lanes(F64.bytes)
    vectors = min(WIDEST, -(-columns // lanes))
    tall = min(rows, MOST_TILE // vectors)
    left, right = choose_block(size, target)
    stored_x, stored_y, stored_w = (Number(dtype.str[1:]) for dtype in dtypes)
    spec = WeightedSpec(stored_x, stored_y, stored_w, tall, vectors, lanes, taps[2] - 1, left, right)
    row_tiles, column_tiles = -(-rows // tall), -(-columns // spec.columns)
    tiles = y_shape[0] * planes * row_tiles * column_tiles
    room = up(size, left), up(size, right)
    units = max(1, min(MOST_UNITS, tiles // UNIT_TILES, GRAM_BYTES // (8 * math.prod(room))))
    work = tall * vectors * lanes * size**2 // 2
    sheet = Sheet(("at_x", "at_y", "at_w", "at_one"))
    each = spec.rows * spec.pitch
    plane = (spec.rows + taps[1] - 1) * spec.pitch
    sizes = {"at_x": channels * taps[0] * plane, "at_y": results * each, "at_w": each, "at_one": each}
    scratch = sheet.lay_out(sizes)
    features = [
        sheet["at_x"] + p * plane + u * spec.pitch + v * F64.bytes
        for p, u, v in product(range(channels * taps[0]), range(taps[1]), range(taps[2]))
    ]
    features += [sheet["at_one"], *(sheet["at_y"] + m * each for m in range(results))]
    features += [features[0]] * (max(room) - size)  # only to fill the last blocks
    once = max(units, ROUND_WORK // work // units * units)
    return Cut(
        spec, row_tiles, column_tiles, tiles, units, once, np.array(features, np.int64), room, sheet.values, scratch
    )


@lru_cache(maxsize=64)
def choose_block(size: int, target: Target) -> tuple[int, int]:
    """Features of either block with the least estimated time for each useful multiply-add."""
    room = target.registers - SPARE_REGISTERS - (0 if target.fused else 1)
    crossing = 1 + target.vector_bytes / LINE

    def cost(block: tuple[int, int]) -> float:
        i, j = block
        pairs = sum((-(-size // j) - k * i // j) * i * j for k in range(-(-size // i)))
        loads, products = 1 + (i + j) * crossing, i * j + i
        return pairs * (max(products, loads, 8) + 0.1 * loads) / (i * j)

    fitting = [(i, j) for i, j in product(range(1, 9), repeat=2) if i * j + i <= room]
    return min(fitting, key=cost)


def _sheet(
    cut: Cut, x: np.ndarray, y: np.ndarray, w: np.ndarray, taps: Taps, before: np.ndarray, after: np.ndarray
) -> Sheet:
    sheet = Sheet(FIELDS)
    axes = ("image", "channel", "plane", "row", "column")
    for side, array in zip(SIDES, (x, y, w), strict=True):
        sheet.point(side, array)
        sheet.write(**dict(zip((f"{side}_{axis}" for axis in axes), array.strides, strict=True)))
    sheet.point("x_centre", np.ascontiguousarray(before, np.float64))
    sheet.point("y_centre", np.ascontiguousarray(after, np.float64))
    sheet.point("w_centre", np.zeros(1))
    sheet.write(**dict(zip(("planes", "rows", "columns"), y.shape[2:], strict=True)))
    sheet.write(**dict(zip(("more_planes", "more_rows", "more_columns"), (k - 1 for k in taps), strict=True)))
    sheet.write(x_channels=x.shape[1], y_channels=y.shape[1], units=cut.units)
    sheet.write(row_tiles=cut.row_tiles, column_tiles=cut.column_tiles)
    sheet.point("features", cut.features)
    sheet.write(left_blocks=cut.room[0] // cut.spec.left, right_blocks=cut.room[1] // cut.spec.right)
    sheet.write(**cut.places)
    return sheet


@lru_cache(maxsize=64)
def _code(spec: WeightedSpec, target: Target) -> Code:
    return build(spec, lambda: emit(spec, target), target)


def forget() -> None:
    """Drop all remembered plans and code. Code that still runs is kept alive by its caller."""
    _cut.cache_clear()
    _code.cache_clear()
