"""mx.util: whether MXNet's NumPy-like arrays are in use (never, here), and small things beside."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

from .context import gpu_memory_info, num_gpus
from .uncovered import lookup, table

F = TypeVar("F", bound=Callable[..., object])

_UNCOVERED = table(
    "mx.util.",
    """
    np_array np_shape set_np set_np_shape use_np use_np_array use_np_shape: torch's functions on tensors
    get_cuda_compute_capability: torch.cuda.get_device_capability
    """,
)


def __getattr__(name: str) -> object:
    return lookup(__name__, _UNCOVERED, name)


def is_np_array() -> bool:
    """False: arrays are mx.nd's."""
    return False


def is_np_shape() -> bool:
    """False: arrays are mx.nd's."""
    return False


def reset_np() -> None:
    """Nothing: arrays are mx.nd's already."""


def set_module(module: str) -> Callable[[F], F]:
    """A decorator: the room that a function is said to come from."""

    def named(function: F) -> F:
        function.__module__ = module
        return function

    return named


def getenv(name: str) -> str | None:
    """A variable of the environment."""
    return os.environ.get(name)


def setenv(name: str, value: str | None) -> None:
    """Sets a variable of the environment, or takes it away."""
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def get_gpu_count() -> int:
    """0."""
    return num_gpus()


def get_gpu_memory(gpu_dev_id: int) -> tuple[int, int]:
    """Raises MXNetError: there is none."""
    return gpu_memory_info(gpu_dev_id)
