"""Which algorithm does a layer: the direct one, or Winograd's where its precision suffices and its work is less.

The choice looks at the shape of one image, at the number format and at the target: never at the batch or the values,
so that the bits of a result depend on neither. Nanoseconds for float32 in 16 lanes (AVX-512), one thread, on an AMD
EPYC of the Zen 5 generation, by `python benchmarks/layer_costs.py`; other lane counts scale all of them.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ...jit.target import Target
from . import launch as direct
from . import winograd_launch as winograd
from .launch import LayerPlan, LayerProblem, up
from .winograd import OUTPUTS, POSITIONS
from .winograd_launch import WinogradPlan

PRECISIONS = ("fast", "exact")
MEASURED_LANES = 16
DIRECT = 0.0106  # for each multiply-add
PRODUCT = 0.0087  # for each multiply-add between tiles and weights
ENTER = 6.2  # for each tile and channel, to transform pixels
LEAVE = 2.9  # for each tile and output, to transform products back
WEIGHT = 5.7  # for each pair of channel and output, to transform nine taps and to read them again
LARGE_WEIGHT = 22.0  # the same, where the transformed weights are larger than the caches
LARGE_BYTES = 24 << 20


class Ready(NamedTuple):
    """What the pool needs to run a layer; images, result, weights and bias still empty."""

    address: int
    args: np.ndarray  # image, result, weights, bias first
    scratch: int
    units: int
    keep: tuple


def choose(
    problem: LayerProblem, target: Target, channels_last: bool, row_bytes: int, joined: bool, precision: str
) -> LayerPlan | WinogradPlan:
    """A plan for a layer. ``precision``: "exact" never takes Winograd's algorithm. The rest: see `launch.plan`."""
    if (
        precision == "fast"
        and winograd.possible(problem)
        and winograd_nanoseconds(problem, target) < direct_nanoseconds(problem, target)
    ):
        return winograd.plan(problem, target, channels_last)
    return direct.plan(problem, target, channels_last, row_bytes, joined)


def pack(plan: LayerPlan | WinogradPlan, weight: np.ndarray, threads: int) -> np.ndarray:
    """(groups * outputs, channels, ...), of any strides, as the plan's routine reads it."""
    if isinstance(plan, WinogradPlan):
        return winograd.pack(plan, weight, threads)
    return direct.pack(plan, weight, threads)


def prepare(
    plan: LayerPlan | WinogradPlan,
    images: int,
    image_strides: tuple[int, ...],
    result_strides: tuple[int, ...],
    limits: tuple[float, float],
    threads: int,
) -> Ready:
    """Strides in bytes: batch, channel, plane, row, column. ``limits``: results stay between them."""
    if isinstance(plan, WinogradPlan):
        cut = winograd.launch(plan, images, image_strides, result_strides, limits, threads)
        code = winograd.code(cut.spec, plan.target)
        return Ready(code.address("layer"), cut.args.copy(), cut.scratch, cut.units, (code, cut.keep))
    made = direct.launch(plan, images, image_strides, result_strides, limits, threads)
    code = direct.code(plan.spec, plan.target)
    return Ready(code.address("layer"), made.args.copy(), made.scratch, made.units, (code, made.keep))


# ---------------------------------------------------------------- predicted times, of one image


def nanoseconds(plan: LayerPlan | WinogradPlan) -> float:
    """Predicted time on one thread, of one image, its share of packing the weights included."""
    work = winograd_nanoseconds if isinstance(plan, WinogradPlan) else direct_nanoseconds
    return work(plan.problem, plan.target)


@lru_cache(maxsize=1024)
def direct_nanoseconds(problem: LayerProblem, target: Target) -> float:
    lanes = target.lanes(problem.number.bytes)
    pixels = math.prod(axis.out for axis in problem.axes)
    taps = math.prod(axis.taps for axis in problem.axes)
    work = pixels * taps * problem.channels * up(problem.outputs, lanes)
    return problem.groups * work * DIRECT * MEASURED_LANES / lanes


@lru_cache(maxsize=1024)
def winograd_nanoseconds(problem: LayerProblem, target: Target) -> float:
    planes, rows, columns = problem.axes
    lanes = target.lanes(problem.number.bytes)
    block = lanes if problem.outputs <= lanes else 2 * lanes
    channels, outputs = problem.channels * planes.taps, up(problem.outputs, block)
    tiles = planes.out * -(-rows.out // OUTPUTS) * -(-columns.out // OUTPUTS)
    large = POSITIONS * channels * outputs * problem.number.bytes > LARGE_BYTES
    work = (
        tiles * POSITIONS * channels * outputs * PRODUCT
        + tiles * up(problem.channels, lanes) * planes.taps * ENTER
        + tiles * up(problem.outputs, lanes) * LEAVE
        + channels * outputs * (LARGE_WEIGHT if large else WEIGHT)
    )
    return problem.groups * work * MEASURED_LANES / lanes
