"""Depthwise layers, read as they lie in either layout: the definition exactly, the same bits, nothing read beside."""

import math
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernelwise import caches
from kernelwise.algorithms.layer import across, choice, last, last_launch, rows, rows_launch
from kernelwise.algorithms.layer.across_spec import AcrossSpec
from kernelwise.jit.compile import assembly
from kernelwise.jit.target import available, named
from kernelwise.layers.operations import correlate
from kernelwise.layers.prepared import PreparedLayer, strides5
from support import assembly as reading
from support.layered import Layer, axis, definition, whole

FOLDER = Path(__file__).parent
LAYOUTS = ("first", "last")
REGISTER = {"avx512": "zmm", "avx2": "ymm"}
LAYERS = {  # one channel and one output in each group, but for the multiplier
    "small planes": Layer(2, 40, 1, 1, (axis(14, 3, 1, 1), axis(14, 3, 1, 1))),
    "tiny planes": Layer(1, 37, 1, 1, (axis(7, 3, 1, 1), axis(7, 3, 1, 1))),
    "wide planes": Layer(2, 9, 1, 1, (axis(33, 3, 1, 1), axis(61, 3, 1, 1))),
    "steps": Layer(2, 20, 1, 1, (axis(29, 3, 1, 1, 2), axis(57, 3, 1, 1, 2))),
    "dilated": Layer(1, 19, 1, 1, (axis(23, 3, 2, 2, 1, 2), axis(40, 3, 2, 2, 1, 2))),
    "large kernel": Layer(1, 21, 1, 1, (axis(30, 7, 3, 3), axis(35, 7, 3, 3))),
    "no padding": Layer(1, 18, 1, 1, (axis(12, 2), axis(50, 3))),
    "a line": Layer(2, 24, 1, 1, (axis(70, 9, 4, 4),)),
    "multiplier": Layer(2, 5, 1, 2, (axis(16, 3, 1, 1), axis(40, 3, 1, 1))),
    "one channel": Layer(1, 1, 1, 1, (axis(40, 5, 2, 2), axis(130, 5, 2, 2))),
}
BORDERS = ("constant", "edge", "reflect", "symmetric", "wrap")


def lying(values: np.ndarray, layout: str) -> np.ndarray:
    """A copy with the same indices, in memory channels first or last."""
    if layout == "first":
        return values.copy()
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(values, 1, -1)), -1, 1)


def run(layer: Layer, layout: str, x: np.ndarray, weight: np.ndarray, bias: np.ndarray, threads: int = 1) -> np.ndarray:
    out = lying(np.full((len(x), *layer.result_shape[1:]), np.nan, layer.dtype), layout)
    how = {"groups": layer.groups, "border": layer.border, "limits": layer.limits, "threads": threads}
    return correlate(lying(x, layout), weight, layer.axes, bias, out=out, lanes="pixels", **how)


def plan(layer: Layer, layout: str, target: str) -> Any:
    x, out = (lying(np.empty(shape, layer.dtype), layout) for shape in (layer.image_shape, layer.result_shape))
    problem = PreparedLayer(np.ones(layer.weight_shape, layer.dtype), groups=layer.groups).problem(layer.axes)
    return choice.plan(problem, named(target), strides5(x), strides5(out), "exact", lanes="pixels")


def random(layer: Layer, rng: np.random.Generator, images: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x = rng.standard_normal((images, *layer.image_shape[1:])).astype(layer.dtype)
    weight = rng.standard_normal(layer.weight_shape).astype(layer.dtype)
    return x, weight, rng.standard_normal(len(weight)).astype(layer.dtype)


# ---------------------------------------------------------------- what they compute


@pytest.mark.parametrize("target", available())
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", LAYERS)
def test_whole_numbers_come_out_exactly(
    name: str, layout: str, target: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With and without weights that are zero, within limits and without."""
    monkeypatch.setenv("KERNELWISE_TARGET", target)
    layer = replace(LAYERS[name], dtype="f8" if name in ("steps", "no padding") else "f4")
    x, weight, bias = whole(layer, rng)
    for limits in ((-math.inf, math.inf), (0.0, 6.0)):
        wanted = np.clip(definition(layer, x, weight, bias), *limits)
        assert np.array_equal(run(replace(layer, limits=limits), layout, x, weight, bias), wanted)
    weight[..., 0] = 0
    assert np.array_equal(run(layer, layout, x, weight, bias), definition(layer, x, weight, bias))


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("name", ["small planes", "steps", "a line"])
def test_any_border_is_that_of_the_definition(name: str, border: str, rng: np.random.Generator) -> None:
    layer = replace(LAYERS[name], border=border)
    x, weight, bias = whole(layer, rng)
    wanted = definition(layer, x, weight, bias)
    for layout in LAYOUTS:
        assert np.array_equal(run(layer, layout, x, weight, bias), wanted)


def test_each_layout_has_a_routine_that_reads_it_as_it_lies() -> None:
    """Channels last on every target; rows where they can be loaded under a mask, and sums find enough registers."""
    for name, layer in LAYERS.items():
        for target in ("avx512", "avx2", "sse", "neon"):
            if name not in ("multiplier", "one channel"):
                assert isinstance(plan(layer, "last", target).spec, last.LastSpec), (name, target)
            masked = target in rows_launch.TARGETS and (name, target) != ("large kernel", "avx2")
            assert isinstance(plan(layer, "first", target).spec, rows.RowsSpec) == masked, (name, target)


@pytest.mark.parametrize("name", LAYERS)
def test_bits_depend_on_neither_threads_nor_batch_nor_layout(name: str, rng: np.random.Generator) -> None:
    layer = LAYERS[name]
    x, weight, bias = random(layer, rng, 5)
    y = run(layer, "first", x, weight, bias)
    for layout in LAYOUTS:
        for threads in (1, 2, 3, 8):
            assert np.array_equal(run(layer, layout, x, weight, bias, threads), y)
        parts = [run(layer, layout, x[part], weight, bias, 2) for part in (slice(0, 1), slice(1, 3), slice(3, 5))]
        assert np.array_equal(np.concatenate(parts), y)
    backwards = np.ascontiguousarray(x[..., ::-1])[..., ::-1]  # rows that are copied before they are read
    assert np.array_equal(
        correlate(backwards, weight, layer.axes, bias, groups=layer.groups, lanes="pixels", threads=1), y
    )


@pytest.mark.parametrize("layout", LAYOUTS)
def test_results_past_the_caches_are_the_same(
    layout: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = Layer(1, 32, 1, 1, (axis(20, 3, 1, 1), axis(64, 3, 1, 1)))
    x, weight, bias = random(layer, rng, 1)
    y = run(layer, layout, x, weight, bias)
    streamed = plan(layer, layout, "host")
    assert not isinstance(streamed.spec, AcrossSpec) and streamed.spec.streams
    for module in (rows_launch, last_launch):
        monkeypatch.setattr(module, "STREAM_BYTES", 0)
    caches.clear_cache()
    assert np.array_equal(run(layer, layout, x, weight, bias, 2), y)
    caches.clear_cache()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["small planes", "wide planes", "steps"])
def test_what_is_not_finite_touches_the_outputs_whose_window_holds_it_and_no_other(
    name: str, layout: str, rng: np.random.Generator
) -> None:
    layer = LAYERS[name]
    for absent in (False, True):
        x, weight, bias = whole(layer, rng)
        if absent:
            weight[:, :, :, 2] = 0  # a zero tap is absent
        clean = run(layer, layout, x, weight, bias)
        mark = np.zeros_like(x)
        mark[0, 3, 6, 11] = 1
        touched = definition(layer, mark, np.abs(weight), np.zeros_like(bias)) != 0
        for value in (math.nan, math.inf):
            x[0, 3, 6, 11] = value
            y = run(layer, layout, x, weight, bias)
            assert touched.any() and not np.isfinite(y[touched]).any()
            assert np.array_equal(y[~touched], clean[~touched])


def test_torch_layers_take_the_routine_of_their_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A functional call and an accelerated network, in the layout of what they are given."""
    torch = pytest.importorskip("torch")
    from kernelwise import torch as kt

    started: list[str] = []
    for name, module in (("first", rows_launch), ("last", last_launch)):
        launch = module.launch
        monkeypatch.setattr(module, "launch", lambda *a, launch=launch, name=name: started.append(name) or launch(*a))
    torch.manual_seed(3)
    layer = torch.nn.Conv2d(27, 27, 3, padding=1, groups=27)
    formats = {"first": torch.contiguous_format, "last": torch.channels_last}
    functional = lambda x: kt.functional.conv2d(x, layer.weight, layer.bias, 1, 1, 1, 27)  # noqa: E731
    with torch.inference_mode():
        fast = kt.accelerate(torch.nn.Sequential(layer), torch.zeros(1, 27, 15, 19), quiet=True)
        for layout, memory in formats.items():
            x = torch.randn(2, 27, 15, 19).contiguous(memory_format=memory)
            wanted = torch.nn.functional.conv2d(x, layer.weight, layer.bias, 1, 1, 1, 27)
            for call in (functional, fast):
                started.clear()
                caches.clear_cache()
                y = call(x)
                assert y.is_contiguous(memory_format=memory) and started == [layout]
                torch.testing.assert_close(y, wanted, rtol=1e-5, atol=1e-5)


# ---------------------------------------------------------------- the code


def routine(layer: Layer, layout: str, target: str) -> str:
    spec = plan(layer, layout, target).spec
    module: Any = {last.LastSpec: last, rows.RowsSpec: rows}.get(type(spec), across)
    return assembly(module.emit(named(target), spec).text, named(target))


@pytest.mark.parametrize("target", ["avx512", "avx2"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["small planes", "wide planes", "steps", "large kernel"])
def test_sums_stay_in_registers(name: str, layout: str, dtype: str, target: str) -> None:
    text = routine(replace(LAYERS[name], dtype=dtype), layout, target)
    inner = [lines for lines in reading.loops(text) if sum("vfmadd" in line for line in lines) >= 3]
    assert inner
    for lines in inner:
        assert not reading.spilled(lines, REGISTER[target])


@pytest.mark.parametrize("name", ["small planes", "steps", "large kernel"])
def test_arm_code_is_made_of_fused_multiply_adds_in_registers(name: str) -> None:
    text = routine(LAYERS[name], "last", "neon")
    inner = [lines for lines in reading.loops(text) if sum("fmla" in line for line in lines) >= 10]
    assert inner
    for lines in inner:
        assert len(reading.stacked(lines)) <= sum("fmla" in line for line in lines) / 10


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="needs mprotect")
def test_no_layer_leaves_its_arrays(report_figure: Callable[[str, str], None]) -> None:
    """Images, results and scratch memory lie between forbidden pages, on either side, in both layouts."""
    command = [sys.executable, "-m", "support.fenced_layers", "depthwise", "35"]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=500)
    final = done.stdout.strip().rpartition("\n")[2]
    assert done.returncode >= 0, f"died of {signal.Signals(-done.returncode).name} in: {final}"
    assert done.returncode == 0, f"in {final}:\n{done.stderr}"
    report_figure("layers, depthwise, between forbidden pages", f"{final.removeprefix('done ')} units")
