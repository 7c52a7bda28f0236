"""Windows that slide over real arrays: from arrays to the arguments of `algorithms.running`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..algorithms import running
from ..algorithms.numbers import LINE, Number
from ..algorithms.routine import current_target
from ..algorithms.running import ACROSS_FIELDS, DOWN_FIELDS, Running
from ..algorithms.walk import MISSING
from ..borders import OUTSIDE, source_index
from ..jit import pool
from ..jit.compile import Code, build
from ..jit.target import Target
from ..run import worth
from . import engine
from .passes import Pass

MOST_CHANNELS = 64  # between the pixels of a line; with more, lines are columns
MOST_REMEMBERED = 1 << 14  # elements beside a line whose places are kept for the next call
PANEL = 512  # columns that are done together
LONGEST_COPIED = 1 << 16  # bytes of a line that is filtered in place
MOST_LINES = 1 << 18  # that are listed at a time
NANOSECONDS = 1.0  # for each output: decides only how many threads take part


class Window(NamedTuple):
    """A window that slides along an axis."""

    axis: int
    size: int
    start: int  # its first pixel for output 0: from 1 - size to 0
    border: str
    cval: float

    @property
    def fill(self) -> float:
        """What stands outside the image; 0 where a border extends it."""
        return self.cval if self.border == "constant" else 0.0


class Routines(NamedTuple):
    """Machine code in memory, and where its two routines begin."""

    code: Code
    down: int
    across: int


def apply(x: np.ndarray, windows: Sequence[Window], out: np.ndarray) -> None:
    """The means under windows, one axis after the other, each converted to the dtype of ``out``."""
    if x.size == 0:
        return
    if all(_added(x, window, out) for window in windows):
        engine.apply(x, [_as_pass(window) for window in windows], out)
        return
    plain = out.flags.c_contiguous and out.flags.aligned and out.dtype.isnative and not np.may_share_memory(x, out)
    home = out if plain else np.empty(out.shape, out.dtype.newbyteorder("="))
    moves = [number == 0 or not _in_place(home, window) for number, window in enumerate(windows)]
    spare = home if sum(moves) == 1 else np.empty_like(home)
    for number, window in enumerate(windows):
        if moves[number]:
            target = spare if sum(moves[number + 1 :]) % 2 else home
        _slide(x, window, target)
        x = target
    if not plain:
        out[...] = x


def _in_place(x: np.ndarray, window: Window) -> bool:
    """Whether the result can take the place of the image: lines are copied, which are to stay in the cache."""
    line = math.prod(x.shape[window.axis :]) * x.itemsize
    across = math.prod(x.shape[window.axis + 1 :]) <= MOST_CHANNELS
    return across and line <= LONGEST_COPIED and engine.holding(x[..., :0], window.fill).dtype == x.dtype


def _added(x: np.ndarray, window: Window, out: np.ndarray) -> bool:
    """Whether integers under the window are as well added up one by one, in generated code of several lanes."""
    return (
        engine.exact_mean(x.dtype, out.dtype, window.size) and engine.holding(x[..., :0], window.fill).dtype == x.dtype
    )


def _as_pass(window: Window) -> Pass:
    return Pass(window.axis, np.ones(window.size), window.border, window.cval, window.start, window.size)


def _slide(x: np.ndarray, window: Window, out: np.ndarray) -> None:
    """One window; ``out`` is a plain array."""
    x = engine.holding(x, window.fill)
    x = np.ascontiguousarray(x, x.dtype.newbyteorder("="))
    n, inner = x.shape[window.axis], math.prod(x.shape[window.axis + 1 :])
    exact = window.size & (window.size - 1) == 0
    spec = Running(Number(x.dtype.str[1:]), Number(out.dtype.str[1:]), exact, inner == 1)
    code = _code(spec, current_target())
    divisor = 1 / window.size if exact else float(window.size)
    common = {"image": x.ctypes.data, "result": out.ctypes.data, "size": window.size, "divisor": _bits(divisor)}
    job = _down if inner > MOST_CHANNELS else _across
    job(code, spec, x, window, out, n, inner, common)


@lru_cache(maxsize=256)
def _code(spec: Running, target: Target) -> Routines:
    code = build(spec, lambda: running.emit(spec, target), target)
    return Routines(code, code.address("down"), code.address("across"))


def _bits(number: float) -> int:
    return int(np.float64(number).view(np.int64))


def _run(routine: int, fields: tuple[str, ...], values: dict[str, int], scratch: int, units: int, size: int) -> None:
    args = np.array([values[field] for field in fields], np.int64)
    pool.run(routine, args.ctypes.data, scratch, units, worth(size * NANOSECONDS * 1e-9, None))


def _down(
    code: Routines,
    spec: Running,
    x: np.ndarray,
    window: Window,
    out: np.ndarray,
    n: int,
    inner: int,
    common: dict[str, int],
) -> None:
    """Columns side by side, a panel of them in a unit."""
    panels = max(1, round(inner / PANEL))
    panel = -(-inner // (panels * MOST_CHANNELS)) * MOST_CHANNELS
    panels = -(-inner // panel)
    if inner - (panels - 1) * panel < MOST_CHANNELS and panels > 1:  # the last one must not be narrower than a vector
        panel += MOST_CHANNELS
        panels = -(-inner // panel)
    places = source_index(np.arange(n + window.size - 1) + window.start, n, window.border)
    row_in, row_out = inner * x.itemsize, inner * out.itemsize
    rows = np.where(places == OUTSIDE, MISSING, places * row_in)
    fill = np.full(inner, _fill(x, window), x.dtype)
    values = common | {
        "row_map": rows.ctypes.data, "fill_row": fill.ctypes.data, "rows": n, "columns": inner, "panel": panel,
        "panels": panels, "outer_in": n * row_in, "outer_out": n * row_out, "row_out": row_out,
    }  # fmt: skip
    outer = x.size // (n * inner)
    _run(code.down, DOWN_FIELDS, values, running.down_scratch(panel), outer * panels, x.size)


def _across(
    code: Routines,
    spec: Running,
    x: np.ndarray,
    window: Window,
    out: np.ndarray,
    n: int,
    inner: int,
    common: dict[str, int],
) -> None:
    """Lines side by side, as many in a unit as a vector has lanes."""
    lanes = current_target().lanes(8)
    reach = (window.size - 1) * inner
    maps = (_remembered if reach <= MOST_REMEMBERED else _outside)(n, window.size, window.start, window.border, inner)
    fill = np.full(1, _fill(x, window), x.dtype)
    length, count = n * inner, x.size // (n * inner)
    values = common | {
        "length": length, "channels": inner, "lead": -window.start * inner, "left_map": maps[0].ctypes.data,
        "right_map": maps[1].ctypes.data, "fill": int.from_bytes(fill.tobytes().ljust(8, b"\0"), "little", signed=True),
    }  # fmt: skip
    values["copied"] = length * x.itemsize + LINE if common["image"] == common["result"] else 0
    scratch = running.across_scratch(spec, inner, lanes, values["copied"])
    for first in range(0, count, MOST_LINES):
        lines = np.arange(first, min(count, first + MOST_LINES), dtype=np.int64) * length
        starts = lines * x.itemsize, lines * out.itemsize
        here = {"line_in": starts[0].ctypes.data, "line_out": starts[1].ctypes.data, "lines": len(lines)}
        units = -(-len(lines) // lanes)
        _run(code.across, ACROSS_FIELDS, values | here, scratch, units, len(lines) * length)


def _outside(n: int, size: int, start: int, border: str, inner: int) -> tuple[np.ndarray, np.ndarray]:
    """The elements of a line, with channels between its pixels, that stand for those before it and behind it."""
    left, right = np.arange(-start) + start, np.arange(size - 1 + start) + n
    return _elements(source_index(left, n, border), inner), _elements(source_index(right, n, border), inner)


_remembered = lru_cache(maxsize=64)(_outside)


def _elements(places: np.ndarray, inner: int) -> np.ndarray:
    """At least one entry."""
    elements = places[:, None] * inner + np.arange(inner)
    elements[places == OUTSIDE] = OUTSIDE
    return np.append(elements.ravel(), 0)


def _fill(x: np.ndarray, window: Window) -> np.generic:
    return x.dtype.type(window.fill if x.dtype.kind == "f" else int(window.fill))
