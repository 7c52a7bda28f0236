"""What is scored: maps and lists of maps, made into one form."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arrays import as_image
from ..errors import ArgumentError, ArgumentTypeError
from .arguments import as_map

MOST_THRESHOLDS = 65535

Map = NDArray[np.bool_]
Pair = tuple[NDArray, list[Map]]  # found, boolean or float; true, one map for each annotator


def images(found: Any, truth: Any) -> tuple[list[Pair], bool]:
    """One (found, [true, ..]) for each image, and whether the found maps are soft."""
    single = _is_map(found)
    given = [_found(one) for one in ([found] if single else _listed("found", found))]
    truths = [truth] if single else _listed("truth", truth)
    if not given:
        raise ArgumentError(f"`found` must hold at least one map (got {found!r})")
    if len(truths) != len(given):
        raise ArgumentError(f"`truth` must have an entry for each map of `found` (got {len(truths)} and {len(given)})")
    pairs = [(one, _truths(true, one.shape)) for one, true in zip(given, truths, strict=True)]
    soft = {one.dtype.kind == "f" for one in given}
    if len(soft) > 1:
        raise ArgumentTypeError("`found` must hold either boolean or soft maps (got both)")
    return pairs, soft.pop()


def levels(pairs: list[Pair], soft: bool, thresholds: Any) -> NDArray[np.float64]:
    """The thresholds, ascending; for boolean maps 1 alone."""
    allowed = f"`thresholds` must be a number from 1 to {MOST_THRESHOLDS}, or ascending finite numbers"
    if isinstance(thresholds, (str, bytes, bool)):
        raise ArgumentTypeError(f"{allowed} (got {thresholds!r})")
    if np.ndim(thresholds) == 0:
        try:
            n = operator.index(thresholds)
        except TypeError:
            raise ArgumentTypeError(f"{allowed} (got {thresholds!r})") from None
        if not 1 <= n <= MOST_THRESHOLDS:
            raise ArgumentError(f"{allowed} (got {thresholds!r})")
        if soft and any(one.size and (one.min() < 0 or one.max() > 1) for one, _ in pairs):
            raise ArgumentError("`found` must lie between 0 and 1, or `thresholds` must name thresholds for its range")
        at = np.arange(1, n + 1) / (n + 1)
    else:
        try:
            at = np.array(thresholds, np.float64)
        except (TypeError, ValueError):
            raise ArgumentTypeError(f"{allowed} (got {thresholds!r})") from None
        ordered = at.ndim == 1 and 1 <= len(at) <= MOST_THRESHOLDS and np.isfinite(at).all() and (np.diff(at) > 0).all()
        if not ordered:
            raise ArgumentError(f"{allowed} (got {thresholds!r})")
    return at if soft else np.ones(1)


def _is_map(given: Any) -> bool:
    return getattr(given, "ndim", None) == 2 or (not hasattr(given, "ndim") and np.ndim(_first(given)) == 1)


def _first(given: Any) -> Any:
    return given[0] if isinstance(given, (list, tuple)) and given else None


def _listed(name: str, given: Any) -> list[Any]:
    if isinstance(given, (list, tuple)) or getattr(given, "ndim", 0) > 2:
        return list(given)
    raise ArgumentTypeError(f"`{name}` must be a map (H, W), or a list of them for several images (got {given!r:.60})")


def _found(given: Any) -> NDArray:
    """A map as boolean or float64: integers by their dtype's largest value, but 0 and 1 alone are booleans."""
    array = as_image("found", given)
    if array.ndim != 2:
        raise ArgumentError(f"`found` must be a map (H, W), or a list of maps (got one of shape {array.shape})")
    if array.dtype.kind == "f":
        if np.isnan(array).any():
            raise ArgumentError("`found` must not hold NaN (a pixel without an edge is 0)")
        return array.astype(np.float64)
    if array.dtype.kind == "b":
        return array
    if array.dtype.kind in "iu" and (array.size == 0 or (array.min() >= 0 and array.max() <= 1)):
        return array != 0
    if array.dtype.kind == "u" and array.dtype.itemsize <= 2:
        return array / np.float64(np.iinfo(array.dtype).max)
    raise ArgumentTypeError(
        f"`found` must hold booleans, floats, uint8, uint16, or integers of 0 and 1 only (got {array.dtype})"
    )


def _truths(given: Any, shape: tuple[int, ...]) -> list[Map]:
    maps = [given] if _is_map(given) else _listed("truth", given)
    if not maps:
        raise ArgumentError("`truth` must hold at least one map for each image (got none)")
    return [as_map("truth", one, shape) for one in maps]
