"""Distances to a map's pixels, and the largest matching of two maps within a distance: both exact."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..algorithms.routine import current_target
from ..errors import ArgumentError
from ..jit import pool
from ..jit.compile import Code, build
from ..jit.target import Target
from . import distance_code, matching_code
from .words import words

BUDGET = 1 << 15  # found pixels that are looked at in one go, a few milliseconds: then Ctrl-C is looked for
COLUMNS = 256  # in a unit of the first pass of distances
BAND = 1 << 20  # pixels whose distances are kept at a time
ALONE = 1 << 19  # pixels; for maps up to this size a second thread costs more than it brings
MOST_PIXELS = 2**31 - 2

Map = NDArray[np.bool_]


@lru_cache(maxsize=8)
def _code(name: str, target: Target) -> Code:
    emit = {"matching": matching_code.emit, "distances": distance_code.emit}[name]
    return build(("edges", name), lambda: emit(target), target)


def forget() -> None:
    """Drop the code in memory. Code that still runs is kept alive by its caller."""
    _code.cache_clear()


def squared_distances(true: Map, where: Map, threads: int | None = None) -> NDArray[np.int64]:
    """For each pixel of ``where``, row by row, the squared distance in pixels to the nearest pixel of ``true``.

    true, where: (H, W) boolean; ``true`` has at least one pixel. Returns int64, exact.

    >>> true = np.zeros((3, 4), bool); true[0, 0] = True
    >>> squared_distances(true, np.ones((3, 4), bool)).reshape(3, 4)[2]
    array([ 4,  5,  8, 13])
    """
    rows, columns = true.shape
    given = np.ascontiguousarray(true).view(np.uint8)
    down = np.empty(true.shape, np.int32)
    code, threads = _code("distances", current_target()), threads or (pool.threads() if true.size > ALONE else 1)
    groups = -(-columns // COLUMNS)
    band = max(1, BAND // columns)
    squared = np.empty((min(rows, band), columns), np.int64)
    arrays: dict[str, NDArray] = {"map": given, "down": down, "squared": squared}
    args = words(distance_code.FIELDS, arrays, {"rows": rows, "columns": columns, "group": COLUMNS})
    pool.run(code.address("down"), args.ctypes.data, 0, groups, threads)
    found = []
    for start in range(0, rows, band):
        count = min(band, rows - start)
        wanted = where[start : start + count]
        if wanted.any():
            args[distance_code.FIELDS.index("first_row")] = start
            pool.run(code.address("across"), args.ctypes.data, 16 * columns, count, threads)
            found.append(squared[:count][wanted])
    return np.concatenate(found) if found else np.empty(0, np.int64)


def match(places: NDArray[np.integer], true: Map, radius: float, groups: NDArray | None = None) -> NDArray[np.int64]:
    """The largest matching of pixels with those of ``true`` within ``radius`` pixels, each in one pair at most.

    places: (n,) int, the pixels to be matched as flat indices into the map, all different; true: (H, W) boolean. Two
    pixels may be paired where dy**2 + dx**2 <= radius**2. groups: (n,) int, ascending, the group of each; one group if
    not given. Returns (n,) int64: the flat index of the true pixel, or -1. The first groups, however many, have as many
    partners as they can have without regard to those that follow; within a group, earlier pixels are tried first.

    >>> true = np.zeros((1, 6), bool); true[0, [1, 2]] = True
    >>> match(np.array([3, 2, 5]), true, 1.0)
    array([ 2,  1, -1])
    """
    rows, columns = true.shape
    if true.size > MOST_PIXELS:
        raise ArgumentError(f"an edge map must have at most {MOST_PIXELS} pixels (got {true.shape})")
    total, count = int(true.sum()), len(places)
    true_of = np.full(count, -1, np.int32)
    if total and count:
        strips, widths = _strips(radius, rows)
        y, x = np.divmod(np.asarray(places, np.int32), np.int32(columns))
        before = np.zeros(true.size + 1, np.int32)
        np.cumsum(true, dtype=np.int32, out=before[1:])
        arrays: dict[str, NDArray] = {
            "before": before,
            "strips": strips,
            "widths": widths,
            "found_y": y,
            "found_x": x,
            "true_of": true_of,
        }
        arrays |= {name: np.arange(total + 1, dtype=np.int32) for name in ("free", "alive", "open")}
        arrays |= {name: np.full(total + 1, -1, np.int32) for name in ("found_of", "seen")}
        arrays |= {name: np.zeros(total + 1, np.int32) for name in ("passed", "way_found", "way_true", "way_strip")}
        arrays["group_stop"] = _group_stops(groups, count)
        _run(arrays, {"rows": rows, "columns": columns, "strip_count": len(strips), "count": count, "budget": BUDGET})
    return np.append(np.flatnonzero(true), -1)[true_of]


def _run(arrays: dict[str, NDArray], numbers: dict[str, int]) -> None:
    """Piece by piece, until all is done."""
    args = words(matching_code.FIELDS, arrays, numbers)
    code, done = _code("matching", current_target()), matching_code.FIELDS.index("done")
    while not args[done]:
        pool.run(code.address("match"), args.ctypes.data, 0, 1, 1)


def _group_stops(groups: NDArray | None, count: int) -> NDArray[np.int32]:
    """For each index the one at which its group ends."""
    if groups is None:
        return np.full(count, count, np.int32)
    return np.searchsorted(groups, groups, side="right").astype(np.int32)


@lru_cache(maxsize=64)
def _strips(radius: float, rows: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows within the radius, 0, -1, 1, -2, ... from the pixel, and how many columns each reaches."""
    most = min(math.floor(radius), rows)
    strips = sorted(range(-most, most + 1), key=lambda dy: (abs(dy), dy))
    squared = radius * radius
    widths = [math.isqrt(math.floor(squared - dy * dy)) for dy in strips]
    return np.array(strips, np.int64), np.array(widths, np.int64)
