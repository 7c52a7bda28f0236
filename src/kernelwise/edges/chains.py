"""Edge pixels linked into ordered chains."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..algorithms.routine import current_target
from ..errors import ArgumentError, ArgumentTypeError
from ..jit import pool
from ..jit.compile import Code, build
from ..jit.target import Target
from ..problem import LARGEST_STEP, whole_number
from . import chain_code
from .arguments import as_map
from .points import Points
from .words import words

ROUNDS = 2  # of choosing neighbours: pixels whose first choice did not choose them have another
LINES = 64  # rows in a unit of work
MOST_BYTES = 2**31 - 1  # of a framed map


class Chain(NamedTuple):
    """Edge pixels one after the other, each a neighbour of the one before.

    pixels : int64 (n, 2), row and column.
    closed : whether the last is a neighbour of the first and linked with it.
    positions : float64 (n, 2), y and x in pixels of the point found from each pixel, NaN where it has none; None if
        no points were given.
    """

    pixels: NDArray[np.int64]
    closed: bool
    positions: NDArray[np.float64] | None = None


def link(edges: Any, points: Points | None = None, *, min_length: int = 1) -> list[Chain]:
    """Link the pixels of an edge map into ordered chains. Every edge pixel belongs to exactly one of them.

    edges : (H, W), booleans or integers, an edge where not 0; lines one pixel thin, as `canny` gives them.
    points : Points of these pixels, from `subpixel`; the chains then hold their positions.
    min_length : chains of fewer pixels are left out.

    Neighbours are the eight around a pixel, but a diagonal step is none where a corner between the two is an edge
    pixel too: then the way is over the corner. A pixel with more than two neighbours is a junction; the two that lie
    straightest across it go on through it (of several such pairs the first, turning clockwise from the right), and
    the others' chains end beside it. A thick line falls into several chains side by side: thin it first.

    Returns a list of Chain: open ones first, then closed ones, each kind in the order of its first pixel, row by row.
    An open chain begins at the end of it that comes first, a closed one at its first pixel, clockwise to begin with.
    Raises ArgumentError or ArgumentTypeError naming the argument.

    >>> edges = np.zeros((3, 6), bool); edges[1, 1:4] = edges[0, 4] = True
    >>> link(edges)[0].pixels.tolist()
    [[0, 4], [1, 3], [1, 2], [1, 1]]
    """
    given = as_map("edges", edges)
    least = whole_number("min_length", min_length, 1, LARGEST_STEP)
    if points is not None and not isinstance(points, Points):
        raise ArgumentTypeError(f"`points` must be Points, as `subpixel` returns them (got {type(points).__name__})")
    positions = None if points is None else _positions(points, given.shape)
    pixels, starts, paths = _follow(given)
    lengths = np.diff(starts, append=len(pixels))
    refined = None if positions is None else positions[pixels[:, 0] * given.shape[1] + pixels[:, 1]]
    chosen = np.flatnonzero(lengths >= least)
    begins, ends = starts[chosen].tolist(), (starts + lengths)[chosen].tolist()
    closed = (chosen >= paths).tolist()
    if refined is None:
        return [Chain(pixels[a:b], c) for a, b, c in zip(begins, ends, closed, strict=True)]
    return [Chain(pixels[a:b], c, refined[a:b]) for a, b, c in zip(begins, ends, closed, strict=True)]


def _positions(points: Points, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """The position for every pixel of a map, NaN where there is none."""
    rows, columns = shape
    inside = (points.row >= 0) & (points.row < rows) & (points.column >= 0) & (points.column < columns)
    if not inside.all():
        raise ArgumentError(f"`points` must lie in the map (got a pixel outside {shape})")
    found = np.full((rows * columns, 2), np.nan)
    found[points.row * columns + points.column] = np.column_stack([points.y, points.x])
    return found


def _follow(given: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """All pixels (n, 2), chain after chain; where each chain starts; how many of the chains are open."""
    (rows, columns), count = given.shape, int(given.sum())
    pitch = -(-(columns + 2) // 8) * 8
    if (rows + 2) * pitch > MOST_BYTES:
        raise ArgumentError(f"`edges` must have fewer than {MOST_BYTES} pixels (got {given.shape})")
    if not count:
        return np.empty((0, 2), np.int64), np.empty(0, np.int64), 0
    framed = np.zeros((rows + 2, pitch), np.uint8)
    framed[1 : rows + 1, 1 : columns + 1] = given
    accepted, linked = np.zeros_like(framed), np.zeros_like(framed)
    pixels, starts = np.empty(count, np.int32), np.empty(count, np.int32)
    steps, choice = _tables()
    arrays: dict[str, NDArray] = {
        "map": framed, "steps": steps, "choice": choice, "accepted": accepted, "linked": linked, "pixels": pixels,
        "starts": starts,
    }  # fmt: skip
    args = words(chain_code.FIELDS, arrays, {"rows": rows, "pitch": pitch, "lines": LINES})
    code, units = _code(current_target()), -(-rows // LINES)
    for routine in ("accept", "agree") * ROUNDS:
        pool.run(code.address(routine), args.ctypes.data, 0, units, pool.threads())
    chain_count, most_links = (chain_code.FIELDS.index(name) for name in ("chain_count", "most_links"))
    paths = 0
    for most in (1, 2):
        paths = int(args[chain_count])
        args[most_links] = most
        pool.run(code.address("follow"), args.ctypes.data, 0, units, 1)  # one thread: in order
    y, x = np.divmod(pixels, np.int32(pitch))
    return np.stack([y - 1, x - 1], axis=1).astype(np.int64), starts[: args[chain_count]].astype(np.int64), paths


@lru_cache(maxsize=8)
def _code(target: Target) -> Code:
    return build(("edges", "chains"), lambda: chain_code.emit(target), target)


def forget() -> None:
    """Drop the code in memory. Code that still runs is kept alive by its caller."""
    _code.cache_clear()


@lru_cache(maxsize=1)
def _tables() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The tables of `chain_code`: for each set of neighbours those one step away, and the choice among candidates."""
    steps = [_bits(_one_step_away(_steps(code))) for code in range(256)]
    choice = [_bits(_choice(link, _steps(code))) for link in (None, *range(8)) for code in range(256)]
    return np.array(steps, np.uint8), np.array(choice, np.uint8)


def _one_step_away(present: list[int]) -> list[int]:
    """Without the diagonal steps that lead over a corner."""
    return [d for d in present if d % 2 == 0 or not {(d - 1) % 8, (d + 1) % 8} & set(present)]


def _choice(link: int | None, candidates: list[int]) -> list[int]:
    """Beside a link, the candidate that lies straightest across from it; without one, the two that do so together."""
    if link is not None:
        return [max(candidates, key=lambda d: _opening(d, link))] if candidates else []
    if len(candidates) <= 2:
        return candidates
    return list(max(combinations(candidates, 2), key=lambda pair: _opening(*pair)))


def _opening(a: int, b: int) -> int:
    """The angle between two steps in eighths of a turn, 0 to 4."""
    return 4 - abs(abs(a - b) - 4)


def _steps(code: int) -> list[int]:
    return [d for d in range(8) if code >> d & 1]


def _bits(steps: list[int]) -> int:
    return sum(1 << d for d in steps)
