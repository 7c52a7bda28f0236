"""Layers with output channels in the lanes: the definition exactly, on whole numbers, whatever the shape."""

import math
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kernelwise.algorithms.layer import direct_code, direct_launch, one_tap
from kernelwise.algorithms.layer.direct_launch import DirectPlan
from kernelwise.jit.compile import assembly
from kernelwise.jit.target import available, current, named
from kernelwise.layers import prepared
from kernelwise.layers.operations import correlate
from support import assembly as reading
from support.layered import Layer, any_layer, axis, definition, whole

FOLDER = Path(__file__).parent
SHAPES = {  # a layer for each way of cutting it
    "many pixels": Layer(2, 1, 70, 40, (axis(30, 3, 1, 1), axis(45, 3, 1, 1))),
    "small images": Layer(3, 1, 33, 70, (axis(5, 3, 1, 1), axis(5, 3, 1, 1))),
    "one tap": Layer(2, 2, 37, 19, (axis(9, 1), axis(31, 1))),
    "steps": Layer(1, 1, 9, 64, (axis(40, 7, 3, 3, 2), axis(37, 7, 3, 3, 2))),
    "no padding": Layer(2, 3, 8, 17, (axis(12, 2), axis(50, 3))),
    "full blocks": Layer(1, 1, 8, 64, (axis(28, 3, 1, 1), axis(28, 3, 1, 1))),  # of as many pixels as there may be
    "full, one tap": Layer(1, 1, 70, 64, (axis(28, 1), axis(28, 1))),
    "a volume": Layer(2, 1, 5, 18, (axis(6, 3, 1, 1), axis(7, 2, 0, 1), axis(20, 3, 2, 2, 1, 2))),
}


def run(layer: Layer, x: np.ndarray, weight: np.ndarray, bias: np.ndarray, threads: int = 1) -> np.ndarray:
    return correlate(
        x,
        weight,
        layer.axes,
        bias,
        groups=layer.groups,
        border=layer.border,
        limits=layer.limits,
        threads=threads,
        lanes="channels",
    )


@pytest.mark.parametrize("target", available())
@pytest.mark.parametrize("name", SHAPES)
def test_whole_numbers_come_out_exactly(
    name: str, target: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERNELWISE_TARGET", target)
    layer = SHAPES[name]
    x, weight, bias = whole(layer, rng)
    assert np.array_equal(run(layer, x, weight, bias), definition(layer, x, weight, bias))


def test_any_layer_comes_out_exactly(rng: np.random.Generator, report_figure: Callable[[str, str], None]) -> None:
    """One to three axes, strides, dilations, groups, borders, tails of channels and pixels, limits, views."""
    for turn in range(80):
        layer = any_layer(rng)
        x, weight, bias = whole(layer, rng)
        wanted = np.clip(definition(layer, x, weight, bias), *layer.limits)
        if turn % 2:  # pixels apart, rows backwards
            wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)[..., ::-1, ::2]
            wide[...] = x
            x = wide
        if turn % 3 == 0:
            weight = np.ascontiguousarray(weight[::-1, :, ..., ::-1])[::-1, :, ..., ::-1]
        assert np.array_equal(run(layer, x, weight, bias), wanted), layer
    report_figure("layers, direct, at random", "80 of 80 equal the definition")


@pytest.mark.parametrize("name", SHAPES)
def test_bits_depend_on_neither_threads_nor_batch(name: str, rng: np.random.Generator) -> None:
    layer = SHAPES[name]
    x = rng.standard_normal((5, *layer.image_shape[1:])).astype("f4")
    weight = rng.standard_normal(layer.weight_shape).astype("f4")
    bias = rng.standard_normal(len(weight)).astype("f4")
    y = run(layer, x, weight, bias)
    for threads in (2, 3, 8):
        assert np.array_equal(run(layer, x, weight, bias, threads), y)
    parts = [run(layer, x[part], weight, bias, 2) for part in (slice(0, 1), slice(1, 3), slice(3, 5))]
    assert np.array_equal(np.concatenate(parts), y)


@pytest.mark.parametrize(("precision", "allowed"), [("exact", 1e-6), ("fast", 5e-6)])
@pytest.mark.parametrize("channels", [64, 512])
def test_long_sums_lose_no_more_than_their_precision_says(
    channels: int, precision: str, allowed: float, rng: np.random.Generator, report_figure: Callable[[str, str], None]
) -> None:
    layer = Layer(1, 1, channels, 64, (axis(28, 3, 1, 1, 2), axis(28, 3, 1, 1, 2)))
    x, weight = (rng.standard_normal(shape).astype("f4") for shape in (layer.image_shape, layer.weight_shape))
    bias = np.zeros(64, "f4")
    wanted = definition(layer, x, weight, bias)
    y = correlate(x, weight, layer.axes, bias, precision=precision, lanes="channels")
    error = np.abs(y - wanted).max() / np.abs(wanted).max()
    report_figure(f"layers, direct, {precision}: error of {channels} channels", f"{error:.1e} of the largest output")
    assert error <= allowed


def test_what_is_not_finite_touches_the_outputs_whose_window_holds_it_and_no_other(rng: np.random.Generator) -> None:
    layer = Layer(1, 1, 20, 20, (axis(20, 3, 1, 1), axis(33, 3, 1, 1)))
    x, weight, bias = whole(layer, rng)
    weight[:, :, 0, :] = 0  # a zero tap is absent
    clean = run(layer, x, weight, bias)
    for value in (math.nan, math.inf):
        x[0, 7, 10, 20] = value
        y = run(layer, x, weight, bias)
        touched = np.zeros(y.shape, bool)
        touched[:, :, 9:11, 19:22] = True
        assert not np.isfinite(y[touched]).any() and np.array_equal(y[~touched], clean[~touched])


def test_results_go_wherever_they_are_wanted(rng: np.random.Generator) -> None:
    """Channels last, or with gaps between all numbers; the gaps stay as they are."""
    layer = SHAPES["no padding"]
    x, weight, bias = whole(layer, rng)
    wanted = definition(layer, x, weight, bias)
    n, o, h, w = layer.result_shape
    last = np.empty((n, h, w, o), "f4").transpose(0, 3, 1, 2)
    room = np.full((n, o, h, 2 * w), 7, "f4")
    for out in (last, room[..., ::2]):
        correlate(x, weight, layer.axes, bias, groups=layer.groups, lanes="channels", out=out)
        assert np.array_equal(out, wanted)
    assert (room[..., 1::2] == 7).all()


def _blocks(row_bytes: int, layer: Layer) -> int:
    """Of pixels, in an image."""
    plan = direct_launch.plan(layer.problem, current(), False, row_bytes)
    _, rows, columns = plan.problem.axes
    assert rows.n * columns.n == math.prod(a.n for a in layer.axes)
    return rows.n // plan.row_group * -(-columns.out * plan.row_group // len(plan.spec.pixels))


@pytest.mark.parametrize("size", [(7, 7), (3, 5), (1, 9), (20, 20), (14, 28), (31, 13), (1, 200), (200, 1)])
def test_rows_under_one_tap_are_cut_anew_with_the_same_bits(size: tuple[int, int], rng: np.random.Generator) -> None:
    """Where they follow each other, to fill blocks of pixels; where they do not, they stay."""
    layer = Layer(3, 1, 70, 50, tuple(axis(n, 1) for n in size))
    x, weight = (rng.standard_normal(shape, "f4") for shape in (layer.image_shape, layer.weight_shape))
    apart = np.zeros((*x.shape[:-1], x.shape[-1] + 3), "f4")[..., :-3]
    apart[...] = x
    y = correlate(x, weight, layer.axes, lanes="channels")
    assert np.array_equal(correlate(apart, weight, layer.axes, lanes="channels"), y)
    if size[0] * size[1] <= one_tap.FEW_PIXELS:
        assert direct_launch.plan(layer.problem, current(), False, size[1] * 4).problem.axes[1].n == 1
    else:
        assert _blocks(size[1] * 4, layer) <= _blocks(apart.strides[-2], layer) * one_tap.NEARLY_BEST + 1
    wanted = definition(layer, x, weight, np.zeros(50))
    assert np.abs(y - wanted).max() < 1e-6 * np.abs(wanted).max()


@pytest.mark.parametrize("taps", [1, 3])
def test_long_rows_take_little_memory(taps: int, rng: np.random.Generator) -> None:
    """Sums that wait for the next channels are few, however many pixels a row has."""
    layer = Layer(1, 1, 600, 40, (axis(5000, taps, taps // 2, taps // 2),))
    plan = layer.plan("host", "direct", 5000 * 4)
    launch = direct_launch.launch(plan, 1, (0,) * 5, (0,) * 5, layer.limits, 1)[1]  # type: ignore[arg-type]
    assert launch.scratch < direct_launch.PASS_BYTES + (4 << 10)
    x, weight, bias = whole(layer, rng)
    assert np.array_equal(run(layer, x, weight, bias), definition(layer, x, weight, bias))


def test_weights_that_are_asked_for_ahead_change_nothing(
    monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    for name in ("many pixels", "one tap", "small images", "steps"):
        layer = SHAPES[name]
        x, weight, bias = whole(layer, rng)
        plan = layer.plan("host", "direct", layer.axes[-1].n * 4)
        spec, _ = direct_launch.launch(plan, 1, (0,) * 5, (0,) * 5, layer.limits, 1)  # type: ignore[arg-type]
        assert spec.fetch == 0
        y = run(layer, x, weight, bias)
        monkeypatch.setattr(direct_launch, "FETCHED_WEIGHTS", 0)
        prepared.forget()
        spec, _ = direct_launch.launch(plan, 1, (0,) * 5, (0,) * 5, layer.limits, 1)  # type: ignore[arg-type]
        assert spec.fetch > 0
        assert np.array_equal(run(layer, x, weight, bias), y)
        monkeypatch.undo()
        prepared.forget()


# ---------------------------------------------------------------- the code


def routine(layer: Layer, target: str, in_place: bool, residual: bool) -> str:
    row_bytes = layer.axes[-1].n * np.dtype(layer.dtype).itemsize
    plan = layer.plan(target, "direct", row_bytes if in_place else 0)
    assert isinstance(plan, DirectPlan)
    spec = direct_launch.finishing(plan, layer.limits, residual).spec
    spec = replace(spec, fetch=2 if in_place else 0)
    return assembly(direct_code.emit(named(target), spec).text, named(target))


@pytest.mark.parametrize("target", ["avx512", "avx2"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("name", ["many pixels", "steps", "one tap", "small images", "full blocks", "full, one tap"])
def test_sums_stay_in_registers(name: str, in_place: bool, dtype: str, target: str) -> None:
    text = routine(replace(SHAPES[name], dtype=dtype, groups=1), target, in_place, residual=True)
    block = text[text.index("\nblock:") : text.index("\nfill_panel:")]
    inner = [lines for lines in reading.loops(block) if any("vfmadd" in line for line in lines)]
    assert inner
    for lines in inner:
        assert not reading.spilled(lines, "zmm" if target == "avx512" else "ymm")


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("in_place", [True, False])
@pytest.mark.parametrize("name", SHAPES)
def test_arm_code_is_made_of_fused_multiply_adds(name: str, in_place: bool, channels_last: bool) -> None:
    layer = replace(SHAPES[name], channels_last=channels_last)
    text = routine(layer, "neon", in_place, residual=channels_last)
    inner = [lines for lines in reading.loops(text) if sum("fmla" in line for line in lines) >= 10]
    assert inner
    for lines in inner:
        assert not reading.stacked(lines)


def test_images_are_read_as_they_lie_where_taps_outside_can_be_left_out() -> None:
    """Zeros around rows and columns can; other borders, several rows in a block, planes and wide paddings cannot."""

    def copied(layer: Layer) -> bool:
        plan = layer.plan("host", "direct", layer.axes[-1].n * 4)
        assert isinstance(plan, DirectPlan)
        return plan.panel

    large = SHAPES["many pixels"]
    assert not copied(large) and not copied(SHAPES["one tap"]) and not copied(SHAPES["no padding"])
    assert copied(replace(large, border="edge")) and copied(SHAPES["a volume"])
    assert copied(replace(large, axes=(axis(3, 3, 1, 1), axis(3, 3, 1, 1))))
    assert copied(replace(large, axes=(large.axes[0], axis(70, 3, 20, 20, 1, 20))))


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="needs mprotect")
def test_no_layer_leaves_its_arrays(report_figure: Callable[[str, str], None]) -> None:
    """Images, weights, results, scratch memory and tables lie between forbidden pages, on either side."""
    done = subprocess.run(
        [sys.executable, "-m", "support.layered", "direct", "60"],
        cwd=FOLDER,
        capture_output=True,
        text=True,
        timeout=500,
    )
    last = done.stdout.strip().rpartition("\n")[2]
    assert done.returncode >= 0, f"died of {signal.Signals(-done.returncode).name} in: {last}"
    assert done.returncode == 0, f"in {last}:\n{done.stderr}"
    report_figure("layers, direct, between forbidden pages", f"{last.removeprefix('done ')} layers")


def test_weights_are_packed_alike_from_any_strides(rng: np.random.Generator) -> None:
    layer = Layer(1, 2, 21, 35, (axis(9, 3, 1, 1), axis(9, 3, 1, 1)))
    plan = layer.plan("host", "direct")
    assert isinstance(plan, DirectPlan)
    weight = rng.standard_normal(layer.weight_shape).astype("f4")
    packed = direct_launch.pack(plan, weight)
    block = plan.block
    for group, output, channel, tap in rng.integers(0, (2, 35, 21, 9), (50, 4)):
        at = ((group * -(-35 // block) + output // block) * 21 + channel) * 9 + tap
        assert packed[at * block + output % block] == weight[group * 35 + output, channel].flat[tap]
    for other in (weight.astype(">f4"), np.asfortranarray(weight), weight[:, ::-1].copy()[:, ::-1]):
        assert np.array_equal(direct_launch.pack(plan, other, 2), packed)
