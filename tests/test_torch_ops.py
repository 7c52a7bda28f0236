"""kernelwise.torch among PyTorch's own machinery: autograd, torch.compile, torch.export, and what is left to torch."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as own

import kernelwise.torch as kt
from kernelwise.errors import ArgumentError, ArgumentTypeError
from kernelwise.torch import gradients, ops

GEOMETRIES: dict[str, tuple[int, tuple[int, ...], tuple[int, ...], tuple[Any, ...]]] = {
    "1-d": (1, (2, 2, 7), (2, 2, 3), ([2], [1], [1], [1], 1, "constant")),
    "2-d": (2, (1, 2, 4, 5), (2, 2, 2, 3), ([1, 1], [0, 1], [1, 1], [1, 1], 1, "constant")),
    "2-d, strides, dilation, groups": (2, (2, 4, 6, 5), (4, 2, 2, 2), ([2, 1], [1, 1], [0, 1], [1, 2], 2, "constant")),
    "2-d, reflected": (2, (1, 2, 4, 5), (2, 2, 3, 3), ([1, 1], [1, 1], [1, 1], [1, 1], 1, "reflect")),
    "3-d": (3, (1, 2, 3, 4, 3), (2, 2, 2, 2, 2), ([1, 2, 1], [0, 1, 1], [0, 1, 0], [1, 1, 1], 1, "constant")),
}


def reals(rng: np.random.Generator, shape: tuple[int, ...], dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(rng.standard_normal(shape), dtype=dtype, requires_grad=True)


def calls(rng: np.random.Generator, name: str) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Each of the three operators, and arguments for it."""
    axes, image, kernel, geometry = GEOMETRIES[name]
    x, w, b = reals(rng, image), reals(rng, kernel), reals(rng, kernel[:1])
    y = ops.convolution(x, w, b, *geometry)
    dy = reals(rng, y.shape)
    yield ops.convolution, (x, w, b, *geometry)
    yield ops.convolution, (x, w, None, *geometry)
    yield ops.input_gradient, (dy, w, list(image[2:]), *geometry)
    yield ops.weight_gradient, (dy, x, list(kernel[2:]), *geometry)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_operators_keep_what_torch_asks_of_operators(name: str, rng: np.random.Generator) -> None:
    for operator, arguments in calls(rng, name):
        assert set(torch.library.opcheck(operator, arguments).values()) == {"SUCCESS"}


@pytest.mark.parametrize("name", GEOMETRIES)
def test_gradients_of_first_and_second_order_are_those_of_the_differences(name: str, rng: np.random.Generator) -> None:
    for operator, arguments in calls(rng, name):
        tensors = tuple(a for a in arguments if isinstance(a, Tensor))
        rest = arguments[len(tensors) :]
        eager = {ops.convolution: gradients._Convolution, ops.input_gradient: gradients._InputGradient}
        function = eager.get(operator, gradients._WeightGradient).apply
        for way in (operator, function):  # what is traced, and what runs at once

            def call(*given: Tensor, way: Callable = way, rest: tuple[Any, ...] = rest) -> Tensor:
                return way(*given, *rest)

            assert torch.autograd.gradcheck(call, tensors, fast_mode=True)
            assert torch.autograd.gradgradcheck(call, tensors, fast_mode=True)


def test_gradients_are_exhaustively_right_for_a_small_layer_and_its_transpose(rng: np.random.Generator) -> None:
    x, w, b = reals(rng, (1, 2, 4, 3)), reals(rng, (2, 1, 2, 2)), reals(rng, (2,))
    for function in (kt.conv2d, kt.conv_transpose2d):

        def layer(*given: Tensor, function: Callable = function) -> Tensor:
            return function(*given, stride=2, padding=1, groups=2)

        assert torch.autograd.gradcheck(layer, (x, w, b)) and torch.autograd.gradgradcheck(layer, (x, w, b))


def test_only_gradients_that_are_asked_for_are_worked_out(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    for name in ("input_gradient", "weight_gradient"):
        real = getattr(gradients.plain, name)
        monkeypatch.setattr(gradients.plain, name, lambda *a, name=name, real=real: (done.append(name), real(*a))[1])
    for image, kernel in itertools.product((True, False), repeat=2):
        x = reals(rng, (1, 2, 5, 5)).requires_grad_(image)
        w = reals(rng, (2, 2, 3, 3)).requires_grad_(kernel)
        done.clear()
        y = kt.conv2d(x, w, torch.zeros(2, dtype=w.dtype, requires_grad=True))
        y.sum().backward()
        assert done == ["input_gradient"] * image + ["weight_gradient"] * kernel


def test_without_gradients_nothing_is_kept_for_them(rng: np.random.Generator) -> None:
    x, w = reals(rng, (1, 2, 5, 5)), reals(rng, (2, 2, 3, 3))
    with torch.no_grad():
        assert not kt.conv2d(x, w).requires_grad
    with torch.inference_mode():
        assert torch.equal(kt.conv2d(x, w), own.conv2d(x, w)) or kt.conv2d(x, w).is_inference()
    assert not kt.conv2d(x.detach(), w.detach()).requires_grad


# ---------------------------------------------------------------- torch.compile and torch.export


class Network(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = kt.Conv2d(2, 6, 3, padding=1)
        self.second = kt.Conv2d(6, 4, 3, stride=2, padding_mode="reflect", padding=1, groups=2)
        self.third = kt.ConvTranspose2d(4, 1, 2, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return self.third(self.second(self.first(x).relu()).relu())


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_a_compiled_network_is_one_graph_and_gives_the_same_results_and_gradients(
    backend: str, rng: np.random.Generator
) -> None:
    network = Network().double()
    compiled = torch.compile(network, backend=backend, fullgraph=True)
    for size in ((2, 2, 8, 6), (3, 2, 10, 8)):  # the second with sizes that torch takes for variable
        x = reals(rng, size)
        found, right = [], []
        for net, results in ((compiled, found), (network, right)):
            network.zero_grad()
            y = net(x)
            y.square().sum().backward()
            results += [y, x.grad.clone(), *(p.grad.clone() for p in network.parameters())]
            x.grad = None
        assert all(torch.equal(one, other) for one, other in zip(found, right, strict=True))


def test_what_is_traced_holds_our_operators(rng: np.random.Generator) -> None:
    graphs = []

    def look(graph: torch.fx.GraphModule, _: list[Tensor]) -> Callable:
        graphs.append(str(graph.code))
        return graph

    torch.compile(Network(), backend=look, fullgraph=True)(torch.zeros(1, 2, 8, 8))
    assert "kernelwise.convolution" in graphs[0] and "kernelwise.convolution_input_gradient" in graphs[0]
    assert "aten.convolution" not in graphs[0] and "conv2d" not in graphs[0]


def test_an_exported_network_runs_on_batches_of_any_size(rng: np.random.Generator) -> None:
    network = Network()
    x = torch.tensor(rng.standard_normal((3, 2, 8, 8), np.float32))
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(network, (x,), dynamic_shapes={"x": {0: batch}})
    assert "kernelwise.convolution.default" in str(program.graph)
    with torch.no_grad():
        for images in (x, x[:1], torch.cat([x, x])):
            assert torch.equal(program.module()(images), network(images))


def test_torch_fx_traces_our_functions_as_they_are() -> None:
    def steps(x: Tensor, w: Tensor) -> Tensor:
        return kt.conv2d(x, w, padding=1).relu()

    traced = torch.fx.symbolic_trace(steps)
    assert [node.target for node in traced.graph.nodes if node.op == "call_function"] == [kt.conv2d]
    x, w = torch.ones(1, 1, 4, 4), torch.ones(1, 1, 3, 3)
    assert torch.equal(traced(x, w), steps(x, w))


# ---------------------------------------------------------------- what is left to torch, and says so

X, W = torch.ones(1, 4, 6, 7), torch.ones(4, 4, 3, 3)
LEFT = {
    "`input` holds bfloat16": (X.bfloat16(), W.bfloat16()),
    "`input` holds complex64": (X.cfloat(), W.cfloat()),
    "`input` holds int64": (X.long(), W.long()),
    "`input` is on the device 'meta'": (X.to("meta"), W.to("meta")),
    "`input` has the layout torch._mkldnn": (X.to_mkldnn(), W.to_mkldnn()),
}


@pytest.mark.parametrize("reason", LEFT)
def test_tensors_that_are_not_ours_are_left_to_torch_and_explain_says_why(reason: str) -> None:
    found = kt.explain(kt.conv2d, *LEFT[reason])
    assert not found.ours and found.reason.startswith(reason) and reason in str(found)
    ours, theirs = (function(*LEFT[reason]) for function in (kt.conv2d, own.conv2d))
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape and ours.device == theirs.device
    if not ours.is_meta:
        assert torch.equal(*(y.to_dense() if y.is_mkldnn else y for y in (ours, theirs)))


def test_fake_tensors_go_through_our_operators() -> None:
    from torch._subclasses import FakeTensorMode

    with FakeTensorMode():
        y = kt.conv2d(torch.empty(2, 3, 9, 8), torch.empty(4, 3, 3, 3), padding=1)
        assert type(y).__name__ == "FakeTensor" and y.shape == (2, 4, 9, 8)


class Marked(Tensor):
    """A tensor of a kind of its own."""


def test_other_kinds_of_tensors_are_left_to_torch() -> None:
    x = X.as_subclass(Marked)
    assert "is a Marked" in kt.explain(kt.conv2d, x, W).reason
    assert type(kt.conv2d(x, W)) is Marked
    assert torch.equal(kt.conv2d(x, W).as_subclass(Tensor), own.conv2d(X, W))


def test_transforms_of_torch_func_are_left_to_torch() -> None:
    images = torch.arange(48.0).reshape(2, 1, 4, 6).unsqueeze(1)
    kernel = torch.ones(1, 1, 3, 3)
    assert torch.equal(torch.func.vmap(kt.conv2d, (0, None))(images, kernel)[1], own.conv2d(images[1], kernel))
    gradient = torch.func.grad(lambda w: kt.conv2d(images[0], w).sum())(kernel)
    assert torch.equal(gradient, torch.func.grad(lambda w: own.conv2d(images[0], w).sum())(kernel))
    y, dy = torch.func.jvp(lambda x: kt.conv2d(x, kernel), (images[0],), (images[1],))
    assert torch.equal(dy, own.conv2d(images[1], kernel)) and torch.equal(y, own.conv2d(images[0], kernel))


def test_forward_mode_gradients_are_left_to_torch() -> None:
    with torch.autograd.forward_ad.dual_level():
        x = torch.autograd.forward_ad.make_dual(X, 2 * X)
        assert "forward-mode" in kt.explain(kt.conv2d, x, W).reason
        y = torch.autograd.forward_ad.unpack_dual(kt.conv2d(x, W))
    assert torch.equal(y.tangent, 2 * y.primal)


def test_autocast_is_left_to_torch() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert kt.conv2d(X, W).dtype is torch.bfloat16
        assert kt.explain(kt.conv2d, X, W).reason == "autocast asks for bfloat16"
    assert kt.explain(kt.conv2d, X, W).ours


def test_dispatch_modes_see_our_operators() -> None:
    from torch.utils._python_dispatch import TorchDispatchMode

    seen = []

    class Listening(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.append(str(function))
            return function(*args, **(kwargs or {}))

    with Listening():
        assert torch.equal(kt.conv2d(X, W), own.conv2d(X, W))
    assert "kernelwise.convolution.default" in seen


# ---------------------------------------------------------------- explain, precision


def test_explain_says_what_runs_for_functions_layers_and_networks() -> None:
    found = kt.explain(kt.conv2d, X, W, padding="same")
    assert found.ours and ": kernelwise, with" in str(found) and "(1, 4, 6, 7)" in str(found)
    assert kt.explain(kt.conv_transpose2d, X, W, stride=2).ours
    assert kt.explain(kt.corr2d, X, W[0, 0]).ours
    assert kt.explain(kt.Conv2d(4, 4, 3, padding=1, padding_mode="circular"), X).ours
    assert kt.explain(kt.ConvTranspose2d(4, 4, 3), X).ours
    assert not kt.explain(torch.nn.Conv2d(4, 4, 3), X).ours
    (name, one), (_, other) = kt.explain(torch.nn.Sequential(kt.Conv2d(4, 4, 3), torch.nn.Conv2d(4, 4, 3)), X)
    assert name == "0" and one.ours and not other.ours
    assert not kt.explain(kt.conv2d, X, W, groups=3).ours
    with pytest.raises(ArgumentTypeError, match="`what` must be"):
        kt.explain("conv2d")


def test_precision_is_fast_unless_exact_is_asked_for(rng: np.random.Generator) -> None:
    assert "precision 'fast'" in str(kt.explain(kt.conv2d, X, W))
    with pytest.raises(ArgumentError, match="`name` must be one of"):
        kt.set_precision("best")
    x, w = (torch.tensor(rng.standard_normal(s)) for s in ((1, 64, 56, 56), (64, 64, 3, 3)))
    right = own.conv2d(x, w, padding=1)
    errors = []
    try:
        for name in ("exact", "fast"):
            kt.set_precision(name)
            assert f"precision {name!r}" in str(kt.explain(kt.conv2d, X, W))
            errors.append(float((kt.conv2d(x.float(), w.float(), padding=1) - right).abs().max() / right.abs().max()))
    finally:
        kt.set_precision("fast")
    assert errors[0] < 1e-6 and errors[1] < 5e-6
