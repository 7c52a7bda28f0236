"""Points: the taps of any kernel, in the order in which it lists them, each product rounded before it is added.

Two ways: few taps are written out, each vector of pixels serving every row of the block that needs it (slot by slot
in ascending order, which is the taps' own order for every row of the result). Many come from a list in the table,
three words for each: where the pointer to its row lies, how far in the row its pixel lies, and its weight.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from ..jit.ir import Function
from ..jit.types import I64, PTR
from ..jit.values import Value
from .casts import cast
from .numbers import load, put
from .spec import Spec, columns

MOST_WRITTEN = 700  # multiply-adds of a body whose taps are written out
WORD = 8


def emit(fn: Function, spec: Spec, wide: int, stream: bool) -> None:
    """The body; ``spec.weights`` says which taps there are, one byte each, or is empty where the table lists them."""
    (_written if spec.weights else _listed)(fn, spec, wide, stream)


def _written(fn: Function, spec: Spec, wide: int, stream: bool) -> None:
    rows, outs, n, table, _ = fn.args
    lanes = fn.target.lanes(spec.sums.bytes)
    there = np.frombuffer(spec.weights, bool).reshape(spec.taps)
    number = np.cumsum(there).reshape(spec.taps) - 1
    kind = spec.sums.type.of(lanes)
    results = [fn.load(PTR, outs + 8 * r) for r in range(spec.rows)]
    with columns(fn, n, lanes * wide) as x:
        sums = [[fn.constant(kind, 0)] * wide for _ in range(spec.rows)]
        for a, s in product(range(spec.taps[0]), range(spec.slots)):
            meeting = [(r, i) for r, i in spec.uses[s] if there[a, i].any()]
            if not meeting:
                continue
            row = fn.load(PTR, rows + 8 * (a * spec.slots + s)) + x * spec.image.bytes
            for j in range(spec.taps[2]):
                here = [(r, i) for r, i in meeting if there[a, i, j]]
                for c in range(wide if here else 0):
                    place = row + (c * lanes + j * spec.pitch) * spec.image.bytes
                    pixels = load(fn, place, lanes, spec.image, spec.sums)
                    for r, i in here:
                        at = table + int(number[a, i, j]) * spec.sums.bytes
                        sums[r][c] = sums[r][c] + pixels * fn.splat(fn.load(spec.sums.type, at), lanes)
        for r, c in product(range(spec.rows), range(wide)):
            value = cast(fn, sums[r][c], spec.sums, spec.result)
            put(fn, value, results[r] + (x + c * lanes) * spec.result.bytes, stream)


def _listed(fn: Function, spec: Spec, wide: int, stream: bool) -> None:
    """One row of the result at a time; the first word of the table is the number of taps."""
    rows, outs, n, table, _ = fn.args
    lanes = fn.target.lanes(spec.sums.bytes)
    zero = fn.constant(spec.sums.type.of(lanes), 0)
    count = fn.load(I64, table)
    with fn.loop(0, spec.rows) as r:
        out, lines = fn.load(PTR, outs + r * 8), rows + r * 8
        with columns(fn, n, lanes * wide) as x:
            with fn.counted(0, count, carry=[zero] * wide) as tap:
                entry = table + WORD + tap.index * (3 * WORD)
                row = fn.load(PTR, lines + fn.load(I64, entry)) + fn.load(I64, entry + WORD)
                weight = fn.splat(fn.load(spec.sums.type, entry + 2 * WORD), lanes)
                tap.carry_on([_added(fn, spec, row, x, c, weight, total) for c, total in enumerate(tap.carried)])
            for c, total in enumerate(tap.results):
                value = cast(fn, total, spec.sums, spec.result)
                put(fn, value, out + (x + c * lanes) * spec.result.bytes, stream)


def _added(fn: Function, spec: Spec, row: Value, x: Value, c: int, weight: Value, total: Value) -> Value:
    lanes = fn.target.lanes(spec.sums.bytes)
    pixels = load(fn, row + (x + c * lanes) * spec.image.bytes, lanes, spec.image, spec.sums)
    return total + pixels * weight


def listing(spec: Spec, weights: np.ndarray, there: np.ndarray) -> np.ndarray:
    """The table of the taps that are there: their number, then [pointer's place, bytes along the row, weight] each."""
    planes, rows, places = np.nonzero(there)
    words = np.zeros(1 + 3 * len(planes), np.int64)
    words[0] = len(planes)
    words[1::3] = (planes * spec.slots + rows) * WORD
    words[2::3] = places * (spec.pitch * spec.image.bytes)
    values = np.zeros((len(planes), WORD), np.uint8)
    taken = np.ascontiguousarray(weights[there].astype(spec.sums.dtype))
    values[:, : spec.sums.bytes] = taken.view(np.uint8).reshape(len(planes), spec.sums.bytes)
    words[3::3] = values.view(np.int64).ravel()
    return words
