"""A network watched while it runs: which routines it starts, what its other steps are, and who reads what.

Every value has a *place*. What a fused convolution makes by one routine is a Result, whose memory the program may
choose; other values are given to the network, or made by torch. A view of a Result lives in its memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.node import map_arg
from torch.utils._pytree import tree_leaves

from ..layers.prepared import Start
from .fused import FusedConvolution
from .linear import FusedLinear


@dataclass(frozen=True, slots=True)
class Given:
    """An input of the network."""

    number: int


@dataclass(frozen=True, slots=True)
class Made:
    """What a step of torch's own returned, whatever it is."""

    number: int


@dataclass(frozen=True, slots=True)
class Result:
    """What a routine writes."""

    number: int


Place = Given | Made | Result


@dataclass(frozen=True)
class Form:
    """How a tensor lies."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype

    @classmethod
    def of(cls, tensor: Tensor) -> Form:
        return cls(tuple(tensor.shape), tensor.stride(), tensor.dtype)

    @property
    def bytes(self) -> int:
        """Of dense numbers."""
        return int(torch.Size(self.shape).numel()) * self.dtype.itemsize


@dataclass(frozen=True)
class Routine:
    """A step of ours by one routine."""

    layer: FusedConvolution | FusedLinear
    start: Start
    image: Place
    result: Result
    residual: Place | None


@dataclass(frozen=True)
class Step:
    """Anything else: a node of the graph, done by torch."""

    node: fx.Node
    arguments: tuple[Any, ...]  # with places for the values of other nodes
    options: dict[str, Any]
    made: Made


class Recording(fx.Interpreter):
    """One run of a traced network on inputs, node by node."""

    def __init__(self, network: fx.GraphModule) -> None:
        super().__init__(network, garbage_collect_values=False)  # while all live, no two lie at one place
        self.steps: list[Routine | Step] = []
        self.forms: list[Form] = []  # of results
        self.read: list[tuple[int, int]] = []  # the first and the last step that see each result
        self.kept: set[int] = set()  # results that the network's own results may lie in
        self.forms_read: dict[Place, Form] = {}  # of other tensors that routines read
        self.returned: Any = None
        self._places: dict[fx.Node, Place] = {}
        self._lives_in: dict[fx.Node, int] = {}  # the result in whose memory a value lies
        self._memory: dict[int, int] = {}  # where that is
        self.given = self.made = 0

    def run_node(self, n: fx.Node) -> Any:
        """As torch does it, and written down."""
        value = super().run_node(n)
        if n.op == "placeholder":
            self._places[n] = Given(self.given)
            self.given += 1
        elif n.op == "output":
            self.returned = self._with_places(n.args[0])
            self.kept = {self._lives_in[node] for node in n.all_input_nodes if node in self._lives_in}
        else:
            self._see(n)
            routine = self._routine(n, value)
            if routine is not None:
                self._write_down(n, value, routine)
            else:
                made = self._places[n] = Made(self.made)
                self.made += 1
                arguments, options = self._with_places(n.args), self._with_places(n.kwargs)
                self.steps.append(Step(n, arguments, options, made))
                self._look_for_views(n, value)
        return value

    def _routine(self, n: fx.Node, value: Any) -> Routine | None:
        """The routine that a step is, if it is one."""
        layer = self.fetch_attr(str(n.target)) if n.op == "call_module" else None
        if not isinstance(layer, (FusedConvolution, FusedLinear)) or n.kwargs or type(value) is not Tensor:
            return None
        arguments: list[Any] = [*n.args, None, None]  # type: ignore[misc]
        image, residual = arguments[:2]
        if not isinstance(image, fx.Node) or not (residual is None or isinstance(residual, fx.Node)):
            return None
        sources = [image] if residual is None else [image, residual]
        tensors = [self.env[node] for node in sources]
        if any(type(tensor) is not Tensor for tensor in tensors) or not value.numel():
            return None
        start = layer.started(tensors[0], tensors[1] if residual is not None else None, value)
        if start is None:
            return None
        for node, tensor in zip(sources, tensors, strict=True):
            self.forms_read[self._places[node]] = Form.of(tensor)
        places = [self._places[node] for node in sources]
        return Routine(layer, start, places[0], Result(len(self.forms)), places[1] if residual is not None else None)

    def _write_down(self, n: fx.Node, value: Tensor, routine: Routine) -> None:
        number = routine.result.number
        self._places[n], self._lives_in[n] = routine.result, number
        self._memory[value.untyped_storage().data_ptr()] = number
        self.forms.append(Form.of(value))
        self.read.append((len(self.steps), len(self.steps)))
        self.steps.append(routine)

    def _see(self, n: fx.Node) -> None:
        """The step that comes now sees what its arguments lie in."""
        for node in n.all_input_nodes:
            number = self._lives_in.get(node)
            if number is not None:
                self.read[number] = self.read[number][0], len(self.steps)

    def _look_for_views(self, n: fx.Node, value: Any) -> None:
        """Whether a value lies in a result's memory."""
        for leaf in tree_leaves(value):
            if isinstance(leaf, Tensor) and leaf.layout is torch.strided:
                number = self._memory.get(leaf.untyped_storage().data_ptr())
                if number is not None:
                    self._lives_in[n] = number

    def _with_places(self, arguments: Any) -> Any:
        return map_arg(arguments, self._places.__getitem__)
