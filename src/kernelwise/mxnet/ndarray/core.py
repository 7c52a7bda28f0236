"""What an array is: numbers in a torch tensor, and what is recorded about them.

Two tensors share an array's memory. `data` knows nothing of gradients; every operation outside of ``autograd.record()``
uses it. `node` is there for arrays that gradients flow through, and operations use it while they are recorded. So
nothing need be switched on or off, and memory may be written to between recordings, as MXNet's programs do.

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

    __slots__ = ("data", "node", "ctx", "root", "viewed", "marked", "__weakref__")

    def __init__(self, data: Tensor, node: Tensor | None = None, ctx: Context = CPU, root: Core | None = None) -> None:
        self.data = data
        self.node = node  # the same memory, in torch's graph
        self.ctx = ctx
        self.root = root  # the array whose memory this is a view of
        self.viewed = False  # whether there may be views of it
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
    """The tensor that a recorded operation reads."""
    node = array.node
    if node is not None:
        return node
    root = array.root
    if root is not None and root.node is not None and root.marked is None:
        return view_of(root.node, array, root)  # something recorded was written into the memory it shares
    return array.data


def view_of(node: Tensor, array: Core, root: Core) -> Tensor:
    """Where ``array`` lies in ``node``, the tensor of its root."""
    first = array.data.storage_offset() - root.data.storage_offset()
    return node.view(-1)[first : first + array.data.numel()].view(array.data.shape)


def apply(function: Callable[..., Tensor], *arrays: Core, **options: Any) -> NDArray:
    """The function on the arrays' tensors, recorded if that is asked for."""
    if STATE.recording:
        return recorded(function(*[graph(array) for array in arrays], **options), arrays[0].ctx)
    return _made(function(*[array.data for array in arrays], **options), None, arrays[0].ctx)


def view(array: Core, data: Tensor, node: Callable[[Tensor], Tensor]) -> NDArray:
    """A view: ``data`` is the part of the array's memory, ``node(tensor)`` takes the same part of its tensor."""
    root = array if array.root is None else array.root
    root.viewed = True
    if STATE.recording:
        whole = graph(array)
        if whole.requires_grad:
            part = node(whole)
            return _made(part.detach(), part, array.ctx, root)
    return _made(data, None, array.ctx, root)


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
