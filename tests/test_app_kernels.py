"""Kernels as they are written on the command line, and results as the grey levels of a picture."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import kernelwise as kw
from kernelwise.app import kernels, shades
from kernelwise.app.shades import Scale
from kernelwise.errors import ArgumentError, FileError

DIFFERENCE, MEAN = np.array([[1, -1]]), np.full((3, 3), 1 / 9)


@pytest.mark.parametrize("name", kw.stencils.names())
def test_every_name_of_a_stencil_is_a_kernel(name: str) -> None:
    np.testing.assert_array_equal(kernels.load(name), kw.stencils.get(name))


@given(arrays.arrays(np.int64, st.tuples(st.integers(1, 4), st.integers(1, 4)), elements=st.integers(-(2**62), 2**62)))
def test_whole_taps_are_read_exactly_and_stay_whole(taps: np.ndarray) -> None:
    back = kernels.load("; ".join(", ".join(str(tap) for tap in row) for row in taps.tolist()))
    assert back.dtype == np.int64
    np.testing.assert_array_equal(back, taps)


@given(
    arrays.arrays(
        np.float64,
        st.tuples(st.integers(1, 4), st.integers(1, 4)),
        elements=st.floats(allow_nan=False, allow_infinity=False),
    )
)
def test_decimal_taps_are_read_exactly(taps: np.ndarray) -> None:
    back = kernels.load(";".join(",".join(repr(tap) for tap in row) for row in taps.tolist()))
    assert back.dtype == np.float64
    np.testing.assert_array_equal(back, taps)


def test_fractions_are_divided() -> None:
    np.testing.assert_array_equal(kernels.load("1/3,-2/4,.5"), [[1 / 3, -0.5, 0.5]])


def test_kernels_come_from_npy_and_csv_files(tmp_path: Path) -> None:
    taps = np.array([[0.5, -1.25], [3, 4]])
    np.save(tmp_path / "taps.npy", taps)
    (tmp_path / "taps.csv").write_text("0.5, -1.25\n3, 4\n\n")
    for name in ("taps.npy", "taps.csv"):
        np.testing.assert_array_equal(kernels.load(str(tmp_path / name)), taps)


@pytest.mark.parametrize("text", ["", "1,", "1,x", "1;2,3", "1/0", "1e999", "nan", "inf", "sobelx", "3,,4", ";", "-"])
def test_what_is_no_kernel_is_refused_with_what_was_given(text: str) -> None:
    with pytest.raises(ArgumentError, match="`kernel`"):
        kernels.load(text)


def test_a_kernel_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "text.npy").write_text("1,2")
    for name in ("binary.csv", "text.npy", "missing.csv", "missing.npy"):
        with pytest.raises(FileError, match=name):
            kernels.load(str(tmp_path / name))


VALUES = arrays.arrays(np.float64, (4, 5), elements=st.floats(-1e6, 1e6))


@given(VALUES)
def test_signed_results_are_drawn_around_grey_in_their_order(values: np.ndarray) -> None:
    pixels = shades.to_8bit(values, Scale.AUTO, kernel=DIFFERENCE, white=1).pixels
    assert pixels.dtype == np.uint8
    assert (pixels[values == 0] == shades.GREY).all()
    assert (pixels[values > 0] >= shades.GREY).all() and (pixels[values < 0] <= shades.GREY).all()
    order = np.argsort(values, axis=None)
    assert (np.diff(pixels.ravel()[order].astype(int)) >= 0).all()
    if values.any():
        assert np.abs(pixels.astype(int) - shades.GREY).max() == shades.WHITE - shades.GREY


@given(VALUES)
def test_magnitudes_reach_from_black_to_white(values: np.ndarray) -> None:
    pixels = shades.to_8bit(values, Scale.ABS, kernel=DIFFERENCE, white=1).pixels
    largest = np.abs(values).max()
    expected = np.rint(np.abs(values) * (255 / largest)) if largest else np.zeros_like(values)
    np.testing.assert_array_equal(pixels, expected)


def test_a_mean_keeps_the_brightness_of_the_image() -> None:
    for dtype, white in ((np.uint8, 255), (np.uint16, 65535), (np.float32, 1)):
        image = np.full((5, 5), white // 2 if white > 1 else 0.5).astype(dtype)
        assert shades.white_of(image) == white
        shown = shades.to_8bit(kw.correlate(image, MEAN), Scale.AUTO, kernel=MEAN, white=white)
        assert set(np.unique(shown.pixels)) <= {127, 128}


def test_the_numbers_as_they_are_are_rounded_cut_off_and_counted() -> None:
    values = np.array([[-3.0, 0.5, 1.5, 254.6, 255.4, 999.0, np.nan, np.inf]])
    shown = shades.to_8bit(values, Scale.NONE, kernel=MEAN, white=255)
    assert shown.pixels.tolist() == [[0, 0, 2, 255, 255, 255, 0, 255]]
    assert "3 of 8 cut off" in shown.said and "1 NaN" in shown.said


def test_complex_results_are_shown_by_magnitude_only() -> None:
    values = np.array([[3 + 4j, 0]])
    assert shades.to_8bit(values, Scale.ABS, kernel=MEAN, white=1).pixels.tolist() == [[255, 0]]
    with pytest.raises(ArgumentError, match="complex"):
        shades.to_8bit(values, Scale.AUTO, kernel=MEAN, white=1)


def test_a_large_image_is_shaded_in_blocks_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=(50, 7, 3))
    at_once = shades.to_8bit(values, Scale.AUTO, kernel=DIFFERENCE, white=1)
    grey = shades.luma(values)
    monkeypatch.setattr(shades, "BLOCK", 40)
    np.testing.assert_array_equal(shades.to_8bit(values, Scale.AUTO, kernel=DIFFERENCE, white=1).pixels, at_once.pixels)
    np.testing.assert_array_equal(shades.luma(values), grey)


def test_brightness_is_the_weighted_sum_of_bt_601() -> None:
    colour = np.random.default_rng(0).integers(0, 256, (9, 11, 3)).astype(np.uint8)
    exact = colour[..., 0] * 0.299 + colour[..., 1] * 0.587 + colour[..., 2] * 0.114
    grey = shades.luma(colour)
    assert grey.dtype == np.uint8
    assert np.abs(grey - exact).max() <= 0.5 + 1e-9
    np.testing.assert_array_equal(shades.luma(grey), grey)
