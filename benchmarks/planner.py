"""Is the planner right? The time of the chosen algorithm over that of the fastest of ours, over a grid of problems.

    python benchmarks/planner.py [--cells 200] [--seed 0]

A cell is a kernel (1 to 129 taps on an axis, square and oblong, dense or a product), a pair of dtypes and an image
size. Every algorithm that is predicted to take at most three times as long as the best is timed, interleaved, on one
thread, in CPU time. Cells in which the choice is more than 15 % slower than the best are listed.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import kernelwise as kw
from kernelwise.errors import ArgumentError

SIZES = (1, 2, 3, 5, 7, 9, 11, 13, 15, 17, 21, 25, 31, 45, 63, 95, 129)
SHAPES = ((64, 64), (256, 256), (512, 512), (480, 640), (1080, 1920), (2048, 2048))
PAIRS = (("f4", None), ("f8", None), ("u1", None), ("u1", "u1"), ("u2", None), ("i1 kernel", None))
METHODS = ("direct", "separable", "fourier")
WITHIN, NEVER = 1.15, 1.5


def kernel(rng: np.random.Generator, integer: bool) -> np.ndarray:
    """A random one: dense, a product, or a sum of two products; square in half of the cases."""
    tall, across = rng.choice(SIZES, 2)
    if rng.random() < 0.5:
        tall = across

    def draw(*shape: int) -> np.ndarray:
        return rng.integers(-9, 10, shape) if integer else rng.standard_normal(shape)

    terms = int(rng.integers(0, 3))
    return draw(tall, across) if terms == 0 else sum(np.outer(draw(tall), draw(across)) for _ in range(terms))


def options(shape: tuple[int, int], image: str, k: np.ndarray, dtype: str | None) -> dict[str, float]:
    """Predicted seconds of every algorithm that can do it, in order."""
    found = {}
    for method in METHODS:
        try:
            found[method] = kw.explain((shape, image), k, method=method, dtype=dtype).seconds
        except ArgumentError:
            pass
    return found


def seconds(x: np.ndarray, k: np.ndarray, methods: list[str], dtype: str | None, rounds: int) -> dict[str, float]:
    """Median CPU seconds of each, interleaved."""
    filters = {m: kw.Filter(k, method=m, dtype=dtype, threads=1) for m in methods}
    out = {m: f(x) for m, f in filters.items()}
    turns = {}
    for m, f in filters.items():
        start = time.thread_time()
        f(x, out[m])
        turns[m] = max(1, int(1e-3 / max(1e-7, time.thread_time() - start)))
    taken: dict[str, list[float]] = {m: [] for m in methods}
    for _ in range(rounds):
        for m, f in filters.items():
            start = time.thread_time()
            for _ in range(turns[m]):
                f(x, out[m])
            taken[m].append((time.thread_time() - start) / turns[m])
    return {m: float(np.median(t)) for m, t in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cells", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    ratios = []
    while len(ratios) < given.cells:
        image, dtype = PAIRS[rng.integers(len(PAIRS))]
        k = kernel(rng, image == "i1 kernel")
        image = "u1" if image == "i1 kernel" else image
        shape = SHAPES[rng.integers(len(SHAPES))]
        predicted = options(shape, image, k, dtype)
        near = [m for m, t in predicted.items() if t <= 3 * min(predicted.values())]
        x = rng.random(shape).astype(image) if image[0] == "f" else rng.integers(0, 256, shape).astype(image)
        taken = seconds(x, k, near, dtype, given.rounds) if len(near) > 1 else dict.fromkeys(near, 1.0)
        chosen = kw.explain((shape, image), k, dtype=dtype).algorithm
        ratios.append(taken[chosen] / min(taken.values()))
        if ratios[-1] > WITHIN:
            shown = "  ".join(f"{m} {t * 1e3:.3f} ms (predicted {predicted[m] * 1e3:.3f})" for m, t in taken.items())
            print(
                f"{ratios[-1]:.2f}  {shape} {image}->{dtype or ''} kernel {k.shape} {k.dtype}: {chosen}; {shown}",
                flush=True,
            )
    share = np.mean(np.array(ratios) <= WITHIN)
    what = f"within {WITHIN - 1:.0%} of the best in {share:.1%}, at worst {max(ratios):.2f} times"
    print(f"{len(ratios)} cells: the choice is {what}")


if __name__ == "__main__":
    main()
