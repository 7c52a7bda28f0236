"""Networks put together at random: accelerated, they compute what they did, and their results lie as they did."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as own

import kernelwise.torch as kt

CHANNELS = 8


class Drawn(nn.Module):
    """A network of so many steps, each on values drawn among the earlier ones."""

    def __init__(self, seed: int, steps: int = 14) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.layers = nn.ModuleDict()
        self.program: list[tuple[str, list[int]]] = []
        for number in range(steps):
            kind = KINDS[int(torch.randint(len(KINDS), ()))]
            recent = max(0, number - 3)  # values are 0, the images, to ``number``
            self.program.append((kind, [int(n) for n in torch.randint(recent, number + 1, (2,))]))
            layer = made(kind)
            if layer is not None:
                self.layers[str(number)] = layer
        for layer in self.modules():
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.uniform_(layer.weight, 0.5, 1.5)
                nn.init.normal_(layer.running_mean, 0, 0.3)
                nn.init.uniform_(layer.running_var, 0.5, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        values = [x]
        for number, (kind, (one, other)) in enumerate(self.program):
            a, b = values[one], values[other]
            if str(number) in self.layers:
                y = self.layers[str(number)](a)
            else:
                y = STEPS[kind](a, b)
            values.append(y)
        pooled = own.adaptive_avg_pool2d(values[-2], 1)
        return values[-1], pooled, values[-1].reshape(values[-1].shape[0], -1)


def made(kind: str) -> nn.Module | None:
    if kind in ("conv", "depthwise", "point"):
        taps, groups = (1, 1) if kind == "point" else (3, CHANNELS if kind == "depthwise" else 1)
        layer = nn.Conv2d(CHANNELS, CHANNELS, taps, padding=taps // 2, groups=groups, bias=bool(torch.randint(2, ())))
        parts: list[nn.Module] = [layer]
        if torch.rand(()) < 0.5:
            parts.append(nn.BatchNorm2d(CHANNELS))
        if torch.rand(()) < 0.5:
            parts.append([nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6()][int(torch.randint(3, ()))])
        return nn.Sequential(*parts)
    return nn.MaxPool2d(3, 1, 1) if kind == "pool" else None


def shuffled(a: Tensor, _: Tensor) -> Tensor:
    n, height, width = a.shape[0], a.shape[2], a.shape[3]
    return a.reshape(n, 2, CHANNELS // 2, height, width).transpose(1, 2).reshape(n, CHANNELS, height, width)


STEPS: dict[str, Any] = {
    "add": lambda a, b: a + b,
    "sum": torch.add,
    "added and limited": lambda a, b: own.relu(a + b),
    "relu": lambda a, _: own.relu(a),
    "pooled": lambda a, _: own.max_pool2d(a, 3, 1, 1),
    "scaled": lambda a, b: a * b.mean((2, 3), keepdim=True).sigmoid(),
    "shuffled": shuffled,
    "more by its size": lambda a, _: a + a.shape[0],
}
KINDS = ["conv", "conv", "conv", "point", "point", "depthwise", "pool", "add", "add", *STEPS]


def check(seeds: range) -> None:
    fused = 0
    x = torch.randn(2, CHANNELS, 12, 16, generator=torch.Generator().manual_seed(0))
    for seed in seeds:
        network = Drawn(seed).eval()
        made = kt.accelerate(network, quiet=True)
        assert isinstance(made, kt.Accelerated), (seed, made.report)
        fused += sum("+" in row.steps for row in made.report.rows)
        for given in (x, x[:1, :, :9, :7]):
            with torch.no_grad():
                wanted, found = network(given), made(given)
            for right, got in zip(wanted, found, strict=True):
                largest = max(1.0, float(right.abs().max()))
                assert got.shape == right.shape and got.dtype is right.dtype, seed
                assert float((got - right).abs().max()) <= 2e-5 * largest, seed
    assert fused > len(seeds)


@pytest.mark.parametrize(
    "seeds", [range(12), pytest.param(range(12, 300), marks=pytest.mark.long)], ids=["few", "many"]
)
def test_networks_put_together_at_random_compute_what_they_did(seeds: range) -> None:
    check(seeds)


class Sized(nn.Module):
    """A number is added, in place, or tensors of another dtype."""

    def __init__(self, add: Any) -> None:
        super().__init__()
        self.conv, self.add = nn.Conv2d(3, 4, 3, padding=1), add

    def forward(self, x: Tensor) -> Tensor:
        return self.add(self.conv(x), x).relu()


@pytest.mark.parametrize(
    "add",
    [
        lambda y, x: y + x.shape[0],
        lambda y, x: y.add_(x.shape[3]),
        lambda y, x: y.add_(x[:, :1].double()),
        lambda y, x: y + x[:, :1].double(),
    ],
    ids=["a size", "a size in place", "float64 in place", "float64"],
)
def test_additions_keep_the_dtype_that_they_had(add: Any) -> None:
    network, x = Sized(add).eval(), torch.randn(2, 3, 6, 7)
    made = kt.accelerate(network, quiet=True)
    for gradients in (False, True):
        given = x.clone().requires_grad_(gradients)
        right, found = network(given), made(given)
        assert found.dtype is right.dtype and torch.allclose(found, right, atol=1e-5)
