"""What the code of a Fourier routine depends on, and the sizes of its tiles."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from ...jit.target import Target
from ..numbers import Number

NAME = "fourier"
RADICES = {  # of each stage, for machines with 32 registers; each length is a multiple of every vector's lanes
    32: (8, 4),
    64: (8, 8),
    96: (8, 4, 3),
    128: (8, 4, 4),
    192: (8, 8, 3),
    256: (8, 8, 4),
    384: (8, 8, 6),
    512: (8, 8, 8),
}
FEW_REGISTERS = {8: (4, 2), 6: (2, 3), 4: (4,), 3: (3,)}  # the same stages in steps that need half of them
LENGTHS = tuple(RADICES)
RANGE_BITS = {4: 14, 8: 43}  # bytes of the sums: see FourierSpec.range_bits


@dataclass(frozen=True)
class FourierSpec:
    """Everything that changes the generated code of one routine."""

    image: Number
    sums: Number
    result: Number
    tile: tuple[int, int]  # rows and columns of the transform
    line: bool = False  # the tile is one long row, cut into its rows
    deep: bool = False  # several planes are added up
    whole: bool = False  # the sums are integers
    algorithm: str = NAME
    paired: int = field(default=1, compare=False, repr=False)  # see Cut; the code does not depend on it

    @property
    def size(self) -> int:
        """Pixels of a tile."""
        return math.prod(self.tile)

    @property
    def tile_bytes(self) -> int:
        """Of the transform of two tiles: a complex number for each pixel."""
        return 2 * self.size * self.sums.bytes

    @property
    def range_bits(self) -> int:
        """Binary digits by which the largest pixels of two 16 x 16 blocks of a tile may differ: rounding errors,
        which are relative to the larger ones, then stay below 1/1000 of the smaller ones."""
        return RANGE_BITS[self.sums.bytes]

    @property
    def ranged(self) -> bool:
        """Whether pixels can differ by more than that at all."""
        return self.image.is_float or self.image.bytes * 8 > self.range_bits + 2


def radices(length: int, target: Target) -> tuple[int, ...]:
    """The stages of a transform of that length, in forward order."""
    if target.registers >= 32:
        return RADICES[length]
    small = [step for radix in RADICES[length] for step in FEW_REGISTERS[radix]]
    return tuple(sorted(small, key=lambda radix: -radix if radix != 3 else 0))


@lru_cache(maxsize=64)
def twiddles(length: int, target: Target, dtype: np.dtype) -> np.ndarray:
    """The factors between stages, in the order in which the code reads them: cosine and sine for each."""
    table, block = [], length
    for radix in radices(length, target):
        rest = block // radix
        turns = np.outer(np.arange(rest), np.arange(1, radix)) / block
        table.append(np.stack([np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)], axis=-1).ravel())
        block = rest
    return np.concatenate(table).astype(dtype)


def frequencies(length: int, target: Target) -> np.ndarray:
    """Which frequency stands at each place of a transform, whose stages leave them out of order."""
    places, block, step = np.zeros(length, np.int64), length, 1
    for radix in radices(length, target):
        block //= radix
        places += np.arange(length) // block % radix * step
        step *= radix
    return places
