"""The functions of a layer against its definition, their own adjoints, and torch."""

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import kernelwise as kw
from kernelwise.errors import ArgumentError, ArgumentTypeError, KernelwiseError
from kernelwise.jit import target
from support import layer_cases
from support.layer_cases import BORDERS, whole
from support.memory import KINDS, arrange

FOLDER = Path(__file__).parent
SEED = 20251123
PARTS = 8
functional = torch.nn.functional


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    yield kw.set_threads
    kw.set_threads(None)


def dot(a: np.ndarray, b: np.ndarray) -> float:
    return float((a.astype(np.float64) * b.astype(np.float64)).sum())


# ---------------------------------------------------------------- the definition


@pytest.mark.parametrize("part", range(PARTS))
def test_random_layers_and_their_gradients_are_the_definition_exactly(part: int) -> None:
    """2,000 of them: axes, strides, dilations, groups, paddings, borders, layouts, biases, activations."""
    layer_cases.main(SEED, 250 * part, 250)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(PARTS))
def test_many_random_layers_are_the_definition_exactly(part: int) -> None:
    layer_cases.main(SEED + 1, 1250 * part, 1250)


@pytest.mark.parametrize("name", target.available())
def test_every_instruction_set_gives_the_definition_exactly(name: str) -> None:
    """Code for the common subset of a name, as it would run on another CPU."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "support.layer_cases", str(SEED + 2), "0", "150"],
        capture_output=True,
        text=True,
        cwd=FOLDER,
        env=os.environ | {"KERNELWISE_TARGET": name},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("150 right")


SHAPES = [  # (n, c, ...), (o, c / groups, ...), options
    ((2, 64, 20, 21), (48, 64, 3, 3), {"padding": 1}),
    ((2, 3, 64, 67), (40, 3, 7, 7), {"padding": 3, "stride": 2}),
    ((1, 32, 30, 31), (32, 1, 3, 3), {"padding": 1, "groups": 32}),
    ((3, 8, 9, 70), (8, 4, 1, 5), {"groups": 2, "dilation": (1, 3)}),
    ((2, 5, 200), (7, 5, 9), {"stride": 3, "padding": 4}),
    ((1, 4, 6, 12, 13), (20, 4, 3, 3, 2), {"padding": (1, 0, 1), "stride": (1, 2, 2)}),
    ((4, 128, 7, 7), (130, 128, 1, 1), {}),
]


@pytest.mark.parametrize(("x", "w", "options"), SHAPES)
@pytest.mark.parametrize("precision", ["exact", "fast"])
def test_layers_and_gradients_agree_with_torch(x: Any, w: Any, options: Any, precision: str) -> None:
    """From torch in float64 as far as the contract allows: 1e-6 of the largest value if exact, else 5e-6."""
    rng = np.random.default_rng(5)
    x, w = rng.normal(size=x).astype("f4"), rng.normal(size=w).astype("f4")
    bias = rng.normal(size=len(w)).astype("f4")
    tensors = [torch.tensor(a.astype("f8"), requires_grad=True) for a in (x, w, bias)]
    y = getattr(functional, f"conv{x.ndim - 2}d")(*tensors, **options)
    dy = rng.normal(size=y.shape).astype("f4")
    y.backward(torch.tensor(dy.astype("f8")))
    bound = 1e-6 if precision == "exact" else 5e-6
    found = [
        kw.conv(x, w, bias, precision=precision, **options),
        kw.conv_input_gradient(dy, w, x.shape[2:], precision=precision, **options),
        kw.conv_weight_gradient(dy, x, w.shape[2:], **options),
        kw.conv_bias_gradient(dy),
    ]
    for ours, theirs in zip(found, (y.detach(), *(t.grad for t in tensors)), strict=True):
        assert np.abs(ours - theirs.numpy()).max() <= bound * np.abs(theirs.numpy()).max()


TRANSPOSED = [  # (n, i, ...), (i, o / groups, ...), options
    ((2, 4, 7, 9), (4, 6, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
    ((1, 6, 11), (6, 2, 4), {"stride": 3, "groups": 2}),
    ((2, 3, 5, 6), (3, 40, 2, 2), {"stride": 2}),
    ((1, 8, 5, 4), (8, 1, 3, 5), {"stride": (1, 3), "dilation": (2, 2), "groups": 8, "output_padding": (1, 2)}),
    ((2, 2, 3, 4, 5), (2, 3, 2, 3, 2), {"stride": (2, 1, 4), "padding": (0, 1, 0)}),
    ((1, 3, 4, 4), (3, 2, 2, 2), {"stride": 5}),
]


@pytest.mark.parametrize(("x", "w", "options"), TRANSPOSED)
def test_transposed_layers_agree_with_torch(x: Any, w: Any, options: Any, rng: np.random.Generator) -> None:
    x, w = whole(rng, x, "f4"), whole(rng, w, "f4")
    bias = whole(rng, (w.shape[1] * options.get("groups", 1),), "f4")
    theirs = getattr(functional, f"conv_transpose{x.ndim - 2}d")(*map(torch.tensor, (x, w, bias)), **options)
    assert np.array_equal(kw.conv_transpose(x, w, bias, precision="exact", **options), theirs.numpy())
    relu = kw.conv_transpose(x, w, bias, activation="relu", precision="exact", **options)
    assert np.array_equal(relu, np.maximum(theirs.numpy(), 0))


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_transposed_layer_is_the_adjoint_of_the_layer(stride: int, rng: np.random.Generator) -> None:
    options: dict[str, Any] = {"stride": stride, "padding": "same", "dilation": (1, 2), "groups": 2}
    w = whole(rng, (6, 2, 3, 4), "f8")
    y = whole(rng, (2, 6, 5, 7), "f8")
    x = whole(rng, (2, 4, 5 * stride, 7 * stride), "f8")
    assert dot(kw.conv(x, w, **options), y) == dot(x, kw.conv_transpose(y, w, **options))


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("groups", [1, 4])
def test_gradients_are_the_adjoint_at_every_border(border: str, groups: int, rng: np.random.Generator) -> None:
    """<conv(x, w), y> = <x, input gradient> = <w, weight gradient>, on whole numbers; padding wider than the image."""
    options: dict[str, Any] = {"border": border, "padding": ((9, 2), (3, 11)), "stride": (2, 1), "groups": groups}
    x, w = whole(rng, (2, 8, 5, 6), "f8"), whole(rng, (12, 8 // groups, 3, 2), "f8")
    linear = kw.conv(x, w, **options)
    y = whole(rng, linear.shape, "f8")
    assert dot(x, kw.conv_input_gradient(y, w, (5, 6), **options)) == dot(linear, y)
    assert dot(w, kw.conv_weight_gradient(y, x, (3, 2), **options)) == dot(linear, y)


@pytest.mark.parametrize("activation", [None, "relu", "relu6"])
def test_gradients_are_the_slopes_of_a_curved_loss(activation: str | None, rng: np.random.Generator) -> None:
    """By finite differences of sum(sin(layer(x))), in float64, away from the kinks."""
    layer = kw.Conv2D(
        6, (3, 2), stride=2, dilation=(1, 2), groups=3, border="reflect", padding=2, activation=activation,
        dtype="float64",
    )  # fmt: skip
    x = rng.normal(size=(2, 3, 9, 8)) * 3
    gradients = layer.gradients(x, np.cos(layer(x)))
    step = 1e-7
    for values, slope in ((x, gradients.x), (layer.weight, gradients.weight), (layer.bias, gradients.bias)):
        for at in rng.choice(values.size, 6):
            kept, losses = values.flat[at], []
            for sign in (1, -1):
                values.flat[at] = kept + sign * step
                losses.append(np.sin(layer(x)).sum())
            values.flat[at] = kept
            assert abs((losses[0] - losses[1]) / (2 * step) - slope.flat[at]) < 1e-5 * max(1, abs(slope.flat[at]))


def test_same_padding_makes_ceil_n_by_stride_outputs_and_puts_the_odd_pixel_last() -> None:
    x = np.arange(1.0, 8).reshape(1, 1, 7)
    for stride in (1, 2, 3, 4, 9):
        assert kw.conv(x, np.ones((1, 1, 4)), stride=stride, padding="same").shape[2] == -(-7 // stride)
    assert kw.conv(x, np.ones((1, 1, 4)), padding="same").tolist() == [[[6, 10, 14, 18, 22, 18, 13]]]


# ---------------------------------------------------------------- dtypes


@pytest.mark.parametrize(
    ("given", "gives"),
    [("f2", "f2"), ("f4", "f4"), ("f8", "f8"), (">f4", "f4"), ("u1", "f4"), ("?", "f4"), ("i8", "f8")],
)
def test_the_images_decide_the_dtype(given: str, gives: str, rng: np.random.Generator) -> None:
    x = rng.integers(0, 2, (2, 3, 8, 9)).astype(given)
    w, bias = whole(rng, (5, 3, 3, 3), "f8"), whole(rng, (5,), "i4")
    y = kw.conv(x, w, bias, padding=1)
    assert y.dtype == gives and y.dtype.isnative
    assert np.array_equal(y, kw.conv(x.astype("f8"), w, bias, padding=1))
    dw = kw.conv_weight_gradient(y, x, 3, padding=1)
    assert dw.dtype == gives
    assert np.array_equal(dw, kw.conv_weight_gradient(y.astype("f8"), x.astype("f8"), 3, padding=1).astype(gives))


def test_float16_is_added_up_in_float32() -> None:
    x, w = np.full((1, 4096, 1, 1), 0.25, "f2"), np.full((1, 4096, 1, 1), 1, "f2")
    assert kw.conv(x, w).item() == 1024
    x[...] = 16
    x[:, ::2] = -16
    assert kw.conv(x * np.float16(1000), w * np.float16(8)).item() == 0, "partial sums beyond float16 come back"


# ---------------------------------------------------------------- memory and bits


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("groups", [1, 8])
def test_arrays_may_lie_in_memory_as_they_like(kind: str, groups: int, rng: np.random.Generator) -> None:
    options: dict[str, Any] = {"padding": 1, "stride": (1, 2), "groups": groups, "precision": "exact"}
    x, w = whole(rng, (2, 8, 9, 20), "f4"), whole(rng, (16, 8 // groups, 3, 3), "f4")
    y = kw.conv(x, w, **options)
    dy = whole(rng, y.shape, "f4")
    there, weights, back = (arrange(a, kind, rng) for a in (x, w, dy))
    assert np.array_equal(kw.conv(there, weights, **options), y)
    dx = kw.conv_input_gradient(dy, w, (9, 20), **options)
    assert np.array_equal(kw.conv_input_gradient(back, weights, (9, 20), **options), dx)
    del options["precision"]
    dw = kw.conv_weight_gradient(dy, x, 3, **options)
    assert np.array_equal(kw.conv_weight_gradient(back, there, 3, **options), dw)


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "read-only"])
def test_out_is_written_wherever_it_lies(kind: str, rng: np.random.Generator) -> None:
    x = whole(rng, (2, 6, 9, 20), "f4")
    for w, options in ((whole(rng, (9, 6, 3, 3), "f4"), {}), (whole(rng, (6, 1, 3, 3), "f4"), {"groups": 6})):
        wanted = kw.conv(x, w, stride=2, **options)
        out = arrange(np.zeros_like(wanted), kind, rng)
        assert kw.conv(x, w, stride=2, out=out, **options) is out
        assert np.array_equal(out, wanted)
        back = kw.conv_input_gradient(wanted, w, (9, 20), stride=2, **options)
        out = arrange(np.zeros_like(back), kind, rng)
        assert kw.conv_input_gradient(wanted, w, (9, 20), stride=2, out=out, **options) is out
        assert np.array_equal(out, back)


def test_out_may_be_the_images(rng: np.random.Generator) -> None:
    x, w = whole(rng, (2, 7, 9, 10), "f4"), whole(rng, (7, 7, 3, 3), "f4")
    wanted = kw.conv(x, w, padding=1)
    assert kw.conv(x, w, padding=1, out=x) is x
    assert np.array_equal(x, wanted)


def test_layouts_hold_the_same_numbers(rng: np.random.Generator) -> None:
    for groups, stride in ((1, 1), (2, 2), (6, 1)):
        x, w = whole(rng, (2, 6, 9, 20), "f4"), whole(rng, (12, 6 // groups, 3, 3), "f4")
        y = kw.conv(x, w, groups=groups, stride=stride)
        last = kw.conv(x.transpose(0, 2, 3, 1).copy(), w, groups=groups, stride=stride, layout="channels_last")
        assert last.flags.c_contiguous and np.array_equal(last.transpose(0, 3, 1, 2), y)
        up = kw.conv_transpose(y, w, groups=groups, stride=stride)
        rising = kw.conv_transpose(y.transpose(0, 2, 3, 1), w, groups=groups, stride=stride, layout="channels_last")
        assert np.array_equal(rising.transpose(0, 3, 1, 2), up)


BITS = [
    SHAPES[0],
    SHAPES[2],
    SHAPES[3],
    ((3, 4, 120, 130), (4, 4, 5, 5), {"padding": 2}),
    ((2, 40, 150, 9), (40, 40, 3, 3), {}),
]


@pytest.mark.parametrize(("x", "w", "options"), BITS)
def test_bits_depend_on_neither_threads_nor_batch(x: Any, w: Any, options: Any, threads: Callable[[int], None]) -> None:
    rng = np.random.default_rng(6)
    x, w = rng.normal(size=x).astype("f4"), rng.normal(size=w).astype("f4")
    options = {**options, "border": "edge"}
    dy = rng.normal(size=kw.conv(x, w, **options).shape).astype("f4")
    found = []
    for n in (1, 2, 3, 8):
        threads(n)
        y, dx = kw.conv(x, w, **options), kw.conv_input_gradient(dy, w, x.shape[2:], **options)
        dw = kw.conv_weight_gradient(dy, x, w.shape[2:], **options)
        found.append((y.tobytes(), dx.tobytes(), dw.tobytes()))
        assert kw.conv(x, w, threads=1, **options).tobytes() == y.tobytes()
    assert all(bits == found[0] for bits in found)
    for n in range(len(x)):
        one = slice(n, n + 1)
        assert kw.conv(x[one], w, **options).tobytes() == y[n].tobytes()
        assert kw.conv_input_gradient(dy[one], w, x.shape[2:], **options).tobytes() == dx[n].tobytes()


def peak(act: Callable[[], object]) -> int:
    """Bytes that NumPy and Python take while it runs, at most."""
    act()
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("groups", [1, 32])
@pytest.mark.parametrize("dtype", ["f4", "f2"])
def test_no_padded_copy_and_no_columns_are_made(groups: int, dtype: str) -> None:
    """Images of 64 MiB (32 in float16): beside the result a call takes less than half of them."""
    x = np.zeros((32, 32, 128, 128), dtype)
    w = np.ones((32, 32 // groups, 3, 3), "f4")
    options: dict[str, Any] = {"padding": 1, "groups": groups}
    most = 34 << 20
    assert peak(lambda: kw.conv(x, w, **options)) < x.nbytes + most
    assert peak(lambda: kw.conv_input_gradient(x, w, (128, 128), **options)) < x.nbytes + most
    assert peak(lambda: kw.conv_weight_gradient(x, x, 3, **options)) < most + (8 << 20)


@pytest.mark.parametrize("groups", [1, 4])
def test_what_is_not_finite_touches_only_what_sees_it_under_a_tap(groups: int, rng: np.random.Generator) -> None:
    """With precision="exact"; a tap of zero is absent."""
    x = rng.normal(size=(2, 4, 12, 40)).astype("f4")
    w = rng.normal(size=(8, 4 // groups, 3, 3)).astype("f4")
    w[:, :, 1] = 0
    clean = kw.conv(x, w, padding=1, groups=groups, precision="exact")
    for value in (np.nan, np.inf):
        spoilt = x.copy()
        spoilt[1, 1, 5, 20] = value
        touched = ~np.isfinite(kw.conv(spoilt, w, padding=1, groups=groups, precision="exact"))
        seen = np.zeros_like(touched)
        seen[1, 8 // groups * (1 // (4 // groups)) :][: 8 // groups, [[4], [6]], 19:22] = True
        assert np.array_equal(touched, seen)
    assert np.isfinite(clean).all()


def test_an_activation_keeps_a_nan(rng: np.random.Generator) -> None:
    x = np.full((1, 1, 3, 40), np.nan)
    for outputs in (1, 20):
        assert np.isnan(kw.conv(x, np.ones((outputs, 1, 2, 2)), activation="relu6")).all()


@pytest.mark.parametrize("groups", [1, 6])
def test_an_empty_batch_gives_empty_results_and_no_gradient(groups: int) -> None:
    x, w = np.zeros((0, 6, 5, 5), "f4"), np.ones((6, 6 // groups, 3, 3), "f4")
    y = kw.conv(x, w, groups=groups)
    assert y.shape == (0, 6, 3, 3)
    assert kw.conv_input_gradient(y, w, 5, groups=groups).shape == x.shape
    assert kw.conv_transpose(y, w, groups=groups).shape == x.shape
    assert not kw.conv_weight_gradient(y, x, 3, groups=groups).any()
    assert not kw.conv_bias_gradient(y).any()


# ---------------------------------------------------------------- layers as objects


@pytest.mark.parametrize(("kind", "sizes"), [(kw.Conv1D, (30,)), (kw.Conv2D, (9, 11)), (kw.Conv3D, (4, 6, 7))])
@pytest.mark.parametrize("layout", ["channels_first", "channels_last"])
def test_layers_of_one_to_three_axes_are_their_functions(
    kind: Any, sizes: Any, layout: str, rng: np.random.Generator
) -> None:
    options: dict[str, Any] = {"stride": 2, "padding": "same", "groups": 2, "border": "wrap", "layout": layout}
    layer = kind(6, 3, activation="relu", **options)
    x = rng.normal(size=(2, *sizes, 4) if layout == "channels_last" else (2, 4, *sizes)).astype("f4")
    y = layer(x)
    assert np.array_equal(y, kw.conv(x, layer.weight, layer.bias, activation="relu", **options))
    assert y.min() == 0 and layer.in_channels == 4 and layer.weight.shape == (6, 2, *[3] * len(sizes))
    dy = rng.normal(size=y.shape).astype("f4")
    gradients, kept = layer.gradients(x, dy), np.where(y > 0, dy, np.float32(0))
    assert np.array_equal(gradients.x, kw.conv_input_gradient(kept, layer.weight, sizes, **options))
    assert np.array_equal(gradients.weight, kw.conv_weight_gradient(kept, x, 3, **options))
    assert np.array_equal(gradients.bias, kw.conv_bias_gradient(kept, layout=layout))
    assert repr(layer).startswith(f"{kind.__name__}(6, {(3,) * len(sizes)}, in_channels=4, stride={(2,) * len(sizes)}")


# ---------------------------------------------------------------- errors

X, W = np.zeros((1, 4, 8, 8), "f4"), np.zeros((6, 4, 3, 3), "f4")
REFUSED = [
    (lambda: kw.conv(X[0], W), "x"),
    (lambda: kw.conv(X[:, :3], W), "x"),
    (lambda: kw.conv(X.astype(complex), W), "x"),
    (lambda: kw.conv(X[:, :, :2], W), "x"),
    (lambda: kw.conv(np.ma.zeros(X.shape), W), "x"),
    (lambda: kw.conv(X, W[0, 0]), "w"),
    (lambda: kw.conv(X, W[:, :0]), "w"),
    (lambda: kw.conv(X, [["a"]]), "w"),
    (lambda: kw.conv(X, W, np.zeros(5)), "bias"),
    (lambda: kw.conv(X, W, stride=0), "stride"),
    (lambda: kw.conv(X, W, stride=(1, 2, 3)), "stride"),
    (lambda: kw.conv(X, W, dilation=1.5), "dilation"),
    (lambda: kw.conv(X, W, dilation=2**31 - 1), "dilation"),
    (lambda: kw.conv(X, W, padding=-1), "padding"),
    (lambda: kw.conv(X, W, padding="full"), "padding"),
    (lambda: kw.conv(X, W, padding=((1, 2, 3), 1)), "padding"),
    (lambda: kw.conv(X, W, groups=4), "groups"),
    (lambda: kw.conv(X, W, groups=0), "groups"),
    (lambda: kw.conv(X, W, border="zeros"), "border"),
    (lambda: kw.conv(X, W, activation="tanh"), "activation"),
    (lambda: kw.conv(X, W, activation=3), "activation"),
    (lambda: kw.conv(X, W, precision="high"), "precision"),
    (lambda: kw.conv(X, W, layout="NHWC"), "layout"),
    (lambda: kw.conv(X, W, out=np.zeros((1, 6, 6, 5), "f4")), "out"),
    (lambda: kw.conv(X, W, out=np.zeros((1, 6, 6, 6))), "out"),
    (lambda: kw.conv(X, W, out=[1]), "out"),
    (lambda: kw.conv(X, W, out=np.broadcast_to(np.zeros(1, "f4"), (1, 6, 6, 6))), "out"),
    (lambda: kw.conv(X, W, threads=0), "threads"),
    (lambda: kw.conv(np.zeros((0, 4, 0, 8)), W, padding=5, border="edge"), "border"),
    (lambda: kw.conv(np.broadcast_to(np.float32(0), (2**40, 4, 8, 8)), W, padding=2**19), "padding"),
    (lambda: kw.conv_transpose(X, W), "x"),
    (lambda: kw.conv_transpose(X[:, :, :1, :1], W[:4], padding=2), "padding"),
    (lambda: kw.conv_transpose(X, W[:4], output_padding=1), "output_padding"),
    (lambda: kw.conv_transpose(X, W[:4], groups=3), "groups"),
    (lambda: kw.conv_input_gradient(X, W, (10, 10)), "dy"),
    (lambda: kw.conv_input_gradient(np.zeros((1, 6, 8, 8)), W, (10, 11)), "dy"),
    (lambda: kw.conv_input_gradient(np.zeros((1, 6, 8, 8)), W, (10, 10, 10)), "shape"),
    (lambda: kw.conv_input_gradient(np.zeros((1, 6, 8, 8)), W, 2), "shape"),
    (lambda: kw.conv_weight_gradient(X, X, 9), "x"),
    (lambda: kw.conv_weight_gradient(X, X, 3), "dy"),
    (lambda: kw.conv_weight_gradient(X, X, 0), "taps"),
    (lambda: kw.conv_weight_gradient(X, X[0, 0], 3), "x"),
    (lambda: kw.conv_weight_gradient(np.zeros((1, 9, 8, 8)), X, 1, groups=3), "groups"),
    (lambda: kw.conv_bias_gradient(X[0, 0]), "dy"),
    (lambda: kw.Conv2D(6, 3, groups=4), "groups"),
    (lambda: kw.Conv2D(6, 3, groups=3, in_channels=4), "groups"),
    (lambda: kw.Conv2D(6, 3, groups=3)(X), "groups"),
    (lambda: kw.Conv1D(6, (3, 3)), "kernel_size"),
    (lambda: kw.Conv3D(6, 3)(X), "x"),
    (lambda: kw.Conv2D(6, 3, activation="swish"), "activation"),
]


@pytest.mark.parametrize(("act", "name"), REFUSED)
def test_what_is_not_allowed_is_refused_by_name(act: Callable[[], object], name: str) -> None:
    with pytest.raises(KernelwiseError, match=f"`{name}`") as caught:
        act()
    assert isinstance(caught.value, (ArgumentError, ArgumentTypeError))
