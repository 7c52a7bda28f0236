"""mx.nd.random: what mx.random has."""

from __future__ import annotations

from typing import Any

from .. import random as _of
from ..random import (
    exponential,
    exponential_like,
    multinomial,
    normal,
    normal_like,
    randint,
    randn,
    shuffle,
    uniform,
    uniform_like,
)

__all__ = [
    "exponential",
    "exponential_like",
    "multinomial",
    "normal",
    "normal_like",
    "randint",
    "randn",
    "shuffle",
    "uniform",
    "uniform_like",
]


def __getattr__(name: str) -> Any:
    return getattr(_of, name)
