"""The benchmark, every kind of row once and tiny: it must not rot, and it must not call anything fast that is wrong."""

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernelwise import edges, ndimage
from kernelwise.app.bench import (
    calls,
    canny,
    cases,
    command,
    comparison,
    door,
    gradients,
    layer_gradients,
    layer_truth,
    layers,
    machine,
    main,
    measure,
    ours,
    pictures,
    processes,
    report,
    rivals,
    timing,
)
from kernelwise.app.bench.rivals.engines import ENGINES, Layer
from kernelwise.jit import pool

TINY = timing.Pace(least=1, most=1, budget=0.0, block=0.0)
PEAK = 1e11  # operations per second, wherever it does not matter
ROWS = [
    *cases.full([(32, 40)]),
    *(row for row in cases.full([(32, 40, 3)]) if row.kernel.name in ("[1,-1]", "3x3", "3x3 int", "gaussian 5")),
    *cases.large([(48, 64)], sides=(11, 31)),
]
ROW = cases.Row(cases.SOBEL_X, (32, 40), "u8", "int16")

# What each library must take part in: its functions, and the image they are looked for in.
FUNCTIONS = {
    "cv2": ["filter2D", "sepFilter2D", "GaussianBlur", "Sobel", "Laplacian", "subtract slices"],
    "ndimage": ["correlate", "gaussian_filter", "sobel", "laplace"],
    "signal": ["correlate2d", "fftconvolve", "oaconvolve"],
    "skimage": ["gaussian", "sobel", "laplace"],
    "torch": ["conv2d", "conv2d twice"],
    "numpy": ["slices"],
}
MODULES = {"ndimage": "scipy", "signal": "scipy"}


@pytest.fixture(autouse=True)
def _one_thread_afterwards() -> Iterator[None]:
    yield
    rivals.set_threads(1)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_kind_of_row_agrees_with_the_definition_and_with_all_rivals(row: cases.Row) -> None:
    for result in measure.measure(row, (1, 2), TINY, PEAK):
        assert (result.status, result.why) == ("ok", "")
        assert result.rounds == 1
        assert result.medians[ours.NAME] > 0
        # Left out for its time, which says nothing on an image so small, and never for an error.
        assert all(reason.endswith(measure.SLOWER) for reason in result.left_out.values()), result.left_out


def test_the_best_rival_is_the_fastest_at_this_many_threads_or_fewer() -> None:
    one, two = measure.measure(cases.Row(cases.SOBEL_X, (32, 40), "f32", "f32"), (1, 2), TINY, PEAK)
    known = {1: one.medians, 2: two.medians}
    for result in (one, two):
        times = {
            (name, threads): seconds
            for threads in range(1, result.threads + 1)
            for name, seconds in known[threads].items()
            if name not in (ours.NAME, measure.COPY)
        }
        if not times:
            pytest.skip("no rival is installed")
        assert result.best is not None and result.best_threads is not None
        assert result.best_seconds == times[result.best, result.best_threads] == min(times.values())
        assert result.ratio == pytest.approx(result.best_seconds / result.medians[ours.NAME])


@pytest.mark.parametrize("library", FUNCTIONS)
def test_every_function_of_an_installed_rival_takes_part(library: str) -> None:
    if not rivals.is_installed(MODULES.get(library, library)):
        pytest.skip(f"{MODULES.get(library, library)} is not installed")
    known = {c.name for row in ROWS for c in rivals.contenders(row, row.image(), row.empty())}
    separator = " " if library == "numpy" else "."
    assert {f"{library}{separator}{function}" for function in FUNCTIONS[library]} <= known


def test_bytes_are_counted_beside_a_copy_and_operations_beside_the_multiply_add_peak() -> None:
    row = cases.Row(cases.dense(3, 3), (32, 40), "f32", "f32")
    one, two = measure.measure(row, (1, 2), TINY, fma_peak=1e9)
    assert one.copy_share == pytest.approx(one.medians[measure.COPY] / one.medians[ours.NAME])
    assert one.fma_share == pytest.approx(2 * 9 * 32 * 40 / one.medians[ours.NAME] / 1e9)
    assert two.fma_share == pytest.approx(2 * 9 * 32 * 40 / two.medians[ours.NAME] / 2e9)
    assert one.gain is None
    assert two.gain == pytest.approx(one.medians[ours.NAME] / two.medians[ours.NAME])


def test_integer_rows_have_no_share_of_the_multiply_add_peak() -> None:
    (result,) = measure.measure(ROW, (1,), TINY, fma_peak=1e9)
    assert result.fma_share is None
    assert result.integers


@pytest.mark.parametrize("way", calls.OURS)
@pytest.mark.parametrize("shape", calls.SHAPES)
def test_small_calls_agree_and_are_timed(shape: tuple[int, int], way: str) -> None:
    (row,) = calls.rows([shape])
    result = calls.measure_call(row, way, TINY)
    assert (result.status, result.why) == ("ok", "")
    missing = {name for name, reason in result.left_out.items() if reason == rivals.NOT_INSTALLED}
    assert set(result.medians) == {ours.NAME, *calls.THEIRS} - missing


@pytest.mark.parametrize("side", cases.LARGE)
def test_beside_a_large_kernel_stand_those_who_have_an_algorithm_for_it(side: int) -> None:
    (row,) = [row for row in cases.large([(48, 64)], sides=[side]) if row.types == "u8->f32"]
    x, out = row.image(), row.empty()
    names = {c.name for c in rivals.contenders(row, x, out)}
    every = {
        "cv2.filter2D": "cv2",
        "signal.fftconvolve": "scipy",
        "signal.oaconvolve": "scipy",
        "torch.conv2d": "torch",
    }
    assert names == {name for name, module in every.items() if rivals.is_installed(module)}


# --- rows that are no kernels ---


def halves(section: str = "ndimage", *, wrong: float = 0.0, theirs_wrong: float = 0.0) -> comparison.Comparison:
    """Half of an image, by ours and by NumPy's division."""
    x = np.arange(12.0).reshape(3, 4)

    def prepare(threads: int) -> comparison.Prepared:
        agree = comparison.within(1e-12)
        return comparison.Prepared(
            lambda: x * 0.5 + wrong,
            lambda got: agree(got, x / 2),
            [comparison.Rival("numpy.divide", "numpy", lambda: x / 2 + theirs_wrong, agree, one_thread=True)],
        )

    return comparison.Comparison(section, "3x4", "f64", "halves", prepare)


def test_a_comparison_is_timed_at_every_thread_count_when_all_agree() -> None:
    one, two = comparison.measure(halves(), (1, 2), TINY)
    for result in (one, two):
        assert (result.status, result.why, result.section) == ("ok", "", "ndimage")
        assert (result.best, result.best_threads) == ("numpy.divide", 1)
        assert result.ratio == pytest.approx(one.medians["numpy.divide"] / result.medians[ours.NAME])
    assert set(two.medians) == {ours.NAME}
    assert "ndimage 3x4 f64 halves" in {one.name, two.name}


SLOPES, EDGES, DOOR = gradients.rows([(40, 56)]), canny.rows([(72, 96)]), door.rows((40, 56))


@pytest.mark.parametrize("row", [*SLOPES, *EDGES, *DOOR], ids=lambda row: row.name)
def test_every_comparison_agrees_on_a_small_image(row: comparison.Comparison) -> None:
    for result in comparison.measure(row, (1, 2), TINY):
        assert (result.status, result.why) == ("ok", "")
        assert result.medians[ours.NAME] > 0
        reasons = set(result.left_out.values())
        assert all(reason.endswith((measure.SLOWER, rivals.NOT_INSTALLED)) for reason in reasons), result.left_out
    assert result.section in report.SECTIONS and result.section.split()[0] in command.GROUPS


SMALL = (
    Layer(5, (9, 11), 18, 3, images=2),
    Layer(16, (12, 8), 16, 3),
    Layer(3, (20, 22), 8, 7, stride=2),
    Layer(20, (6, 7), 8, 1),
    Layer(8, (12, 10), 8, 3, groups=8),
    Layer(1, (24, 30), 1, 5),
)
TRAINED = [
    layer_gradients.trained(Layer(16, (12, 8), 24, 3, images=2)),
    layer_gradients.trained(Layer(3, (21, 22), 8, 5, stride=2)),
    *(layer_gradients.weight_gradient(40, k) for k in (3, 15)),
]


@pytest.mark.parametrize("row", [*layers.rows(SMALL, (1,))[: len(SMALL)], *TRAINED], ids=lambda row: row.name)
def test_layers_are_near_the_definition_and_so_is_every_engine_that_is_installed(row: comparison.Comparison) -> None:
    for result in comparison.measure(row, (1, 2), TINY, PEAK):
        assert (result.status, result.why) == ("ok", "")
        assert set(result.medians) <= set(result.errors)
        assert 0 < result.errors[ours.NAME] <= layers.FAST
        assert result.errors.get("kernelwise exact", 0) <= layers.EXACT
        assert result.fma_share is not None and result.best != ours.NAME
        assert "kernelwise" not in (result.best or "")
        reasons = set(result.left_out.values())
        assert all(reason.endswith((measure.SLOWER, rivals.NOT_INSTALLED)) for reason in reasons), result.left_out
    assert row.section in report.SECTIONS and row.section.split()[0] in command.GROUPS
    assert report._error(result.as_dict()) in report.text_row(result.as_dict())


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.NAME)
@pytest.mark.parametrize("layer", SMALL, ids=str)
def test_an_engine_that_is_installed_runs_every_kind_of_layer_again_and_again(engine: Any, layer: Layer) -> None:
    if not rivals.is_installed(engine.MODULE):
        pytest.skip(f"{engine.MODULE} is not installed")
    truth = layer_truth.forward(layer)
    for call in engine.calls(layer, 1):
        for _ in range(2):
            call.run()
            assert layer_truth.relative_error(call.fetch(), truth) <= engine.ERROR


def test_the_truth_of_layers_is_the_definition() -> None:
    layer = Layer(2, (5, 6), 3, 3, stride=2)
    x = np.pad(layer.x.astype(float), ((0, 0), (0, 0), (1, 1), (1, 1)))
    for o, i, j in np.ndindex(layer.y_shape[1:]):
        value = (layer.w[o].astype(float) * x[0, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3]).sum()
        assert layer_truth.forward(layer)[0, o, i, j] == pytest.approx(value)
    dy = layer_truth.slopes(layer)
    dx, dw = layer_truth.gradients(layer, dy)
    together = (layer_truth.forward(layer) * dy).sum()  # y is linear in x, and in w
    assert (dx * layer.x).sum() == pytest.approx(together)
    assert (dw * layer.w).sum() == pytest.approx(together)


def test_the_truth_of_weight_gradients_is_the_definition() -> None:
    x, dy = np.random.default_rng(3).standard_normal((2, 12, 15))[0], np.random.default_rng(4).standard_normal((10, 13))
    wanted = [[(dy * x[a : a + 10, b : b + 13]).sum() for b in range(3)] for a in range(3)]
    np.testing.assert_allclose(layer_gradients._correlation(x, dy, 3), wanted, rtol=1e-12)


@pytest.mark.parametrize("value", [1e-3, np.nan])
def test_a_layer_that_is_wrong_in_one_value_fails(value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = layers._our_ways

    def wrong(layer: Layer, threads: int) -> Iterator[Any]:
        first, *others = genuine(layer, threads)

        def fetch() -> np.ndarray:
            y = first.fetch().copy()
            y[0, 1, 2, 3] += value
            return y

        yield type(first)(first.name, first.run, fetch)
        yield from others

    monkeypatch.setattr(layers, "_our_ways", wrong)
    (result,) = comparison.measure(layers.rows(SMALL, (1,))[0], (1,), TINY)
    assert result.status == "fail" and "of the largest value" in result.why and not result.medians


def test_an_engine_that_cannot_run_a_layer_is_left_out_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(layer: Layer, threads: int) -> Iterator[Any]:
        raise RuntimeError("no such layer")

    monkeypatch.setattr(rivals, "is_installed", lambda module: module in ("litert", "kernelwise"))
    engine = type("Engine", (), {"NAME": "Some engine", "MODULE": "litert", "calls": staticmethod(broken)})
    monkeypatch.setattr(layers, "ENGINES", [engine])
    (result,) = comparison.measure(layers.rows(SMALL, (1,))[0], (1,), TINY)
    assert (result.status, result.best) == ("ok", None)
    assert result.left_out == {"Some engine": "RuntimeError: no such layer"}
    assert ours.NAME in result.medians  # by kw.conv, as there is no torch


def test_the_quick_layers_are_part_of_the_full_ones() -> None:
    quick, full = {row.name for row in layers.quick()}, [row.name for row in layers.rows()]
    assert quick < set(full)
    too_large = 1  # eight images of the last layer
    assert len(full) == len(set(full)) == len(layers.LAYERS) * len(layers.BATCHES) - too_large + 2 + 6


def test_a_mask_that_is_wrong_in_one_pixel_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = edges.gradient

    def wrong(x: np.ndarray, *arguments: Any, out: np.ndarray, **options: Any) -> None:
        genuine(x, *arguments, out=out, **options)
        out[7, 9] = not out[7, 9]

    monkeypatch.setattr(edges, "gradient", wrong)
    (result,) = comparison.measure(next(row for row in SLOPES if "mask" in row.what), (1,), TINY)
    assert result.status == "fail" and "1 pixels of the mask differ" in result.why


def test_an_edge_map_that_is_wrong_in_one_pixel_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    if not rivals.is_installed("cv2"):
        pytest.skip("cv2 is not installed")
    genuine = edges.canny

    def wrong(*arguments: Any, **options: Any) -> np.ndarray:
        found = genuine(*arguments, **options)
        y, x = np.argwhere(found)[3]
        found[y, x] = 0
        return found

    monkeypatch.setattr(edges, "canny", wrong)
    (result,) = comparison.measure(next(row for row in EDGES if row.what == "noise 60/120 L1"), (1,), TINY)
    assert result.status == "fail" and "cv2.Canny" in result.why and "1 wrong" in result.why


def test_the_door_takes_part_with_every_function_it_has() -> None:
    assert {row.what for row in DOOR} == {name for name in ndimage.__all__ if name.islower()}
    assert {row.name for row in door.quick()} <= {row.name for row in door.rows()}
    assert {row.name for row in gradients.quick()} <= {row.name for row in gradients.rows()}
    assert {row.name for row in canny.quick()} <= {row.name for row in canny.rows()}


def test_photographs_that_are_not_installed_are_named_and_have_no_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = rivals.is_installed
    monkeypatch.setattr(rivals, "is_installed", lambda module: module != "sklearn" and installed(module))
    assert "china (sklearn)" in canny.missing()
    assert not any("china" in row.name for row in canny.rows())


def test_photographs_are_gray_and_in_the_size_asked_for() -> None:
    for name, module in canny.MODULES.items():
        if rivals.is_installed(module):
            picture = canny.picture(name, (50, 70))
            assert picture.shape == (50, 70) and picture.dtype == np.uint8
            assert picture.std() > 10
    for name in pictures.WINDING:
        assert len(np.unique(canny.picture(name, (50, 70)))) == 3


@pytest.mark.parametrize("wrong", [{"wrong": 1e-9}, {"wrong": np.nan}, {"theirs_wrong": 1e-9}])
def test_a_comparison_in_which_anybody_is_wrong_fails(wrong: dict[str, float]) -> None:
    (result,) = comparison.measure(halves(**wrong), (1,), TINY)
    assert (result.status, result.medians) == ("fail", {})
    assert "Disagreement" in result.why and "12 wrong" in result.why


def test_a_comparison_leaves_the_number_of_threads_as_it_was() -> None:
    before = pool.threads()
    comparison.measure(halves(), (1, 2), TINY)
    assert pool.threads() == before


@pytest.mark.parametrize(
    ("mine", "theirs", "allowed", "agrees"),
    [
        ([1, 2], [1, 2], 0, True),
        ([1, 2], [1, 3], 0, False),
        ([1, 2], [1, 3], 1, True),
        ([1.0, np.nan], [1.0, np.nan], 0, False),
        ([1.0, 2.0], [1.0, np.nan], 5, False),
        ([1, 2], [[1, 2]], 0, False),
        ([True, False], [True, True], 0, False),
    ],
)
def test_results_agree_only_when_every_value_is_near_enough(
    mine: list[float], theirs: list[float], allowed: float, agrees: bool
) -> None:
    try:
        comparison.within(allowed)(np.array(mine), np.array(theirs))
    except measure.agree.Disagreement:
        assert not agrees
    else:
        assert agrees


# --- what is wrong is not timed ---


def spoil(monkeypatch: pytest.MonkeyPatch, at: tuple[int, ...], value: float) -> None:
    """Let ours write `value` at one place of every result."""
    right = ours.contender

    def wrong(row: cases.Row, x: np.ndarray, out: np.ndarray, threads: int) -> Any:
        contender = right(row, x, out, threads)

        def call() -> np.ndarray:
            y = contender.call()
            y[at] = value
            return y

        return type(contender)(ours.NAME, call)

    monkeypatch.setattr(ours, "contender", wrong)


@pytest.mark.parametrize("at", [(0, 0), (20, 30), (-1, -1)])
def test_one_wrong_pixel_fails_the_row(at: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch, at, 12345)
    (result,) = measure.measure(ROW, (1,), TINY, PEAK)
    assert result.status == "fail"
    assert "Disagreement" in result.why
    assert not result.medians


def test_nan_counts_as_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(monkeypatch, (5, 5), np.nan)
    (result,) = measure.measure(cases.Row(cases.dense(3, 3), (32, 40), "f32", "f32"), (1,), TINY, PEAK)
    assert result.status == "fail"


def test_a_pixel_that_only_the_rivals_see_fails_the_row(monkeypatch: pytest.MonkeyPatch) -> None:
    if not rivals.is_installed("cv2"):
        pytest.skip("cv2 is not installed")
    spoil(monkeypatch, (60, 200), 12345)  # outside the three crops that are compared with the definition
    (result,) = measure.measure(cases.Row(cases.SOBEL_X, (200, 300), "u8", "int16"), (1,), TINY, PEAK)
    assert result.status == "fail"
    assert "cv2" in result.why


def test_results_that_are_truncated_instead_of_rounded_fail() -> None:
    row = cases.Row(cases.dense(3, 3), (32, 40), "u8", "u8")
    x = row.image()
    exact = ours.contender(cases.Row(row.kernel, row.shape, "u8", "f32"), x, np.empty(row.shape, np.float32), 1).call()
    with pytest.raises(measure.agree.Disagreement, match="one level off"):
        measure.agree.with_definition(row, x, np.clip(np.floor(exact), 0, 255).astype(np.uint8))


def test_an_error_of_ours_fails_the_row_and_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(ours, "contender", broken)
    assert main(["--only", "512x512 u8->int16 sobel-x", "--threads", "1"]) == 1
    printed = capsys.readouterr().out
    assert "FAIL  RuntimeError: out of order" in printed
    assert "FAILED 512x512 u8->int16 sobel-x, 1 thread" in printed


# --- time ---


def test_turns_are_interleaved() -> None:
    order = []

    def turn(name: str) -> timing.Entry:
        return timing.Entry(name, lambda least, last: (order.append(name), 1.0)[1])

    groups = [(1, [turn("A"), turn("B")]), (2, [turn("C")])]
    rounds = timing.interleave(groups, timing.Pace(3, 9, 0.0), lambda threads: order.append(f"threads {threads}"))
    assert rounds == 3
    assert order == ["threads 1", "A", "B", "threads 2", "C"] * 3


def test_rounds_go_on_until_the_budget_is_spent_but_not_beyond_the_limit() -> None:
    entry = timing.Entry("A", lambda least, last: 1.0)
    assert timing.interleave([(1, [entry])], timing.Pace(2, 6, 1e9), lambda threads: None) == 6
    assert len(entry.seconds) == 6


def test_who_is_far_behind_takes_part_in_the_first_rounds_only() -> None:
    slow, fast = timing.Entry("slow", lambda least, last: 1.0, most=2), timing.Entry("fast", lambda least, last: 1.0)
    timing.interleave([(1, [slow, fast])], timing.Pace(5, 5, 0.0), lambda threads: None)
    assert (len(slow.seconds), len(fast.seconds)) == (2, 5)


def test_a_block_is_the_median_of_its_calls() -> None:
    numbers = iter(range(10**6))

    def call() -> None:
        if next(numbers) % 10 == 1:  # one call in ten is disturbed
            timing.time.sleep(0.002)

    assert timing.each_call(call, timing.time.perf_counter)(0.01, None) < 0.0005


def test_on_one_thread_waiting_for_the_core_does_not_count() -> None:
    assert timing.each_call(lambda: timing.time.sleep(0.01), timing.clock_for(1))(0.0, None) < 0.005
    assert timing.each_call(lambda: timing.time.sleep(0.01), timing.clock_for(2))(0.0, None) >= 0.01


def test_a_statement_is_timed_by_the_call() -> None:
    block = timing.in_batches("sleep(0.001)", {"sleep": timing.time.sleep}, timing.time.perf_counter, batches=3)
    assert 0.001 <= block(0.004, None) < 0.05


# --- the report ---


@pytest.fixture(scope="module")
def written() -> dict[str, Any]:
    """A report of two rows, each at two thread counts, as the JSON file holds it."""
    results = [result for row in (ROW, ROWS[0]) for result in measure.measure(row, (1, 2), TINY, PEAK)]
    found = {
        "format": command.FORMAT,
        "machine": machine.describe(),
        "fma_peak": 1e11,
        "hopeless": TINY.hopeless,
        "rows": [r.as_dict() for r in results],
        "processes": {"import": {"unit": "ms", "lines": [{"name": "one", "values": [2.0, 3.0], "median": 2.5}]}},
    }
    found["processes"]["import"]["not installed"] = ["other"]
    return json.loads(json.dumps(found))


def test_the_markdown_has_a_line_for_every_row(written: dict[str, Any]) -> None:
    lines = report.markdown(written).splitlines()
    table = lines[: lines.index("")]
    assert len(table) == 2 + 2
    assert {line.count("|") for line in table} == {table[0].count("|")}
    assert "| import: one | 2.5 ms |" in lines
    assert lines[-1].endswith(written["machine"]["date"])


def test_the_summary_names_the_rows_that_we_lose(written: dict[str, Any]) -> None:
    lost = dict(written["rows"][0], ratio=0.5, best="X", best_threads=1)
    won = dict(written["rows"][1], ratio=8.0, best="Y", best_threads=1)
    small = dict(written, rows=[lost, won])
    text = "\n".join(report.summary(small))
    assert "slower than the best rival in 1 of 2 rows" in text
    assert f"all images, lowest row: {lost['name']}, 1 thread: 0.50 (X)" in text
    assert "geometric mean of the ratios over all 2 rows: 2.00" in text
    assert report.means(small["rows"])["all images"] == {1: (pytest.approx(0.5), 1), 2: (pytest.approx(8.0), 1)}
    assert report.marked_ratio(0.5) == "0.50<"
    assert report.best_rival(won) == "Y, 1T"


def test_a_process_that_was_not_measured_says_why(written: dict[str, Any]) -> None:
    lines = report.process_lines(dict(written, processes=written["processes"] | {"memory": {"error": "no Linux"}}))
    assert "memory: not measured: no Linux" in lines
    assert any("other not installed" in line for line in lines)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.14e-7, "0.214 us"), (3.514e-5, "35.1 us"), (9.996e-4, "1.00 ms"), (4.2e-3, "4.20 ms"), (131.0, "131 s")],
)
def test_durations_have_three_digits(seconds: float, text: str) -> None:
    assert report.duration(seconds) == text


def test_the_geometric_mean_of_reciprocals_is_one() -> None:
    assert report.geometric_mean([4.0, 0.25, 3.0, 1 / 3]) == pytest.approx(1.0)


# --- the command ---


def test_the_command_writes_what_it_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "bench.json"
    assert main(["--only", "512x512 u8->int16 sobel-x", "--threads", "1", "--json", str(file)]) == 0
    printed = capsys.readouterr().out
    (row,) = json.loads(file.read_text())["rows"]
    assert row["rounds"] == len(row["seconds"]["kernelwise"]) >= command.QUICK.least
    assert report.text_row(row) in printed
    assert main(["--markdown", str(file)]) == 0
    assert "| 512x512 | u8 to int16 | sobel-x |" in capsys.readouterr().out


def test_a_rival_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    installed = rivals.is_installed
    monkeypatch.setattr(rivals, "is_installed", lambda module: module != "torch" and installed(module))
    assert main(["--only", "512x512 u8->int16 sobel-x", "--threads", "1"]) == 0
    assert "not installed, and so left out: torch" in capsys.readouterr().out


def test_without_any_rival_ours_is_still_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rivals, "is_installed", lambda module: False)
    (result,) = measure.measure(ROW, (1,), TINY, PEAK)
    assert (result.status, result.best, result.ratio) == ("ok", None, None)
    assert "none installed" in report.text_row(result.as_dict())


@pytest.mark.parametrize("wrong", [["--threads", "0"], ["--threads", "1,1"], ["--json", "/no/such/folder/x.json"]])
def test_wrong_usage_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(wrong)
    assert stop.value.code == 2
    assert wrong[0] in capsys.readouterr().err


def test_groups_are_chosen_by_their_names_and_rows_by_words(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = command._chosen
    assert chosen("large", "large 512x512 f32->f32 31x31", "calls, large")
    assert not chosen("filters", "512x512 f32->f32 [1,-1]", "calls, large")
    assert chosen("filters", "512x512 f32->f32 [1,-1]", "512x512 [1,-1]")
    assert chosen("filters", "512x512 f32->f32 [1,-1]", None)
    assert not chosen("filters", "512x512 f32->f32 3x3", "512x512 [1,-1]")
    assert main(["--only", "calls,nonsense"]) == 2
    assert "names no group" in capsys.readouterr().err


def test_the_quick_rows_of_large_kernels_are_part_of_the_full_ones() -> None:
    quick, full = {r.name for r in cases.quick_large()}, {r.name for r in cases.large()}
    assert quick <= full
    assert len(quick) == sum(len(names) for pairs in cases.QUICK_LARGE.values() for names in pairs.values())
    assert len(full) == len(cases.LARGE) * len(cases.LARGE_PAIRS) * len(cases.LARGE_SHAPES)


def test_the_quick_rows_are_part_of_the_full_ones() -> None:
    quick, full = {r.name for r in cases.quick()}, {r.name for r in cases.full()}
    assert quick <= full
    asked = sum(len(names) for pairs in cases.QUICK.values() for names in pairs.values())
    assert len(quick) == asked
    assert len(full) == len(cases.full())


@pytest.mark.parametrize("size", cases.DENSE)
def test_integer_kernels_stay_within_int16(size: tuple[int, int]) -> None:
    weights = cases.dense_integers(*size).weights
    assert 0 < np.abs(weights).min()
    assert np.abs(weights).sum() <= cases.LARGEST_INTEGER_SUM


def test_gaussians_are_outer_products_that_sum_to_one() -> None:
    for taps in cases.GAUSSIANS:
        weights = cases.gaussian(taps).weights
        assert math.isclose(weights.sum(), 1.0, rel_tol=1e-12)
        assert np.linalg.matrix_rank(weights) == 1


def test_importing_the_benchmark_imports_no_rival() -> None:
    code = "import sys, kernelwise.app.bench; print(*{n.partition('.')[0] for n in sys.modules})"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    rivals_and_more = {"cv2", "scipy", "skimage", "torch", "typer", "rich", *(engine.MODULE for engine in ENGINES)}
    assert not rivals_and_more & set(child.stdout.split())


# --- the scripts in benchmarks/ ---


@pytest.mark.parametrize("what", processes.SCRIPTS)
def test_a_process_script_prints_medians(what: str) -> None:
    where = processes.folder()
    assert where is not None, "the scripts are not where the benchmark looks for them"
    if what == "memory" and not sys.platform.startswith("linux"):
        pytest.skip("peak memory is measured on Linux only")
    found = processes.measure(what, 1, side=256)
    assert "error" not in found, found
    assert any("kernelwise" in line["name"] for line in found["lines"])
    assert all(line["median"] == line["values"][0] >= 0 for line in found["lines"])


def test_without_a_source_tree_the_process_rows_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "folder", lambda: None)
    assert "no source tree" in processes.measure("import", 1)["error"]
