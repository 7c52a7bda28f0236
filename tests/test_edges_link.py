"""Chains hold every edge pixel once, each a neighbour of the one before, and shapes come out as they were drawn."""

import math

import numpy as np
import pytest

from kernelwise.edges import Chain, link, subpixel
from kernelwise.edges import chain_code as code
from kernelwise.errors import ArgumentError, ArgumentTypeError
from kernelwise.jit.compile import assembly
from kernelwise.jit.target import available, named
from support.memory import KINDS, arrange
from support.scenes import disk

DENSITIES = (0.03, 0.15, 0.4, 0.7, 0.95, 1.0)


@pytest.fixture(params=available())
def target(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The test runs with the code for each instruction set of this machine."""
    monkeypatch.setenv("KERNELWISE_TARGET", request.param)
    return str(request.param)


def drawn(text: str) -> np.ndarray:
    return np.array([[mark == "#" for mark in line] for line in text.split()])


def listed(chains: list[Chain]) -> list[tuple[list[tuple[int, int]], bool]]:
    return [([tuple(pixel) for pixel in chain.pixels.tolist()], chain.closed) for chain in chains]


def one_step_away(edges: np.ndarray, a: np.ndarray, b: np.ndarray) -> bool:
    """Neighbours among the eight; a diagonal one only if neither corner between them is an edge pixel."""
    dy, dx = b - a
    if max(abs(dy), abs(dx)) != 1:
        return False
    return not (dy and dx and (edges[a[0] + dy, a[1]] or edges[a[0], a[1] + dx]))


def test_every_edge_pixel_is_in_one_chain_and_follows_a_neighbour(target: str, rng: np.random.Generator) -> None:
    for turn in range(150):
        shape = tuple(rng.integers(1, 40, 2))
        edges = rng.random(shape) < DENSITIES[turn % len(DENSITIES)]
        chains = link(edges)
        pixels = np.concatenate([chain.pixels for chain in chains]) if chains else np.empty((0, 2), np.int64)
        assert np.array_equal(np.unique(pixels, axis=0), np.argwhere(edges)), "all of them"
        assert len(pixels) == edges.sum(), "and none twice"
        for chain in chains:
            ring = [*chain.pixels, chain.pixels[0]] if chain.closed else [*chain.pixels]
            assert all(one_step_away(edges, a, b) for a, b in zip(ring, ring[1:], strict=False))
            assert len(chain.pixels) >= (4 if chain.closed else 1)


def test_a_line_is_one_chain_from_the_end_that_comes_first() -> None:
    edges = drawn("....# ...#. .##.. #....")
    assert listed(link(edges)) == [([(0, 4), (1, 3), (2, 2), (2, 1), (3, 0)], False)]


def test_a_corner_is_passed_over_its_corner_pixel() -> None:
    assert listed(link(drawn("##. .#. .##"))) == [([(0, 0), (0, 1), (1, 1), (2, 1), (2, 2)], False)]


def test_rings_are_closed_and_go_clockwise_from_their_first_pixel() -> None:
    ring = [(0, 1), (1, 2), (2, 1), (1, 0)]
    assert listed(link(drawn(".#. #.# .#."))) == [(ring, True)]
    square = [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0)]
    assert listed(link(drawn("### #.# ###"))) == [(square, True)]


def test_at_a_junction_the_straightest_pair_goes_on() -> None:
    chains = listed(link(drawn("..#.. ..#.. ##### ..... .....")))
    assert chains == [([(0, 2), (1, 2)], False), ([(2, 0), (2, 1), (2, 2), (2, 3), (2, 4)], False)]
    crossing = listed(link(drawn("#...# .#.#. ..#.. .#.#. #...#")))
    assert ([(0, 0), (1, 1), (2, 2), (3, 3), (4, 4)], False) in crossing
    assert len(crossing) == 3


def test_open_chains_come_before_closed_ones_each_in_the_order_of_rows() -> None:
    chains = link(drawn("###..... #.#..### ###..... .......# ..#..... .#.#.... ..#.....".replace(" ", "\n")))
    assert [chain.closed for chain in chains] == [False, False, True, True]
    assert [tuple(chain.pixels[0]) for chain in chains] == [(1, 5), (3, 7), (0, 0), (4, 2)]


def test_a_circle_drawn_one_pixel_thin_is_one_closed_chain() -> None:
    for radius in (3, 10, 40, 200):
        angles = np.linspace(0, 2 * math.pi, 40 * radius)
        size = 2 * radius + 5
        edges = np.zeros((size, size), bool)
        points = np.rint([radius + 2 + radius * np.sin(angles), radius + 2 + radius * np.cos(angles)]).astype(int)
        edges[tuple(points)] = True
        chains = link(edges)
        assert [chain.closed for chain in chains] == [True]


def test_a_thick_line_falls_into_a_few_long_chains() -> None:
    for thickness, most in ((2, 1), (3, 2), (5, 3)):
        edges = np.zeros((12, 40), bool)
        edges[3 : 3 + thickness, 4:36] = True
        chains = link(edges)
        assert len(chains) <= most and min(len(chain.pixels) for chain in chains) >= 28


def test_very_long_chains_are_followed_to_their_end() -> None:
    """A line that winds through the whole map, over more rows than a unit of work has."""
    edges = np.zeros((401, 203), bool)
    edges[::2] = True
    edges[1::4, -1] = True
    edges[3::4, 0] = True
    chains = link(edges)
    assert len(chains) == 1 and len(chains[0].pixels) == edges.sum()


def test_short_chains_are_left_out_on_request(rng: np.random.Generator) -> None:
    edges = rng.random((60, 80)) < 0.15
    every = listed(link(edges))
    for least in (1, 2, 5, 1000):
        assert listed(link(edges, min_length=least)) == [chain for chain in every if len(chain[0]) >= least]


@pytest.mark.parametrize("kind", KINDS)
def test_it_does_not_matter_how_the_map_lies_in_memory_or_what_it_holds(kind: str, rng: np.random.Generator) -> None:
    edges = rng.random((33, 46)) < 0.3
    expected = listed(link(edges))
    assert listed(link(arrange(edges, kind, rng))) == expected
    assert listed(link(arrange(np.where(edges, 255, 0).astype("u1"), kind, rng))) == expected


def test_the_chains_are_the_same_for_every_target(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    edges, found = rng.random((90, 111)) < 0.35, []
    for name in available():
        monkeypatch.setenv("KERNELWISE_TARGET", name)
        found.append(listed(link(edges)))
    assert all(chains == found[0] for chains in found)


def test_empty_maps_have_no_chains() -> None:
    for shape in ((0, 0), (0, 4), (3, 0), (1, 1), (5, 7)):
        assert link(np.zeros(shape, bool)) == []


def test_chains_hold_the_positions_of_their_pixels() -> None:
    """A disk: one closed chain, whose positions lie on the circle, and NaN for a pixel without a point."""
    image = disk((50, 52), (24.3, 25.1), 15)
    points = subpixel(image, threshold=10)
    edges = np.zeros(image.shape, bool)
    edges[points.row, points.column] = True
    edges[2, 3] = True  # an edge pixel that has no point
    alone, *others = sorted(link(edges, points), key=lambda chain: len(chain.pixels))
    assert np.isnan(alone.positions).all() and alone.pixels.tolist() == [[2, 3]]
    longest = others[-1]
    for chain in others:
        radii = np.hypot(chain.positions[:, 0] - 24.3, chain.positions[:, 1] - 25.1)
        assert np.abs(radii - 15).max() < 0.06
        assert np.abs(chain.positions - chain.pixels).max() <= 0.8
    assert longest.closed and len(longest.pixels) > 60


@pytest.mark.parametrize(
    ("arguments", "options", "error", "name"),
    [
        ((np.zeros((4, 4)),), {}, ArgumentTypeError, "`edges`"),
        ((np.zeros(4, bool),), {}, ArgumentError, "`edges`"),
        ((np.zeros((4, 4), bool),), {"min_length": 0}, ArgumentError, "`min_length`"),
        ((np.zeros((4, 4), bool),), {"min_length": 1.5}, ArgumentTypeError, "`min_length`"),
        ((np.zeros((4, 4), bool), [(1, 2)]), {}, ArgumentTypeError, "`points`"),
        ((np.zeros((4, 4), bool), subpixel(disk((20, 20), (9, 9), 5), threshold=9)), {}, ArgumentError, "`points`"),
    ],
)
def test_a_wrong_argument_is_named(arguments: tuple, options: dict, error: type[Exception], name: str) -> None:
    with pytest.raises(error, match=name):
        link(*arguments, **options)


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse", "neon"])
def test_the_routines_can_be_built_for_every_target(name: str) -> None:
    assert "follow" in assembly(code.emit(named(name)).text, named(name))
