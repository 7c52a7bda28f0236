"""A network's convolutions put on kernelwise, fused with what follows them, and measured."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, fx, nn

from . import choice, functional, modules
from .calm import calm
from .fused import FusedConvolution
from .fusing import CONVOLUTIONS, Chain, chains, replace
from .layouts import settle
from .linear import swap_linear
from .measuring import Times, measure
from .program import NOT_DONE, Programs
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


class Accelerated(fx.GraphModule):
    """A network made for inference; `report` says of what."""

    report: Report
    programs: Programs | None = None  # until it is made ready

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the network computes."""
        if self.programs is not None and not kwargs:
            found = self.programs.run(self, args)
            if found is not NOT_DONE:
                return found
        return super().__call__(*args, **kwargs)

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
    if isinstance(result, Accelerated):
        result.programs = Programs()
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
    made = [FusedConvolution(c.convolution, c.norm, c.activation, in_place=c.in_place) for c in found]
    for chain, step in zip(found, made, strict=True):
        replace(network, chain, step)
    settle(network)
    called = _swap_functions(network)
    called += [Row(name, "linear", "kernelwise: few images") for name in (swap_linear(network) if found else ())]
    calm(network)
    network.graph.lint()
    network.recompile()
    network.delete_all_unused_submodules()
    rest = {row.layer: row for row in _swap(network)}
    network.eval()
    times = measure(network, model, dict(zip(found, made, strict=True)), example) if example else {}
    rows = {chain.target: _row(chain, step, times.get(chain.target)) for chain, step in zip(found, made, strict=True)}
    layers = [rows.get(name) or rest[name] for name, _ in model.named_modules() if name in rows or name in rest]
    return layers + called


def _row(chain: Chain, step: FusedConvolution, times: Times | None) -> Row:
    by = "kernelwise" if step.ours else "torch: quicker"
    by += f", {step.precision}" if step.precision else ""
    if times is None:
        return Row(chain.target, chain.steps, by)
    return Row(chain.target, chain.steps, by, times.before, times.ours if step.ours else times.own)


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


# ---------------------------------------------------------------- comparing


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
