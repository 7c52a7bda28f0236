"""The panels of `slopes`: pixels of many channels, interleaved, so that those of a pixel lie side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...jit.ir import Function
from ...jit.types import I64, PTR, Type
from ...jit.values import Value

if TYPE_CHECKING:
    from .slopes import Writer


def emit_fill(w: Writer, name: str, together: int, halved: bool) -> None:
    """One plane of a panel: [row][column][channel], ``together`` channels at ``offsets`` from the image's place.

    ``rows`` rows that ``row_map`` lists, none where it is negative; virtual columns first .. first + columns, of which
    those from ``begin`` to ``stop`` are neighbours in the image, and the others are listed. ``halved``: there is a
    number between neighbours.
    """
    names = ("rows", "first", "columns", "begin", "stop", "lead", "row_bytes", "column_bytes", "pitch")
    pointers = ("source", "target", "offsets", "row_map", "column_map")
    fn = w.module.function(name, [*((n, PTR) for n in pointers), *((n, I64) for n in names)], internal=True)
    source, target, offsets, row_map, column_map = fn.args[:5]
    rows, first, columns, begin, stop, lead, row_bytes, column_bytes, pitch = fn.args[5:]
    begin = (begin - first).maximum(0).minimum(columns)
    stop = (stop - first).minimum(columns).maximum(begin)
    pixel, step = together * w.size, w.size * (1 + halved)
    dense = column_bytes.equals(step)
    widths = [w.lanes >> k for k in range(3) if w.lanes >> k > 1]
    with fn.loop(0, rows) as r:
        row, line = fn.load(I64, row_map + r * 8), target + r * pitch
        here = source + row.maximum(0) * row_bytes
        inside = fn.select(row < 0, 0 * columns, columns)
        fits = dense & (stop - begin >= widths[-1]) & (row >= 0)
        done = fn.select(fits, stop, begin)
        for width in widths:
            enough = fits & (stop - begin >= width)
            with fn.when(enough if width == w.lanes else enough & (stop - begin < 2 * width)):
                with fn.loop(begin, stop, width) as x_:
                    x = x_.minimum(stop - width)
                    pixels = here + (x + first + lead) * step
                    _interleave(w, fn, pixels, line + x * pixel, offsets, together, width, halved)
        for start, end in ((fn.index(0), begin), (done, columns)):
            with fn.loop(start.minimum(inside), end.minimum(inside)) as x:
                column = fn.load(I64, column_map + (x + first) * 8)
                pixels = here + column.maximum(0) * column_bytes
                with fn.loop(0, together) as k:
                    number = fn.load(w.scalar, pixels + fn.load(I64, offsets + k * 8))
                    zero = fn.constant(w.scalar, 0.0)
                    fn.store(fn.select(column < 0, zero, number), line + x * pixel + k * w.size)
        with fn.loop(0, (columns - inside) * together) as k:
            fn.store(fn.constant(w.scalar, 0.0), line + k * w.size)


def _interleave(
    w: Writer, fn: Function, pixels: Value, target: Value, offsets: Value, together: int, width: int, halved: bool
) -> None:
    """``width`` neighbouring pixels of ``together`` channels, made [pixel][channel]."""
    part = min(together, w.lanes)
    for group in range(0, together, part):
        places = [pixels + fn.load(I64, offsets + (group + k) * 8) for k in range(part)]
        vector = w.scalar.of(width)
        lines = [_every_other(fn, vector, p) if halved else fn.load(vector, p) for p in places]
        for i, value in enumerate(_mixed(fn, lines)):
            x, channel = divmod(i * width, part)
            fn.store(value, target + (x * together + channel + group) * w.size)


def _every_other(fn: Function, vector: Type, place: Value) -> Value:
    """Numbers 0, 2, 4, ... from a place on: none is read behind the last of them."""
    width = vector.lanes
    low, high = fn.load(vector, place), fn.load(vector, place + (width - 1) * vector.element_bytes)
    return fn.shuffle(low, high, [2 * i if 2 * i < width else 2 * i + 1 for i in range(width)])


def _mixed(fn: Function, lines: list[Value]) -> list[Value]:
    """Vectors, a power of two of them, as the numbers 0 of all, the numbers 1 of all, and so on."""
    if len(lines) == 1:
        return lines
    width = lines[0].type.lanes
    low = [k // 2 + k % 2 * width for k in range(width)]
    high = [k + width // 2 for k in low]
    pairs = zip(_mixed(fn, lines[0::2]), _mixed(fn, lines[1::2]), strict=True)
    return [fn.shuffle(a, b, lanes) for a, b in pairs for lanes in (low, high)]
