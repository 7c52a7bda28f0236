"""How well a kernel is found where the images before hardly show it: photographs that were blurred first.

    python benchmarks/conditioning.py [--draws 3] [--sizes 9 15]

A photograph is blurred (0 to 1.5 pixels), a kernel with a peak near 0.1 is applied, noise of one grey level is added,
and `kw.fit_kernel` is asked for the kernel three times: as it stands (it damps the kernel where it finds that it must),
with ridge=0, and with every ridge of a long list, of which the best is kept by somebody who knows the truth. The table
shows the largest error of any tap, the mean over draws; then which share of the parameters was left free, and how often
there was a note. The last column must be 100 % wherever the error of "auto" is more than a few of its error bars.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import kernelwise as kw

BLURS = (0.0, 0.5, 0.8, 1.0, 1.5)
RIDGES = np.geomspace(1e-14, 1e-2, 61)  # of the variance of the image before times the taps, its largest eigenvalue
HEAD = ("blur", "taps", "condition", "auto", "unridged", "best", "auto/best", "free", "in errors", "noted")


def gaussian(size: int, sigma: float) -> np.ndarray:
    line = np.exp(-((np.arange(size) - size // 2) ** 2) / (2 * sigma**2))
    return np.outer(line, line) / line.sum() ** 2


def photographs() -> Iterator[tuple[str, np.ndarray]]:
    from skimage import data

    yield "camera", data.camera().astype(float)
    try:
        from matplotlib.cbook import get_sample_data
        from PIL import Image

        with get_sample_data("grace_hopper.jpg") as stream:
            yield "grace_hopper", np.asarray(Image.open(stream)).astype(float).mean(axis=-1)
    except (ImportError, OSError):
        print("grace_hopper: not there (it comes with Matplotlib)")


def row(photo: np.ndarray, blur: float, size: int, draws: int) -> tuple[float, ...]:
    """The columns of the table after the first two."""
    x = kw.correlate(photo, gaussian(2 * int(4 * blur) + 3, blur)) if blur else photo
    truth = gaussian(size, size / 8)
    truth[size // 2 + 1, size // 2 - 1] += 0.1
    clean = kw.corr2d(x, truth) + 5
    found = []
    for draw in range(draws):
        y = clean + np.random.default_rng(draw).standard_normal(clean.shape)
        fit, raw = kw.fit_kernel(x, y, size), kw.fit_kernel(x, y, size, ridge=0)
        sums = kw.FitStatistics(size).update(x, y)
        tried = x.var() * size**2 * RIDGES
        best = min(float(np.abs(sums.solve(ridge=float(r)).kernel - truth).max()) for r in tried)
        error, bare = (float(np.abs(k - truth).max()) for k in (fit.kernel, raw.kernel))
        worst = float((np.abs(fit.kernel - truth) / np.maximum(fit.stderr, 1e-12)).max())
        best = min(best, bare)
        found.append((raw.condition, error, bare, best, error / best, fit.freedom - 1, worst, 100.0 * bool(fit.notes)))
    return tuple(float(value) for value in np.mean(found, axis=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="*", default=[9, 15])
    given = parser.parse_args()
    for name, photo in photographs():
        print(f"\n{name}, {photo.shape[0]} x {photo.shape[1]}")
        print("".join(f"{word:>11}" for word in HEAD))
        for size in given.sizes:
            for blur in BLURS:
                condition, *errors, ratio, free, worst, noted = row(photo, blur, size, given.draws)
                print(
                    f"{blur:>11g}{size:>8}^2{condition:>11.1e}" + "".join(f"{value:>11.1e}" for value in errors)
                    + f"{ratio:>11.2f}{free:>11.1f}{worst:>11.1f}{noted:>9.0f} %",
                    flush=True,
                )  # fmt: skip


if __name__ == "__main__":
    main()
