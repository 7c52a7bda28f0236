"""Depthwise layers whose rows are read as they lie: which of them, how they are cut, and a routine's numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...jit.compile import Code, build
from ...jit.target import Target
from ...problem import Axis
from ..launch import Sheet
from ..memory import aligned, up
from .plan import Launch, PixelsPlan, Ready
from .problem import CHAIN, LEAST_UNITS, ONE, LayerProblem, Limits, Strides
from .rows import FIELDS, RowsSpec, emit
from .sheets import write_limits
from .sums import choose_block

TARGETS = ("avx512", "avx2")  # they load under a mask
TALLEST = 9  # tap rows: all of them are unrolled
STEPS = (1, 2)  # strides of columns
WIDEST = 2  # vectors of a row of a block,
WIDEST_LOW = 4  # where there are fewer rows than LEAST_SUMS
LEAST_SUMS = 4  # of a block, if the result has as many rows: with fewer they wait for each other
MOST_OUTPUTS = 4  # of a block of sums: channels
MOST_PATTERNS = 8  # each has code of its own
MOST_BODY = 700  # multiply-adds in the code of a body, columns of taps in a loop
UNIT_WORK = 1 << 19  # multiply-adds below which a unit is not worth being shared out
MOST_WORK = 1 << 27  # of a unit: some milliseconds, after which a call can be interrupted
AHEAD = 8 << 10  # bytes: how far ahead of its use a block of pixels is asked for,
LARGE_BLOCK = 32 << 10  # unless its rows are so long that it is better
ALONG = 512  # to ask for pixels of the same rows
ANNOUNCE_BYTES = 4 << 20  # the lines of results from this size on are asked for ahead
STREAM_BYTES = 16 << 20  # results from this size on are written past the caches: smaller ones are still found there
ZERO = 1  # register that holds what lies outside


@dataclass(frozen=True)
class RowsPlan(PixelsPlan):
    """How such a layer is done, by its shape and strides alone."""

    spec: RowsSpec
    band: int  # blocks of rows in a unit
    together: int  # groups in a unit

    name = "pixels"
    reason = "pixels of a row side by side in the lanes, read as they lie, as each channel has kernels of its own"

    @property
    def block(self) -> int:
        """Outputs of a group in a block."""
        return self.spec.outputs

    def pack(self, weight: np.ndarray, threads: int) -> np.ndarray:
        return pack(self, weight)

    def prepare(
        self, images: int, image_strides: Strides, result_strides: Strides, limits: Limits, threads: int,
        residual: bool = False,
    ) -> Ready:  # fmt: skip
        made = launch(self, images, image_strides, result_strides, limits)
        return Ready.of(code(self.spec, self.target), made)


@lru_cache(maxsize=1024)
def plan(problem: LayerProblem, target: Target, image_strides: Strides, result_strides: Strides) -> RowsPlan | None:
    """None where this is not for such a layer, or not for arrays that lie so."""
    spec = _spec(problem, target, image_strides, result_strides)
    return None if spec is None else RowsPlan(problem, target, spec, *_units(spec, problem))


def _spec(problem: LayerProblem, target: Target, image_strides: Strides, result_strides: Strides) -> RowsSpec | None:
    """What the routine depends on; None where this is not for such a layer, or not for arrays that lie so."""
    planes, rows, columns = problem.axes
    size = problem.number.bytes
    if (
        target.name not in TARGETS
        or problem.channels > 1
        or planes != ONE
        or (problem.padded and problem.border != "constant")
        or image_strides[4] != size
        or result_strides[4] != size
        or columns.stride not in STEPS
        or rows.taps > TALLEST
        or rows.taps * columns.taps > CHAIN
        or min(rows.n, columns.n) == 0
    ):
        return None
    lanes = target.lanes(size)
    taps, steps, out = (rows.taps, columns.taps), (rows.stride, rows.dilation), (rows.out, columns.out)
    most = tuple(o for o in range(1, MOST_OUTPUTS + 1) if problem.outputs % o == 0)
    widest = WIDEST if rows.out >= LEAST_SUMS else WIDEST_LOW
    masks = 0 if target.name == "avx512" else widest
    outputs, down, across = choose_block(
        target, problem.outputs, most, taps, steps, out, problem.masked, lanes, widest, ZERO + masks
    )
    inside = _strips_inside(columns, across * lanes)
    spec = RowsSpec(
        problem.number, outputs, down, across, rows.taps, rows.stride, rows.dilation, problem.masked,
        tap_columns=columns.taps, column_step=columns.stride, column_gap=columns.dilation,
        image_row=image_strides[3], result_row=result_strides[3],
        width=columns.out if columns.out < across * lanes else 0,
        patterns=tuple(dict.fromkeys(_patterns(rows, down))),
        inside=any(inside), outside=not all(inside),
        streams=columns.out >= across * lanes and result_strides[3] % target.vector_bytes == 0,
    )  # fmt: skip
    body, few = rows.taps * spec.block, spec.block < LEAST_SUMS <= rows.out
    if few or len(spec.patterns) > MOST_PATTERNS or body > MOST_BODY:
        return None
    return spec


def _patterns(rows: Axis, down: int) -> list[tuple[int, int]]:
    """For each block of rows the slots that lie inside the image: first and stop."""
    slots = (down - 1) * rows.stride + rows.reach + 1
    tops = [y * rows.stride + rows.start for y in _first_rows(rows, down)]
    return [tuple(np.clip((-top, rows.n - top), 0, slots).tolist()) for top in tops]  # type: ignore[misc]


def _first_rows(rows: Axis, down: int) -> list[int]:
    """Of every block; the last one is moved back."""
    return [min(y, rows.out - down) for y in range(0, rows.out, down)]


def _first_columns(columns: Axis, step: int) -> list[int]:
    """Of every strip; the last one is moved back, if it can be."""
    return [max(0, min(x, columns.out - step)) for x in range(0, columns.out, step)]


def _strip_pixels(columns: Axis, step: int) -> np.ndarray:
    """The column of the image that each lane reads: [strip][tap][number in a row]."""
    first = np.array(_first_columns(columns, step)) * columns.stride + columns.start
    taps = np.arange(columns.taps) * columns.dilation
    return first[:, None, None] + taps[None, :, None] + np.arange(step * columns.stride)[None, None, :]


def _strips_inside(columns: Axis, step: int) -> list[bool]:
    """Whether a strip reads nothing outside the image, for each."""
    pixels = _strip_pixels(columns, step)
    return [bool((0 <= strip).all() and (strip < columns.n).all()) for strip in pixels]


def _units(spec: RowsSpec, problem: LayerProblem) -> tuple[int, int]:
    """Of a unit: blocks of rows, groups."""
    _, rows, columns = problem.axes
    blocks = -(-rows.out // spec.rows)
    row = spec.tap_rows * spec.tap_columns * problem.outputs * columns.out
    together = max(1, min(-(-problem.groups // LEAST_UNITS), UNIT_WORK // (row * rows.out)))
    least = -(-UNIT_WORK // (row * spec.rows)), -(-blocks * problem.groups // LEAST_UNITS)
    band = blocks if problem.groups >= LEAST_UNITS else min(blocks, max(least))
    return max(1, min(band, MOST_WORK // (row * spec.rows))), together


def launch(plan: RowsPlan, images: int, image_strides: Strides, result_strides: Strides, limits: Limits) -> Launch:
    """The numbers of a start."""
    problem, spec, band, together = plan.problem, plan.spec, plan.band, plan.together
    _, rows, columns = problem.axes
    lanes = plan.target.lanes(problem.number.bytes)
    sheet = Sheet(FIELDS)
    patterns = _patterns(rows, spec.rows)
    bands, ranges = -(-len(patterns) // band), -(-problem.groups // together)
    sheet.write(groups=problem.groups, group_range=together, group_ranges=ranges)
    sheet.write(bands=bands, band_blocks=band, blocks=len(patterns), last_row=rows.out - spec.rows)
    sheet.write(origin=rows.start * image_strides[3] + columns.start * image_strides[4])
    sheet.write(image_batch=image_strides[0], image_group=image_strides[1])
    sheet.write(result_batch=result_strides[0], result_group=result_strides[1] * problem.outputs)
    sheet.write(result_channel=result_strides[1], output_blocks=problem.outputs // spec.outputs)
    sheet.point("patterns", np.array([spec.patterns.index(p) for p in patterns], np.int64))
    step = spec.vectors * lanes
    sheet.point("strip_columns", np.array(_first_columns(columns, step), np.int64))
    sheet.point("strip_inside", np.array(_strips_inside(columns, step), np.int64))
    sheet.write(strips=-(-columns.out // step))
    pixels = _strip_pixels(columns, step)
    kind = np.int32 if problem.number.bytes == 4 else np.int64
    sheet.point("masks", aligned(np.where((pixels >= 0) & (pixels < columns.n), kind(-1), kind(0))))
    block = spec.rows * spec.row_step * abs(spec.image_row)
    ahead = up(AHEAD, block) if 0 < block <= LARGE_BLOCK else ALONG
    bytes_out = images * problem.groups * problem.outputs * rows.out * columns.out * problem.number.bytes
    sheet.write(ahead=ahead if spec.image_row >= 0 else -ahead, stream=int(bytes_out >= STREAM_BYTES))
    sheet.write(announce=int(ANNOUNCE_BYTES <= bytes_out < STREAM_BYTES))
    write_limits(sheet, problem, limits)
    return Launch(sheet.args(), 0, images * ranges * bands, tuple(sheet.keep))


def pack(plan: RowsPlan, weight: np.ndarray) -> np.ndarray:
    """(groups * outputs, 1, ...) -> [block of outputs][tap column][tap row][output in the block]."""
    spec = plan.spec
    given = weight.reshape(-1, spec.outputs, spec.tap_rows, spec.tap_columns)
    return aligned(given.transpose(0, 3, 2, 1).astype(spec.number.dtype, copy=False))


@lru_cache(maxsize=512)
def code(spec: RowsSpec, target: Target) -> Code:
    return build(spec, lambda: emit(target, spec), target)


def forget() -> None:
    """Forget what has been made so far. Code that still runs is kept alive by its caller."""
    for made in (plan, code):
        made.cache_clear()
