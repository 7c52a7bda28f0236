"""Sub-pixel points lie on edges whose place is known exactly, whatever the image's dtype, layout and holes."""

import math
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

import numpy as np
import pytest

from kernelwise.edges import Points, canny, subpixel
from kernelwise.edges.derivatives import reach, taps
from kernelwise.errors import ArgumentError, ArgumentTypeError
from support.memory import KINDS, arrange
from support.scenes import disk, half_plane, noisy

ANGLES = [2 * math.pi * k / 30 + 0.01 * k for k in range(30)]
OFFSETS = (0.0, 0.13, 0.37, 0.61)
RADII = (3.0, 5.0, 8.0, 13.0, 20.0)
SIZE = 40
Report = Callable[[str, str], None]


def rms(errors: list[np.ndarray]) -> float:
    return float(np.sqrt(np.mean(np.concatenate(errors) ** 2)))


def line_distance(points: Points, angle: float, offset: float) -> np.ndarray:
    middle = (SIZE - 1) / 2
    return (points.x - middle) * math.cos(angle) + (points.y - middle) * math.sin(angle) - offset


def inner(points: Points, margin: float = 6.0) -> Points:
    far = np.minimum.reduce([points.x, SIZE - 1 - points.x, points.y, SIZE - 1 - points.y])
    return points[far >= margin]


def lines(noise: float, rng: np.random.Generator) -> Iterator[tuple[float, float, np.ndarray]]:
    for angle in ANGLES:
        for offset in OFFSETS:
            image = half_plane((SIZE, SIZE), angle, offset)
            yield angle, offset, noisy(image, noise, rng) if noise else image


def circles(radius: float, noise: float, rng: np.random.Generator) -> Iterator[tuple[float, float, np.ndarray]]:
    for turn in range(6):
        y, x = 31.5 + 0.17 * turn, 31.5 - 0.29 * turn
        image = disk((64, 64), (y, x), radius)
        yield y, x, noisy(image, noise, rng) if noise else image


@pytest.mark.parametrize(("noise", "most"), [(0.0, 0.012), (2.0, 0.03)])
def test_points_lie_on_straight_edges_at_every_angle_and_offset(
    noise: float, most: float, rng: np.random.Generator, report_figure: Report
) -> None:
    """Contrast 120 of 255; the points are at most 0.1 pixels off, every row or column of the edge has one."""
    errors, turned = [], []
    for angle, offset, image in lines(noise, rng):
        points = inner(subpixel(image, threshold=10))
        assert len(points) >= SIZE - 14
        errors.append(line_distance(points, angle, offset))
        turned.append(np.angle(np.exp(1j * (points.direction - angle))))
    report_figure(f"sub-pixel lines, noise {noise:g}", f"{rms(errors):.4f} px rms, direction {rms(turned):.4f} rad")
    assert rms(errors) < most
    assert np.abs(np.concatenate(errors)).max() < 0.12
    assert rms(turned) < 0.02


@pytest.mark.parametrize("radius", RADII)
@pytest.mark.parametrize(("noise", "most"), [(0.0, 0.016), (2.0, 0.035)])
def test_points_lie_on_circles_without_the_shift_of_smoothing(
    radius: float, noise: float, most: float, rng: np.random.Generator, report_figure: Report
) -> None:
    errors = []
    for y, x, image in circles(radius, noise, rng):
        points = subpixel(image, threshold=10)
        assert len(points) > 5 * radius
        errors.append(np.hypot(points.y - y, points.x - x) - radius)
    mean = float(np.concatenate(errors).mean())
    report_figure(f"sub-pixel circle of radius {radius:g}, noise {noise:g}", f"{rms(errors):.4f} px rms, {mean:+.4f}")
    assert rms(errors) < most
    assert abs(mean) < 0.02  # smoothing alone would shift them by sigma**2 / 2 radius: 0.18 to 0.027


@pytest.mark.parametrize(("noise", "most"), [(0.0, 0.014), (2.0, 0.03)])
def test_pixels_of_a_map_that_is_a_pixel_off_find_the_same_edge(
    noise: float, most: float, rng: np.random.Generator
) -> None:
    errors = []
    y, x = np.mgrid[:SIZE, :SIZE]
    middle = (SIZE - 1) / 2
    for angle, offset, image in lines(noise, rng):
        distance = (x - middle) * math.cos(angle) + (y - middle) * math.sin(angle) - offset
        inside = (np.abs(x - middle) < 13) & (np.abs(y - middle) < 13)
        edges = (np.abs(distance) < 1.2) & inside
        points = subpixel(image, edges)
        assert np.array_equal(np.argwhere(edges), np.column_stack([points.row, points.column])), (
            "one for each, in order"
        )
        errors.append(line_distance(points, angle, offset))
    assert rms(errors) < most


def test_the_strength_is_the_slope_of_the_smoothed_edge() -> None:
    """A step of 120 under a Gaussian of sigma: 120 / (sqrt(2 pi) sigma), the pixel's own width 1 / 12 added."""
    for sigma in (1.0, 1.5, 2.0):
        for angle, offset in ((0.3, 0.0), (1.9, 0.37), (-2.2, 0.61)):
            points = inner(subpixel(half_plane((SIZE, SIZE), angle, offset), threshold=5, sigma=sigma), 10)
            slope = 120 / math.sqrt(2 * math.pi * (sigma**2 + 1 / 12))
            assert np.allclose(points.strength, slope, rtol=0.02)


def test_larger_sigmas_give_smaller_errors_on_lines(rng: np.random.Generator) -> None:
    errors = [line_distance(inner(subpixel(image, threshold=5, sigma=1.5), 9), a, o) for a, o, image in lines(0, rng)]
    assert rms(errors) < 0.005


def test_points_come_row_by_row_and_each_pixel_has_one_at_most(rng: np.random.Generator) -> None:
    image = noisy(disk((64, 64), (31.2, 30.7), 17), 8, rng)
    points = subpixel(image, threshold=3)
    place = points.row * 64 + points.column
    assert (np.diff(place) > 0).all()
    off = np.maximum(np.abs(points.y - points.row), np.abs(points.x - points.column))
    assert off.max() <= 0.6 + 0.1


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "u4", "i8", "f2", "f4", "f8", ">f4", ">u2"])
def test_the_same_image_in_another_dtype_gives_the_same_points(dtype: str) -> None:
    image = np.rint(disk((48, 40), (22.3, 19.6), 11))
    expected, found = subpixel(image, threshold=10), subpixel(image.astype(dtype), threshold=10)
    for column in ("y", "x", "direction", "strength"):
        assert np.allclose(getattr(found, column), getattr(expected, column), atol=2e-3, rtol=1e-4)
    assert np.array_equal(found.row, expected.row)


def test_a_brightness_or_a_ramp_added_moves_a_straight_edge_by_nothing_or_little() -> None:
    image = half_plane((SIZE, SIZE), 0.4, 0.2)
    plain, lifted = subpixel(image, threshold=10), subpixel(image + 1e4, threshold=10)
    assert np.allclose(plain.x, lifted.x, atol=1e-6) and np.allclose(plain.y, lifted.y, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_it_does_not_matter_how_the_image_lies_in_memory(kind: str, rng: np.random.Generator) -> None:
    image = disk((41, 50), (19.5, 24.2), 12)
    expected, found = subpixel(image, threshold=10), subpixel(arrange(image, kind, rng), threshold=10)
    assert found.x.tobytes() == expected.x.tobytes() and found.y.tobytes() == expected.y.tobytes()


def test_points_depend_neither_on_threads_nor_on_how_the_work_is_cut(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    image = rng.normal(0, 20, (90, 70)).cumsum(axis=0)
    edges = rng.random((90, 70)) < 0.4
    given = ({"threshold": 2.0}, {"edges": edges})
    expected = [subpixel(image, **options, threads=1) for options in given]
    whole = [subpixel(image, **options, threads=3) for options in given]
    monkeypatch.setattr(module(), "BAND", 70 * 7)
    monkeypatch.setattr(module(), "PIECE", 50)
    cut = [subpixel(image, **options) for options in given]
    for one, other in zip(expected * 2, whole + cut, strict=True):
        assert len(one) > 300
        for column in ("y", "x", "direction", "strength", "row", "column"):
            assert getattr(one, column).tobytes() == getattr(other, column).tobytes()


def module() -> ModuleType:
    return sys.modules[subpixel.__module__]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_unknown_pixels_take_away_the_points_within_reach_and_change_no_other(value: float) -> None:
    image = half_plane((SIZE, SIZE), 0.7, 0.2)
    holes = np.zeros(image.shape, bool)
    holes[20, 17] = holes[3, 30] = True
    spoilt = np.where(holes, value, image)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    near = np.zeros(image.shape, bool)
    for y, x in np.argwhere(holes):
        near |= (np.abs(rows - y) <= reach(1.0)) & (np.abs(columns - x) <= reach(1.0))
    clean = subpixel(image, threshold=10)
    expected = clean[~near[clean.row, clean.column]]
    assert 0 < len(expected) < len(clean)
    for found in (subpixel(spoilt, threshold=10), subpixel(image, threshold=10, mask=~holes)):
        assert np.array_equal(found.row, expected.row)
        assert np.allclose(found.y, expected.y, atol=1e-9) and np.allclose(found.x, expected.x, atol=1e-9)


def test_without_a_map_the_edges_are_those_that_canny_finds(rng: np.random.Generator) -> None:
    image = disk((60, 70), (28.4, 33.1), 17) + rng.normal(0, 2, (60, 70))
    image[5, 5] = np.nan
    mask = np.ones(image.shape, bool)
    mask[:, :20] = False
    found, expected = subpixel(image, mask=mask), subpixel(image, canny(image, mask=mask), mask=mask)
    assert len(found) > 50 and found.x.tobytes() == expected.x.tobytes()
    assert np.abs(np.hypot(found.y - 28.4, found.x - 33.1) - 17).max() < 0.15
    assert len(subpixel(image.astype("f4"), sigma=2.0)) > 50


def test_points_lie_inside_the_image() -> None:
    for angle in ANGLES:
        points = subpixel(half_plane((15, 11), angle, 0.3), threshold=0.5)
        assert (points.y >= -0.5).all() and (points.y <= 14.5).all()
        assert (points.x >= -0.5).all() and (points.x <= 10.5).all()


def test_flat_and_empty_images_have_no_points() -> None:
    for shape in ((0, 0), (0, 5), (7, 0), (1, 1), (1, 9), (9, 9)):
        assert len(subpixel(np.full(shape, 7.0), threshold=0)) == 0
        assert len(subpixel(np.full(shape, 7.0), np.ones(shape, bool))) == 0


def test_taps_are_exact_on_polynomials_and_agree_with_sampled_derivatives() -> None:
    for sigma in (0.5, 0.7, 1.0, 2.3, 8.0):
        x = np.arange(-reach(sigma), reach(sigma) + 1.0)
        for order in range(5):
            moments = [(taps(sigma, order) * x**j).sum() for j in range(order + 1)]
            expected = [0.0] * order + [math.factorial(order)]
            assert np.allclose(moments, expected, atol=1e-9 * max(1, float(x[-1])) ** order)
    gauss = np.exp(-(np.arange(-9, 10.0) ** 2) / 8) / math.sqrt(8 * math.pi)
    assert np.allclose(taps(2.0, 1), gauss * np.arange(-9, 10.0) / 4, atol=2e-5)


IMAGE = np.zeros((8, 9))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "name"),
    [
        ((np.zeros(5),), {"threshold": 1}, ArgumentError, "`x`"),
        ((np.zeros((5, 5, 3)),), {"threshold": 1}, ArgumentError, "`x`"),
        ((IMAGE * 1j,), {"threshold": 1}, ArgumentTypeError, "`x`"),
        ((IMAGE, np.zeros((9, 8), bool)), {}, ArgumentError, "`edges`"),
        ((IMAGE, np.zeros((8, 9))), {}, ArgumentTypeError, "`edges`"),
        ((IMAGE,), {"threshold": -1}, ArgumentError, "`threshold`"),
        ((IMAGE,), {"threshold": "high"}, ArgumentTypeError, "`threshold`"),
        ((IMAGE,), {"threshold": 1, "sigma": 0.1}, ArgumentError, "`sigma`"),
        ((IMAGE,), {"threshold": 1, "sigma": 99}, ArgumentError, "`sigma`"),
        ((IMAGE,), {"threshold": 1, "within": 0}, ArgumentError, "`within`"),
        ((IMAGE,), {"threshold": 1, "border": "REFLECT"}, ArgumentError, "`border`"),
        ((IMAGE,), {"threshold": 1, "mask": np.ones((3, 3), bool)}, ArgumentError, "`mask`"),
        ((IMAGE,), {"threshold": 1, "threads": 0}, ArgumentError, "`threads`"),
    ],
)
def test_a_wrong_argument_is_named(arguments: tuple, options: dict, error: type[Exception], name: str) -> None:
    with pytest.raises(error, match=name):
        subpixel(*arguments, **options)
