"""How the values inside a fused network lie in memory: as whoever reads them does best.

Fused convolutions read and write any strides. They are quickest with images channel by channel (torch's contiguous
format); torch's max pooling is several times as fast with channels last. So a value that only fused convolutions see is
written channel by channel, one that such pooling sees with channels last, and all others as torch would have it, which
is like the value that the network began with. What is added to a result lies like that result.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as own

from .fused import FusedConvolution
from .fusing import Modules, hooked

POOLINGS = (own.max_pool2d, torch.max_pool2d)


class Wish(Enum):
    """How the readers of a value want it to lie; who comes later here has the last word."""

    ANY = 0
    LAST = 1  # with channels last
    TORCH = 2  # as torch would have it


LAYOUTS = {Wish.ANY: "contiguous_format", Wish.LAST: "channels_last", Wish.TORCH: None}


def settle(network: fx.GraphModule) -> None:
    """Give each fused convolution of two axes the layout of its result."""
    modules: Modules = dict(network.named_modules())
    wishes: dict[fx.Node, Wish] = {}
    for node in reversed(network.graph.nodes):  # readers first
        step = _fused(node, modules)
        if step is not None:
            wishes[node] = _wish(node, modules, wishes)
            step.layout = LAYOUTS[wishes[node]]
    for node, wish in wishes.items():
        if wish is Wish.TORCH:
            node.args = (*node.args, None)[:2] + (_origin(node, modules),)


def _wish(value: fx.Node, modules: Modules, wishes: dict[fx.Node, Wish]) -> Wish:
    """Of all readers of a value together."""
    found = [_wish_of(user, value, modules, wishes) for user in value.users]
    return max(found, key=lambda wish: wish.value, default=Wish.TORCH)


def _wish_of(user: fx.Node, value: fx.Node, modules: Modules, wishes: dict[fx.Node, Wish]) -> Wish:
    """Of one reader."""
    if _fused(user, modules) is not None:
        return wishes[user] if value in user.args[1:] else Wish.ANY
    if _pools_all(user, modules):
        return Wish.ANY
    return Wish.LAST if _pools(user, modules) else Wish.TORCH


def _fused(node: fx.Node, modules: Modules) -> FusedConvolution | None:
    """The fused convolution of ours that a step is, if it is one."""
    layer = modules[node.target] if node.op == "call_module" else None
    return layer if isinstance(layer, FusedConvolution) and layer.weight.ndim == 4 else None


def _pools(node: fx.Node, modules: Modules) -> bool:
    """Whether a step is max pooling whose result nobody sees but fused convolutions."""
    if node.op == "call_module":
        layer: Any = modules[node.target]
        pooling = type(layer) is nn.MaxPool2d and not layer.return_indices and not hooked(layer)
    else:
        pooling = node.op == "call_function" and node.target in POOLINGS and not node.kwargs.get("return_indices")
    return pooling and bool(node.users) and all(_fused(user, modules) is not None for user in node.users)


def _pools_all(node: fx.Node, modules: Modules) -> bool:
    """Whether a step pools all pixels of an image: of one pixel, all layouts are the same."""
    layer: Any = modules[node.target] if node.op == "call_module" else None
    return type(layer) is nn.AdaptiveAvgPool2d and layer.output_size in (1, (1, 1)) and not hooked(layer)


def _origin(node: fx.Node, modules: Modules) -> fx.Node:
    """The value whose layout torch's own convolutions would have handed on to this one's result."""
    value: Any = node.args[0]
    while True:
        step = _fused(value, modules)
        if (step is None or step.layout is None) and not _pools(value, modules):
            found: fx.Node = value
            return found
        value = value.args[0]
