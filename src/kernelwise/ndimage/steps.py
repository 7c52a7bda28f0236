"""One-dimensional filters as they are asked for, run one after the other, or several such lists put together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from . import engine
from .arguments import check_real, check_writable
from .correlation import correlate1d
from .lines import fill, one_pass
from .passes import Pass


class Step(NamedTuple):
    """A filter along one axis, not yet checked."""

    axis: int
    weights: Any
    mode: Any


def run(x: np.ndarray, steps: Sequence[Step], cval: Any, out: np.ndarray) -> np.ndarray:
    """Each step of what the one before it left in the dtype of ``out``; without any, a copy."""
    if not steps:
        out[...] = x
    elif "c" in (x.dtype.kind, out.dtype.kind):
        for step in steps:
            correlate1d(x, step.weights, step.axis, out, step.mode, cval)
            x = out
    else:
        fill(x, _passes(x.ndim, steps, cval), out)
    return out


def together(x: np.ndarray, lists: Sequence[Sequence[Step]], cval: Any, how: str, out: np.ndarray) -> bool:
    """Several lists of steps over a real image, put together as ``how`` says ("sum", "squares", "magnitude") while the
    image is walked over once. False, with nothing done, where that cannot be."""
    if "c" in (x.dtype.kind, out.dtype.kind) or "b" in (x.dtype.kind, out.dtype.kind):
        return False
    chains = [_passes(x.ndim, steps, cval) for steps in lists]
    check_real("input", x.dtype)
    check_real("output", out.dtype)
    check_writable(out)
    return engine.combine(x, chains, how, out)


def _passes(ndim: int, steps: Sequence[Step], cval: Any) -> list[Pass]:
    return [one_pass(step.weights, step.axis, ndim, step.mode, cval, 0) for step in steps]
