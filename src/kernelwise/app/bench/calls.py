"""Small images, where a call costs more than the filtering: microseconds per call, f32, a dense 3x3 kernel.

Two rows per size. "planned": a Filter with out=, beside rivals that write to a given result. "plain": correlate(),
beside rivals that allocate theirs. One thread. Statements are timed in a loop without a function around them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import kernelwise as kw

from . import agree, ours, rivals
from .cases import Row, dense
from .measure import Result
from .timing import Entry, Pace, clock_for, in_batches, interleave

SHAPES = ((6, 8), (16, 16), (64, 64))
OURS = {"planned": "planned(x, out=out)", "plain": "correlate(x, k)"}
THEIRS = {
    "cv2.filter2D": ("cv2", {"planned": "filter2D(x, -1, k, out, (-1, -1), 0, 4)", "plain": "filter2D(x, -1, k)"}),
    "ndimage.correlate": (
        "scipy",
        {"planned": "nd_correlate(x, k, out, 'mirror')", "plain": "nd_correlate(x, k, None, 'mirror')"},
    ),
}


def rows(shapes: Sequence[tuple[int, int]] = SHAPES) -> list[Row]:
    return [Row(dense(3, 3), shape, "f32", "f32") for shape in shapes]


def result_of(row: Row, way: str) -> Result:
    """The empty Result of a row called "planned" or "plain"."""
    return Result(f"call {row.name} {way}", row.image_name, row.types, f"3x3 {way}", 1, section="calls")


def measure_call(row: Row, way: str, pace: Pace) -> Result:
    """Time one statement of ours beside the rivals' statements; like for like: all allocate, or none does."""
    result = result_of(row, way)
    names = _names(row)
    rivals.set_threads(1)
    try:
        statements = {ours.NAME: OURS[way]}
        for name, (module, ways) in THEIRS.items():
            if rivals.is_installed(module):
                statements[name] = ways[way]
            else:
                result.left_out[name] = rivals.NOT_INSTALLED
        _check(row, statements, names)
    except Exception as error:  # whatever it is: the row fails and says so, the other rows go on
        result.status, result.why = "fail", f"{type(error).__name__}: {error}".splitlines()[0]
        return result
    entries = [Entry(name, in_batches(statement, names, clock_for(1))) for name, statement in statements.items()]
    rounds = interleave([(1, entries)], pace, rivals.set_threads)
    result.settle(entries, rounds)
    return result


def _names(row: Row) -> dict[str, Any]:
    """What the statements mean."""
    k = row.kernel.weights
    names: dict[str, Any] = {
        "x": row.image(),
        "k": k,
        "out": row.empty(),
        "correlate": kw.correlate,
        "planned": kw.Filter(k, border="reflect", threads=1),
    }
    if rivals.is_installed("cv2"):
        import cv2

        names["filter2D"] = cv2.filter2D
    if rivals.is_installed("scipy"):
        from scipy import ndimage

        names["nd_correlate"] = ndimage.correlate
    return names


def _check(row: Row, statements: dict[str, str], names: dict[str, Any]) -> None:
    """Every statement gives the row's result, by the same comparison as for images."""
    x, out = names["x"], names["out"]
    mine: np.ndarray | None = None
    for name, statement in statements.items():
        out[...] = np.nan
        got = eval(statement, dict(names))  # the statements above, in the same words as they are timed
        got = (out if got is None else got).copy()
        if mine is None:
            agree.with_definition(row, x, got)
            mine = got
        agree.compare(f"{ours.NAME} and {name}", mine, got, agree.tolerance(row, x))
