"""Which algorithm does a layer: with pixels in the lanes where those fill them better than output channels; else the
direct one, or Winograd's where its precision suffices and its work is less.

The choice looks at the shape of one image, at the number format and at the target: never at the batch or the values,
so that the bits of a result depend on neither. Work on weights that are packed once for many calls is not counted; as
the batch is not looked at, a single call counts all of it for one image.

Nanoseconds for float32 in 16 lanes (AVX-512), one thread, on an AMD EPYC of the Zen 5 generation, by
`python benchmarks/layer_costs.py`; other lane counts scale all of them.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ...jit.target import Target
from ..memory import up
from . import across_launch as across
from . import launch as direct
from . import winograd_launch as winograd
from .across_launch import AcrossPlan
from .launch import LayerPlan, LayerProblem
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
LANES = 64  # bytes of a vector: of the widest, so that pixels or channels are chosen alike on every machine
PIXELS_WORTH = 0.8  # of a full vector of pixels, compared with one of channels

Plan = LayerPlan | WinogradPlan | AcrossPlan
Strides = tuple[int, ...]  # in bytes: batch, channel, plane, row, column


class Ready(NamedTuple):
    """What the pool needs to run a layer; images, result, weights and bias still empty."""

    address: int
    args: np.ndarray  # image, result, weights, bias and, if it was asked for, residual first
    scratch: int
    units: int
    keep: tuple


def plan(
    problem: LayerProblem,
    target: Target,
    image_strides: Strides,
    result_strides: Strides,
    precision: str,
    packed: bool = False,
    lanes: str | None = None,
) -> Plan:
    """A plan for a layer and the strides of its arrays. ``precision``: "exact" never takes Winograd's algorithm.
    ``packed``: the work on weights is not counted. ``lanes``: hold "pixels" or "channels"; None for what is better."""
    size, columns = problem.number.bytes, problem.axes[2].out
    if lanes == "pixels" or (lanes is None and pixels_fill_lanes(problem.outputs, columns, size)):
        return across.plan(problem, target, image_strides, result_strides)
    readable = image_strides[4] == size and image_strides[3] > 0  # rows, as they lie
    joined = result_strides[4] == size and (problem.axes[1].out == 1 or result_strides[3] == columns * size)
    row_bytes = image_strides[3] if readable else 0
    return choose(problem, target, result_strides[1] == size, row_bytes, joined, precision, packed)


def pixels_fill_lanes(outputs: int, columns: int, size: int) -> bool:
    """Whether a row of pixels fills vectors better than the output channels of a group."""
    lanes = LANES // size
    channels = outputs / (-(-outputs // lanes) * lanes)
    pixels = columns / max(1, -(-columns // lanes) * lanes)
    return PIXELS_WORTH * pixels > channels


def choose(
    problem: LayerProblem,
    target: Target,
    channels_last: bool,
    row_bytes: int,
    joined: bool,
    precision: str,
    packed: bool = False,
) -> LayerPlan | WinogradPlan:
    """A plan with output channels in the lanes; see `plan`, and `launch.plan` for the rest."""
    if (
        precision == "fast"
        and winograd.possible(problem)
        and winograd_nanoseconds(problem, target, packed) < direct_nanoseconds(problem, target)
    ):
        return winograd.plan(problem, target, channels_last)
    chain = direct.CHAIN if precision == "exact" else direct.LONG_CHAIN
    return direct.plan(problem, target, channels_last, row_bytes, joined, chain)


def packing(plan: Plan) -> Hashable:
    """Plans of one layer that agree in this read the same packed weights."""
    if isinstance(plan, AcrossPlan):
        return plan
    return type(plan), plan.target, plan.block


def packs_apart(plan: Plan) -> bool:
    """Whether packed weights are memory of their own, from `spare`; others may be the weights themselves."""
    return not isinstance(plan, AcrossPlan)


def pack(plan: Plan, weight: np.ndarray, threads: int) -> np.ndarray:
    """(groups * outputs, channels, ...), of any strides, as the plan's routine reads it."""
    if isinstance(plan, AcrossPlan):
        return across.pack(plan, weight)
    if isinstance(plan, WinogradPlan):
        return winograd.pack(plan, weight, threads)
    return direct.pack(plan, weight, threads)


def pack_bias(plan: Plan, bias: np.ndarray | None) -> np.ndarray:
    """(groups * outputs,) or None, likewise."""
    if isinstance(plan, AcrossPlan):
        return across.pack_bias(plan, bias)
    return direct.pack_bias(plan, bias)


def adds_residual(plan: Plan) -> bool:
    """Whether the plan's routine can add an array like the result, before limits are kept."""
    return not isinstance(plan, AcrossPlan)


def prepare(
    plan: Plan,
    images: int,
    image_strides: Strides,
    result_strides: Strides,
    limits: tuple[float, float],
    threads: int,
    residual: bool = False,
) -> Ready:
    """``limits``: results stay between them. ``residual``: an array with the strides of the result
    is added before limits are kept, sharing no memory with it; only where `adds_residual` says so."""
    assert adds_residual(plan) or not residual
    if isinstance(plan, AcrossPlan):
        found = across.launch(plan, images, image_strides, result_strides, limits)
        pixels = across.code(plan.spec, plan.target)
        return Ready(pixels.address("layer"), found.args.copy(), found.scratch, found.units, (pixels, found.keep))
    if isinstance(plan, WinogradPlan):
        cut = winograd.launch(plan, images, image_strides, result_strides, limits, threads, residual)
        code = winograd.code(cut.spec, plan.target)
        return Ready(code.address("layer"), cut.args.copy(), cut.scratch, cut.units, (code, cut.keep))
    plan = direct.finishing(plan, limits, residual)
    made = direct.launch(plan, images, image_strides, result_strides, limits, threads)
    code = direct.code(plan.spec, plan.target)
    return Ready(code.address("layer"), made.args.copy(), made.scratch, made.units, (code, made.keep))


# ---------------------------------------------------------------- predicted times, of one image


def nanoseconds(plan: Plan, packed: bool = False) -> float:
    """Predicted time on one thread, of one image; all work on the weights included, if they are not packed before."""
    if isinstance(plan, AcrossPlan):
        return across_nanoseconds(plan.problem, plan.target)
    if isinstance(plan, WinogradPlan):
        return winograd_nanoseconds(plan.problem, plan.target, packed)
    return direct_nanoseconds(plan.problem, plan.target)


@lru_cache(maxsize=1024)
def across_nanoseconds(problem: LayerProblem, target: Target) -> float:
    work = math.prod(axis.out * axis.taps for axis in problem.axes) * problem.channels * problem.outputs
    return problem.groups * work * DIRECT * MEASURED_LANES / target.lanes(problem.number.bytes)


@lru_cache(maxsize=1024)
def direct_nanoseconds(problem: LayerProblem, target: Target) -> float:
    lanes = target.lanes(problem.number.bytes)
    pixels = math.prod(axis.out for axis in problem.axes)
    taps = math.prod(axis.taps for axis in problem.axes)
    work = pixels * taps * problem.channels * up(problem.outputs, lanes)
    return problem.groups * work * DIRECT * MEASURED_LANES / lanes


@lru_cache(maxsize=1024)
def winograd_nanoseconds(problem: LayerProblem, target: Target, packed: bool = False) -> float:
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
        + channels * outputs * (0 if packed else LARGE_WEIGHT if large else WEIGHT)
    )
    return problem.groups * work * MEASURED_LANES / lanes
