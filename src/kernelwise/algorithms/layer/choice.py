"""Which algorithm does a layer: with pixels in the lanes where those fill them better than output channels; else the
direct one, or Winograd's where its precision suffices and its work is less.

The choice looks at the shape of one image, at the number format and at the target: never at the batch or the values,
so that the bits of a result depend on neither. Work on weights that are packed once for many calls is not counted; as
the batch is not looked at, a single call counts all of it for one image.

To add an algorithm: a room with a plan that can do what `plan.Plan` says, and a line here that asks for it.
"""

from __future__ import annotations

from ...jit.target import Target
from . import across_launch, costs, direct_launch, last_launch, rows_launch, winograd_launch
from .direct_launch import LONG_CHAIN
from .plan import Plan
from .problem import CHAIN, LayerProblem, Strides

LANES = 64  # bytes of a vector: of the widest, so that pixels or channels are chosen alike on every machine
PIXELS_WORTH = 0.8  # of a full vector of pixels, compared with one of channels


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
        lying = (0, *image_strides[1:]), (0, *result_strides[1:])  # whatever the batch
        return (
            last_launch.plan(problem, target, *lying)
            or rows_launch.plan(problem, target, *lying)
            or across_launch.plan(problem, target)
        )
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
) -> Plan:
    """A plan with output channels in the lanes; see `plan`, and `direct_launch.plan` for the rest."""
    if (
        precision == "fast"
        and winograd_launch.possible(problem)
        and costs.winograd(problem, target, packed) < costs.direct(problem, target)
    ):
        return winograd_launch.plan(problem, target, channels_last)
    chain = CHAIN if precision == "exact" else LONG_CHAIN
    return direct_launch.plan(problem, target, channels_last, row_bytes, joined, chain)
