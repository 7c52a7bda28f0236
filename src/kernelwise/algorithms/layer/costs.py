"""Predicted times of a layer's algorithms: nanoseconds on one thread, of one image.

Constants for float32 in 16 lanes (AVX-512), on an AMD EPYC of the Zen 5 generation, by
`python benchmarks/layer_costs.py`; other lane counts scale all of them.
"""

from __future__ import annotations

import math
from functools import lru_cache

from ...jit.target import Target
from ..memory import up
from .problem import LayerProblem
from .winograd import OUTPUTS, POSITIONS

MEASURED_LANES = 16
DIRECT = 0.0106  # for each multiply-add
WEIGHT_BYTE = 0.02  # for each byte of weights, which are read from far
SLOW_STRIDE = 3.0  # how often that for each one with pixels in the lanes, where not every pixel is taken
BYTE = 0.012  # for each byte of images and results with pixels in the lanes: little is done with each
PRODUCT = 0.0087  # for each multiply-add between tiles and weights
ENTER = 6.2  # for each tile and channel, to transform pixels
LEAVE = 2.9  # for each tile and output, to transform products back
WEIGHT = 5.7  # for each pair of channel and output, to transform nine taps and to read them again
LARGE_WEIGHT = 22.0  # the same, where the transformed weights are larger than the caches
LARGE_BYTES = 24 << 20
FRESH_WEIGHT = 1.1  # the same, to transform nine taps in the first-level cache, for each time that they are read
PLAIN_WEIGHT = 1.6  # and to pack them for that
FRESH_TILES = 6  # up to so many, reading large transformed weights takes longer than to transform them anew


@lru_cache(maxsize=1024)
def pixels(problem: LayerProblem, target: Target) -> float:
    """Layers with pixels in the lanes."""
    image, result = (math.prod(sizes) for sizes in zip(*((a.n, a.out) for a in problem.axes), strict=True))
    products = math.prod(axis.out * axis.taps for axis in problem.axes) * problem.channels * problem.outputs
    each = DIRECT * (SLOW_STRIDE if problem.axes[2].stride > 1 else 1)
    work = products * each * MEASURED_LANES / target.lanes(problem.number.bytes)
    moved = (problem.channels * image + problem.outputs * result) * problem.number.bytes
    return problem.groups * (work + moved * BYTE)


@lru_cache(maxsize=1024)
def direct(problem: LayerProblem, target: Target) -> float:
    lanes = target.lanes(problem.number.bytes)
    pixels = math.prod(axis.out for axis in problem.axes)
    taps = math.prod(axis.taps for axis in problem.axes)
    weights = taps * problem.channels * up(problem.outputs, lanes)
    work = pixels * weights * DIRECT * MEASURED_LANES / lanes + weights * problem.number.bytes * WEIGHT_BYTE
    return problem.groups * work


@lru_cache(maxsize=1024)
def winograd(problem: LayerProblem, target: Target, packed: bool = False) -> float:
    planes, rows, columns = problem.axes
    lanes = target.lanes(problem.number.bytes)
    block = lanes if problem.outputs <= lanes else 2 * lanes
    channels, outputs = problem.channels * planes.taps, up(problem.outputs, block)
    tiles = planes.out * -(-rows.out // OUTPUTS) * -(-columns.out // OUTPUTS)
    if fresh(problem, 1):
        weight = FRESH_WEIGHT + (0 if packed else PLAIN_WEIGHT)
    elif packed:
        weight = 0.0
    else:
        weight = LARGE_WEIGHT if _large(problem) else WEIGHT
    work = (
        tiles * POSITIONS * channels * outputs * PRODUCT
        + tiles * up(problem.channels, lanes) * planes.taps * ENTER
        + tiles * up(problem.outputs, lanes) * LEAVE
        + channels * outputs * weight
    )
    return problem.groups * work * MEASURED_LANES / lanes


def fresh(problem: LayerProblem, images: int) -> bool:
    """Whether it takes less time to transform weights whenever they are read than to read them transformed."""
    _, rows, columns = problem.axes
    tiles = images * -(-rows.out // OUTPUTS) * -(-columns.out // OUTPUTS)
    return tiles <= FRESH_TILES and _large(problem)


def _large(problem: LayerProblem) -> bool:
    """Whether the transformed weights of a group are larger than the caches."""
    weights = problem.channels * problem.outputs * problem.axes[0].taps
    return POSITIONS * weights * problem.number.bytes > LARGE_BYTES
