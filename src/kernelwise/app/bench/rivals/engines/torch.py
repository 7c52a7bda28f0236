"""PyTorch, eager: `conv2d` in both layouts, and what oneDNN does with weights that it has packed.

A call allocates its result. Weights of the first two are packed in every call, as there is no way to keep them packed;
with `to_mkldnn` weights are, and images and results stay in oneDNN's own layout. Networks run in the first two ways.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from .layer import Call, Layer
from .network import Network

NAME, MODULE, DISTRIBUTION = "torch", "torch", "torch"
ERROR = 2e-5


def calls(layer: Layer, threads: int) -> Iterator[Call]:
    """NCHW, channels_last and, where torch is built with it, oneDNN's layout."""
    import torch

    x, w = torch.from_numpy(layer.x), torch.from_numpy(layer.w)
    yield _call(torch, f"{NAME} NCHW", x, w, layer)
    last = torch.channels_last
    yield _call(torch, f"{NAME} channels_last", x.to(memory_format=last), w.to(memory_format=last), layer)
    if torch.backends.mkldnn.is_available():
        step, side = (layer.stride,) * 2, (layer.padding,) * 2
        reorder: Any = torch._C._nn.mkldnn_reorder_conv2d_weight
        packed = reorder(w.to_mkldnn(), side, step, (1, 1), layer.groups, list(layer.x_shape))
        yield _call(torch, f"{NAME} oneDNN packed", x.to_mkldnn(), packed, layer)


def networks(network: Network, threads: int) -> Iterator[Call]:
    """The network as it is, NCHW and channels_last."""
    import torch

    for name, order in (("NCHW", torch.contiguous_format), ("channels_last", torch.channels_last)):
        model = copy.deepcopy(network.model).to(memory_format=order)
        yield _network_call(torch, f"{NAME} {name}", model, torch.from_numpy(network.x).to(memory_format=order))


def _network_call(torch: Any, name: str, model: Any, x: Any) -> Call:
    results: list = []

    @torch.inference_mode()
    def run() -> None:
        results.clear()
        results.append(model(x))

    return Call(name, run, lambda: results[-1].numpy())


def _call(torch: Any, name: str, x: Any, w: Any, layer: Layer) -> Call:
    results: list = []

    @torch.inference_mode()
    def run() -> None:
        results.clear()
        results.append(torch.nn.functional.conv2d(x, w, None, layer.stride, layer.padding, 1, layer.groups))

    def fetch() -> np.ndarray:
        y = results[-1]
        found: np.ndarray = (y.to_dense() if y.is_mkldnn else y).contiguous().numpy()
        return found

    return Call(name, run, fetch)
