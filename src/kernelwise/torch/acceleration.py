"""A network's convolutions put on kernelwise, fused with what follows them, and measured."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from . import choice, functional, modules
from .fused import LIMITS, FusedConvolution
from .fusing import CONVOLUTIONS, Chain, chains, replace
from .report import Report, Row
from .timing import medians

SWAPS: dict[type, type] = {
    getattr(nn, name): getattr(modules, name) for name in modules.__all__ if not name.startswith("Lazy")
}
FUNCTIONS: dict[Any, Any] = {
    theirs[axes]: ours[axes]
    for theirs, ours in (
        (functional.OWN, functional.NAMED),
        (functional.OWN_TRANSPOSED, functional.NAMED_TRANSPOSED),
    )
    for axes in theirs
}
AGREEMENT = 1e-4  # of the largest output, between a network and its accelerated copy
WORTH = 0.97  # of torch's time, which a layer must not exceed to be ours


class Accelerated(fx.GraphModule):
    """A network made for inference; `report` says of what."""

    report: Report

    def train(self, mode: bool = True) -> Accelerated:
        """Refused: batch norms are folded into weights. Train the network this was made of."""
        if mode:
            raise RuntimeError("an accelerated network is for inference only: train the network it was made of")
        return super().train(False)


def accelerate(model: nn.Module, *example: Any, quiet: bool = False) -> nn.Module:
    """A copy of a network whose convolutions are kernelwise's; the network itself stays as it is.

    model : in training mode, the copy has layers of kernelwise in place of torch's, the same parameters and state_dict,
        and is trained like the network. In eval mode, and where torch.fx can trace it, convolutions are also fused with
        the batch norm, the addition and the ReLU (or ReLU6) behind them, and their weights are packed once: such a copy
        is for inference only.
    example : what the network is called with. With it, every layer is timed beside torch's own and left to torch where
        that is quicker, and the two networks are compared: they must agree to 1e-4 of the largest output, or else
        nothing is fused.
    quiet : do not print what was done and gained. It can be read as `report` of the result, too.

    >>> import torch
    >>> net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.ReLU()).eval()
    >>> print(accelerate(net, quiet=True).report)
    layer  steps               by
    0      conv + norm + relu  kernelwise
    """
    if type(model) in SWAPS:  # by itself torch.fx would look into it
        model = nn.Sequential(model).train(model.training)
    made = copy.deepcopy(model)
    notes: list[str] = []
    rows: list[Row] = []
    network = _traced(made, notes)
    if network is not None:
        rows = _fuse(network, model, example)
        if example and not _agree(model, network, example):
            notes.append("nothing is fused: the traced network computes something else")
            made, network = copy.deepcopy(model), None
    result: Any = network
    if network is None:
        rows, result = _swap(made), made
    report = Report(tuple(rows), tuple(notes))
    if example and rows:
        with torch.no_grad():
            before, after = medians([lambda: model(*example), lambda: result(*example)])
        report = report._replace(before=before, after=after)
    result.report = report
    if not quiet:
        print(report)
    found: nn.Module = result
    return found


def _traced(model: nn.Module, notes: list[str]) -> Accelerated | None:
    """The network as torch.fx sees it; None, with a note, where it does not or where it is to be trained."""
    if any(module.training for module in model.modules()):
        notes.append("in training mode: layers are swapped, nothing is fused")
        return None
    tracer = fx.Tracer()
    try:
        graph = tracer.trace(model)
    except Exception as error:
        notes.append(f"nothing is fused: torch.fx cannot trace the network ({str(error).partition(chr(10))[0]})")
        return None
    return Accelerated(model, graph, type(model).__name__)


# ---------------------------------------------------------------- swapping


def _swap(model: nn.Module) -> list[Row]:
    """Make torch's layers ours, in place."""
    rows = []
    for name, layer in model.named_modules():
        if isinstance(layer, nn.modules.conv._ConvNd):
            reason = _refusal(layer)
            if not reason:
                layer.__class__ = SWAPS.get(type(layer), type(layer))
            rows.append(Row(name, "conv", reason or "kernelwise"))
    return rows


def _refusal(layer: nn.Module) -> str:
    """Why a layer stays torch's; empty where it need not."""
    if type(layer) not in SWAPS and type(layer) not in SWAPS.values():
        return f"torch: a {type(layer).__name__}"
    weight: Any = layer.weight
    if weight.dtype not in choice.DTYPES or not weight.is_cpu:
        return f"torch: {str(weight.dtype).removeprefix('torch.')} on {weight.device}"
    return ""


# ---------------------------------------------------------------- fusing


def _fuse(network: Accelerated, model: nn.Module, example: tuple[Any, ...]) -> list[Row]:
    """Replace the chains of the traced network; the layers that are in none are swapped."""
    found = chains(network, lambda layer: _fusable(layer))
    shapes = _inputs(model, [chain.target for chain in found], example) if example else {}
    rows = {}
    for chain in found:
        step = FusedConvolution(chain.convolution, chain.norm, chain.activation)
        times = _times(chain, step, shapes[chain.target]) if chain.target in shapes else (None, None)
        replace(network, chain, step)
        rows[chain.target] = Row(chain.target, chain.steps, "kernelwise" if step.ours else "torch: quicker", *times)
    called = _swap_functions(network)
    network.graph.lint()
    network.recompile()
    network.delete_all_unused_submodules()
    rest = {row.layer: row for row in _swap(network)}
    network.eval()
    layers = [rows.get(name) or rest[name] for name, _ in model.named_modules() if name in rows or name in rest]
    return layers + called


def _swap_functions(network: Accelerated) -> list[Row]:
    """Make torch's functions ours where the network calls them itself."""
    found = []
    for node in network.graph.nodes:
        if node.op == "call_function" and node.target in FUNCTIONS:
            node.target = FUNCTIONS[node.target]
            found.append(Row(f"{node.name}()", "conv", "kernelwise"))
    return found


def _fusable(layer: nn.Module) -> bool:
    return type(layer) in (*CONVOLUTIONS, *(SWAPS[kind] for kind in CONVOLUTIONS)) and not _refusal(layer)


def _inputs(model: nn.Module, names: list[str], example: tuple[Any, ...]) -> dict[str, Tensor]:
    """What each of the named layers is given when the network is called: random numbers that lie alike in memory."""
    seen: dict[str, Tensor] = {}

    def listen(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(_: nn.Module, inputs: tuple[Any, ...]) -> None:
            x = inputs[0]
            if isinstance(x, Tensor) and x.is_cpu and x.dtype in choice.DTYPES:
                seen[name] = torch.empty_like(x).uniform_(-1, 1)

        return hook

    handles = [model.get_submodule(name).register_forward_pre_hook(listen(name)) for name in names]
    try:
        with torch.no_grad():
            model(*example)
    finally:
        for handle in handles:
            handle.remove()
    return seen


def _times(chain: Chain, step: FusedConvolution, x: Tensor) -> tuple[float, float]:
    """Seconds of torch's own steps, one after the other, and of the one in their place; torch's own if quicker."""
    layer, theirs = chain.convolution, copy.deepcopy(step)
    theirs.ours = False
    with torch.no_grad():
        residual = torch.empty_like(step(x)).uniform_(-1, 1) if chain.addition is not None else None

        def apart() -> None:
            y = OWN_FORWARD[layer.weight.ndim](layer, x, layer.weight, layer.bias)
            y = y if chain.norm is None else chain.norm(y)
            y = y if residual is None else y + residual
            if chain.activation:
                LIMITS[chain.activation](y)

        before, ours, own = medians([apart, lambda: step(x, residual), lambda: theirs(x, residual)])
    step.ours = ours <= own / WORTH
    return before, ours if step.ours else own


OWN_FORWARD: dict[int, Any] = {
    3: nn.Conv1d._conv_forward,
    4: nn.Conv2d._conv_forward,
    5: nn.Conv3d._conv_forward,
}


def _agree(model: nn.Module, network: nn.Module, example: tuple[Any, ...]) -> bool:
    with torch.no_grad():
        wanted, found = (torch.utils._pytree.tree_leaves(net(*example)) for net in (model, network))
    return len(wanted) == len(found) and all(_close(*pair) for pair in zip(wanted, found, strict=True))


def _close(one: Any, other: Any) -> bool:
    if not isinstance(one, Tensor) or not isinstance(other, Tensor):
        return type(one) is type(other)
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    largest = float(one.abs().max()) if one.numel() else 0.0
    return bool(torch.allclose(one, other, rtol=0, atol=AGREEMENT * largest, equal_nan=True))
