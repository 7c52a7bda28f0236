"""What transforms promise: NaN stays where it is, large pixels spoil no others, nothing overflows early, errors are
bounded, and what cannot be transformed is refused or done otherwise.
"""

import itertools
from collections.abc import Callable

import numpy as np
import pytest

import kernelwise as kw
from kernelwise.errors import ArgumentError
from support import oracle, tiled

DRAW = np.random.default_rng(20250321)
K = DRAW.standard_normal((9, 11))
HOLED = np.where(np.add.outer(np.arange(9), np.arange(11)) % 3 == 0, 0, K)
VALUES = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf}


@pytest.fixture(autouse=True, scope="module")
def _small_tiles():  # type: ignore[no-untyped-def]
    """Many tiles in a small image: 24 x 22 outputs in each."""
    with tiled.tiles(32, 32):
        yield


def seen(mark: np.ndarray, k: np.ndarray, **options: object) -> np.ndarray:
    """The outputs whose windows hold what is marked under a tap that is not zero."""
    return oracle.correlate(mark.astype(float), (k != 0).astype(float), **options) > 0


# ---------------------------------------------------------------- what is not finite


@pytest.mark.parametrize("code", ["f2", "f4", "f8", "c8"])
@pytest.mark.parametrize("value", VALUES)
def test_what_is_not_finite_reaches_only_the_windows_that_hold_it(
    value: str, code: str, rng: np.random.Generator
) -> None:
    """Neither the rest of its tile nor the other tile of the pair sees it; a zero tap sees nothing."""
    for border, k in itertools.product(("reflect", "constant", "wrap"), (K, HOLED)):
        x = tiled.pixels(rng, (70, 75), code)
        mark = np.zeros(x.shape, bool)
        mark[tuple(rng.integers(0, (70, 75)))] = True
        spoiled = np.where(mark, x.dtype.type(VALUES[value]), x)
        got, touched = tiled.transformed(spoiled, k, border=border), seen(mark, k, border=border)
        hit = np.isnan(got) if value == "nan" else ~np.isfinite(got)
        assert np.array_equal(hit, touched)
        made = kw.explain(x, k, border=border, method=tiled.METHOD)
        error = np.abs(got - oracle.correlate(x, k, border=border))[~touched].max()
        assert error <= tiled.allowed(made, tiled.largest(x))


def test_no_other_tile_notices_one_that_is_not_finite(rng: np.random.Generator) -> None:
    """Outputs of other pairs keep their bits; the partner keeps its error."""
    x = tiled.pixels(rng, (96, 88), "f4")
    plain = tiled.transformed(x, K, mode="valid")
    tile = np.index_exp[24:48, 22:44]
    spoiled = x.copy()
    spoiled[40, 38] = np.nan
    got = tiled.transformed(spoiled, K, mode="valid")
    changed = (got != plain) & ~np.isnan(got)
    rows, columns = np.nonzero(changed)
    assert rows.size and rows.max() < 72 and columns.max() < 66, "no tile that does not hold the pixel, or its partner"
    assert np.isnan(got[32:41, 28:39]).all() and np.isnan(got).sum() == 99
    assert not np.isnan(got[tile]).all()


@pytest.mark.parametrize("value", VALUES)
def test_a_fill_that_is_not_finite_reaches_only_the_edge(value: str, rng: np.random.Generator) -> None:
    for code, mode in itertools.product(("f4", "f8", "f2"), ("same", "full")):
        x = tiled.pixels(rng, (70, 75), code)
        options = {"border": "constant", "mode": mode}
        touched = oracle.correlate(np.zeros(x.shape), (HOLED != 0) * 1.0, fill=1, **options) > 0
        got = tiled.transformed(x, HOLED, fill=VALUES[value], **options)
        hit = np.isnan(got) if value == "nan" else ~np.isfinite(got)
        assert np.array_equal(hit, touched)
        made = kw.explain(x, HOLED, method=tiled.METHOD, **options)
        error = np.abs(got - oracle.correlate(x, HOLED, **options))[~touched].max()
        assert error <= tiled.allowed(made, tiled.largest(x))


def test_nan_in_volumes_batches_channels_and_lines(rng: np.random.Generator) -> None:
    for shape, taps, axes in (
        ((3, 2, 60, 50), (9, 7), (2, 3)),
        ((20, 40, 45), (4, 5, 5), (0, 1, 2)),
        ((60, 50, 3), (9, 7), (0, 1)),
        ((60, 2, 50), (9, 7), (0, 2)),
        ((70, 80), (30,), (0,)),
        ((4, 6, 30, 30), (2, 2, 3, 3), (0, 1, 2, 3)),
    ):
        x, k = tiled.pixels(rng, shape, "f4"), rng.standard_normal(taps)
        for _ in range(3):
            mark = np.zeros(shape, bool)
            mark[tuple(rng.integers(0, shape))] = True
            spoiled = np.where(mark, np.float32(np.nan), x)
            for laid in (spoiled, spoiled.astype(">f4")):
                got = tiled.transformed(laid, k, axes=axes, border="edge")
                assert np.array_equal(np.isnan(got), seen(mark, k, axes=axes, border="edge"))
            error = np.nanmax(np.abs(got - oracle.correlate(x, k, axes=axes, border="edge")))
            assert error <= tiled.allowed(kw.explain(x, k, axes=axes, method=tiled.METHOD), tiled.largest(x))
    for shape in ((5, 3000), (3000,)):
        with tiled.tiles(32, 32):
            x, k = tiled.pixels(rng, shape, "f4"), rng.standard_normal(50)
            mark = rng.random(shape) < 0.001
            got = tiled.transformed(np.where(mark, np.float32(np.nan), x), k)
            assert np.array_equal(np.isnan(got), seen(mark, k))


def test_a_complex_kernel_keeps_a_nan_in_its_window(rng: np.random.Generator) -> None:
    """The parts of the kernel are two transforms; each flags the tile for itself."""
    k = K + 1j * HOLED
    for code in ("f4", "c8"):
        x = tiled.pixels(rng, (70, 75), code)
        mark = np.zeros(x.shape, bool)
        mark[33, 50] = True
        got = tiled.transformed(np.where(mark, x.dtype.type(np.nan), x), k)
        assert np.array_equal(np.isnan(got), seen(mark, k))


def test_an_image_of_nothing_but_nan(rng: np.random.Generator) -> None:
    assert np.isnan(tiled.transformed(np.full((90, 100), np.nan, "f4"), K)).all()
    half = np.where(np.arange(100) < 50, np.float32(np.nan), tiled.pixels(rng, (90, 100), "f4"))
    got = tiled.transformed(half, K)
    assert np.isnan(got[:, :55]).all() and np.isfinite(got[:, 56:]).all()


# ---------------------------------------------------------------- pixels that differ in size


@pytest.mark.parametrize("value", [1e9, -1e30, 3e38])
def test_one_large_pixel_spoils_no_neighbour(value: float, rng: np.random.Generator) -> None:
    """Windows that do not hold it are as right as if it were not there."""
    x = tiled.pixels(rng, (96, 100), "f4")
    made = kw.explain(x, K, method=tiled.METHOD)
    for _ in range(12):
        mark = np.zeros(x.shape, bool)
        mark[tuple(rng.integers(0, x.shape))] = True
        got = tiled.transformed(np.where(mark, np.float32(value), x), K)
        clean = ~seen(mark, np.ones_like(K))
        error = np.abs(got - oracle.correlate(x, K))[clean].max()
        assert error <= tiled.allowed(made, tiled.largest(x))


def test_a_plane_or_channel_of_large_pixels_spoils_no_other(rng: np.random.Generator) -> None:
    x, k = tiled.pixels(rng, (12, 40, 45), "f4"), rng.standard_normal((3, 5, 5))
    x[7] *= 1e9
    got, wanted = tiled.transformed(x, k), oracle.correlate(x, k)
    away = np.abs(np.arange(12) - 7) > 1
    assert np.abs(got - wanted)[away].max() <= tiled.allowed(
        kw.explain(x, k, method=tiled.METHOD), tiled.largest(x[away])
    )
    x = tiled.pixels(rng, (3, 60, 62), "f4") * np.array([1, 1e12, 1e-20])[:, None, None].astype("f4")
    got = tiled.transformed(x, K)
    for one, image in zip(got, x, strict=True):
        made = kw.explain(image, K, method=tiled.METHOD)
        assert np.abs(one - oracle.correlate(image, K)).max() <= tiled.allowed(made, tiled.largest(image))


def test_tiles_of_very_different_size_are_paired_without_harm(rng: np.random.Generator) -> None:
    """Each tile is scaled by a power of two of its own: one of 1e30 and one of 1e-30 share a transform."""
    for big, small in ((1e30, 1e-30), (1e-37, 1e37), (1e-42, 1.0)):
        x = tiled.pixels(rng, (32, 54 + 22), "f4")  # valid: 24 rows, three tiles of columns
        x[:, :32] *= big
        x[:, 32:] *= small
        got, wanted = tiled.transformed(x, K, mode="valid"), oracle.correlate(x, K, mode="valid")
        made = kw.explain(x, K, mode="valid", method=tiled.METHOD)
        for first in (0, 44):  # the tiles in which all pixels are alike
            part = np.index_exp[:, first : first + 22]
            size = tiled.largest(x[:, first : first + 32])
            assert np.abs(got[part] - wanted[part]).max() <= tiled.allowed(made, size)


@pytest.mark.parametrize("code", ["f4", "f8"])
def test_scales_change_nothing_but_the_scale(code: str, rng: np.random.Generator) -> None:
    """Powers of two that neither overflow nor underflow give the very same bits."""
    x, largest = tiled.pixels(rng, (60, 70), code), np.finfo(code).maxexp
    got = tiled.transformed(x, K)
    for image, kernel in ((-40, 40), (60, 0), (0, 90), (largest - 12, -30), (-largest // 2, 9), (30, -70)):
        again = tiled.transformed(np.ldexp(x, image), np.ldexp(K, kernel))
        assert np.array_equal(again, np.ldexp(got, image + kernel))


@pytest.mark.parametrize("code", ["f4", "f8"])
def test_the_smallest_numbers_are_kept(code: str) -> None:
    tiny = np.finfo(code).smallest_subnormal
    for x, k in (
        (np.full((40, 60), tiny, code), np.ones((7, 8))),
        (np.ones((40, 60), code), np.full((7, 8), float(tiny))),
        (np.full((40, 60), 2.0**60, code), np.full((7, 8), float(tiny))),
    ):
        assert np.all(tiled.transformed(x, k) == x[0, 0] * np.dtype(code).type(k[0, 0]) * 56)
    assert np.all(tiled.transformed(np.full((40, 60), tiny, code), np.full((7, 8), float(tiny))) == 0)
    assert np.all(tiled.transformed(np.zeros((40, 60), code), K) == 0)


def test_finite_images_do_not_overflow_early(rng: np.random.Generator) -> None:
    """Where the definition is finite the transform is: also in windows beside those that overflow."""
    for code, most in (("f4", 1e36), ("f8", 1e306)):
        scale = np.dtype(code).type(most)
        x = np.zeros((70, 90), code)
        x[:, 60:] = rng.uniform(0.5, 1, (70, 30)) * scale
        for weight in (1.0, 1e-30, most / 1e3, most):
            got = tiled.transformed(x, np.full((9, 11), weight))
            with np.errstate(over="ignore"):
                wanted = oracle.correlate(x, np.full((9, 11), weight), work=np.longdouble)
            fits = wanted < np.finfo(code).max / 4
            assert np.isfinite(got[fits]).all()
        one = rng.uniform(0.5, 1, (70, 90)).astype(code)
        got = tiled.transformed(one, np.full((9, 11), most))
        wanted = oracle.correlate(one.astype("f8"), np.full((9, 11), 1.0))
        assert np.allclose(got / most, wanted, rtol=1e-5)


# ---------------------------------------------------------------- the bound of the error


def _patterns(rng: np.random.Generator, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    """What strains a transform: all of it in one frequency, or all of it in one pixel, row or column."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    wave = np.cos(2 * np.pi * (rng.random() * y / 2 + rng.random() * x / 2) + 6 * rng.random())
    made = {
        "constant": np.full(shape, 1 + rng.random()),
        "wave": wave,
        "signs": 1.37 * np.sign(wave + 1e-9),
        "noise": rng.standard_normal(shape),
        "positive noise": rng.random(shape),
        "pedestal": 1 + 1e-3 * rng.standard_normal(shape),
    }
    for name in ("pixel", "row", "column"):
        made[name] = np.zeros(shape)
    made["pixel"][tuple(rng.integers(0, shape))] = made["row"][int(rng.integers(shape[0]))] = 1 + rng.random()
    made["column"][:, int(rng.integers(shape[1]))] = 1 + rng.random()
    return made


@pytest.mark.parametrize(
    ("code", "tile"), [("f4", (32, 32)), ("f4", (96, 128)), ("f4", (512, 256)), ("f8", (32, 32)), ("f8", (32, 96))]
)
def test_the_bound_holds_for_every_pair_of_tiles(
    code: str, tile: tuple[int, int], rng: np.random.Generator, report_figure: Callable[[str, str], None]
) -> None:
    """For patterns of every kind beside each other in one pair; in float64 by the definition in long double."""
    worst = 0.0
    with tiled.tiles(*tile):
        for share in (0.3, 0.8):
            taps = max(5, int(tile[0] * share)), max(5, int(tile[1] * share))
            out = tile[0] - taps[0] + 1, tile[1] - taps[1] + 1
            images = _patterns(rng, tile)
            for k in _patterns(rng, taps).values():
                left, right = rng.choice(list(images), 2)
                matching = np.resize(k, tile)
                for first, second in ((left, images[right]), (left, matching), ("pixel", matching)):
                    scale = 10.0 ** rng.integers(-1, 2)
                    x = np.hstack([images[first], second[:, -out[1] :] * scale]).astype(code)
                    weights = k.astype(code)
                    made = kw.explain(x, weights, mode="valid", method=tiled.METHOD)
                    got = tiled.transformed(x, weights, mode="valid")
                    error = np.abs(got - _exactly(x, weights))
                    for at in (0, out[1]):
                        size = tiled.largest(x[:, at : at + tile[1]])
                        if size == 0:
                            assert not got[:, at : at + out[1]].any()
                            continue
                        part = error[:, at : at + out[1]].max() / tiled.allowed(made, size)
                        worst = max(worst, float(part))
    report_figure(f"error of a transform, {code}, tiles of {tile}", f"{worst:.2f} of the bound")
    assert 0.02 < worst <= 0.5, "the bound holds, with room to spare, and says something"


def _exactly(x: np.ndarray, k: np.ndarray) -> np.ndarray:
    """In float64 by one transform of the whole, for float32; in long double by the definition."""
    if x.dtype == np.float64:
        return oracle.correlate(x, k, mode="valid", work=np.longdouble)
    spectrum = np.fft.rfft2(x.astype(float)) * np.conj(np.fft.rfft2(k.astype(float), x.shape))
    whole = np.fft.irfft2(spectrum, x.shape)
    return whole[: x.shape[0] - k.shape[0] + 1, : x.shape[1] - k.shape[1] + 1]


# ---------------------------------------------------------------- what is not transformed


@pytest.mark.parametrize("code", ["u1", "i1", "u2", "i2", "?", "i4"])
def test_sums_of_integers_stay_exact(code: str, rng: np.random.Generator) -> None:
    """Integers are transformed only where their sums are certain to be exact; noise, and all pixels at their limits."""
    limits = (0, 1) if code == "?" else (np.iinfo(code).min, np.iinfo(code).max)
    done = 0
    for tile, taps in itertools.product(((32, 32), (64, 96), (512, 256)), ((0.3, 0.3), (0.6, 0.8))):
        size = [max(5, int(n * part)) for n, part in zip(tile, taps, strict=True)]
        with tiled.tiles(*tile):
            for k in (rng.integers(-9, 10, size), rng.integers(0, 2, size), np.full(size, 7)):
                for kind in ("noise", "limits", "signs"):
                    x = np.empty((tile[0] + 9, tile[1] + 30), code)
                    x[...] = {
                        "noise": rng.integers(limits[0], limits[1], x.shape, endpoint=True),
                        "limits": limits[1],
                        "signs": np.where(rng.random(x.shape) < 0.5, *limits),
                    }[kind]
                    try:
                        got = tiled.transformed(x, k)
                    except ArgumentError as error:
                        assert "might not be exact" in str(error)
                        continue
                    assert np.array_equal(got, _whole(x, k))
                    done += 1
    assert done or code == "i4"


def _whole(x: np.ndarray, k: np.ndarray) -> np.ndarray:
    """With border "reflect": by one transform of the whole in double precision, rounded."""
    before = [n // 2 for n in k.shape]
    padded = np.pad(x.astype(float), [(b, n - 1 - b) for b, n in zip(before, k.shape, strict=True)], "reflect")
    spectrum = np.fft.rfft2(padded) * np.conj(np.fft.rfft2(k.astype(float), padded.shape))
    return np.rint(np.fft.irfft2(spectrum, padded.shape)[: x.shape[0], : x.shape[1]])


def test_integers_saturate_and_their_float_results_are_whole(rng: np.random.Generator) -> None:
    x, k = rng.integers(0, 256, (80, 90)).astype("u1"), rng.integers(-9, 10, (31, 33))
    wanted = oracle.correlate(x, k).astype(np.int64)
    for dtype in ("i4", "f8", "f4", "i8", "u1", "i2", "u4"):
        with tiled.tiles(64, 64):
            got = tiled.transformed(x, k, dtype=dtype)
        clipped = wanted if dtype[0] == "f" else np.clip(wanted, np.iinfo(dtype).min, np.iinfo(dtype).max)
        assert np.array_equal(got, clipped.astype(dtype))


def test_integers_that_are_too_large_are_added_up_one_by_one(rng: np.random.Generator) -> None:
    x, k = rng.integers(-(2**31), 2**31, (80, 90)).astype("i4"), rng.integers(-(10**6), 10**6, (15, 15))
    assert kw.explain(x, k).algorithm == "direct"
    with pytest.raises(ArgumentError, match="`method`='fourier' cannot do this: sums of integers might not be exact"):
        tiled.transformed(x, k)
    assert np.array_equal(kw.correlate(x, k), oracle.correlate(x, k, work=np.int64))


@pytest.mark.parametrize(
    ("taps", "options", "why"),
    [
        ((9, 9), {"stride": 2}, "skipped"),
        ((3, 3), {}, "fewer than 24 taps"),
        ((9, 9), {"nan": "omit"}, "known"),
        ((600, 3), {}, "too far"),
        ((1, 250_000), {}, "far"),
        ((9, 9), {"dilation": 100}, "too far"),
    ],
)
def test_what_cannot_be_transformed_is_refused(taps: tuple[int, int], options: dict, why: str) -> None:
    x, k = np.ones((700, 700), "f4"), np.ones(taps)
    with pytest.raises(ArgumentError, match=f"`method`='fourier' cannot do this: .*{why}"):
        tiled.transformed(x, k, **options)
    with pytest.raises(ArgumentError, match="`method`='fourier' cannot do this"):
        kw.Filter(k, method="fourier", **options)(x)


def test_a_kernel_that_overflows_the_sums_is_not_transformed() -> None:
    x = np.ones((90, 90), "f4")
    k = np.full((9, 9), 1e300)
    with pytest.raises(ArgumentError, match="too large for the sums"):
        tiled.transformed(x, k)
    with np.errstate(over="ignore"):
        assert np.isinf(kw.correlate(x, k)).all()
    assert np.allclose(tiled.transformed(x, k, dtype="f8"), 81e300)


def test_what_is_left_out_is_never_divided_by_an_error(rng: np.random.Generator) -> None:
    """With nan="omit" sums are divided by the weights of what is known, which may be tiny: they are not transformed."""
    bell = np.exp(-(np.arange(-20, 21) ** 2) / 18)
    k = np.outer(bell, bell) * rng.uniform(0.9, 1, (41, 41))
    x = np.full((120, 130), 7.0, np.float32)
    x[30:90, 30:100] = np.nan
    assert kw.explain(x, k).algorithm == tiled.METHOD or kw.explain(x, k, nan="omit").algorithm == "direct"
    got = kw.correlate(x, k, nan="omit", border="edge")
    known = seen(~np.isnan(x), k, border="edge")
    assert np.array_equal(np.isnan(got), ~known)
    assert np.allclose(got[known], 7 * k.sum(), rtol=1e-4)
