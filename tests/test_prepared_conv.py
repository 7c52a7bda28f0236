"""A prepared layer is `conv` with its weights packed once: the same numbers, and never those of other weights."""

import copy
import pickle
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import kernelwise as kw
from kernelwise.errors import ArgumentError, ArgumentTypeError, KernelwiseError
from kernelwise.layers.known import MOST_BYTES, MOST_LAYERS, Known
from support import layer_cases

BOUND = 5e-6  # of Winograd's algorithm, of the largest output, in float32
SHAPES = [  # images, weights, options: pixels in the lanes, channels in the lanes, Winograd's algorithm
    ((2, 1, 6, 8), (1, 1, 1, 2), {}),
    ((3, 6, 9, 11), (6, 1, 3, 3), {"groups": 6, "padding": 1}),
    ((2, 8, 10, 9), (24, 8, 3, 3), {"padding": "same", "stride": 2, "activation": "relu"}),
    ((2, 48, 20, 20), (48, 48, 3, 3), {"padding": 1, "border": "reflect"}),
    ((2, 5, 30), (4, 5, 4), {"dilation": 2, "activation": "relu6"}),
    ((1, 3, 5, 6, 7), (18, 3, 2, 3, 3), {"padding": 1}),
]


def arrays(rng: np.random.Generator, x: Any, w: Any, dtype: str = "f4") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return tuple(rng.normal(size=shape).astype(dtype) for shape in (x, w, w[:1]))  # type: ignore[return-value]


def near(found: np.ndarray, wanted: np.ndarray) -> bool:
    return bool(np.abs(found - wanted).max() <= BOUND * np.abs(wanted).max())


# ---------------------------------------------------------------- what it computes


@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
@pytest.mark.parametrize(("x", "w", "options"), SHAPES)
def test_it_gives_the_bits_of_single_calls(x: Any, w: Any, options: Any, layout: str, rng: np.random.Generator) -> None:
    """With "exact"; with "fast" it is as near the definition as is promised. First call, later ones, and into out."""
    x, w, bias = arrays(rng, x, w)
    if layout == "channels_last":
        x = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    options = {**options, "layout": layout}
    wanted = kw.conv(x, w, bias, precision="exact", **options)
    exact, fast = (kw.PreparedConv(w, bias, precision=name, **options) for name in ("exact", "fast"))
    for _ in range(3):
        assert exact(x).tobytes() == wanted.tobytes()
        assert near(fast(x), wanted)
        out = np.empty_like(wanted)
        assert exact(x, out) is out and out.tobytes() == wanted.tobytes()


def test_any_layer_is_the_definition_exactly(rng: np.random.Generator) -> None:
    """Whole numbers, random geometry, twice with images of one shape and then with others."""
    for _ in range(12):
        layer = layer_cases.draw(rng)
        w = layer_cases.whole(rng, (layer.outputs, layer.channels // layer.groups, *layer.taps), "f4")
        prepared = kw.PreparedConv(w, **{**layer.options, "precision": "exact"})
        for images in (layer.images, layer.images, layer.images + 1):
            x = layer_cases.whole(rng, (images, layer.channels, *layer.sizes), "f4")
            wanted = layer_cases.lying(layer_cases.forward(layer, x, w), layer)
            assert np.array_equal(prepared(layer_cases.lying(x, layer)), wanted)


def test_images_of_any_dtype_and_of_any_strides_are_taken(rng: np.random.Generator) -> None:
    x, w, bias = arrays(rng, (2, 8, 12, 14), (20, 8, 3, 3))
    prepared = kw.PreparedConv(w, bias, precision="exact")
    for images in (x, x[:, ::-1, ::2], x.astype(">f4"), x.astype("f2"), x.astype("f8"), (x * 9).astype("i1"), x):
        for _ in range(2):
            found, wanted = prepared(images), kw.conv(images, w, bias, precision="exact")
            assert found.dtype == wanted.dtype and found.tobytes() == wanted.tobytes()
    listed = prepared(x[:1, :, :3, :3].tolist())
    assert listed.dtype == np.float64 and np.allclose(listed, kw.conv(x[:1, :, :3, :3].astype("f8"), w, bias))


def test_a_result_goes_where_it_is_wanted(rng: np.random.Generator) -> None:
    """Into arrays with gaps, and over the images themselves."""
    x, w, bias = arrays(rng, (2, 4, 9, 10), (4, 4, 3, 3))
    prepared = kw.PreparedConv(w, bias, padding=1)
    wanted = prepared(x)
    room = np.full((2, 4, 9, 20), 7, "f4")
    assert prepared(x, room[..., ::2]) is not None and np.array_equal(room[..., ::2], wanted)
    assert (room[..., 1::2] == 7).all()
    over = x.copy()
    assert prepared(over, over) is over and np.array_equal(over, wanted)


# ---------------------------------------------------------------- weights that change


def test_later_changes_of_the_arrays_it_was_made_of_change_nothing(rng: np.random.Generator) -> None:
    """Neither for images of a shape met before nor for new ones, for which weights may be packed again."""
    x, w, bias = arrays(rng, (2, 6, 12, 14), (20, 6, 3, 3))
    narrow = np.ascontiguousarray(x[..., :9])
    wanted = kw.conv(x, w, bias), kw.conv(narrow, w, bias)
    prepared = kw.PreparedConv(w, bias)
    assert near(prepared(x), wanted[0])
    w[...], bias[...] = 0, 1
    assert near(prepared(x), wanted[0]) and near(prepared(narrow), wanted[1])
    for array in (prepared.weight, prepared.bias):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


@pytest.mark.parametrize("channels", [2, 40, 90])
def test_a_layer_object_follows_every_change(channels: int, rng: np.random.Generator) -> None:
    """Of weights and bias, in place, through views and by assignment, and of its options; few weights and many."""
    x = rng.normal(size=(1, channels, 5, 6)).astype("f4")
    layer = kw.Conv2D(channels, 3, in_channels=channels)
    view = layer.weight.reshape(-1)[:5]

    def turn(weight: np.ndarray) -> None:
        layer.weight = weight

    changes: list[Callable[[], Any]] = [
        lambda: layer.weight.__setitem__((0, 0, 1, 1), 3.0),
        lambda: view.__setitem__(2, -0.0),
        lambda: layer.bias.__setitem__(0, 2.0),
        lambda: turn(-layer.weight),
        lambda: setattr(layer, "bias", np.ones(channels)),
        lambda: setattr(layer, "activation", "relu"),
        lambda: setattr(layer, "precision", "exact"),
    ]
    for change in [lambda: None, *changes]:
        change()
        for _ in range(2):
            how = {"activation": layer.activation, "precision": layer.precision}
            copied = layer.weight.copy(), layer.bias.copy()
            kw.clear_cache()
            wanted = kw.conv(x, *copied, **how)
            assert layer(x).tobytes() == kw.conv(x, layer.weight, layer.bias, **how).tobytes() == wanted.tobytes()


def test_a_layer_object_prepares_what_it_is_now(rng: np.random.Generator) -> None:
    x = rng.normal(size=(2, 8, 10, 12)).astype("f4")
    layer = kw.Conv2D(20, 3, stride=2, padding="same", groups=2, border="wrap", activation="relu", precision="exact")
    y = layer(x)
    prepared = layer.prepare()
    layer.weight[...] = 0
    assert prepared(x).tobytes() == y.tobytes() != layer(x).tobytes()


def test_small_single_calls_follow_the_numbers(rng: np.random.Generator) -> None:
    """`conv` finds small layers again by their numbers: those of equal weights in other dtypes are others."""
    x, w, bias = arrays(rng, (1, 2, 6, 40), (3, 2, 2, 2))
    for _ in range(2):
        for weight, shift in ((w, None), (w, bias), (-w, None), (w.astype("f8"), bias), (w[::-1], -bias)):
            wanted = sum(
                np.stack([kw.corr2d(x[0, i].astype("f8"), weight[o, i].astype("f8")) for o in range(3)])
                for i in range(2)
            )
            wanted = wanted if shift is None else wanted + shift[:, None, None]
            assert np.allclose(kw.conv(x, weight, shift)[0], wanted, atol=1e-5)
            w[0, 0, 0, 0] += 1  # in place: the next call must see it, wherever the array is used
    with pytest.raises(ArgumentTypeError, match="`stride`"):
        kw.conv(x, w, stride=True)


def test_single_calls_with_many_weights_follow_the_numbers_too(rng: np.random.Generator) -> None:
    """Of arrays changed in place, of several that take turns, and of those that come to lie where others did."""
    x, w, bias = arrays(rng, (1, 24, 5, 6), (24, 24, 3, 3))
    other = w[:, ::-1].copy()
    for turn in range(6):
        for weight in (w, other, w * turn, -w):
            y = kw.conv(x, weight, bias)
            kw.clear_cache()
            assert y.tobytes() == kw.conv(x, weight, bias).tobytes()
        w[turn, 1, 2, 0] += 1
        bias[turn] -= 1


def test_layers_found_again_are_few_and_small() -> None:
    """The oldest are let go of where there are too many, or where their weights together are too large."""
    for size, most in ((8, MOST_LAYERS), (1 << 20, MOST_BYTES >> 20)):
        known: Known[object] = Known()
        made = [known.find(n, bytes([n]) * size, 0, object) for n in range(200)]
        again = [known.find(n, bytes([n]) * size, 0, object) is made[n] for n in range(199, -1, -1)]
        assert again == [True] * most + [False] * (200 - most)
        latest = known.find(0, b"\0" * size, 0, object)
        assert known.find(0, b"\1" * size, 0, object) is not latest
        known.forget()
        assert known.find(0, b"\0" * size, 0, object) is not latest


# ---------------------------------------------------------------- the choice


def test_what_is_packed_once_may_be_done_by_another_algorithm(rng: np.random.Generator) -> None:
    """Small images under many weights: transforming those does not pay for one call, but for many it does."""
    x, w, _ = arrays(rng, (4, 192, 7, 7), (192, 192, 3, 3))
    fast, exact = (kw.PreparedConv(w, padding=1, precision=name) for name in ("fast", "exact"))
    assert fast.plan(x.shape).algorithm == "winograd" and exact.plan(x.shape).algorithm == "direct"
    single, wanted = kw.conv(x, w, padding=1), kw.conv(x.astype("f8"), w.astype("f8"), padding=1, precision="exact")
    assert exact(x).tobytes() == kw.conv(x, w, padding=1, precision="exact").tobytes()
    assert fast(x).tobytes() != single.tobytes()
    for y, error in ((fast(x), BOUND), (single, BOUND), (exact(x), 1e-6)):
        assert np.abs(y - wanted).max() <= error * np.abs(wanted).max()


@pytest.mark.parametrize(("x", "w", "options"), [*SHAPES, ((5, 192, 7, 7), (192, 192, 3, 3), {"padding": 1})])
def test_bits_depend_on_neither_threads_nor_batch_nor_strides(
    x: Any, w: Any, options: Any, rng: np.random.Generator
) -> None:
    x, w, bias = arrays(rng, x, w)
    y = kw.PreparedConv(w, bias, threads=1, **options)(x)
    for threads in (2, 3, 8):
        prepared = kw.PreparedConv(w, bias, threads=threads, **options)
        assert prepared(x).tobytes() == y.tobytes()
        for n in range(len(x)):
            assert prepared(x[n : n + 1]).tobytes() == y[n].tobytes()
        turned = np.ascontiguousarray(x[..., ::-1])[..., ::-1]
        assert prepared(turned).tobytes() == y.tobytes()


def test_the_plan_can_be_read(rng: np.random.Generator) -> None:
    _, w, _ = arrays(rng, (1, 48, 20, 20), (48, 48, 3, 3))
    last = kw.PreparedConv(w, padding=1, layout="channels_last").plan((8, 20, 20, 48))
    assert last.result_shape == (8, 20, 20, 48) and last.packed_bytes >= 4 * w.nbytes and last.seconds > 0
    assert last.error == pytest.approx(BOUND) and "winograd" in str(last) and "8 x 20 x 20 x 48" in str(last)
    wide = kw.PreparedConv(w[:, :1], groups=48).plan((1, 48, 20, 40), np.float64)
    assert wide.algorithm == "pixels" and wide.error < 1e-14


# ---------------------------------------------------------------- what it keeps


def test_weights_are_packed_once_for_all_shapes_of_images(rng: np.random.Generator) -> None:
    """Also for more shapes than are kept: memory stays at the packed weights, four times the bytes of theirs."""
    _, w, _ = arrays(rng, (1, 1, 1, 1), (128, 128, 3, 3))
    prepared = kw.PreparedConv(w, padding=1)
    kw.PreparedConv(w, padding=1)(np.zeros((1, 128, 20, 20), "f4"))
    tracemalloc.start()
    try:
        for side in range(16, 36):
            assert prepared(np.zeros((1, 128, side, side), "f4")).shape == (1, 128, side, side)
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert 4 * w.nbytes <= kept < 4.3 * w.nbytes + (1 << 20)


def test_it_follows_the_number_of_threads(rng: np.random.Generator) -> None:
    x, w, _ = arrays(rng, (4, 48, 40, 40), (48, 48, 3, 3))
    prepared = kw.PreparedConv(w)
    try:
        for threads in (1, 3, 2):
            kw.set_threads(threads)
            prepared(x)
            assert prepared.plan(x.shape).threads == threads
            assert prepared._bound[x.shape].threads == threads
    finally:
        kw.set_threads(None)


def test_it_can_be_copied_and_pickled(rng: np.random.Generator) -> None:
    x, w, bias = arrays(rng, (1, 3, 9, 9), (20, 3, 3, 3))
    prepared = kw.PreparedConv(w, bias, padding=1)
    y = prepared(x)
    for other in (copy.deepcopy(prepared), copy.copy(prepared), pickle.loads(pickle.dumps(prepared))):
        assert other(x).tobytes() == y.tobytes() == prepared(x).tobytes()


def test_forgetting_everything_leaves_it_working(rng: np.random.Generator) -> None:
    x, w, bias = arrays(rng, (1, 3, 9, 9), (20, 3, 3, 3))
    prepared = kw.PreparedConv(w, bias)
    y = prepared(x)
    kw.clear_cache()
    assert prepared(x).tobytes() == y.tobytes() == kw.PreparedConv(w, bias)(x).tobytes()


# ---------------------------------------------------------------- errors

X, W = np.zeros((1, 4, 8, 8), "f4"), np.zeros((6, 4, 3, 3), "f4")
REFUSED = [
    (lambda: kw.PreparedConv(W[0, 0]), "w"),
    (lambda: kw.PreparedConv(W, np.zeros(5)), "bias"),
    (lambda: kw.PreparedConv(W, stride=0), "stride"),
    (lambda: kw.PreparedConv(W, padding="full"), "padding"),
    (lambda: kw.PreparedConv(W, groups=4), "groups"),
    (lambda: kw.PreparedConv(W, border="zeros"), "border"),
    (lambda: kw.PreparedConv(W, activation="tanh"), "activation"),
    (lambda: kw.PreparedConv(W, precision="high"), "precision"),
    (lambda: kw.PreparedConv(W, layout="NHWC"), "layout"),
    (lambda: kw.PreparedConv(W, threads=0), "threads"),
    (lambda: kw.PreparedConv(W)(X[0]), "x"),
    (lambda: kw.PreparedConv(W)(X[:, :3]), "x"),
    (lambda: kw.PreparedConv(W)(X[:, :, :2]), "x"),
    (lambda: kw.PreparedConv(W)(X.astype(complex)), "x"),
    (lambda: kw.PreparedConv(W)(X, np.zeros((1, 6, 6, 5), "f4")), "out"),
    (lambda: kw.PreparedConv(W)(X, np.zeros((1, 6, 6, 6))), "out"),
    (lambda: kw.PreparedConv(W).plan((1, 3, 8, 8)), "shape"),
    (lambda: kw.Conv2D(6, 3).prepare(), "in_channels"),
]


@pytest.mark.parametrize(("act", "name"), REFUSED)
def test_what_is_not_allowed_is_refused_by_name(act: Callable[[], object], name: str) -> None:
    with pytest.raises(KernelwiseError, match=f"`{name}`") as caught:
        act()
    assert isinstance(caught.value, (ArgumentError, ArgumentTypeError))


def test_a_wrong_out_is_refused_after_right_ones_too(rng: np.random.Generator) -> None:
    x, w, _ = arrays(rng, (1, 3, 9, 9), (20, 3, 3, 3))
    prepared = kw.PreparedConv(w)
    right = prepared(x)
    for wrong in (np.empty(right.shape), np.empty((1, 20, 7, 8), "f4"), right.tolist()):
        with pytest.raises(KernelwiseError, match="`out`"):
            prepared(x, wrong)
    right.flags.writeable = False
    with pytest.raises(ArgumentError, match="`out`"):
        prepared(x, right)
