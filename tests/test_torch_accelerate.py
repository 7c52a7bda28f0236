"""accelerate: what is fused, what is left alone, and that networks compute what they did."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as own

import kernelwise.torch as kt
from kernelwise.torch.fused import FusedConvolution
from kernelwise.torch.prepared import Prepared


class Block(nn.Module):
    """A residual block: every step that can be fused, and a branch."""

    def __init__(self, channels: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.down = nn.Sequential(nn.Conv2d(channels, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += self.down(x)
        return self.relu(y)


def settled(network: nn.Module) -> nn.Module:
    """In eval mode, with batch norms that have seen something."""
    for layer in network.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_mean is not None:
            layer.running_mean.normal_(0, 0.3)
            layer.running_var.uniform_(0.5, 2)
            if layer.affine:
                layer.weight.data.uniform_(0.5, 2)
                layer.bias.data.normal_(0, 0.3)
    return network.eval()


def images(channels: int = 3, size: tuple[int, ...] = (12, 11)) -> Tensor:
    return torch.randn(2, channels, *size, generator=torch.Generator().manual_seed(0))


def accelerated(network: nn.Module, *example: Any) -> Any:
    return kt.accelerate(network, *example, quiet=True)


def check(network: nn.Module, *inputs: Tensor) -> Any:
    """The accelerated copy computes the same; returned."""
    made = accelerated(network)
    with torch.no_grad():
        for _ in range(2):  # the second time with what the first has prepared
            assert torch.allclose(made(*inputs), network(*inputs), atol=1e-5)
    return made


def steps(made: Any) -> list[str]:
    return [row.steps for row in made.report.rows]


def test_a_residual_network_becomes_fused_convolutions() -> None:
    network = settled(nn.Sequential(Block(3, 8, 1), Block(8, 16, 2)))
    made = check(network, images())
    assert sorted(set(steps(made))) == ["conv + norm", "conv + norm + add + relu", "conv + norm + relu"]
    left = {type(layer) for layer in made.modules()}
    assert FusedConvolution in left and not left & {nn.BatchNorm2d, nn.ReLU, nn.Conv2d}


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_norms_are_folded_for_any_number_of_axes(axes: int) -> None:
    convolution, norm = getattr(nn, f"Conv{axes}d"), getattr(nn, f"BatchNorm{axes}d")
    for arguments in ({}, {"bias": False, "groups": 3}, {"padding": 1, "padding_mode": "reflect"}):
        for extra in ({}, {"affine": False}):
            network = nn.Sequential(convolution(3, 6, 3, **arguments), norm(6, **extra))
            made = check(settled(network), images(3, (9, 8, 7)[:axes]))
            assert steps(made) == ["conv + norm"]


ACTIVATIONS = {
    "nn.ReLU": (nn.ReLU(), "relu"),
    "nn.ReLU6": (nn.ReLU6(inplace=True), "relu6"),
    "F.relu": (own.relu, "relu"),
    "F.relu in place": (lambda y: own.relu(y, inplace=True), "relu"),
    "torch.relu": (torch.relu, "relu"),
    "y.relu()": (lambda y: y.relu(), "relu"),
    "y.relu_()": (lambda y: y.relu_(), "relu"),
    "F.relu6": (own.relu6, "relu6"),
    "nn.Sigmoid": (nn.Sigmoid(), None),
    "F.gelu": (own.gelu, None),
}


class Then(nn.Module):
    """Something after a convolution."""

    def __init__(self, then: Any) -> None:
        super().__init__()
        self.conv, self.then = nn.Conv2d(3, 4, 3, padding=1), then

    def forward(self, x: Tensor) -> Tensor:
        return self.then(4 * self.conv(x) if self.then is None else self.conv(x))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_fused_however_they_are_written(name: str) -> None:
    then, word = ACTIVATIONS[name]
    assert steps(check(Then(then).eval(), 20 * images())) == [f"conv + {word}" if word else "conv"]


ADDITIONS = {
    "y + x": (lambda y, x: y + x, True),
    "x + y": (lambda y, x: x + y, True),
    "torch.add": (torch.add, True),
    "y.add(x)": (lambda y, x: y.add(x), True),
    "y.add_(x)": (lambda y, x: y.add_(x), True),
    "a channel more broadcast": (lambda y, x: y + x[:, :1], True),
    "to more images": (lambda y, x: y[:1] + x, False),
    "scaled": (lambda y, x: torch.add(y, x, alpha=2), False),
    "a number": (lambda y, x: y + 1, False),
    "twice itself": (lambda y, x: y + y, False),
    "used again": (lambda y, x: (y + x) * y, False),
    "another operation": (lambda y, x: y * x, False),
}


class Added(nn.Module):
    def __init__(self, add: Any) -> None:
        super().__init__()
        self.conv, self.add = nn.Conv2d(3, 3, 3, padding=1), add

    def forward(self, x: Tensor) -> Tensor:
        return self.add(self.conv(x), x).relu()


@pytest.mark.parametrize("name", ADDITIONS)
def test_additions_are_fused_where_nothing_else_sees_the_summands(name: str) -> None:
    add, fused = ADDITIONS[name]
    assert steps(check(Added(add).eval(), images())) == ["conv + add + relu" if fused else "conv"]


class Disturbed(nn.Module):
    """What the convolution reads is written to before its result is used."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = x * 1
        y = self.conv(x)
        x.mul_(2)
        return y + x


def test_steps_stay_apart_where_something_is_written_to_between_them() -> None:
    assert steps(check(Disturbed().eval(), images())) == ["conv"]


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norms = nn.Conv2d(3, 3, 1), nn.ModuleList([nn.BatchNorm2d(3), nn.BatchNorm2d(3)])

    def forward(self, x: Tensor) -> Tensor:
        return self.norms[1](self.conv(self.norms[0](self.conv(x))))


def test_layers_that_are_called_twice_are_swapped_and_not_fused() -> None:
    made = check(settled(Twice()), images())
    assert steps(made) == ["conv"] and made.report.rows[0].by == "kernelwise"
    assert any(type(layer) is kt.Conv2d for layer in made.modules())


def test_layers_with_hooks_and_parametrizations_keep_them() -> None:
    called = []
    network = settled(nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1), nn.ReLU()))
    network[1].register_forward_hook(lambda *_: called.append(1))
    nn.utils.parametrizations.weight_norm(network[2])
    made = check(network, images())
    assert steps(made) == ["conv", "conv"] and made.report.rows[1].by.startswith("torch: a Parametrized")
    assert len(called) == 4  # of the network and of its copy


def test_norms_without_statistics_of_their_training_are_not_folded() -> None:
    network = settled(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)))
    assert steps(check(network, images())) == ["conv"]


class Choosing(nn.Module):
    """Its steps depend on the data, so that torch.fx cannot trace it."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x) if x.sum() > 0 else self.conv(-x)


def test_networks_that_cannot_be_traced_have_their_layers_swapped() -> None:
    made = check(Choosing().eval(), images())
    assert type(made) is Choosing and type(made.conv) is kt.Conv2d
    assert "cannot trace" in made.report.notes[0]


class Clocked(nn.Module):
    """Tracing goes through, and loses what differs from call to call."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.calls = nn.Conv2d(3, 4, 3), 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.conv(x) * (1.0 if self.calls == 1 else 2.0)


def test_a_traced_network_that_computes_something_else_is_not_used() -> None:
    made = accelerated(Clocked().eval(), images())
    assert type(made) is Clocked and type(made.conv) is kt.Conv2d
    assert made.report.notes == ("nothing is fused: the traced network computes something else",)


def test_the_network_itself_stays_as_it_is() -> None:
    network = settled(Block(3, 4, 1))
    before, x = copy.deepcopy(network.state_dict()), images()
    accelerated(network, x)
    assert type(network.conv1) is nn.Conv2d and not network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_network_in_training_has_its_layers_swapped_and_trains() -> None:
    network = Block(3, 4, 1)
    made = accelerated(network)
    assert type(made) is Block and type(made.conv1) is kt.Conv2d and made.training
    assert list(made.state_dict()) == list(network.state_dict())
    for net in (network, made):
        net(images()).square().sum().backward()
    for one, other in zip(network.parameters(), made.parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, rtol=1e-3, atol=1e-3)


def test_an_accelerated_network_is_for_inference_only() -> None:
    made = accelerated(settled(Block(3, 4, 1)))
    assert made.eval() is made and not any(p.requires_grad for p in made.parameters())
    with pytest.raises(RuntimeError, match="inference only"):
        made.train()


def test_gradients_by_the_images_go_through_an_accelerated_network() -> None:
    network, x = settled(Block(3, 4, 2)), images()
    found = []
    for net in (network, accelerated(network)):
        given = x.clone().requires_grad_()
        net(given).square().sum().backward()
        found.append(given.grad)
    assert torch.allclose(*found, rtol=1e-4, atol=1e-4)


def test_an_accelerated_network_takes_images_of_every_shape_dtype_and_layout() -> None:
    network = settled(Block(3, 4, 1))
    made = accelerated(network)
    with torch.no_grad():
        for size in [(5, 5), (12, 11), (32, 9), *((n, 7) for n in range(4, 11))]:  # more than are kept ready
            x = images(size=size)
            for given in (x, x.contiguous(memory_format=torch.channels_last), x[:1], x[:0], x.mT):
                y = made(given)
                assert torch.allclose(y, network(given), atol=1e-5)
        last = made(x.contiguous(memory_format=torch.channels_last))
        assert last.is_contiguous(memory_format=torch.channels_last)
        assert torch.allclose(made.double()(x.double()), network.double()(x.double()), atol=1e-5)
        assert made.bfloat16()(x.bfloat16()).dtype is torch.bfloat16


def test_weights_that_change_are_packed_again() -> None:
    network, x = nn.Sequential(nn.Conv2d(3, 4, 3)).eval(), images()
    made = accelerated(network)
    with torch.no_grad():
        one = made(x)
        for parameter in made.parameters():
            parameter.mul_(2)
        assert torch.allclose(made(x), 2 * one, atol=1e-5)
        made.load_state_dict({name: value / 2 for name, value in made.state_dict().items()})
        assert torch.equal(made(x), one)


def test_copies_of_an_accelerated_network_are_networks_of_their_own() -> None:
    network, x = settled(Block(3, 4, 1)), images()
    made = accelerated(network)
    with torch.no_grad():
        right = made(x)
        other = copy.deepcopy(made)
        for parameter in made.parameters():
            parameter.zero_()
        assert torch.equal(other(x), right)


def test_bits_of_an_accelerated_network_do_not_depend_on_threads_or_batch() -> None:
    made = accelerated(settled(Block(16, 32, 1)))
    x, before = torch.randn(4, 16, 28, 28), torch.get_num_threads()
    found = []
    try:
        with torch.no_grad():
            for threads in (1, 2, 3):
                torch.set_num_threads(threads)
                found += [made(x), torch.cat([made(image[None]) for image in x])]
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(found[0], other) for other in found[1:])


def test_an_accelerated_network_compiles() -> None:
    network, x = settled(Block(3, 4, 1)), images()
    compiled = torch.compile(accelerated(network), backend="aot_eager", fullgraph=True)
    with torch.no_grad():
        assert torch.allclose(compiled(x), network(x), atol=1e-5)


def test_with_an_example_layers_are_measured_and_the_report_says_what_was_gained(
    capsys: pytest.CaptureFixture[str],
) -> None:
    network, x = settled(nn.Sequential(Block(3, 8, 1), nn.Conv2d(8, 2, 1), nn.Sigmoid())), images()
    made = kt.accelerate(network, x)
    printed = capsys.readouterr().out
    assert printed == f"{made.report}\n" and len(made.report.rows) == 4
    assert "torch ms" in printed and "all" in printed and "conv + norm + add + relu" in printed
    for row in made.report.rows:
        assert row.before > 0 and row.after > 0 and row.by in ("kernelwise", "torch: quicker")
    assert made.report.before > 0 and made.report.after > 0
    with torch.no_grad():
        assert torch.allclose(made(x), network(x), atol=1e-5)


def test_layers_that_torch_does_quicker_are_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from kernelwise.torch import measuring

    network, x = settled(Block(3, 4, 1)), images()
    monkeypatch.setattr(measuring, "medians", lambda functions, *_: [1.5, 2.0, 1.0][: len(functions)])
    made = accelerated(network, x)
    assert {row.by for row in made.report.rows} == {"torch: quicker"}
    assert {found.ours for _, found in kt.explain(made, x)} == {False}
    with torch.no_grad():
        assert torch.allclose(made(x), network(x), atol=1e-5)


def test_layers_that_kernelwise_does_not_take_are_left_alone() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3).bfloat16()).eval()
    made = accelerated(network)
    assert made.report.rows[0].by == "torch: bfloat16 on cpu" and type(made.get_submodule("0")) is nn.Conv2d


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3, 3, 3))

    def forward(self, x: Tensor) -> Tensor:
        return own.conv2d(x, self.weight, padding=1).tanh()


def test_functions_that_a_network_calls_are_swapped_too() -> None:
    made = check(Functional().eval(), images())
    assert [tuple(row[:3]) for row in made.report.rows] == [("conv2d()", "conv", "kernelwise")]
    assert kt.conv2d in {node.target for node in made.graph.nodes}


def test_a_layer_alone_is_a_network() -> None:
    for layer, became in ((nn.Conv2d(3, 4, 3), FusedConvolution), (nn.ConvTranspose2d(3, 4, 3), kt.ConvTranspose2d)):
        made = check(layer.eval(), images())
        assert made.report.rows[0].by == "kernelwise" and type(made.get_submodule("0")) is became


def test_a_network_without_convolutions_says_so() -> None:
    assert str(accelerated(nn.Linear(3, 2).eval()).report) == "no convolutions"


def test_fused_layers_say_what_is_in_them() -> None:
    made = accelerated(settled(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())))
    shown = repr(made.get_submodule("0"))
    assert all(word in shown for word in ("3, 4", "kernel_size=(3, 3)", "batch norm folded", "relu", "by kernelwise"))


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each convolution with a residual: whether that was added as the result was written."""
    found: list[bool] = []
    real = Prepared.forward

    def forward(self: Prepared, x: Tensor, *args: Any) -> bool:
        done = real(self, x, *args)
        if len(args) > 5 and args[5] is not None:
            found.append(done)
        return done

    monkeypatch.setattr(Prepared, "forward", forward)
    return found


@pytest.mark.parametrize("channels", [16, 64])  # direct, and by Winograd's algorithm
@pytest.mark.parametrize("last", [False, True])
def test_residuals_are_added_as_the_result_is_written(channels: int, last: bool, added: list[bool]) -> None:
    network = settled(nn.Sequential(Block(channels, channels, 1), Block(channels, channels, 1)))
    x = images(channels, (24, 20))
    x = x.contiguous(memory_format=torch.channels_last) if last else x
    y = check(network, x)(x)
    assert added == [True] * 6
    assert y.is_contiguous(memory_format=torch.channels_last) is last


def test_residuals_of_any_kind_are_added(added: list[bool]) -> None:
    step = FusedConvolution(nn.Conv2d(16, 16, 3, padding=1), None, "relu")
    x, residual = images(16, (12, 16)), images(16, (12, 16)).flip(0)
    for other, at_once in (
        (residual, True),
        (residual.contiguous(memory_format=torch.channels_last), False),
        (residual[:1], False),
        (residual.double(), False),
        (residual.mT.contiguous().mT, False),
        (torch._neg_view(residual), False),
    ):
        added.clear()
        with torch.no_grad():
            right = own.relu(own.conv2d(x, step.weight, step.bias, padding=1) + other)
            found = step(x, other)
        assert torch.allclose(found, right, atol=1e-5) and found.dtype is right.dtype
        assert added == [True] * at_once
    given = residual.clone().requires_grad_()
    step(x, given).sum().backward()
    assert torch.equal(given.grad, (step(x, residual) > 0).float())


def test_few_channels_whose_pixels_fill_the_lanes_take_residuals_too() -> None:
    step = FusedConvolution(nn.Conv2d(3, 3, 3, padding=1), None, "relu")
    x, residual = images(3, (12, 64)), images(3, (12, 64)).flip(0)
    with torch.no_grad():
        for _ in range(2):
            right = own.relu(own.conv2d(x, step.weight, step.bias, padding=1) + residual)
            assert torch.allclose(step(x, residual), right, atol=1e-5)


class Pooled(nn.Module):
    """What only max pooling sees, what only convolutions see, and what is looked at as it lies in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 4, 1)
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        y = own.max_pool2d(self.one(x), 3, 2)
        y = self.pool(self.three(self.two(y)))
        return y.view(y.shape[0], -1)


def test_values_inside_lie_as_their_readers_do_best() -> None:
    made = check(Pooled().eval(), images(3, (24, 20)))
    assert made.one.layout == "channels_last"
    assert made.two.layout == "contiguous_format"
    assert made.three.layout is None


def test_layers_of_many_weights_do_without_winograd_where_the_network_is_quicker_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from kernelwise.torch import measuring

    network, x = settled(Block(16, 16, 1)), images(16, (24, 24))
    monkeypatch.setattr(measuring, "HEAVY", 16 * 16 * 9 * 4 - 1)
    for times, precision in (((2.0, 1.0), "exact"), ((1.0, 2.0), None)):
        monkeypatch.setattr(measuring, "medians", lambda functions, *_, t=times: [4.0, *t][-len(functions) :])
        made = accelerated(network, x)
        steps = {name: layer for name, layer in made.named_modules() if isinstance(layer, FusedConvolution)}
        if precision:
            assert steps["conv2"].precision == precision
            assert any(row.by == "kernelwise, exact" for row in made.report.rows)
        else:
            assert not any(layer.precision for layer in steps.values())
        with torch.no_grad():
            assert torch.allclose(made(x), network(x), atol=1e-5)


def test_results_are_close_to_those_in_float64(rng: np.random.Generator) -> None:
    network = settled(nn.Sequential(*(Block(16, 16, 1) for _ in range(4))))
    x = torch.tensor(rng.standard_normal((2, 16, 28, 28)))
    with torch.no_grad():
        right = copy.deepcopy(network).double()(x)
        error = (accelerated(network)(x.float()) - right).abs().max() / right.abs().max()
    assert error < 2e-5


def test_small_steps_of_torchs_own_run_on_one_thread_and_large_ones_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    pool = nn.MaxPool2d.forward

    def watched(self: nn.MaxPool2d, x: torch.Tensor) -> torch.Tensor:
        seen.append(torch.get_num_threads())
        return pool(self, x)

    monkeypatch.setattr(nn.MaxPool2d, "forward", watched)
    before = torch.get_num_threads()
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 15 * 15, 2)).eval()
    try:
        torch.set_num_threads(2)
        fast = kt.accelerate(model, quiet=True)
        x = torch.randn(1, 1, 32, 32)
        with torch.no_grad():
            assert torch.allclose(fast(x), model(x), atol=1e-5)
            assert seen == [1, 2] and torch.get_num_threads() == 2
            monkeypatch.setattr("kernelwise.torch.calm.MOST_NUMBERS", 10)
            fast(x)
            assert seen[2:] == [2]
    finally:
        torch.set_num_threads(before)
