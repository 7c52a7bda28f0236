"""Images and arrays in files: read with suspicion, written whole or not at all."""

from __future__ import annotations

import os
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageFile, ImageOps

from ..atomic import replacing
from ..errors import ArgumentError, FileError
from . import tiff

READABLE = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF")
MAX_PIXELS = 64_000_000
ORIENTATION = 274  # the tag of EXIF and TIFF

PICTURES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP", ".webp": "WEBP"}
NUMBERS = (".npy", ".tif", ".tiff")
SETTINGS: dict[str, dict[str, object]] = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}

_NPY_MAGIC = b"\x93NUMPY"
_WITHOUT_ALPHA = {"LA": "L", "La": "L", "PA": "RGB", "RGBA": "RGB", "RGBa": "RGB"}
_TO_COLOUR = ("P", "RGBX", "CMYK", "YCbCr", "HSV")
_limit_lock = threading.Lock()


@dataclass(frozen=True)
class Picture:
    """What was in a file: `pixels` is (H, W) or (H, W, 3) of uint8, uint16, int32, float32, ... from an image file,
    or an array of any shape from a .npy file; `is_image` tells which; `notes` say what was left out or turned."""

    pixels: np.ndarray
    is_image: bool
    notes: tuple[str, ...] = ()

    @property
    def is_colour(self) -> bool:
        """True for an image of three channels, whose axes are (0, 1)."""
        return self.is_image and self.pixels.ndim == 3


def read(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read a PNG, JPEG, TIFF, BMP, WebP or GIF image (first frame), or a .npy array; the content decides, not the name.

    8-bit images are uint8; 16-bit ones stay uint16 and float TIFFs keep their floats. Colour is (H, W, 3) red, green,
    blue; an alpha channel is left out; the EXIF orientation is applied. The size in the header is compared with
    `max_pixels` (width times height) before anything is decoded.
    Raises FileError, naming the path, for whatever is wrong with the file.

    >>> import tempfile
    >>> name = tempfile.mkdtemp() + "/ramp.png"
    >>> write(name, np.arange(6, dtype=np.uint8).reshape(2, 3))
    >>> read(name).pixels.tolist()
    [[0, 1, 2], [3, 4, 5]]
    """
    name = os.fspath(path)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise FileError("not a file")
        with open(path, "rb") as stream:
            return _decode(stream, max_pixels)
    # Decoders answer damaged files with exceptions of many kinds (SyntaxError, struct.error, KeyError, ...):
    # whatever they raise means that this file cannot be read.
    except Exception as error:
        raise FileError(f"{name}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return f"not an image that can be read: {', '.join(READABLE)} and .npy can"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, MemoryError):
        return "too large for the memory of this machine"
    if isinstance(error, FileError):
        return str(error)
    return f"damaged or not supported ({type(error).__name__}: {error})"


def _decode(stream: BinaryIO, max_pixels: int) -> Picture:
    magic = stream.read(6)
    if magic == _NPY_MAGIC:
        return Picture(_read_npy(stream.name), is_image=False)
    stream.seek(0)
    if magic[:4] in tiff.MAGIC:
        deep = tiff.read_deep(stream, max_pixels)
        if deep is not None:
            return _from_deep(*deep)
        stream.seek(0)
    return _read_with_pillow(stream, max_pixels)


def _read_npy(name: str) -> np.ndarray:
    # Mapped first: that compares the size in the header with the size of the file before memory is taken.
    mapped = np.load(name, mmap_mode="r", allow_pickle=False)
    if mapped.dtype.kind not in "biufc":
        raise FileError(f"holds {mapped.dtype}, which are no numbers to compute with")
    return np.array(mapped, dtype=mapped.dtype.newbyteorder("="))


def _from_deep(pixels: np.ndarray, orientation: int, images: int) -> Picture:
    notes = []
    if images > 1:
        notes.append(f"the first of {images} images")
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        pixels = pixels[..., :3]
        notes.append("alpha channel left out")
    if orientation != 1:
        pixels = _upright(pixels, orientation)
        notes.append("turned upright")
    return Picture(np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("=")), True, tuple(notes))


def _upright(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Undo one of the eight orientations of the TIFF and EXIF tag 274 (TIFF 6.0, page 36)."""
    if orientation >= 5:  # rows and columns are exchanged
        pixels = pixels.swapaxes(0, 1)
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return pixels[::rows, ::columns]


@contextmanager
def _pillow_limit(max_pixels: int) -> Iterator[None]:
    """Pillow's own guard, set to our limit: it looks at the header, and its warning is an error here."""
    with _limit_lock, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
        try:
            yield
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise FileError(f"more pixels than the limit of {max_pixels} ({error})") from error
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _read_with_pillow(stream: BinaryIO, max_pixels: int) -> Picture:
    with _pillow_limit(max_pixels), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(stream, formats=READABLE) as image:
            _refuse_loss(image)
            if image.format == "PNG":  # every checksum to the end of the file: decoding does not look at them
                image.verify()
        stream.seek(0)
        with Image.open(stream, formats=READABLE) as image:
            pixels, notes = _pixels(image)
    return Picture(pixels, True, (*notes, *(f"{warning.message}" for warning in said)))


def _refuse_loss(image: ImageFile.ImageFile) -> None:
    """Pillow reads colour of 16 bits per channel as 8 bits without a word: that is refused here."""
    raw = str(image.tile[0][3]) if image.tile else ""
    if ";16" in raw and image.mode in ("RGB", "RGBA", "LA"):
        raise FileError("16 bits per colour channel in this format would be cut to 8: save it as an uncompressed TIFF")


def _pixels(image: Image.Image) -> tuple[np.ndarray, list[str]]:
    notes = []
    if getattr(image, "is_animated", False):
        notes.append("the first of several frames")
        image.seek(0)
    if image.getexif().get(ORIENTATION, 1) != 1:
        notes.append("turned upright")
    image.load()
    turned = image if image.format == "TIFF" else ImageOps.exif_transpose(image)  # a TIFF comes upright from load()
    if turned.mode in _WITHOUT_ALPHA or "transparency" in turned.info:
        notes.append("alpha channel left out")
    if turned.mode in _WITHOUT_ALPHA:
        turned = turned.convert(_WITHOUT_ALPHA[turned.mode])
    elif turned.mode in _TO_COLOUR:
        turned = turned.convert("RGB")
    elif turned.mode == "1":
        turned = turned.convert("L")
    pixels = np.array(turned)
    if image.format == "PNG" and pixels.dtype == np.int32:  # how older Pillow gives 16-bit grey
        pixels = pixels.astype(np.uint16)
    if turned.mode not in ("L", "RGB", "I", "F") and not turned.mode.startswith("I;16"):
        raise FileError(f"pixels of the kind {image.mode} cannot be read")
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False), notes


def check_suffix(path: str | os.PathLike[str]) -> str:
    """The suffix of `path` in lower case; ArgumentError when no format is known by it."""
    suffix = Path(path).suffix.lower()
    if suffix not in PICTURES and suffix not in NUMBERS:
        allowed = ", ".join([*NUMBERS, *PICTURES])
        raise ArgumentError(f"the name of the output must end in one of {allowed} (got {os.fspath(path)!r})")
    return suffix


def write(path: str | os.PathLike[str], pixels: np.ndarray) -> None:
    """Write an array as the suffix says: .npy and .tif keep the numbers, the others hold uint8 pictures.

    Pictures are (H, W) or (H, W, 3) uint8; a .png may be (H, W) uint16 too. The file appears whole or not at all, and
    an old one stays when anything fails. Raises ArgumentError for an unknown suffix or an array the format cannot hold,
    FileError when the file cannot be written.
    """
    suffix = check_suffix(path)
    if suffix in PICTURES:
        _check_picture(suffix, pixels)
    try:
        with replacing(path) as stream:
            if suffix == ".npy":
                np.save(stream, pixels, allow_pickle=False)
            elif suffix in NUMBERS:
                tiff.write(stream, pixels)
            else:
                kind = PICTURES[suffix]
                Image.fromarray(np.ascontiguousarray(pixels)).save(stream, kind, **SETTINGS.get(kind, {}))
    except FileError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise FileError(f"{os.fspath(path)}: cannot be written: {reason}") from error


def _check_picture(suffix: str, pixels: np.ndarray) -> None:
    shape = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)
    deep = suffix == ".png" and pixels.ndim == 2 and pixels.dtype == np.uint16
    if not (shape and pixels.size and (pixels.dtype == np.uint8 or deep)):
        raise ArgumentError(
            f"a {suffix} file holds (H, W) or (H, W, 3) pixels of uint8 (got {pixels.dtype} of shape {pixels.shape})"
        )
