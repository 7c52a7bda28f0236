"""Transforms give the definition, within the bound that their plan states: dtypes, shapes, borders, tiles, layouts.

The oracle (support/oracle.py) shares no code with the library. Every comparison counts a NaN as wrong.
"""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import kernelwise as kw
from kernelwise.errors import ArgumentError
from support import memory, oracle, tiled

BORDERS = ("constant", "edge", "reflect", "symmetric", "wrap")
MODES = ("same", "valid", "full")
CODES = ("f2", "f4", "f8", ">f4", ">f8", "u1", "u2", ">u2", "i2", "i4", "u4", "i8", "?", "c8", "c16", ">c8")
DRAW = np.random.default_rng(20250320)


def ratio(got: np.ndarray, x: np.ndarray, k: np.ndarray, what: object = "", **options: Any) -> float:
    """The largest error, in parts of what the plan allows; fails above 1."""
    how = {n: v for n, v in options.items() if n not in ("dtype", "threads", "nan", "convolve")}
    wanted = oracle.correlate(x, k, flip=options.get("convolve", False), **how)
    made = kw.explain(x, k, method=tiled.METHOD, **{n: v for n, v in options.items() if n != "convolve"})
    assert made.algorithm == tiled.METHOD, what
    assert got.shape == wanted.shape, what
    assert got.dtype.newbyteorder("=") == made.problem.result, what
    if got.dtype.kind in "iu":
        limits = np.iinfo(got.dtype)
        wanted = np.clip(wanted, limits.min, limits.max)
    fill = options.get("fill", 0) if options.get("border") == "constant" else 0
    error = float(np.abs(got.astype(wanted.dtype) - wanted).max(initial=0.0))
    bound = tiled.allowed(made, tiled.largest(x, fill))
    assert error <= bound, f"{error:.3g} of {bound:.3g}: {what or (x.dtype, x.shape, k.shape, options)}"  # not for NaN
    return error / bound if bound else 0.0


def check(x: np.ndarray, k: np.ndarray, **options: Any) -> float:
    return ratio(tiled.transformed(x, k, **options), x, k, **options)


# ---------------------------------------------------------------- dtypes


@pytest.mark.parametrize("code", CODES)
def test_every_dtype_of_the_image(code: str, rng: np.random.Generator) -> None:
    """Real and complex weights; images and single rows."""
    for shape, taps in (((70, 150), (9, 13)), ((3, 4000), (1, 60)), ((500,), (41,))):
        x, k = tiled.pixels(rng, shape, code), rng.standard_normal(taps)
        check(x, k)
        check(x, (k + 1j * rng.standard_normal(taps)).astype(np.complex64), convolve=True)


@pytest.mark.parametrize("code", ["f2", "f4", "u1", "u2", "i2"])
@pytest.mark.parametrize("dtype", ["f8", "f2", "u1", "i2", "i4"])
def test_every_dtype_of_the_result(code: str, dtype: str, rng: np.random.Generator) -> None:
    """Sums of integers saturate; wider results are added up in the wider precision."""
    x, k = tiled.pixels(rng, (66, 140), code), rng.standard_normal((9, 13)) * 0.3
    check(x, k, dtype=dtype)
    if np.dtype(dtype).kind in "iu":
        got, wanted = tiled.transformed(x, k * 1e10, dtype=dtype), oracle.correlate(x, k * 1e10)
        past = np.abs(wanted) > 3e9
        assert past.mean() > 0.5
        limits = np.iinfo(dtype)
        assert np.array_equal(got[past], np.where(wanted > 0, limits.max, limits.min)[past])


# ---------------------------------------------------------------- shapes, borders, geometry


def _case(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    ndim = int(rng.choice([1, 2, 2, 2, 3, 3]))
    most = {1: 90, 2: 26, 3: 8}[ndim]
    taps = [int(rng.integers(1, most)) for _ in range(ndim)]
    if rng.random() < 0.3:
        taps[int(rng.integers(ndim))] = 1
    while np.prod(taps) < 24:
        taps[int(rng.integers(ndim))] += 3
    shape = [int(rng.integers(1, {1: 3000, 2: 160, 3: 30}[ndim])) for _ in range(ndim)]
    if rng.random() < 0.2:  # smaller than the kernel
        shape[int(rng.integers(ndim))] = int(rng.integers(1, 6))
    options: dict[str, Any] = {"mode": str(rng.choice(MODES)), "border": str(rng.choice(BORDERS))}
    options["convolve"] = bool(rng.random() < 0.4)
    if rng.random() < 0.25:
        options["dilation"] = tuple(int(rng.integers(1, 4)) for _ in taps)
    if options["mode"] == "same" and rng.random() < 0.4:
        options["anchor"] = tuple(int(rng.integers(n)) for n in taps)
    if options["border"] == "constant" and rng.random() < 0.6:
        options["fill"] = int(rng.choice([2, 9]))
    kind = rng.random()
    if kind < 0.2:  # channels behind, more than may be interleaved or fewer
        options["axes"] = tuple(range(ndim))
        shape = [max(1, n // 4) for n in shape] + [int(rng.choice([2, 3, 4, 70]))]
    elif kind < 0.5:
        shape = [*rng.integers(1, 4, int(rng.integers(1, 3))).tolist(), *shape]
    elif kind < 0.6 and ndim > 1:  # an axis of the batch amidst those of the kernel
        shape = [*shape[:1], int(rng.integers(1, 4)), *shape[1:]]
        options["axes"] = (0, *range(2, ndim + 1))
    code = str(rng.choice(["f4", "f4", "f8", "u1", "c8", "f2"]))
    return tiled.pixels(rng, tuple(shape), code), rng.standard_normal(taps), options


@pytest.mark.parametrize("chunk", range(4))
def test_random_cases_are_within_the_bound(chunk: int, report_figure: Callable[[str, str], None]) -> None:
    rng, worst, done = np.random.default_rng([chunk, 8]), 0.0, 0
    for _ in range(110):
        x, k, options = _case(rng)
        if x.dtype.kind == "c" and options.get("fill"):
            options["fill"] *= 1 + 1j  # a fill with two different parts is left to the reference
        try:
            got = tiled.transformed(x, k, **options)
        except ArgumentError as error:
            assert "reaches" in str(error) or "empty" in str(error), (error, x.shape, k.shape, options)
            continue
        worst, done = max(worst, ratio(got, x, k, **options)), done + 1
    assert done > 80
    report_figure(f"largest error of a transform, chunk {chunk}", f"{worst:.2f} of the bound, in {done} cases")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("border", BORDERS)
def test_every_mode_and_border(border: str, mode: str, rng: np.random.Generator) -> None:
    """Also where the image is much smaller than the kernel: it is repeated or mirrored again and again."""
    for shape in ((90, 131), (40, 9), (7, 5), (1, 50), (50, 1), (1, 1)):
        for taps in ((11, 15), (31, 3), (1, 45), (45, 1)):
            if mode == "valid" and any(n < t for n, t in zip(shape, taps, strict=True)):
                continue
            check(tiled.pixels(rng, shape, "f4"), rng.standard_normal(taps), mode=mode, border=border)


@pytest.mark.parametrize("side", range(1, 100, 7))
def test_an_odd_number_of_tiles_and_of_columns(side: int, rng: np.random.Generator) -> None:
    """Tiles that have no partner, and vectors of which only a part belongs to the result."""
    k = rng.standard_normal((9, 9))
    with tiled.tiles(32, 32):
        check(tiled.pixels(rng, (side, 100 - side), "f4"), k)
        check(tiled.pixels(rng, (100 - side, side), "f8"), k, mode="full", border="constant")


@pytest.mark.parametrize("length", tiled.LENGTHS)
def test_tiles_of_every_size(length: int, rng: np.random.Generator) -> None:
    """Square and oblong, in both precisions; the image takes a few tiles, the last ones in part."""
    for (rows, columns), code in itertools.product([(length, length), (32, length), (length, 32)], ("f4", "f8")):
        taps = max(2, rows // 3), max(2, columns // 3)
        shape = int(rows * 1.4), int(columns * 2.3)
        with tiled.tiles(rows, columns):
            x, k = tiled.pixels(rng, shape, code), rng.standard_normal(taps)
            got = tiled.transformed(x, k)
            made = kw.explain(x, k, method=tiled.METHOD)
        assert made.parts[0].spec.tile == (rows, columns)
        here = np.index_exp[:: max(1, shape[0] // 40), :: max(1, shape[1] // 40)]
        wanted = _by_numpy(x, k)
        error = np.abs(got - wanted)
        assert error.max() <= tiled.allowed(made, tiled.largest(x))
        assert np.abs(wanted[here]).min() > 0


def _by_numpy(x: np.ndarray, k: np.ndarray) -> np.ndarray:
    """The same with border "reflect" by one transform of the whole in double precision, for large kernels."""
    before = [n // 2 for n in k.shape]
    padded = np.pad(x.astype(float), [(b, n - 1 - b) for b, n in zip(before, k.shape, strict=True)], "reflect")
    axes = tuple(range(k.ndim))
    spectrum = np.fft.rfftn(padded) * np.conj(np.fft.rfftn(k, padded.shape, axes))
    return np.fft.irfftn(spectrum, padded.shape, axes)[tuple(slice(0, n) for n in x.shape)]


@pytest.mark.parametrize("tile", tiled.LINES)
def test_lines_of_every_length(tile: tuple[int, int], rng: np.random.Generator) -> None:
    size = tile[0] * tile[1]
    for taps, channels in ((30, 1), (size // 2, 1), (size // 9, 3)):
        n = int(size * 1.7) // channels
        x, k = tiled.pixels(rng, (n, channels), "f4"), rng.standard_normal(taps)
        with tiled.tiles(*tile):
            got = tiled.transformed(x, k, axes=0)
            made = kw.explain(x, k, axes=0, method=tiled.METHOD)
        wanted = np.stack([_by_numpy(x[:, c], k) for c in range(channels)], axis=-1)
        assert np.abs(got - wanted).max() <= tiled.allowed(made, tiled.largest(x))


def test_the_oracle_of_large_kernels_agrees_with_the_definition(rng: np.random.Generator) -> None:
    x, k = rng.standard_normal((30, 41)), rng.standard_normal((6, 9))
    assert np.abs(_by_numpy(x, k) - oracle.correlate(x, k)).max() < 1e-12


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 31, 64, 65, 130])
def test_channels_do_not_mix(channels: int, rng: np.random.Generator) -> None:
    """Interleaved, or the columns of the transform where there are more than 64."""
    x = tiled.pixels(rng, (50, 60, channels), "f4")
    for axes, taps in (((0, 1), (7, 5)), ((0,), (35,)), ((1,), (30,))):
        if channels > 40 and axes == (0, 1):
            taps = (7, 4)
        k = rng.standard_normal(taps)
        try:
            check(x, k, axes=axes)
        except ArgumentError as error:
            assert "too far" in str(error) and channels > 20


def test_volumes_and_more_axes(rng: np.random.Generator) -> None:
    """Planes are added up in the spectrum; groups of them share their transforms."""
    for shape, taps in (
        ((9, 40, 50), (3, 5, 7)),
        ((40, 20, 21), (9, 2, 3)),
        ((3, 30, 31), (7, 5, 5)),
        ((5, 6, 30, 33), (2, 3, 4, 5)),
        ((2, 3, 4, 20, 21), (2, 2, 2, 3, 4)),
    ):
        for border, code in (("reflect", "f4"), ("constant", "f8"), ("wrap", "u1")):
            check(tiled.pixels(rng, shape, code), rng.standard_normal(taps), border=border)
    check(tiled.pixels(rng, (30, 40, 45), "f4"), rng.standard_normal((3, 4, 5)), dilation=(5, 2, 3))


def test_many_planes_are_done_in_groups(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    from kernelwise.algorithms.fourier import launch

    x, k = tiled.pixels(rng, (23, 30, 31), "f4"), rng.standard_normal((4, 5, 5))
    for budget in (1, 60_000, 100_000):
        with monkeypatch.context() as patch:
            patch.setattr(launch, "GROUP_BYTES", budget)
            kw.clear_cache()
            for options in ({}, {"mode": "full", "border": "constant"}, {"dilation": (3, 1, 1), "border": "wrap"}):
                check(x, k, **options)
    kw.clear_cache()


# ---------------------------------------------------------------- layouts in memory


@pytest.mark.parametrize("kind", memory.KINDS)
def test_every_layout_of_the_image_and_of_out(kind: str, rng: np.random.Generator) -> None:
    for shape, taps in (((3, 70, 90), (11, 13)), ((4, 900), (50,))):
        x, k = tiled.pixels(rng, shape, "f4"), rng.standard_normal(taps)
        laid = memory.arrange(x, kind, rng)
        ratio(tiled.transformed(laid, k), x, k)
        if kind != "read-only":
            out = memory.arrange(np.zeros(shape, "f4"), kind, rng)
            assert tiled.transformed(x, k, out=out) is out
            ratio(out, x, k)


def test_out_may_overlap_the_image(rng: np.random.Generator) -> None:
    k = rng.standard_normal((11, 13))
    room = tiled.pixels(rng, (100, 130), "f4")
    before = room.copy()
    assert tiled.transformed(room, k, out=room) is room
    ratio(room, before, k)
    room = before.copy()
    tiled.transformed(room[:80], k, out=room[20:])
    ratio(room[20:], before[:80], k)
    assert np.array_equal(room[:20], before[:20])


@pytest.mark.parametrize("kind", ["full", "valid"])
def test_nothing_beside_the_result_is_written(kind: str, rng: np.random.Generator) -> None:
    for width in range(40, 75, 3):
        x, k = tiled.pixels(rng, (50, width), "f4"), rng.standard_normal((6, 7))
        shape = tiled.transformed(x, k, mode=kind).shape
        room = np.full((shape[0] + 2, shape[1] + 3), 77, "f4")
        tiled.transformed(x, k, mode=kind, out=room[1:-1, 1:-2])
        ratio(room[1:-1, 1:-2], x, k, mode=kind)
        room[1:-1, 1:-2] = 77
        assert (room == 77).all()
