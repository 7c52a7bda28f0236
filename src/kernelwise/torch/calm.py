"""Small steps of PyTorch's own on one thread, between layers of ours on several.

After a step on several threads PyTorch's OpenMP threads spin for a while, ready for more; but the next step is ours, on
threads of its own, and a spinning thread takes the processor from one that works. Pooling and a small linear layer take
so little time that one thread does.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn

POOLS = (
    *(nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveAvgPool3d),
    *(nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d, nn.AdaptiveMaxPool3d),
)
MOST_NUMBERS = 1 << 22  # that a step reads: more of them are worth another thread


class OnOneThread(nn.Module):
    """A step that runs on one thread where it is small."""

    def __init__(self, step: nn.Module) -> None:
        super().__init__()
        self.step = step
        self._weights = sum(p.numel() for p in step.parameters(recurse=False))

    def forward(self, x: Tensor) -> Any:
        """The step's result."""
        threads = torch.get_num_threads()
        if threads == 1 or x.numel() + self._weights > MOST_NUMBERS:
            return self.step(x)
        torch.set_num_threads(1)
        try:
            return self.step(x)
        finally:
            torch.set_num_threads(threads)


def calm(network: fx.GraphModule) -> None:
    """Wrap the steps of a network that are PyTorch's own and usually small."""
    modules = dict(network.named_modules())
    for node in network.graph.nodes:
        if node.op != "call_module" or len(node.args) != 1 or node.kwargs:
            continue
        step = modules[node.target]
        if type(step) in (*POOLS, nn.Linear):
            network.set_submodule(node.target, OnOneThread(step))
