"""A layer is a sum of correlations, and its gradients are its adjoint: shown exactly, on whole numbers."""

import math
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import kernelwise as kw
from kernelwise.algorithms import direct_lags, routine
from kernelwise.errors import ArgumentError, ArgumentTypeError, KernelwiseError
from kernelwise.jit import target
from kernelwise.layers import Conv2D, Gradients
from support.memory import KINDS, arrange

THREADS = (1, 2, 3, 8)
CASES = [  # (n, i, h, w), o, kernel_size, padding
    ((1, 1, 6, 8), 1, (1, 2), 0),
    ((2, 3, 9, 11), 4, (3, 3), 1),
    ((3, 2, 7, 30), 3, (2, 5), (0, 2)),
    ((1, 4, 40, 13), 2, (5, 1), (4, 3)),
    ((2, 1, 5, 5), 1, (5, 5), 0),
    ((2, 2, 3, 4), 2, (5, 6), ((1, 2), (3, 0))),
    ((4, 5, 17, 70), 6, (1, 1), 0),
    ((1, 2, 8, 9), 3, (20, 3), (12, 1)),
]


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    yield kw.set_threads
    kw.set_threads(None)


def whole(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any = "f4") -> np.ndarray:
    return rng.integers(-4, 5, shape).astype(dtype)


def case(rng: np.random.Generator, shape: Any, o: int, size: Any, padding: Any, dtype: str = "float32"):  # type: ignore[no-untyped-def]
    """A layer, images, and a gradient of its result; all whole numbers."""
    layer = Conv2D(o, size, in_channels=shape[1], padding=padding, dtype=dtype)
    layer.weight, layer.bias = whole(rng, layer.weight.shape), whole(rng, (o,))
    x = whole(rng, shape, dtype)
    return layer, x, whole(rng, layer(x).shape, dtype)


def padded(layer: Conv2D, x: np.ndarray) -> np.ndarray:
    return np.pad(x, ((0, 0), (0, 0), *layer.padding))


def by_definition(layer: Conv2D, x: np.ndarray) -> np.ndarray:
    """Window by window, in float64."""
    x, (kh, kw_) = padded(layer, x).astype(np.float64), layer.kernel_size
    rows, columns = x.shape[2] - kh + 1, x.shape[3] - kw_ + 1
    y = np.zeros((len(x), layer.channels, rows, columns))
    for r, c in np.ndindex(kh, kw_):
        y += np.einsum("nihw,oi->nohw", x[:, :, r : r + rows, c : c + columns], layer.weight[:, :, r, c])
    return y + layer.bias[:, None, None]


def dot(a: np.ndarray, b: np.ndarray) -> float:
    return float((a.astype(np.float64) * b.astype(np.float64)).sum())


# ---------------------------------------------------------------- what it computes


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("arguments", CASES)
def test_the_result_is_the_sum_of_correlations_plus_the_bias(
    arguments: Any, dtype: str, rng: np.random.Generator
) -> None:
    layer, x, _ = case(rng, *arguments, dtype)
    y = layer(x)
    assert y.dtype == layer.dtype == dtype
    assert np.array_equal(y, by_definition(layer, x))
    one = padded(layer, x)
    summed = sum(kw.corr2d(one[0, i], layer.weight[1 % layer.channels, i]) for i in range(x.shape[1]))
    assert np.array_equal(y[0, 1 % layer.channels], summed + layer.bias[1 % layer.channels])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("arguments", CASES)
def test_the_gradients_are_the_adjoint_exactly(arguments: Any, dtype: str, rng: np.random.Generator) -> None:
    """The layer without its bias is linear in x and in the weights: <layer(x), dy> = <x, dx> = <weight, dweight>."""
    layer, x, dy = case(rng, *arguments, dtype)
    gradients = layer.gradients(x, dy)
    assert isinstance(gradients, Gradients)
    for gradient, of in zip(gradients, (x, layer.weight, layer.bias), strict=True):
        assert gradient.shape == of.shape and gradient.dtype == layer.dtype
    linear = dot(layer(x) - layer.bias[:, None, None], dy)
    assert dot(x, gradients.x) == linear
    assert dot(layer.weight, gradients.weight) == linear
    assert np.array_equal(gradients.bias, dy.sum(axis=(0, 2, 3)))


@pytest.mark.parametrize("arguments", CASES[:6])
def test_every_entry_of_a_gradient_is_that_of_a_unit_image_or_weight(arguments: Any, rng: np.random.Generator) -> None:
    """dx[q] = <layer(unit image at q), dy>; entry by entry, so that no two errors can make up for each other."""
    layer, x, dy = case(rng, *arguments)
    gradients = layer.gradients(x, dy)
    unbiased = Conv2D(layer.channels, layer.kernel_size, bias=False, padding=layer.padding)
    unbiased.weight = layer.weight
    for q in rng.choice(x.size, min(40, x.size), replace=False):
        unit = np.zeros(x.shape, x.dtype)
        unit.flat[q] = 1
        assert dot(unbiased(unit), dy) == gradients.x.flat[q]
    for q in rng.choice(layer.weight.size, min(40, layer.weight.size), replace=False):
        weight = np.zeros(layer.weight.shape)
        weight.flat[q] = 1
        unbiased.weight = weight
        assert dot(unbiased(x), dy) == gradients.weight.flat[q]


@pytest.mark.parametrize("arguments", CASES)
def test_the_gradients_are_the_slopes_of_a_curved_loss(arguments: Any, rng: np.random.Generator) -> None:
    """By finite differences, in float64, of the loss sum(sin(layer(x)))."""
    shape, o, size, padding = arguments
    layer = Conv2D(o, size, padding=padding, dtype="float64")
    x = rng.normal(size=shape)
    gradients = layer.gradients(x, np.cos(layer(x)))
    step = 1e-5
    for values, slope in ((x, gradients.x), (layer.weight, gradients.weight), (layer.bias, gradients.bias)):
        direction = rng.normal(size=values.shape)
        kept, losses = values.copy(), []
        for sign in (1, -1):
            values[...] = kept + sign * step * direction
            losses.append(math.fsum(np.sin(layer(x)).ravel()))
        values[...] = kept
        expected = float((slope * direction).sum())
        scale = float(np.abs(slope * direction).sum())
        assert abs((losses[0] - losses[1]) / (2 * step) - expected) < 1e-7 * scale


def test_a_layer_does_not_flip_its_kernel() -> None:
    layer = Conv2D(1, (2, 3), in_channels=1)
    layer.weight = np.arange(6).reshape(1, 1, 2, 3)
    unit = np.zeros((1, 1, 2, 3))
    unit[0, 0, 0, 1] = 1
    assert layer(unit).item() == layer.weight[0, 0, 0, 1]


def test_more_channels_than_one_routine_adds_up(rng: np.random.Generator) -> None:
    layer, x, dy = case(rng, (2, 1100, 5, 6), 2, (2, 3), 1, "float64")
    assert np.array_equal(layer(x), by_definition(layer, x))
    assert dot(x, layer.gradients(x, dy).x) == dot(layer(x) - layer.bias[:, None, None], dy)


@pytest.mark.parametrize("name", target.available())
def test_every_instruction_set_gives_the_same_whole_numbers(
    name: str, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    monkeypatch.setenv("KERNELWISE_TARGET", name)
    layer, x, dy = case(rng, (2, 3, 14, 37), 5, (3, 3), 1)
    assert np.array_equal(layer(x), by_definition(layer, x))
    assert dot(layer.weight, layer.gradients(x, dy).weight) == dot(layer(x) - layer.bias[:, None, None], dy)


# ---------------------------------------------------------------- bits, memory, special values


@pytest.mark.parametrize(("shape", "o", "size", "padding"), [((6, 8, 60, 61), 12, 5, 2), ((1, 3, 300, 310), 4, 3, 0)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_bits_do_not_depend_on_the_number_of_threads(
    shape: Any, o: int, size: int, padding: int, dtype: str, threads: Callable[[int], None], rng: np.random.Generator
) -> None:
    layer = Conv2D(o, size, padding=padding, dtype=dtype)
    x = rng.normal(size=shape)
    dy = rng.normal(size=layer(x).shape)
    found = []
    for n in THREADS:
        threads(n)
        found.append([part.tobytes() for part in (layer(x), *layer.gradients(x, dy))])
    assert all(bits == found[0] for bits in found)


def test_results_and_input_gradients_do_not_depend_on_how_a_batch_is_split(rng: np.random.Generator) -> None:
    layer = Conv2D(5, 3, padding=1)
    x = rng.normal(size=(7, 4, 19, 23))
    y = layer(x)
    dy = rng.normal(size=y.shape)
    dx = layer.gradients(x, dy).x
    for n in range(7):
        assert layer(x[n : n + 1]).tobytes() == y[n].tobytes()
        assert layer.gradients(x[n : n + 1], dy[n : n + 1]).x.tobytes() == dx[n].tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_images_may_lie_in_memory_as_they_like(kind: str, rng: np.random.Generator) -> None:
    layer, x, dy = case(rng, (3, 2, 9, 12), 4, 3, 1)
    y, gradients = layer(x), layer.gradients(x, dy)
    there, back = arrange(x, kind, rng), arrange(dy, kind, rng)
    assert np.array_equal(layer(there), y)
    for found, expected in zip(layer.gradients(there, back), gradients, strict=True):
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["?", "u1", "i2", "i8", "f2", "f4", "f8", ">f8"])
def test_images_of_any_real_dtype_are_taken_in_that_of_the_layer(dtype: str, rng: np.random.Generator) -> None:
    layer = Conv2D(2, 3, in_channels=2)
    x = rng.integers(0, 2, (1, 2, 6, 7)).astype(dtype)
    y = layer(x)
    assert y.dtype == np.float32 and np.array_equal(y, layer(x.astype(np.float32)))
    assert layer.gradients(x, y.astype(np.float64)).weight.dtype == np.float32


def test_the_inputs_are_left_as_they_were(rng: np.random.Generator) -> None:
    layer, x, dy = case(rng, (2, 3, 9, 11), 4, 3, 1)
    kept = x.copy(), dy.copy(), layer.weight.copy()
    for array in (x, dy):
        array.flags.writeable = False
    layer.gradients(x, dy)
    assert all(np.array_equal(a, b) for a, b in zip(kept, (x, dy, layer.weight), strict=True))


def test_an_empty_batch_gives_empty_results_and_no_gradient() -> None:
    layer = Conv2D(2, 3, in_channels=3)
    y = layer(np.zeros((0, 3, 8, 9)))
    assert y.shape == (0, 2, 6, 7)
    gradients = layer.gradients(np.zeros((0, 3, 8, 9)), y)
    assert gradients.x.shape == (0, 3, 8, 9)
    assert not gradients.weight.any() and not gradients.bias.any()


def test_a_nan_reaches_only_the_windows_that_hold_it_under_a_tap_that_is_not_zero(rng: np.random.Generator) -> None:
    layer, x, _ = case(rng, (2, 2, 8, 40), 3, 3, 1)
    layer.weight[:, 1] = 0
    layer.weight[:, 0, 0, 0] = 1
    clean = layer(x)
    x[:, 1] = np.nan
    assert np.array_equal(layer(x), clean)
    x[0, 0, 4, 20] = np.inf
    touched = ~np.isfinite(layer(x))
    assert touched.any(axis=1).nonzero()[0].tolist() == [0] * int(touched.any(axis=1).sum())
    rows, columns = touched[0].any(axis=0).nonzero()
    assert set(rows) <= {3, 4, 5} and set(columns) <= {19, 20, 21}
    assert touched[:, :, 5, 21][0].all(), "the tap at (0, 0) looks up and to the left"


def test_weights_that_are_not_finite_show_in_the_result(rng: np.random.Generator) -> None:
    """Training that has diverged is not hidden."""
    layer, x, _ = case(rng, (1, 1, 6, 6), 2, 3, 0)
    layer.weight[0, 0, 1, 1] = np.nan
    assert np.isnan(layer(x)[:, 0]).all() and np.isfinite(layer(x)[:, 1]).all()


# ---------------------------------------------------------------- training


def test_steps_of_training_need_no_new_code(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    layer = Conv2D(3, 3, padding=1)
    x = rng.normal(size=(2, 2, 12, 13))
    layer.gradients(x, layer(x))

    def refuse(*_: object) -> None:
        raise AssertionError("code was generated")

    monkeypatch.setattr(routine, "build", refuse)
    monkeypatch.setattr(direct_lags, "build", refuse)
    for _ in range(5):
        layer.weight -= 0.01 * layer.gradients(x, layer(x)).weight
    layer(rng.normal(size=(2, 2, 12, 13)))


def test_a_layer_learns_the_edges_of_the_lecture() -> None:
    """Ten steps at the rate 3e-2, from weights as small as the lecture's."""
    x = np.ones((1, 1, 6, 8), np.float32)
    x[..., 2:6] = 0
    y = x[..., :-1] - x[..., 1:]
    layer = Conv2D(1, (1, 2))
    layer(x)
    layer.weight *= 0.07 * math.sqrt(2)
    losses = []
    for _ in range(10):
        difference = layer(x) - y
        losses.append(float((difference**2).sum()))
        layer.weight[...] -= 3e-2 * layer.gradients(x, 2 * difference).weight
    assert losses == sorted(losses, reverse=True) and losses[-1] < 0.01
    assert np.abs(layer.weight - [1, -1]).max() < 0.05


def test_a_layer_with_bias_and_many_channels_learns_another_one(rng: np.random.Generator) -> None:
    teacher, student = (Conv2D(3, 3, in_channels=2, padding=1, seed=seed, dtype="float64") for seed in (1, 2))
    teacher.bias = [0.5, -1, 2]
    x = rng.normal(size=(4, 2, 10, 11))
    wanted = teacher(x)
    for _ in range(400):
        gradients = student.gradients(x, 2 * (student(x) - wanted) / wanted.size)
        student.weight -= gradients.weight
        student.bias -= gradients.bias
    assert np.allclose(student.weight, teacher.weight, atol=1e-8)
    assert np.allclose(student.bias, teacher.bias, atol=1e-8)


# ---------------------------------------------------------------- weights


def test_the_start_is_the_documented_one() -> None:
    layer = Conv2D(3, (2, 5), in_channels=4, seed=7)
    reach = 1 / math.sqrt(4 * 2 * 5)
    expected = np.random.default_rng(7).uniform(-reach, reach, (3, 4, 2, 5)).astype(np.float32)
    assert np.array_equal(layer.weight, expected)
    assert np.array_equal(layer.bias, np.zeros(3)) and layer.bias.dtype == np.float32
    assert np.array_equal(Conv2D(3, (2, 5), in_channels=4, seed=7).weight, layer.weight)
    assert not np.array_equal(Conv2D(3, (2, 5), in_channels=4, seed=8).weight, layer.weight)


def test_the_first_images_tell_the_number_of_channels() -> None:
    layer = Conv2D(2, 3)
    assert layer.in_channels is None
    with pytest.raises(ArgumentError, match="in_channels"):
        _ = layer.weight
    layer(np.zeros((1, 5, 4, 4)))
    assert layer.in_channels == 5 and layer.weight.shape == (2, 5, 3, 3)
    assert np.array_equal(layer.weight, Conv2D(2, 3, in_channels=5).weight)
    with pytest.raises(ArgumentError, match=r"`x` must have the shape \(n, 5, h, w\)"):
        layer(np.zeros((1, 4, 4, 4)))


def test_images_that_are_refused_do_not_settle_the_channels() -> None:
    layer = Conv2D(2, 3)
    with pytest.raises(ArgumentError):
        layer(np.zeros((1, 5, 2, 4)))
    assert layer.in_channels is None


def test_weights_are_changed_in_place_or_assigned_by_copy(rng: np.random.Generator) -> None:
    layer = Conv2D(2, 3)
    given = rng.normal(size=(2, 4, 3, 3))
    layer.weight = given
    assert layer.in_channels == 4 and layer.weight.dtype == np.float32
    given[...] = 0
    assert layer.weight.any()
    here = layer.weight
    layer.weight *= 2
    layer.bias += 1
    assert layer.weight is here and layer.bias.tolist() == [1, 1]
    layer.bias = (3, 4)
    assert layer(np.zeros((1, 4, 3, 3)))[0, :, 0, 0].tolist() == [3, 4]


def test_a_layer_without_bias_has_none() -> None:
    layer = Conv2D(2, 3, in_channels=1, bias=False)
    assert layer.bias is None
    x = np.ones((1, 1, 4, 4))
    assert layer.gradients(x, layer(x)).bias is None
    with pytest.raises(ArgumentError, match="bias=False"):
        layer.bias = [1, 2]


def test_a_layer_survives_pickling(rng: np.random.Generator) -> None:
    layer, x, _ = case(rng, (1, 2, 8, 9), 3, 3, 1)
    assert np.array_equal(pickle.loads(pickle.dumps(layer))(x), layer(x))


def test_a_layer_shows_what_it_is() -> None:
    assert repr(Conv2D(2, 3)) == "Conv2D(2, (3, 3), dtype='float32')"
    layer = Conv2D(2, (1, 2), in_channels=3, bias=False, padding=(0, 1), dtype="float64")
    assert repr(layer) == "Conv2D(2, (1, 2), in_channels=3, bias=False, padding=((0, 0), (1, 1)), dtype='float64')"


@pytest.mark.parametrize(
    ("given", "meant"),
    [(0, ((0, 0), (0, 0))), (2, ((2, 2), (2, 2))), ((1, 2), ((1, 1), (2, 2))), (((0, 1), (2, 3)), ((0, 1), (2, 3)))],
)
def test_padding_is_a_number_one_for_each_axis_or_one_for_each_side(given: Any, meant: Any) -> None:
    assert Conv2D(1, 3, padding=given).padding == meant


# ---------------------------------------------------------------- errors

REFUSED = [
    (lambda: Conv2D(0, 3), "channels"),
    (lambda: Conv2D(1.5, 3), "channels"),
    (lambda: Conv2D(1, 0), "kernel_size"),
    (lambda: Conv2D(1, (3,)), "kernel_size"),
    (lambda: Conv2D(1, (3, 3, 3)), "kernel_size"),
    (lambda: Conv2D(1, "3"), "kernel_size"),
    (lambda: Conv2D(1, 3, in_channels=0), "in_channels"),
    (lambda: Conv2D(1, 3, in_channels=True), "in_channels"),
    (lambda: Conv2D(1, 3, padding=-1), "padding"),
    (lambda: Conv2D(1, 3, padding="full"), "padding"),
    (lambda: Conv2D(1, 3, padding=(1, 2, 3)), "padding"),
    (lambda: Conv2D(1, 3, padding=((1, 2, 3), 1)), "padding"),
    (lambda: Conv2D(1, 3, padding=0.5), "padding"),
    (lambda: Conv2D(1, 3, seed=-1), "seed"),
    (lambda: Conv2D(1, 3, bias="no"), "bias"),
    (lambda: Conv2D(1, 3, dtype="float16"), "dtype"),
    (lambda: Conv2D(1, 3, dtype="blue"), "dtype"),
    (lambda: Conv2D(1, 3, dtype=None), "dtype"),
    (lambda: Conv2D(2**20, 2**20, in_channels=2**20), "kernel_size"),
    (lambda: Conv2D(1, 3)(np.zeros((3, 3))), "x"),
    (lambda: Conv2D(1, 3)(np.zeros((1, 0, 3, 3))), "x"),
    (lambda: Conv2D(1, 3)(np.zeros((1, 1, 2, 3))), "x"),
    (lambda: Conv2D(1, 5, padding=1)(np.zeros((1, 1, 3, 2))), "x"),
    (lambda: Conv2D(1, 3)(np.zeros((1, 1, 3, 3), complex)), "x"),
    (lambda: Conv2D(1, 3)(np.ma.zeros((1, 1, 3, 3))), "x"),
    (lambda: Conv2D(1, 3)([["a"]]), "x"),
    (lambda: Conv2D(1, 3).gradients(np.zeros((1, 1, 4, 4)), np.zeros((1, 1, 4, 4))), "dy"),
    (lambda: Conv2D(1, 3).gradients(np.zeros((1, 1, 3, 3)), np.zeros((1, 1, 1, 1), complex)), "dy"),
    (lambda: setattr(Conv2D(1, 3), "weight", np.zeros((1, 1, 3, 2))), "weight"),
    (lambda: setattr(Conv2D(1, 3), "weight", np.zeros((1, 0, 3, 3))), "weight"),
    (lambda: setattr(Conv2D(1, 3, in_channels=2), "weight", np.zeros((1, 1, 3, 3))), "weight"),
    (lambda: setattr(Conv2D(1, 3), "weight", np.zeros((1, 1, 3, 3), complex)), "weight"),
    (lambda: setattr(Conv2D(2, 3), "bias", [1, 2, 3]), "bias"),
]


@pytest.mark.parametrize(("act", "name"), REFUSED)
def test_what_is_not_allowed_is_refused_by_name(act: Callable[[], object], name: str) -> None:
    with pytest.raises(KernelwiseError, match=f"`{name}`") as caught:
        act()
    assert isinstance(caught.value, (ArgumentError, ArgumentTypeError))
