"""How Fourier lags cut their work, by shapes alone: the size of the tiles, groups of channels, parts; and its cost."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...jit.target import Target
from ..fourier.spec import LENGTHS
from .spec import CHAIN, Stack

Pair = tuple[int, int]

MOST_PARTS = 256
PART_PAIRS, FEW_PARTS = 4, 8  # with fewer pairs of tiles than CHAIN in a part there are no more than FEW_PARTS of them
PARTIAL_BYTES = 16 << 20  # what the sums of all parts may take, before they are added up
PRODUCT_BYTES = 4 << 20  # of the spectra that one unit of work adds up
CLOSER = 3  # lengths of tiles on an axis that are compared in full

# Nanoseconds on one thread, float32 in vectors of 16 lanes, by `python benchmarks/lag_costs.py` on the machine of
# costs.py: along an axis of that length for each vector of the transform of two tiles; for each row of pixels that is
# copied; for each vector of a product, and of a transform back; for a call.
PASS = {32: 2.7, 64: 2.9, 96: 3.9, 128: 4.2, 192: 6.1, 256: 6.3, 384: 8.0, 512: 10.1}
ROW = 4.3
PRODUCT = 6.7
BACK = 7.2
START = 59_000.0


@dataclass(frozen=True)
class Cut:
    """How the work is divided."""

    tile: Pair  # rows and columns of the transform
    images: int
    origin: Pair  # where in b lag 0 of the first tile falls
    step: Pair
    tiles: Pair  # of an image, down and across
    parts: int
    a_group: int  # channels
    b_group: int
    groups: Pair  # of a's channels, of b's
    nanoseconds: float

    @property
    def pairs(self) -> int:
        return -(-self.images * math.prod(self.tiles) // 2)

    @property
    def units(self) -> int:
        return self.parts * math.prod(self.groups)


def cut(images: int, asked: Sequence[Stack], b_channels: int, number_bytes: int, target: Target) -> Cut | None:
    """The cut that takes the least time; None where no tile is large enough for the lags."""
    down, across = (_lengths(stop - origin, taps) for origin, stop, taps in (_axis(asked, 0), _axis(asked, 1)))
    sizes = itertools.product(down, across)
    found = [tiled(tile, images, asked, b_channels, number_bytes, target) for tile in sizes]
    return min(found, key=lambda c: c.nanoseconds, default=None)


def _axis(asked: Sequence[Stack], axis: int) -> tuple[int, int, int]:
    """Where lag 0 falls first in b, where no longer, and the most lags, of all stacks."""
    taps = max(stack.taps[axis] for stack in asked)
    first = min(stack.first[axis] for stack in asked)
    stop = max(stack.first[axis] + stack.shape[axis] for stack in asked)
    return first, stop, taps


def _lengths(extent: int, taps: int) -> list[int]:
    fitting = [n for n in LENGTHS if n >= taps + 7]
    return sorted(fitting, key=lambda n: -(-extent // (n - taps + 1)) * n * PASS[n])[:CLOSER]


def tiled(
    tile: Pair,
    images: int,
    asked: Sequence[Stack],
    b_channels: int,
    number_bytes: int,
    target: Target,
) -> Cut:
    """The cut into tiles of that size."""
    axes = _axis(asked, 0), _axis(asked, 1)
    down, across = ((n - taps + 1, origin, stop) for n, (origin, stop, taps) in zip(tile, axes, strict=True))
    step, origin = (down[0], across[0]), (down[1], across[1])
    tiles = -(-(down[2] - down[1]) // step[0]), -(-(across[2] - across[1]) // step[1])
    size, a_channels = math.prod(tile), sum(stack.channels for stack in asked)
    most = max(1, PRODUCT_BYTES // (2 * size * number_bytes))  # products at a time
    a_group = min(a_channels, most)
    b_group = min(b_channels, max(1, most // a_group))
    groups = -(-a_channels // a_group), -(-b_channels // b_group)
    pairs = -(-images * math.prod(tiles) // 2)
    most_parts = min(MOST_PARTS, PARTIAL_BYTES // (8 * sum(math.prod(stack.sums(b_channels)) for stack in asked)))
    parts = max(1, min(most_parts, max(-(-pairs // CHAIN), min(FEW_PARTS, pairs // PART_PAIRS))))
    transforms = groups[1] * a_channels + groups[0] * b_channels
    products = a_channels * b_channels
    chains = max(parts, -(-pairs // CHAIN))
    vectors = size / target.lanes(number_bytes)
    each = transforms * (vectors * sum(PASS[n] for n in tile) + 2 * tile[0] * ROW) + products * vectors * PRODUCT
    nanoseconds = START + each * pairs + BACK * products * chains * vectors
    return Cut(tile, images, origin, step, tiles, parts, a_group, b_group, groups, nanoseconds)
