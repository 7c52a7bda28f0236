"""Winograd's algorithm for layers: exact on paper, within its bound in numbers, and nowhere else than it may be."""

import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from kernelwise.algorithms.layer import choice, weights, winograd, winograd_code, winograd_launch
from kernelwise.algorithms.layer.direct_launch import DirectPlan
from kernelwise.algorithms.layer.direct_spec import most_pixels
from kernelwise.algorithms.layer.winograd_launch import WinogradPlan
from kernelwise.jit import pool
from kernelwise.jit.compile import assembly
from kernelwise.jit.target import available, named
from kernelwise.layers.operations import correlate
from support import assembly as reading
from support.layered import BOUND, Layer, any_layer, axis, check, definition, strides5, whole

FOLDER = Path(__file__).parent
TARGET = os.environ.get("KERNELWISE_TARGET") or "host"


def three(n: int, before: int = 1, after: int = 1):  # type: ignore[no-untyped-def]
    return axis(n, 3, before, after)


LAYERS = {  # a layer for each way of reading pixels and of writing results
    "bands": Layer(2, 1, 64, 64, (three(40), three(56))),
    "tails": Layer(2, 1, 21, 37, (three(18), three(23))),
    "small images": Layer(7, 1, 40, 70, (three(7), three(7))),
    "tiny images": Layer(3, 1, 20, 20, (three(3), three(2))),
    "wide": Layer(1, 1, 17, 16, (three(6), three(300))),
    "groups": Layer(2, 3, 18, 33, (three(13), three(20, 0, 0))),
    "volume": Layer(2, 1, 19, 20, (axis(5, 3, 1, 1), three(9), three(17))),
}


def run(
    layer: Layer, x: np.ndarray, weight: np.ndarray, bias: np.ndarray, threads: int = 1, target: str = TARGET
) -> np.ndarray:
    """By Winograd's algorithm, whether it would be chosen or not."""
    plan = replace(layer, images=len(x)).plan(target, "winograd")
    shape = (len(x), *layer.result_shape[1:])
    out = np.full(shape, np.nan, x.dtype)
    if layer.channels_last:
        out = np.full((shape[0], *shape[2:], shape[1]), np.nan, x.dtype)
    y = np.moveaxis(out, -1, 1) if layer.channels_last else out
    packed, shift = plan.pack(weight, threads), plan.pack_bias(bias)
    ready = plan.prepare(len(x), strides5(x), strides5(y), layer.limits, threads)
    ready.args[:4] = [array.ctypes.data for array in (x, y, packed, shift)]
    pool.run(ready.address, ready.args.ctypes.data, ready.scratch, ready.units, threads)
    return y


def normal(layer: Layer, rng: np.random.Generator, images: int | None = None) -> tuple[np.ndarray, ...]:
    shape = (images or layer.images, *layer.image_shape[1:])
    shapes = shape, layer.weight_shape, layer.weight_shape[:1]
    return tuple(rng.standard_normal(of).astype(layer.dtype) for of in shapes)


# ---------------------------------------------------------------- on paper


def test_the_matrices_are_exact() -> None:
    """A ((G g) * (B d)) is the correlation of any three taps with any six numbers, in fractions."""
    a, b, g = winograd.of_results(), winograd.of_inputs(), winograd.of_weights()
    for tap in range(winograd.TAPS):
        for pixel in range(winograd.INPUTS):
            values = [s * row[tap] * other[pixel] for s, row, other in zip(winograd.scales(), g, b, strict=True)]
            for i, row in enumerate(a):
                total = sum((c * v for c, v in zip(row, values, strict=True)), Fraction(0))
                assert total == (1 if pixel == i + tap else 0)


def test_pixels_and_results_meet_no_rounded_constant() -> None:
    for matrix in (winograd.of_results(), winograd.of_inputs(), winograd.of_weights()):
        assert all(Fraction(float(np.float32(float(c)))) == c for row in matrix for c in row)


# ---------------------------------------------------------------- in numbers


@pytest.mark.parametrize("target", available())
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", LAYERS)
def test_results_are_within_the_bound(name: str, dtype: str, target: str, rng: np.random.Generator) -> None:
    layer = replace(LAYERS[name], dtype=dtype)
    x, weight, bias = normal(layer, rng)
    check(
        layer,
        run(layer, x, weight, bias, 1, target),
        definition(layer, x, weight, bias),
        layer.plan(target, "winograd"),
    )


def test_any_layer_is_within_the_bound(rng: np.random.Generator, report_figure: Callable[[str, str], None]) -> None:
    """Paddings, borders, crops, groups, planes, limits, channels last in and out, rows backwards, gaps."""
    for turn in range(80):
        layer = any_layer(rng, winograd=True)
        x, weight, bias = whole(layer, rng) if turn % 2 else normal(layer, rng)
        wanted = definition(layer, x, weight, bias)
        if turn % 4 == 1:
            x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
        if turn % 4 == 2:
            wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)[..., ::-1, ::2]
            wide[...] = x
            x = wide
        y = run(layer, x, weight, bias, 1 + turn % 3)
        check(layer, y, wanted, layer.plan(TARGET, "winograd"))
        assert np.array_equal(run(replace(layer, fresh=True), x, weight, bias, 1 + turn % 2), y)
    report_figure("layers, Winograd, at random", "80 of 80 within the bound")


@pytest.mark.parametrize("channels", [64, 256, 512])
def test_the_error_is_at_most_five_millionths_of_the_largest_output(
    channels: int, rng: np.random.Generator, report_figure: Callable[[str, str], None]
) -> None:
    layer = Layer(1, 1, channels, 64, (three(28), three(28)))
    x, weight, bias = normal(layer, rng)
    wanted = definition(layer, x, weight, bias)
    error = np.abs(run(layer, x, weight, bias) - wanted).max() / np.abs(wanted).max()
    report_figure(f"layers, Winograd: error of {channels} channels", f"{error:.1e} of the largest output")
    assert error <= BOUND["f4"]


@pytest.mark.parametrize("name", LAYERS)
def test_bits_depend_on_neither_threads_nor_batch(name: str, rng: np.random.Generator) -> None:
    layer = LAYERS[name]
    x, weight, bias = normal(layer, rng, 9)
    y = run(layer, x, weight, bias)
    for threads in (2, 3, 8):
        assert np.array_equal(run(layer, x, weight, bias, threads), y)
    parts = [run(layer, x[part], weight, bias, 2) for part in (slice(0, 1), slice(1, 4), slice(4, 9))]
    assert np.array_equal(np.concatenate(parts), y)


@pytest.mark.parametrize("target", available())
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", LAYERS)
def test_weights_transformed_whenever_they_are_read_give_the_same_bits(
    name: str, dtype: str, target: str, rng: np.random.Generator
) -> None:
    layer = replace(LAYERS[name], dtype=dtype)
    x, weight, bias = normal(layer, rng)
    y = run(layer, x, weight, bias, 1, target)
    for threads in (1, 2):
        assert np.array_equal(run(replace(layer, fresh=True), x, weight, bias, threads, target), y)


def test_weights_are_transformed_when_read_where_they_are_many_and_tiles_few(rng: np.random.Generator) -> None:
    """The batch decides, and changes no bit: which is why one image and eight may take different ways."""
    layer = Layer(1, 1, 448, 448, (three(7), three(7)))
    plan = layer.plan(TARGET, "winograd")
    ways = {n: plan.for_images(n) for n in (1, 8)}
    assert ways[1].fresh and not ways[8].fresh and ways[1].packing != ways[8].packing  # type: ignore[union-attr]
    assert not Layer(1, 1, 64, 64, (three(7), three(7))).plan(TARGET, "winograd").for_images(1).fresh  # type: ignore[union-attr]
    x, weight, bias = normal(layer, rng, 8)
    y = correlate(x, weight, layer.axes, bias, precision="fast")
    for n in (0, 5):
        assert np.array_equal(correlate(x[n : n + 1], weight, layer.axes, bias, precision="fast"), y[n : n + 1])


@pytest.mark.parametrize("target", available())
def test_units_that_span_images_give_each_image_its_own_result(target: str, rng: np.random.Generator) -> None:
    """Seven images of seven rows of tiles: with one thread or two a unit begins in one image and ends in the next."""
    layer = Layer(7, 2, 128, 33, (three(28), three(27)))
    x, weight, bias = normal(layer, rng)
    plan = layer.plan(target, "winograd")
    assert isinstance(plan, WinogradPlan)
    assert any(winograd_launch.shared_out(plan, 7, threads).band % 7 for threads in (1, 2, 3))
    alone = [run(replace(layer, images=1), x[n : n + 1], weight, bias, 1, target) for n in range(7)]
    for threads in (1, 2, 3):
        assert np.array_equal(run(layer, x, weight, bias, threads, target), np.concatenate(alone))


def test_bits_do_not_depend_on_how_images_and_results_lie(rng: np.random.Generator) -> None:
    layer = LAYERS["tails"]
    x, weight, bias = normal(layer, rng)
    y = run(layer, x, weight, bias)
    last = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    assert np.array_equal(run(layer, last, weight, bias), y)
    assert np.array_equal(run(replace(layer, channels_last=True), x, weight, bias), y)


def test_equal_windows_at_tiles_apart_give_equal_bits(rng: np.random.Generator) -> None:
    """A picture that repeats after four pixels: so does its result, in the middle and next to every tail."""
    layer = Layer(1, 1, 24, 24, (three(38), three(45)))
    _, weight, bias = normal(layer, rng)
    small = rng.standard_normal((1, 24, 4, 4)).astype("f4")
    x = np.tile(small, (1, 1, 10, 12))[:, :, :38, :45]
    y = run(layer, np.ascontiguousarray(x), weight, bias)[:, :, 4:36, 4:44]
    assert np.array_equal(y, np.tile(y[:, :, :4, :4], (1, 1, 8, 10)))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_stays_in_the_tiles_that_see_it(value: float, rng: np.random.Generator) -> None:
    layer = LAYERS["tails"]
    x, weight, bias = normal(layer, rng)
    clean = run(layer, x, weight, bias)
    x[1, 5, 9, 10] = value  # in the window of rows 8 to 10 and columns 9 to 11: of one row of tiles and one column
    y = run(layer, x, weight, bias)
    spoilt = ~np.isfinite(y)
    assert spoilt[1, :, 8:11, 9:12].all()
    assert not spoilt[0].any() and not spoilt[1, :, :8].any() and not spoilt[1, :, 12:].any()
    assert not spoilt[1, :, :, :8].any() and not spoilt[1, :, :, 12:].any()
    assert np.array_equal(y[~spoilt], clean[~spoilt])


# ---------------------------------------------------------------- the choice


def test_exact_never_chooses_it_and_fast_does_where_it_is_less_work() -> None:
    def chosen(layer: Layer, precision: str) -> type:
        return type(choice.choose(layer.problem, named(TARGET), False, 0, True, precision))

    large = LAYERS["bands"]
    assert chosen(large, "fast") is WinogradPlan and chosen(large, "exact") is DirectPlan
    rows, columns = large.axes
    for other in (
        replace(large, axes=(rows._replace(stride=2, out=20), columns)),
        replace(large, axes=(rows, columns._replace(dilation=2, start=-2))),
        replace(large, axes=(axis(40, 5, 2, 2), columns)),
        replace(large, channels=1),
        Layer(1, 1, 512, 512, (three(4), three(4))),
    ):
        assert chosen(other, "fast") is DirectPlan


def test_the_choice_looks_at_shapes_alone(rng: np.random.Generator) -> None:
    """For any batch the same algorithm, hence the same bits; and exact ones are those of the direct algorithm."""
    layer = Layer(4, 1, 48, 48, (three(20), three(20)))
    x, weight, bias = normal(layer, rng)
    y = correlate(x, weight, layer.axes, bias, precision="fast")
    assert np.array_equal(y, run(layer, x, weight, bias))
    for n in range(4):
        assert np.array_equal(correlate(x[n : n + 1], weight, layer.axes, bias, precision="fast"), y[n : n + 1])
    exact = correlate(x, weight, layer.axes, bias)
    wanted = definition(layer, x, weight, bias)
    assert np.abs(exact - wanted).max() < 1e-6 * np.abs(wanted).max() and not np.array_equal(exact, y)


def test_weights_are_transformed_alike_from_any_strides(rng: np.random.Generator) -> None:
    layer = Layer(1, 2, 21, 35, (three(9), three(9)))
    plan = layer.plan(TARGET, "winograd")
    assert isinstance(plan, WinogradPlan)
    weight = rng.standard_normal(layer.weight_shape).astype("f4")
    x, bias = rng.standard_normal(layer.image_shape).astype("f4"), np.zeros(70, "f4")
    y = run(layer, x, weight, bias)
    for other in (weight.astype(">f4"), np.asfortranarray(weight), weight[:, :, ::-1].copy()[:, :, ::-1]):
        assert np.array_equal(run(layer, x, other, bias), y)


# ---------------------------------------------------------------- the code


def products(target: str, dtype: str, fresh: bool) -> list[list[str]]:
    """The loops of the routine that multiplies."""
    layer = replace(LAYERS["bands"], dtype=dtype, fresh=fresh)
    plan = layer.plan(target, "winograd")
    strides = (8,) * 5
    spec = winograd_launch.launch(plan, 1, strides, strides, layer.limits, 1)[0]
    if not fresh:  # as many tiles as there may be
        lanes = named(target).lanes(spec.number.bytes)
        spec = replace(spec, pixels=tuple(q * lanes for q in range(most_pixels(named(target)))))
    text = assembly(winograd_code.emit(named(target), spec).text, named(target))
    body = text[text.index("\nstretch:" if fresh else "\nproducts:") :]
    return [lines for lines in reading.loops(body) if any("vfmadd" in line or "fmla" in line for line in lines)]


@pytest.mark.parametrize("target", ["avx512", "avx2"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("fresh", [False, True])
def test_products_stay_in_registers(fresh: bool, dtype: str, target: str) -> None:
    inner = products(target, dtype, fresh)
    assert inner
    for lines in inner:
        assert not reading.spilled(lines, "zmm" if target == "avx512" else "ymm")


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("fresh", [False, True])
def test_arm_code_is_made_of_fused_multiply_adds_without_spills(fresh: bool, dtype: str) -> None:
    inner = products("neon", dtype, fresh)
    assert any(sum("fmla" in line for line in lines) >= 24 for lines in inner)
    for lines in inner:
        assert not reading.stacked(lines)


def test_code_that_packs_can_be_made_for_every_target() -> None:
    for target in ("avx512", "avx2", "sse", "neon"):
        for transformed in (False, True):
            spec = weights.WeightsSpec(LAYERS["bands"].problem.number, 2, transformed)
            assert "pack:" in assembly(weights.emit(named(target), spec).text, named(target))


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="needs mprotect")
def test_no_layer_leaves_its_arrays(report_figure: Callable[[str, str], None]) -> None:
    """Images, weights, results, scratch memory and tables lie between forbidden pages, on either side."""
    done = subprocess.run(
        [sys.executable, "-m", "support.layered", "winograd", "60"],
        cwd=FOLDER, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    last = done.stdout.strip().rpartition("\n")[2]
    assert done.returncode >= 0, f"died of {signal.Signals(-done.returncode).name} in: {last}"
    assert done.returncode == 0, f"in {last}:\n{done.stderr}"
    report_figure("layers, Winograd, between forbidden pages", f"{last.removeprefix('done ')} layers")
