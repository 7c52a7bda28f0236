"""Gradient descent, as the lecture has it, at a price that does not depend on the size of the images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..arrays import as_image
from ..correlation import check_threads
from ..errors import ArgumentError, ArgumentTypeError
from ..layers.bank import correlate_bank
from ..problem import Axis, one_of, per_axis, whole_number
from . import robust
from .learned import LearnedKernel
from .pairs import Pair
from .quadratic import Bowl
from .robust import LOSSES, Rule
from .steps import Film, descend
from .sums import Sums, gather

MOST_TAPS = 4096  # the Gram matrix of so many takes 128 MB
MOST_STEPS = 10**9
MOST_FRAMES = 10_000
BAND = 1 << 20  # pixels whose error is looked at together
ARRIVED = 0.99  # of the way along every direction


def learn_kernel(
    before: Any,
    after: Any,
    size: int | tuple[int, int],
    *,
    steps: int = 10,
    learning_rate: float | str = "auto",
    start: Any = None,
    bias: bool = False,
    seed: int = 0,
    loss: str = "squared",
    delta: float | str = "auto",
    frames: int = 0,
    threads: int | None = None,
) -> LearnedKernel:
    """Learn the kernel that turns one image into another, by gradient descent on the sum of squared errors.

        loss(k, b) = sum over all pixels of (corr2d(before, k) + b - after)^2
        k <- k - learning_rate * dloss/dk,    and b alike

    The loss is quadratic in the kernel, so its gradient needs only a few sums over the images: the products of all
    pairs of pixels in a window, and of window and result. They are taken once, in float64, and every step works on
    them: the iterates are those that descent on the images has, to rounding, and a step costs microseconds however
    large the images are.

    Parameters
    ----------
    before : (H, W), or a stack (n, H, W) of images with one kernel in common; real numbers.
    after : (H - h + 1, W - w + 1), or (n, ...), the valid correlation; or of the shape of ``before``, a "same" result:
        then its part ``after[..., h // 2 : h // 2 + H - h + 1, w // 2 : w // 2 + W - w + 1]`` is used, where the kernel
        did not meet the border.
    size : (h, w) of the kernel, or one number for both; up to 4096 taps.
    steps : how many.
    learning_rate : a number; or "auto", which never diverges: the rate between 1 / (2 * c) and 1 / c whose worst result
        after so many steps is best, c the largest eigenvalue of the Gram matrix. Rates from 1 / c on diverge. Then no
        error is raised: a note says so, and descent stops before the numbers overflow.
    start : (h, w), the kernel to begin with. If not given, it is drawn from numpy.random.default_rng(seed), uniformly
        between plus and minus 1 / sqrt(h * w), as in `Conv2D`.
    bias : whether to learn one too; it begins at 0.
    loss : "squared", as above; or one that outliers cannot rule: "huber", which grows linearly from an error of
        ``delta`` on, or "l1", the absolute error (rounded off below ``delta``). These are descended by reweighting: in
        each of ROUNDS stretches of the way every squared error has the weight that its size at the start of the stretch
        calls for.
    delta : "auto" is 1.345 (for "l1" 0.01) times the spread of the errors, by their median.
    frames : so many kernels on the way are kept, from the start to the end, in ``frames``.
    threads : at most this many for the sums. The bits of the result do not depend on it.

    Returns a LearnedKernel: ``kernel`` (h, w) float64, ``bias``, ``losses`` (the loss before each step's update),
    ``loss`` (of the result), ``learning_rate``, ``condition``, ``remaining``, ``notes`` and ``summary()``.

    Raises ArgumentError or ArgumentTypeError naming the argument.

    >>> x = np.ones((6, 8))
    >>> x[:, 2:6] = 0
    >>> learned = learn_kernel(x, x[:, :-1] - x[:, 1:], (1, 2), steps=100)
    >>> learned.kernel.round(6)
    array([[ 1., -1.]])
    """
    x = _images("before", before)
    h, w = _size(size, x)
    y = _result(_images("after", after), x, (h, w))
    steps = whole_number("steps", steps, 1, MOST_STEPS)
    rate = _rate(learning_rate)
    if not isinstance(bias, (bool, np.bool_)):
        raise ArgumentTypeError(f"`bias` must be True or False (got {bias!r})")
    k = _start(start, (h, w), whole_number("seed", seed, 0, 2**128)).ravel()
    threads = check_threads(threads)
    one_of("loss", loss, LOSSES)
    film = Film(whole_number("frames", frames, 0, MOST_FRAMES), steps)
    start_at = np.append(k, 0.0) if bias else k
    if loss != "squared":
        pair = Pair(x[:, np.newaxis, np.newaxis], y[:, np.newaxis, np.newaxis])
        rule = Rule(loss, None if delta == "auto" else _rate(delta, "delta"))
        return robust.learn(pair, (h, w), start_at, bool(bias), rule, rate, steps, film, threads)

    sums = _sums(x, y, (h, w), bool(bias), threads)
    bowl = Bowl(sums, start_at)
    rate = bowl.best_rate(steps) if rate is None else rate
    least = _loss(x, y, bowl.lowest, (h, w), threads)
    first = bowl.height(bowl.start)
    k, heights = descend(bowl, rate, steps, film)
    height = bowl.height(k)
    return LearnedKernel(
        kernel=k[: h * w].reshape(h, w),
        bias=float(k[-1]) if bias else None,
        losses=least + heights,
        loss=least + height,
        learning_rate=rate,
        condition=bowl.condition,
        remaining=height / first if first else 0.0,
        frames=film.kernels((h, w)),
        frame_steps=film.steps,
        notes=tuple(_notes(bowl, rate, steps, len(heights))),
    )


def _sums(x: np.ndarray, y: np.ndarray, size: tuple[int, int], bias: bool, threads: int | None) -> Sums:
    with np.errstate(over="ignore", invalid="ignore"):
        sums = gather(x, y, size, bias, threads)
    for name, products in (("before", np.diag(sums.gram)), ("after", sums.total)):
        if not np.isfinite(products).all():
            raise ArgumentError(
                f"`{name}` must be finite, and its squares too (got an image with NaN, infinity or more)"
            )
    return sums


def _loss(x: np.ndarray, y: np.ndarray, k: np.ndarray, size: tuple[int, int], threads: int | None) -> float:
    """The loss of a kernel, from the images themselves, band by band."""
    h, w = size
    taps, b = k[: h * w].reshape(1, 1, h, w), k[h * w :].sum()
    rows = max(1, BAND // y.shape[2])
    total = 0.0
    for n in range(len(x)):
        for top in range(0, y.shape[1], rows):
            wanted = y[n, top : top + rows]
            image = x[n : n + 1, np.newaxis, top : top + len(wanted) + h - 1]
            axes = (Axis(image.shape[2], h, 0, 1, 1, len(wanted)), Axis(image.shape[3], w, 0, 1, 1, wanted.shape[1]))
            error = correlate_bank(image, taps, axes, np.dtype(np.float64), threads)[0, 0]
            error += b
            error -= wanted
            total += float(np.square(error, out=error).sum())
    return total


def _notes(bowl: Bowl, rate: float, steps: int, done: int) -> list[str]:
    notes = []
    if bowl.steepest == 0:
        return [
            "`before` is zero wherever the kernel looks: there is nothing to learn from, and the kernel is the start."
        ]
    limit = 1 / bowl.steepest
    if done < steps:
        notes.append(
            f"Descent stopped at step {done} of {steps}, before the numbers overflowed: on these images learning rates "
            f"from {limit:.3g} on diverge (got {rate:.3g})."
        )
    elif rate >= limit:
        notes.append(f"On these images learning rates from {limit:.3g} on diverge (got {rate:.3g}).")
    unknown = int((~bowl.known).sum())
    if unknown:
        notes.append(
            f"{unknown} of {bowl.known.size} directions of the kernel leave no trace in these images: along them it "
            "stays as it started."
        )
    flattest = float(bowl.curvatures[bowl.known][0])
    reached = 1 - abs(1 - 2 * rate * flattest) ** done
    if rate < limit and reached < ARRIVED:
        notes.append(
            f"{done} step{'s' * (done > 1)} reached {100 * reached:.2g} % of the way along the flattest direction."
        )
    return notes


# ---------------------------------------------------------------- looking at arguments


def _images(name: str, given: Any) -> np.ndarray:
    """(n, H, W)"""
    images = as_image(name, given)
    if images.dtype.kind not in "biuf" or images.dtype.itemsize > 8:
        raise ArgumentTypeError(f"`{name}` must hold real numbers of up to 64 bits (got {images.dtype})")
    if images.ndim not in (2, 3) or 0 in images.shape:
        raise ArgumentError(f"`{name}` must have the shape (H, W) or (n, H, W), not empty (got {images.shape})")
    return images[np.newaxis] if images.ndim == 2 else images


def _size(size: Any, x: np.ndarray) -> tuple[int, int]:
    h, w = per_axis("size", size, 2, 1)
    if h > x.shape[1] or w > x.shape[2]:
        raise ArgumentError(f"`size` must fit into `before`, {x.shape[1:]} (got {size!r})")
    if h * w > MOST_TAPS:
        raise ArgumentError(f"`size` must be of at most {MOST_TAPS} taps (got {size!r})")
    return h, w


def _result(y: np.ndarray, x: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The valid part of ``after``."""
    (h, w), (n, rows, columns) = size, x.shape
    valid = (n, rows - h + 1, columns - w + 1)
    if y.shape == valid:
        return y
    if y.shape != x.shape:
        raise ArgumentError(
            f"`after` must have the shape {valid[1:]} or {x.shape[1:]}, for as many images as `before`, {n} "
            f"(got {y.shape[1:]}, for {len(y)})"
        )
    return y[:, h // 2 : h // 2 + valid[1], w // 2 : w // 2 + valid[2]]


def _rate(rate: Any, name: str = "learning_rate") -> float | None:
    """None stands for "auto"."""
    allowed = f"`{name}` must be 'auto' or a positive number (got {rate!r})"
    if isinstance(rate, str):
        if rate != "auto":
            raise ArgumentError(allowed)
        return None
    if isinstance(rate, bool) or np.ndim(rate) != 0 or not isinstance(rate, (int, float, np.integer, np.floating)):
        raise ArgumentTypeError(allowed)
    if not (math.isfinite(rate) and rate > 0):
        raise ArgumentError(allowed)
    return float(rate)


def _start(start: Any, size: tuple[int, int], seed: int) -> np.ndarray:
    if start is None:
        reach = 1 / math.sqrt(size[0] * size[1])
        return np.random.default_rng(seed).uniform(-reach, reach, size)
    k = as_image("start", start)
    if k.dtype.kind not in "biuf":
        raise ArgumentTypeError(f"`start` must hold real numbers (got {k.dtype})")
    if k.shape != size:
        raise ArgumentError(f"`start` must have the shape {size} (got {k.shape})")
    if not np.isfinite(k).all():
        raise ArgumentError("`start` must be finite (got a kernel with NaN or infinity)")
    return k.astype(np.float64)
