"""Scores rest on largest matchings and exact distances, and follow the conventions that they state."""

import math
import time
from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage, sparse
from scipy.sparse.csgraph import maximum_bipartite_matching

import kernelwise
from kernelwise.edges import distance_code, figure_of_merit, matching, matching_code, score
from kernelwise.edges.matching import match, squared_distances
from kernelwise.errors import ArgumentError, ArgumentTypeError
from kernelwise.jit.compile import assembly
from kernelwise.jit.target import available, named
from support.memory import KINDS, arrange

RADII = (0.0, 1.0, 1.5, 2.0, 4.3, 9.0)
DENSITIES = (0.01, 0.08, 0.3, 0.8)


@pytest.fixture(params=available())
def target(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The test runs with the code for each instruction set of this machine."""
    monkeypatch.setenv("KERNELWISE_TARGET", request.param)
    return str(request.param)


def pairs(places: np.ndarray, true: np.ndarray, radius: float) -> np.ndarray:
    """[i, j]: whether found pixel i and true pixel j may be paired."""
    (y, x), (v, u) = np.divmod(places, true.shape[1]), np.nonzero(true)
    return (y[:, None] - v) ** 2 + (x[:, None] - u) ** 2 <= radius**2


def largest(places: np.ndarray, true: np.ndarray, radius: float) -> int:
    """How many pairs there can be, by SciPy's Hopcroft-Karp."""
    if not len(places) or not true.any():
        return 0
    graph = sparse.csr_matrix(pairs(places, true, radius))
    return int((maximum_bipartite_matching(graph, perm_type="column") >= 0).sum())


def drawn_at_random(rng: np.random.Generator, most: int = 40) -> tuple[np.ndarray, np.ndarray, float]:
    shape = tuple(rng.integers(1, most, 2))
    places = rng.permutation(np.flatnonzero(rng.random(shape) < rng.choice(DENSITIES)))
    return places, rng.random(shape) < rng.choice(DENSITIES), float(rng.choice(RADII))


# ---------------------------------------------------------------- matching


def test_a_matching_has_as_many_pairs_as_there_can_be(target: str, rng: np.random.Generator) -> None:
    """Every pair within the radius, no pixel in two."""
    for _ in range(150):
        places, true, radius = drawn_at_random(rng)
        partner = match(places, true, radius)
        matched = partner >= 0
        assert len(set(partner[matched])) == matched.sum() == largest(places, true, radius)
        number = np.cumsum(true.reshape(-1)) - 1
        allowed = pairs(places, true, radius)
        assert all(allowed[i, number[partner[i]]] for i in np.flatnonzero(matched))
        assert true.reshape(-1)[partner[matched]].all()


def test_the_first_groups_have_the_largest_matching_of_their_own(target: str, rng: np.random.Generator) -> None:
    for _ in range(60):
        places, true, radius = drawn_at_random(rng)
        groups = np.sort(rng.integers(0, 6, len(places)))
        matched = match(places, true, radius, groups) >= 0
        for last in range(6):
            first = groups <= last
            assert matched[first].sum() == largest(places[first], true, radius)


def test_a_block_moved_by_a_few_pixels_is_matched_wholly(rng: np.random.Generator) -> None:
    """Long exchanges: every pair must be the one that lies as far away as allowed."""
    true, found = np.zeros((60, 70), bool), np.zeros((60, 70), bool)
    found[10:40, 10:50], true[13:43, 14:54] = True, True
    for places in (np.flatnonzero(found), rng.permutation(np.flatnonzero(found))):
        assert (match(places, true, 5.0) >= 0).all()


def test_matching_is_quick(rng: np.random.Generator, report_figure: Callable[[str, str], None]) -> None:
    """Two maps of 481 x 321 with lines one pixel wide, about 10,000 pixels each, within 4.3 pixels."""
    y, x = np.mgrid[:321, :481]
    true, found = np.zeros((321, 481), bool), np.zeros((321, 481), bool)
    for k in range(40):
        wave = np.rint(8 * k + 3 * np.sin(np.arange(481) / 20 + k)).astype(int)
        moved = wave + rng.integers(-2, 3)
        for lines, rows in ((true, wave), (found, moved)):
            inside = (rows >= 0) & (rows < 321) & (rng.random(481) < 0.6)
            lines[rows[inside], np.flatnonzero(inside)] = True
    score(found, true)
    times = []
    for _ in range(5):
        start = time.thread_time()
        score(found, true)
        times.append(time.thread_time() - start)
    best = min(times) * 1e3
    report_figure("score of 481 x 321", f"{best:.1f} ms for {found.sum()} and {true.sum()} pixels")
    assert best < 100


# ---------------------------------------------------------------- distances


def test_distances_are_exact(target: str, rng: np.random.Generator) -> None:
    for turn in range(60):
        shape = tuple(rng.integers(1, 70, 2))
        true = rng.random(shape) < (0.002, 0.02, 0.3)[turn % 3]
        true[tuple(rng.integers(0, shape))] = True
        exact = np.rint(ndimage.distance_transform_edt(~true) ** 2).astype(np.int64)
        where = rng.random(shape) < 0.5
        assert np.array_equal(squared_distances(true, where, threads=1 + turn % 3), exact[where])


def test_distances_across_a_long_map_do_not_overflow() -> None:
    true = np.zeros((2, 70_000), bool)
    true[0, 0] = True
    assert squared_distances(true, np.ones_like(true))[-1] == 69_999**2 + 1


@pytest.mark.parametrize("name", ["avx512", "avx2", "sse", "neon"])
def test_the_routines_can_be_built_for_every_target(name: str) -> None:
    for module, routine in ((matching_code, "match"), (distance_code, "across")):
        assert routine in assembly(module.emit(named(name)).text, named(name))


def test_clearing_the_cache_forgets_the_code_and_changes_no_result(rng: np.random.Generator) -> None:
    true = rng.random((30, 40)) < 0.1
    before = score(true, true).counts
    assert matching._code.cache_info().currsize
    kernelwise.clear_cache()
    assert not matching._code.cache_info().currsize
    assert np.array_equal(score(true, true).counts, before)


# ---------------------------------------------------------------- Pratt's figure of merit


def test_the_figure_of_merit_is_its_formula(rng: np.random.Generator) -> None:
    for _ in range(30):
        shape = tuple(rng.integers(1, 50, 2))
        true, found = rng.random(shape) < 0.1, rng.random(shape) < 0.2
        true[0, 0] = found[-1, -1] = True
        squared = ndimage.distance_transform_edt(~true)[found] ** 2
        expected = (1 / (1 + 0.2 * squared)).sum() / max(true.sum(), found.sum())
        assert figure_of_merit(found, true, alpha=0.2) == pytest.approx(expected, rel=1e-12)


def test_the_figure_of_merit_of_moved_missing_and_absent_edges() -> None:
    true = np.zeros((20, 30), bool)
    true[:, 10] = True
    half = true.copy()
    half[10:] = False
    assert figure_of_merit(true, true) == 1
    assert figure_of_merit(np.roll(true, 2, axis=1), true) == pytest.approx(1 / (1 + 4 / 9))
    assert figure_of_merit(half, true) == 0.5
    nothing = np.zeros_like(true)
    assert figure_of_merit(nothing, true) == figure_of_merit(true, nothing) == 0
    assert figure_of_merit(nothing, nothing) == 1


# ---------------------------------------------------------------- precision and recall


def lines(*rows: int, shape: tuple[int, int] = (60, 80)) -> np.ndarray:
    drawn = np.zeros(shape, bool)
    drawn[list(rows)] = True
    return drawn


def test_the_same_map_has_the_score_1_and_one_beyond_the_tolerance_0() -> None:
    true = lines(10, 30)
    assert score(true, true).f == 1
    assert score(lines(13), lines(10), tolerance=3, unit="pixels").f == 1
    assert score(lines(14), lines(10), tolerance=3, unit="pixels").f == 0
    diagonal = math.hypot(60, 80)
    assert score(lines(13), lines(10), tolerance=3 / diagonal).f == 1
    assert score(lines(13), lines(10), tolerance=2.99 / diagonal).f == 0


def test_a_pixel_is_matched_once_so_thick_lines_cost_precision() -> None:
    found = score(lines(9, 10, 11), lines(10), tolerance=2, unit="pixels")
    assert (found.precision, found.recall) == (pytest.approx(1 / 3), 1.0)
    missed = score(lines(10), lines(10, 40), tolerance=2, unit="pixels")
    assert (missed.precision, missed.recall, missed.f) == (1.0, 0.5, pytest.approx(2 / 3))


def test_of_several_annotators_all_pixels_count_for_recall_and_any_for_precision() -> None:
    found = score(lines(10, 50), [lines(10), lines(10, 30), lines(50)], tolerance=1, unit="pixels")
    assert found.precision == 1
    assert found.recall == pytest.approx(3 / 4)
    assert np.array_equal(found.counts[0, 0], np.array([3, 4, 2, 2]) * 80)


def test_every_threshold_of_a_soft_map_has_the_counts_of_its_own_map(rng: np.random.Generator) -> None:
    for _ in range(8):
        soft = np.where(rng.random((25, 30)) < 0.3, np.round(rng.random((25, 30)), 1), 0)
        truths = [rng.random((25, 30)) < 0.2 for _ in range(2)]
        together = score(soft, truths, tolerance=2, unit="pixels", thresholds=[0.1, 0.35, 0.6, 0.9])
        for k, threshold in enumerate((0.1, 0.35, 0.6, 0.9)):
            given = soft >= threshold
            hits = sum(largest(np.flatnonzero(given), true, 2.0) for true in truths)
            matched, true, right, found = together.counts[0, k]
            assert (matched, true, found) == (hits, sum(int(t.sum()) for t in truths), given.sum())
            assert max(largest(np.flatnonzero(given), t, 2.0) for t in truths) <= right <= min(found, hits)


def test_the_counts_at_a_threshold_do_not_depend_on_the_other_thresholds(rng: np.random.Generator) -> None:
    soft, truths = rng.random((40, 50)) ** 3, [rng.random((40, 50)) < 0.1 for _ in range(3)]
    many = score(soft, truths, thresholds=np.arange(1, 20) / 20).counts[0]
    few = score(soft, truths, thresholds=[0.25, 0.75]).counts[0]
    assert np.array_equal(few, many[[4, 14]])


def test_ods_takes_one_threshold_for_all_images_and_ois_one_for_each() -> None:
    """In the first image only weak edges are true, in the second only strong ones."""
    weak = np.where(lines(10), 0.4, 0.0)
    strong = np.where(lines(30), 0.9, 0.0) + np.where(lines(10, 50), 0.4, 0.0)
    found = score([weak, strong], [lines(10), lines(30)], thresholds=[0.2, 0.6])
    assert found.ois.f == 1
    low, high = 2 * (2 / 4) * 1 / (2 / 4 + 1), 2 * 1 * (1 / 2) / (1 + 1 / 2)
    assert np.allclose(found.curve.f, [low, high])
    share = np.linspace(0, 1, 100)
    precision, recall = 0.5 + 0.5 * share, 1 - 0.5 * share
    assert found.ods == found.f == pytest.approx((2 * precision * recall / (precision + recall)).max())
    assert 0.2 < found.threshold < 0.6


def test_average_precision_is_the_area_under_the_curve() -> None:
    soft = np.zeros((60, 80))
    soft[10], soft[30], soft[50] = 0.9, 0.5, 0.3
    found = score(soft, lines(10, 50), thresholds=[0.2, 0.4, 0.8])
    assert np.allclose(found.curve.recall, [1, 0.5, 0.5])
    assert np.allclose(found.curve.precision, [2 / 3, 0.5, 1.0])
    recalls = np.linspace(0, 1, 101)
    expected = np.interp(recalls, [0.5, 1.0], [0.5, 2 / 3], left=0).sum() / 100
    assert found.ap == pytest.approx(expected)


def test_99_thresholds_are_those_of_bsds() -> None:
    assert np.allclose(score(np.where(lines(10), 0.5, 0.0), lines(10)).curve.thresholds, np.arange(1, 100) / 100)


def test_maps_of_8_and_16_bits_are_soft_maps_and_0_and_1_are_not() -> None:
    soft = np.where(lines(10), 0.6, 0.0) + np.where(lines(40), 0.2, 0.0)
    expected = score(soft, lines(10), thresholds=4)
    for dtype, most in (("u1", 255), ("u2", 65535)):
        found = score(np.rint(soft * most).astype(dtype), lines(10), thresholds=4)
        assert np.array_equal(found.counts, expected.counts)
    for dtype in ("u1", "i4", "?"):
        found = score(lines(10).astype(dtype), lines(10, 40).astype(dtype))
        assert found.counts.shape == (1, 1, 4) and found.recall == 0.5
    assert score(np.where(lines(10), 255, 0).astype("u1"), lines(10)).f == 1


def test_empty_maps_score_0_where_nothing_can_be_said() -> None:
    nothing = lines()
    for found, true in ((nothing, lines(3)), (lines(3), nothing), (nothing, nothing)):
        assert score(found, true).f == 0
    assert score(np.zeros((0, 5), bool), np.zeros((0, 5), bool)).f == 0


@pytest.mark.parametrize("kind", KINDS)
def test_it_does_not_matter_how_the_maps_lie_in_memory(kind: str, rng: np.random.Generator) -> None:
    soft, true = rng.random((30, 41)), rng.random((30, 41)) < 0.1
    expected = score(soft, true)
    found = score(arrange(soft, kind, rng), arrange(true, kind, rng))
    assert np.array_equal(found.counts, expected.counts)
    assert figure_of_merit(arrange(soft > 0.8, kind, rng), arrange(true, kind, rng)) == figure_of_merit(
        soft > 0.8, true
    )


MAP, SOFT = lines(3), np.where(lines(3), 0.5, 0.0)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "name"),
    [
        ((MAP, lines(3, shape=(9, 9))), {}, ArgumentError, "`truth`"),
        ((MAP, SOFT), {}, ArgumentTypeError, "`truth`"),
        ((MAP, []), {}, ArgumentError, "`truth`"),
        (([MAP, MAP], [MAP]), {}, ArgumentError, "`truth`"),
        (([MAP, MAP], MAP), {}, ArgumentTypeError, "`truth`"),
        (([], []), {}, ArgumentError, "`found`"),
        (([MAP, SOFT], [MAP, MAP]), {}, ArgumentTypeError, "`found`"),
        ((SOFT * np.nan, MAP), {}, ArgumentError, "`found`"),
        ((SOFT * 9, MAP), {}, ArgumentError, "`found`"),
        ((SOFT * 1j, MAP), {}, ArgumentTypeError, "`found`"),
        ((MAP * 7, MAP), {}, ArgumentTypeError, "`found`"),
        ((MAP[0], MAP), {}, ArgumentTypeError, "`found`"),
        ((MAP, MAP), {"tolerance": -1}, ArgumentError, "`tolerance`"),
        ((MAP, MAP), {"unit": "px"}, ArgumentError, "`unit`"),
        ((SOFT, MAP), {"thresholds": 0}, ArgumentError, "`thresholds`"),
        ((SOFT, MAP), {"thresholds": [0.5, 0.2]}, ArgumentError, "`thresholds`"),
        ((SOFT, MAP), {"thresholds": "auto"}, ArgumentTypeError, "`thresholds`"),
        ((SOFT, MAP), {"thresholds": 0.5}, ArgumentTypeError, "`thresholds`"),
    ],
)
def test_a_wrong_argument_is_named(arguments: tuple, options: dict, error: type[Exception], name: str) -> None:
    with pytest.raises(error, match=name):
        score(*arguments, **options)


def test_a_wrong_argument_of_the_figure_of_merit_is_named() -> None:
    for given, name in (((MAP, MAP, 0), "`alpha`"), ((MAP[:5], MAP), "`found`"), ((MAP, SOFT), "`truth`")):
        with pytest.raises((ArgumentError, ArgumentTypeError), match=name):
            figure_of_merit(*given)
