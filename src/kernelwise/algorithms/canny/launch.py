"""Canny's passes started on arrays: pixels or gradients in, edges or magnitudes out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ...jit import pool
from ...jit.compile import Code, build
from ...jit.target import Target
from ..routine import current_target
from . import planes as plane_code
from . import tiles as tile_code
from .hysteresis import PAD_WORDS, WORD, WORD_BITS
from .spec import BAND, PANEL, EdgeSpec, Layout

PIXEL_SECONDS = 0.3e-9  # about what a pixel takes
THREAD_SECONDS = 60e-6  # work that is worth another thread


class Field:
    """The arrays that one call works on: pixels or gradients with what stands outside, and what is known."""

    def __init__(
        self,
        planes: Sequence[np.ndarray],
        outside: tuple[int, int, int, int] = (0, 0, 0, 0),
        known: np.ndarray | None = None,
    ) -> None:
        """``planes``: (H, W) of one dtype and the same strides, neighbours in a row side by side; one for each channel,
        or gy and gx of each, then in rows padded to a multiple of 64. ``outside``: the rows and columns that stand for
        the ones at -1 and H, -1 and W. ``known``: (H, W padded to a multiple of 64) uint8."""
        self.planes, self.outside, self.known = planes, outside, known
        self.height, self.width = planes[0].shape

    def arguments(self, **more: int) -> tuple[np.ndarray, np.ndarray]:
        """tile_code.FIELDS, and the list they point to."""
        sources = np.array([plane.ctypes.data for plane in self.planes], np.int64)
        values = dict.fromkeys(tile_code.FIELDS, 0) | more
        values |= {"height": self.height, "width": self.width, "panels": -(-self.width // PANEL)}
        values |= {"sources": sources.ctypes.data, "row_bytes": self.planes[0].strides[0]}
        values |= zip(("top", "bottom", "left", "right"), self.outside, strict=True)
        if self.known is not None:
            values |= {"known": self.known.ctypes.data, "known_row": self.known.strides[0]}
        return np.array([values[name] for name in tile_code.FIELDS], np.int64), sources

    @property
    def units(self) -> int:
        return -(-self.height // BAND) * -(-self.width // PANEL)


def edges(
    spec: EdgeSpec, field: Field, low: float, high: float, out: np.ndarray, mark: int, threads: int | None
) -> np.ndarray:
    """Canny's edges of a field into ``out``, (H, W) of one byte, whose rows' neighbours lie side by side."""
    if out.size == 0:
        return out
    target = current_target()
    tiles, whole = _tiles(spec, target), _whole(target)
    bits = Bits(field.height, field.width)
    args, sources = field.arguments(low=_as_word(low, spec), high=_as_word(high, spec), **bits.planes)
    workers = _workers(out.size, threads)
    pool.run(tiles.tile, args.ctypes.data, tiles.scratch, field.units, workers)
    grow_across_seams(bits, whole)
    last = bits.arguments(result=out.ctypes.data, result_row=out.strides[0], mark=mark)
    units = -(-field.height // plane_code.EXPAND_ROWS)
    pool.run(whole.expand, last.ctypes.data, 0, units, workers)
    return out


def magnitudes(spec: EdgeSpec, field: Field, threads: int | None) -> np.ndarray:
    """The gradient magnitudes of a field, (H, W); infinite where nothing is known."""
    out = padded((field.height, field.width), spec.magnitude_dtype)
    if out.size:
        _measure(spec, field, out, threads)
    return out


def sample(spec: EdgeSpec, field: Field, most: int, threads: int | None) -> np.ndarray:
    """About ``most`` of the known magnitudes from all over the field, or all if there are fewer; one axis.

    Which ones depends on the field's shape alone.
    """
    runs = field.width // tile_code.SAMPLE_RUN
    step = min(field.height * field.width // most, runs)
    if step < 2:
        sizes = magnitudes(spec, field, threads)
        return sizes[np.isfinite(sizes)]
    out = np.full((field.height, -(-runs // step) * tile_code.SAMPLE_RUN), -1, spec.magnitude_dtype)
    _measure(spec, field, out, threads, step)
    return out[(out >= 0) & np.isfinite(out)]


def _measure(spec: EdgeSpec, field: Field, out: np.ndarray, threads: int | None, step: int = 0) -> None:
    args, sources = field.arguments(measured=out.ctypes.data, measured_row=out.strides[0], sample_step=step)
    tiles = _tiles(spec, current_target())
    workers = _workers(field.height * field.width, threads)
    pool.run(tiles.sample if step else tiles.measure, args.ctypes.data, tiles.scratch, field.units, workers)


def padded(shape: tuple[int, int], dtype: np.dtype) -> np.ndarray:
    """An empty array whose rows have room for a multiple of 64 elements."""
    return np.empty((shape[0], -(-shape[1] // WORD_BITS) * WORD_BITS), dtype)[:, : shape[1]]


class Bits:
    """Planes of bits for a whole image, with zeros around them."""

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self.words = -(-width // WORD_BITS)
        # Whole vectors and zeros behind them; one word of zeros will do, and must, where rows are many and short.
        wide = self.words >= PAD_WORDS
        self.row_words = -(-self.words // PAD_WORDS) * PAD_WORDS + PAD_WORDS if wide else self.words + 1
        self.candidates, self.strong = (np.empty(self.size, np.int64) for _ in range(2))
        for plane in (self.candidates, self.strong):  # rows -1 and H; the tiles write the others
            plane[: PAD_WORDS + self.row_words] = 0
            plane[-self.row_words - PAD_WORDS :] = 0

    @property
    def planes(self) -> dict[str, int]:
        """Where row 0 of each lies, and bytes from row to row."""
        return {"candidates": self.place(self.candidates), "strong": self.place(self.strong), "pitch": self.pitch}

    @property
    def size(self) -> int:
        return (self.height + 2) * self.row_words + 2 * PAD_WORDS

    @property
    def pitch(self) -> int:
        return self.row_words * WORD

    def place(self, plane: np.ndarray) -> int:
        """The address of row 0."""
        return int(plane.ctypes.data) + (PAD_WORDS + self.row_words) * WORD

    def arguments(self, **more: int) -> np.ndarray:
        """plane_code.FIELDS"""
        values = dict.fromkeys(plane_code.FIELDS, 0) | more | self.planes
        values |= {"height": self.height, "width": self.width, "words": self.words}
        return np.array([values[name] for name in plane_code.FIELDS], np.int64)


def grow_across_seams(bits: Bits, code: Whole) -> None:
    """Hysteresis from tile to tile, to its end."""
    if bits.height <= BAND and bits.width <= PANEL:
        return
    pending, stack = np.zeros(bits.size, np.int64), np.empty(bits.height * bits.words, np.int64)
    args = bits.arguments(pending=bits.place(pending), stack=stack.ctypes.data)
    top = plane_code.FIELDS.index("top")
    pool.run(code.seams, args.ctypes.data, 0, 1, 1)
    while args[top]:  # some milliseconds a turn, so that a call can be interrupted
        pool.run(code.pour, args.ctypes.data, 0, 1, 1)


# ---------------------------------------------------------------- details


def _as_word(limit: float, spec: EdgeSpec) -> int:
    """A threshold in the bytes of a magnitude; of whole numbers the next one below, as they are compared by >."""
    if spec.exact:
        most = 2 ** (8 * spec.magnitude.bytes - 1) - 1
        limit = math.floor(max(-most, min(limit, most)))
    with np.errstate(over="ignore"):
        number = spec.magnitude_dtype.type(limit)
    return int.from_bytes(number.tobytes().ljust(8, b"\0"), "little", signed=True)


def _workers(pixels: int, threads: int | None) -> int:
    return max(1, min(threads or pool.threads(), int(pixels * PIXEL_SECONDS / THREAD_SECONDS)))


class Tiles(NamedTuple):
    """The routines on tiles, and the scratch memory they need."""

    tile: int
    measure: int
    sample: int
    scratch: int
    code: Code


class Whole(NamedTuple):
    """The routines on whole planes of bits."""

    seams: int
    pour: int
    expand: int
    code: Code


@lru_cache(maxsize=64)
def _tiles(spec: EdgeSpec, target: Target) -> Tiles:
    code = build(spec, lambda: tile_code.emit(spec, target), target)
    tile, measure, sample = (code.address(name) for name in ("tile", "measure", "sample"))
    return Tiles(tile, measure, sample, Layout(spec).size, code)


@lru_cache(maxsize=8)
def _whole(target: Target) -> Whole:
    code = build(plane_code.FIELDS, lambda: plane_code.emit(target), target)
    return Whole(code.address("seams"), code.address("pour"), code.address("expand"), code)


def forget() -> None:
    """Drop the code. Code that still runs is kept alive by its caller."""
    _tiles.cache_clear()
    _whole.cache_clear()
