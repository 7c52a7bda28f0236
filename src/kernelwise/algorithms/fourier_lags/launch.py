"""From arrays to the numbers that the code of Fourier lags works with, and to the sums."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ...jit import pool
from ...jit.compile import Code, build
from ...jit.target import Target
from ..fourier.spec import twiddles
from ..launch import Sheet
from ..memory import ALIGN
from ..numbers import Number
from .code import emit
from .cut import Cut
from .spec import CHANNEL, FIELDS, FourierLagSpec, Stack


class Side(NamedTuple):
    """One side of the products."""

    images: np.ndarray  # (n, channels, rows, columns)
    centre: float  # taken from every number


def fourier_lags(
    of: Cut, asked: Sequence[tuple[Side, Stack]], b: Side, sums: np.dtype, target: Target, threads: int
) -> list[np.ndarray]:
    """The lag sums of several stacks with b, (o, i, *taps) float64 for each; as `lag_sums.joint_lag_sums`."""
    stored = sorted({side.images.dtype.str[1:] for side in (b, *(side for side, _ in asked))})
    spec = FourierLagSpec(tuple(map(Number, stored)), Number(sums.str[1:]), of.tile)
    sheet, b_channels = Sheet(FIELDS), b.images.shape[1]
    places, size = _places(asked, b_channels)
    partial = np.zeros((of.parts, size))
    sheet.point("sums", partial)
    sheet.write(part_bytes=partial.strides[0])
    a_rows = [
        row
        for ((side, stack), place) in zip(asked, places, strict=True)
        for row in _channels(side, stack, place, b_channels, stored)
    ]
    sheet.point("a_table", np.array(a_rows, np.int64))
    whole = Stack(b_channels, b.images.shape[2:], (0, 0), (0, 0))  # type: ignore[arg-type]
    sheet.point("b_table", np.array(_channels(b, whole, 0, 0, stored), np.int64))
    _tables(spec, target, sheet)
    scratch = _sizes(spec, of, asked, b_channels, sheet)
    code, args = _code(spec, target), sheet.args()
    pool.run(code.address("lags"), args.ctypes.data, scratch, of.units, threads)
    total = partial.sum(axis=0) / (of.tile[0] * of.tile[1])
    return [_gather(total[place:], stack, b_channels) for (_, stack), place in zip(asked, places, strict=True)]


@lru_cache(maxsize=64)
def _code(spec: FourierLagSpec, target: Target) -> Code:
    return build(spec, lambda: emit(spec, target), target)


def forget() -> None:
    """Drop all remembered code. Code that still runs is kept alive by its caller."""
    _code.cache_clear()


def _places(asked: Sequence[tuple[Side, Stack]], b_channels: int) -> tuple[list[int], int]:
    """Where the sums of each stack begin, and how many there are."""
    ends = np.cumsum([0, *(math.prod(stack.sums(b_channels)) for _, stack in asked)]).tolist()
    return ends[:-1], ends[-1]


def _gather(sums: np.ndarray, stack: Stack, b_channels: int) -> np.ndarray:
    shape = stack.sums(b_channels)
    return np.ascontiguousarray(sums[: math.prod(shape)].reshape(shape)[..., : stack.taps[1]])


def _channels(side: Side, stack: Stack, place: int, b_channels: int, stored: list[str]) -> list[list[int]]:
    """spec.CHANNEL for every channel of a stack."""
    *_, lag_rows, lag_columns = stack.sums(b_channels)
    each = 8 * lag_rows * lag_columns
    pixels, strides = side.images.ctypes.data, side.images.strides
    values = dict(zip(("image", "channel", "row", "column"), strides, strict=True))
    values |= {"rows": stack.shape[0], "columns": stack.shape[1]}
    values |= {"first_row": stack.first[0], "first_column": stack.first[1]}
    values |= {"centre": int(np.float64(side.centre).view(np.int64)), "kind": stored.index(side.images.dtype.str[1:])}
    values |= {"lag_rows": lag_rows, "lag_columns": lag_columns, "place_step": each}
    made = []
    for k in range(stack.channels):
        values |= {"pixels": pixels + k * strides[1], "place": 8 * place + k * b_channels * each}
        made.append([values[name] for name in CHANNEL])
    return made


def _tables(spec: FourierLagSpec, target: Target, sheet: Sheet) -> None:
    for forth, back, length in zip(
        ("twiddles_down", "twiddles_across"), ("back_down", "back_across"), spec.tile, strict=True
    ):
        sheet.point(forth, twiddles(length, target, spec.sums.dtype))
        sheet.point(back, twiddles(length, target, np.dtype(np.float64)))


def _sizes(spec: FourierLagSpec, of: Cut, asked: Sequence[tuple[Side, Stack]], b_channels: int, sheet: Sheet) -> int:
    """Numbers and places in scratch memory; returns its size."""
    down, across = of.tile
    sheet.write(images=of.images, tiles_down=of.tiles[0], tiles_across=of.tiles[1])
    sheet.write(tiles=of.images * of.tiles[0] * of.tiles[1], pairs=of.pairs)
    sheet.write(origin_row=of.origin[0], origin_column=of.origin[1], step_down=of.step[0], step_across=of.step[1])
    sheet.write(parts=of.parts, a_channels=sum(stack.channels for _, stack in asked), b_channels=b_channels)
    sheet.write(a_group=of.a_group, a_groups=of.groups[0], b_group=of.b_group, b_groups=of.groups[1])
    kept = max(stack.sums(b_channels)[-1] for _, stack in asked)
    wide = 2 * 8  # bytes of a complex float64
    return sheet.lay_out(
        {
            "at_column": 2 * ALIGN * down,  # a complex vector is never larger
            "at_tiles": 2 * spec.pixel_bytes,
            "at_a": of.a_group * spec.tile_bytes,
            "at_b": of.b_group * spec.tile_bytes,
            "at_products": of.a_group * of.b_group * spec.tile_bytes,
            "at_block": 2 * ALIGN * across,
            "at_back": wide * down * kept,
        }
    )
