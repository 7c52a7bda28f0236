"""TIFF files whose samples have more than 8 bits: read and written by tifffile, number for number."""

from __future__ import annotations

import logging
import os
from typing import BinaryIO

import numpy as np
import tifffile

from ..errors import ImageError

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # little and big endian, TIFF and BigTIFF
KINDS = "iuf"
CHANNELS = (1, 3, 4)

# tifffile reports through logging; without a handler Python would print its remarks on the terminal.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


def read_deep(stream: BinaryIO, max_pixels: int) -> tuple[np.ndarray, int, int] | None:
    """The first image of a TIFF file as (pixels, orientation tag, number of images), or None.

    Pixels are (H, W) or (H, W, channels) of the file's own dtype: integers of 16 bits and more, or floats.
    None means that Pillow is to read it: samples of 8 bits or fewer, or a compression that tifffile does not know
    by itself. Raises ImageError for a size above `max_pixels`, a layout that is no image, or missing bytes;
    tifffile's own errors pass.
    """
    with tifffile.TiffFile(stream) as file:
        page = file.pages.first
        height, width, samples = sizes = page.imagelength, page.imagewidth, page.samplesperpixel
        if not all(isinstance(size, int) and size > 0 for size in sizes):  # in a damaged file a size may be a tuple
            raise ImageError("the size in the header is damaged")
        if height * width > max_pixels:
            raise ImageError(f"{width} x {height} pixels; the limit here is {max_pixels}")
        if page.dtype is None or page.dtype.itemsize == 1:
            return None
        if page.dtype.kind not in KINDS or samples not in CHANNELS or page.imagedepth != 1:
            raise ImageError(f"a TIFF of {samples} samples of {page.dtype} per pixel is not an image that can be read")
        _check_extents(page, stream)
        try:
            pixels = page.asarray(maxworkers=1)
        except (KeyError, ValueError) as error:
            if "imagecodecs" in str(error):
                return None
            raise
        planes = pixels.reshape(_layout(page, height, width, samples))
        if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and samples > 1:
            planes = np.moveaxis(planes, 0, -1)
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and page.dtype.kind == "u":
            planes = np.iinfo(page.dtype).max - planes
        orientation = page.tags.get("Orientation")
        return planes, int(orientation.value) if orientation else 1, len(file.pages)


def _layout(page: tifffile.TiffPage, height: int, width: int, samples: int) -> tuple[int, ...]:
    if samples == 1:
        return height, width
    separate = page.planarconfig == tifffile.PLANARCONFIG.SEPARATE
    return (samples, height, width) if separate else (height, width, samples)


def _check_extents(page: tifffile.TiffPage, stream: BinaryIO) -> None:
    """Every strip or tile must lie inside the file: what is missing would otherwise be read as zeros."""
    size = stream.seek(0, os.SEEK_END)
    if not page.dataoffsets or len(page.dataoffsets) != len(page.databytecounts):
        raise ImageError("the list of strips is damaged")
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        if offset <= 0 or count <= 0 or offset + count > size:
            raise ImageError(f"the file is truncated: bytes {offset} to {offset + count} are missing")


def write(stream: BinaryIO, pixels: np.ndarray) -> None:
    """Write `pixels`, (H, W), (H, W, 3) or a stack (..., H, W), of any numeric dtype, as they are."""
    colour = pixels.ndim == 3 and pixels.shape[-1] == 3
    tifffile.imwrite(stream, pixels, photometric="rgb" if colour else "minisblack", metadata=None)
