"""What an array is: numbers in a torch tensor, and what is recorded about them.

An array has two tensors of the same numbers. `data` knows nothing of gradients; every operation outside of
``autograd.record()`` uses it. `node` is there for arrays that gradients flow through, and operations use it while they
are recorded. So nothing need be switched on or off, and arrays may be written to between recordings, as programs for
MXNet do. The two share their memory until somebody looks at it from elsewhere while recording: then `data` is what is
written in place, for all to see, and `node` another tensor, so that what operations have kept for gradients stays.

`data` is contiguous in C order at all times, so that MXNet's rules for views hold: a slice of it that is contiguous too
is a view, and so is every reshape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..context import CPU, Context
from ..recording import STATE
from . import dtypes

if TYPE_CHECKING:
    from .array import NDArray


class Core:
    """The numbers of an array, without its operators and methods."""

    __slots__ = ("data", "node", "ctx", "root", "viewed", "origin", "marked", "__weakref__")

    def __init__(self, data: Tensor, node: Tensor | None = None, ctx: Context = CPU, root: Core | None = None) -> None:
        self.data = data
        self.node = node  # the same numbers, in torch's graph
        self.ctx = ctx
        self.root = root  # the array whose memory this is a view of
        self.viewed = False  # whether there may be views of it
        self.origin: Any = None  # of a view: the root's node that its own was taken from
        self.marked: Any = None  # what `graph.mark` keeps: where gradients go

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of all axes."""
        return tuple(self.data.shape)

    @property
    def ndim(self) -> int:
        """How many axes there are."""
        return self.data.ndim

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return self.data.numel()

    @property
    def dtype(self) -> type[np.generic]:
        """NumPy's class: ``numpy.float32``."""
        return dtypes.NUMPY[self.data.dtype]

    @property
    def context(self) -> Context:
        """Where it lives: cpu(0)."""
        return self.ctx

    @property
    def stype(self) -> str:
        """Arrays are dense here: "default"."""
        return "default"


CONSTANT = object()  # the origin of views that were taken out of what is recorded
_made: Callable[..., NDArray]


def register(kind: Callable[..., NDArray]) -> None:
    """Names the class of results; `array` does, once."""
    global _made
    _made = kind


def plain(data: Tensor, ctx: Context = CPU) -> NDArray:
    """An array of these numbers, which nothing is recorded about."""
    return _made(data, None, ctx)


def recorded(out: Tensor, ctx: Context = CPU) -> NDArray:
    """An array of the result of recorded operations."""
    if out.requires_grad:
        return _made(out.detach(), out, ctx)
    return _made(out, None, ctx)


def graph(array: Core) -> Tensor:
    """The tensor that a recorded operation reads. A view's follows what was written into the array it is a view of."""
    root = array.root
    if root is not None and root.node is not array.origin and array.origin is not CONSTANT and not is_leaf(root):
        array.node = None if root.node is None else view_of(root.node, array, root)
        array.origin = root.node
    return array.data if array.node is None else array.node


def is_leaf(array: Core) -> bool:
    """Whether it has a gradient attached: its node depends on nothing."""
    return array.node is not None and array.node.is_leaf


def view_of(node: Tensor, array: Core, root: Core) -> Tensor:
    """Where ``array`` lies in ``node``, the tensor of its root."""
    first = array.data.storage_offset() - root.data.storage_offset()
    return node.view(-1)[first : first + array.data.numel()].view(array.data.shape)


def apply(function: Callable[..., Tensor], *arrays: Core, **options: Any) -> NDArray:
    """The function on the arrays' tensors, recorded if that is asked for."""
    if STATE.recording:
        return recorded(function(*[graph(array) for array in arrays], **options), arrays[0].ctx)
    return _made(function(*[array.data for array in arrays], **options), None, arrays[0].ctx)


def view(array: Core, part: Tensor, take: Callable[[Tensor], Tensor]) -> NDArray:
    """A view of ``part`` of the array's memory, which ``take`` finds in a tensor of the array's shape.

    Of what is recorded it knows if it was made while recording, or before anything was.
    """
    root = array if array.root is None else array.root
    if root.node is None and array.node is None:
        root.viewed = True
        return _made(part, None, array.ctx, root)
    if not STATE.recording:
        root.viewed = True
        made = _made(part, None, array.ctx, root)
        made.origin = CONSTANT
        return made
    whole = graph(array)
    if not is_leaf(root) and separate(root):
        part = take(array.data)
    root.viewed = True
    made = _made(part, None, array.ctx, root)
    if whole.requires_grad:
        made.node, made.origin = take(whole), root.node
    return made


def separate(root: Core) -> bool:
    """Memory of its own for `data`, while nobody else looks at it. Returns whether it has moved."""
    node = root.node
    if node is None or root.viewed or node.data_ptr() != root.data.data_ptr():
        return False
    root.data = root.data.clone()
    return True


def is_array(value: Any) -> bool:
    """Whether it is an array of this door."""
    return isinstance(value, Core)


def need(name: str, value: Any) -> Core:
    """An operator's argument that must be an array. Raises AssertionError, as MXNet does."""
    if not isinstance(value, Core):
        raise AssertionError(f"Argument {name} must have NDArray type, but got {value}")
    return value


def packed(tensor: Tensor) -> Tensor:
    """A copy in C order."""
    return tensor.clone(memory_format=torch.contiguous_format)
