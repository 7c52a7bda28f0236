"""The steps on a photograph: a kernel applied, and the same kernel learned back from before and after."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import kernelwise as kw

from ..errors import ArgumentError, FileError
from ..fitting.windows import window_products
from . import claims, files, shades
from .claims import Claim

KERNEL_NAME = "emboss"  # neither symmetric nor separable: a flip or a transposition would show
CROP = 512  # the kernel is learned from the middle of a larger photograph
STAGES = (10, 100, 1000, 10_000)  # steps of descent after which the kernel is looked at
ARRIVED = 1e-8  # mean squares below this, and taps nearer than its root, are as good as descent in float32 gets
TOO_SMOOTH = 0.1  # a photograph in which rounding alone could move a tap this far tells nothing about the taps
TIMED_SECONDS, TIMED_CALLS = 0.3, 100
MIN_SIDE = 16


@dataclass(frozen=True)
class Photograph:
    """A grey photograph: `pixels` (H, W) float32, black 0 and white 1; `notes` from reading it."""

    name: str
    pixels: np.ndarray
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Filtered:
    """`embossed` (H, W) is the photograph under the kernel."""

    embossed: np.ndarray
    seconds: float
    plan: Any
    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class Stage:
    """The `kernel` after so many `steps` of descent, its mean squared error and its largest distance from the truth."""

    steps: int
    kernel: np.ndarray
    loss: float
    error: float


@dataclass(frozen=True)
class LearnedBack:
    """A kernel learned from `pixels` = (rows, columns): by descent (`stages`, `losses` of every step) and solved."""

    true: np.ndarray
    pixels: tuple[int, int]
    stages: tuple[Stage, ...]
    losses: np.ndarray
    learning_rate: float
    solved: Stage
    seconds: float  # that solving took
    claims: tuple[Claim, ...]


def load(path: Path | None, max_pixels: int) -> Photograph:
    """Read the user's photograph, or the one that Matplotlib brings. FileError if it is missing or too small."""
    if path is None:
        from matplotlib import cbook

        try:
            path = Path(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
        except FileNotFoundError:
            raise FileError("Matplotlib came without its photograph: name one, kernelwise tour photo.jpg") from None
    picture = files.read(path, max_pixels=max_pixels)
    grey = shades.luma(picture.pixels)
    if not picture.is_image or min(grey.shape) < MIN_SIDE:
        raise FileError(f"{path}: the tour needs an image of at least {MIN_SIDE} x {MIN_SIDE} pixels")
    pixels = (grey / shades.white_of(grey)).astype(np.float32)
    if not np.isfinite(pixels).all():
        raise FileError(f"{path}: the tour needs an image without NaN or infinity")
    return Photograph(path.name, pixels, picture.notes)


def filtered(photo: Photograph) -> Filtered:
    """The whole photograph under the kernel, one call timed, and the result compared with NumPy's sums."""
    x, kernel = photo.pixels, kw.stencils.get(KERNEL_NAME)
    embossed = kw.correlate(x, kernel)
    inside = kw.corr2d(x, kernel)
    # The definition once more, apart from the package: shifted views of the middle, weighted and added in float64.
    middle = _middle(x.shape)
    by_views = np.tensordot(kernel.ravel(), _views(x[middle], kernel.shape), axes=1)
    same = inside[tuple(slice(part.start, part.start + n) for part, n in zip(middle, by_views.shape, strict=True))]
    return Filtered(
        embossed,
        _best_time(lambda: kw.correlate(x, kernel, out=embossed)),
        kw.explain(x, kernel),
        (
            claims.close(
                f"{same.size:,} pixels under {KERNEL_NAME} agree with sums of shifted views in float64",
                same,
                by_views,
                rounding(kernel),
            ),
            claims.equal("the result in the middle is the same with borders and without", embossed[1:-1, 1:-1], inside),
        ),
    )


def _best_time(call: Callable[[], Any]) -> float:
    """Seconds of the fastest of many calls."""
    best, deadline = float("inf"), time.perf_counter() + TIMED_SECONDS
    for _ in range(TIMED_CALLS):
        start = time.perf_counter()
        call()
        end = time.perf_counter()
        best = min(best, end - start)
        if end > deadline:
            break
    return best


def learned_back(photo: Photograph) -> LearnedBack:
    """Learn the kernel from before and after: by gradient descent, and by least squares on the same pixels."""
    before = np.ascontiguousarray(photo.pixels[_middle(photo.pixels.shape)])
    true = kw.stencils.get(KERNEL_NAME).astype(np.float64)
    after = kw.corr2d(before, true.astype(np.float32))
    solution, within = least_squares(before, after, true.shape, rounding(true))
    seconds = _best_time(lambda: kw.fit_kernel(before, after, true.shape))
    solved = _stage(0, solution, before, after, true)
    stages, losses = [], []
    kernel: np.ndarray | None = None
    rate: float | str = "auto"  # as the first stage finds it; then that one, so that all stages are one descent
    for done, steps in zip((0, *STAGES), STAGES, strict=False):
        run = kw.learn_kernel(before, after, true.shape, steps=steps - done, learning_rate=rate, start=kernel)
        kernel, rate = run.kernel, run.learning_rate
        losses.append(np.asarray(run.losses))
        stages.append(_stage(steps, kernel, before, after, true))
    return LearnedBack(
        true,
        before.shape,
        tuple(stages),
        np.concatenate(losses),
        float(rate),
        solved,
        seconds,
        (
            claims.falling(
                "more steps of descent leave less error in the picture", [stage.loss for stage in stages], ARRIVED
            ),
            claims.falling(
                "and bring the kernel nearer to the solution of least squares",
                [float(np.linalg.norm(stage.kernel - solved.kernel)) for stage in stages],
                math.sqrt(ARRIVED),
            ),
            claims.close(
                f"least squares finds every tap that was applied to {within:.1g}, as near as rounding allows",
                solved.kernel,
                true,
                within,
            ),
        ),
    )


def rounding(kernel: np.ndarray) -> float:
    """How far float32 may leave one output from the exact sum, for pixels of 0 to 1: n * eps * sum|k|."""
    return kernel.size * float(np.finfo(np.float32).eps) * float(np.abs(kernel).sum())


def least_squares(
    before: np.ndarray, after: np.ndarray, size: tuple[int, int], error: float
) -> tuple[np.ndarray, float]:
    """The (h, w) kernel k of the least sum of (corr2d(before, k) - after)^2, in closed form.

    `before` is (H, W), `after` (H-h+1, W-w+1). Every tap sees one shifted view v of the image, and the kernel solves
    sum_b (v_a . v_b) k_b = v_a . after. The second result bounds the distance of every tap from the truth when no pixel
    of `after` is wrong by more than `error`: the length of all errors over the smallest singular value of the views.
    Raises ArgumentError when that is too far to tell the taps.

    >>> x = np.random.default_rng(0).normal(size=(9, 9))
    >>> least_squares(x, kw.corr2d(x, np.array([[1.0, -1.0]])), (1, 2), 1e-15)[0].round(6).tolist()
    [[1.0, -1.0]]
    """
    lone = before[np.newaxis, np.newaxis, np.newaxis]
    gram = window_products(lone, (1, *size)).reshape(size[0] * size[1], -1)
    smallest = float(np.linalg.eigvalsh(gram)[0])
    within = error * math.sqrt(after.size / smallest) if smallest > 0 else math.inf
    if not within < TOO_SMOOTH:
        raise ArgumentError("`photo` must have more structure to tell the taps of a kernel apart: it is too smooth")
    return kw.fit_kernel(before, after, size, background=False, ridge=0).kernel, within


def _views(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(h*w, H-h+1, W-w+1) float64: for every tap, the part of the image that it sees."""
    windows = np.lib.stride_tricks.sliding_window_view(image.astype(np.float64), size)
    return np.ascontiguousarray(windows.transpose(2, 3, 0, 1)).reshape(-1, *windows.shape[:2])


def _middle(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """Where the middle of an image is, at most CROP x CROP."""
    starts = [max(0, (n - CROP) // 2) for n in shape]
    return tuple(slice(start, min(n, start + CROP)) for start, n in zip(starts, shape, strict=True))


def _stage(steps: int, kernel: np.ndarray, before: np.ndarray, after: np.ndarray, true: np.ndarray) -> Stage:
    left = kw.corr2d(before.astype(np.float64), np.asarray(kernel, np.float64)) - after
    error = float(np.abs(kernel - true).max())
    return Stage(steps, np.asarray(kernel, np.float64), float(np.mean(left**2)), error)
