"""Gradients equal their definition: every operator, dtype, border, number of axes and layout in memory."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import kernelwise as kw
from kernelwise.jit import target
from support import memory, slopes

CODES = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "?")
BORDERS = ("constant", "edge", "reflect", "symmetric", "wrap")
EPS = {2: 2.0**-10, 4: 2.0**-23, 8: 2.0**-52}


@pytest.fixture(params=target.available(), autouse=True)
def each_target(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All of this holds for each instruction set."""
    monkeypatch.setenv("KERNELWISE_TARGET", request.param)
    kw.clear_cache()
    yield
    kw.clear_cache()


def image(rng: np.random.Generator, shape: tuple[int, ...], code: str) -> np.ndarray:
    dtype = np.dtype(code)
    if dtype.kind in "ui":
        info = np.iinfo(dtype)
        return rng.integers(max(info.min, -(10**6)), min(info.max, 10**6), shape, endpoint=True).astype(dtype)
    return rng.integers(0, 2, shape).astype(bool) if code == "?" else rng.standard_normal(shape).astype(dtype)


def real_of(x: np.ndarray) -> np.dtype:
    """What roots and angles of an image are kept in."""
    if x.dtype.kind == "f":
        return x.dtype.newbyteorder("=")
    return np.dtype("f8" if x.dtype.itemsize >= 4 and x.dtype.kind != "b" else "f4")


def check(x: np.ndarray, operator: str, axes: tuple[int, ...] | None = None, norm: str = "l2", **border) -> None:
    """Everything that can be wanted, at once, against the definition."""
    where = axes or tuple(range(x.ndim))
    wanted = slopes.components(x, operator, where, **border)
    size = slopes.bounds(x, operator, where, **border)
    found = kw.edges.gradient(x, operator, norm=norm, axes=axes, above=float(size.mean() / 3), **border)
    whole = operator in slopes.WHOLE and x.dtype.kind != "f"
    eps = EPS[found.gx.dtype.itemsize] if not whole else 0.0
    work = 8 * len(slopes.weights(operator)[0]) * EPS[max(4, real_of(x).itemsize)]
    slack = work * size + eps * size if not whole else np.zeros_like(size)
    for name, component in wanted.items():
        got = getattr(found, name)
        assert np.all(np.abs(got.astype(float) - component) <= slack), (name, x.dtype, x.shape)
        assert got.dtype.kind == ("i" if whole else "f")
    check_magnitude(found, list(wanted.values()), norm, slack, real_of(x), whole)
    if found.direction is not None:
        check_direction(found, wanted["gy"], wanted["gx"], slack, real_of(x))
    if real_of(x).itemsize > 2:
        limit = found.magnitude.dtype.type(size.mean() / 3) if found.magnitude.dtype.kind == "f" else size.mean() / 3
        assert np.array_equal(found.mask, found.magnitude > limit)


def check_magnitude(found, components, norm, slack, real, whole) -> None:
    exact = np.sqrt(sum(c**2 for c in components)) if norm == "l2" else sum(np.abs(c) for c in components)
    rounding = 0 if whole and (norm == "l1" or len(components) == 1) else 4 * EPS[real.itemsize]
    error = np.abs(found.magnitude.astype(float) - exact)
    assert np.all(error <= len(components) * slack + rounding * exact), error.max()


def check_direction(found, gy, gx, slack, real) -> None:
    length = np.hypot(gy, gx)
    clear = length > 8 * slack
    turned = np.angle(np.exp(1j * (found.direction.astype(float) - np.arctan2(gy, gx))))
    assert np.all(np.abs(turned[clear]) <= 4 * (slack / np.maximum(length, 1e-300))[clear] + 8 * EPS[real.itemsize])
    assert not found.direction[(found.gy == 0) & (found.gx == 0)].any()
    assert np.all(np.abs(found.direction.astype(float)) <= np.pi * (1 + EPS[real.itemsize]))


@pytest.mark.parametrize("operator", slopes.OPERATORS)
def test_images_of_every_dtype(operator: str, rng: np.random.Generator) -> None:
    for n, code in enumerate(CODES):
        if code in ("u8", "i8") or (operator not in ("sobel", "farid") and n % 3):
            continue
        check(image(rng, (19, 70), code), operator, border=BORDERS[n % 5], norm=("l2", "l1")[n % 2])


@pytest.mark.parametrize("code", ["u1", "f4"])
def test_every_border(code: str, rng: np.random.Generator) -> None:
    for border in BORDERS:
        fill = {"fill": 7} if border == "constant" else {}
        for operator in ("sobel", "roberts", "farid"):
            check(image(rng, (13, 41), code), operator, border=border, **fill)


@pytest.mark.parametrize("code", ["u1", "i2", "f4", "f8"])
def test_signals_and_volumes(code: str, rng: np.random.Generator) -> None:
    for operator in ("sobel", "central", "gaussian"):
        check(image(rng, (130,), code), operator)
    for operator in ("scharr", "roberts", "farid"):
        check(image(rng, (5, 7, 37), code), operator, norm="l1" if code == "i2" else "l2")


@pytest.mark.parametrize("code", ["u1", "f4"])
def test_shapes_of_any_size(code: str, rng: np.random.Generator) -> None:
    """One pixel wide, one row high, narrower than a vector, and around the width of one."""
    for shape in ((1, 1), (1, 40), (40, 1), (2, 2), (9, 3), (3, 31), (17, 33), (8, 64), (5, 129), (33, 15)):
        check(image(rng, shape, code), "sobel")
        check(image(rng, shape, code), "sobel", border="constant", fill=3)


@pytest.mark.parametrize("code", ["u1", "f4"])
def test_axes_colour_and_batches(code: str, rng: np.random.Generator) -> None:
    check(image(rng, (12, 33, 3), code), "sobel", axes=(0, 1))
    check(image(rng, (3, 12, 33), code), "sobel", axes=(1, 2))
    check(image(rng, (2, 9, 2, 20), code), "sobel", axes=(1, 3))
    check(image(rng, (6, 9, 70), code), "prewitt", axes=(0, 1))  # more channels than are kept side by side
    check(image(rng, (4, 2, 5, 6, 30), code), "sobel", axes=(0, 2, 4))


@pytest.mark.parametrize("kind", memory.KINDS)
def test_however_an_image_lies_in_memory(kind: str, rng: np.random.Generator) -> None:
    for code in ("u1", "f4"):
        x = image(rng, (21, 50), code)
        plain = kw.edges.gradient(x, above=1.0)
        other = kw.edges.gradient(memory.arrange(x, kind, rng), above=1.0)
        for name in ("gy", "gx", "magnitude", "direction", "mask"):
            assert getattr(plain, name).tobytes() == getattr(other, name).tobytes(), (name, code)


def test_long_operators(rng: np.random.Generator) -> None:
    """Up to and beyond the length at which components are worked out one by one."""
    x = image(rng, (40, 57), "f4")
    for sigma in (0.5, 2.0, 9.0):
        found = kw.edges.gradient(x, "gaussian", sigma=sigma, above=0.01)
        wanted = slopes.components(x, "gaussian", (0, 1), sigma)
        assert np.allclose(found.gy, wanted["gy"], atol=2e-6) and np.allclose(found.gx, wanted["gx"], atol=2e-6)
        assert np.allclose(found.magnitude, np.hypot(wanted["gy"], wanted["gx"]), atol=2e-6)
        assert np.array_equal(found.mask, found.magnitude > np.float32(0.01))


def test_only_what_is_wanted(rng: np.random.Generator) -> None:
    x = image(rng, (20, 30), "u1")
    everything = kw.edges.gradient(x, above=99)
    assert everything.gz is None and len(everything.components) == 2
    for wanted in (("gy",), ("magnitude", "gx"), ("mask",), ("direction", "mask"), ("components",)):
        found = kw.edges.gradient(x, wanted=wanted, above=99 if "mask" in wanted else None)
        for name in ("gy", "gx", "magnitude", "direction", "mask"):
            array = getattr(found, name)
            named = name in wanted or ("components" in wanted and name in ("gy", "gx"))
            assert (array is not None) == named
            assert array is None or array.tobytes() == getattr(everything, name).tobytes(), (wanted, name)


def test_the_magnitude_alone(rng: np.random.Generator) -> None:
    x = image(rng, (20, 30), "f4")
    for name in ("sobel", "scharr", "prewitt", "roberts", "farid"):
        magnitude = getattr(kw.edges, name)(x, norm="l1", border="wrap")
        assert np.array_equal(magnitude, kw.edges.gradient(x, name, norm="l1", border="wrap").magnitude)


def test_a_narrower_dtype_rounds_and_saturates(rng: np.random.Generator) -> None:
    x = image(rng, (25, 40), "u1")
    wide = kw.edges.gradient(x, dtype="f8")
    for code in ("u1", "i1", "i2", "u2", "f2"):
        narrow = kw.edges.gradient(x, dtype=code)
        for name in ("gy", "gx", "magnitude"):
            exact, got = getattr(wide, name), getattr(narrow, name)
            if got.dtype.kind != "f":
                info = np.iinfo(code)
                exact = np.clip(np.rint(exact), info.min, info.max)
            assert got.dtype == code and np.array_equal(got, exact.astype(code)), (code, name)


def test_the_magnitude_neither_overflows_nor_vanishes() -> None:
    """Squares leave the range of a float long before their root does."""
    for code, scales in (("f4", (1e-38, 1e-30, 1e-20, 1e18, 1e30, 1e37)), ("f8", (1e-300, 1e-200, 1e160, 1e300))):
        x = np.array([[0, 0, 3, 3], [0, 1, 3, 5], [2, 2, 2, 9]], np.float64)
        plain = kw.edges.gradient(x, "central").magnitude
        for scale in scales:
            got = kw.edges.gradient((x * scale).astype(code), "central", above=3 * scale)
            assert np.allclose(got.magnitude / np.array(scale, code), plain, rtol=1e-5), (code, scale)
            near = np.isclose(plain, 3, rtol=1e-5)
            assert np.array_equal(got.mask[~near], (plain > 3)[~near]), (code, scale)


@pytest.mark.parametrize("code", ["u1", "i4", "f4", "f8"])
def test_a_mask_is_the_magnitude_above_the_threshold(code: str, rng: np.random.Generator) -> None:
    """To the last bit, for thresholds that are magnitudes themselves and for those beyond all of them."""
    x = image(rng, (30, 40), code) if code != "i4" else rng.integers(-9, 9, (30, 40)).astype("i4")
    for norm in ("l2", "l1"):
        magnitude = kw.edges.gradient(x, norm=norm).magnitude
        values = [*rng.choice(magnitude.ravel(), 12), 0, -1, np.inf, -np.inf, 1e-30, 1e30, magnitude.max()]
        for above in map(float, values):
            mask = kw.edges.gradient(x, norm=norm, wanted="mask", above=above).mask
            limit = above if magnitude.dtype.kind == "i" else magnitude.dtype.type(above)
            assert np.array_equal(mask, magnitude > limit), (norm, above)


def test_nan_and_infinity_stay_in_their_windows(rng: np.random.Generator) -> None:
    """A tap that is zero does not count: the column through the pixel is none of gx's business."""
    for value in (np.nan, np.inf):
        for operator in ("sobel", "central", "farid"):
            x = image(rng, (40, 50), "f4")
            clean = kw.edges.gradient(x, operator)
            x[20, 25] = value
            found = kw.edges.gradient(x, operator, above=0.5)
            for name, kernel in zip(("gy", "gx"), slopes.kernels(operator, 2), strict=True):
                reach = kernel.shape[0] // 2
                touched = np.zeros(x.shape, bool)
                touched[20 - reach : 21 + reach, 25 - reach : 26 + reach] = kernel[::-1, ::-1] != 0
                got = getattr(found, name)
                assert not np.isfinite(got[touched]).any()
                assert np.array_equal(got[~touched], getattr(clean, name)[~touched])
                assert not np.isfinite(found.magnitude[touched]).any()
            if np.isnan(value):
                assert not found.mask[np.isnan(found.magnitude)].any()


@pytest.mark.parametrize("operator", ["sobel", "farid", "gaussian"])
def test_the_bits_do_not_depend_on_the_threads(operator: str, rng: np.random.Generator) -> None:
    for code in ("u1", "f4"):
        x = image(rng, (517, 611), code)
        one = kw.edges.gradient(x, operator, above=0.5, threads=1)
        for threads in (2, 3):
            many = kw.edges.gradient(x, operator, above=0.5, threads=threads)
            for name in ("gy", "gx", "magnitude", "direction", "mask"):
                assert getattr(one, name).tobytes() == getattr(many, name).tobytes(), (name, threads)


def test_many_callers_at_once(rng: np.random.Generator) -> None:
    """A pass is kept from call to call, but nothing in it belongs to one call."""
    images = [image(rng, (60, 90), "f4") for _ in range(8)]
    wanted = [kw.edges.gradient(x, above=0.5) for x in images]

    def call(number: int) -> bool:
        k = number % len(images)
        strided = np.empty((60, 90 + number % 20), "f4")[:, :90]
        strided[...] = images[k]
        found = kw.edges.gradient(strided, above=0.5)
        return all(np.array_equal(getattr(found, n), getattr(wanted[k], n)) for n in ("gy", "magnitude", "mask"))

    with ThreadPoolExecutor(4) as callers:
        assert all(callers.map(call, range(400)))


def test_large_results_that_go_past_the_caches(rng: np.random.Generator) -> None:
    """They are the same as those of a part of the image, which do not."""
    for code in ("u1", "f4"):
        x = image(rng, (1100, 4160), code)
        whole = kw.edges.gradient(x, above=0.7)
        part = kw.edges.gradient(x[:60, :130], above=0.7)
        for name in ("gy", "gx", "magnitude", "direction", "mask"):
            assert np.array_equal(getattr(whole, name)[:59, :129], getattr(part, name)[:59, :129]), name
        corner = kw.edges.gradient(x[-60:, -130:], above=0.7)
        for name in ("gy", "gx", "magnitude", "direction", "mask"):
            assert np.array_equal(getattr(whole, name)[-59:, -129:], getattr(corner, name)[-59:, -129:]), name


def test_a_slope_divided_by_the_scale_is_the_slope() -> None:
    z, y, x = np.meshgrid(np.arange(12.0), np.arange(12.0), np.arange(12.0), indexing="ij")
    volume = 3 * z - 2 * y + 5 * x
    for operator in slopes.OPERATORS:
        g = kw.edges.gradient(volume, operator)
        inner = (slice(5, -5),) * 3
        for component, slope in zip(g.components, (3, -2, 5), strict=True):
            assert np.allclose(component[inner] / g.scale, slope), operator
        flat = kw.edges.gradient(volume[0], operator)
        assert np.allclose(flat.direction[inner[1:]], np.arctan2(-2, 5)), operator


# ---------------------------------------------------------------- out


def test_results_go_where_they_are_asked_to(rng: np.random.Generator) -> None:
    x = image(rng, (30, 44), "f4")
    fresh = kw.edges.gradient(x, above=0.5)
    again = kw.edges.gradient(x + 1, above=0.5)
    kept = again.gx
    assert kw.edges.gradient(x, above=0.5, out=again).gx is kept
    awkward = {n: np.zeros((44, 60), getattr(fresh, n).dtype).T[:30] for n in ("gy", "gx", "magnitude", "direction")}
    awkward["mask"] = np.zeros((30, 88), bool)[:, ::2]
    kw.edges.gradient(x, above=0.5, out=awkward)
    for name in ("gy", "gx", "magnitude", "direction", "mask"):
        assert np.array_equal(getattr(again, name), getattr(fresh, name))
        assert np.array_equal(
            awkward[name][: x.shape[0]][:, :44] if name != "mask" else awkward[name], getattr(fresh, name)
        )


def test_an_image_may_be_overwritten(rng: np.random.Generator) -> None:
    x = image(rng, (30, 40), "f4")
    magnitude = kw.edges.gradient(x).magnitude
    assert kw.edges.sobel(x, out=x) is x
    assert np.array_equal(x, magnitude)
    big = image(rng, (31, 40), "f4")
    found = kw.edges.gradient(big[1:], wanted=("gy", "gx"))
    kw.edges.gradient(big[1:], out={"gy": big[:-1], "gx": np.empty((30, 40), "f4")}, wanted=("gy", "gx"))
    assert np.array_equal(big[:-1], found.gy)


def test_no_pixels_no_results() -> None:
    for shape in ((0, 5), (5, 0), (0,)):
        assert kw.edges.gradient(np.zeros(shape, "f4"), border="constant").gx.shape == shape
