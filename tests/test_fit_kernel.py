"""fit_kernel: the least-squares kernel, its error bars, its size, what it refuses and what it warns of."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage, optimize
from skimage import data

import kernelwise as kw
from kernelwise.errors import ArgumentError, ArgumentTypeError

GAUSS = np.exp(-((np.arange(5) - 2) ** 2) / 2)
BLUR = np.outer(GAUSS, GAUSS) / GAUSS.sum() ** 2
SIZES = ((1, 1), (1, 3), (3, 3), (5, 5))
SKEW = BLUR + 0.05 * (np.arange(25).reshape(5, 5) == 4)


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    image: np.ndarray = data.camera()[100:360, 80:380].astype(float)
    return image


def after(x: np.ndarray, kernel: np.ndarray, noise: float, seed: int = 0) -> np.ndarray:
    clean = kw.correlate(x, kernel) + 3
    return clean + noise * np.random.default_rng(seed).normal(size=clean.shape)


def least_squares(x: np.ndarray, y: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    p = sliding_window_view(x, size).reshape(-1, size[0] * size[1])
    rows = np.c_[p - p.mean(axis=0), np.ones(len(p))]
    return np.linalg.lstsq(rows, y.ravel(), rcond=None)[0][:-1].reshape(size)


# ---------------------------------------------------------------- the kernel


def test_the_kernel_is_that_of_least_squares_to_rounding(rng: np.random.Generator, photo: np.ndarray) -> None:
    for _ in range(30):
        size = SIZES[rng.integers(len(SIZES))]
        shape = int(rng.integers(20, 60)), int(rng.integers(20, 60))
        x = rng.normal(size=shape) * 10 + 100 if rng.random() < 0.5 else photo[: shape[0], : shape[1]]
        y = rng.normal(size=(shape[0] - size[0] + 1, shape[1] - size[1] + 1))
        fit = kw.fit_kernel(x, y, size, ridge=0)
        wanted = least_squares(x, y, size)
        unit = np.finfo(float).eps / 2
        assert np.abs(fit.kernel - wanted).max() <= 100 * fit.condition * unit * (y.std() / x.std())


def test_the_kernel_and_the_background_of_a_photograph_are_found(photo: np.ndarray) -> None:
    fit = kw.fit_kernel(photo, after(photo, SKEW, 2.0), 5)
    assert (np.abs(fit.kernel - SKEW) < 4.5 * fit.stderr).all()
    assert abs(fit.background - 3) < 0.2 and abs(fit.sigma - 2) < 0.03 and fit.notes == ()
    assert fit.rank == 25 and 25 < fit.freedom <= 26.001 and fit.ridge == 0 and fit.r2 > 0.99


def test_same_and_valid_results_give_the_same_kernel(photo: np.ndarray) -> None:
    y = after(photo, SKEW, 2.0)
    same, valid = kw.fit_kernel(photo, y, 5), kw.fit_kernel(photo, y[2:-2, 2:-2], 5)
    assert np.array_equal(same.kernel, valid.kernel) and np.array_equal(same.residual, valid.residual)
    assert same(photo).shape == photo.shape and valid(photo).shape == (256, 296)
    assert np.abs(same(photo)[2:-2, 2:-2] + same.residual - y[2:-2, 2:-2]).max() < 1e-4


def test_a_smaller_kernel_stands_in_the_middle_of_a_valid_result(photo: np.ndarray) -> None:
    y = kw.corr2d(photo, np.pad([[1.0, -1, 2]], ((2, 2), (1, 1))))
    fit = kw.fit_kernel(photo, y, (1, 3))
    assert np.abs(fit.kernel - [[1, -1, 2]]).max() < 1e-9


def test_several_images_make_one_fit(photo: np.ndarray) -> None:
    y = after(photo, SKEW, 2.0)
    parts = [(photo[:120], y[:120]), (photo[100:], y[100:])]
    listed = kw.fit_kernel([a for a, _ in parts], [b for _, b in parts], 5)
    streamed = kw.fit_kernel(iter([a for a, _ in parts]), iter([b for _, b in parts]), 5)
    assert np.array_equal(listed.kernel, streamed.kernel) and len(listed.residuals) == 2
    stack = kw.fit_kernel(np.stack([photo, photo]), np.stack([y, after(photo, SKEW, 2.0, 1)]), 5)
    assert stack.outputs == 2 * 256 * 296 and stack.residual.shape == (2, 256, 296)
    assert (stack.stderr < 0.75 * kw.fit_kernel(photo, y, 5).stderr).all()


def test_signals_and_volumes_and_channels(rng: np.random.Generator) -> None:
    x = rng.normal(size=400)
    taps = np.array([0.5, -1, 0.25])
    fit = kw.fit_kernel(x, np.correlate(x, taps, "valid"), 3)
    assert fit.kernel.shape == (3,) and np.abs(fit.kernel - taps).max() < 1e-12
    volume, cube = rng.normal(size=(12, 13, 14)), rng.normal(size=(2, 3, 3))
    fit = kw.fit_kernel(volume, kw.correlate(volume, cube, mode="valid"), (2, 3, 3))
    assert fit.kernel.shape == (2, 3, 3) and np.abs(fit.kernel - cube).max() < 1e-12
    image, bank = rng.normal(size=(3, 30, 32)), rng.normal(size=(2, 3, 3, 4))
    fit = kw.fit_kernel(image, kw.conv(image[None], bank)[0] + 1, (3, 4), channels=True)
    assert fit.kernel.shape == (2, 3, 3, 4) and np.abs(fit.kernel - bank).max() < 1e-12
    assert fit.covariance.shape == (2, 36, 36) and np.abs(fit.background - 1).max() < 1e-12
    assert fit(image).shape == (2, 28, 29)


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "f8", ">f4"])
def test_any_dtype_and_any_strides_give_the_same_fit(photo: np.ndarray, dtype: str) -> None:
    x, y = np.rint(photo), np.clip(np.rint(after(photo, BLUR, 2.0)), 0, 255)
    wanted = kw.fit_kernel(x, y, 3)
    found = kw.fit_kernel(x.astype(dtype)[::-1, ::-1][::-1, ::-1], np.asfortranarray(y.astype(dtype)), 3)
    assert np.abs(found.kernel - wanted.kernel).max() < 1e-12 and found.notes == wanted.notes


def test_what_is_masked_or_not_finite_is_not_used(photo: np.ndarray, rng: np.random.Generator) -> None:
    x, y = photo.copy(), after(photo, SKEW, 2.0)
    mask = rng.random(y.shape) < 0.9
    x[50, 60] = np.nan
    y[~mask] += 1e4
    y[10, 20] = np.inf
    fit = kw.fit_kernel(x, y, 5, mask=mask)
    assert (np.abs(fit.kernel - SKEW) < 4.5 * fit.stderr).all()
    assert fit.outputs == np.isfinite(fit.residual).sum() < mask[2:-2, 2:-2].sum()
    assert np.isnan(fit.residual[46:51, 56:61]).all() and np.isnan(fit.residual[8, 18])


def test_weights_are_those_of_weighted_least_squares(rng: np.random.Generator) -> None:
    x, w = rng.normal(size=(40, 44)), rng.random((38, 42))
    y = rng.normal(size=(38, 42))
    p = np.c_[sliding_window_view(x, (3, 3)).reshape(-1, 9), np.ones(y.size)]
    root = np.sqrt(w.ravel())
    wanted = np.linalg.lstsq(p * root[:, None], y.ravel() * root, rcond=None)[0]
    fit = kw.fit_kernel(x, y, 3, weights=w, ridge=0)
    assert np.abs(fit.kernel.ravel() - wanted[:9]).max() < 1e-12 and abs(fit.background - wanted[9]) < 1e-12


# ---------------------------------------------------------------- what is known of the kernel


def test_constraints_hold_and_nothing_allowed_is_better(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(40, 44)), rng.normal(size=(36, 40))
    free = kw.fit_kernel(x, y, 5, ridge=0)
    mirror: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "left-right": lambda k: k[:, ::-1],
        "up-down": lambda k: k[::-1],
        "both": lambda k: k[::-1, ::-1],
        "point": lambda k: k[::-1, ::-1],
        "all": lambda k: k.T,
    }
    for name, image in mirror.items():
        fit = kw.fit_kernel(x, y, 5, symmetric=name, sum_to=1, ridge=0)
        assert np.abs(fit.kernel - image(fit.kernel)).max() < 1e-13 and abs(fit.kernel.sum() - 1) < 1e-12
        assert fit.sigma * np.sqrt(1440 - fit.freedom) >= free.sigma * np.sqrt(1440 - free.freedom) - 1e-9
        ones = np.ones(25)
        assert ones @ fit.covariance @ ones < 1e-15  # the sum is known
    p = sliding_window_view(x, (5, 5)).reshape(-1, 25)
    wanted, _ = optimize.nnls(p - p.mean(axis=0), y.ravel() - y.mean())
    found = kw.fit_kernel(x, y, 5, nonnegative=True, ridge=0).kernel.ravel()
    assert np.abs(found - wanted).max() < 1e-10 and (found >= 0).all() and (found == 0).any()


def test_a_ridge_draws_to_the_prior(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(60, 64)), rng.normal(size=(58, 62))
    prior = rng.normal(size=(3, 3))
    assert np.abs(kw.fit_kernel(x, y, 3, ridge=1e9, prior=prior).kernel - prior).max() < 1e-6
    assert np.abs(kw.fit_kernel(x, y, 3, ridge=1e9).kernel).max() < 1e-6
    half = kw.fit_kernel(x, y, 3, ridge=1.0, prior=prior).kernel
    p = sliding_window_view(x, (3, 3)).reshape(-1, 9)
    p = p - p.mean(axis=0)
    wanted = prior.ravel() + np.linalg.solve(
        p.T @ p + len(p) * np.eye(9), p.T @ (y.ravel() - y.mean() - p @ prior.ravel())
    )
    assert np.abs(half.ravel() - wanted).max() < 1e-12


# ---------------------------------------------------------------- the size


@pytest.mark.parametrize("size", [1, 3, 5, 7])
def test_the_size_is_chosen_from_the_data(photo: np.ndarray, size: int) -> None:
    rng = np.random.default_rng(size)
    kernel = rng.normal(size=(size, size))
    fit = kw.fit_kernel(photo, after(photo, kernel, 2.0), max_size=11)
    assert fit.kernel.shape == (size, size) and fit.size_curve is not None
    assert fit.size_curve.sizes[-1] == (11, 11) and fit.size_curve.chosen == (size, size)
    assert np.abs(fit.kernel - kernel).max() < 6 * fit.stderr.max()


def test_a_kernel_larger_than_the_largest_size_is_told(photo: np.ndarray) -> None:
    kernel = np.random.default_rng(0).normal(size=(9, 9))
    fit = kw.fit_kernel(photo, after(photo, kernel, 2.0), max_size=5)
    assert fit.kernel.shape == (5, 5) and any("Raise `max_size`" in note for note in fit.notes)


# ---------------------------------------------------------------- error bars


def coverage(errors: str, noise: Callable[[np.random.Generator], np.ndarray], x: np.ndarray, draws: int) -> list[float]:
    """Shares of taps within one and within 1.96 standard errors, and the same of the kernel's sum."""
    clean = kw.corr2d(x, BLUR)
    z, sums = [], []
    for draw in range(draws):
        fit = kw.fit_kernel(x, clean + noise(np.random.default_rng(draw)), 5, errors=errors)
        z.append((fit.kernel - BLUR) / fit.stderr)
        sums.append((fit.kernel.sum() - 1) / np.sqrt(fit.covariance.sum()))
    taps, total = np.abs(z), np.abs(sums)
    return [float((values < limit).mean()) for values in (taps, total) for limit in (1, 1.96)]


def test_error_bars_hold_the_truth_as_often_as_they_say(photo: np.ndarray) -> None:
    x = photo[:150, :150]
    clean = kw.corr2d(x, BLUR)
    loud = 0.5 + 4 * (clean - clean.min()) / np.ptp(clean)

    def smooth(rng: np.random.Generator) -> np.ndarray:
        wide = ndimage.gaussian_filter(rng.normal(size=tuple(n + 20 for n in clean.shape)), 1.0)
        return 7 * wide[10:-10, 10:-10]

    for errors, noise in (
        ("white", lambda rng: 2 * rng.normal(size=clean.shape)),
        ("robust", lambda rng: loud * rng.normal(size=clean.shape)),
        ("hac", smooth),
    ):
        found = coverage(errors, noise, x, 60)
        wide = 0.03 if errors != "hac" else 0.06
        assert abs(found[0] - 0.683) < wide and abs(found[1] - 0.95) < wide, (errors, found)
        assert abs(found[2] - 0.683) < 0.2 and abs(found[3] - 0.95) < 0.1, (errors, found)


# ---------------------------------------------------------------- honesty


def told(fit: kw.KernelFit, *words: str) -> bool:
    return any(all(word in note for word in words) for note in fit.notes)


def test_noise_before_is_told_with_its_size_and_corrected(photo: np.ndarray) -> None:
    y = after(photo, SKEW, 2.0)
    noisy = photo + 4 * np.random.default_rng(1).normal(size=photo.shape)
    fit = kw.fit_kernel(noisy, y, 5)
    assert told(fit, "noise in `before`", "x_noise=4") or told(fit, "x_noise=3.9") or told(fit, "x_noise=4.1")
    corrected = kw.fit_kernel(noisy, y, 5, x_noise=4)
    bias, left = (np.abs(k - SKEW).max() for k in (fit.kernel, corrected.kernel))
    assert left < 0.6 * bias


def test_noise_that_is_correlated_is_told(photo: np.ndarray) -> None:
    noise = ndimage.uniform_filter(np.random.default_rng(0).normal(size=photo.shape), (1, 3)) * 4
    assert told(kw.fit_kernel(photo, kw.correlate(photo, [[1.0, 2, -1]]) + noise, 3), "errors='hac'")
    assert kw.fit_kernel(photo, kw.correlate(photo, [[1.0, 2, -1]]) + noise, 3, errors="hac").notes == ()


def test_saturation_is_told(photo: np.ndarray) -> None:
    y = after(photo, SKEW, 2.0)
    assert told(kw.fit_kernel(photo, np.minimum(y, np.percentile(y, 95)), 5), "saturated", "largest")
    assert told(kw.fit_kernel(photo, np.maximum(y, np.percentile(y, 8)), 5), "saturated", "smallest")


def test_a_kernel_that_is_too_small_is_told(photo: np.ndarray) -> None:
    assert told(kw.fit_kernel(photo, after(photo, SKEW, 2.0), 3), "too small", "Raise `size`")


def test_a_shift_beyond_the_kernel_is_told_with_its_distance(photo: np.ndarray) -> None:
    fit = kw.fit_kernel(photo, np.roll(after(photo, SKEW, 2.0), (10, -4), (0, 1)), 7)
    assert told(fit, "shift of (-10, +4)", "Align")


def test_directions_without_a_trace_are_counted_and_given(photo: np.ndarray) -> None:
    stripe = np.broadcast_to(photo[:1], (60, 300))
    fit = kw.fit_kernel(stripe, after(stripe, BLUR, 1.0), 3)
    assert fit.rank == 3 and told(fit, "6 of 9 directions") and fit.undetermined.shape == (6, 3, 3)
    p = sliding_window_view(stripe - stripe.mean(), (3, 3)).reshape(-1, 9)
    assert np.abs(p @ fit.undetermined.reshape(6, 9).T).max() < 1e-4 * np.abs(p).max()


def test_a_poorly_determined_kernel_is_damped_and_told(photo: np.ndarray) -> None:
    smooth = ndimage.gaussian_filter(photo, 1.0)
    y = kw.corr2d(smooth, SKEW) + np.random.default_rng(0).normal(size=(256, 296))
    damped, raw = kw.fit_kernel(smooth, y, 5), kw.fit_kernel(smooth, y, 5, ridge=0)
    assert damped.ridge > 0 and told(damped, "cross-validation") and raw.ridge == 0
    assert np.abs(damped.kernel - SKEW).max() < 0.5 * np.abs(raw.kernel - SKEW).max()


@pytest.mark.parametrize("size", [5, "auto"])
def test_nothing_is_told_where_nothing_is_wrong(photo: np.ndarray, size: Any) -> None:
    for seed in range(3):
        assert kw.fit_kernel(photo, after(photo, SKEW, 2.0, seed), size).notes == ()
    assert kw.fit_kernel(photo, kw.correlate(photo, SKEW), size).notes == ()  # no noise at all
    narrow = photo.astype("f4")
    assert kw.fit_kernel(narrow, kw.correlate(narrow, SKEW), size).notes == ()


# ---------------------------------------------------------------- what is refused, and how it looks


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"size": 0}, ArgumentError, "`size`"),
        ({"size": "large"}, ArgumentError, "`size` must be 'auto'"),
        ({"size": (3, 3, 3, 3)}, ArgumentError, "`size`"),
        ({"size": 31}, ArgumentError, "`size` must fit into `before`"),
        ({"after": np.ones((21, 20))}, ArgumentError, "`after` must not be larger"),
        ({"after": np.ones((18, 18)), "size": 5}, ArgumentError, "`size` must be at most"),
        ({"after": np.ones((20, 20), complex)}, ArgumentTypeError, "`after` must hold real numbers"),
        ({"before": np.ones((2, 2, 20, 20))}, ArgumentError, "`before` must have 2 axes"),
        ({"mask": np.ones((20, 20))}, ArgumentTypeError, "`mask` must hold booleans"),
        ({"mask": np.ones((3, 3), bool)}, ArgumentError, "`mask` must have the shape of `after`"),
        ({"mask": np.zeros((20, 20), bool)}, ArgumentError, "`before` must leave more outputs"),
        ({"weights": np.ones((3, 3))}, ArgumentError, "`weights` must have the shape of `after`"),
        ({"weights": -np.ones((20, 20))}, ArgumentError, "`weights` must be finite and not negative"),
        ({"ridge": -1}, ArgumentError, "`ridge`"),
        ({"errors": "none"}, ArgumentError, "`errors` must be one of"),
        ({"errors": "hac", "weights": np.ones((20, 20))}, ArgumentError, "`errors` must be 'white' or 'robust'"),
        ({"symmetric": "all round"}, ArgumentError, "`symmetric` must be one of"),
        ({"prior": np.ones((2, 2))}, ArgumentError, "`prior` must have the kernel's shape"),
        ({"x_noise": -1}, ArgumentError, "`x_noise`"),
        ({"background": 1}, ArgumentTypeError, "`background` must be True or False"),
        ({"nonnegative": True, "sum_to": 1}, ArgumentError, "`nonnegative`"),
        ({"before": [], "after": []}, ArgumentError, "`before`"),
    ],
)
def test_wrong_arguments_are_named(change: dict[str, Any], error: type[Exception], words: str) -> None:
    image = np.random.default_rng(0).normal(size=(20, 20))
    arguments: dict[str, Any] = {"before": image, "after": image.copy(), "size": 3} | change
    with pytest.raises(error, match=words.replace("(", r"\(")):
        kw.fit_kernel(**arguments)


def test_a_fit_prints_as_a_table(photo: np.ndarray) -> None:
    text = str(kw.fit_kernel(photo, after(photo, SKEW, 2.0)))
    assert "kernel      5 x 5" in text and "chosen by bic among 1x1, 3x3" in text and text.count("+-") == 25


def test_kernels_that_change_over_the_image_are_found(rng: np.random.Generator) -> None:
    x = rng.normal(size=(140, 160)) * 10 + 50
    kernels = rng.normal(size=(3, 5, 5))
    rows, columns = np.meshgrid(np.linspace(-1, 1, 136), np.linspace(-1, 1, 156), indexing="ij")
    parts = np.stack([kw.corr2d(x, k) for k in kernels])
    y = parts[0] + rows * parts[1] + columns * parts[2] + 7 - 2 * columns + rng.normal(size=rows.shape)
    fit = kw.fit_varying_kernel(x, y, 5, degree=1, background_degree=1)
    errors = np.sqrt(np.diag(fit.covariance)).reshape(3, 5, 5)
    assert fit.terms == ((0, 0), (1, 0), (0, 1)) and (np.abs(fit.kernels - kernels) < 5 * errors).all()
    assert abs(fit.sigma - 1) < 0.03 and fit.notes == () and np.abs(fit(x) + fit.residual - y).max() < 1e-4
    corner = kernels[0] - kernels[1] + kernels[2]
    assert (np.abs(fit.at(0, 155) - corner) < 5 * fit.stderr_at(0, 155)).all()
    padded = kw.fit_varying_kernel(x, np.pad(y, 2), 5, degree=1, background_degree=1)
    assert np.array_equal(padded.at(2, 157), fit.at(0, 155))
