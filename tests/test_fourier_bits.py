"""Transforms give the same bits: for any number of threads, any split of a batch, any layout in memory, every time.

They depend on the place in a tile, so on the whole spatial shape; a part of an image is another image.
"""

import itertools
import os
from collections.abc import Iterator

import numpy as np
import pytest

import kernelwise as kw
from kernelwise.jit import target
from support import memory, tiled
from test_bits import assert_same

DRAW = np.random.default_rng(20250322)
KERNELS = {
    "9x11": DRAW.standard_normal((9, 11)),
    "41x6": DRAW.standard_normal((41, 6)),
    "1x37": DRAW.standard_normal((1, 37)),
    "complex": DRAW.standard_normal((7, 8)) + 1j * DRAW.standard_normal((7, 8)),
    "whole": DRAW.integers(-9, 10, (13, 9)),
}
BEST = target.available()[0]


@pytest.fixture(params=target.available(), autouse=True, scope="module")
def each_target(request: pytest.FixtureRequest) -> Iterator[None]:
    """All of this holds for each instruction set with itself."""
    before = os.environ.get("KERNELWISE_TARGET")
    os.environ["KERNELWISE_TARGET"] = request.param
    kw.clear_cache()
    yield
    if before is None:
        del os.environ["KERNELWISE_TARGET"]
    else:
        os.environ["KERNELWISE_TARGET"] = before
    kw.clear_cache()


def codes() -> tuple[str, ...]:
    """All dtypes on the best target, one on the rest."""
    return ("u1", "f2", "f4", "f8", "c8") if os.environ["KERNELWISE_TARGET"] == BEST else ("f4",)


def image(rng: np.random.Generator, shape: tuple[int, ...], code: str) -> np.ndarray:
    """With a few pixels that keep their tile from being transformed."""
    x = tiled.pixels(rng, shape, code)
    if code not in ("u1", "f2"):
        flat = x.reshape(-1)
        flat[:: max(1, flat.size // 3 - 7)] = [1e20, np.nan, np.inf, -1e20][: len(flat[:: max(1, flat.size // 3 - 7)])]
    return x


def cases() -> Iterator[tuple[str, str]]:
    for name, code in itertools.product(KERNELS, codes()):
        if name != "whole" or code in ("u1", "f4"):
            yield name, code


def test_threads(rng: np.random.Generator) -> None:
    for name, code in cases():
        x = image(rng, (403, 411), code)
        alone = tiled.transformed(x, KERNELS[name], threads=1)
        for threads in (2, 3, 8):
            assert_same(tiled.transformed(x, KERNELS[name], threads=threads), alone, (name, code, threads))


def test_volumes_on_threads(rng: np.random.Generator) -> None:
    x, k = image(rng, (50, 61, 70), "f4"), DRAW.standard_normal((5, 6, 7))
    alone = tiled.transformed(x, k, threads=1)
    for threads in (2, 3, 8):
        assert_same(tiled.transformed(x, k, threads=threads), alone, threads)


def test_batches(rng: np.random.Generator) -> None:
    """Alone or among others in front of the image's axes, in between them, or moved there."""
    for name, code in cases():
        k, x = KERNELS[name], image(rng, (2, 3, 73, 90), code)
        whole = tiled.transformed(x, k)
        for i, j in itertools.product(range(2), range(3)):
            assert_same(tiled.transformed(x[i, j], k), whole[i, j], (name, code))
        assert_same(tiled.transformed(x[:, 1:], k), whole[:, 1:], (name, code))
        amidst = tiled.transformed(x.transpose(0, 2, 1, 3), k, axes=(1, 3))
        assert_same(amidst.transpose(0, 2, 1, 3), whole, (name, code))
    for code in codes():
        k, x = DRAW.standard_normal(40), image(rng, (3, 4, 1200), code)
        whole = tiled.transformed(x, k)
        for i, j in itertools.product(range(3), range(4)):
            assert_same(tiled.transformed(x[i, j], k), whole[i, j], code)


@pytest.mark.parametrize("shape", [(60, 130), (3, 70, 40), (900, 1100)])
def test_memory(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    """The last shape is worked on in several pieces where it must be copied, which are cut between the tiles."""
    large = np.prod(shape) > 100_000
    for name, code in itertools.islice(cases(), 2, None, 6 if large else 1):
        x, k = image(rng, shape, code), KERNELS[name]
        plain = tiled.transformed(x, k)
        for kind in memory.KINDS:
            assert_same(tiled.transformed(memory.arrange(x, kind, rng), k), plain, (name, code, kind))
            if kind != "read-only":
                out = memory.arrange(np.zeros_like(plain), kind, rng)
                assert tiled.transformed(x, k, out=out) is out
                assert_same(out, plain, (name, code, kind, "out"))


def test_pieces_of_signals_volumes_and_colour(rng: np.random.Generator) -> None:
    """Images that must be copied, larger than a piece of some megabytes, and with axes of every kind."""
    for shape, taps, axes in (
        ((900_000,), (45,), (0,)),
        ((700_000, 2), (45,), (0,)),
        ((40, 30_000), (45,), (1,)),
        ((70, 80, 160), (3, 4, 5), (0, 1, 2)),
        ((500, 600, 3), (8, 9), (0, 1)),
        ((300, 20, 100), (8, 9), (0, 2)),
        ((6000, 130), (40,), (0,)),
    ):
        x, k = image(rng, shape, "f4"), DRAW.standard_normal(taps)
        for border in ("reflect", "constant"):
            plain = tiled.transformed(x, k, axes=axes, border=border)
            foreign = tiled.transformed(x.astype(">f4"), k, axes=axes, border=border)
            assert_same(foreign, plain, (shape, border))


def test_borders(rng: np.random.Generator) -> None:
    """At the border as inside: an image that NumPy has extended gives the same."""
    for name, code in cases():
        k = KERNELS[name]
        width = [(n // 2, n - 1 - n // 2) for n in k.shape]
        for border in ("constant", "edge", "reflect", "symmetric", "wrap"):
            x = image(rng, (39, 170), code)
            extended = np.pad(x, width, border)
            got, wanted = tiled.transformed(x, k, border=border), tiled.transformed(extended, k, mode="valid")
            assert_same(got, wanted, (name, code, border))


def test_every_way_to_call_and_every_time(rng: np.random.Generator) -> None:
    """First call and second, function and Filter, convolution and flipped kernel, after everything was forgotten."""
    for name, code in cases():
        k, x = KERNELS[name], image(rng, (70, 80), code)
        first = tiled.transformed(x, k)
        f = kw.Filter(k, method=tiled.METHOD)
        for again in (tiled.transformed(x, k), f(x), f(x), f(x, np.zeros_like(first))):
            assert_same(again, first, (name, code))
        valid = tiled.transformed(x, k, mode="valid")
        assert_same(tiled.transformed(x, k[::-1, ::-1], convolve=True, mode="valid"), valid, (name, code))
    kw.clear_cache()
    assert_same(tiled.transformed(x, k), first)


def test_the_choice_depends_on_neither_batch_nor_threads_nor_layout() -> None:
    for k in (KERNELS["9x11"], DRAW.standard_normal((31, 31)), DRAW.standard_normal((1, 300))):
        plans = [kw.explain(((*batch, 200, 340), "f4"), k) for batch in ((), (1,), (7,), (1000,), (3, 5))]
        assert len({(p.algorithm, p.parts[0].spec, getattr(p.parts[0].spec, "paired", 0)) for p in plans}) == 1
