"""Image files made to hurt: a few bytes that would unpack to gigabytes, and places that cannot be read or written."""

import errno
import io
import lzma
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from kernelwise import atomic
from kernelwise.app import files, tiff
from kernelwise.errors import FileError

GREY = (np.add.outer(np.arange(60) ** 2, np.arange(80) * 3) % 256).astype(np.uint8)
DEFLATE, LZMA, PACKBITS = 8, 34925, 32773


def tiff_of_one_strip(
    data: bytes, compression: int, size: tuple[int, int] = (60, 80), tile: tuple[int, int] | None = None
) -> bytes:
    """A little-endian TIFF of 16-bit grey pixels whose only strip, or tile, holds these packed bytes."""
    place, length, rows = (324, 325, []) if tile else (273, 279, [(278, size[0])])
    tags = [(256, size[1]), (257, size[0]), (258, 16), (259, compression), (262, 1), (277, 1), *rows]
    tags += [(322, tile[1]), (323, tile[0])] if tile else []
    tags += [(place, 8), (length, len(data))]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(tags))
    body = data + bytes(len(data) % 2)
    return b"II*\0" + struct.pack("<I", 8 + len(body)) + body + struct.pack("<H", len(tags)) + entries + bytes(4)


def packed(kind: int, size: int) -> bytes:
    """`size` zeros, packed."""
    if kind == PACKBITS:
        return b"\x81\0" * (size // 128)
    maker: Any = zlib.compressobj(9) if kind == DEFLATE else lzma.LZMACompressor()
    pieces = [maker.compress(bytes(1 << 20)) for _ in range(size >> 20)]
    return b"".join([*pieces, maker.flush()])


@pytest.mark.parametrize("kind", [DEFLATE, LZMA, PACKBITS])
def test_a_strip_that_unpacks_to_more_than_its_pixels_is_refused_before_it_takes_memory(
    tmp_path: Path, kind: int
) -> None:
    path = tmp_path / "bomb.tif"
    path.write_bytes(tiff_of_one_strip(packed(kind, 1 << 28), kind))
    code = (
        "import resource, sys\n"
        "from kernelwise.app import files\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n"
        "    files.read(sys.argv[1])\n"
        "except OSError as error:\n"
        "    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    megabytes, _, said = done.stdout.partition(" ")
    assert "unpacks to more than its 9600 bytes" in said
    unit = 1 if sys.platform != "darwin" else 1024
    assert int(megabytes) // unit < 120  # of 256; LZMA has a dictionary of its own


@pytest.mark.parametrize("kind", [DEFLATE, LZMA, PACKBITS])
def test_a_strip_that_unpacks_to_its_pixels_is_read_however_well_it_is_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: int
) -> None:
    monkeypatch.setattr(tiff, "SPARE", 0)
    monkeypatch.setattr(tiff, "PIECE", 1000)
    height, width = 1024, 512
    (tmp_path / "white.tif").write_bytes(tiff_of_one_strip(packed(kind, 1 << 20), kind, (height, width)))
    pixels = files.read(tmp_path / "white.tif").pixels
    assert pixels.shape == (height, width) and not pixels.any()


@pytest.mark.parametrize("settings", [{}, {"tile": (16, 16)}, {"rowsperstrip": 7}])
@pytest.mark.parametrize("compression", ["zlib", "lzma"])
def test_well_made_packed_files_pass_the_guard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str, settings: dict[str, Any]
) -> None:
    monkeypatch.setattr(tiff, "SPARE", 0)
    monkeypatch.setattr(tiff, "PIECE", 100)
    deep = GREY.astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "image.tif", deep, photometric="minisblack", compression=compression, **settings)
    np.testing.assert_array_equal(files.read(tmp_path / "image.tif").pixels, deep)


def test_packbits_of_runs_and_of_single_bytes_are_both_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff, "SPARE", 0)
    deep = np.where(np.arange(80) < 40, 0, GREY.astype(np.uint16) * 257)
    Image.fromarray(deep).save(tmp_path / "image.tif", compression="packbits")
    np.testing.assert_array_equal(files.read(tmp_path / "image.tif").pixels, deep)


def test_a_tile_far_larger_than_the_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bomb.tif").write_bytes(tiff_of_one_strip(zlib.compress(bytes(1 << 16)), DEFLATE, tile=(65536, 65536)))
    with pytest.raises(FileError, match="larger than the limit"):
        files.read(tmp_path / "bomb.tif")


@pytest.mark.parametrize("bits", [8, 16])
def test_a_tiff_of_a_huge_size_is_refused_before_decoding(tmp_path: Path, bits: int) -> None:
    data = tiff_of_one_strip(zlib.compress(bytes(1000)), DEFLATE, size=(60_000, 60_000))
    data = data.replace(struct.pack("<HHII", 258, 4, 1, 16), struct.pack("<HHII", 258, 4, 1, bits))
    (tmp_path / "bomb.tif").write_bytes(data)
    with pytest.raises(FileError, match="limit"):
        files.read(tmp_path / "bomb.tif")


def test_a_text_in_a_png_that_unpacks_to_much_is_no_way_around_the_limit(tmp_path: Path) -> None:
    notes = PngImagePlugin.PngInfo()
    notes.add_text("comment", "x" * (1 << 26), zip=True)
    Image.fromarray(GREY).save(tmp_path / "bomb.png", pnginfo=notes)
    assert (tmp_path / "bomb.png").stat().st_size < 100_000
    try:
        pixels = files.read(tmp_path / "bomb.png").pixels  # the text left out
    except FileError as error:
        assert "bomb.png" in str(error)
    else:
        np.testing.assert_array_equal(pixels, GREY)


def test_a_photograph_with_a_second_one_behind_it_is_read_as_the_first(tmp_path: Path) -> None:
    stream = io.BytesIO()
    first, second = Image.fromarray(GREY), Image.fromarray(255 - GREY)
    first.save(stream, "MPO", save_all=True, append_images=[second], quality=98)
    (tmp_path / "phone.jpg").write_bytes(stream.getvalue())
    picture = files.read(tmp_path / "phone.jpg")
    assert picture.pixels.shape == GREY.shape
    assert np.abs(picture.pixels.astype(int) - GREY).mean() < 3
    assert picture.notes == ("the first of several frames",)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_is_turned_upright_too(tmp_path: Path, orientation: int) -> None:
    smooth = np.add.outer(np.linspace(0, 90, 40), np.linspace(0, 150, 64)).astype(np.uint8)
    stored = {
        1: smooth,
        2: smooth[:, ::-1],
        3: smooth[::-1, ::-1],
        4: smooth[::-1],
        5: smooth.T,
        6: smooth.T[::-1],
        7: smooth.T[::-1, ::-1],
        8: smooth.T[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "image.jpg", quality=98, exif=exif)
    found = files.read(tmp_path / "image.jpg").pixels
    assert found.shape == smooth.shape
    assert np.abs(found.astype(int) - smooth).max() < 8


def test_colours_for_printing_become_red_green_and_blue(tmp_path: Path) -> None:
    colour = np.zeros((40, 48, 3), np.uint8)
    colour[..., 0], colour[..., 2] = 200, 40
    Image.fromarray(colour).convert("CMYK").save(tmp_path / "print.jpg", quality=98)
    picture = files.read(tmp_path / "print.jpg")
    assert picture.is_colour
    assert np.abs(picture.pixels.astype(int) - colour).mean() < 4


def test_a_float_tiff_keeps_what_is_no_number(tmp_path: Path) -> None:
    values = np.full((20, 30), 0.25, np.float32)
    values[3, 4], values[5, 6] = np.nan, np.inf
    files.write(tmp_path / "image.tif", values)
    np.testing.assert_array_equal(files.read(tmp_path / "image.tif").pixels, values)


@pytest.mark.parametrize("reason", [errno.EACCES, errno.EIO])
def test_a_file_that_cannot_be_read_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    files.write(tmp_path / "image.png", GREY)
    monkeypatch.setattr(files, "open", refuser(reason), raising=False)  # root may read what nobody may
    with pytest.raises(FileError, match=rf"image\.png: {os.strerror(reason)}"):
        files.read(tmp_path / "image.png")


@pytest.mark.parametrize("reason", [errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_a_place_that_cannot_be_written_is_named_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: int
) -> None:
    monkeypatch.setattr(atomic, "open", refuser(reason), raising=False)
    with pytest.raises(FileError, match=rf"image\.png: cannot be written: {os.strerror(reason)}"):
        files.write(tmp_path / "image.png", GREY)
    assert not list(tmp_path.iterdir())


def refuser(reason: int) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(reason, os.strerror(reason))

    return refuse


@pytest.mark.parametrize("name", ["a" * 300 + ".png", "nul\0byte.png"])
def test_a_name_that_no_system_takes_is_an_image_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileError):
        files.read(tmp_path / name)
    with pytest.raises(FileError):
        files.write(tmp_path / name, GREY)


def test_an_image_larger_than_its_format_allows_is_an_error_and_not_a_file(tmp_path: Path) -> None:
    for name in ("long.webp", "long.jpg"):
        with pytest.raises(FileError, match="cannot be written"):
            files.write(tmp_path / name, np.zeros((1, 70_000), np.uint8))
    assert not list(tmp_path.iterdir())
