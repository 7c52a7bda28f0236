"""The benchmark of networks: all engines are given the network that PyTorch runs, and small ones agree."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
import torch
from torch import Tensor, nn
from torch.nn import functional

from kernelwise.app.bench import comparison, network_models, networks, ours, rivals
from kernelwise.app.bench.rivals.engines import ENGINES
from kernelwise.app.bench.rivals.engines.network import Network, Step
from kernelwise.app.bench.rivals.engines.quiet import quiet
from kernelwise.app.bench.timing import Pace

SIDE = 32  # pixels, the least that these networks take
TINY = Pace(least=2, most=2, budget=0.0, hopeless=1e9, block=1e-6)


class Small(nn.Module):
    """Every kind of step that the three networks have."""

    def __init__(self) -> None:
        super().__init__()
        self.start = nn.Sequential(network_models._conv(3, 16, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1))
        self.blocks = nn.Sequential(network_models.Basic(16, 16, 1), network_models.Bottleneck(16, 8, 2))
        self.depthwise = nn.Sequential(network_models._conv(32, 32, 3, 2, 32), nn.ReLU(inplace=True))
        self.pool, self.last = nn.AdaptiveAvgPool2d(1), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Any:
        return self.last(torch.flatten(self.pool(self.depthwise(self.blocks(self.start(x)))), 1))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[nn.Module]:
    """In the place of all networks."""

    def build(name: str) -> nn.Module:
        torch.manual_seed(0)
        model = Small()
        for layer in model.modules():
            if isinstance(layer, nn.BatchNorm2d):
                network_models._lived(layer)
        return model.eval()

    monkeypatch.setattr(network_models, "build", build)
    networks._made.cache_clear()
    yield build("")
    networks._made.cache_clear()


def run(steps: tuple[Step, ...], x: Tensor) -> Tensor:
    """What the steps say, with PyTorch."""
    values = {"in": x}
    for step in steps:
        first, *others = (values[name] for name in step.inputs)
        if step.kind == "addition":
            y = first + others[0]
        elif step.kind == "maximum":
            y = functional.max_pool2d(first, step.taps, step.stride, step.padding)
        elif step.kind == "mean":
            y = first.mean((2, 3))
        else:
            weight, bias = torch.from_numpy(step.weight).to(x.dtype), torch.from_numpy(step.bias).to(x.dtype)
            if step.kind == "linear":
                y = functional.linear(first, weight, bias)
            else:
                y = functional.conv2d(first, weight, bias, step.stride, step.padding, groups=step.groups)
        values[step.name] = y.relu() if step.relu else y
    return y


@torch.inference_mode()
def test_the_steps_that_engines_are_given_are_the_network(small: nn.Module) -> None:
    x = torch.randn(1, 3, SIDE, SIDE, dtype=torch.float64)
    found, right = run(networks.steps(small), x), small.double()(x)
    assert (found - right).abs().max() < 1e-5 * right.abs().max()


@pytest.mark.parametrize("name", networks.OPERATIONS)
def test_a_network_has_the_operations_that_are_said(name: str) -> None:
    with torch.device("meta"):
        model = (
            network_models.MobileNet()
            if name.startswith("Mobile")
            else network_models.ResNet(network_models.Basic, (2, 2, 2, 2))
            if name == "ResNet-18"
            else network_models.ResNet(network_models.Bottleneck, (3, 4, 6, 3))
        )
        work = 0

        def count(layer: Any, _: Any, y: Tensor) -> None:
            nonlocal work
            work += y[0].numel() * layer.weight[0].numel()

        for layer in model.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                layer.register_forward_hook(count)
        assert model.eval()(torch.empty(1, 3, networks.SIDE, networks.SIDE)).shape == (1, 1000)
    assert work == pytest.approx(networks.OPERATIONS[name], rel=1e-3)


def test_a_network_is_timed_beside_torch_and_all_agree_with_float64(small: nn.Module) -> None:
    row = comparison.Comparison(
        networks.SECTION, "small", "f32->f32", "small", lambda threads: networks.prepare("small", threads, SIDE)
    )
    for result in comparison.measure(row, (1, 2), TINY):
        assert result.status == "ok", result.why
        assert {ours.NAME, "torch NCHW", "torch channels_last"} <= result.medians.keys()
        assert all(error <= networks.ERROR for error in result.errors.values())
        assert result.ratio is not None and result.ratio > 0


ABLE = [engine for engine in ENGINES if hasattr(engine, "networks")]


@pytest.mark.parametrize("engine", ABLE, ids=lambda engine: engine.NAME)
def test_an_engine_that_is_installed_runs_the_network(engine: Any, small: nn.Module) -> None:
    if not rivals.is_installed(engine.MODULE):
        pytest.skip("not installed")
    x = np.random.default_rng(0).standard_normal((1, 3, SIDE, SIDE), np.float32)
    with torch.inference_mode():
        right = small(torch.from_numpy(x)).numpy()
    with quiet():
        for call in engine.networks(Network(networks.steps(small), x, small), 1):
            call.run()
            call.run()
            assert np.abs(call.fetch() - right).max() < networks.ERROR * np.abs(right).max()


def test_all_three_networks_have_a_row() -> None:
    assert [row.what for row in networks.rows()] == list(network_models.NETWORKS) == list(networks.OPERATIONS)
