"""Linear layers of few images as convolutions of one tap: their time is that of reading the weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as own

from ..layers.prepared import Start
from .fused import FusedConvolution
from .fusing import hooked

MOST_IMAGES = 2  # of more, every image would read all weights again
LEAST_WEIGHTS = 1 << 16  # below, it does not matter


class FusedLinear(nn.Module):
    """y = x w' + b, for inference. ``layer``: of torch.nn's."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        of = nn.Conv1d(layer.in_features, layer.out_features, 1, bias=layer.bias is not None)
        of.weight = nn.Parameter(layer.weight.detach()[..., None], requires_grad=False)
        if layer.bias is not None:
            of.bias = nn.Parameter(layer.bias.detach(), requires_grad=False)
        self.step = FusedConvolution(of, None, None)
        self.step.precision = "exact"  # it costs nothing
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """(n, c) -> (n, o), or images of any shape."""
        if x.ndim == 2 and 0 < len(x) <= MOST_IMAGES:
            y: Tensor = self.step(x[..., None])[..., 0]
            return y
        return own.linear(x, self.step.weight[..., 0], self.step.bias)

    def started(self, x: Tensor, residual: Tensor | None, y: Tensor) -> Start | None:
        """The routine that makes ``y``; None where it is torch's own function."""
        if x.ndim != 2 or len(x) > MOST_IMAGES or residual is not None:
            return None
        return self.step.started(x[..., None], None, y[..., None])

    def marks(self) -> tuple[Any, ...]:
        """What changes when its routine does."""
        return self.step.marks()

    def extra_repr(self) -> str:
        """What is in it."""
        outputs, channels, _ = self.step.weight.shape
        return f"{channels}, {outputs}"


def swap_linear(network: fx.GraphModule) -> list[str]:
    """Put them in the place of large linear layers that nobody listens to; the names of these."""
    modules, found = dict(network.named_modules()), []
    for node in network.graph.nodes:
        layer: Any = modules[node.target] if node.op == "call_module" else None
        if type(layer) is not nn.Linear or hooked(layer) or len(node.args) != 1 or node.kwargs:
            continue
        if layer.weight.numel() >= LEAST_WEIGHTS and layer.weight.dtype is torch.float32 and layer.weight.is_cpu:
            network.set_submodule(node.target, FusedLinear(layer))
            found.append(str(node.target))
    return found
