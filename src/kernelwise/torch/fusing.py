"""Which steps of a traced network can be one: a convolution, its batch norm, an addition, an activation.

A step joins the one before only if nothing else sees what lies between: the value has one user, the layers are called
once, nothing is hooked to them, and batch norm is in eval mode with the statistics of its training.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as own

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
NORMS = {3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}  # by the axes of the convolution's weight
Modules = dict[Any, Any]  # the layers by their names
Calls = dict[Any, int]  # how often each is called
ADDITIONS = (operator.add, operator.iadd, torch.add)
ACTIVATION_LAYERS = {nn.ReLU: "relu", nn.ReLU6: "relu6"}
ACTIVATIONS: dict[Any, str] = {
    own.relu: "relu",
    torch.relu: "relu",
    torch.relu_: "relu",
    own.relu_: "relu",
    own.relu6: "relu6",
}


@dataclass(eq=False)
class Chain:
    """Steps that become one."""

    target: str  # the convolution's name in the network
    convolution: Any
    nodes: list[fx.Node]  # from the convolution to the last step
    norm: Any = None
    addition: fx.Node | None = None
    activation: str | None = None

    @property
    def residual(self) -> tuple[fx.Node, ...]:
        """What is added, as arguments."""
        if self.addition is None:
            return ()
        return tuple(part for part in self.addition.args if part not in self.nodes)  # type: ignore[misc]

    @property
    def in_place(self) -> bool:
        """Whether something is added to the convolution's result where that lies."""
        return self.addition is not None and self.addition.target in (operator.iadd, "add_")

    @property
    def steps(self) -> str:
        """What is fused, in words."""
        parts = ["conv"]
        parts += ["norm"] if self.norm is not None else []
        parts += ["add"] if self.addition is not None else []
        return " + ".join(parts + ([self.activation] if self.activation else []))

    def describe(self, modules: Modules) -> None:
        """Tell the steps apart, once they are all there."""
        for node in self.nodes[1:]:
            found = activation(node, modules)
            layer = modules[node.target] if node.op == "call_module" else None
            if found:
                self.activation = found
            elif layer is not None:
                self.norm = layer
            else:
                self.addition = node


def chains(network: fx.GraphModule, wanted: Callable[[nn.Module], bool]) -> list[Chain]:
    """All chains of a traced network whose convolutions are ``wanted`` (a predicate of layers)."""
    modules = dict(network.named_modules())
    calls: Calls = {}
    for node in network.graph.nodes:
        if node.op == "call_module":
            calls[modules[node.target]] = calls.get(modules[node.target], 0) + 1
    found: list[Chain] = []
    taken: set[fx.Node] = set()
    for node in network.graph.nodes:
        layer = modules.get(node.target) if node.op == "call_module" else None
        if layer is None or not wanted(layer) or calls[layer] > 1 or hooked(layer):
            continue
        if len(node.args) != 1 or node.kwargs:
            continue
        chain = Chain(node.target, layer, [node])
        for grow in (_norm, _addition, _activation):
            step = grow(chain, modules, calls)
            if step is not None and step not in taken and _undisturbed(chain, step, modules):
                chain.nodes.append(step)
        chain.describe(modules)
        taken.update(chain.nodes)
        found.append(chain)
    return found


def replace(network: fx.GraphModule, chain: Chain, by: nn.Module) -> None:
    """Put one step in a chain's place."""
    first, last = chain.nodes[0], chain.nodes[-1]
    network.set_submodule(chain.target, by)
    with network.graph.inserting_after(last):
        step = network.graph.call_module(chain.target, (*first.args, *chain.residual))
    last.replace_all_uses_with(step)
    for node in reversed(chain.nodes):
        network.graph.erase_node(node)


def hooked(layer: nn.Module) -> bool:
    """Whether somebody listens to a layer, or makes its parameters anew at every call."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(layer, name) for name in hooks) or hasattr(layer, "parametrizations")


# ---------------------------------------------------------------- what may come next


def _next(chain: Chain) -> fx.Node | None:
    """The one step that uses the chain's value."""
    users = list(chain.nodes[-1].users)
    return users[0] if len(users) == 1 and users[0].op != "output" else None


def _norm(chain: Chain, modules: Modules, calls: Calls) -> fx.Node | None:
    node = _next(chain)
    if node is None or node.op != "call_module" or node.args != (chain.nodes[-1],) or node.kwargs:
        return None
    layer = modules[node.target]
    if type(layer) is not NORMS[chain.convolution.weight.ndim] or calls[layer] > 1 or hooked(layer):
        return None
    if layer.training or layer.running_mean is None or layer.num_features != chain.convolution.out_channels:
        return None
    return node


def _addition(chain: Chain, modules: Modules, calls: Calls) -> fx.Node | None:
    node, value = _next(chain), chain.nodes[-1]
    if node is None or len(node.args) != 2 or node.kwargs:
        return None
    function = node.op == "call_function" and node.target in ADDITIONS
    if not function and not (node.op == "call_method" and node.target in ("add", "add_")):
        return None
    if not all(isinstance(part, fx.Node) for part in node.args) or node.args[0] is node.args[1]:
        return None
    return None if writes(node, modules) and node.args[0] is not value else node


def _activation(chain: Chain, modules: Modules, calls: Calls) -> fx.Node | None:
    node = _next(chain)
    if node is None or not node.args or node.args[0] is not chain.nodes[-1]:
        return None
    if node.op == "call_module" and hooked(modules[node.target]):
        return None
    return node if activation(node, modules) else None


def activation(node: fx.Node, modules: Modules) -> str | None:
    """Its name, if a step is an activation that can be fused."""
    if node.op == "call_module":
        return ACTIVATION_LAYERS.get(type(modules[node.target]))
    if node.op == "call_function":
        return ACTIVATIONS.get(node.target)
    return "relu" if node.op == "call_method" and node.target in ("relu", "relu_") else None


def writes(node: fx.Node, modules: Modules) -> bool:
    """Whether a step may write to what it is given."""
    if node.op == "call_module":
        return bool(getattr(modules[node.target], "inplace", False))
    if node.op not in ("call_function", "call_method"):
        return False
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "_")
    in_operator = getattr(node.target, "__module__", "") == "_operator" and name.startswith("i") and name != "invert"
    named = name.endswith("_") and not name.endswith("__")
    inplace = bool(node.kwargs.get("inplace")) or "out" in node.kwargs or any(part is True for part in node.args)
    return in_operator or named or inplace or name == "setitem"


def _undisturbed(chain: Chain, last: fx.Node, modules: Modules) -> bool:
    """Whether nothing is written to between the convolution and ``last``: it will run where that one does."""
    node = chain.nodes[0].next
    while node is not last:
        if node not in chain.nodes and writes(node, modules):
            return False
        node = node.next
    return True
