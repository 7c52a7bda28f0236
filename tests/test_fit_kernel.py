"""fit_kernel: the least-squares kernel, its error bars, its size, what it refuses and what it warns of."""

import copy
import pickle
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
    for _ in range(20):
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


def edged(x: np.ndarray, size: int, noise: np.ndarray, seed: int) -> np.ndarray:
    """The image after a kernel whose outermost taps stand at five of their standard errors in such noise."""
    rng = np.random.default_rng(seed)
    line = np.exp(-((np.arange(size) - size // 2) ** 2) / (size / 2))
    kernel = np.outer(line, line) / line.sum() ** 2
    ring = np.ones((size, size), bool)
    ring[1:-1, 1:-1] = False
    error = kw.fit_kernel(x, rng.permuted(noise.ravel()).reshape(x.shape), size, ridge=0).stderr
    kernel[ring] = rng.choice([-5, 5], ring.sum()) * error[ring]
    found: np.ndarray = kw.correlate(x, kernel) + noise
    return found


def test_outermost_taps_at_five_standard_errors_are_kept_and_no_more(photo: np.ndarray) -> None:
    x, right = photo[:110, :110], []
    smooth = ndimage.gaussian_filter(np.random.default_rng(9).normal(size=(8, 110, 110)), (0, 1, 1)) * 7
    for trial in range(8):
        size = (3, 5)[trial % 2]
        white = 2 * np.random.default_rng(trial).normal(size=x.shape)
        for noise, by in ((white, "bic"), (smooth[trial], "cv")):
            curve = kw.fit_kernel(x, edged(x, size, noise, trial), max_size=7).size_curve
            assert curve is not None and curve.chosen_by == by
            right.append(curve.chosen in ((size, size), (size + 2, size + 2)))
    assert sum(right) >= 15


def test_criteria_are_those_of_their_definitions(photo: np.ndarray) -> None:
    x, rng = photo[:40, :45], np.random.default_rng(0)
    loud = kw.correlate(x, BLUR) + x / 50 * rng.normal(size=x.shape)
    outputs = loud[2:-2, 2:-2]
    n, curves = outputs.size, {}
    for by in ("aic", "bic", "takeuchi", "cv"):
        curve = kw.fit_kernel(x, loud, criterion=by, max_size=5).size_curve
        assert curve is not None and curve.chosen_by == by
        assert curve.chosen == curve.sizes[int(np.argmin(curve.criteria[by]))]
        curves[by] = curve.criteria[by]
    y = outputs.ravel()
    for i, k in reversed(list(enumerate((1, 3, 5)))):
        m = 2 - k // 2
        windows = sliding_window_view(x[m : 40 - m, m : 45 - m], (k, k)).reshape(n, -1)
        rows = np.c_[windows - windows.mean(axis=0), np.ones(n)]
        errors = y - rows @ np.linalg.lstsq(rows, y, rcond=None)[0]
        logs = n * np.log((errors @ errors) / n)
        assert abs(curves["aic"][i] - (logs + 2 * (k * k + 2))) < 1e-6
        assert abs(curves["bic"][i] - (logs + np.log(n) * (k * k + 2))) < 1e-6
        if k == 5:
            last, variance = errors, errors @ errors / (n - 26)
        meat = (rows[:, :-1] * last[:, None] ** 2).T @ rows[:, :-1]
        spent = np.trace(np.linalg.solve(rows[:, :-1].T @ rows[:, :-1], meat)) / variance + 2
        # the mean of windows under the weights is taken out of the meat, which is a little less
        assert abs(curves["takeuchi"][i] - (logs + 2 * spent)) < 0.02 * 2 * spent
        left_out = 0.0
        for fold in range(5):  # bands of the longer axis
            out = np.isin(np.arange(n) % 41, np.arange(41 * fold // 5, 41 * (fold + 1) // 5))
            solution = np.linalg.lstsq(rows[~out], y[~out], rcond=None)[0]
            left_out += float(np.sum((y[out] - rows[out] @ solution) ** 2))
        assert abs(curves["cv"][i] - n * np.log(left_out / n)) < 1e-6


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
    x = photo[:110, :110]
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
        found = coverage(errors, noise, x, 50)
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


def test_images_that_are_both_saturated_are_told(photo: np.ndarray) -> None:
    x, y = np.minimum(photo, 180.0), np.minimum(after(photo, SKEW, 2.0), 180.0)
    assert told(kw.fit_kernel(x, y, 5), "saturated", "`before`")


def test_noise_that_follows_the_image_is_told(photo: np.ndarray) -> None:
    x = photo[:110, :110]
    rough = np.hypot(*np.gradient(ndimage.gaussian_filter(x, 1)))
    y = kw.correlate(x, SKEW) + (0.5 + rough / 10) * np.random.default_rng(0).normal(size=x.shape)
    assert told(kw.fit_kernel(x, y, 5), "too short", "errors='robust'")
    assert kw.fit_kernel(x, y, 5, errors="robust").notes == ()


def test_rounding_that_repeats_with_the_image_is_told(rng: np.random.Generator) -> None:
    x = np.zeros((35, 56))
    x[20:26, 30:36] = rng.normal(size=(6, 6))
    y = (kw.corr2d(x, [[1.0, 0, 0], [0, 0, 0], [0, 0, -1]]) + 3e6).astype("f4")
    assert told(kw.fit_kernel(x, y, 3), "rounding", "wider dtype")
    assert kw.fit_kernel(x, y.astype("f8") + rng.normal(size=y.shape), 3, ridge=0).notes == ()


def test_what_is_far_from_zero_and_hardly_varies_is_fitted_all_the_same(rng: np.random.Generator) -> None:
    x = 1e6 + 1e-6 * rng.normal(size=(60, 61))
    y = kw.corr2d(x - 1e6, SKEW) + 1.3e6
    fit = kw.fit_kernel(x, y, 5)
    assert np.abs(fit.kernel - SKEW).max() < 1e-3 and (np.abs(fit.kernel - SKEW) < 6 * fit.stderr).all()


def test_weights_that_leave_few_outputs_are_told(photo: np.ndarray, rng: np.random.Generator) -> None:
    y = after(photo, SKEW, 2.0)
    few = np.where(rng.random(y.shape) < 4e-4, 1.0, 1e-7)
    assert told(kw.fit_kernel(photo, y, 5, weights=few), "weights that are worth", "unsure")


def test_noise_before_leaves_error_bars_right_and_takes_directions_out(photo: np.ndarray) -> None:
    z = []
    for blur in (0.0, 0.8):
        x = ndimage.gaussian_filter(photo, blur)[:110, :110]
        for seed in range(20):
            draw = np.random.default_rng(seed)
            seen, y = x + draw.normal(size=x.shape), after(x, BLUR, 2.0, seed + 50)
            fit = kw.fit_kernel(seen, y, 5, x_noise=1, ridge=0)
            if blur:
                assert fit.rank + len(fit.undetermined) == 25 and fit.rank < 25
                assert told(fit, f"In {25 - fit.rank} of 25 directions", "no more than noise")
            else:
                assert fit.rank == 25 and fit.notes == ()
                z.append((fit.kernel - BLUR) / fit.stderr)
    assert abs((np.abs(z) < 1).mean() - 0.683) < 0.08 and abs((np.abs(z) < 1.96).mean() - 0.95) < 0.05


def test_a_kernel_that_is_clearly_wrong_is_never_without_a_note(photo: np.ndarray) -> None:
    """Off by ten standard errors and a twentieth of the largest tap."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        k, shape = int(rng.choice([3, 5])), tuple(int(n) for n in rng.integers(14, 90, 2))
        x = (
            ndimage.gaussian_filter(rng.normal(size=shape), rng.uniform(0.3, 5)),
            ndimage.gaussian_filter(photo, rng.uniform(0, 3))[: shape[0], : shape[1]],
            np.where(np.add.outer(np.arange(shape[0]), np.arange(shape[1])) % 9 < 2, rng.normal(size=shape), 0),
            np.add.outer(np.arange(shape[0]), np.arange(shape[1])) + 1e-3 * rng.normal(size=shape),
        )[seed % 4]
        x = x + rng.choice([0, 10, 1e6]) * x.std()
        kernel = (rng.normal(size=(k, k)), BLUR[:k, :k])[int(rng.integers(2))]
        y = kw.corr2d(x - x.mean(), kernel) + x.mean() * kernel.sum()
        y = (y + rng.choice([0, 1e-6, 1e-2, 1]) * y.std() * rng.normal(size=y.shape)).astype(rng.choice(["f4", "f8"]))
        few = {"mask": rng.random(y.shape) < max(0.02, 90 / y.size)} if seed % 5 == 4 else {}
        wide = {"weights": 10.0 ** rng.uniform(-6, 0, y.shape)} if seed % 5 == 3 else {}
        fit = kw.fit_kernel(x, y, k, **few, **wide)
        off = np.abs(fit.kernel - kernel)
        wrong = (off > 10 * fit.stderr) & (off > 0.05 * np.abs(kernel).max())
        assert np.isfinite(fit.kernel).all() and np.isfinite(fit.stderr).all()
        assert fit.notes or not wrong.any(), (seed, off.max(), fit.stderr.max())


def test_clean_fits_of_photographs_give_no_note() -> None:
    photos = [data.camera(), data.coins(), data.moon(), data.brick()]
    for seed in range(24):
        rng = np.random.default_rng(seed)
        x = photos[seed % 4][50:250, 40:240].astype(("u1", "u2", "f4", "f8")[seed // 4 % 4])
        kernel = (SKEW, np.eye(5), np.outer([0, 1, 2, 1, 0], [0, 1, 0, -1, 0]))[seed % 3]
        y = kw.correlate(x.astype("f8"), kernel) + rng.choice([0.5, 2]) * rng.normal(size=x.shape)
        y = np.rint(y + 1000).astype("i2") if x.dtype.kind == "u" else y.astype(x.dtype)
        assert kw.fit_kernel(x, y, 5).notes == (), seed


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
        ({"criterion": "best"}, ArgumentError, "`criterion` must be one of 'auto', 'bic'"),
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


def test_fits_and_statistics_can_be_told_in_a_line_copied_and_stored(rng: np.random.Generator) -> None:
    x, kernel = rng.normal(size=(60, 70)), rng.normal(size=(4, 2))
    y = kw.correlate(x, kernel) + 0.1 * rng.normal(size=x.shape)
    fit = kw.fit_kernel(x, y, (4, 2))
    assert repr(fit).startswith("<KernelFit 4 x 2 from 3933 outputs, sigma 0.") and repr(fit).endswith("no notes>")
    rows, columns = fit.residual.shape
    left = (y - fit(x))[2 : 2 + rows, 1 : 1 + columns]
    assert np.abs(left - fit.residual).max() < 1e-6
    for other in (pickle.loads(pickle.dumps(fit)), copy.deepcopy(fit)):
        assert np.array_equal(other(x), fit(x)) and str(other) == str(fit)
    sums = kw.FitStatistics(5).update(x, y)
    assert repr(sums) == "<FitStatistics up to 5 x 5, of 3696 outputs>"
    assert np.array_equal(pickle.loads(pickle.dumps(sums)).solve(3).kernel, sums.solve(3).kernel)
    with pytest.raises(ArgumentError, match="`size` must be at most `max_size`"):
        sums.solve(7)
    with pytest.raises(ArgumentError, match="`criterion` must be one of 'bic', 'aic'"):
        sums.solve("auto", criterion="cv")


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


@pytest.mark.parametrize("scale", [1e-40, 1e-20, 1e20, 1e40])
def test_numbers_of_any_size_give_the_same_kernel(scale: float, rng: np.random.Generator) -> None:
    x = rng.normal(size=(60, 60))
    y = kw.correlate(x, np.ones((3, 3))) + 0.1 * rng.normal(size=x.shape)
    plain, scaled = kw.fit_kernel(x, y, 3), kw.fit_kernel(x * scale, y * scale, 3)
    assert np.allclose(scaled.kernel, plain.kernel, rtol=1e-10) and scaled.notes == plain.notes
    assert np.allclose(scaled.stderr, plain.stderr, rtol=1e-5) and np.isclose(scaled.sigma, plain.sigma * scale)


@pytest.mark.parametrize("scale", [1e100, 1e170])
def test_numbers_too_large_for_the_sums_of_a_fit_are_refused(scale: float, rng: np.random.Generator) -> None:
    x = scale * rng.normal(size=(30, 30))
    with pytest.raises(ArgumentError, match="`before` and `after`"):
        kw.fit_kernel(x, x, 3)


def test_numbers_in_pictures_are_short() -> None:
    from kernelwise.pictures import _letters

    for values, wanted, unit in (
        ([[1.0, -2.0]], ["1", "-2"], ""),
        ([[0.11058, -0.00002]], ["0.111", "0.000"], ""),
        ([[0.000123, 0.00002]], ["1.23", "0.20"], ", in units of 1e-4"),
        ([[12.345, 250.0]], ["12", "250"], ""),
        ([[1.5e7, 3.25e6]], ["1.50", "0.32"], ", in units of 1e7"),
        ([[0.0, 0.0]], ["0", "0"], ""),
    ):
        letters, found = _letters(np.array(values))
        assert letters[0].tolist() == wanted and found == unit
