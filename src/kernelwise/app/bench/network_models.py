"""ResNet-18, ResNet-50 and MobileNet-v1 in PyTorch, with random weights: times do not depend on them.

Layers and sizes: He, Zhang, Ren, Sun, "Deep residual learning for image recognition" (2016), table 1, with the stride
of a bottleneck in its 3x3 layer; Howard et al., "MobileNets" (2017), table 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

CLASSES = 1000


class Basic(nn.Module):
    """Two 3x3 layers and what goes past them."""

    GROWTH = 1

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.first, self.second = _conv(channels, width, 3, stride), _conv(width, width, 3)
        self.past = _past(channels, width, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        past = x if self.past is None else self.past(x)
        return self.relu(self.second(self.relu(self.first(x))) + past)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 layers and what goes past them."""

    GROWTH = 4

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = width * self.GROWTH
        self.first, self.second = _conv(channels, width, 1), _conv(width, width, 3, stride)
        self.third, self.past = _conv(width, outputs, 1), _past(channels, outputs, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        past = x if self.past is None else self.past(x)
        return self.relu(self.third(self.relu(self.second(self.relu(self.first(x))))) + past)


class ResNet(nn.Module):
    """(n, 3, h, w) -> (n, 1000)."""

    def __init__(self, block: type[Basic] | type[Bottleneck], blocks: tuple[int, ...]) -> None:
        super().__init__()
        self.start = nn.Sequential(_conv(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1))
        stages: list[nn.Module] = []
        channels = 64
        for number, count in enumerate(blocks):
            width = 64 << number
            for at in range(count):
                stages.append(block(channels, width, 2 if number and not at else 1))
                channels = width * block.GROWTH
        self.stages, self.pool = nn.Sequential(*stages), nn.AdaptiveAvgPool2d(1)
        self.last = nn.Linear(channels, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(torch.flatten(self.pool(self.stages(self.start(x))), 1))
        return found


class MobileNet(nn.Module):
    """(n, 3, h, w) -> (n, 1000)."""

    LAYERS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv(3, 32, 3, 2), nn.ReLU(inplace=True)]
        channels = 32
        for width, stride in self.LAYERS:
            layers += [_conv(channels, channels, 3, stride, channels), nn.ReLU(inplace=True)]
            layers += [_conv(channels, width, 1), nn.ReLU(inplace=True)]
            channels = width
        self.layers, self.pool = nn.Sequential(*layers), nn.AdaptiveAvgPool2d(1)
        self.last = nn.Linear(channels, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.last(torch.flatten(self.pool(self.layers(x)), 1))
        return found


NETWORKS = ("ResNet-18", "ResNet-50", "MobileNet-v1")


def build(name: str) -> nn.Module:
    """One of NETWORKS, in eval mode, the same weights every time."""
    torch.manual_seed(0)
    if name == "MobileNet-v1":
        network: nn.Module = MobileNet()
    else:
        network = ResNet(Basic, (2, 2, 2, 2)) if name == "ResNet-18" else ResNet(Bottleneck, (3, 4, 6, 3))
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            _lived(layer)
        elif isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
    return network.eval()


def _lived(norm: nn.BatchNorm2d) -> None:
    """Give a batch norm numbers as training leaves them: nowhere 0 and 1."""
    for tensor, low, high in (
        (norm.weight, 0.3, 0.9),
        (norm.bias, -0.1, 0.1),
        (norm.running_mean, -0.1, 0.1),
        (norm.running_var, 0.8, 1.2),
    ):
        assert tensor is not None
        nn.init.uniform_(tensor, low, high)


def _conv(channels: int, outputs: int, taps: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    layer = nn.Conv2d(channels, outputs, taps, stride, taps // 2, groups=groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs))


def _past(channels: int, outputs: int, stride: int) -> nn.Sequential | None:
    return None if stride == 1 and channels == outputs else _conv(channels, outputs, 1, stride)
