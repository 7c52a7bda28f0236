"""Learning a kernel: the steps are those of descent on the images, and with the automatic rate they always descend."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import kernelwise as kw
from kernelwise.errors import ArgumentError, KernelwiseError
from kernelwise.fitting.quadratic import Bowl
from kernelwise.fitting.sums import Sums, gather
from kernelwise.fitting.windows import window_products
from support.memory import KINDS, arrange

THREADS = (1, 2, 3, 8)


def stripes() -> np.ndarray:
    x = np.ones((6, 8), np.float32)
    x[:, 2:6] = 0
    return x


def windows(x: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """One row for each window of the stack x (n, H, W), in float64."""
    views = sliding_window_view(x.astype(np.float64), size, axis=(-2, -1))
    return views.reshape(-1, size[0] * size[1])


def descend(
    x: np.ndarray, y: np.ndarray, k: np.ndarray, rate: float, steps: int, bias: bool
) -> tuple[np.ndarray, float, list[float]]:
    """Plain gradient descent on the pixels: (kernel, bias, loss before every step)."""
    p, wanted, b, losses = windows(x, k.shape), y.astype(np.float64).ravel(), 0.0, []
    taps = k.astype(np.float64).ravel()
    for _ in range(steps):
        error = p @ taps + b - wanted
        losses.append(float(error @ error))
        taps = taps - rate * (2 * (error @ p))
        b = b - rate * 2 * float(error.sum()) if bias else b
    return taps.reshape(k.shape), b, losses


# ---------------------------------------------------------------- the lecture


def test_the_numbers_of_the_lecture_come_out() -> None:
    """From the start that MXNet 1.9.1 drew: the five losses it printed, and the kernel."""
    x = stripes()
    start = [[float.fromhex("0x1.bfddcp-8"), float.fromhex("0x1.a9ed3p-7")]]
    learned = kw.learn_kernel(x, kw.corr2d(x, [[1, -1]]), (1, 2), learning_rate=3e-2, start=start)
    printed = [f"batch {i + 1}, loss {learned.losses[i]:.3f}" for i in range(1, 10, 2)]
    assert printed == [
        "batch 2, loss 4.949",
        "batch 4, loss 0.831",
        "batch 6, loss 0.140",
        "batch 8, loss 0.024",
        "batch 10, loss 0.004",
    ]
    assert np.abs(learned.kernel - [[0.9895, -0.9873705]]).max() < 5e-7  # float32 digits
    assert learned.bias is None and learned.learning_rate == 3e-2
    assert math.isclose(learned.condition, 30 / 6, rel_tol=1e-12)


# ---------------------------------------------------------------- the sums


def gram_matrix(x: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    p = size[0] * size[1]
    return window_products(x[:, np.newaxis, np.newaxis], (1, *size)).reshape(p, p)


@pytest.mark.parametrize("dtype", ["f4", "f8", "u1", "i2"])
def test_the_gram_matrix_is_that_of_all_windows_exactly(dtype: str, rng: np.random.Generator) -> None:
    for _ in range(60):
        kh, kw_ = size = tuple(int(v) for v in rng.integers(1, 8, 2))
        n, h, w = (int(v) for v in rng.integers(1, (4, 25, 25)))
        x = rng.integers(0, 9, (n, h + kh - 1, w + kw_ - 1)).astype(dtype)
        p = windows(x, size)
        assert np.array_equal(gram_matrix(x, size), p.T @ p), (x.shape, size)


def test_the_gram_matrix_of_real_numbers_is_right_to_rounding(rng: np.random.Generator) -> None:
    for shape, size in (((1, 64, 70), (15, 15)), ((2, 9, 200), (9, 3)), ((1, 30, 31), (12, 16))):
        x = rng.normal(size=shape)
        p = windows(x, size)
        exact, found = p.T @ p, gram_matrix(x, size)
        assert np.array_equal(found, found.T)
        assert np.abs(found - exact).max() < 1e-13 * np.abs(exact).max()


def test_the_bias_is_a_tap_that_sees_ones(rng: np.random.Generator) -> None:
    x = rng.integers(-5, 6, (2, 12, 14)).astype("f4")
    y = rng.integers(-5, 6, (2, 10, 11)).astype("f4")
    p = np.c_[windows(x, (3, 4)), np.ones(y.size)]
    found, wanted = gather(x, y, (3, 4), True, None), y.ravel().astype(np.float64)
    assert np.array_equal(found.gram, p.T @ p) and np.array_equal(found.right, wanted @ p)
    assert found.total == wanted @ wanted and found.outputs == y.size


# ---------------------------------------------------------------- descent


def assert_same_losses(found: Any, expected: Any) -> None:
    """To rounding: that of the errors, which are the roots of the losses, beside those at the start."""
    found, expected = np.sqrt(found), np.sqrt(expected)
    assert found.shape == expected.shape
    assert (np.abs(found - expected) <= 1e-12 * expected[0]).all()


PROBLEMS = [
    ((1, 20, 23), (3, 3)),
    ((1, 40, 17), (1, 5)),
    ((3, 15, 16), (4, 2)),
    ((1, 33, 30), (7, 7)),
    ((2, 9, 9), (9, 8)),
]


@pytest.mark.parametrize(("shape", "size"), PROBLEMS)
@pytest.mark.parametrize("bias", [False, True])
def test_the_steps_are_those_of_descent_on_the_images(
    shape: Any, size: Any, bias: bool, rng: np.random.Generator
) -> None:
    x = rng.normal(0.3, 1, shape)
    y = rng.normal(1, 1, (shape[0], shape[1] - size[0] + 1, shape[2] - size[1] + 1))
    start = rng.normal(size=size)
    for steps in (1, 2, 50):
        learned = kw.learn_kernel(x, y, size, steps=steps, start=start, bias=bias)
        kernel, b, losses = descend(x, y, start, learned.learning_rate, steps, bias)
        assert np.allclose(learned.kernel, kernel, rtol=0, atol=1e-12 * np.abs(kernel).max())
        assert_same_losses(learned.losses, losses)
        assert learned.bias is None if not bias else abs(learned.bias - b) < 1e-12
    left = windows(x, size) @ learned.kernel.ravel() + (learned.bias or 0) - y.ravel()
    assert_same_losses([losses[0], learned.loss], [losses[0], float(left @ left)])


def test_the_losses_of_an_exact_fit_stay_right_down_to_nothing(rng: np.random.Generator) -> None:
    """Where t - 2 k'r + k'Gk would leave nothing but rounding, 1e-8 of the first error and more."""
    x, k = rng.normal(size=(40, 40)), rng.normal(size=(3, 3))
    y = windows(x[np.newaxis], (3, 3)) @ k.ravel()
    learned = kw.learn_kernel(x, y.reshape(38, 38), 3, steps=200)
    _, _, losses = descend(x[np.newaxis], y.reshape(1, 38, 38), kw_start(0, (3, 3)), learned.learning_rate, 200, False)
    assert min(losses) < 1e-20 * losses[0]
    assert_same_losses(learned.losses, losses)
    assert np.allclose(learned.kernel, k, atol=1e-9)


def kw_start(seed: int, size: tuple[int, int]) -> np.ndarray:
    reach = 1 / math.sqrt(size[0] * size[1])
    return np.random.default_rng(seed).uniform(-reach, reach, size)


def test_the_start_is_the_documented_one(rng: np.random.Generator) -> None:
    x = rng.normal(size=(12, 13))
    seeded = kw.learn_kernel(x, x[1:, 2:], (2, 3), seed=4)
    given = kw.learn_kernel(x, x[1:, 2:], (2, 3), start=kw_start(4, (2, 3)))
    assert np.array_equal(seeded.kernel, given.kernel) and np.array_equal(seeded.losses, given.losses)
    layer = kw.Conv2D(1, (2, 3), in_channels=1, seed=4, dtype="float64")
    assert np.array_equal(layer.weight[0, 0], kw_start(4, (2, 3)))


def photograph() -> np.ndarray:
    """The one that Matplotlib brings, in bytes of grey."""
    from matplotlib import cbook, image

    colour = image.imread(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
    return np.asarray(colour[100:300, 150:370].mean(axis=2), np.uint8)


def test_on_a_photograph_the_steps_are_those_of_descent_on_the_pixels(rng: np.random.Generator) -> None:
    x = photograph()
    y = kw.correlate(x, rng.normal(size=(7, 7)), mode="valid") + rng.normal(size=(194, 214))
    learned = kw.learn_kernel(x, y, 7, steps=100, bias=True)
    kernel, bias, losses = descend(x[np.newaxis], y[np.newaxis], kw_start(0, (7, 7)), learned.learning_rate, 100, True)
    assert learned.condition > 1e4
    assert np.allclose(learned.kernel, kernel, rtol=0, atol=1e-11) and math.isclose(learned.bias, bias, rel_tol=1e-9)
    assert_same_losses(learned.losses, losses)


def smoothed(x: np.ndarray, times: int) -> np.ndarray:
    for _ in range(times):
        x = (np.roll(x, 1, 0) + x + np.roll(x, -1, 0)) / 3
        x = (np.roll(x, 1, 1) + x + np.roll(x, -1, 1)) / 3
    return x


def pictures() -> dict[str, Callable[[np.random.Generator], np.ndarray]]:
    ramp = np.add.outer(np.arange(50.0), 2 * np.arange(60.0))
    return {
        "noise": lambda r: r.normal(size=(40, 50)),
        "bright noise": lambda r: 1000 + r.normal(size=(40, 50)),
        "tiny noise": lambda r: 1e-150 * r.normal(size=(40, 50)),
        "huge noise": lambda r: 1e120 * r.normal(size=(40, 50)),
        "uniform bytes": lambda r: r.integers(0, 256, (64, 64), dtype=np.uint8),
        "few values": lambda r: r.integers(0, 2, (30, 31)).astype(bool),
        "smooth": lambda r: smoothed(r.normal(size=(60, 60)), 3),
        "very smooth": lambda r: smoothed(r.normal(size=(60, 60)), 30),
        "smooth and bright": lambda r: 255 + smoothed(r.normal(size=(60, 60)), 10),
        "ramp": lambda r: ramp,
        "wave": lambda r: np.sin(ramp / 7),
        "checkers": lambda r: np.indices((40, 40)).sum(axis=0) % 2 * 255,
        "stripes": lambda r: stripes(),
        "one pixel": lambda r: np.pad([[1.0]], 20),
        "one bright pixel in noise": lambda r: r.normal(size=(41, 41)) + np.pad([[1e9]], 20),
        "constant": lambda r: np.full((30, 30), 7.0),
        "constant rows": lambda r: np.repeat(r.normal(size=(30, 1)), 40, axis=1),
        "barely larger than the kernel": lambda r: r.normal(size=(6, 7)),
        "photograph": lambda r: photograph(),
        "smooth photograph": lambda r: smoothed(photograph().astype(np.float32), 5),
    }


@pytest.mark.parametrize("name", pictures())
@pytest.mark.parametrize("bias", [False, True])
def test_with_the_automatic_rate_the_loss_never_rises(name: str, bias: bool, rng: np.random.Generator) -> None:
    x = pictures()[name](rng)
    y = kw.correlate(x.astype(np.float64), rng.normal(size=(5, 5)), mode="valid")
    y = y + 0.1 * np.abs(y).mean() * rng.normal(size=y.shape)
    for steps in (1, 10, 300):
        learned = kw.learn_kernel(x, y, 5, steps=steps, bias=bias)
        losses = np.append(learned.losses, learned.loss)
        assert losses.shape == (steps + 1,) and np.isfinite(losses).all()
        assert (np.diff(losses) <= 1e-12 * losses[:-1]).all()
        assert 0 <= learned.remaining < 1
        assert np.isfinite(learned.kernel).all()


def worst_case(rate: float, curvatures: np.ndarray, steps: int) -> float:
    """Logarithm of the largest loss that a start at distance 1 from the end can have left."""
    with np.errstate(divide="ignore"):
        return float(np.max(np.log(curvatures) + 2 * steps * np.log(np.abs(1 - 2 * rate * curvatures))))


SPECTRA = ([6, 30], [1, 1, 1], [1e-9, 1], [5], [0, 3, 3], [1e-3, 1, 2, 900], [0.1, 0.4, 2, 2.1, 5, 5.5, 7, 10])


@pytest.mark.parametrize("curvatures", SPECTRA)
@pytest.mark.parametrize("steps", [1, 2, 10, 1000])
def test_the_automatic_rate_is_the_one_with_the_best_worst_case(curvatures: list[float], steps: int) -> None:
    """No rate of a fine grid leaves less; the first spectrum is that of the lecture's image."""
    c = np.asarray(curvatures, float)
    rate = Bowl(Sums(np.diag(c), np.ones(c.size), 1.0, 1), np.zeros(c.size)).best_rate(steps)
    assert 0.5 / c[-1] <= rate * (1 + 1e-9) and rate < 1 / c[-1]
    found = worst_case(rate, c[c > 0], steps)
    assert all(found <= worst_case(other, c[c > 0], steps) + 1e-6 for other in np.linspace(0.02, 1, 397) / c[-1])


def test_more_steps_leave_less(rng: np.random.Generator) -> None:
    x = smoothed(rng.normal(size=(50, 50)), 2)
    y = kw.corr2d(x, rng.normal(size=(3, 3)))
    remaining = [kw.learn_kernel(x, y, 3, steps=steps, learning_rate=1e-3).remaining for steps in (1, 10, 100, 1000)]
    assert remaining == sorted(remaining, reverse=True) and remaining[0] < 1


# ---------------------------------------------------------------- what goes in


def test_a_result_of_the_same_shape_is_used_where_the_kernel_met_no_border(rng: np.random.Generator) -> None:
    x = rng.normal(size=(20, 22))
    for size in ((3, 3), (2, 4), (1, 5), (1, 1)):
        k = rng.normal(size=size)
        same = kw.correlate(x, k, border="wrap")
        valid = kw.correlate(x, k, mode="valid")
        one, other = (kw.learn_kernel(x, y, size, steps=5) for y in (same, valid))
        assert np.allclose(one.kernel, other.kernel, atol=1e-13) and np.allclose(one.losses, other.losses)
    same = np.full(x.shape, np.nan)  # what is not used may be anything
    same[1:-1, 1:-1] = kw.corr2d(x, np.ones((3, 3)))
    assert np.isfinite(kw.learn_kernel(x, same, 3).losses).all()


def test_a_stack_is_learned_from_as_one(rng: np.random.Generator) -> None:
    x = rng.normal(size=(3, 14, 15))
    y = rng.normal(size=(3, 12, 12))
    together = kw.learn_kernel(x, y, (3, 4), steps=7, learning_rate=1e-4)
    kernel, _, losses = descend(x, y, kw_start(0, (3, 4)), 1e-4, 7, False)
    assert np.allclose(together.kernel, kernel, atol=1e-13) and np.allclose(together.losses, losses)


@pytest.mark.parametrize("kind", KINDS)
def test_images_may_lie_in_memory_as_they_like(kind: str, rng: np.random.Generator) -> None:
    x = rng.integers(0, 9, (2, 14, 15)).astype(np.float32)
    y = rng.integers(0, 9, (2, 12, 12)).astype(np.float32)
    expected = kw.learn_kernel(x, y, (3, 4), bias=True)
    found = kw.learn_kernel(arrange(x, kind, rng), arrange(y, kind, rng), (3, 4), bias=True)
    assert np.array_equal(found.kernel, expected.kernel) and np.array_equal(found.losses, expected.losses)


@pytest.mark.parametrize("dtype", ["?", "u1", "i2", "u4", "i8", "f2", "f4", ">f8"])
def test_images_of_any_real_dtype_count_as_their_numbers(dtype: str, rng: np.random.Generator) -> None:
    x, y = (rng.integers(0, 2, shape).astype(dtype) for shape in ((12, 13), (10, 11)))
    expected = kw.learn_kernel(x.astype(np.float64), y.astype(np.float64), 3)
    found = kw.learn_kernel(x, y, 3)
    assert np.array_equal(found.kernel, expected.kernel) and np.allclose(found.losses, expected.losses, rtol=1e-14)
    assert found.kernel.dtype == np.float64


def test_the_bits_do_not_depend_on_the_number_of_threads(rng: np.random.Generator) -> None:
    x = rng.normal(size=(900, 800)).astype(np.float32)
    y = kw.corr2d(x, rng.normal(size=(5, 7)))
    found = [kw.learn_kernel(x, y, (5, 7), bias=True, threads=threads) for threads in THREADS]
    for one in found:
        assert one.kernel.tobytes() == found[0].kernel.tobytes()
        assert one.losses.tobytes() == found[0].losses.tobytes()
        assert (one.bias, one.loss, one.remaining) == (found[0].bias, found[0].loss, found[0].remaining)


# ---------------------------------------------------------------- what one should know


def test_a_rate_that_diverges_raises_nothing_and_is_named_in_a_note() -> None:
    x = stripes()
    y = kw.corr2d(x, [[1, -1]])
    learned = kw.learn_kernel(x, y, (1, 2), steps=100_000, learning_rate=0.1)
    assert learned.losses.size < 100_000 and np.isfinite(learned.losses).all() and np.isfinite(learned.kernel).all()
    assert learned.losses[-1] > 1e300
    assert "stopped" in learned.notes[0] and "0.0333" in learned.notes[0]
    short = kw.learn_kernel(x, y, (1, 2), steps=5, learning_rate=0.04)
    assert short.losses.size == 5 and "diverge" in short.notes[0] and "0.0333" in short.notes[0]
    assert short.remaining > 1
    fine = kw.learn_kernel(x, y, (1, 2), steps=500, learning_rate=0.033)
    assert fine.notes == ()


def test_a_note_says_how_far_the_flattest_direction_got(rng: np.random.Generator) -> None:
    x = smoothed(rng.normal(size=(60, 60)), 4)
    learned = kw.learn_kernel(x, kw.corr2d(x, rng.normal(size=(5, 5))), 5)
    assert learned.condition > 1e6
    (note,) = learned.notes
    assert note.startswith("10 steps reached") and "flattest" in note
    assert float(note.split()[3]) < 0.01


def test_directions_that_leave_no_trace_stay_as_they_started() -> None:
    """Of a constant image only the sum of the taps shows."""
    start = np.array([[1.0, 2.0, 4.0]])
    learned = kw.learn_kernel(np.full((9, 9), 3.0), np.full((9, 7), 30.0), (1, 3), start=start, steps=50)
    assert math.isclose(learned.kernel.sum(), 10, rel_tol=1e-12)
    assert np.allclose(learned.kernel - start, (10 - 7) / 3)
    assert learned.condition == math.inf and learned.remaining < 1e-20
    assert any("2 of 3 directions" in note for note in learned.notes)


def test_of_an_image_of_zeros_nothing_is_learned_and_a_note_says_so() -> None:
    learned = kw.learn_kernel(np.zeros((9, 9)), np.ones((7, 7)), 3, start=np.eye(3))
    assert np.array_equal(learned.kernel, np.eye(3)) and (learned.losses == 49).all() and learned.loss == 49
    assert learned.learning_rate == 0 and learned.remaining == 0
    assert len(learned.notes) == 1 and "zero" in learned.notes[0]
    with_bias = kw.learn_kernel(np.zeros((9, 9)), np.ones((7, 7)), 3, bias=True)
    assert math.isclose(with_bias.bias, 1) and with_bias.loss < 1e-20


def test_one_window_is_enough_to_go_by() -> None:
    learned = kw.learn_kernel(np.arange(6.0).reshape(2, 3), [[7.0]], (2, 3), start=np.zeros((2, 3)))
    assert math.isclose(float((learned.kernel * np.arange(6).reshape(2, 3)).sum()), 7, rel_tol=1e-12)


def test_the_summary_tells_the_outcome() -> None:
    x = stripes()
    learned = kw.learn_kernel(x, kw.corr2d(x, [[1, -1]]), (1, 2), learning_rate=0.03, bias=True)
    text = learned.summary()
    for part in ("1 x 2", "bias", "10 at the learning rate 0.03", f"{learned.loss:.6g}", *learned.notes):
        assert part in text


# ---------------------------------------------------------------- errors

X, Y = np.arange(30.0).reshape(5, 6), np.ones((3, 4))


def spoilt(x: np.ndarray, value: float) -> np.ndarray:
    x = x.copy()
    x[1, 2] = value
    return x


REFUSED = [
    (lambda: kw.learn_kernel(X[0], Y, 3), "before"),
    (lambda: kw.learn_kernel(X + 1j, Y, 3), "before"),
    (lambda: kw.learn_kernel(np.ma.array(X), Y, 3), "before"),
    (lambda: kw.learn_kernel(np.zeros((0, 5, 6)), np.zeros((0, 3, 4)), 3), "before"),
    (lambda: kw.learn_kernel(spoilt(X, np.nan), Y, 3), "before"),
    (lambda: kw.learn_kernel(spoilt(X, -np.inf), Y, 3), "before"),
    (lambda: kw.learn_kernel(spoilt(X, 1e200), Y, 3), "before"),
    (lambda: kw.learn_kernel(X, spoilt(Y, np.nan), 3), "after"),
    (lambda: kw.learn_kernel(X, spoilt(Y, np.inf), 3), "after"),
    (lambda: kw.learn_kernel(X, Y.astype(complex), 3), "after"),
    (lambda: kw.learn_kernel(X, Y[:2], 3), "after"),
    (lambda: kw.learn_kernel(X[np.newaxis], np.stack([Y, Y]), 3), "after"),
    (lambda: kw.learn_kernel(X, Y, 0), "size"),
    (lambda: kw.learn_kernel(X, Y, (3, 3, 3)), "size"),
    (lambda: kw.learn_kernel(X, Y, "3"), "size"),
    (lambda: kw.learn_kernel(X, Y, 6), "size"),
    (lambda: kw.learn_kernel(np.zeros((100, 100)), np.zeros((100, 100)), 70), "size"),
    (lambda: kw.learn_kernel(X, Y, 3, steps=0), "steps"),
    (lambda: kw.learn_kernel(X, Y, 3, steps=1.5), "steps"),
    (lambda: kw.learn_kernel(X, Y, 3, learning_rate="fast"), "learning_rate"),
    (lambda: kw.learn_kernel(X, Y, 3, learning_rate=0), "learning_rate"),
    (lambda: kw.learn_kernel(X, Y, 3, learning_rate=-1e-3), "learning_rate"),
    (lambda: kw.learn_kernel(X, Y, 3, learning_rate=np.nan), "learning_rate"),
    (lambda: kw.learn_kernel(X, Y, 3, learning_rate=True), "learning_rate"),
    (lambda: kw.learn_kernel(X, Y, 3, learning_rate=[1e-3]), "learning_rate"),
    (lambda: kw.learn_kernel(X, Y, 3, start=np.ones((2, 3))), "start"),
    (lambda: kw.learn_kernel(X, Y, 3, start=np.full((3, 3), np.nan)), "start"),
    (lambda: kw.learn_kernel(X, Y, 3, start=np.ones((3, 3), complex)), "start"),
    (lambda: kw.learn_kernel(X, Y, 3, bias=1), "bias"),
    (lambda: kw.learn_kernel(X, Y, 3, seed=-1), "seed"),
    (lambda: kw.learn_kernel(X, Y, 3, threads=0), "threads"),
]


@pytest.mark.parametrize(("act", "name"), REFUSED)
def test_what_is_not_allowed_is_refused_by_name(act: Callable[[], object], name: str) -> None:
    with pytest.raises(KernelwiseError, match=f"`{name}`"):
        act()


def test_an_image_smaller_than_the_kernel_is_told_so() -> None:
    with pytest.raises(ArgumentError, match=r"`size` must fit into `before`, \(5, 6\) \(got 6\)"):
        kw.learn_kernel(X, Y, 6)


# ---------------------------------------------------------------- losses that outliers cannot rule, and frames


@pytest.mark.parametrize("loss", ["huber", "l1"])
def test_outliers_do_not_rule_a_robust_loss(loss: str, rng: np.random.Generator) -> None:
    x, kernel = rng.normal(size=(70, 80)), rng.normal(size=(3, 3))
    y = kw.corr2d(x, kernel) + 0.1 * rng.normal(size=(68, 78))
    y[rng.random(y.shape) < 0.1] += 20
    squared = kw.learn_kernel(x, y, 3, steps=100)
    found = kw.learn_kernel(x, y, 3, steps=100, loss=loss)
    assert np.abs(found.kernel - kernel).max() < 0.03 < np.abs(squared.kernel - kernel).max()
    assert found.losses[0] > found.losses[-1] >= found.loss * (1 - 1e-9) and found.remaining < 1e-6
    assert any(f"The loss is {loss}" in note for note in found.notes)


def test_hubers_minimum_is_where_its_slope_is_zero(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(40, 44)), rng.standard_t(2, size=(38, 42))
    found = kw.learn_kernel(x, y, 3, steps=3000, loss="huber", delta=1.0, bias=True)
    e = y - kw.corr2d(x, found.kernel) - found.bias
    slope = np.clip(e, -1, 1)
    assert np.abs(windows(x[np.newaxis], (3, 3)).T @ slope.ravel()).max() < 1e-6 * e.size and abs(slope.sum()) < 1e-2
    assert math.isclose(found.loss, np.where(np.abs(e) < 1, e**2, 2 * np.abs(e) - 1).sum(), rel_tol=1e-12)


def test_frames_show_the_way_from_the_start_to_the_end(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(30, 34)), rng.normal(size=(28, 32))
    start = rng.normal(size=(3, 3))
    for loss in ("squared", "huber"):
        film = kw.learn_kernel(x, y, 3, steps=20, start=start, frames=5, loss=loss)
        assert film.frame_steps.tolist() == [0, 5, 10, 15, 20] and film.frames.shape == (5, 3, 3)
        assert np.array_equal(film.frames[0], start) and np.array_equal(film.frames[-1], film.kernel)
    half = kw.learn_kernel(x, y, 3, steps=10, start=start, learning_rate=film.learning_rate)
    whole = kw.learn_kernel(x, y, 3, steps=20, start=start, learning_rate=film.learning_rate, frames=3)
    assert np.array_equal(whole.frames[1], half.kernel)
    assert kw.learn_kernel(x, y, 3).frames.shape == (0, 3, 3)


def test_losses_and_frames_that_are_not_allowed_are_refused(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=(9, 9)), rng.normal(size=(7, 7))
    for wrong, name in (({"loss": "l2"}, "loss"), ({"loss": "l1", "delta": -1}, "delta"), ({"frames": -1}, "frames")):
        with pytest.raises(kw.errors.ArgumentError, match=f"`{name}`"):
            kw.learn_kernel(x, y, 3, **wrong)
