"""The one state that everything random of this door is drawn from, and setting it."""

from __future__ import annotations

from typing import Any

from ..base import integer_types
from ..context import Context
from .generator import Generator

GENERATOR = Generator()


def seed(seed_state: int, ctx: Any = "all") -> None:
    """Back to the beginning of the sequence that belongs to a whole number. NumPy's generator is not touched.

    ``ctx``: all processors share one state, and that of a GPU, which is not there, may be set too.
    Raises ValueError for what is no whole number.

    >>> from kernelwise.mxnet import nd
    >>> seed(10)
    >>> nd.random.uniform(shape=2).asnumpy()
    array([0.71817625, 0.03998936], dtype=float32)
    """
    if not isinstance(seed_state, integer_types):
        raise ValueError("seed_state must be int")
    if ctx != "all" and Context(ctx).device_type == "gpu":
        return
    GENERATOR.seed(int(seed_state))
