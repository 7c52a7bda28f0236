"""Where arrays live: contexts, which here are all this machine's processor. A GPU's can be named, and not used."""

from __future__ import annotations

import threading
from typing import Any

from .base import MXNetError

TYPES = {1: "cpu", 2: "gpu", 3: "cpu_pinned", 5: "cpu_shared"}
NUMBERS = {name: number for number, name in TYPES.items()}


class Context:
    """A device: ``Context("cpu", 0)``, or ``cpu()``. Inside ``with context:`` arrays are made on it.

    >>> cpu() == Context("cpu", 0), cpu(1)
    (True, cpu(1))
    """

    devtype2str = TYPES
    devstr2type = NUMBERS
    _current = threading.local()

    def __init__(self, device_type: str | Context, device_id: int = 0) -> None:
        self.device_typeid: int
        self.device_id: int
        if isinstance(device_type, Context):
            self.device_typeid, self.device_id = device_type.device_typeid, device_type.device_id
        else:
            self.device_typeid, self.device_id = NUMBERS[device_type], device_id
        self._outside: Context | None = None

    @property
    def device_type(self) -> str:
        """ "cpu", "gpu", "cpu_pinned" or "cpu_shared"."""
        return TYPES[self.device_typeid]

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Context)
            and self.device_typeid == other.device_typeid
            and self.device_id == other.device_id
        )

    def __hash__(self) -> int:
        return hash((self.device_typeid, self.device_id))

    def __repr__(self) -> str:
        return f"{self.device_type}({self.device_id})"

    def __enter__(self) -> Context:
        self._outside = current_context()
        Context._current.value = self
        return self

    def __exit__(self, *error: Any) -> None:
        Context._current.value = self._outside

    def empty_cache(self) -> None:
        """Nothing is kept that could be emptied."""


CPU = Context("cpu", 0)


def cpu(device_id: int = 0) -> Context:
    """This machine's processor. Numbers other than 0 are names for the same."""
    return Context("cpu", device_id)


def cpu_pinned(device_id: int = 0) -> Context:
    """This machine's processor."""
    return Context("cpu_pinned", device_id)


def gpu(device_id: int = 0) -> Context:
    """A context that can be named and compared; making an array on it raises MXNetError."""
    return Context("gpu", device_id)


def num_gpus() -> int:
    """0: kernelwise computes on the processor."""
    return 0


def gpu_memory_info(device_id: int = 0) -> tuple[int, int]:
    """Raises MXNetError: there is none."""
    raise MXNetError(f"{gpu(device_id)} has no memory here: kernelwise.mxnet computes on the CPU")


def current_context() -> Context:
    """The context of the innermost ``with`` block, otherwise cpu(0)."""
    found: Context = getattr(Context._current, "value", CPU)
    return found


def usable(context: Context | None) -> Context:
    """The context to make an array on. Raises MXNetError for a GPU's and AttributeError for what is no context."""
    if context is None:
        return current_context()
    if context.device_typeid == 2:
        raise MXNetError(
            "Compile with USE_CUDA=1 to enable GPU usage: kernelwise.mxnet computes on the CPU, "
            f"so {context} cannot hold arrays; use mx.cpu(), or PyTorch's own layers on a GPU"
        )
    return context
