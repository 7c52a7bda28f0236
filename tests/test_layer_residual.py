"""An array that is added in the write of a layer's result: after the bias, before limits."""

import math
from dataclasses import replace

import numpy as np
import pytest

from kernelwise.algorithms.layer import direct_code, direct_launch, winograd_code, winograd_launch
from kernelwise.algorithms.layer.winograd_launch import WinogradPlan
from kernelwise.jit import pool
from kernelwise.jit.compile import assembly
from kernelwise.jit.target import available, named
from support.layered import Layer, axis, check, definition, strides5, whole

ALGORITHMS = ("direct", "winograd")
LAYERS = {
    "many pixels": Layer(2, 2, 33, 40, (axis(18, 3, 1, 1), axis(31, 3, 1, 1))),
    "small images": Layer(3, 1, 20, 37, (axis(5, 3, 1, 1), axis(5, 3, 1, 1))),
    "tiny images": Layer(2, 1, 9, 5, (axis(3, 3, 1, 1), axis(2, 3, 1, 1))),
}


def run(
    layer: Layer, algorithm: str, target: str, given: tuple[np.ndarray, ...], added: np.ndarray, threads: int = 1
) -> np.ndarray:
    x, weight, bias = given
    plan = replace(layer, images=len(x)).plan(target, algorithm, x.strides[-2])
    y = np.full_like(added, np.nan)  # its strides, too
    packed, shift = plan.pack(weight, threads), plan.pack_bias(bias)
    ready = plan.prepare(len(x), strides5(x), strides5(y), layer.limits, threads, residual=True)
    ready.args[:5] = [array.ctypes.data for array in (x, y, packed, shift, added)]
    pool.run(ready.address, ready.args.ctypes.data, ready.scratch, ready.units, threads)
    return y


def like_result(layer: Layer, rng: np.random.Generator) -> np.ndarray:
    added = rng.integers(-9, 10, layer.result_shape).astype(layer.dtype)
    return np.moveaxis(np.moveaxis(added, 1, -1).copy(), -1, 1) if layer.channels_last else added


@pytest.mark.parametrize("target", available())
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("name", LAYERS)
def test_it_is_added_before_limits_are_kept(
    name: str, algorithm: str, last: bool, target: str, rng: np.random.Generator
) -> None:
    layer = replace(LAYERS[name], channels_last=last, limits=(0.0, 60.0))
    given, added = whole(layer, rng), like_result(layer, rng)
    wanted = definition(layer, *given) + added
    y = run(layer, algorithm, target, given, added)
    assert (y == 0).any() and y.max() <= 60
    check(layer, y, wanted, layer.plan(target, algorithm))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_bits_depend_on_neither_threads_nor_batch(algorithm: str, rng: np.random.Generator) -> None:
    layer = replace(LAYERS["many pixels"], images=3)
    given = tuple(rng.standard_normal(array.shape).astype("f4") for array in whole(layer, rng))
    added = rng.standard_normal(layer.result_shape).astype("f4")
    y = run(layer, algorithm, "host", given, added)
    assert np.array_equal(run(layer, algorithm, "host", given, added, 3), y)
    for n in range(3):
        one = (given[0][n : n + 1], *given[1:])
        assert np.array_equal(run(layer, algorithm, "host", one, added[n : n + 1], 2), y[n : n + 1])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_without_limits_a_nan_comes_through_and_nothing_else_changes(algorithm: str, rng: np.random.Generator) -> None:
    layer = replace(LAYERS["small images"], limits=(-math.inf, math.inf))
    given, added = whole(layer, rng), like_result(layer, rng)
    clean = run(layer, algorithm, "host", given, added)
    added[1, 7, 2, 3] = math.nan
    y = run(layer, algorithm, "host", given, added)
    assert np.isnan(y[1, 7, 2, 3]) and (y != clean).sum() == 1


@pytest.mark.parametrize("target", ["avx512", "avx2", "sse", "neon"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_code_that_adds_can_be_made_for_every_target(algorithm: str, target: str) -> None:
    layer = LAYERS["many pixels"]
    plan, strides = layer.plan(target, algorithm), (8,) * 5
    if isinstance(plan, WinogradPlan):
        spec = winograd_launch.launch(plan, 1, strides, strides, layer.limits, 1, True)[0]
        module = winograd_code.emit(named(target), spec)
    else:
        module = direct_code.emit(named(target), direct_launch.finishing(plan, layer.limits, True).spec)
    assert "layer:" in assembly(module.text, named(target))
