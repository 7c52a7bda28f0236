"""A picture made ready for gradients: its channels as planes, in numbers that do not depend on its dtype, smoothed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import as_image
from ..correlation import correlate
from ..errors import ArgumentError, ArgumentTypeError
from ..stencils import gaussian

NARROW = ("u1", "i1", "u2", "i2", "f4")  # read as they are; their values are float32's
SCALE_BITS = 40  # values beyond 2^40, or all below 2^-40, are scaled: squares neither over- nor underflow


@dataclass(frozen=True)
class Picture:
    """Channels (c, H, W) in one of the dtypes that gradients are taken of; values * 2**exponent are the caller's."""

    planes: NDArray[Any]
    known: NDArray[np.bool_] | None  # (H, W); None: all
    exponent: int = 0

    @property
    def work(self) -> str:
        """What its gradients are worked out in."""
        return "f8" if self.planes.dtype.itemsize == 8 else "f4"

    @property
    def shape(self) -> tuple[int, int]:
        return self.planes.shape[1], self.planes.shape[2]

    def pixels(self) -> NDArray[Any]:
        """The known values, on one axis."""
        return self.planes.ravel() if self.known is None else self.planes[:, self.known].ravel()


def channels(x: Any, channel_axis: Any) -> NDArray[Any]:
    """The argument `x` as planes (c, H, W), a view where it is an array."""
    image = as_image("x", x)
    if image.dtype.kind == "c":
        raise ArgumentTypeError(f"`x` must be real (got {image.dtype})")
    if channel_axis is None:
        if image.ndim != 2:
            raise ArgumentError(
                f"`x` must have two axes, rows and columns, or a third and `channel_axis` (got shape {image.shape})"
            )
        return image[np.newaxis]
    if isinstance(channel_axis, (bool, np.bool_)) or not isinstance(channel_axis, (int, np.integer)):
        raise ArgumentTypeError(f"`channel_axis` must be None or an integer (got {channel_axis!r})")
    if image.ndim != 3:
        raise ArgumentError(f"`x` must have three axes with `channel_axis` (got shape {image.shape})")
    if not -3 <= channel_axis < 3:
        raise ArgumentError(f"`channel_axis` must be from -3 to 2 (got {channel_axis!r})")
    planes = np.moveaxis(image, channel_axis, 0)
    if not len(planes):
        raise ArgumentError(f"`x` must have at least one channel (got shape {image.shape})")
    return planes


def as_mask(mask: Any, shape: tuple[int, int]) -> NDArray[np.bool_] | None:
    """The argument `mask`, (H, W) bool."""
    if mask is None:
        return None
    array = as_image("mask", mask)
    if array.dtype.kind != "b":
        raise ArgumentTypeError(f"`mask` must hold booleans (got {array.dtype})")
    if array.shape != shape:
        raise ArgumentError(f"`mask` must have the shape {shape} (got {array.shape})")
    return array


def prepare(planes: NDArray[Any], known: NDArray[np.bool_] | None) -> Picture:
    """Planes in float32 or narrower where that holds all their values, else in float64; what is not finite is unknown.

    So the same picture has the same numbers whatever dtype it comes in.
    """
    planes = _native(planes)
    if planes.dtype.kind != "f":
        return Picture(_narrowed(planes), known)
    finite = np.isfinite(planes)
    if not finite.all():
        known = finite.all(axis=0) if known is None else known & finite.all(axis=0)
        planes = np.where(finite, planes, planes.dtype.type(0))
    peak = max(-float(planes.min()), float(planes.max())) if planes.size else 0.0
    exponent = math.frexp(peak)[1]
    if peak and abs(exponent) > SCALE_BITS:
        return Picture(_narrowed(np.ldexp(planes, -exponent)), known, exponent)
    return Picture(_narrowed(planes), known)


def _native(planes: NDArray[Any]) -> NDArray[Any]:
    if planes.dtype.kind == "b":
        return planes.view(np.uint8)
    wanted = np.dtype(np.float32) if planes.dtype.char == "e" else planes.dtype.newbyteorder("=")
    return np.require(planes, wanted, "A")


def _narrowed(planes: NDArray[Any]) -> NDArray[Any]:
    """The planes where generated code reads them as they are; else float32 if that holds their values, or float64."""
    if planes.dtype.str[1:] in NARROW:
        return planes
    wide = planes.astype(np.float64, copy=False)
    with np.errstate(over="ignore"):
        narrow = wide.astype(np.float32)
    return narrow if np.array_equal(narrow, wide) else wide


def smoothed(picture: Picture, sigma: float, border: str, threads: int | None) -> Picture:
    """The picture after a Gaussian of standard deviation ``sigma`` pixels; what is unknown has no part in it."""
    if not sigma:
        return picture
    weights = gaussian(sigma)
    values = picture.planes.astype(picture.work, copy=False)
    if picture.known is None:
        return Picture(correlate(values, weights, border=border, threads=threads), None, picture.exponent)
    holed = np.where(picture.known, values, values.dtype.type(np.nan))
    found = correlate(holed, weights, border=border, nan="omit", threads=threads)
    return Picture(np.where(np.isfinite(found), found, values.dtype.type(0)), picture.known, picture.exponent)


def eroded(known: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """Where all pixels within ``radius`` rows and columns are known; those outside the picture count as known."""
    for axis in range(2):
        lines = np.moveaxis(known, axis, 0)
        narrower = lines.copy()
        for step in range(1, radius + 1):
            narrower[step:] &= lines[:-step]
            narrower[:-step] &= lines[step:]
        known = np.moveaxis(narrower, 0, axis)
    return known
