"""Measure the constants by which lag sums of single lines choose between products and transforms: see lag_costs.py.

python benchmarks/line_costs.py
"""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
from lag_costs import each_alone, microseconds, report

from kernelwise.algorithms import fourier_lines, line_lags
from kernelwise.fitting import strips
from kernelwise.fitting.strips import Side

PRODUCTS = ("MULTIPLY", "START")
TRANSFORMS = ("FORTH", "BACK", "PRODUCT", "START")
PIXELS, TAPS, CHANNELS = (100, 500, 1000, 4000), (3, 7, 9, 15, 21, 31, 45), ((1, 1), (3, 1))


def case(pixels: int, taps: int, channels: tuple[int, int], turned: bool) -> tuple[Side, tuple]:
    """The lines of one side of an image for so many taps, and their shape as both predictions take it."""
    rng, (rows, k) = np.random.default_rng(0), (taps - 1, taps)
    a, b = (rng.standard_normal((1, c, rows + k, pixels + 2 * k), np.float32) for c in channels)
    lags, downs = range(1 - k, k), range(k)
    of = (lags, downs) if turned else (downs, lags)
    side = Side(a, b, range(rows), of[0], range(k, k + pixels), of[1])
    return side, (1, channels, rows, pixels, len(of[0]), len(of[1]))


def products(side: Side, shape: tuple) -> tuple[list[float], float]:
    """How often each constant is counted, and microseconds."""
    counts = each_alone([(line_lags, name) for name in PRODUCTS], lambda: line_lags.nanoseconds(*shape))
    return counts, microseconds(lambda: strips.by_products(side, 0.0, 1))


def transforms(side: Side, shape: tuple) -> tuple[list[float], float]:
    def predicted() -> float:
        fourier_lines.cut.cache_clear()
        return fourier_lines.of_length(of.spec.length, *shape).nanoseconds

    fourier_lines.cut.cache_clear()
    of = fourier_lines.cut(*shape)
    asked = strips.for_transforms(side, of, 0.0)
    counts = each_alone([(fourier_lines, name) for name in TRANSFORMS], predicted)
    return counts, microseconds(partial(fourier_lines.fourier_lines, [asked], 1))


def main() -> None:
    cases = [case(*one) for one in itertools.product(PIXELS, TAPS, CHANNELS, (False, True))]
    measured = [(products(*one), transforms(*one)) for one in cases]
    report(PRODUCTS, [one for one, _ in measured])
    report(TRANSFORMS, [other for _, other in measured])
    lost = []
    for (_, shape), ((_, one), (_, other)) in zip(cases, measured, strict=True):
        of = fourier_lines.cut(*shape)
        chosen = of is not None and of.nanoseconds < line_lags.nanoseconds(*shape)
        lost.append((other if chosen else one) / min(one, other))
        print(f"{shape!s:38} products / transforms {one / other:5.2f}, transforms chosen: {chosen}")
    print(f"what the constants in use choose takes {np.mean(lost) - 1:.1%} longer than the better one, on average")


if __name__ == "__main__":
    main()
