"""A layer, normalised, and what all ways to do it keep to."""

from __future__ import annotations

from dataclasses import dataclass

from ...problem import Axis
from ..numbers import Number

Axes = tuple[Axis, Axis, Axis]  # planes, rows, columns
Strides = tuple[int, ...]  # in bytes: batch, channel, plane, row, column
Limits = tuple[float, float]  # results stay between them
ONE = Axis(1, 1, 0, 1, 1, 1)  # of an axis that is not there
CHAIN = 256  # products that are added up in one go
LEAST_UNITS = 8  # that a layer is cut into, where there is work for them


@dataclass(frozen=True)
class LayerProblem:
    """A layer, normalised: sums over the channels of a group, for every group apart."""

    axes: Axes
    groups: int
    channels: int  # of the input, in a group
    outputs: int  # channels of the result, in a group
    border: str  # what stands outside the images
    number: Number
    masked: bool = False  # some weights are zero

    @property
    def padded(self) -> bool:
        """Whether any window leaves the image."""
        return any(a.start < 0 or a.start + (a.out - 1) * a.stride + a.reach >= a.n for a in self.axes)


def problem3(axes: tuple[Axis, ...]) -> Axes:
    """One to three axes as three."""
    return (ONE,) * (3 - len(axes)) + axes  # type: ignore[return-value]
