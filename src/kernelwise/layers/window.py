"""How the window of a layer moves over its images; every argument made canonical once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import ArgumentError, ArgumentTypeError
from ..problem import BORDERS, LARGEST_STEP, Axis, one_of, per_axis, whole_number

Pair = tuple[int, int]
LARGEST_PADDING = 2**20  # pixels
WORDS = ("valid", "same")


@dataclass(frozen=True)
class Window:
    """A window of ``taps`` pixels over an image whose ``padding``, in pixels, is what ``border`` says.

    One entry for each of one to three spatial axes; ``padding``: (before, after) for each, or "same".
    """

    taps: tuple[int, ...]
    padding: tuple[Pair, ...] | str
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    border: str

    @property
    def reach(self) -> tuple[int, ...]:
        """Pixels between the first tap and the last."""
        return tuple((k - 1) * d for k, d in zip(self.taps, self.dilation, strict=True))

    def pads(self, shape: tuple[int, ...]) -> tuple[Pair, ...]:
        """(before, after) for images of ``shape``; "same" makes ceil(n / stride) outputs, and half the padding, rounded
        down, comes before."""
        if not isinstance(self.padding, str):
            return self.padding
        totals = [
            max(0, (-(-n // s) - 1) * s + reach + 1 - n)
            for n, s, reach in zip(shape, self.stride, self.reach, strict=True)
        ]
        return tuple((total // 2, total - total // 2) for total in totals)

    def axes(self, shape: tuple[int, ...]) -> tuple[Axis, ...]:
        """The geometry of the layer for images of ``shape``; no outputs where the window does not fit."""
        axes = []
        for n, (before, after), k, s, d in zip(
            shape, self.pads(shape), self.taps, self.stride, self.dilation, strict=True
        ):
            room = n + before + after - (k - 1) * d
            axes.append(Axis(n, k, -before, s, d, -(-max(0, room) // s)))
        return tuple(axes)

    def least(self) -> tuple[int, ...]:
        """The smallest image that a window fits into."""
        if isinstance(self.padding, str):
            return (1,) * len(self.taps)
        return tuple(max(1, reach + 1 - sum(p)) for reach, p in zip(self.reach, self.padding, strict=True))

    def plain(self) -> bool:
        """Whether it is as simple as a window can be: no stride, no dilation, zeros outside."""
        return {*self.stride, *self.dilation} == {1} and self.border == "constant"


def window(taps: tuple[int, ...], padding: Any, stride: Any = 1, dilation: Any = 1, border: Any = "constant") -> Window:
    """A Window from the arguments of a layer, checked."""
    n = len(taps)
    one_of("border", border, BORDERS)
    steps, gaps = per_axis("stride", stride, n, 1), per_axis("dilation", dilation, n, 1)
    if any((k - 1) * d > LARGEST_STEP for k, d in zip(taps, gaps, strict=True)):
        raise ArgumentError(f"`dilation` stretches the kernel over more than {LARGEST_STEP} pixels (got {dilation!r})")
    return Window(taps, canonical_padding(padding, n), steps, gaps, border)


def fitting(view: Window, sizes: tuple[int, ...], name: str, shape: tuple[int, ...]) -> tuple[Axis, ...]:
    """The geometry for images of these sizes, if a window fits into them."""
    axes = view.axes(sizes)
    short = [axis.n for axis in axes if axis.out == 0 and (axis.n or view.padding != "same")]
    if short:
        least = view.least()
        raise ArgumentError(f"`{name}` must have at least {least} pixels on its spatial axes (got {shape})")
    if view.border != "constant" and any(axis.n == 0 and axis.out for axis in axes):
        raise ArgumentError(f"`border`={view.border!r} cannot extend an axis of length 0; 'constant' can")
    return axes


def canonical_padding(padding: Any, n: int) -> tuple[Pair, ...] | str:
    """For two axes: 1 -> ((1, 1), (1, 1)); (1, 2) -> ((1, 1), (2, 2)); ((0, 1), (2, 3)) stays; "valid" is 0."""
    allowed = "`padding` must be a number of pixels, one for each axis, a pair for each, 'valid' or 'same'"
    if isinstance(padding, str):
        if padding not in WORDS:
            raise ArgumentError(f"{allowed} (got {padding!r})")
        return "same" if padding == "same" else ((0, 0),) * n
    if isinstance(padding, bytes):
        raise ArgumentTypeError(f"{allowed} (got {padding!r})")
    sides = padding if isinstance(padding, (tuple, list)) else (padding,) * n
    if len(sides) != n:
        raise ArgumentError(f"{allowed} (got {padding!r})")
    return tuple(_side(side, allowed, padding) for side in sides)


def _side(side: Any, allowed: str, padding: Any) -> Pair:
    if isinstance(side, (tuple, list)) and len(side) != 2:
        raise ArgumentError(f"{allowed} (got {padding!r})")
    first, second = side if isinstance(side, (tuple, list)) else (side, side)
    if isinstance(first, (tuple, list)) or isinstance(second, (tuple, list)):
        raise ArgumentError(f"{allowed} (got {padding!r})")
    return tuple(whole_number("padding", n, 0, LARGEST_PADDING) for n in (first, second))  # type: ignore[return-value]
