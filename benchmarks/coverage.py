"""How often error bars hold the truth, and how often the size is right, in simulated fits of photographs.

    python benchmarks/coverage.py [--draws 2000] [--trials 200] [--processes 2]

Every fit is one call of `kw.fit_kernel`. For error bars a kernel is applied to a piece of a photograph, noise is added,
and the share of taps is counted whose truth lies within one standard error (68.3 % are right) and within 1.96 (95.0 %);
"worst" is the share of the tap that is furthest off, "sum" that of the sum of all taps. For sizes the outermost taps
stand at five standard errors; the size is right where it is the true one or one step larger. The last table counts
coverage where the size was chosen from the very data that were fitted.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import kernelwise as kw

SIDE = 160  # pixels of a piece
ONE, TWO = 1.0, 1.959964
PHOTOGRAPHS = ("camera", "china", "flower")


@lru_cache
def photograph(name: str) -> np.ndarray:
    """A piece with structure, in grey."""
    if name == "camera":
        from skimage import data

        whole, corner = data.camera().astype(float), (100, 120)
    else:
        from sklearn.datasets import load_sample_image

        whole, corner = load_sample_image(f"{name}.jpg").astype(float).mean(axis=-1), (180, 200)
    return whole[corner[0] : corner[0] + SIDE, corner[1] : corner[1] + SIDE]


def gaussian(size: int, sigma: float) -> np.ndarray:
    line = np.exp(-((np.arange(size) - size // 2) ** 2) / (2 * sigma**2))
    return np.outer(line, line) / line.sum() ** 2


KERNELS = {
    "blur": gaussian(7, 1.2) + 0.02 * (np.arange(49).reshape(7, 7) == 12),
    "edge": np.outer([1, 2, 1], [1, 0, -1]).astype(float),
    "motion": np.eye(5) / 5,
}


@dataclass(frozen=True)
class Case:
    """What is simulated."""

    name: str
    photo: str
    kernel: str
    noise: str  # "white", "growing with the signal", "smooth"
    level: float
    errors: str
    x_noise: float = 0.0
    size: int | str | None = None  # of the fit; None: the truth's


def noise_of(case: Case, clean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if case.noise == "white":
        return case.level * rng.standard_normal(clean.shape)
    if case.noise == "growing with the signal":
        rise = (clean - clean.min()) / np.ptp(clean)
        return case.level * np.sqrt(0.05 + 2 * rise) * rng.standard_normal(clean.shape)
    margin = 8
    wide = rng.standard_normal(tuple(n + 2 * margin for n in clean.shape))
    smooth = kw.correlate(wide, gaussian(2 * margin + 1, 1.0))[margin:-margin, margin:-margin]
    return case.level * smooth / 0.2821  # of unit deviation: 1 / (2 sqrt(pi))


def draws(case: Case, first: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Errors in units of their standard errors: (count, taps) and (count,) of the sum."""
    x, kernel = photograph(case.photo), KERNELS[case.kernel]
    clean = kw.corr2d(x, kernel)
    taps, sums = [], []
    for seed in range(first, first + count):
        rng = np.random.default_rng(seed)
        y = clean + noise_of(case, clean, rng)
        seen = x + case.x_noise * rng.standard_normal(x.shape) if case.x_noise else x
        size = kernel.shape if case.size is None else case.size
        y = np.pad(y, kernel.shape[0] // 2) if isinstance(size, str) else y
        fit = kw.fit_kernel(
            seen, y, size, errors=case.errors, x_noise=case.x_noise, ridge=0, max_size=kernel.shape[0] + 4, threads=1
        )
        if fit.kernel.shape < kernel.shape:
            taps.append(np.full(kernel.size, np.inf))  # a tap that is there and is not told of
            sums.append(np.inf)
            continue
        margin = (fit.kernel.shape[0] - kernel.shape[0]) // 2
        truth = np.pad(kernel, margin)
        z = (fit.kernel - truth) / fit.stderr
        taps.append(z[margin : margin + kernel.shape[0], margin : margin + kernel.shape[0]].ravel())
        sums.append((fit.kernel.sum() - truth.sum()) / np.sqrt(fit.covariance.sum()))
    return np.array(taps), np.array(sums)


def shares(z: np.ndarray) -> tuple[float, float]:
    return float((np.abs(z) < ONE).mean()), float((np.abs(z) < TWO).mean())


def coverage_row(case: Case, taps: np.ndarray, sums: np.ndarray) -> str:
    one, two = shares(taps)
    each_one, each_two = (np.abs(taps) < ONE).mean(axis=0), (np.abs(taps) < TWO).mean(axis=0)
    worst = [float(each[np.argmax(np.abs(each - right))]) for each, right in ((each_one, 0.6827), (each_two, 0.95))]
    total = shares(sums)
    values = (one, two, *worst, *total)
    return f"{case.name:<58}{case.errors:>7}" + "".join(f"{100 * value:>9.1f}" for value in values)


def cases() -> Iterator[Case]:
    for photo in PHOTOGRAPHS:
        for kernel, level in (("blur", 2.0), ("edge", 8.0), ("motion", 0.5)):
            yield Case(f"{photo}, {kernel}, white {level:g}", photo, kernel, "white", level, "white")
    for photo in PHOTOGRAPHS:
        name = f"{photo}, blur, noise growing with the signal"
        yield Case(name, photo, "blur", "growing with the signal", 3.0, "white")
        yield Case(name, photo, "blur", "growing with the signal", 3.0, "robust")
    for photo in PHOTOGRAPHS:
        name = f"{photo}, blur, noise smooth over one pixel"
        yield Case(name, photo, "blur", "smooth", 2.0, "white")
        yield Case(name, photo, "blur", "smooth", 2.0, "hac")
    yield Case("camera, blur, white 2, noise 1 before, told", "camera", "blur", "white", 2.0, "white", 1.0)


def true_sizes(trial: int, size: int) -> tuple[int, ...]:
    """The size found where the outermost taps stand at five standard errors."""
    rng = np.random.default_rng([trial, size])
    x = photograph(PHOTOGRAPHS[trial % len(PHOTOGRAPHS)])
    kernel = gaussian(size, size / 4)
    ring = np.ones((size, size), bool)
    ring[1:-1, 1:-1] = False
    noise = 2.0
    error = kw.fit_kernel(x, noise * rng.standard_normal(x.shape), size, ridge=0, threads=1).stderr
    kernel[ring] = np.where(rng.random(ring.sum()) < 0.5, -1, 1) * 5 * error[ring]
    y = kw.correlate(x, kernel) + noise * rng.standard_normal(x.shape)
    return kw.fit_kernel(x, y, max_size=15, threads=1).kernel.shape


def run(work: Callable[..., object], jobs: list[tuple[object, ...]], processes: int) -> list[object]:
    if processes == 1:
        return [work(*job) for job in jobs]
    with ProcessPoolExecutor(processes) as pool:
        return [future.result() for future in [pool.submit(work, *job) for job in jobs]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    head = ("68.3 %", "95.0 %", "worst", "worst", "sum 68", "sum 95")
    print(f"{'Error bars: share of taps whose truth they hold':<58}{'errors':>7}" + "".join(f"{h:>9}" for h in head))
    chosen = [Case(f"camera, {k}, white, size chosen", "camera", k, "white", v, "white", 0.0, "auto")
              for k, v in (("blur", 2.0), ("motion", 0.5))]  # fmt: skip
    step = max(1, given.draws // (2 * given.processes))
    for case in [*cases(), *chosen]:
        jobs: list[tuple[object, ...]] = [
            (case, first, min(step, given.draws - first)) for first in range(0, given.draws, step)
        ]
        parts = run(draws, jobs, given.processes)
        taps, sums = (np.concatenate([part[i] for part in parts]) for i in (0, 1))  # type: ignore[index]
        print(coverage_row(case, taps, sums), flush=True)
    print(f"\nSize, of {given.trials} fits: outermost taps at five standard errors, on both sides")
    for size in (3, 5, 7, 9, 11):
        found = run(true_sizes, [(trial, size) for trial in range(given.trials)], given.processes)
        right = sum(shape in ((size, size), (size + 2, size + 2)) for shape in found)
        exact = sum(shape == (size, size) for shape in found)
        print(
            f"{size} x {size}: right {exact}, right or one step larger {right} ({100 * right / given.trials:.1f} %)",
            flush=True,
        )


if __name__ == "__main__":
    main()
