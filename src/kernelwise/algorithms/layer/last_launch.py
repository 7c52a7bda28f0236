"""Depthwise layers on channels-last arrays: which of them, how they are cut, and a routine's numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

from ...jit.compile import Code, build
from ...jit.target import Target
from ...problem import Axis
from ..launch import Sheet
from ..memory import ALIGN, aligned
from .last import FIELDS, LastSpec, emit
from .plan import Launch, PixelsPlan, Ready
from .problem import CHAIN, LEAST_UNITS, ONE, LayerProblem, Limits, Strides
from .sheets import seen, write_limits
from .sums import RESERVED, choose_block

TALLEST = 9  # tap rows: all of them are unrolled
LEAST_LANES = 4
WIDEST = 14  # pixels of a row of a block
LEAST_SUMS = 8  # of a block: with fewer they wait for each other
PIXEL, WEIGHT = 0.7, 0.5  # what loading a pixel, loading a weight costs, in multiply-adds
AGAIN = 2.0  # what it costs for each sum that all rows of pixels are read twice, as blocks of rows overlap
UNIT_WORK = 1 << 17  # multiply-adds below which a unit is not worth being shared out
MOST_WORK = 1 << 27  # of a unit: some milliseconds, after which a call can be interrupted
STREAM_BYTES = 16 << 20  # results from this size on are written past the caches: smaller ones are still found there


@dataclass(frozen=True)
class LastPlan(PixelsPlan):
    """How such a layer is done, by its shape and strides alone."""

    spec: LastSpec
    band: int  # blocks of rows in a unit
    together: int  # vectors of channels in a unit

    name = "depthwise"
    reason = "channels of a pixel side by side in the lanes, read as they lie, as each has a kernel of its own"

    @property
    def block(self) -> int:
        """Groups, each of one output, in a vector."""
        return self.spec.lanes

    def pack(self, weight: np.ndarray, threads: int) -> np.ndarray:
        return pack(self, weight)

    def pack_bias(self, bias: np.ndarray | None) -> np.ndarray:
        return pack_bias(self, bias)

    def prepare(
        self, images: int, image_strides: Strides, result_strides: Strides, limits: Limits, threads: int,
        residual: bool = False,
    ) -> Ready:  # fmt: skip
        made = launch(self, images, image_strides, result_strides, limits)
        return Ready.of(code(self.spec, self.target), made)


@lru_cache(maxsize=1024)
def plan(problem: LayerProblem, target: Target, image_strides: Strides, result_strides: Strides) -> LastPlan | None:
    """None where this is not for such a layer, or not for arrays that lie so."""
    spec = _spec(problem, target, image_strides, result_strides)
    return None if spec is None else LastPlan(problem, target, spec, *_units(spec, problem))


def _spec(problem: LayerProblem, target: Target, image_strides: Strides, result_strides: Strides) -> LastSpec | None:
    """What the routine depends on; None where this is not for such a layer, or not for arrays that lie so."""
    planes, rows, columns = problem.axes
    size = problem.number.bytes
    if (
        problem.channels > 1
        or problem.outputs > 1
        or problem.groups < LEAST_LANES
        or planes != ONE
        or image_strides[1] != size
        or result_strides[1] != size
        or rows.taps > TALLEST
        or rows.taps * columns.taps > CHAIN
        or min(rows.n, columns.n) == 0
    ):
        return None
    lanes = min(target.lanes(size), 1 << (problem.groups.bit_length() - 1))
    taps, steps, out = (rows.taps, columns.taps), (rows.stride, rows.dilation), (rows.out, columns.out)
    held = None if problem.masked else _held_block(target, rows, columns)
    down, across = held or choose_block(target, 1, (1,), taps, steps, out, problem.masked, 1, WIDEST)[1:]
    inside = _inside(rows, down), _inside(columns, across)
    whole = any(inside[0]) and any(inside[1])
    return LastSpec(
        problem.number, 1, down, across, rows.taps, rows.stride, rows.dilation, problem.masked,
        lanes=lanes, tap_columns=columns.taps, column_step=columns.stride, column_gap=columns.dilation,
        image_row=image_strides[3], image_pixel=image_strides[4],
        result_row=result_strides[3], result_pixel=result_strides[4],
        inside=whole, outside=not (all(inside[0]) and all(inside[1])),
        held=held is not None,
        streams=lanes * size == target.vector_bytes and not any(s % ALIGN for s in result_strides[3:]),
    )  # fmt: skip


def _held_block(target: Target, rows: Axis, columns: Axis) -> tuple[int, int] | None:
    """Rows and pixels of a block beside which the weights of all taps find registers; None if that leaves few sums."""
    taps = rows.taps * columns.taps
    room = target.registers - RESERVED[target.name] - taps

    def cost(block: tuple[int, int]) -> float:
        down, across = block
        tall, wide = (
            len({y * axis.stride + i * axis.dilation for y in range(n) for i in range(axis.taps)})
            for axis, n in ((rows, down), (columns, across))
        )
        waste = math.prod(-(-axis.out // n) * n / axis.out for axis, n in ((rows, down), (columns, across)))
        sums = down * across
        return waste * (taps + PIXEL * tall * wide / sums + WEIGHT * taps / sums + AGAIN * tall / (down * rows.stride))

    sizes = product(range(1, min(rows.out, WIDEST) + 1), range(1, min(columns.out, WIDEST) + 1))
    fitting = [(down, across) for down, across in sizes if LEAST_SUMS <= down * across < room]
    return min(fitting, key=cost, default=None)


def _first(axis: Axis, step: int) -> np.ndarray:
    """The first output of every block; the last one is moved back."""
    return np.minimum(np.arange(0, axis.out, step), axis.out - step)


def _inside(axis: Axis, step: int) -> list[bool]:
    """Whether a block reads nothing outside the image, for each."""
    first = _first(axis, step) * axis.stride + axis.start
    return ((first >= 0) & (first + (step - 1) * axis.stride + axis.reach < axis.n)).tolist()  # type: ignore[no-any-return]


def _units(spec: LastSpec, problem: LayerProblem) -> tuple[int, int]:
    """Of a unit: blocks of rows, vectors of channels."""
    _, rows, columns = problem.axes
    blocks, vectors = -(-rows.out // spec.rows), -(-problem.groups // spec.lanes)
    block = spec.tap_rows * spec.tap_columns * spec.rows * columns.out * problem.groups
    band = max(-(-UNIT_WORK // block), -(-blocks // LEAST_UNITS))
    band = min(blocks, max(1, min(band, MOST_WORK // block)))
    parts = min(-(-LEAST_UNITS // -(-blocks // band)), block * band // UNIT_WORK, vectors)
    return band, -(-vectors // max(1, parts))


def launch(plan: LastPlan, images: int, image_strides: Strides, result_strides: Strides, limits: Limits) -> Launch:
    """The numbers of a start."""
    problem, spec, band, together = plan.problem, plan.spec, plan.band, plan.together
    _, rows, columns = problem.axes
    sheet, size = Sheet(FIELDS), problem.number.bytes
    blocks, vectors = -(-rows.out // spec.rows), -(-problem.groups // spec.lanes)
    bands, ranges = -(-blocks // band), -(-vectors // together)
    sheet.write(bands=bands, band_blocks=band, blocks=blocks, last_row=rows.out - spec.rows)
    sheet.write(strips=-(-columns.out // spec.vectors), last_column=columns.out - spec.vectors)
    sheet.write(channel_range=together, channel_ranges=ranges, channel_blocks=vectors)
    sheet.write(last_channel=(problem.groups - spec.lanes) * size)
    sheet.write(image_batch=image_strides[0], result_batch=result_strides[0])
    sheet.write(origin=rows.start * image_strides[3] + columns.start * image_strides[4])
    for name, axis, step in (("rows", rows, spec.rows), ("strips", columns, spec.vectors)):
        sheet.point(f"{name}_inside", np.array(_inside(axis, step), np.int64))
    for name, axis in (("row", rows), ("column", columns)):
        sheet.point(f"{name}_map", seen(axis, problem.border))
    sheet.point("zeros", np.zeros(problem.groups, problem.number.dtype))
    write_limits(sheet, problem, limits)
    large = images * problem.groups * rows.out * columns.out * size >= STREAM_BYTES
    sheet.write(stream=int(large))
    scratch = spec.tall * spec.wide * 8 if spec.outside else 0
    return Launch(sheet.args(), scratch, images * ranges * bands, tuple(sheet.keep))


def _channels(spec: LastSpec, groups: int) -> np.ndarray:
    """Which channel is in which lane: [vector][lane]; the last vector is moved back."""
    first = np.minimum(np.arange(0, groups, spec.lanes), groups - spec.lanes)
    return first[:, None] + np.arange(spec.lanes)


def pack(plan: LastPlan, weight: np.ndarray) -> np.ndarray:
    """(groups, 1, ...) -> [vector of channels][tap column][tap row][channel in the vector]."""
    spec = plan.spec
    given = weight.reshape(-1, spec.tap_rows, spec.tap_columns)[_channels(spec, len(weight))]
    return aligned(given.transpose(0, 3, 2, 1).astype(spec.number.dtype, copy=False))


def pack_bias(plan: LastPlan, bias: np.ndarray | None) -> np.ndarray:
    """(groups,) or None -> [vector of channels][channel in the vector]."""
    spec, groups = plan.spec, plan.problem.groups
    given = np.zeros(groups, spec.number.dtype) if bias is None else bias
    return aligned(given[_channels(spec, groups)].astype(spec.number.dtype, copy=False))


@lru_cache(maxsize=512)
def code(spec: LastSpec, target: Target) -> Code:
    return build(spec, lambda: emit(target, spec), target)


def forget() -> None:
    """Forget what has been made so far. Code that still runs is kept alive by its caller."""
    for made in (plan, code):
        made.cache_clear()
