"""What the passes of an edge detector depend on, and how they lie in scratch memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...jit.target import Target
from ...jit.types import I16, I32, Type
from ..numbers import Number

BLOCK = 8  # rows of gradients worked out at a time
RING = BLOCK + 2  # rows of magnitudes kept: a row is thinned when the one below it is there
BAND = 62  # rows of a tile: with the row above and the one below, a whole number of blocks
PANEL = 2048  # columns of a tile, whole words of bits; its rows stay in the second-level cache
MARGIN = 64  # columns kept to the left of a tile
MOST_CHANNELS = 4
LINE = 64


@dataclass(frozen=True)
class EdgeSpec:
    """Everything that changes the generated code."""

    stored: Number  # pixels as they lie in memory: u1, i1, u2, i2, f4, f8; or components, i2, f4, f8
    work: Number  # what gradients are worked out in: i2, f4, f8
    norm: str  # "l1", "l2"
    smooth: tuple[int, int] | None  # (side, middle) of the 3 x 3 operator; None: the components are given, gy and gx
    channels: int
    masked: bool
    lanes: int  # pixels worked on at once, at least eight: a mask of them is whole bytes

    @property
    def exact(self) -> bool:
        """Whole numbers: gradients are compared by sectors, as OpenCV does; else by interpolation."""
        return not self.work.is_float

    @property
    def magnitude(self) -> Type:
        if not self.exact:
            return self.work.type
        return I16 if self.norm == "l1" else I32

    @property
    def magnitude_dtype(self) -> np.dtype:
        """The same for NumPy."""
        return np.dtype({"i16": "i2", "i32": "i4", "float": "f4", "double": "f8"}[self.magnitude.element])

    @property
    def mask(self) -> Type:
        return Type(f"i{self.lanes}")

    @property
    def slots(self) -> int:
        """Source rows that a block of one channel needs."""
        return 2 * BLOCK if self.smooth is None else BLOCK + 2

    @property
    def turn_bits(self) -> int:
        """What a pixel's direction takes: three bits for a sector, or both components."""
        return 3 if self.exact else 16 * self.work.bytes


def lanes(work: Number, target: Target) -> int:
    return max(8, target.lanes(work.bytes))


class Layout:
    """Places in a worker's scratch memory, in bytes."""

    def __init__(self, spec: EdgeSpec) -> None:
        self._end = 0
        columns = MARGIN + PANEL + 2 * MARGIN
        self.magnitude_pitch = columns * spec.magnitude.bytes
        self.turn_pitch = columns * spec.turn_bits // 8
        self.magnitudes = self._take(RING * self.magnitude_pitch)
        self.turns = self._take(RING * self.turn_pitch)
        self.stage_pitch = -(-3 * spec.lanes * spec.stored.bytes // LINE) * LINE
        slots = spec.channels * spec.slots
        self.stage = self._take(slots * self.stage_pitch)
        self.rows, self.staged = self._take(8 * slots), self._take(8 * slots)
        self.known, self.magnitude_rows, self.turn_rows = (self._take(8 * BLOCK) for _ in range(3))
        self.bits = self._take(LINE)
        self.bit_pitch = PANEL // 8 + LINE
        plane = (BAND + 2) * self.bit_pitch + 2 * LINE
        self.candidates, self.strong, self.pending = (self._take(plane) + LINE + self.bit_pitch for _ in range(3))
        self.stack = self._take(BAND * PANEL // 8)
        self.size = self._end

    def _take(self, size: int) -> int:
        place = self._end
        self._end += -(-size // LINE) * LINE
        return place
