"""Canny's edges are what their definition says; neither dtype nor layout, threads, or a mask's rim add or take any."""

import re
from typing import Any

import numpy as np
import pytest
import scipy.ndimage

from kernelwise import correlate, stencils
from kernelwise.algorithms.canny import launch as canny_launch
from kernelwise.app.bench import pictures
from kernelwise.edges import canny, thresholds
from kernelwise.edges.detector import OPERATORS
from kernelwise.errors import ArgumentError, ArgumentTypeError
from kernelwise.jit.target import available
from support.memory import KINDS, arrange

F4 = np.float32
PAD = {"reflect": "reflect", "edge": "edge", "symmetric": "symmetric", "wrap": "wrap"}
TAPS = {"sobel": (1, 2, 1), "scharr": (3, 10, 3), "prewitt": (1, 1, 1)}
SHAPES = [(1, 1), (1, 9), (9, 1), (2, 2), (5, 8), (8, 15), (9, 16), (7, 17), (30, 33), (64, 65), (63, 130), (130, 70)]


def by_definition(x: np.ndarray, low: float, high: float, taps: tuple[int, ...], norm: str, border: str) -> np.ndarray:
    """Pixel by pixel in float32, for a picture of whole numbers, whose gradients are exact."""
    padded = np.pad(x.astype(F4), 1, mode=PAD[border])
    rows, columns = x.shape
    gx, gy = np.zeros(x.shape, F4), np.zeros(x.shape, F4)
    for k, tap in enumerate(taps):
        gx += tap * (padded[k : k + rows, 2:] - padded[k : k + rows, :-2])
        gy += tap * (padded[2:, k : k + columns] - padded[:-2, k : k + columns])
    size = np.pad(np.abs(gx) + np.abs(gy) if norm == "l1" else np.sqrt(gx * gx + gy * gy), 1)
    thin = np.zeros(x.shape, bool)
    for y, x_ in np.argwhere(size[1:-1, 1:-1] > F4(low)):
        thin[y, x_] = is_ridge(size[y : y + 3, x_ : x_ + 3], gy[y, x_], gx[y, x_])
    return connected(thin, thin & (size[1:-1, 1:-1] > F4(high)))


def is_ridge(size: np.ndarray, gy: np.float32, gx: np.float32) -> bool:
    """Whether the middle of 3 x 3 magnitudes exceeds those where the line along the gradient leaves the square."""
    ay, ax = abs(gy), abs(gx)
    along = (int(np.sign(gy)) or 1, int(np.sign(gx)) or 1)
    straight = (along[0], 0) if ay > ax else (0, along[1])
    if straight < (0, 0):  # first the side above, or the left one
        first, second = straight, (-straight[0], -straight[1])
        corner = along
    else:
        first, second = (-straight[0], -straight[1]), straight
        corner = (-along[0], -along[1])
    middle, larger, smaller = size[1, 1], max(ax, ay), min(ax, ay)
    before, behind = (
        ((middle - size[1 + s[0], 1 + s[1]]) * larger, (size[1 + c[0], 1 + c[1]] - size[1 + s[0], 1 + s[1]]) * smaller)
        for s, c in ((first, corner), (second, (-corner[0], -corner[1])))
    )
    return bool(before[0] > before[1] and behind[0] >= behind[1])


def connected(candidates: np.ndarray, strong: np.ndarray) -> np.ndarray:
    """The groups of candidates, by eight neighbours, that hold a strong pixel."""
    groups, _ = scipy.ndimage.label(candidates, np.ones((3, 3)))
    return np.isin(groups, np.setdiff1d(groups[strong], [0]))


def whole(rng: np.random.Generator, shape: tuple[int, int], dtype: str = "u1") -> np.ndarray:
    """A picture of whole numbers, in places smooth."""
    coarse = rng.integers(0, 200, tuple(-(-n // 6) for n in shape))
    fine = np.kron(coarse, np.ones((6, 6), int))[: shape[0], : shape[1]]
    return (scipy.ndimage.uniform_filter(fine, 3) + rng.integers(0, 12, shape)).astype(dtype)


@pytest.fixture(params=available())
def target(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The test runs with the code for each instruction set of this machine."""
    monkeypatch.setenv("KERNELWISE_TARGET", request.param)
    return str(request.param)


# ---------------------------------------------------------------- the definition


@pytest.mark.parametrize("norm", ["l1", "l2"])
@pytest.mark.parametrize("operator", TAPS)
def test_edges_are_those_of_the_definition(operator: str, norm: str, target: str, rng: np.random.Generator) -> None:
    for number, shape in enumerate(SHAPES):
        border = list(PAD)[number % len(PAD)] if min(shape) > 1 else "edge"
        x = whole(rng, shape)
        unit = sum(TAPS[operator])
        for low, high in ((15 * unit, 40 * unit), (0, 10 * unit), (20.5 * unit, 20.5 * unit)):
            expected = by_definition(x, low, high, TAPS[operator], norm, border)
            for dtype in ("u1", "f8"):
                found = canny(x.astype(dtype), 0, low, high, operator=operator, norm=norm, border=border)
                assert found.dtype == np.bool_
                assert np.array_equal(found, expected), (shape, low, high, dtype)


def test_values_beyond_float32_are_worked_on_in_float64(target: str, rng: np.random.Generator) -> None:
    """A picture on top of a large offset: float32 would lose it."""
    for shape in SHAPES[3:]:
        x = whole(rng, shape)
        plain = canny(x.astype("f8"), 0, 30, 100, norm="l1")
        assert np.array_equal(canny(x + 1e12, 0, 30, 100, norm="l1"), plain)
        assert np.array_equal(canny(x.astype("i8") + 10**12, 0, 30, 100, norm="l1"), plain)


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("aperture", [3, 5, 7])
def test_other_operators_are_the_gradients_that_correlation_gives(operator: str, aperture: int) -> None:
    """Strong edges lie where the magnitude exceeds the high threshold, and everything lies above the low one."""
    if aperture != 3 and operator != "sobel":
        return
    name = operator if aperture == 3 else f"sobel-{{}}-{aperture}"
    x = pictures.photograph("coins").astype(F4)
    gy, gx = (
        correlate(x, stencils.get(name.format(axis) if "{}" in name else f"{name}-{axis}")) for axis in ("y", "x")
    )
    size = np.hypot(gy, gx)
    high = float(np.quantile(size, 0.9))
    found = canny(x, 0, high / 3, high, operator=operator, aperture=aperture)
    slack = 1e-5 * float(size.max())
    assert 0.01 < found.mean() < 0.3
    assert (size[found] > high / 3 - slack).all()
    alone = canny(x, 0, high, high, operator=operator, aperture=aperture)
    assert (size[alone] > high - slack).all()
    assert (found | ~alone).all(), "a lower threshold takes no edge away"


def test_smoothing_is_the_gaussian(rng: np.random.Generator) -> None:
    x = pictures.photograph("camera").astype(F4)
    for sigma in (0.7, 1.5, 3.0):
        smooth = correlate(x, stencils.gaussian(sigma))
        assert np.array_equal(canny(x, sigma, 20, 60), canny(smooth, 0, 20, 60))


@pytest.mark.parametrize("shape", [(40, 50), (3, 300), (500, 40)])
def test_a_step_gives_one_line_of_edges_where_it_is(shape: tuple[int, int]) -> None:
    for sigma in (0, 1, 2.5):
        x = np.zeros(shape)
        x[:, shape[1] // 2 :] = 10
        for edges in (canny(x, sigma), canny(x.T, sigma).T):
            assert (edges.sum(axis=1) == 1).all()
            assert edges[:, shape[1] // 2 - 1 : shape[1] // 2 + 1].sum() == shape[0]


@pytest.mark.parametrize("angle", range(0, 180, 6))
def test_a_slanting_edge_is_one_unbroken_line_of_the_pixels_next_to_it(angle: int) -> None:
    """Those no farther off than half of the way along the gradient from row to row, or from column to column."""
    y, x = np.indices((96, 96)) - 47.5
    normal = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    distance = x * normal[0] + y * normal[1]
    edges = canny(200 * np.clip(distance + 0.5, 0, 1), 1.0)
    step = 1 / np.abs(normal).max()
    inside = slice(3, -3), slice(3, -3)
    assert np.abs(distance[inside][edges[inside]]).max() < 0.5 * step + 0.05
    assert edges[inside][np.abs(distance[inside]) < 0.5 * step - 0.05].all()
    _, groups = scipy.ndimage.label(edges, np.ones((3, 3)))
    assert groups == 1


def test_interpolation_gives_thinner_edges_nearer_to_where_they_are_than_sectors_do() -> None:
    """That is why it is the rule, but for OpenCV's setting."""
    found: dict[bool, list[tuple[float, float]]] = {False: [], True: []}
    y, x = np.indices((128, 128)) - 63.3
    for angle in np.arange(0.5, 180, 6):
        normal = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        distance = x * normal[0] + y * normal[1]
        step = correlate(np.clip(distance + 0.5, 0, 1), stencils.gaussian(1.0)) * 100 + 50
        for opencv in (False, True):
            edges = canny(np.rint(step).astype(np.uint8), 0, 60, 150, border="edge", opencv=opencv)[8:-8, 8:-8] != 0
            length = 112 / max(map(abs, normal))
            found[opencv].append((edges.sum() / length, np.square(distance[8:-8, 8:-8][edges]).mean()))
    (pixels, error), (pixels_of_sectors, error_of_sectors) = (
        np.mean(found[opencv], axis=0) for opencv in (False, True)
    )
    assert pixels < 0.98 * pixels_of_sectors
    assert np.sqrt(error) < 0.98 * np.sqrt(error_of_sectors)


def test_a_circle_is_one_ring() -> None:
    y, x = np.indices((120, 120)) - 59.3
    for radius in (8.0, 20.5, 47.0):
        edges = canny(np.clip(radius - np.hypot(x, y) + 0.5, 0, 1), 1.0)
        assert np.abs(np.hypot(x, y)[edges] - radius).max() < 1.2
        _, inside = scipy.ndimage.label(~edges)
        assert inside == 2, "it parts the inside from the outside"


# ---------------------------------------------------------------- what must not matter


DTYPES = ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", ">u2", ">f4", ">f8"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_same_picture_has_the_same_edges_in_every_dtype(dtype: str, target: str, rng: np.random.Generator) -> None:
    most = {"?": 2, "i1": 128}.get(dtype, 256)
    for shape in ((70, 90), (33, 2100)):
        x = (whole(rng, shape).astype(int) * most // 256).astype(dtype)
        for options in ({}, {"sigma": 0}, {"sigma": 2.0, "norm": "l1", "high": "otsu"}, {"operator": "farid"}):
            assert np.array_equal(canny(x, **options), canny(x.astype("f8"), **options)), (shape, options)


@pytest.mark.parametrize("exponent", [-900, -120, -30, 60, 900])
def test_the_scale_of_the_picture_does_not_matter(exponent: int) -> None:
    x = pictures.photograph("camera")[:200, :230].astype("f8")
    scaled = np.ldexp(x, exponent)
    assert np.array_equal(canny(scaled), canny(x))
    low, high = np.ldexp(60.0, exponent), np.ldexp(120.0, exponent)
    assert np.array_equal(canny(scaled, 1, low, high), canny(x, 1, 60, 120))
    if abs(exponent) < 120:
        assert np.array_equal(canny(scaled.astype(F4)), canny(x))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["u1", "f4", "f8"])
def test_it_does_not_matter_how_the_pixels_lie_in_memory(kind: str, dtype: str, rng: np.random.Generator) -> None:
    for shape in ((1, 40), (65, 70)):
        x = whole(rng, shape, dtype)
        for options in ({"sigma": 0.0}, {"operator": "central"}):
            assert np.array_equal(canny(arrange(x, kind, rng), **options), canny(x, **options))


def test_the_picture_is_not_written(rng: np.random.Generator) -> None:
    x = whole(rng, (60, 70), "f4")
    x[3, 4] = np.nan
    before = x.copy()
    x.flags.writeable = False
    for options in ({}, {"sigma": 0}, {"mask": np.ones(x.shape, bool)}):
        canny(x, **options)
    assert np.array_equal(x, before, equal_nan=True)


@pytest.mark.parametrize("options", [{}, {"sigma": 0}, {"operator": "farid"}, {"norm": "l1"}])
def test_the_number_of_threads_does_not_change_a_pixel(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    monkeypatch.setattr(canny_launch, "THREAD_SECONDS", 1e-12)
    for x in (whole(rng, (300, 2300), "f4"), pictures.zigzag(140, 4200)):
        alone, *others = (canny(x, threads=threads, **options) for threads in (1, 2, 3, 8))
        assert alone.any()
        for found in others:
            assert np.array_equal(found, alone)


# ---------------------------------------------------------------- masks, NaN


def test_outside_the_mask_and_at_its_rim_there_are_no_edges(target: str) -> None:
    x = pictures.photograph("coins").astype(F4)[:150, :200]
    y, column = np.indices(x.shape)
    mask = (y - 70) ** 2 + (column - 100) ** 2 < 60**2
    for sigma in (0, 1.5):
        for wild in (0.0, 1e6, np.nan, np.inf):
            found = canny(np.where(mask, x, wild), sigma, 20, 60, mask=mask)
            assert not found[~mask].any()
            assert np.array_equal(found, canny(x, sigma, 20, 60, mask=mask)), "what lies outside has no part in it"
        assert found.sum() > 100
    flat = np.where(mask, 7.3, 0)
    for sigma in (0, 1.5):
        assert not canny(flat, sigma, mask=mask).any()
        assert not canny(flat, sigma, 1e-3, 1e-3, mask=mask).any()


def test_far_from_the_rim_a_mask_changes_nothing() -> None:
    x = pictures.photograph("coins")
    mask = np.zeros(x.shape, bool)
    mask[40:260, 50:300] = True
    inner = (slice(50, 250), slice(60, 290))
    found, plain = canny(x, 1, 300, 300, mask=mask), canny(x, 1, 300, 300)
    assert plain[inner].any()
    assert np.mean(found[inner] != plain[inner]) < 1e-3, "but for the rounding of another sum"
    assert np.array_equal(canny(x, 0, 300, 300, mask=mask)[inner], canny(x, 0, 300, 300)[inner])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_counts_as_outside(value: float, rng: np.random.Generator) -> None:
    x = whole(rng, (70, 80), "f4")
    mask = rng.random(x.shape) > 0.01
    spoilt = np.where(mask, x, F4(value))
    for sigma in (0, 1.0):
        assert np.array_equal(canny(spoilt, sigma), canny(x, sigma, mask=mask))
    assert not canny(np.full((9, 9), value)).any()


def test_a_mask_of_nothing_and_a_mask_of_all(rng: np.random.Generator) -> None:
    x = whole(rng, (50, 60))
    assert not canny(x, mask=np.zeros(x.shape, bool)).any()
    assert np.array_equal(canny(x, 0, mask=np.ones(x.shape, bool)), canny(x, 0))


# ---------------------------------------------------------------- colours


def test_of_equal_channels_the_edges_are_those_of_one(rng: np.random.Generator) -> None:
    x = whole(rng, (60, 75))
    for channels in (1, 2, 3, 4, 5, 7):
        for axis in (0, 1, 2, -1):
            stack = np.stack([x] * channels, axis=axis)
            for options in ({}, {"sigma": 0}, {"operator": "central"}):
                assert np.array_equal(canny(stack, channel_axis=axis, **options), canny(x, **options))


def test_an_edge_in_any_channel_is_an_edge(target: str) -> None:
    x = np.zeros((40, 50, 3))
    x[:, 10:, 0], x[:, 25:, 1], x[20:, :, 2] = 1, 2, 3
    edges = canny(x, 0, 1, 2, channel_axis=2)
    for channel in range(3):
        alone = canny(x[..., channel], 0, 1, 2)
        assert alone.sum() >= 40
        assert (edges | ~alone)[5:15, :].all() or channel == 2
    assert edges[19 if edges[19].any() else 20].sum() > 40


# ---------------------------------------------------------------- thresholds


def test_rules_are_what_they_say() -> None:
    x = pictures.photograph("camera")
    gy, gx = (correlate(x.astype(F4), f"sobel-{axis}") for axis in ("y", "x"))
    size = np.hypot(gy, gx)
    seen: list[np.ndarray] = []

    def rule(given: np.ndarray) -> tuple[float, float]:
        seen.append(given)
        return 30.0, 90.0

    plain = canny(x, 0, 30, 90)
    assert np.array_equal(canny(x, 0, high=rule), plain)
    assert np.array_equal(canny(x, 0, rule, 90), plain)
    assert np.array_equal(canny(x, 0, 30, lambda m: 90), plain)
    assert np.array_equal(canny(x, 0, high=lambda m: np.array([30, 90])), plain)
    assert np.allclose(np.sort(seen[0]), np.sort(size.ravel()), rtol=1e-5)
    assert np.array_equal(canny(x, 0, high=90), canny(x, 0, 36, 90)), "low follows high"
    middle = float(np.median(x))
    assert np.array_equal(canny(x, 0, high="median"), canny(x, 0, 2 / 3 * middle, 4 / 3 * middle))
    tenth = float(np.sort(size.ravel())[-size.size // 10 - 1])
    found = canny(x, 0, high=("fraction", 0.1))
    assert np.mean(found != canny(x, 0, 0.4 * tenth, tenth)) < 1e-4
    assert canny(x, 0, high=("fraction", 1.0)).sum() >= canny(x, 0, high=("fraction", 0.5)).sum()
    assert not canny(x, 0, high=("fraction", 0.0)).any()


@pytest.mark.parametrize("mask", [False, True])
def test_the_sample_of_magnitudes_is_spread_over_the_picture(
    mask: bool, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines of any direction have their share in it; nothing unknown has."""
    automatic, shape = thresholds.automatic, (700, 2149)
    y, x = np.indices(shape)
    for across in (y, x, y + x, y - 2 * x):
        picture = np.where(np.abs(across - across.mean()) < 1.2, 90.0, 0.0)
        known = np.broadcast_to(y > 100, shape) if mask else None
        all_, some = [], []
        canny(picture, 0, high=lambda m, seen=all_: seen.append(m) or 1, mask=known)
        monkeypatch.setattr(thresholds, "automatic", lambda m, seen=some: seen.append(m) or automatic(m))
        edges = canny(picture, 0, mask=known)
        assert thresholds.SAMPLE / 2 < some[0].size < all_[0].size / 4
        share = np.mean(all_[0] > 0)
        assert share > 0 and abs(np.mean(some[0] > 0) / share - 1) < 0.3
        assert set(np.unique(some[0])) <= set(np.unique(all_[0]))
        assert edges.any()


def test_otsu_is_skimages(rng: np.random.Generator) -> None:
    from skimage.filters import threshold_otsu

    for _ in range(20):
        parts = rng.rayleigh(1, 3000), rng.normal(rng.uniform(5, 20), 1, int(rng.integers(100, 2000)))
        sizes = np.abs(np.concatenate(parts))
        _, high = thresholds.otsu(sizes)
        assert abs(np.mean(sizes > high) - np.mean(sizes > threshold_otsu(sizes, nbins=4096))) < 0.005


def test_automatic_thresholds_find_the_edges_and_not_the_noise(rng: np.random.Generator) -> None:
    step = np.zeros((300, 300))
    step[:, 150:] = 100
    for noise in (0.0, 1.0, 5.0, 10.0):
        edges = canny(step + rng.normal(0, noise, step.shape) if noise else step)
        assert edges[:, 148:152].any(axis=1).mean() > 0.97
        assert edges[:, :140].mean() < 0.002
    for level in (0.0, 3.0, 1e6, 0.1):
        assert not canny(np.full((90, 80), level)).any(), "a flat picture has no edges"


def test_photographs_have_a_sensible_share_of_edges() -> None:
    for name in pictures.PHOTOGRAPHS:
        for rule in ("auto", "otsu"):
            assert 0.005 < canny(pictures.photograph(name), 1.4, high=rule).mean() < 0.2, (name, rule)


# ---------------------------------------------------------------- arguments

BAD: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"sigma": -1}, ArgumentError, "`sigma`"),
    ({"sigma": np.nan}, ArgumentError, "`sigma`"),
    ({"sigma": "1"}, ArgumentTypeError, "`sigma`"),
    ({"low": "median "}, ArgumentError, "`low` must be a number, 'auto'"),
    ({"high": "high"}, ArgumentError, "`high` must be a number, 'auto'"),
    ({"high": None}, ArgumentTypeError, "`high` must be a number, 'auto'"),
    ({"high": True}, ArgumentTypeError, "`high` must be a number, 'auto'"),
    ({"high": ("fraction", 1.5)}, ArgumentError, "f from 0 to 1"),
    ({"high": ("share", 0.5)}, ArgumentError, "`high`"),
    ({"high": np.inf}, ArgumentError, "`high` must be finite"),
    ({"low": np.nan}, ArgumentError, "`low` must be finite"),
    ({"low": 3, "high": 2}, ArgumentError, "`low` must not be larger than `high`"),
    ({"high": lambda m: None}, ArgumentError, "`high` must return"),
    ({"high": lambda m: (1, 2, 3)}, ArgumentError, "`high` must return"),
    ({"low": lambda m: np.nan}, ArgumentError, "`low` must return"),
    ({"operator": "roberts"}, ArgumentError, "`operator` must be one of 'sobel'"),
    ({"operator": 3}, ArgumentTypeError, "`operator` must be one of"),
    ({"norm": "L2"}, ArgumentError, "`norm` must be one of 'l1', 'l2'"),
    ({"aperture": 9}, ArgumentError, "`aperture` must be 3, 5 or 7"),
    ({"aperture": 5, "operator": "scharr"}, ArgumentError, "`aperture` must be 3 with the operator 'scharr'"),
    ({"border": "constant"}, ArgumentError, "`border` must be one of 'reflect'"),
    ({"mask": np.ones((8, 9), bool)}, ArgumentError, r"`mask` must have the shape \(9, 9\)"),
    ({"mask": np.ones((9, 9))}, ArgumentTypeError, "`mask` must hold booleans"),
    ({"channel_axis": 2}, ArgumentError, "`x` must have three axes"),
    ({"channel_axis": "last"}, ArgumentTypeError, "`channel_axis`"),
    ({"threads": 0}, ArgumentError, "`threads`"),
    ({"x": np.zeros(9)}, ArgumentError, "`x` must have two axes"),
    ({"x": np.zeros((9, 9, 3))}, ArgumentError, "`channel_axis`"),
    ({"x": np.zeros((9, 9, 3)), "channel_axis": 3}, ArgumentError, "`channel_axis` must be from -3 to 2"),
    ({"x": np.zeros((9, 9, 0)), "channel_axis": 2}, ArgumentError, "at least one channel"),
    ({"x": np.zeros((9, 9), complex)}, ArgumentTypeError, "`x` must be real"),
    ({"x": np.ma.zeros((9, 9))}, ArgumentTypeError, "`x` must be a plain array"),
    ({"x": "photo"}, ArgumentTypeError, "`x`"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "error", "words"), BAD)
def test_a_wrong_argument_is_named(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        canny(**{"x": np.eye(9), **options})
    assert re.search(words, str(caught.value))


@pytest.mark.parametrize("shape", [(0, 0), (0, 7), (7, 0)])
@pytest.mark.parametrize("options", [{}, {"sigma": 0}, {"operator": "farid"}, {"high": ("fraction", 0.1)}])
def test_an_empty_picture_has_no_edges(shape: tuple[int, int], options: dict[str, Any]) -> None:
    found = canny(np.zeros(shape), **options)
    assert found.shape == shape and found.dtype == np.bool_
