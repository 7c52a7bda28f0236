"""How the window of a layer moves over its images; every argument made canonical once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import ArgumentError, ArgumentTypeError
from ..problem import Axis, per_axis, whole_number

Pair = tuple[int, int]
LARGEST_PADDING = 2**20  # pixels


@dataclass(frozen=True)
class Window:
    """A window of ``taps`` = (rows, columns) over an image with zeros around it.

    ``padding``: ((above, below), (left, right)), in pixels.
    """

    taps: Pair
    padding: tuple[Pair, Pair]

    def outputs(self, shape: Pair) -> Pair:
        """Rows and columns of the result for images of ``shape``; 0 or less where the window does not fit."""
        rows, columns = (n + sum(zeros) - k + 1 for n, zeros, k in zip(shape, self.padding, self.taps, strict=True))
        return rows, columns

    @property
    def start(self) -> Pair:
        """Row and column of the image under tap (0, 0) at the first output."""
        return -self.padding[0][0], -self.padding[1][0]

    def axes(self, shape: Pair) -> tuple[Axis, Axis]:
        """The geometry of the layer, for images of ``shape``."""
        rows, columns = zip(shape, self.taps, self.start, self.outputs(shape), strict=True)
        return _axis(*rows), _axis(*columns)

    def axes_back(self, shape: Pair) -> tuple[Axis, Axis]:
        """The geometry of its gradient: from results to images of ``shape``, under the flipped kernel."""
        above_left = (k - 1 + start for k, start in zip(self.taps, self.start, strict=True))
        rows, columns = zip(self.outputs(shape), self.taps, (-n for n in above_left), shape, strict=True)
        return _axis(*rows), _axis(*columns)


def _axis(n: int, taps: int, start: int, out: int) -> Axis:
    return Axis(n, taps, start, 1, 1, out)


def window(kernel_size: Any, padding: Any) -> Window:
    """A Window from the arguments of a layer, checked."""
    rows, columns = per_axis("kernel_size", kernel_size, 2, 1)
    return Window((rows, columns), _padding(padding))


def _padding(padding: Any) -> tuple[Pair, Pair]:
    """1 -> ((1, 1), (1, 1)); (1, 2) -> ((1, 1), (2, 2)); ((0, 1), (2, 3)) stays."""
    allowed = "`padding` must be a number of pixels, one for each axis, or ((above, below), (left, right))"
    if isinstance(padding, (str, bytes)):
        raise ArgumentTypeError(f"{allowed} (got {padding!r})")
    sides = padding if isinstance(padding, (tuple, list)) else (padding, padding)
    if len(sides) != 2:
        raise ArgumentError(f"{allowed} (got {padding!r})")
    (above, below), (left, right) = (_side(side, allowed, padding) for side in sides)
    return (above, below), (left, right)


def _side(side: Any, allowed: str, padding: Any) -> Pair:
    first, second = side if isinstance(side, (tuple, list)) and len(side) == 2 else (side, side)
    if isinstance(first, (tuple, list)):
        raise ArgumentError(f"{allowed} (got {padding!r})")
    return tuple(whole_number("padding", n, 0, LARGEST_PADDING) for n in (first, second))  # type: ignore[return-value]
