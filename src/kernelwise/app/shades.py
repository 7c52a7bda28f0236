"""Shades of grey: colour to brightness, and results to the 8 bits of a picture, with the sentence that says how."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ..errors import ArgumentError

LUMA = (0.299, 0.587, 0.114)  # red, green, blue: ITU-R BT.601
WHITE, GREY = 255, 128
BLOCK = 1 << 20  # elements taken at a time, so that the float64 in between stays small beside a large image
NO_SUM = 1e-6  # a kernel whose taps sum to less than this part of their magnitudes is a difference


class Scale(StrEnum):
    """How a result becomes 8 bits."""

    AUTO = "auto"
    NONE = "none"
    ABS = "abs"


@dataclass(frozen=True)
class Shades:
    """`pixels` are uint8 in the shape of the result; `said` is a sentence on how they were made."""

    pixels: np.ndarray
    said: str


def white_of(image: np.ndarray) -> float:
    """The value that is white in an image: 255 in uint8, 65535 in uint16, 1 in floats within 0 to 1, else the maximum.

    >>> white_of(np.zeros((2, 2), np.uint16))
    65535.0
    """
    if image.dtype in (np.uint8, np.uint16):
        return float(np.iinfo(image.dtype).max)
    largest = max((_largest(image[rows]) for rows in _blocks(image)), default=0.0)
    return largest if largest > 1 else 1.0


def to_8bit(values: np.ndarray, scale: Scale, *, kernel: np.ndarray, white: float) -> Shades:
    """Show `values` (real, any shape) in 0 to 255.

    `auto`: after a kernel whose taps sum to zero the values are differences, so 0 becomes grey 128 and the largest
    magnitude black or white; after any other the brightness is kept, white being `white` times the sum of the taps.
    `abs`: 0 is black, the largest magnitude white. `none`: the numbers themselves, rounded half to even.
    Whatever falls outside 0 to 255 is cut off, and said; NaN becomes 0. Raises ArgumentError for complex values.

    >>> to_8bit(np.array([[-2, 0, 2]]), Scale.AUTO, kernel=np.array([[1, -1]]), white=255).pixels.tolist()
    [[1, 128, 255]]
    """
    if values.dtype.kind == "c":
        if scale is not Scale.ABS:
            raise ArgumentError("complex results have no grey level: use scale 'abs', or a .npy or .tif file")
        values = np.abs(values)
    largest = max((_largest(values[rows]) for rows in _blocks(values)), default=0.0)
    if scale is Scale.NONE:
        return _shade(values, 1.0, 0, "the numbers as they are, rounded")
    if scale is Scale.ABS:
        said = f"magnitudes: 0 is black, {largest:.6g} is white"
        return _shade(values, WHITE / (largest or 1), 0, said, magnitudes=True)
    total = float(np.real(kernel.sum()))
    if total <= NO_SUM * float(np.abs(kernel).sum()):
        said = f"signed: 0 is grey {GREY}, {largest:.6g} is white, {-largest:.6g} black"
        return _shade(values, (WHITE - GREY) / (largest or 1), GREY, said)
    top = white * total
    return _shade(values, WHITE / top, 0, f"brightness: 0 is black, {top:.6g} is white")


def _shade(values: np.ndarray, factor: float, zero: int, said: str, *, magnitudes: bool = False) -> Shades:
    pixels = np.empty(values.shape, np.uint8)
    outside = missing = 0
    for rows in _blocks(values):
        levels = values[rows].astype(np.float64)
        nan = np.isnan(levels)
        missing += int(np.count_nonzero(nan))
        levels[nan] = 0
        levels = np.rint((np.abs(levels) if magnitudes else levels) * factor + zero)
        outside += int(np.count_nonzero((levels < 0) | (levels > WHITE)))
        pixels[rows] = np.clip(levels, 0, WHITE)
    if outside:
        said += f"; {outside} of {values.size} cut off at black or white"
    if missing:
        said += f"; {missing} NaN shown as 0"
    return Shades(pixels, said)


def _largest(values: np.ndarray) -> float:
    """The largest finite magnitude, 0 if there is none."""
    magnitudes = np.abs(values.astype(np.float64))
    return float(magnitudes.max(where=np.isfinite(magnitudes), initial=0.0))


def limits(values: np.ndarray) -> tuple[float, float] | None:
    """The smallest and the largest finite value; None for complex numbers and where there is none.

    >>> limits(np.array([1.0, np.nan, 3.0]))
    (1.0, 3.0)
    """
    finite = np.isfinite(values)
    if values.dtype.kind == "c" or not finite.any():
        return None
    numbers = values.astype(np.uint8) if values.dtype == bool else values
    highest = numbers.max(where=finite, initial=numbers.flat[finite.argmax()])
    return float(numbers.min(where=finite, initial=highest)), float(highest)


def _blocks(values: np.ndarray) -> Iterator[slice]:
    """The rows (axis 0) in slices of about BLOCK elements."""
    if values.size:
        step = max(1, BLOCK // (values.size // len(values)))
        for start in range(0, len(values), step):
            yield slice(start, start + step)


def luma(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) -> (H, W) in the same dtype: the brightness of ITU-R BT.601, rounded half to even for integers.

    >>> luma(np.array([[[255, 0, 0]]], np.uint8)).tolist()
    [[76]]
    """
    if pixels.ndim == 2:
        return pixels
    grey = np.empty(pixels.shape[:2], pixels.dtype)
    for rows in _blocks(pixels):
        level = pixels[rows] @ np.array(LUMA)
        grey[rows] = np.rint(level) if pixels.dtype.kind in "iu" else level
    return grey
