"""Measure the constants of `kernelwise/costs.py` on this machine: nanoseconds for an output, and for a multiply-add.

    python benchmarks/costs.py

Direct routines are timed on dense random kernels, separable ones on Gaussians, uint8 images give the price of a
conversion; each constant is a least-squares line through the medians. One thread, float32 sums, 1080 x 1920.
"""

from __future__ import annotations

import time

import numpy as np

import kernelwise as kw

SHAPE = (1080, 1920)
SIZES = (3, 5, 7, 9, 11, 15)
ROUNDS = 15


def nanoseconds(image: np.ndarray, kernel: np.ndarray, method: str) -> float:
    """Median CPU time of one call, for each output."""
    out = np.empty(image.shape, np.float32)
    apply = kw.Filter(kernel, method=method, dtype=np.float32, threads=1)
    apply(image, out=out)
    times = []
    for _ in range(ROUNDS):
        start = time.thread_time_ns()
        for _ in range(5):
            apply(image, out=out)
        times.append((time.thread_time_ns() - start) / 5)
    return float(np.median(times)) / out.size


def work(kernel: np.ndarray, method: str) -> float:
    """Multiply-adds for each output, as the plan counts them."""
    return kw.explain((SHAPE, np.float32), kernel, method=method, dtype=np.float32).parts[0].work


def line(points: list[tuple[float, float]]) -> tuple[float, float]:
    """(at zero, slope) through (work, nanoseconds), each point weighted by its inverse: relative errors count."""
    x, y = np.array(points).T
    weights = 1 / y
    slope, start = np.polyfit(x, y, 1, w=weights)
    return float(start), float(slope)


def main() -> None:
    rng = np.random.default_rng(0)
    photo = rng.random(SHAPE, dtype=np.float32)
    dense = [rng.standard_normal((n, n)) for n in SIZES]
    smooth = [kw.stencils.get(f"gaussian-{n}") for n in SIZES]
    for method, kernels in (("direct", dense), ("separable", smooth)):
        points = [(work(k, method), nanoseconds(photo, k, method)) for k in kernels]
        print(f"{method:<10} " + "  ".join(f"{w:.0f}: {t:.3f}" for w, t in points) + "   (multiply-adds: ns)")
        print(f'    "{method}": ({line(points)[0]:.3f}, {line(points)[1]:.4f}),')
    levels = (photo * 255).astype(np.uint8)
    extra = [nanoseconds(levels, k, "direct") - nanoseconds(photo, k, "direct") for k in dense]
    print("uint8 over float32, direct:", "  ".join(f"{n}: {t:+.3f}" for n, t in zip(SIZES, extra, strict=True)))


if __name__ == "__main__":
    main()
