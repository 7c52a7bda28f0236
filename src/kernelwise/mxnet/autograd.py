"""mx.autograd: recording operations, and gradients from what was recorded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .ndarray import graph
from .ndarray.core import Core
from .recording import STATE
from .uncovered import lookup, table

__all__ = [
    "Function",
    "backward",
    "grad",
    "is_recording",
    "is_training",
    "mark_variables",
    "pause",
    "predict_mode",
    "record",
    "set_recording",
    "set_training",
    "train_mode",
]

_UNCOVERED = table("autograd.", "get_symbol: torch.fx, or a function of the arrays")


def __getattr__(name: str) -> object:
    return lookup(__name__, _UNCOVERED, name)


def is_recording() -> bool:
    """Whether operations are recorded."""
    return STATE.recording


def is_training() -> bool:
    """Whether layers behave as in training."""
    return STATE.training


def set_recording(is_record: bool) -> bool:
    """From now on operations are recorded, or not. Returns what was before."""
    before, STATE.recording = STATE.recording, bool(is_record)
    return before


def set_training(train_mode: bool) -> bool:
    """From now on layers behave as in training, or not. Returns what was before."""
    before, STATE.training = STATE.training, bool(train_mode)
    return before


class _Scope:
    """A block with another state, which may be entered again inside itself."""

    def __init__(self, recording: bool | None, training: bool | None) -> None:
        self._recording, self._training = recording, training
        self._before: list[tuple[bool, bool, bool]] = []

    def __enter__(self) -> None:
        self._before.append((STATE.recording, STATE.training, torch.is_grad_enabled()))
        if self._recording is not None:
            STATE.recording = self._recording
            if self._recording:
                torch.set_grad_enabled(True)
        if self._training is not None:
            STATE.training = self._training

    def __exit__(self, *error: Any) -> None:
        STATE.recording, STATE.training, enabled = self._before.pop()
        torch.set_grad_enabled(enabled)


def record(train_mode: bool = True) -> _Scope:
    """A block whose operations are recorded for gradients; layers behave as in training unless told otherwise.

    >>> from kernelwise.mxnet import nd
    >>> x = nd.array([1, 2])
    >>> x.attach_grad()
    >>> with record():
    ...     y = x * x
    >>> y.backward()
    >>> print(x.grad.asnumpy())
    [2. 4.]
    """
    return _Scope(True, train_mode)


def pause(train_mode: bool = False) -> _Scope:
    """A block whose operations are not recorded."""
    return _Scope(False, train_mode)


def train_mode() -> _Scope:
    """A block in which layers behave as in training."""
    return _Scope(None, True)


def predict_mode() -> _Scope:
    """A block in which layers behave as in use."""
    return _Scope(None, False)


def mark_variables(variables: Any, gradients: Any, grad_reqs: str | Sequence[str] = "write") -> None:
    """Arrays as variables with arrays as their gradients: what attach_grad() does with zeros."""
    if isinstance(variables, Core):
        variables, gradients = [variables], [gradients]
    requests = [grad_reqs] * len(variables) if isinstance(grad_reqs, str) else grad_reqs
    for variable, gradient, request in zip(variables, gradients, requests, strict=True):
        graph.mark(variable, gradient, request)


def backward(heads: Any, head_grads: Any = None, retain_graph: bool = False, train_mode: bool = True) -> None:
    """Gradients of one or several arrays into what is attached to the arrays they were made from."""
    if isinstance(heads, Core):
        heads, head_grads = [heads], None if head_grads is None else [head_grads]
    graph.backward_of(heads, head_grads, retain_graph, train_mode)


def grad(
    heads: Any,
    variables: Any,
    head_grads: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    train_mode: bool = True,
) -> Any:
    """The gradients of ``heads`` by ``variables``: an array for an array, a list for a list.

    ``create_graph``: inside a `record` block, the gradients are recorded too, and so have gradients of their own.
    """
    if isinstance(heads, Core):
        heads, head_grads = [heads], None if head_grads is None else [head_grads]
    by = [variables] if isinstance(variables, Core) else list(variables)
    if not by:
        raise AssertionError("variables cannot be an empty list.")
    kept = create_graph if retain_graph is None else retain_graph
    found = graph.gradients(heads, by, head_grads, kept, create_graph, train_mode)
    return found[0] if isinstance(variables, Core) else found


class Function:
    """An operation with a gradient of one's own: a subclass has ``forward(*arrays)`` and ``backward(*grads)``.

    What backward needs is kept by ``self.save_for_backward(*arrays)``, and found in ``self.saved_tensors``. An instance
    is used once, by calling it.
    """

    def __init__(self) -> None:
        self.saved_tensors: tuple[Any, ...] = ()
        self._used = False

    def save_for_backward(self, *args: Any) -> None:
        """Keeps arrays for `backward`."""
        self.saved_tensors = args

    def forward(self, *inputs: Any) -> Any:
        """What is computed: an array or several."""
        raise NotImplementedError

    def backward(self, *output_grads: Any) -> Any:
        """The gradients by every input, from those by every output."""
        raise NotImplementedError

    def __call__(self, *inputs: Any) -> Any:
        if self._used:
            raise AssertionError("Each Function instance can only be called once. Please create another instance.")
        self._used = True
        with pause(STATE.training):
            found = self.forward(*inputs)
        outputs = [found] if isinstance(found, Core) else list(found)
        if not STATE.recording:
            return found
        return graph.own_function(self.backward, inputs, outputs, isinstance(found, Core))
