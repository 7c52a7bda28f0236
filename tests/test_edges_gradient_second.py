"""Laplacians and zero crossings equal their definition."""

import numpy as np
import pytest

import kernelwise as kw
from kernelwise import stencils
from kernelwise.jit import target
from support import memory, oracle


def marked(y: np.ndarray, jump: float) -> np.ndarray:
    """The definition, pixel by pixel, in Python's own numbers."""
    found = np.zeros(y.shape, bool)
    for axis in range(y.ndim):
        lines = np.moveaxis(y, axis, -1)
        where = np.moveaxis(found, axis, -1)
        for place in np.ndindex(lines.shape[:-1]):
            line = lines[place].tolist()
            for i, here in enumerate(line):
                before, after = (line[j] if 0 <= j < len(line) else here for j in (i - 1, i + 1))
                hits = before * here < 0 and abs(here) < abs(before) and abs(here - before) > jump
                hits |= here * after < 0 and abs(here) <= abs(after) and abs(here - after) > jump
                hits |= here == 0 and before * after < 0 and abs(before - after) > jump
                where[(*place, i)] |= hits
    return found


@pytest.mark.parametrize("name", target.available())
@pytest.mark.parametrize("code", ["i1", "i2", "i4", "i8", "f2", "f4", "f8"])
def test_zero_crossings(code: str, name: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERNELWISE_TARGET", name)
    for shape in ((45,), (9, 37), (3, 6, 35), (1, 70), (40, 1)):
        y = rng.integers(-3, 4, shape).astype(code)
        for jump in (0, 2, 3.5):
            assert np.array_equal(kw.edges.zero_crossings(y, jump=jump), marked(y, jump)), (shape, jump)


@pytest.mark.parametrize("kind", memory.KINDS)
def test_zero_crossings_however_an_image_lies_in_memory(kind: str, rng: np.random.Generator) -> None:
    y = rng.standard_normal((13, 40)).astype("f4")
    assert np.array_equal(kw.edges.zero_crossings(memory.arrange(y, kind, rng), jump=0.5), marked(y, 0.5))


def test_integers_at_the_ends_of_their_range() -> None:
    for code in ("i1", "i2", "i4", "i8"):
        info = np.iinfo(code)
        y = np.array([info.min, info.max, 5, info.min, -1, info.min], code)
        for jump in (0, float(2 ** (info.bits - 2)), 1e30):
            assert np.array_equal(kw.edges.zero_crossings(y, jump=jump), marked(y, jump)), (code, jump)


def test_numbers_without_a_sign_never_cross_zero() -> None:
    for code in ("u1", "u8", "?"):
        assert not kw.edges.zero_crossings(np.array([0, 1, 0, 1], code)).any()


def test_no_crossing_next_to_a_nan_nor_at_the_border() -> None:
    y = np.array([1.0, np.nan, -1.0, -2.0, 3.0, np.inf, -np.inf])
    assert kw.edges.zero_crossings(y).tolist() == [False, False, False, True, False, True, False]


def test_crossings_into_an_array_and_over_the_image(rng: np.random.Generator) -> None:
    y = rng.standard_normal((3, 20, 30)).astype("f4")
    out = np.empty(y.shape, bool)
    assert kw.edges.zero_crossings(y, axes=(1, 2), out=out) is out
    assert np.array_equal(out, [marked(part, 0) for part in y])
    signs = rng.integers(-2, 3, (20, 30)).astype("i1")
    wanted = marked(signs, 0)
    kw.edges.zero_crossings(signs, out=signs.view(bool))
    assert np.array_equal(signs.view(bool), wanted)


def test_the_edge_of_a_disk_is_found_as_a_ring() -> None:
    """Every marked pixel lies within a pixel and a half of the circle, and the ring is closed."""
    y, x = np.mgrid[-40:41, -40:41]
    radius = np.hypot(y, x)
    found = kw.edges.zero_crossings(kw.edges.log((radius < 25).astype("f4"), 2.0), jump=0.01)
    assert np.all(np.abs(radius[found] - 25) < 1.5)
    angles = np.sort(np.arctan2(y[found], x[found]))
    assert np.diff(angles).max() < 2 / 25


@pytest.mark.parametrize("code", ["u1", "i2", "f4", "f8"])
def test_laplacians(code: str, rng: np.random.Generator) -> None:
    for shape in ((30,), (12, 20), (5, 6, 7)):
        x = rng.integers(0, 90, shape).astype(code)
        parts = []
        for axis in range(x.ndim):
            kernel = np.array([1, -2, 1]).reshape([3 if a == axis else 1 for a in range(x.ndim)])
            parts.append(oracle.correlate(x.astype(float), kernel, border="wrap"))
        assert np.array_equal(kw.edges.laplace(x, border="wrap"), sum(parts))
        box = oracle.correlate(x.astype(float), np.ones((3,) * x.ndim), border="edge")
        assert np.array_equal(kw.edges.laplace(x, diagonals=True, border="edge"), box - 3.0**x.ndim * x)
    colour = rng.integers(0, 90, (9, 11, 3)).astype(code)
    each = [kw.edges.laplace(np.ascontiguousarray(colour[..., c])) for c in range(3)]
    assert np.array_equal(kw.edges.laplace(colour, axes=(0, 1)), np.stack(each, -1))


def test_the_laplacian_of_a_gaussian(rng: np.random.Generator) -> None:
    for shape in ((60,), (30, 41), (14, 15, 16)):
        x = rng.standard_normal(shape)
        wanted = oracle.correlate(x, stencils.log(1.2, ndim=len(shape)), border="symmetric")
        assert np.allclose(kw.edges.log(x, 1.2, border="symmetric"), wanted, atol=1e-13)
