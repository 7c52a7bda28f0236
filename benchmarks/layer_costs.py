"""Measure the constants of `kernelwise/algorithms/layer/costs.py`, and how well they choose, on this machine.

    python benchmarks/layer_costs.py

Layers of many shapes are run by both algorithms, packing their weights at every call. The constants are the ones that
fit the medians best, relative errors counted, none of them negative, beside what a call costs by itself. One thread,
float32, one image, 3 x 3 taps.
"""

from __future__ import annotations

import time

import numpy as np

from kernelwise.algorithms.layer import choice, costs
from kernelwise.algorithms.layer.problem import LayerProblem, problem3
from kernelwise.algorithms.layer.winograd_launch import plan as winograd_plan
from kernelwise.algorithms.numbers import Number
from kernelwise.jit import pool, target
from kernelwise.problem import Axis

SHAPES = (  # channels, outputs, side of the image
    (64, 64, 56), (128, 128, 28), (256, 256, 14), (64, 128, 56), (32, 32, 56), (16, 16, 56), (64, 64, 14), (64, 64, 7),
    (16, 64, 28), (64, 16, 28), (128, 128, 7), (128, 128, 14), (256, 256, 7), (32, 128, 28), (128, 32, 28), (8, 64, 56),
    (16, 256, 14), (96, 96, 20), (20, 20, 20), (512, 512, 7), (512, 512, 14),
)  # fmt: skip
NAMES = ("DIRECT", "PRODUCT", "ENTER", "LEAVE", "WEIGHT", "LARGE_WEIGHT")
ROUNDS = 15
UNLIMITED = (-np.inf, np.inf)


def layer(channels: int, outputs: int, side: int) -> LayerProblem:
    axis = Axis(side, 3, -1, 1, 1, side)
    return LayerProblem(problem3((axis, axis)), 1, channels, outputs, "constant", Number("f4"))


def microseconds(problem: LayerProblem, winograd: bool) -> float:
    """Median CPU time of packing the weights and of one image."""
    here, rng = target.current(), np.random.default_rng(0)
    side = problem.axes[1].n
    x = rng.standard_normal((1, problem.channels, side, side)).astype("f4")
    weight = rng.standard_normal((problem.outputs, problem.channels, 3, 3)).astype("f4")
    y = np.empty((1, problem.outputs, side, side), "f4")
    plan = winograd_plan(problem, here, False) if winograd else choice.choose(problem, here, False, 0, True, "exact")
    times = []
    for _ in range(ROUNDS + 1):
        start = time.thread_time_ns()
        packed, shift = plan.pack(weight, 1), plan.pack_bias(None)
        given, wanted = ((*a.strides[:2], 0, *a.strides[2:]) for a in (x, y))
        ready = plan.prepare(1, given, wanted, UNLIMITED, 1)
        ready.args[:4] = [a.ctypes.data for a in (x, y, packed, shift)]
        pool.run(ready.address, ready.args.ctypes.data, ready.scratch, ready.units, 1)
        times.append((time.thread_time_ns() - start) / 1e3)
    return float(np.median(times[1:]))


def counts(problem: LayerProblem, winograd: bool) -> list[float]:
    """How often each constant is counted, in thousands: the prediction with that one at 1 and all others at 0."""
    predicted = costs.winograd if winograd else costs.direct
    before, found = {name: getattr(costs, name) for name in NAMES}, []
    for wanted in NAMES:
        for name in NAMES:
            setattr(costs, name, float(name == wanted))
        predicted.cache_clear()
        found.append(predicted(problem, target.current()) / 1e3)
    for name, value in before.items():
        setattr(costs, name, value)
    predicted.cache_clear()
    return found


def fit(rows: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Least squares of relative errors; what would be negative is left out, as 0."""
    used = list(range(rows.shape[1]))
    while True:
        found = np.zeros(rows.shape[1])
        found[used] = np.linalg.lstsq(rows[:, used] / times[:, None], np.ones(len(times)), rcond=None)[0]
        if (found >= 0).all():
            return found
        used.remove(int(found.argmin()))


def main() -> None:
    rows, times = [], []
    for shape in SHAPES:
        problem = layer(*shape)
        took = {winograd: microseconds(problem, winograd) for winograd in (False, True)}
        here = target.current()
        predicted = (
            costs.direct(problem, here) / 1e3,
            costs.winograd(problem, here) / 1e3,
        )
        better, said = took[True] < took[False], predicted[1] < predicted[0]
        lost = took[said] / min(took.values())
        print(
            f"{'x'.join(map(str, shape)):>12}: direct {took[False]:8.1f} (said {predicted[0]:8.1f}), Winograd "
            f"{took[True]:8.1f} (said {predicted[1]:8.1f}) us" + ("" if better == said else f"   loses {lost:.2f}")
        )
        for winograd, t in took.items():
            rows.append([*counts(problem, winograd), 1.0])
            times.append(t)
    for name, value in zip((*NAMES, "a call itself, in us"), fit(np.array(rows), np.array(times)), strict=True):
        print(f"{name} = {value:.4f}")


if __name__ == "__main__":
    main()
