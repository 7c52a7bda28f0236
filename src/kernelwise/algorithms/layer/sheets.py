"""What the numbers of all layers' routines have in common: strides, limits, and which pixel stands where."""

from __future__ import annotations

import numpy as np

from ...borders import source_index
from ...problem import Axis
from ..launch import Sheet
from .problem import LayerProblem, Limits, Strides
from .winograd import OUTPUTS


def write_strides(sheet: Sheet, problem: LayerProblem, image: Strides, result: Strides) -> None:
    """Of images and results, a group's too."""
    for name, strides, inner in (("image", image, problem.channels), ("result", result, problem.outputs)):
        batch, channel, plane, row, column = strides
        sheet.write(**{f"{name}_batch": batch, f"{name}_group": channel * inner, f"{name}_channel": channel})
        sheet.write(**{f"{name}_plane": plane, f"{name}_row": row, f"{name}_column": column})


def write_limits(sheet: Sheet, problem: LayerProblem, limits: Limits) -> None:
    """The lowest and the highest result."""
    floor, ceiling = (problem.number.bits(limit) for limit in limits)
    sheet.write(floor=floor, ceiling=ceiling)


def plane_map(planes: Axis, border: str) -> np.ndarray:
    """The plane of the image for every output and tap, [output][tap]; -1 for zeros."""
    first = np.arange(planes.out)[:, None] * planes.stride + planes.start
    return np.ascontiguousarray(source_index(first + np.arange(planes.taps) * planes.dilation, planes.n, border))


def seen(axis: Axis, border: str, reach: int | None = None) -> np.ndarray:
    """The pixel of the image for every place that windows see, from the first one on; -1 for zeros. ``reach``: of a
    window, if it is not the axis's own."""
    places = (axis.out - 1) * axis.stride + (axis.reach if reach is None else reach) + 1
    return source_index(np.arange(places) + axis.start, axis.n, border)


def inside(axis: Axis) -> tuple[int, int]:
    """Those of the places in `seen` that lie inside the image: the first, and the one behind the last."""
    places = (axis.out - 1) * axis.stride + axis.reach + 1
    first = min(places, max(0, -axis.start))
    return first, max(first, min(places, axis.n - axis.start))


def seen_by_tiles(axis: Axis, window: int, tiles: int, border: str) -> np.ndarray:
    """The pixel for every place that so many tiles look at, each at ``window`` of them; -1 for zeros, also where no
    output needs any."""
    count = axis.out + window - OUTPUTS
    found = np.full(tiles * OUTPUTS + window - OUTPUTS, -1)
    found[:count] = source_index(np.arange(count) + axis.start, axis.n, border)
    return found


def even(count: int, most: int) -> int:
    """``count`` in equal parts of at most ``most``."""
    return -(-count // -(-count // min(count, most)))
