"""kernelwise.torch's functions beside torch.nn.functional's: the same results, gradients, layouts and errors."""

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as own

import kernelwise
import kernelwise.torch as kt
from kernelwise.torch import plain, prepared

Case = tuple[int, tuple[int, ...], tuple[int, ...], dict[str, Any]]

OURS = {1: kt.conv1d, 2: kt.conv2d, 3: kt.conv3d}
THEIRS = {1: own.conv1d, 2: own.conv2d, 3: own.conv3d}
OURS_TRANSPOSED = {1: kt.conv_transpose1d, 2: kt.conv_transpose2d, 3: kt.conv_transpose3d}
THEIRS_TRANSPOSED = {1: own.conv_transpose1d, 2: own.conv_transpose2d, 3: own.conv_transpose3d}


def whole(rng: np.random.Generator, shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> Tensor:
    """Small whole numbers: their sums are exact, in whatever order."""
    return torch.tensor(rng.integers(-4, 5, shape), dtype=dtype)


def combinations(every: bool = False) -> Iterator[Case]:
    """Every stride, padding and dilation with every other, for one to three axes; the groups take turns, or `every`
    number of them is with every other too."""
    strides: list[Any] = [1, (2,), "each"]
    paddings: list[Any] = [0, 1, "each", "same", "valid"]
    each = {"stride": (2, 1, 3), "padding": (2, 0, 1), "dilation": (1, 3, 2)}
    for axes in (1, 2, 3):
        turns = itertools.cycle([[1], [2], [4]])
        for stride, padding, dilation in itertools.product(strides, paddings, [1, "each"]):
            if padding == "same" and stride != 1:
                continue
            given = {"stride": stride, "padding": padding, "dilation": dilation}
            arguments = {n: each[n][:axes] if value == "each" else value for n, value in given.items()}
            for groups in [1, 2, 4] if every else next(turns):
                kernel = (4, 4 // groups, *(3, 2, 2)[:axes])
                yield axes, (2, 4, *(9, 8, 7)[:axes]), kernel, arguments | {"groups": groups}


def same_with_gradients(ours: Callable, theirs: Callable, tensors: list[Tensor], arguments: dict[str, Any]) -> None:
    """Forward and all gradients of two functions of the same tensors agree to the last bit."""
    for tensor in tensors:
        tensor.requires_grad_()
    y, wanted = ours(*tensors, **arguments), theirs(*tensors, **arguments)
    assert y.shape == wanted.shape and y.dtype == wanted.dtype and y.requires_grad
    assert torch.equal(y, wanted), arguments
    dy = torch.randint(-4, 5, y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(0))
    names = ("input", "weight", "bias")
    found = torch.autograd.grad(y, tensors, dy), torch.autograd.grad(wanted, tensors, dy)
    for name, got, right in zip(names, *found, strict=False):
        assert torch.equal(got, right), (name, arguments)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")  # of torch, about its own way
@pytest.mark.parametrize("axes", [1, 2, 3, pytest.param(0, marks=pytest.mark.long, id="all")])
def test_every_combination_of_arguments_gives_torchs_result_and_gradients(axes: int, rng: np.random.Generator) -> None:
    cases = [case for case in combinations(every=not axes) if axes in (0, case[0])]
    assert len(cases) >= (26 if axes else 3 * 78)
    for number, (n, image, kernel, arguments) in enumerate(cases):
        dtype = (torch.float64, torch.float32)[number // 2 % 2]
        tensors = [whole(rng, shape, dtype) for shape in (image, kernel, kernel[:1])[: 2 + number % 3 % 2]]
        same_with_gradients(OURS[n], THEIRS[n], tensors, arguments)


@pytest.mark.parametrize("axes", [1, 2, 3, pytest.param(0, marks=pytest.mark.long, id="all")])
def test_every_combination_of_a_transposed_convolution_gives_torchs_result_and_gradients(
    axes: int, rng: np.random.Generator
) -> None:
    done = 0
    for number, (n, image, kernel, arguments) in enumerate(combinations(every=not axes)):
        if axes not in (0, n) or isinstance(arguments["padding"], str):
            continue
        extra = [0, (1, 0, 1)[:n]][number % 5 % 2]
        above = map(max, full(arguments, "stride", n), full(arguments, "dilation", n))
        if extra and any(more >= most for more, most in zip(extra, above, strict=True)):
            extra = 0
        kernel = (4, 3, *kernel[2:])
        bias = (3 * arguments["groups"],)
        dtype = (torch.float64, torch.float32)[number // 2 % 2]
        tensors = [whole(rng, shape, dtype) for shape in (image, kernel, bias)[: 2 + number % 3 % 2]]
        same_with_gradients(OURS_TRANSPOSED[n], THEIRS_TRANSPOSED[n], tensors, arguments | {"output_padding": extra})
        done += 1
    assert done >= (18 if axes else 3 * 54)


def full(arguments: dict[str, Any], name: str, axes: int) -> tuple[int, ...]:
    value = arguments[name]
    value = (value,) if isinstance(value, int) else value
    return value * axes if len(value) == 1 else value


def test_images_without_a_batch_are_taken_as_torch_takes_them(rng: np.random.Generator) -> None:
    for axes in (1, 2, 3):
        x, w = whole(rng, (4, 6, 7, 5)[: axes + 1]), whole(rng, (4, 4, 3, 2, 2)[: axes + 2])
        same_with_gradients(OURS[axes], THEIRS[axes], [x, w], {})
        same_with_gradients(OURS_TRANSPOSED[axes], THEIRS_TRANSPOSED[axes], [x.detach(), w.detach()], {"stride": 2})


def test_empty_batches_give_empty_results_and_gradients_of_zeros(rng: np.random.Generator) -> None:
    same_with_gradients(kt.conv2d, own.conv2d, [whole(rng, (0, 3, 6, 7)), whole(rng, (4, 3, 2, 2))], {"padding": 1})
    same_with_gradients(
        kt.conv_transpose2d, own.conv_transpose2d, [whole(rng, (0, 3, 6, 7)), whole(rng, (3, 4, 2, 2))], {}
    )


def test_arguments_may_be_named_as_torch_names_them(rng: np.random.Generator) -> None:
    x, w, b = whole(rng, (1, 4, 6, 7)), whole(rng, (4, 2, 3, 3)), whole(rng, (4,))
    named = {"input": x, "weight": w, "bias": b, "stride": 2, "padding": 1, "dilation": 1, "groups": 2}
    assert torch.equal(kt.conv2d(**named), own.conv2d(**named))
    assert torch.equal(kt.conv2d(x, w, b, 2, 1, 1, 2), own.conv2d(x, w, b, 2, 1, 1, 2))
    named["weight"], named["bias"], named["output_padding"] = w, whole(rng, (4,)), 1
    assert torch.equal(kt.conv_transpose2d(**named), own.conv_transpose2d(**named))
    assert torch.equal(kt.conv_transpose2d(x, w, b, 2, 1, 1, 2, 1), own.conv_transpose2d(x, w, b, 2, 1, 1, 2, 1))


# ---------------------------------------------------------------- how tensors lie in memory


def lying(x: Tensor) -> dict[str, Tensor]:
    """The same numbers, lying in memory in many ways."""
    doubled = torch.zeros(*x.shape[:-1], 2 * x.shape[-1], dtype=x.dtype)
    doubled[..., ::2] = x
    return {
        "contiguous": x,
        "channels last": x.contiguous(memory_format=torch.channels_last),
        "transposed": x.transpose(2, 3).contiguous().transpose(2, 3),
        "every other": doubled[..., ::2],
        "from an offset": torch.cat([x.new_zeros(1), x.flatten()])[1:].reshape(x.shape),
        "negated lazily": torch._neg_view(-x),
    }


def test_results_do_not_depend_on_how_tensors_lie_in_memory(rng: np.random.Generator) -> None:
    x, w = whole(rng, (2, 4, 8, 9), torch.float32), whole(rng, (6, 4, 3, 3), torch.float32)
    right = own.conv2d(x, w, padding=1)
    for (image, one), (kernel, other) in itertools.product(lying(x).items(), lying(w).items()):
        same_with_gradients(kt.conv2d, lambda x, w, **_: own.conv2d(x.contiguous(), w.contiguous(), padding=1),
                            [one.detach(), other.detach()], {"padding": 1})  # fmt: skip
        assert torch.equal(kt.conv2d(one, other, padding=1), right), (image, kernel)


def test_broadcast_views_are_read_as_they_lie(rng: np.random.Generator) -> None:
    x, w = whole(rng, (1, 1, 8, 9)).expand(3, 4, 8, 9), whole(rng, (1, 4, 3, 3)).expand(5, 4, 3, 3)
    assert torch.equal(kt.conv2d(x, w), own.conv2d(x, w))


@pytest.mark.parametrize("axes", [2, 3])
def test_images_with_channels_last_give_results_and_gradients_with_channels_last(
    axes: int, rng: np.random.Generator
) -> None:
    last = {2: torch.channels_last, 3: torch.channels_last_3d}[axes]
    x = whole(rng, (2, 4, 6, 7, 5)[: axes + 2]).contiguous(memory_format=last).requires_grad_()
    w = whole(rng, (4, 4, 2, 2, 2)[: axes + 2]).requires_grad_()
    for function in (OURS[axes], OURS_TRANSPOSED[axes]):
        y = function(x, w)
        assert y.is_contiguous(memory_format=last) and not y.is_contiguous()
        (dx,) = torch.autograd.grad(y.square().sum(), x)
        assert dx.is_contiguous(memory_format=last)


def test_tensors_go_to_the_engine_without_a_copy() -> None:
    for x in (torch.zeros(2, 3, 4, 5), torch.zeros(2, 3, 4, 5).to(memory_format=torch.channels_last).requires_grad_()):
        array = plain.array(x)
        assert array.ctypes.data == x.data_ptr()
        assert array.strides == tuple(4 * step for step in x.stride())


# ---------------------------------------------------------------- errors

X, W, B = torch.ones(1, 4, 6, 7), torch.ones(4, 2, 3, 3), torch.ones(4)
WRONG: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "no weight": ((X,), {}),
    "an unknown argument": ((X, W), {"stirde": 2}),
    "weight of too few axes": ((X, W[0]), {"groups": 2}),
    "weight of too many axes": ((X, W[None]), {"groups": 2}),
    "input of too few axes": ((X[0, 0], W), {"groups": 2}),
    "input of too many axes": ((X[None], W), {"groups": 2}),
    "channels that do not fit": ((X, W), {}),
    "groups that do not divide": ((X, W), {"groups": 3}),
    "no group": ((X, W), {"groups": 0}),
    "negative groups": ((X, W), {"groups": -1}),
    "groups as a float": ((X, W), {"groups": 2.0}),
    "a bias too long": ((X, W, torch.ones(5)), {"groups": 2}),
    "a bias of two axes": ((X, W, torch.ones(4, 1)), {"groups": 2}),
    "stride 0": ((X, W), {"groups": 2, "stride": 0}),
    "a negative stride": ((X, W), {"groups": 2, "stride": (1, -1)}),
    "a stride for three axes": ((X, W), {"groups": 2, "stride": (1, 1, 1)}),
    "a stride that is a float": ((X, W), {"groups": 2, "stride": 1.0}),
    "a stride that is a word": ((X, W), {"groups": 2, "stride": "same"}),
    "a stride that is True": ((X, W), {"groups": 2, "stride": True}),
    "a negative padding": ((X, W), {"groups": 2, "padding": -1}),
    "a padding for three axes": ((X, W), {"groups": 2, "padding": (1, 1, 1)}),
    "an unknown padding": ((X, W), {"groups": 2, "padding": "full"}),
    "same with a stride": ((X, W), {"groups": 2, "padding": "same", "stride": 2}),
    "dilation 0": ((X, W), {"groups": 2, "dilation": 0}),
    "a negative dilation": ((X, W), {"groups": 2, "dilation": -2}),
    "a kernel larger than the image": ((X, torch.ones(4, 2, 7, 7)), {"groups": 2}),
    "a kernel larger than the image when dilated": ((X, W), {"groups": 2, "dilation": 3}),
    "a weight of another dtype": ((X, W.double()), {"groups": 2}),
    "a bias of another dtype": ((X, W, B.double()), {"groups": 2}),
    "an array": ((X.numpy(), W), {"groups": 2}),
    "a list": ((X, W.tolist()), {"groups": 2}),
    "None": ((None, W), {"groups": 2}),
    "an image without pixels": ((X[..., :0], W), {"groups": 2}),
    "a weight without taps": ((X, W[..., :0]), {"groups": 2}),
    "a weight without outputs": ((X, W[:0]), {"groups": 2}),
    "no channels": ((X[:, :0], W[:, :0]), {}),
    "booleans": ((X.bool(), W.bool()), {"groups": 2}),
    "an extra padding": ((X, W), {"output_padding": 1}),
}


def outcome(function: Callable, args: tuple[Any, ...], arguments: dict[str, Any]) -> tuple[type, str] | Tensor:
    try:
        result: Tensor = function(*args, **arguments)
    except Exception as error:
        return type(error), str(error).partition("\n")[0]
    return result


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("names", ["conv2d", "conv_transpose2d"])
def test_what_torch_refuses_is_refused_with_the_same_kind_of_exception(what: str, names: str) -> None:
    args, arguments = WRONG[what]
    ours, theirs = (outcome(getattr(module, names), args, arguments) for module in (kt, own))
    if isinstance(theirs, Tensor):
        assert isinstance(ours, Tensor) and torch.equal(ours, theirs)
        return
    assert isinstance(ours, tuple), f"torch refuses it: {theirs}"
    assert ours[0] is theirs[0]
    if theirs[0] is not TypeError:  # those of torch's own argument parser name its own signatures
        assert ours[1] == theirs[1]


def test_a_tensor_without_data_among_others_is_an_error() -> None:
    """Torch gives back memory that nothing was written to."""
    for tensors in ((X, W.to("meta")), (X.to("meta"), W), (X, W, B.to("meta"))):
        with pytest.raises(RuntimeError, match="must be on the device of `input`"):
            kt.conv2d(*tensors, groups=2)


def test_most_of_those_calls_are_errors() -> None:
    refused = [not isinstance(outcome(own.conv2d, *call), Tensor) for call in WRONG.values()]
    assert sum(refused) >= 30


# ---------------------------------------------------------------- the definition, threads, and where torch fails


def test_corr2d_is_the_definition_and_differentiable(rng: np.random.Generator) -> None:
    X, K = whole(rng, (2, 3, 6, 7)).requires_grad_(), whole(rng, (2, 3)).requires_grad_()
    Y = kt.corr2d(X, K)
    for i, j in itertools.product(range(5), range(5)):
        assert torch.equal(Y[..., i, j], (X[..., i : i + 2, j : j + 3] * K).sum((-1, -2)))
    assert torch.equal(kt.corr2d(X[0, 0], K), Y[0, 0])
    assert torch.autograd.gradcheck(kt.corr2d, (X, K)) and torch.autograd.gradgradcheck(kt.corr2d, (X, K))


def test_a_kernel_is_learned_as_in_the_deck() -> None:
    X = torch.ones(6, 8)
    X[:, 2:6] = 0
    Y = kt.corr2d(X, torch.tensor([[1.0, -1.0]]))
    layer = kt.Conv2d(1, 1, kernel_size=(1, 2), bias=False)
    for _ in range(30):
        loss = (layer(X[None, None]) - Y).square().sum()
        layer.zero_grad()
        loss.backward()
        layer.weight.data -= 3e-2 * layer.weight.grad
    assert torch.allclose(layer.weight.flatten(), torch.tensor([1.0, -1.0]), atol=0.1)


@pytest.fixture
def torch_threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_bits_do_not_depend_on_torchs_number_of_threads(
    torch_threads: Callable[[int], None], rng: np.random.Generator
) -> None:
    x, w, b = (torch.tensor(rng.standard_normal(s, np.float32)) for s in ((4, 16, 33, 31), (24, 16, 3, 3), (24,)))
    found = []
    for threads in (1, 2, 3):
        torch_threads(threads)
        tensors = [t.clone().requires_grad_() for t in (x, w, b)]
        y = kt.conv2d(*tensors, padding=1)
        found.append([y.detach(), *torch.autograd.grad(y.sin().sum(), tensors)])
    for others in found[1:]:
        assert all(torch.equal(one, other) for one, other in zip(found[0], others, strict=True))


def test_threads_are_those_torch_is_set_to_use(
    torch_threads: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from kernelwise.jit import pool

    asked = []
    run = pool.run
    monkeypatch.setattr(pool, "run", lambda *args: (asked.append(args[4]), run(*args))[1])
    x, w = torch.ones(8, 32, 64, 64), torch.ones(32, 32, 3, 3)
    for threads in (1, 2):
        torch_threads(threads)
        asked.clear()
        kt.conv2d(x, w)
        assert max(asked) == threads


FATAL = """
import torch
import kernelwise
import kernelwise.torch as kt

for channels in (1, 2, 3, 7, 8, 16):
    x = torch.ones(2, channels, 57, 56).contiguous(memory_format=torch.channels_last).requires_grad_()
    w = torch.ones(8, channels, 1, 1).contiguous(memory_format=torch.channels_last).requires_grad_()
    y = kt.conv2d(x, w, stride=2)
    y.backward(torch.ones_like(y))
    assert torch.equal(y, torch.full_like(y, channels)) and y.shape == (2, 8, 29, 28)
    assert torch.equal(w.grad, torch.full_like(w, 2 * 29 * 28))
    right = torch.zeros_like(x)
    right[:, :, ::2, ::2] = 8
    assert torch.equal(x.grad, right)
print("all right")
"""


def test_gradients_of_single_taps_with_strides_and_channels_last_are_right_where_torch_may_end_the_process() -> None:
    child = subprocess.run([sys.executable, "-c", FATAL], capture_output=True, text=True, timeout=120)
    assert child.stdout.strip() == "all right", child.stderr


def test_weights_written_to_behind_torchs_back_are_seen(rng: np.random.Generator) -> None:
    """Packed weights of small layers are remembered, but found by their numbers."""
    x = whole(rng, (1, 1, 6, 8))
    w, b = whole(rng, (1, 1, 1, 2)), whole(rng, (1,))
    for _ in range(3):
        assert torch.equal(kt.conv2d(x, w, b), own.conv2d(x, w, b))
        w.numpy()[...] += 1
        b.data.mul_(2)


def test_more_small_layers_than_are_remembered_are_all_right(rng: np.random.Generator) -> None:
    x = whole(rng, (1, 1, 6, 8))
    for number in range(300):
        w = torch.full((1, 1, 1, 2), float(number % 150), dtype=x.dtype)
        assert torch.equal(kt.conv2d(x, w), own.conv2d(x, w))


def test_what_is_remembered_of_layers_is_forgotten_with_everything_else() -> None:
    x, w = torch.ones(1, 1, 6, 8), torch.ones(1, 1, 1, 2)
    right = kt.conv2d(x, w)
    assert prepared._known._made
    kernelwise.clear_cache()
    assert not prepared._known._made and torch.equal(kt.conv2d(x, w), right)
