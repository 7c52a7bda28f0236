"""Image files: what is written is read back, and what is damaged, huge or disguised is refused."""

import io
import os
import pickle
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from kernelwise.app import files
from kernelwise.errors import ArgumentError, FileError


def scene(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Smooth waves with some noise, over the whole range of the dtype: like a photograph, and no two rows alike."""
    generator = np.random.default_rng(7)
    y, x = np.mgrid[: shape[0], : shape[1]]
    waves = 0.5 + 0.4 * np.sin(x / 9) * np.cos(y / 7) + generator.uniform(-0.05, 0.05, shape[:2])
    values = waves if len(shape) == 2 else np.stack([waves, 1 - waves, waves**2], axis=-1)
    top = np.iinfo(dtype).max if np.dtype(dtype).kind in "iu" else 1
    return (values * top).astype(dtype)


def encoded(kind: str, pixels: np.ndarray, **settings: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **settings)
    return stream.getvalue()


def encoded_tiff(pixels: np.ndarray, **settings: Any) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, **{"photometric": "rgb" if pixels.ndim == 3 else "minisblack", **settings})
    return stream.getvalue()


def encoded_npy(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, pixels)
    return stream.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, data: bytes, *, depth: int = 8, colour: int = 2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


COLOUR, GREY = scene((60, 80, 3), np.uint8), scene((60, 80), np.uint8)
SAMPLES: dict[str, bytes] = {
    "png": encoded("PNG", COLOUR),
    "png 16 bit": encoded("PNG", scene((60, 80), np.uint16)),
    "jpeg": encoded("JPEG", COLOUR),
    "jpeg progressive": encoded("JPEG", COLOUR, progressive=True),
    "tiff": encoded("TIFF", COLOUR),
    "tiff lzw": encoded("TIFF", COLOUR, compression="tiff_lzw"),
    "tiff 16 bit lzw": encoded("TIFF", scene((60, 80), np.uint16), compression="tiff_lzw"),
    "tiff 16 bit": encoded_tiff(scene((60, 80, 3), np.uint16)),
    "tiff float": encoded_tiff(scene((60, 80, 3), np.float32), compression="zlib"),
    "tiff tiles": encoded_tiff(scene((60, 80), np.float64), tile=(16, 16)),
    "bmp": encoded("BMP", COLOUR),
    "webp": encoded("WEBP", COLOUR),
    "gif": encoded("GIF", GREY),
    "npy": encoded_npy(scene((60, 80), np.float32)),
}


@pytest.mark.parametrize(
    ("suffix", "pixels"),
    [
        (".png", COLOUR),
        (".png", GREY),
        (".png", scene((30, 41), np.uint16)),
        (".bmp", COLOUR),
        (".webp", COLOUR),
        (".tif", COLOUR),
        (".tif", scene((30, 41), np.uint16)),
        (".tiff", scene((30, 41, 3), np.uint16)),
        (".tif", scene((30, 41), np.float32)),
        (".tif", scene((30, 41, 3), np.float32)),
        (".tif", scene((30, 41), np.float64)),
        (".tif", scene((30, 41), np.int32) - 2**30),
        (".npy", scene((30, 41), np.float16)),
        (".npy", scene((30, 41), np.float32) * (1 + 2j)),
    ],
)
def test_what_is_written_is_read_back_number_for_number(tmp_path: Path, suffix: str, pixels: np.ndarray) -> None:
    files.write(tmp_path / f"image{suffix}", pixels)
    back = files.read(tmp_path / f"image{suffix}")
    assert back.pixels.dtype == pixels.dtype
    np.testing.assert_array_equal(back.pixels, pixels)
    assert back.is_image == (suffix != ".npy")
    assert [entry.name for entry in tmp_path.iterdir()] == [f"image{suffix}"]


def test_a_jpeg_comes_back_nearly_the_same(tmp_path: Path) -> None:
    files.write(tmp_path / "image.JPG", COLOUR)
    back = files.read(tmp_path / "image.JPG").pixels
    assert back.dtype == np.uint8
    assert np.abs(back.astype(int) - COLOUR).mean() < 4


@pytest.mark.parametrize("name", SAMPLES)
def test_a_file_cut_short_anywhere_gives_an_image_error_and_never_other_pixels(tmp_path: Path, name: str) -> None:
    data, path = SAMPLES[name], tmp_path / "image"
    path.write_bytes(data)
    whole = files.read(path).pixels
    for length in np.linspace(0, len(data) - 8, 40).astype(int).tolist():
        path.write_bytes(data[:length])
        with pytest.raises(FileError, match="image: "):
            files.read(path)
    for missing in range(1, 8):  # the last bytes of some formats only say that this was the end
        path.write_bytes(data[:-missing])
        try:
            pixels = files.read(path).pixels
        except FileError:
            continue
        np.testing.assert_array_equal(pixels, whole)


@pytest.mark.parametrize("name", SAMPLES)
def test_changed_bytes_give_pixels_or_an_image_error_and_nothing_else(tmp_path: Path, name: str) -> None:
    data, path, generator = SAMPLES[name], tmp_path / "image", np.random.default_rng(3)
    refused = 0
    for _ in range(60):
        changed = bytearray(data)
        for place in generator.integers(0, min(len(data), 400), 3).tolist():
            changed[place] = int(generator.integers(0, 256))
        path.write_bytes(bytes(changed))
        try:
            files.read(path, max_pixels=1_000_000)
        except FileError:
            refused += 1
    assert refused > 0


@pytest.mark.parametrize(
    "data",
    [
        png(60_000, 60_000, zlib.compress(bytes(1000))),
        encoded("BMP", GREY)[:18] + struct.pack("<ii", 60_000, 60_000) + encoded("BMP", GREY)[26:],
        encoded_npy(GREY).replace(b"(60, 80)", b"(6000000, 80000)"),
    ],
    ids=["png", "bmp", "npy"],
)
def test_a_huge_size_in_a_small_file_is_refused_at_once(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "bomb").write_bytes(data)
    best = 9.0
    for _ in range(3):
        start = time.perf_counter()
        with pytest.raises(FileError, match="bomb: "):
            files.read(tmp_path / "bomb")
        best = min(best, time.perf_counter() - start)
    assert best < 0.5


@pytest.mark.parametrize("name", ["png", "jpeg", "tiff", "tiff float", "webp", "gif"])
def test_the_limit_is_the_number_of_pixels(tmp_path: Path, name: str) -> None:
    (tmp_path / "image").write_bytes(SAMPLES[name])
    before = Image.MAX_IMAGE_PIXELS
    assert files.read(tmp_path / "image", max_pixels=60 * 80).pixels.shape[:2] == (60, 80)
    with pytest.raises(FileError, match="limit"):
        files.read(tmp_path / "image", max_pixels=60 * 80 - 1)
    assert Image.MAX_IMAGE_PIXELS == before


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "deep TIFF"])
def test_an_image_is_turned_upright_as_its_orientation_says(tmp_path: Path, kind: str, orientation: int) -> None:
    # Where row 0 and column 0 of the stored image belong, from TIFF 6.0, page 36: the inverse of what is to be done.
    stored = {
        1: GREY,
        2: GREY[:, ::-1],
        3: GREY[::-1, ::-1],
        4: GREY[::-1],
        5: GREY.T,
        6: GREY.T[::-1],
        7: GREY.T[::-1, ::-1],
        8: GREY.T[:, ::-1],
    }[orientation]
    if kind == "deep TIFF":
        data = encoded_tiff(stored.astype(np.uint16), extratags=[(274, 3, 1, orientation, True)])
    else:
        exif = Image.Exif()
        exif[274] = orientation
        data = encoded(kind, np.ascontiguousarray(stored), exif=exif)
    (tmp_path / "image").write_bytes(data)
    picture = files.read(tmp_path / "image")
    np.testing.assert_array_equal(picture.pixels, GREY)
    assert picture.notes == (() if orientation == 1 else ("turned upright",))


def test_alpha_palette_and_bilevel_images_become_plain_ones(tmp_path: Path) -> None:
    image = Image.fromarray(COLOUR)
    with_alpha = image.copy()
    with_alpha.putalpha(Image.fromarray(GREY))
    palette = image.quantize(16)
    cases: list[tuple[Image.Image, np.ndarray, tuple[str, ...]]] = [
        (with_alpha, COLOUR, ("alpha channel left out",)),
        (palette, np.asarray(palette.convert("RGB")), ()),
        (image.convert("1"), np.asarray(image.convert("1").convert("L")), ()),
    ]
    for number, (made, expected, notes) in enumerate(cases):
        made.save(tmp_path / f"{number}.png")
        picture = files.read(tmp_path / f"{number}.png")
        assert picture.pixels.dtype == np.uint8
        np.testing.assert_array_equal(picture.pixels, expected)
        assert picture.notes == notes


def test_of_several_frames_or_pages_the_first_is_read_and_that_is_said(tmp_path: Path) -> None:
    frames = [Image.fromarray(GREY), Image.fromarray(255 - GREY)]
    frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames[1:])
    moving = files.read(tmp_path / "moving.gif")
    np.testing.assert_array_equal(moving.pixels[..., 0], GREY)
    assert moving.notes == ("the first of several frames",)
    tifffile.imwrite(tmp_path / "pages.tif", np.stack([GREY, GREY]).astype(np.uint16), photometric="minisblack")
    pages = files.read(tmp_path / "pages.tif")
    np.testing.assert_array_equal(pages.pixels, GREY)
    assert pages.notes == ("the first of 2 images",)


def test_sixteen_bits_per_colour_are_kept_or_refused_but_never_cut_to_eight(tmp_path: Path) -> None:
    deep = scene((20, 30, 3), np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in deep)
    (tmp_path / "deep.png").write_bytes(png(30, 20, zlib.compress(rows), depth=16))
    with pytest.raises(FileError, match="16 bits per colour channel"):
        files.read(tmp_path / "deep.png")
    (tmp_path / "deep.tif").write_bytes(encoded_tiff(deep, byteorder=">"))
    back = files.read(tmp_path / "deep.tif").pixels
    assert back.dtype == np.uint16 and back.dtype.isnative
    np.testing.assert_array_equal(back, deep)


def test_only_the_listed_formats_are_read_whatever_the_name_says(tmp_path: Path) -> None:
    for number, data in enumerate((b"P6 1 1 255 abc", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"", b"just text")):
        path = tmp_path / f"{number}.png"
        path.write_bytes(data)
        with pytest.raises(FileError, match="not an image that can be read"):
            files.read(path)
    (tmp_path / "wrong.png").write_bytes(SAMPLES["bmp"])
    np.testing.assert_array_equal(files.read(tmp_path / "wrong.png").pixels, COLOUR)


def test_what_is_not_a_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", ".", "missing.png"):
        with pytest.raises(FileError):
            files.read(tmp_path / name)


def test_a_npy_file_of_objects_is_refused_and_its_code_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    trap = np.empty(1, object)
    trap[0] = Trap()
    np.save(tmp_path / "trap.npy", trap, allow_pickle=True)
    with pytest.raises(FileError):
        files.read(tmp_path / "trap.npy")
    (tmp_path / "bare.npy").write_bytes(pickle.dumps(trap))
    with pytest.raises(FileError):
        files.read(tmp_path / "bare.npy")
    assert not (tmp_path / "sprung").exists()


def test_a_npy_file_of_foreign_byte_order_becomes_native(tmp_path: Path) -> None:
    values = np.arange(6, dtype=">f4").reshape(2, 3)
    np.save(tmp_path / "foreign.npy", values)
    back = files.read(tmp_path / "foreign.npy").pixels
    assert back.dtype.isnative
    np.testing.assert_array_equal(back, values)


def test_an_unknown_suffix_or_a_picture_that_cannot_hold_the_array_is_refused(tmp_path: Path) -> None:
    for name in ("image.xyz", "image"):
        with pytest.raises(ArgumentError, match=r"must end in one of \.npy"):
            files.write(tmp_path / name, GREY)
    for pixels in (GREY.astype(np.float32), COLOUR.astype(np.uint16), GREY[:0], GREY[0]):
        with pytest.raises(ArgumentError, match="holds"):
            files.write(tmp_path / "image.png", pixels)
    assert not list(tmp_path.iterdir())
