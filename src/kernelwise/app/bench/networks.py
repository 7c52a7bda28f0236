"""Whole networks in inference, one image: what `accelerate` makes of them beside eager PyTorch and engines.

ResNet-18, ResNet-50 and MobileNet-v1 with random weights, float32, 224 x 224 pixels: network_models.py. Ours is the
copy that `kernelwise.torch.accelerate(network, image)` makes, PyTorch's own pooling and linear layers included.
Engines are given the network with batch norms folded into its weights. Everybody's error is measured against PyTorch in
float64.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from . import rivals, timing
from .comparison import Comparison, Prepared, Rival
from .layer_truth import relative_error
from .layers import nearer_than
from .rivals.engines import ENGINES
from .rivals.engines.network import Network, Step
from .rivals.engines.quiet import quiet

SECTION = "networks"
MODULE = "torch"  # without which there are no networks
ERROR = 2e-5  # of the largest number, that any result may have
SIDE = 224  # pixels
OPERATIONS = {"ResNet-18": 1.814e9, "ResNet-50": 4.089e9, "MobileNet-v1": 0.5687e9}  # multiply-adds, of an image


def rows() -> list[Comparison]:
    """The three networks; none without PyTorch."""
    if not rivals.is_installed(MODULE):
        return []
    image = f"3x{SIDE}x{SIDE}"
    return [
        Comparison(SECTION, image, "f32->f32", name, _preparation(name), round(2 * work))
        for name, work in OPERATIONS.items()
    ]


quick = rows


def _preparation(name: str) -> Callable[[int], Prepared]:
    return lambda threads: prepare(name, threads)


def prepare(name: str, threads: int, side: int = SIDE) -> Prepared:
    """Ours and everybody else's. What ours is made of is decided once, by its times on the first number of threads."""
    import torch

    made = _made(name, side)
    accelerated, x = made.accelerated, torch.from_numpy(made.network.x)
    truth = made.truth

    @torch.inference_mode()
    def call() -> np.ndarray:
        found: np.ndarray = accelerated(x).numpy()
        return found

    near, others, left_out = nearer_than(ERROR, truth), [], {}
    for engine in ENGINES:
        if not hasattr(engine, "networks"):
            continue
        if not rivals.is_installed(engine.MODULE):
            left_out[engine.NAME] = rivals.NOT_INSTALLED
            continue
        try:
            with quiet():
                calls = list(engine.networks(made.network, threads))
                for way in calls:
                    way.run()
            others += [
                Rival(way.name, engine.MODULE, way.run, near, fetch=way.fetch, spins=timing.POOL) for way in calls
            ]
        except Exception as error:  # a version that cannot do this: no reason to fail, but to be told
            left_out[engine.NAME] = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    return Prepared(call, lambda got: near(got, got), others, lambda got: relative_error(got, truth), left_out)


class _Made:
    """A network, the steps that engines are given, what is made of it, and its result in float64."""

    def __init__(self, name: str, side: int) -> None:
        import torch

        from kernelwise.torch import accelerate

        from . import network_models

        model = network_models.build(name)
        x = np.random.default_rng(1234).standard_normal((1, 3, side, side), np.float32)
        image = torch.from_numpy(x)
        self.network = Network(steps(model), x, model)
        self.accelerated: Any = accelerate(model, image, quiet=True)
        with torch.inference_mode():
            self.truth: np.ndarray = network_models.build(name).double()(image.double()).numpy()


@lru_cache(maxsize=1)
def _made(name: str, side: int) -> _Made:
    return _Made(name, side)


def steps(model: Any) -> tuple[Step, ...]:
    """A network of network_models.py step by step, with batch norms folded into the weights before them."""
    from torch import nn
    from torch.fx.experimental.optimization import fuse

    traced: Any = fuse(model)
    layers = dict(traced.named_modules())
    found: dict[str, Step] = {}
    names: dict[Any, str] = {}  # of the values that nodes have
    for node in traced.graph.nodes:
        layer = layers[node.target] if node.op == "call_module" else None
        if node.op in ("placeholder", "output"):
            names[node] = "in"
        elif isinstance(layer, nn.ReLU):
            names[node] = names[node.args[0]]
            found[names[node]] = Step(**{**vars(found[names[node]]), "relu": True})
        elif node.op == "call_function" and node.target.__name__ == "flatten":
            names[node] = names[node.args[0]]
        else:
            names[node] = node.name
            found[node.name] = _step(node.name, tuple(names[value] for value in node.args), layer)
    return tuple(found.values())


def _step(name: str, inputs: tuple[str, ...], layer: Any) -> Step:
    from torch import nn

    if layer is None:
        return Step("addition", name, inputs)
    if isinstance(layer, nn.MaxPool2d):
        windows: Any = layer
        return Step("maximum", name, inputs, None, None, windows.kernel_size, windows.stride, windows.padding)
    if isinstance(layer, nn.AdaptiveAvgPool2d):
        return Step("mean", name, inputs)
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    if isinstance(layer, nn.Linear):
        return Step("linear", name, inputs, weight, bias)
    assert isinstance(layer, nn.Conv2d)
    both: Any = layer.kernel_size, layer.stride, layer.padding
    taps, stride, padding = (axes[0] for axes in both)
    return Step("convolution", name, inputs, weight, bias, taps, stride, padding, layer.groups)
