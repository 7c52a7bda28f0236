"""TIFF files whose samples have more than 8 bits: read and written by tifffile, number for number."""

from __future__ import annotations

import logging
import lzma
import math
import os
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np
import tifffile

from ..errors import FileError

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # little and big endian, TIFF and BigTIFF
KINDS = "iuf"
CHANNELS = (1, 3, 4)
LEAST_TILE = 1 << 22  # pixels that a tile may always have: small images lie in tiles larger than they are
PIECE = 1 << 20  # bytes unpacked at a time to see how many there are
SPARE = 1 << 24  # bytes more than there should be that need no looking after

# tifffile reports through logging; without a handler Python would print its remarks on the terminal.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


def read_deep(stream: BinaryIO, max_pixels: int) -> tuple[np.ndarray, int, int] | None:
    """The first image of a TIFF file as (pixels, orientation tag, number of images), or None.

    Pixels are (H, W) or (H, W, channels) of the file's own dtype: integers of 16 bits and more, or floats.
    None means that Pillow is to read it: samples of 8 bits or fewer, or a compression that tifffile does not know
    by itself. Raises FileError for a size above `max_pixels`, a layout that is no image, or missing bytes;
    tifffile's own errors pass.
    """
    with tifffile.TiffFile(stream) as file:
        page = file.pages.first
        height, width, samples = sizes = page.imagelength, page.imagewidth, page.samplesperpixel
        if not all(isinstance(size, int) and size > 0 for size in sizes):  # in a damaged file a size may be a tuple
            raise FileError("the size in the header is damaged")
        if height * width > max_pixels:
            raise FileError(f"{width} x {height} pixels; the limit here is {max_pixels}")
        if page.dtype is None or page.dtype.itemsize == 1:
            return None
        if page.dtype.kind not in KINDS or samples not in CHANNELS or page.imagedepth != 1:
            raise FileError(f"a TIFF of {samples} samples of {page.dtype} per pixel is not an image that can be read")
        _check_extents(page, stream)
        _check_inflation(page, stream, max_pixels, page.dtype.itemsize)
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
        raise FileError("the list of strips is damaged")
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        if offset <= 0 or count <= 0 or offset + count > size:
            raise FileError(f"the file is truncated: bytes {offset} to {offset + count} are missing")


def _check_inflation(page: tifffile.TiffPage, stream: BinaryIO, max_pixels: int, itemsize: int) -> None:
    """No strip or tile may unpack to more than its pixels take: a few kilobytes can hold gigabytes of zeros.

    tifffile unpacks a strip whole and cuts it to size afterwards. Where the packed bytes could hold much more than
    the strip, they are unpacked here first, a piece at a time and no further than the strip goes.
    """
    if math.prod(page.chunks) > max(max_pixels, LEAST_TILE):
        raise FileError(f"tiles of {page.chunks} pixels are larger than the limit of {max_pixels} pixels")
    allowed = math.prod(page.chunks) * itemsize
    measure, most = UNPACKED.get(page.compression, (None, 0))
    if measure is None:
        return
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        if count * most > allowed + SPARE:
            stream.seek(offset)
            if measure(stream.read(count), allowed) > allowed:
                raise FileError(f"a strip or tile unpacks to more than its {allowed} bytes")


def _inflated(data: bytes, enough: int) -> int:
    """Bytes that a zlib stream unpacks to; not counted further than `enough`."""
    return _pulled(zlib.decompressobj(), data, enough)


def _lzma_unpacked(data: bytes, enough: int) -> int:
    """Bytes that an LZMA stream unpacks to; not counted further than `enough`."""
    return _pulled(lzma.LZMADecompressor(), data, enough)


def _pulled(unpacker: Any, data: bytes, enough: int) -> int:
    total = 0
    while not unpacker.eof and total <= enough:
        piece = unpacker.decompress(data, PIECE)
        data = getattr(unpacker, "unconsumed_tail", b"")  # zlib hands the rest back, lzma keeps it
        total += len(piece)
        if not piece and not data:
            break
    return total


def _packbits_unpacked(data: bytes, enough: int) -> int:
    """Bytes that PackBits runs (TIFF 6.0, page 42) unpack to; not counted further than `enough`."""
    at = total = 0
    while at < len(data) and total <= enough:
        length = data[at]
        total += 0 if length == 128 else length + 1 if length < 128 else 257 - length
        at += length + 2 if length < 128 else 1 if length == 128 else 2
    return total


UNPACKED: dict[int, tuple[Callable[[bytes, int], int], int]] = {  # compression: bytes unpacked, most out of one byte in
    tifffile.COMPRESSION.DEFLATE: (_inflated, 1032),
    tifffile.COMPRESSION.ADOBE_DEFLATE: (_inflated, 1032),
    tifffile.COMPRESSION.LZMA: (_lzma_unpacked, 10_000),
    tifffile.COMPRESSION.PACKBITS: (_packbits_unpacked, 64),
}


def write(stream: BinaryIO, pixels: np.ndarray) -> None:
    """Write `pixels`, (H, W), (H, W, 3) or a stack (..., H, W), of any numeric dtype, as they are."""
    colour = pixels.ndim == 3 and pixels.shape[-1] == 3
    tifffile.imwrite(stream, pixels, photometric="rgb" if colour else "minisblack", metadata=None)
