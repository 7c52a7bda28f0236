"""In OpenCV's setting Canny's edges are cv2.Canny's, bit for bit: on every target, for any number of threads."""

from collections.abc import Iterator
from functools import cache

import cv2
import numpy as np
import pytest

from kernelwise import correlate, stencils
from kernelwise.algorithms.canny import launch as canny_launch
from kernelwise.app.bench import pictures
from kernelwise.edges import canny
from kernelwise.errors import ArgumentError, ArgumentTypeError
from kernelwise.jit.target import available
from support.memory import KINDS, arrange

THREADS = (1, 2, 3, 8)
NORMS = ("l1", "l2")
THIN = [(1, 1), (1, 2), (2, 1), (1, 7), (7, 1), (2, 2), (3, 3), (1, 31), (1, 32), (1, 33), (1, 64), (1, 65), (1, 2049)]
TALL = [(n, 1) for n in (8, 61, 62, 63, 64, 124, 125, 300)] + [(n, 2) for n in (62, 63, 126)]
WIDTHS = [
    15,
    16,
    17,
    31,
    32,
    33,
    34,
    63,
    64,
    65,
    66,
    95,
    96,
    97,
    127,
    128,
    129,
    191,
    193,
    255,
    257,
    2047,
    2048,
    2049,
    2111,
    2113,
]
THRESHOLDS = [(60, 120), (0, 0), (30.7, 90.2), (200, 100), (100, 100), (-5, 50), (-20, -10), (59.999, 1e9), (2e9, 700)]


@cache
def images() -> tuple[np.ndarray, ...]:
    """More than 200 of them: photographs, noise of several grains, shapes, thin ones, odd sizes."""
    return tuple(_images())


def _images() -> Iterator[np.ndarray]:
    rng = np.random.default_rng(20)
    for name in pictures.PHOTOGRAPHS:
        photo = pictures.photograph(name)
        yield photo
        yield np.ascontiguousarray(photo[::-1, ::-1][: rng.integers(90, 200), : rng.integers(90, 200)])
        yield pictures.resized(photo, *rng.integers(50, 300, 2))
        yield photo[: rng.integers(60, 70), : rng.integers(100, 200)].T.copy()
    for shape in (*THIN, *TALL):
        yield grain(rng, shape, 0)
        yield grain(rng, shape, 1.5)
    for width in WIDTHS:
        yield grain(rng, (int(rng.integers(3, 80)), width), 0)
        yield grain(rng, (int(rng.integers(3, 80)), width), 2)
    for number in range(70):
        shape = (int(rng.integers(1, 200)), int(rng.integers(1, 200)))
        yield grain(rng, shape, number % 5)
    for _ in range(40):
        yield shapes(rng, (int(rng.integers(20, 260)), int(rng.integers(20, 260))))
    yield from (pictures.zigzag(140, 150), pictures.spiral(150, 140), np.full((70, 80), 255, np.uint8))
    yield (np.indices((100, 90)).sum(axis=0) % 2 * 255).astype(np.uint8)
    yield np.add.outer(np.arange(100), np.arange(120)).astype(np.uint8)


def grain(rng: np.random.Generator, shape: tuple[int, int], blur: float) -> np.ndarray:
    noise = rng.integers(0, 256, shape, dtype=np.uint8)
    if not blur:
        return noise
    smooth = cv2.GaussianBlur(noise.astype(np.float32), (0, 0), blur)
    return np.rint(255 * (smooth - smooth.min()) / max(1e-9, float(np.ptp(smooth)))).astype(np.uint8)


def shapes(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Circles, boxes and lines of random shades, smooth or not at their edges."""
    picture = np.full(shape, int(rng.integers(0, 256)), np.uint8)
    for _ in range(8):
        a, b = (tuple(int(v) for v in rng.integers(0, (shape[1], shape[0]))) for _ in range(2))
        shade, smooth = int(rng.integers(0, 256)), int(rng.choice([cv2.LINE_8, cv2.LINE_AA]))
        kind = rng.integers(0, 3)
        if kind == 0:
            cv2.circle(picture, a, int(rng.integers(1, 80)), shade, int(rng.choice([-1, 1, 5])), smooth)
        elif kind == 1:
            cv2.rectangle(picture, a, b, shade, int(rng.choice([-1, 1, 3])))
        else:
            cv2.line(picture, a, b, shade, int(rng.integers(1, 9)), smooth)
    return picture


def theirs(x: np.ndarray, low: float, high: float, norm: str, aperture: int = 3) -> np.ndarray:
    return np.asarray(cv2.Canny(x, low, high, apertureSize=aperture, L2gradient=norm == "l2")).reshape(x.shape[:2])


@pytest.fixture(params=available())
def target(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The test runs with the code for each instruction set of this machine."""
    monkeypatch.setenv("KERNELWISE_TARGET", request.param)
    return str(request.param)


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small pictures are worth another thread too."""
    monkeypatch.setattr(canny_launch, "THREAD_SECONDS", 1e-12)


def test_there_are_pictures_enough() -> None:
    assert len(images()) >= 200
    assert sum(bool(theirs(x, 60, 120, "l1").any()) for x in images()) >= 150, "most of them have edges"


@pytest.mark.parametrize("norm", NORMS)
def test_every_picture_has_the_edges_of_opencv(norm: str, target: str, eager: None) -> None:
    for number, x in enumerate(images()):
        found = canny(x, 0, 60, 120, norm=norm, opencv=True, threads=THREADS[number % len(THREADS)])
        assert found.dtype == np.uint8
        assert np.array_equal(found, theirs(x, 60, 120, norm)), (number, x.shape)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("threads", THREADS)
def test_the_number_of_threads_does_not_change_a_pixel(threads: int, norm: str, eager: None) -> None:
    """Pictures of several tiles, whose edges wind through all of them."""
    for x in (
        pictures.zigzag(300, 4300),
        pictures.spiral(700, 2200),
        pictures.resized(pictures.photograph("china"), 600, 2300),
        pictures.noise(200, 2100),
    ):
        expected = theirs(x, 60, 120, norm)
        assert expected.any()
        for _ in range(2):
            assert np.array_equal(canny(x, 0, 60, 120, norm=norm, opencv=True, threads=threads), expected)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("low", "high"), THRESHOLDS)
def test_thresholds_mean_what_they_mean_to_opencv(low: float, high: float, norm: str) -> None:
    for x in images()[::9]:
        assert np.array_equal(canny(x, 0, low, high, norm=norm, opencv=True), theirs(x, low, high, norm)), x.shape


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("aperture", "scale"), [(5, 16), (7, 200)])
def test_larger_apertures_are_those_of_opencv(aperture: int, scale: int, norm: str) -> None:
    for x in images()[::7]:
        for low, high in ((60 * scale, 120 * scale), (17.3 * scale, 21.1 * scale)):
            found = canny(x, 0, low, high, norm=norm, aperture=aperture, opencv=True)
            assert np.array_equal(found, theirs(x, low, high, norm, aperture)), x.shape


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("aperture", [3, 5, 7])
def test_of_colours_the_steepest_counts_as_in_opencv(aperture: int, norm: str, target: str) -> None:
    rng = np.random.default_rng(3)
    low, high = {3: (90, 200), 5: (1500, 3000), 7: (20000, 40000)}[aperture]
    stacks = [pictures.colours("china")[:200, :300], pictures.colours("flower")[100:163, 50:115]]
    stacks += [np.stack([grain(rng, shape, 1) for _ in range(3)], axis=-1) for shape in ((1, 9), (9, 1), (70, 33))]
    stacks += [np.repeat(stacks[0][..., :1], 3, axis=-1)]  # all channels are equal
    for x in stacks:
        x = np.ascontiguousarray(x)
        found = canny(x, 0, low, high, norm=norm, aperture=aperture, channel_axis=-1, opencv=True)
        assert np.array_equal(found, theirs(x, low, high, norm, aperture)), x.shape


@pytest.mark.parametrize("kind", KINDS)
def test_it_does_not_matter_how_the_pixels_lie_in_memory(kind: str, rng: np.random.Generator) -> None:
    for x in images()[40:200:31]:
        assert np.array_equal(canny(arrange(x, kind, rng), 0, 60, 120, opencv=True), canny(x, 0, 60, 120, opencv=True))


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0)])
def test_an_empty_picture_has_no_edges(shape: tuple[int, int]) -> None:
    found = canny(np.zeros(shape, np.uint8), 0, 60, 120, opencv=True)
    assert found.shape == shape and found.dtype == np.uint8


def test_what_opencv_does_not_have_is_refused() -> None:
    x = np.zeros((9, 9), np.uint8)
    refused = {
        "sigma": {"sigma": 1.0},
        "operator": {"operator": "scharr"},
        "mask": {"mask": np.ones((9, 9), bool)},
        "border": {"border": "wrap"},
    }
    for name, options in refused.items():
        with pytest.raises(ArgumentError, match=f"`{name}`.*opencv"):
            canny(x, **{"sigma": 0, "low": 1, "high": 2, "opencv": True, **options})
    for dtype in ("u2", "f4", "?", "i1"):
        with pytest.raises(ArgumentTypeError, match="`x` must be uint8"):
            canny(x.astype(dtype), 0, 1, 2, opencv=True)


def test_rules_for_thresholds_work_here_too() -> None:
    x = pictures.photograph("camera")
    middle = float(np.median(x))
    expected = theirs(x, 2 / 3 * middle, 4 / 3 * middle, "l1")
    assert np.array_equal(canny(x, 0, "median", "median", norm="l1", opencv=True), expected)
    sizes: list[np.ndarray] = []
    for aperture in (3, 5, 7):
        expected = theirs(x, 2 / 3 * middle, 4 / 3 * middle, "l1", aperture)
        assert np.array_equal(canny(x, 0, high="median", norm="l1", aperture=aperture, opencv=True), expected)
        canny(x, 0, high=lambda m: sizes.append(m) or 1, norm="l1", aperture=aperture, opencv=True)
        gy, gx = (stencils.sobel(aperture, axis=axis) for axis in (0, 1))
        size = sum(np.abs(correlate(x, k, border="edge").astype(float)) for k in (gy, gx))
        assert np.abs(np.sort(sizes[-1]) - np.sort(size.ravel())).max() <= (16 if aperture == 7 else 0)
    for norm in NORMS:
        assert 0.01 < canny(x, 0, norm=norm, opencv=True).mean() / 255 < 0.2
