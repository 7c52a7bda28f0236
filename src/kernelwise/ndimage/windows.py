"""Windows that slide over real arrays: from arrays to the arguments of `algorithms.running`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..algorithms import running
from ..algorithms.numbers import Number
from ..algorithms.routine import current_target
from ..algorithms.running import ACROSS_FIELDS, DOWN_FIELDS, Running
from ..algorithms.walk import MISSING
from ..borders import OUTSIDE, source_index
from ..jit import pool
from ..jit.compile import Code, build
from ..jit.target import Target
from ..run import worth
from .engine import holding

MOST_CHANNELS = 64  # between the pixels of a line; with more, lines are columns
PANEL = 512  # columns that are done together
MOST_LINES = 1 << 18  # that are listed at a time
NANOSECONDS = 1.0  # for each output: decides only how many threads take part


class Window(NamedTuple):
    """A window that slides along an axis."""

    axis: int
    size: int
    start: int  # its first pixel for output 0: from 1 - size to 0
    border: str
    cval: float


def apply(x: np.ndarray, windows: Sequence[Window], out: np.ndarray) -> None:
    """The means under windows, one axis after the other, each converted to the dtype of ``out``."""
    if x.size == 0:
        return
    plain = out.flags.c_contiguous and out.flags.aligned and out.dtype.isnative and not np.may_share_memory(x, out)
    spare: list[np.ndarray] = []
    for number, window in enumerate(windows):
        last = number == len(windows) - 1
        if last and plain:
            target = out
        elif number < 2:
            target = np.empty(out.shape, out.dtype.newbyteorder("="))
            spare.append(target)
        else:
            target = spare[number % 2]
        _slide(x, window, target)
        x = target
    if not plain:
        out[...] = x


def _slide(x: np.ndarray, window: Window, out: np.ndarray) -> None:
    """One window; ``out`` is a plain array."""
    x = holding(x, window.cval if window.border == "constant" else 0.0)
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
def _code(spec: Running, target: Target) -> Code:
    return build(spec, lambda: running.emit(spec, target), target)


def _bits(number: float) -> int:
    return int(np.float64(number).view(np.int64))


def _run(
    code: Code, name: str, fields: tuple[str, ...], values: dict[str, int], scratch: int, units: int, size: int
) -> None:
    args = np.array([values[field] for field in fields], np.int64)
    pool.run(code.address(name), args.ctypes.data, scratch, units, worth(size * NANOSECONDS * 1e-9, None))


def _down(
    code: Code,
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
    _run(code, "down", DOWN_FIELDS, values, running.down_scratch(panel), outer * panels, x.size)


def _across(
    code: Code,
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
    left = np.arange(-window.start) + window.start
    right = np.arange(window.size - 1 + window.start) + n
    maps = [_elements(source_index(outside, n, window.border), inner) for outside in (left, right)]
    fill = np.full(1, _fill(x, window), x.dtype)
    length, count = n * inner, x.size // (n * inner)
    values = common | {
        "length": length, "channels": inner, "lead": -window.start * inner, "left_map": maps[0].ctypes.data,
        "right_map": maps[1].ctypes.data, "fill": int.from_bytes(fill.tobytes().ljust(8, b"\0"), "little", signed=True),
    }  # fmt: skip
    scratch = running.across_scratch(spec, inner, lanes)
    for first in range(0, count, MOST_LINES):
        lines = np.arange(first, min(count, first + MOST_LINES), dtype=np.int64) * length
        starts = lines * x.itemsize, lines * out.itemsize
        here = {"line_in": starts[0].ctypes.data, "line_out": starts[1].ctypes.data, "lines": len(lines)}
        units = -(-len(lines) // lanes)
        _run(code, "across", ACROSS_FIELDS, values | here, scratch, units, len(lines) * length)


def _elements(places: np.ndarray, inner: int) -> np.ndarray:
    """Places along an axis as elements of a line with channels between them; at least one entry."""
    elements = places[:, None] * inner + np.arange(inner)
    elements[places == OUTSIDE] = OUTSIDE
    return np.append(elements.ravel(), 0)


def _fill(x: np.ndarray, window: Window) -> np.generic:
    value = window.cval if window.border == "constant" else 0.0
    return x.dtype.type(value if x.dtype.kind == "f" else int(value))
