"""The arguments of a fit, looked at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arrays import as_image
from ..correlation import check_threads
from ..errors import ArgumentError, ArgumentTypeError
from ..problem import one_of, per_axis, whole_number
from .constraints import SYMMETRIES
from .pairs import Layout

ERRORS = ("white", "robust", "hac")
CRITERIA = ("auto", "bic", "aic", "takeuchi", "cv")
MOST_TAPS = 4096  # in all channels: the Gram matrix of so many takes 128 MB


@dataclass(frozen=True)
class Options:
    """What is asked of a fit."""

    layout: Layout
    size: tuple[int, ...] | None  # None: chosen from the data
    max_size: tuple[int, ...]
    background: bool
    ridge: float | None  # None: chosen from the data, where one is needed
    errors: str
    x_noise: float
    nonnegative: bool
    symmetric: str | None
    sum_to: float | None
    prior: np.ndarray | None
    criterion: str  # by which the size is chosen
    threads: int | None


def options(
    dims: int | None,
    channels: bool,
    size: Any,
    max_size: Any,
    before: Any,
    *,
    background: Any,
    ridge: Any,
    errors: Any,
    x_noise: Any,
    nonnegative: Any,
    symmetric: Any,
    sum_to: Any,
    prior: Any,
    threads: Any,
    criterion: Any = "auto",
) -> Options:
    """``before``: the first image, whose axes tell how many a kernel has, unless ``dims`` or ``size`` does."""
    for name, value in (("background", background), ("nonnegative", nonnegative), ("channels", channels)):
        if not isinstance(value, (bool, np.bool_)):
            raise ArgumentTypeError(f"`{name}` must be True or False (got {value!r})")
    layout = Layout(_dims(dims, size, before, bool(channels)), bool(channels))
    automatic = isinstance(size, str)
    if automatic and size != "auto":
        raise ArgumentError(f"`size` must be 'auto', a number or one for each axis (got {size!r})")
    one_of("errors", errors, ERRORS)
    one_of("criterion", criterion, CRITERIA)
    if symmetric is not None:
        one_of("symmetric", symmetric, SYMMETRIES)
    return Options(
        layout,
        None if automatic else tuple(per_axis("size", size, layout.dims, 1)),
        tuple(per_axis("max_size", max_size, layout.dims, 1)),
        bool(background),
        ridge_number(ridge),
        errors,
        _number("x_noise", x_noise),
        bool(nonnegative),
        symmetric,
        None if sum_to is None else _number("sum_to", sum_to, least=-math.inf),
        None if prior is None else _prior(prior),
        criterion,
        check_threads(threads),
    )


def ridge_number(ridge: Any) -> float | None:
    """None stands for "auto"."""
    return None if isinstance(ridge, str) and ridge == "auto" else _number("ridge", ridge, "'auto' or ")


def _dims(dims: Any, size: Any, before: Any, channels: bool) -> int:
    if dims is not None:
        return whole_number("dims", dims, 1, 3)
    if isinstance(size, (tuple, list)):
        if not 1 <= len(size) <= 3:
            raise ArgumentError(f"`size` must have one to three numbers (got {size!r})")
        return len(size)
    return 1 if as_image("before", before).ndim - channels == 1 else 2


def _number(name: str, given: Any, other: str = "", least: float = 0.0) -> float:
    allowed = f"`{name}` must be {other}a {'non-negative ' if least == 0 else ''}number (got {given!r})"
    if isinstance(given, (bool, str)) or np.ndim(given) != 0:
        raise ArgumentTypeError(allowed)
    try:
        value = float(given)
    except (TypeError, ValueError):
        raise ArgumentTypeError(allowed) from None
    if not (math.isfinite(value) and value >= least):
        raise ArgumentError(allowed)
    return value


def _prior(given: Any) -> np.ndarray:
    kernel = as_image("prior", given)
    if kernel.dtype.kind not in "biuf" or not np.isfinite(kernel).all():
        raise ArgumentTypeError(f"`prior` must hold finite real numbers (got {kernel.dtype})")
    return kernel.astype(np.float64)
