"""The gradient of a layer by its images, which is also the transposed layer.

An output y was made from the pixels y * stride + start + a * dilation, and hands its gradient back to them. The pixels
of one *phase*, those whose places differ by multiples of the stride, are reached by the same taps; so for each phase
the gradient is a correlation at stride 1 with a part of the flipped kernel, and nothing is multiplied by zeros.

Where a border repeats pixels, the gradient of what stands outside the image is computed apart, for the strips outside
alone, and added to the pixels that stood there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from ..borders import source_index
from ..problem import Axis
from .operations import correlate
from .prepared import UNLIMITED

Range = tuple[int, int]


class Phase(NamedTuple):
    """Places first, first + step, ... of an axis of the images, all reached by the same taps."""

    places: slice
    taps: slice
    axis: Axis  # from outputs to these places


def input_gradient(
    dy: np.ndarray,
    weight: np.ndarray,
    axes: tuple[Axis, ...],
    out: np.ndarray,
    *,
    groups: int = 1,
    border: str = "constant",
    precision: str = "exact",
    threads: int | None = None,
) -> np.ndarray:
    """dx[n, i, p] = sum over o and all y, a with y * stride + start + a * dilation = p of dy[n, o, y] weight[o, i, a].

    dy: (n, groups * o, ...), weight: (groups * o, c, ...), ``axes``: the layer's geometry; out: (n, groups * c, ...).
    """
    flipped = transposed(weight, groups)
    whole = [(0, axis.n) for axis in axes]
    # gradients are asked for in batches: the work on weights, which is the same for all images, counts for none of them
    how: dict[str, Any] = {"groups": groups, "precision": precision, "once": True, "threads": threads}
    hand_back(dy, flipped, axes, whole, out, **how)
    if border == "constant":
        return out
    for strip in _strips(axes):
        shape = (*out.shape[:2], *(stop - first for first, stop in strip))
        part = np.empty(shape, out.dtype)
        hand_back(dy, flipped, axes, strip, part, **how)
        _add_folded(part, strip, axes, border, out)
    return out


def transposed(weight: np.ndarray, groups: int) -> np.ndarray:
    """(groups * o, c, ...) -> (groups * c, o, ...), a view for one group."""
    outputs, channels = len(weight) // groups, weight.shape[1]
    split = weight.reshape(groups, outputs, *weight.shape[1:])
    return split.swapaxes(1, 2).reshape(groups * channels, outputs, *weight.shape[2:])


def hand_back(
    dy: np.ndarray,
    flipped: np.ndarray,
    axes: tuple[Axis, ...],
    ranges: list[Range],
    out: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    groups: int = 1,
    limits: tuple[float, float] = UNLIMITED,
    precision: str = "exact",
    once: bool = False,
    threads: int | None = None,
) -> None:
    """The gradient at the places ``ranges`` of each axis, which may lie outside the images, into ``out``. ``once``: see
    `prepared.PreparedLayer`."""
    along = [list(_phases(axis, *places)) for axis, places in zip(axes, ranges, strict=True)]
    if any(phase.axis.taps == 0 for phases in along for phase in phases):  # nothing reaches these: all in one go
        value = np.zeros(len(flipped), out.dtype) if bias is None else bias
        out[...] = np.clip(value, *limits).reshape(-1, *(1,) * len(axes))
    for phases in product(*along):
        part = out[(slice(None), slice(None), *(phase.places for phase in phases))]
        if part.size == 0 or any(phase.axis.taps == 0 for phase in phases):
            continue
        taps = flipped[(slice(None), slice(None), *(phase.taps for phase in phases))]
        back = tuple(phase.axis for phase in phases)
        how: dict[str, Any] = {"groups": groups, "limits": limits, "precision": precision, "once": once}
        correlate(dy, taps, back, bias, out=part, threads=threads, **how)


def _phases(axis: Axis, first: int, stop: int) -> Iterator[Phase]:
    """The phases of the places first .. stop - 1."""
    common = math.gcd(axis.stride, axis.dilation)
    every = axis.stride // common  # each so many-th tap reaches the same places
    for q in range(min(axis.stride, stop - first)):
        count = -(-(stop - first - q) // axis.stride)
        places = slice(q, None, axis.stride)
        ahead = first + q - axis.start
        taps = [a for a in range(min(every, axis.taps)) if (ahead - a * axis.dilation) % axis.stride == 0]
        if not taps:
            yield Phase(places, slice(0), Axis(axis.out, 0, 0, 1, 1, count))
            continue
        number = (axis.taps - 1 - taps[0]) // every + 1
        last = taps[0] + (number - 1) * every
        start = (ahead - last * axis.dilation) // axis.stride
        back = Axis(axis.out, number, start, 1, axis.dilation // common, count)
        yield Phase(places, slice(last, None, -every), back)


# ---------------------------------------------------------------- what was handed to the border


def _strips(axes: tuple[Axis, ...]) -> Iterator[list[Range]]:
    """Boxes that cover what the windows see outside the images, each place once."""
    seen = [(min(0, a.start), max(a.n, a.start + (a.out - 1) * a.stride + a.reach + 1)) for a in axes]
    for j, (axis, (first, stop)) in enumerate(zip(axes, seen, strict=True)):
        for outside in ((first, 0), (axis.n, stop)):
            if outside[0] < outside[1]:
                yield [(0, a.n) for a in axes[:j]] + [outside] + seen[j + 1 :]


def _add_folded(part: np.ndarray, strip: list[Range], axes: tuple[Axis, ...], border: str, out: np.ndarray) -> None:
    """Add a strip to the pixels that stood there, axis by axis."""
    for j, (axis, (first, stop)) in enumerate(zip(axes, strip, strict=True)):
        places = source_index(np.arange(first, stop), axis.n, border)
        low, high = int(places.min()), int(places.max()) + 1
        whole = (slice(None),) * (2 + j)
        if j == len(axes) - 1 and len(axes) == 1:
            target, base = out, 0
        else:
            shape = list(part.shape)
            shape[2 + j] = high - low
            target, base = np.zeros(shape, part.dtype), low
        for begin, end in _runs(places):
            source = part[(*whole, slice(begin, end))]
            least = int(places[begin:end].min()) - base
            step = int(places[begin + 1] - places[begin]) if end - begin > 1 else 1
            if step == 0:
                for k in range(end - begin):  # in this order, however the array lies
                    target[(*whole, slice(least, least + 1))] += source[(*whole, slice(k, k + 1))]
            else:
                if step < 0:
                    source = np.flip(source, 2 + j)
                target[(*whole, slice(least, least + end - begin))] += source
        if target is out:
            return
        part = target
        strip = [*strip[:j], (low, high), *strip[j + 1 :]]
    out[(slice(None), slice(None), *(slice(low, high) for low, high in strip))] += part


def _runs(places: np.ndarray) -> Iterator[Range]:
    """Stretches on which places go up by one, down by one, or stay."""
    begin = 0
    while begin < len(places):
        end = begin + 1
        if end < len(places):
            step = places[end] - places[begin]
            if abs(step) <= 1:
                changes = np.flatnonzero(np.diff(places[begin:]) != step)
                end = begin + 1 + int(changes[0]) if len(changes) else len(places)
        yield begin, end
        begin = end
