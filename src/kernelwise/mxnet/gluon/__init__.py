"""mx.gluon: networks of blocks, and their training."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ..uncovered import lookup, table
from . import block, nn, parameter, utils
from .block import Block, HybridBlock
from .parameter import Constant, DeferredInitializationError, Parameter, tensor_types
from .parameter_dict import ParameterDict

__all__ = [
    "Block",
    "Constant",
    "DeferredInitializationError",
    "HybridBlock",
    "Parameter",
    "ParameterDict",
    "Trainer",
    "block",
    "data",
    "loss",
    "nn",
    "parameter",
    "tensor_types",
    "trainer",
    "utils",
]

_LATER = ("data", "loss", "trainer")  # rooms that are imported when first asked for
_UNCOVERED = table(
    "gluon.",
    """
    SymbolBlock: torch.export.load
    contrib: torch.nn
    model_zoo: torchvision.models
    rnn: torch.nn.LSTM, torch.nn.GRU
    """,
)


def __getattr__(name: str) -> Any:
    if name == "Trainer":
        return import_module(f"{__name__}.trainer").Trainer
    if name in _LATER:
        return import_module(f"{__name__}.{name}")
    return lookup(__name__, _UNCOVERED, name)
