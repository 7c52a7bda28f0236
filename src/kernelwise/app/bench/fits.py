"""Kernels learned from images before and after: the sums behind a fit beside other ways to them, and whole fits.

The sums are the Gram matrix of all windows, their right-hand side, and what a background needs, exact to the edges, in
float64. PyTorch's weight gradient is the right-hand side alone; two correlations by scipy.fft are that and the products
without what the edges take away; NumPy multiplies the windows themselves, a band of rows at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

import kernelwise as kw
from kernelwise.fitting import fit_kernel
from kernelwise.fitting.gather import moments
from kernelwise.fitting.pairs import Pair
from kernelwise.fitting.windows import How

from . import ours, timing
from .agree import Disagreement
from .comparison import Comparison, Prepared, Rival
from .layer_truth import relative_error

SUMS, FITS = "fit sums", "fit calls"  # sections of the table
SIDES, TAPS = (1024, 4096), (3, 9, 15, 31)
GATHERED = 9  # taps along an axis up to which NumPy's windows are multiplied
OURS, THEIRS = 1e-12, 1e-3  # errors allowed, of the largest number
TORCH = 1e-2  # the same for torch, which adds millions of products up in float32
FITTED = 5e-2  # of the largest tap, that a kernel fitted to noisy images may be off by
PROBES = 8  # entries of the Gram matrix that are compared with the definition
BAND = 1 << 16  # windows that NumPy gathers at a time, about
BAD = 0.01  # of the outputs
PHOTO = (427, 640)


def rows() -> list[Comparison]:
    """All sizes."""
    sums = [_sums(side, taps) for side in SIDES for taps in TAPS]
    return [*sums, _weighted(2048, 9), _masked(4096, 15), *_fits()]


def quick() -> list[Comparison]:
    """The small images, one large one, and a photograph's size."""
    sums = [*(_sums(SIDES[0], taps) for taps in TAPS), _sums(SIDES[1], 15)]
    return [*sums, _weighted(1024, 9), _fit(PHOTO, 7)]


def _fits() -> list[Comparison]:
    return [_fit(PHOTO, 7), _fit(PHOTO, "auto"), _fit((2048, 2048), 15), _fit((4096, 4096), 15)]


# ---------------------------------------------------------------- sums


def _sums(side: int, taps: int) -> Comparison:
    return Comparison(
        SUMS, f"{side}x{side}", "f32->f64", f"{taps}x{taps}", lambda threads: prepare_sums(side, taps, threads)
    )


def prepare_sums(side: int, taps: int, threads: int) -> Prepared:
    """Noise before and after; the right-hand side is followed by the Gram matrix in what is compared."""
    x, y = _noise(side, taps)
    pair, zero = _pair(x, y), np.zeros(1)
    right = _correlation(x, y, taps)
    probes = _probes(x, taps)

    def call() -> np.ndarray:
        found = moments(pair, (1, taps, taps), zero, zero, How(threads=threads))
        return np.concatenate([found.right.ravel(), found.gram.ravel()])

    def error(got: np.ndarray) -> float:
        worst = relative_error(got.ravel()[: right.size], right.ravel())
        if got.size == right.size + right.size**2:
            gram = got[right.size :].reshape(right.size, right.size)
            scale = gram[0, 0]
            worst = max([worst, *(abs(float(gram[at] - exact)) / scale for at, exact in probes.items())])
        return worst

    others = [
        Rival("torch conv2d_weight", "torch", _torch(x, y, taps), _at_most(TORCH, error), spins=timing.POOL),
        Rival("scipy.fft twice", "scipy", _scipy(x, y, taps, threads), _at_most(THEIRS, error)),
    ]
    if taps <= GATHERED:
        others.append(
            Rival(
                "numpy windows",
                "numpy",
                partial(_gathered, x, y, taps, None),
                _at_most(THEIRS, error),
                spins=timing.BLAS,
            )
        )  # the threads of its BLAS do
    return Prepared(call, _checked(OURS, error), others, error)


def _weighted(side: int, taps: int) -> Comparison:
    return Comparison(
        SUMS, f"{side}x{side}", "f32->f64", f"{taps}x{taps} weights",
        lambda threads: prepare_weighted(side, taps, threads),
    )  # fmt: skip


def prepare_weighted(side: int, taps: int, threads: int) -> Prepared:
    """A weight for each output. NumPy's windows are multiplied by their roots, in float64 as ours."""
    x, y = _noise(side, taps)
    w = np.random.default_rng(3).random(y.shape)
    pair, zero = Pair(*_stacks(x, y), None, w[np.newaxis, np.newaxis]), np.zeros(1)

    def call() -> np.ndarray:
        found = moments(pair, (1, taps, taps), zero, zero, How(threads=threads))
        return np.concatenate([found.right.ravel(), found.gram.ravel()])

    truth = _gathered(x, y, taps, w)

    def error(got: np.ndarray) -> float:
        return relative_error(got, truth)

    others = [
        Rival("numpy windows", "numpy", partial(_gathered, x, y, taps, w), _at_most(OURS, error), spins=timing.BLAS)
    ]
    return Prepared(call, _checked(OURS, error), others, error)


def _masked(side: int, taps: int) -> Comparison:
    return Comparison(
        SUMS, f"{side}x{side}", "f32->f64", f"{taps}x{taps} mask",
        lambda threads: prepare_masked(side, taps, threads),
    )  # fmt: skip


def prepare_masked(side: int, taps: int, threads: int) -> Prepared:
    """One output in a hundred is not to be used; beside the same without a mask, which is no rival."""
    x, y = _noise(side, taps)
    used = np.random.default_rng(3).random((1, 1, *y.shape)) >= BAD
    pair, zero = _pair(x, y), np.zeros(1)
    masked = Pair(pair.x, pair.y, used)

    def of(which: Pair) -> Callable[[], np.ndarray]:
        def call() -> np.ndarray:
            found = moments(which, (1, taps, taps), zero, zero, How(threads=threads))
            return np.concatenate([found.right.ravel(), found.gram.ravel()])

        return call

    truth = _correlation(x, np.where(used[0, 0], y, 0), taps).ravel()

    def error(got: np.ndarray) -> float:
        return relative_error(got[: truth.size], truth)

    return Prepared(of(masked), _checked(OURS, error), [Rival(f"{ours.NAME} unmasked", "numpy", of(pair), None)])


# ---------------------------------------------------------------- whole fits


def _fit(shape: tuple[int, int], size: int | str) -> Comparison:
    what = size if isinstance(size, str) else f"{size}x{size}"
    return Comparison(
        FITS, "x".join(map(str, shape)), "f32->f64", f"fit_kernel {what}",
        lambda threads: prepare_fit(shape, size, threads),
    )  # fmt: skip


def prepare_fit(shape: tuple[int, int], size: int | str, threads: int) -> Prepared:
    """From arrays to kernel, error bars, residual and notes. Small images beside NumPy's least squares of windows."""
    rng = np.random.default_rng(11)
    smooth = np.outer([1, 2, 1], [1, 2, 1]) / 16
    noise = rng.standard_normal((shape[0] + 6, shape[1] + 6), np.float32)
    x = (128 + 90 * kw.correlate(noise, smooth)).astype(np.float32)
    true = rng.standard_normal((7, 7))
    true /= np.abs(true).sum()
    after = kw.correlate(x, true, mode="valid").astype(np.float32)
    after += rng.standard_normal(shape, np.float32)
    before = x[3:-3, 3:-3]

    def call() -> np.ndarray:
        return fit_kernel(before, after, size, threads=threads).kernel

    def error(got: np.ndarray) -> float:
        taps = max(len(true), len(got))
        wanted, found = (np.pad(k, (taps - len(k)) // 2) for k in (true, got))
        return relative_error(found, wanted)

    others = []
    if isinstance(size, int) and shape == PHOTO:
        lstsq = _least_squares(before, after, size)
        others.append(Rival("numpy lstsq of windows", "numpy", lstsq, _at_most(FITTED, error), spins=timing.BLAS))
    return Prepared(call, _checked(FITTED, error), others, error)


def _least_squares(before: np.ndarray, after: np.ndarray, size: int) -> Callable[[], np.ndarray]:
    def call() -> np.ndarray:
        p = sliding_window_view(before, (size, size)).reshape(-1, size * size).astype(np.float64)
        inner = slice(size // 2, -(size // 2))
        solution, *_ = np.linalg.lstsq(np.column_stack([p, np.ones(len(p))]), after[inner, inner].ravel(), rcond=None)
        kernel: np.ndarray = solution[:-1].reshape(size, size)
        return kernel

    return call


# ---------------------------------------------------------------- images, truths and rivals


def _noise(side: int, taps: int) -> tuple[np.ndarray, np.ndarray]:
    """An image, and results that follow it a little."""
    rng = np.random.default_rng(5)
    x = rng.standard_normal((side, side), np.float32)
    m = side - taps + 1
    return x, rng.standard_normal((m, m), np.float32) + x[:m, :m]


def _stacks(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return x[np.newaxis, np.newaxis, np.newaxis], y[np.newaxis, np.newaxis, np.newaxis]


def _pair(x: np.ndarray, y: np.ndarray) -> Pair:
    return Pair(*_stacks(x, y))


def _correlation(x: np.ndarray, y: np.ndarray, taps: int) -> np.ndarray:
    """(taps, taps) float64: y at every lag of x, by Fourier transforms of the whole image; no lag wraps around."""
    spectrum = np.fft.rfft2(x.astype(np.float64))
    spectrum *= np.fft.rfft2(y.astype(np.float64), x.shape).conj()
    return np.fft.irfft2(spectrum, x.shape)[:taps, :taps]


def _probes(x: np.ndarray, taps: int) -> dict[tuple[int, int], float]:
    """Some entries of the Gram matrix, by the definition."""
    m, found = len(x) - taps + 1, {}
    for at in np.random.default_rng(2).integers(0, taps * taps, (PROBES, 2)).tolist():
        one, other = (x[k // taps :, k % taps :][:m, :m] for k in at)
        rows = zip(one, other, strict=True)
        found[at[0], at[1]] = sum(float(np.dot(a.astype(np.float64), b.astype(np.float64))) for a, b in rows)
    return found


def _gathered(x: np.ndarray, y: np.ndarray, taps: int, weights: np.ndarray | None) -> np.ndarray:
    """Right-hand side and Gram matrix from the windows, in the images' dtype; with weights in float64."""
    size = taps * taps
    right, gram = np.zeros(size), np.zeros((size, size))
    step = max(1, BAND // y.shape[1])
    for top in range(0, len(y), step):
        values = y[top : top + step].ravel()
        p = sliding_window_view(x[top : top + step + taps - 1], (taps, taps)).reshape(-1, size)
        if weights is not None:
            roots = np.sqrt(weights[top : top + step].ravel())
            p, values = p * roots[:, np.newaxis], values * roots
        right += p.T @ values
        gram += p.T @ p
    return np.concatenate([right, gram.ravel()])


def _torch(x: np.ndarray, y: np.ndarray, taps: int) -> Callable[[], object]:
    def call() -> np.ndarray:
        import torch
        from torch.nn.grad import conv2d_weight

        with torch.inference_mode():
            images, slopes = (torch.from_numpy(array)[None, None] for array in (x, y))
            got: np.ndarray = conv2d_weight(images, (1, 1, taps, taps), slopes).numpy()
        return got

    return call


def _scipy(x: np.ndarray, y: np.ndarray, taps: int, threads: int) -> Callable[[], object]:
    """The image with itself at all lags, and with the result."""

    def call() -> np.ndarray:
        from scipy import fft

        shape = [fft.next_fast_len(n + taps - 1, real=True) for n in x.shape]
        of_x: Any = fft.rfft2(x, shape, workers=threads)
        of_y: Any = fft.rfft2(y, shape, workers=threads)
        fft.irfft2(of_x * of_x.conj(), shape, workers=threads)
        right: np.ndarray = fft.irfft2(of_x * of_y.conj(), shape, workers=threads)[:taps, :taps]
        return right

    return call


def _at_most(allowed: float, error: Callable[[np.ndarray], float]) -> Callable[[np.ndarray, np.ndarray], None]:
    check = _checked(allowed, error)
    return lambda _, got: check(got)


def _checked(allowed: float, error: Callable[[np.ndarray], float]) -> Callable[[np.ndarray], None]:
    def check(got: np.ndarray) -> None:
        if not error(got) <= allowed:
            raise Disagreement(f"error {error(got):.2g} of the largest number ({allowed:g} allowed)")

    return check
