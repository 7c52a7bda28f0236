"""Step 1, the operator: corr2d, correlate, convolve, Filter and explain."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import plan as planning
from .arrays import as_image, as_kernel, check_out, largest_magnitude
from .errors import ArgumentError
from .problem import NeedsLargest, Problem, normalise, whole_number
from .run import run

DEFAULTS = dict(
    mode="same", border="reflect", fill=0, anchor=None, stride=1, dilation=1, axes=None, nan="propagate", dtype=None
)


def corr2d(X: Any, K: Any) -> np.ndarray:
    return correlate(X, K, mode="valid")


def correlate(x: Any, k: Any, *, mode="same", border="reflect", fill=0, anchor=None, stride=1, dilation=1, axes=None, nan="propagate", method="auto", dtype=None, out=None, threads=None) -> np.ndarray:
    return _apply(x, k, False, method, out, threads, mode=mode, border=border, fill=fill, anchor=anchor, stride=stride, dilation=dilation, axes=axes, nan=nan, dtype=dtype)


def convolve(x: Any, k: Any, *, mode="same", border="reflect", fill=0, anchor=None, stride=1, dilation=1, axes=None, nan="propagate", method="auto", dtype=None, out=None, threads=None) -> np.ndarray:
    return _apply(x, k, True, method, out, threads, mode=mode, border=border, fill=fill, anchor=anchor, stride=stride, dilation=dilation, axes=axes, nan=nan, dtype=dtype)


def _apply(x, k, flip, method, out, threads, **options):
    x = as_image("x", x)
    problem = _problem(x, as_kernel(k), flip, options)
    if out is None:
        out = np.empty(problem.result_shape, problem.result)
    else:
        check_out(out, problem)
    return run(planning.choose(problem, method), x, out, threads or 1)


def _problem(x: np.ndarray, k: np.ndarray, flip: bool, options: dict) -> Problem:
    try:
        return normalise(x.shape, x.dtype, k, flip=flip, **options)
    except NeedsLargest:
        return normalise(x.shape, x.dtype, k, flip=flip, largest=largest_magnitude(x), **options)


class Filter:
    """Plan once, apply often."""

    def __init__(self, k: Any, **options: Any) -> None:
        self.k, self.options = k, options

    def __call__(self, x: Any, out: np.ndarray | None = None) -> np.ndarray:
        return correlate(x, self.k, out=out, **self.options)


def explain(x: Any, k: Any, **options: Any) -> planning.Plan:
    x = as_image("x", x)
    return planning.choose(_problem(x, as_kernel(k), False, {**DEFAULTS, **options}))
