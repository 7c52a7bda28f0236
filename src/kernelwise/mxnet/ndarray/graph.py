"""What is recorded, and gradients from it.

A marked array is a leaf of torch's graph. When a gradient reaches it, a hook puts it where MXNet keeps it: into the
array's own gradient, replacing it ("write") or added to it ("add").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..base import MXNetError
from ..recording import STATE
from . import dtypes
from .core import Core, apply, graph, is_leaf, plain, recorded, separate

REQUESTS = ("write", "add", "null")
NOT_RECORDED = (
    "Cannot differentiate node because it is not in a computational graph. You need to set is_recording to true or use "
    "autograd.record() to save computational graphs for backward. If you want to differentiate the same graph twice, "
    "you need to pass retain_graph=True to backward."
)
LEAF_WRITTEN = (
    "Assigning to NDArrays that are already in a computational graph will cause undefined behavior when evaluating "
    "gradients. Please call backward first to clear the graph or do this out side of a record section. Here: the array "
    "has a gradient attached (attach_grad, or a Parameter's data). Write to a copy of it, y = x * 1, or write to it "
    "outside of autograd.record()."
)
OVERWRITTEN = (
    "An array was written to in place after an operation had recorded its numbers for the gradient. Write to a copy of "
    "it, y = x * 1, or put the parts together with nd.stack or nd.concat. (torch says: {})"
)


class Mark:
    """Where the gradients of a marked array go."""

    __slots__ = ("grad", "request", "fresh")

    def __init__(self, grad: Core | None, request: str) -> None:
        self.grad = grad
        self.request = request
        self.fresh = False  # whether a gradient arrived since somebody last set this to False

    def receive(self, leaf: Tensor) -> None:
        """torch's hook: a gradient has arrived in ``leaf.grad``."""
        found = leaf.grad
        leaf.grad = None
        if found is None or self.grad is None:
            return
        if self.request == "add":
            self.grad.data += found.detach()
        elif self.grad.viewed or not found.is_contiguous():
            self.grad.data.copy_(found.detach())
        else:
            self.grad.data = found.detach()
        self.fresh = True


def mark(array: Core, grad: Core | None, request: str) -> None:
    """From now on ``array`` is a variable, on which nothing recorded before depends; gradients go to ``grad``."""
    if request not in REQUESTS:
        raise ValueError(f"`grad_req` must be one of 'write', 'add', 'null' (got {request!r})")
    if request == "null":
        array.node, array.marked = None, Mark(None, request)
        return
    if dtypes.is_integer(array.data.dtype):
        raise NotImplementedError(
            f"attach_grad() of an array of {dtypes.name(array.data.dtype)}: gradients are of real numbers, as in "
            "PyTorch; use x.astype('float32')"
        )
    leaf = array.data.detach().requires_grad_()
    array.node, array.marked = leaf, Mark(grad, request)
    leaf.register_post_accumulate_grad_hook(array.marked.receive)


def attach_grad(self: Core, grad_req: str = "write", stype: str | None = None) -> None:
    """Makes room for a gradient, zeros at first. ``grad_req``: "write" replaces it, "add" adds, "null" has none."""
    if stype not in (None, "default"):
        raise NotImplementedError(
            f"attach_grad(stype={stype!r}): gradients are dense here, as PyTorch's of dense arrays"
        )
    mark(self, None if grad_req == "null" else plain(torch.zeros_like(self.data), self.ctx), grad_req)


def grad_of(self: Core) -> Any:
    """The gradient of the last `backward`, or None where none is attached."""
    return None if self.marked is None else self.marked.grad


def detach(self: Core) -> Any:
    """The same memory, without what is recorded."""
    root = self if self.root is None else self.root
    separate(root)
    found = plain(self.data, self.ctx)
    found.viewed = root.viewed = True
    return found


def backward(self: Core, out_grad: Core | None = None, retain_graph: bool = False, train_mode: bool = True) -> None:
    """Gradients of this array, summed up under ``out_grad`` (ones), by every array with a gradient attached.

    Raises MXNetError where nothing is recorded, and where ``out_grad`` has another shape.
    """
    backward_of([self], [out_grad], retain_graph, train_mode)


def backward_of(
    heads: Sequence[Core], head_grads: Sequence[Core | None] | None, retain_graph: bool, train_mode: bool
) -> None:
    """`backward` from several arrays at once."""
    nodes, weights = _from(heads, head_grads)
    _run(lambda: torch.autograd.backward(nodes, weights, retain_graph=retain_graph), train_mode)
    if not retain_graph:
        forget(heads)


def gradients(
    heads: Sequence[Core],
    variables: Sequence[Core],
    head_grads: Sequence[Core | None] | None,
    retain_graph: bool,
    create_graph: bool,
    train_mode: bool,
) -> list[Any]:
    """The gradients by ``variables``, instead of into what is attached to them."""
    nodes, weights = _from(heads, head_grads)
    by = [graph(variable) for variable in variables]
    if not all(tensor.requires_grad for tensor in by):
        raise MXNetError("Cannot differentiate by an array that has no gradient attached: call its attach_grad() first")
    found: list[Any] = []

    def run() -> None:
        found.extend(
            torch.autograd.grad(
                nodes, by, weights, retain_graph=retain_graph or create_graph, create_graph=create_graph,
                materialize_grads=True,
            )
        )  # fmt: skip

    _run(run, train_mode)
    if not (retain_graph or create_graph):
        forget(heads)
    made = recorded if create_graph else plain
    return [made(tensor, variable.ctx) for tensor, variable in zip(found, variables, strict=True)]


def forget(heads: Iterable[Core]) -> None:
    """What led to these arrays has been used up."""
    for head in heads:
        if not is_leaf(head):
            head.node = None


def _from(heads: Sequence[Core], head_grads: Sequence[Core | None] | None) -> tuple[list[Tensor], list[Tensor]]:
    """Nodes to begin at and what each weighs."""
    given = [None] * len(heads) if head_grads is None else head_grads
    if len(given) != len(heads):
        raise ValueError("heads and head_grads must be lists of the same length")
    nodes, weights = [], []
    for head, weight in zip(heads, given, strict=True):
        node = graph(head)
        if not node.requires_grad:
            raise MXNetError(NOT_RECORDED)
        if weight is None:
            weights.append(torch.ones_like(head.data))
        elif weight.data.shape != node.shape or weight.data.dtype != node.dtype:
            raise MXNetError(
                f"A head gradient must have the shape and dtype of its head, {head.shape} of "
                f"{dtypes.name(node.dtype)} (got {weight.shape} of {dtypes.name(weight.data.dtype)})"
            )
        else:
            weights.append(graph(weight) if STATE.recording else weight.data)
        nodes.append(node)
    return nodes, weights


def _run(pass_back: Any, train_mode: bool) -> None:
    before = STATE.training, STATE.recording
    STATE.training, STATE.recording = train_mode, False
    try:
        pass_back()
    except RuntimeError as error:
        raise explained(error) from error
    finally:
        STATE.training, STATE.recording = before


def explained(error: RuntimeError) -> RuntimeError:
    """What torch says of its graph, in the words of this door."""
    text = str(error)
    if isinstance(error, MXNetError):
        return error
    if "a second time" in text:
        return MXNetError(NOT_RECORDED)
    if "modified by an inplace operation" in text:
        return MXNetError(OVERWRITTEN.format(text.partition("\n")[0]))
    if "leaf Variable that requires grad" in text:
        return MXNetError(LEAF_WRITTEN)
    return MXNetError(text)


class _Constant(torch.autograd.Function):
    """A result that does not change where its arguments change a little: their gradients are zeros."""

    @staticmethod
    def forward(ctx: Any, out: Tensor, *arguments: Tensor) -> Tensor:
        ctx.like = [(tensor.shape, tensor.dtype) for tensor in arguments]
        return out.clone()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor | None, ...]:
        return None, *[torch.zeros(shape, dtype=dtype) for shape, dtype in ctx.like]


def constant(function: Any, *arrays: Core, **options: Any) -> Any:
    """`core.apply` for a function whose gradients are zero, such as a comparison."""
    if STATE.recording:
        nodes = [node for array in arrays if (node := graph(array)).requires_grad]
        if nodes:
            out = function(*[array.data for array in arrays], **options)
            if out.dtype.is_floating_point:
                return recorded(_Constant.apply(out, *nodes), arrays[0].ctx)
            return plain(out, arrays[0].ctx)
    return apply(function, *arrays, **options)


class _Own(torch.autograd.Function):
    """An operation of `autograd.Function`: its results are there already, its gradient is a method."""

    @staticmethod
    def forward(ctx: Any, backward: Any, ctxs: Any, results: list[Tensor], *arguments: Tensor) -> Any:
        ctx.pass_back, ctx.ctxs, ctx.count = backward, ctxs, len(arguments)
        return tuple(result.clone() for result in results)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        found = ctx.pass_back(*[plain(grad.contiguous(), where) for grad, where in zip(grads, ctx.ctxs, strict=True)])
        given = [found] if isinstance(found, Core) else list(found)
        if len(given) != ctx.count:
            raise MXNetError(
                f"Function.backward must return {ctx.count} gradients, one for every input (got {len(given)})"
            )
        return None, None, None, *[grad.data for grad in given]


def own_function(backward: Any, inputs: Sequence[Core], outputs: Sequence[Core], single: bool) -> Any:
    """The results of a function with a gradient of its own, recorded."""
    ctxs = [output.ctx for output in outputs]
    made = _Own.apply(backward, ctxs, [output.data for output in outputs], *[graph(array) for array in inputs])
    found = [recorded(tensor, where) for tensor, where in zip(made, ctxs, strict=True)]
    return found[0] if single else found


class _Loss(torch.autograd.Function):
    """A result whose gradient is a number, whatever comes from above."""

    @staticmethod
    def forward(ctx: Any, data: Tensor, scale: float) -> Tensor:
        ctx.scale = scale
        return data.clone()

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Tensor, None]:
        return torch.full_like(grad, ctx.scale), None


def loss(data: Core, scale: float) -> Any:
    """The same numbers, whose gradient is ``scale``."""
    return apply(lambda tensor: _Loss.apply(tensor, scale), data)
