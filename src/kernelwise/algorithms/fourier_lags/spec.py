"""What the code of Fourier lags depends on, what it is told, and how the work is cut."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from ..fourier.spec import FourierSpec
from ..memory import up
from ..numbers import Number

NAME = "fourier lags"
CHAIN = 16  # pairs of tiles whose spectra are added up in the dtype of the sums
FIELDS = (
    # the tiles: of every image, origin and steps in rows and columns of b, where lag 0 falls
    *("images", "tiles_down", "tiles_across", "tiles", "pairs"),
    *("origin_row", "origin_column", "step_down", "step_across"),
    # units: (part of the pairs * groups of a's channels + group) * groups of b's channels + group
    *("parts", "a_channels", "a_group", "a_groups", "b_channels", "b_group", "b_groups"),
    # records of channels; the sums of each part, and bytes from one part to the next
    *("a_table", "b_table", "sums", "part_bytes"),
    # tables: of transforms in the dtype of the sums, and in float64
    *("twiddles_down", "twiddles_across", "back_down", "back_across"),
    # places in scratch memory
    *("at_tiles", "at_column", "at_a", "at_b", "at_products", "at_block", "at_back"),
)
CHANNEL = (
    # the first element of its first image, bytes from one element to the next along each axis, the shape
    *("pixels", "image", "row", "column", "rows", "columns"),
    # where its first pixel lies, in rows and columns of b; what is taken from every number; which dtype it has
    *("first_row", "first_column", "centre", "kind"),
    # of a: rows of lags, columns in whole vectors; bytes from the part's sums to its own, and to those with b's next
    *("lag_rows", "lag_columns", "place", "place_step"),
)
CHANNEL_BYTES = 8 * len(CHANNEL)
LINE = 64  # bytes


@dataclass(frozen=True)
class FourierLagSpec:
    """Everything that changes the generated code."""

    stored: tuple[Number, ...]  # the dtypes of images, each once
    sums: Number
    tile: tuple[int, int]  # rows and columns of the transform
    algorithm: str = NAME

    @property
    def transform(self) -> FourierSpec:
        return FourierSpec(self.sums, self.sums, self.sums, self.tile)

    @property
    def back(self) -> FourierSpec:
        """The way back."""
        wide = Number("f8")
        return FourierSpec(wide, wide, wide, self.tile)

    @property
    def pitch(self) -> int:
        """Bytes from one row of a tile of pixels to the next: an odd number of cache lines, so that rows fall on
        different sets."""
        return (-(-self.tile[1] * self.sums.bytes // LINE) | 1) * LINE

    @property
    def pixel_bytes(self) -> int:
        """Of a tile of pixels."""
        return self.tile[0] * self.pitch

    @property
    def tile_bytes(self) -> int:
        """Of the transform of two tiles."""
        return 2 * math.prod(self.tile) * self.sums.bytes


class Stack(NamedTuple):
    """What the cut of the work has to know of a stack of images."""

    channels: int
    shape: tuple[int, int]
    first: tuple[int, int]  # where its first pixel lies, in rows and columns of b
    taps: tuple[int, int]

    def sums(self, b_channels: int) -> tuple[int, int, int, int]:
        """The shape of its sums with b: columns padded to whole vectors of any machine."""
        return self.channels, b_channels, self.taps[0], up(self.taps[1], LINE // 8)
