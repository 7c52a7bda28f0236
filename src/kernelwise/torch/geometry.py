"""The arguments of torch's convolutions made canonical: one number for each axis, and pixels on either side of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

Numbers = tuple[int, ...]
BORDERS = {"zeros": "constant", "replicate": "edge", "reflect": "reflect", "circular": "wrap"}  # torch's names, ours


class Geometry(NamedTuple):
    """How windows move over images: a number for each spatial axis."""

    stride: Numbers
    low: Numbers  # pixels put before an axis
    high: Numbers  # pixels put behind it; below 0: pixels that no window reaches
    dilation: Numbers
    groups: int
    border: str = "constant"  # what they are


def given(
    stride: Sequence[int],
    low: Sequence[int],
    high: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    border: str,
) -> Geometry:
    """From the arguments of an operator, which come as lists."""
    return Geometry(tuple(stride), tuple(low), tuple(high), tuple(dilation), groups, border)


def geometry(
    axes: int, stride: Any, padding: Any, dilation: Any, groups: Any, taps: Numbers, mode: str = "zeros"
) -> Geometry | None:
    """From the arguments of torch.nn.functional.conv1d to conv3d; None where torch would refuse them, or might.

    ``taps``: of the kernel along each axis, which padding="same" depends on; ``mode``: torch's padding_mode.
    """
    border = BORDERS[mode]
    steps, gaps = numbers(stride, axes, 1), numbers(dilation, axes, 1)
    if steps is None or gaps is None or not isinstance(groups, int) or isinstance(groups, bool) or groups < 1:
        return None
    if padding == "same":
        if any(step != 1 for step in steps):
            return None
        total = tuple(gap * (k - 1) for gap, k in zip(gaps, taps, strict=True))
        low = tuple(n // 2 for n in total)
        return Geometry(steps, low, tuple(n - m for n, m in zip(total, low, strict=True)), gaps, groups, border)
    sides = numbers(0 if padding == "valid" else padding, axes, 0)
    return None if sides is None else Geometry(steps, sides, sides, gaps, groups, border)


def numbers(value: Any, axes: int, least: int) -> Numbers | None:
    """One number for all axes, or one for each; None where it is anything else or smaller than ``least``."""
    if isinstance(value, int):
        if isinstance(value, bool) or value < least:
            return None
        return (value,) * axes
    if not isinstance(value, (tuple, list)) or len(value) not in (1, axes):
        return None
    for number in value:
        if not isinstance(number, int) or isinstance(number, bool) or number < least:
            return None
    return tuple(value) if len(value) == axes else (value[0],) * axes


def outputs(sizes: Any, taps: Any, of: Geometry) -> Numbers:
    """Sizes of a convolution's result; 0 or less where the window does not fit."""
    along = zip(sizes, taps, of.stride, of.low, of.high, of.dilation, strict=True)
    return tuple((n + low + high - gap * (k - 1) - 1) // step + 1 for n, k, step, low, high, gap in along)


known_outputs = lru_cache(maxsize=1024)(outputs)  # for sizes that are plain numbers


def inputs(sizes: Any, taps: Any, of: Geometry) -> Numbers:
    """Sizes of the images that give a convolution's results, which are those of a transposed convolution's result."""
    along = zip(sizes, taps, of.stride, of.low, of.high, of.dilation, strict=True)
    return tuple((n - 1) * step - low - high + gap * (k - 1) + 1 for n, k, step, low, high, gap in along)
