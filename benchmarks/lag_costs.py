"""Measure the constants by which lag sums choose between products and transforms, and how well they choose.

    python benchmarks/lag_costs.py

Stacks of many shapes are done both ways, the transforms with tiles of every size. The constants of `direct_lags` and of
`fourier_lags.cut` are the ones that fit the medians best, relative errors counted, none of them negative. One thread.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import numpy as np
from layer_costs import fit

from kernelwise.algorithms import direct_lags
from kernelwise.algorithms.fourier_lags import cut
from kernelwise.algorithms.fourier_lags.launch import Side, fourier_lags
from kernelwise.algorithms.fourier_lags.spec import Stack
from kernelwise.algorithms.routine import current_target

ROUNDS = 5
DIRECT = ("MULTIPLY", "VECTOR", "ROW", "START")
FOURIER = ("ROW", "PRODUCT", "BACK", "START")
SIDES, TAPS = (90, 300, 800), (2, 3, 5, 7, 9, 15, 31)
CHANNELS = ((1, 1), (3, 1), (2, 4))
NATIVE = np.dtype("f4")


def microseconds(call: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS + 1):
        start = time.thread_time_ns()
        call()
        times.append((time.thread_time_ns() - start) / 1e3)
    return float(np.median(times[1:]))


def arrays(side: int, taps: int, channels: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    a, b = (1, channels[0], side, side), (1, channels[1], side + taps - 1, side + taps - 1)
    return rng.standard_normal(a, np.float32), rng.standard_normal(b, np.float32)


def direct(side: int, taps: int, channels: tuple[int, int]) -> tuple[list[float], float]:
    """How often each constant is counted, and microseconds."""
    a, b = arrays(side, taps, channels)
    given = a.shape, b.shape, (NATIVE,) * 3, (taps, taps), current_target()
    places = [(direct_lags, name) for name in DIRECT]
    counts = each_alone(places, lambda: direct_lags.nanoseconds(*given))
    call = direct_lags.direct_lag_sums
    return counts, microseconds(lambda: call(a, b, (taps, taps), (0, 0), (0.0, 0.0), NATIVE, 1))


def fourier(side: int, taps: int, channels: tuple[int, int], tile: tuple[int, int]) -> tuple[list[float], float]:
    """The same for transforms of tiles of that size."""
    a, b = arrays(side, taps, channels)
    stack = Stack(channels[0], (side, side), (0, 0), (taps, taps))

    def cut_so() -> cut.Cut:
        return cut.tiled(tile, 1, [stack], channels[1], 4, current_target())

    made, sides = cut_so(), (Side(a, 0.0), Side(b, 0.0))
    places = [*((cut.PASS, n) for n in cut.LENGTHS), *((cut, name) for name in FOURIER)]
    counts = each_alone(places, lambda: cut_so().nanoseconds)
    call = fourier_lags
    return counts, microseconds(lambda: call(made, [(sides[0], stack)], sides[1], NATIVE, current_target(), 1))


def tiles(side: int, taps: int) -> list[tuple[int, int]]:
    every = itertools.product(cut.LENGTHS, cut.LENGTHS)
    return [tile for tile in every if taps + 7 <= min(tile) and max(tile) <= min(4 * min(tile), 2 * side)]


def report(names: tuple, measured: list[tuple[list[float], float]]) -> None:
    rows, times = (np.array(part) for part in zip(*measured, strict=True))
    found = fit(rows, times)
    print(dict(zip(names, found.round(3).tolist(), strict=True)))
    print(f"error {np.abs(rows @ found / times - 1).mean():.0%} on average")


def each_alone(places: list[tuple], predicted: Callable[[], float]) -> list[float]:
    """How often each constant is counted, in thousands: the prediction with that one at 1 and all others at 0."""
    found = []
    for wanted in places:
        before = [change(place, float(place == wanted)) for place in places]
        found.append(predicted() / 1e3)
        for place, value in zip(places, before, strict=True):
            change(place, value)
    return found


def change(place: tuple, value: float) -> float:
    """Set a constant, of a module or of a table; returns what it was."""
    owner, name = place
    table = owner if isinstance(owner, dict) else vars(owner)
    before, table[name] = table[name], value
    return float(before)


def main() -> None:
    cases = list(itertools.product(SIDES, TAPS, CHANNELS))
    by_products = {case: direct(*case) for case in cases}
    report(DIRECT, list(by_products.values()))
    by_transforms = {case: [fourier(*case, tile) for tile in tiles(*case[:2])] for case in cases}
    report((*cut.LENGTHS, *FOURIER), [one for several in by_transforms.values() for one in several])
    lost = []
    for case in cases:
        side, taps, channels = case
        ratio = by_products[case][1] / min(time for _, time in by_transforms[case])
        a, b = arrays(*case)
        stack = Stack(channels[0], (side, side), (0, 0), (taps, taps))
        of = cut.cut(1, [stack], channels[1], 4, current_target())
        alone = direct_lags.nanoseconds(a.shape, b.shape, (NATIVE,) * 3, (taps, taps), current_target())
        chosen = of is not None and of.nanoseconds < alone
        lost.append(max(1.0, 1 / ratio if chosen else ratio))
        print(f"{side:5} {taps:3} {channels} products / transforms {ratio:5.2f}, transforms chosen: {chosen}")
    print(f"what the constants in use choose takes {np.mean(lost) - 1:.1%} longer than the better one, on average")


if __name__ == "__main__":
    main()
