"""Which steps of a fused network are quicker by kernelwise and which by torch, measured in the network."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, fx, nn

from . import choice
from .fused import LIMITS, FusedConvolution
from .fusing import Chain
from .timing import medians

WORTH = 0.97  # of torch's time, which a layer must not exceed to be ours
HEAVY = 6 << 20  # bytes of weights that Winograd's algorithm might make too many of
WEIGHING = 0.3  # seconds to find that out
Inputs = tuple[Tensor | None, ...]  # of a layer


class Times(NamedTuple):
    """Seconds that a chain takes."""

    before: float  # torch's own steps, one after the other
    ours: float  # the one step in their place
    own: float  # the same with torch's convolution


def measure(
    network: fx.GraphModule, model: nn.Module, steps: dict[Chain, FusedConvolution], example: tuple[Any, ...]
) -> dict[str, Times]:
    """Time all steps, and give to torch those that it does quicker."""
    before = _inputs(model, [chain.target for chain in steps], example)
    after = _inputs(network, [chain.target for chain in steps], example)
    times = {}
    for chain, step in steps.items():
        if chain.target in before and chain.target in after:
            found = _times(chain, step, before[chain.target], after[chain.target])
            step.ours = found.ours <= found.own / WORTH
            times[chain.target] = found
    with torch.no_grad():
        _prove(network, [step for step in steps.values() if not step.ours], example)
        _weigh(network, [step for step in steps.values() if step.ours], example)
    return times


def _inputs(model: nn.Module, names: list[str], example: tuple[Any, ...]) -> dict[str, Inputs]:
    """What each of the named layers is given when the network is called: random numbers that lie alike in memory."""
    seen: dict[str, Inputs] = {}

    def listen(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(_: nn.Module, inputs: tuple[Any, ...]) -> None:
            if all(x is None or (isinstance(x, Tensor) and x.is_cpu and x.dtype in choice.DTYPES) for x in inputs):
                seen[name] = tuple(None if x is None else torch.empty_like(x).uniform_(-1, 1) for x in inputs)

        return hook

    handles = [model.get_submodule(name).register_forward_pre_hook(listen(name)) for name in names]
    try:
        with torch.no_grad():
            model(*example)
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _times(chain: Chain, step: FusedConvolution, given: Inputs, now: Inputs) -> Times:
    """Of one chain: in the network as it was ``given``, and as it is ``now``."""
    layer, theirs, x = chain.convolution, copy.deepcopy(step), given[0]
    theirs.ours = False
    assert x is not None
    with torch.no_grad():
        y = OWN_FORWARD[layer.weight.ndim](layer, x, layer.weight, layer.bias)
        residual = torch.empty_like(y).uniform_(-1, 1) if chain.addition is not None else None

        def apart() -> None:
            y = OWN_FORWARD[layer.weight.ndim](layer, x, layer.weight, layer.bias)
            y = y if chain.norm is None else chain.norm(y)
            y = y if residual is None else y + residual
            if chain.activation:
                LIMITS[chain.activation](y)

        return Times(*medians([apart, lambda: step(*now), lambda: theirs(*now)]))


def _prove(network: fx.GraphModule, left: list[FusedConvolution], example: tuple[Any, ...]) -> None:
    """Leave layers to torch only if the whole network is quicker for it."""

    def with_ours(ours: bool) -> None:
        for step in left:
            step.ours = ours
        network(*example)

    if left:
        mixed, all_ours = medians([lambda: with_ours(False), lambda: with_ours(True)], WEIGHING)
        with_ours(all_ours <= mixed)


def _weigh(network: fx.GraphModule, steps: list[FusedConvolution], example: tuple[Any, ...]) -> None:
    """Find out whether layers of very many weights are quicker without Winograd's algorithm.

    It makes four numbers of each weight. Of such a layer alone they may stay in the caches, among others they do not:
    so this is measured on the whole network, for layers of one shape together.
    """
    alike: dict[Any, list[FusedConvolution]] = {}
    for step in steps:
        heavy = step.weight.numel() * step.weight.element_size() > HEAVY
        if heavy and step.weight.shape[2:] == (3, 3) and set(step.arguments["stride"]) == {1}:
            alike.setdefault(step.weight.shape, []).append(step)

    def with_precision(name: str | None, layers: list[FusedConvolution]) -> None:
        for step in layers:
            step.precision = name
        network(*example)

    for layers in alike.values():
        ways = [partial(with_precision, name, layers) for name in (None, "exact")]
        usual, exact = medians(ways, WEIGHING)
        with_precision("exact" if exact < usual else None, layers)


OWN_FORWARD: dict[int, Any] = {
    3: nn.Conv1d._conv_forward,
    4: nn.Conv2d._conv_forward,
    5: nn.Conv3d._conv_forward,
}
