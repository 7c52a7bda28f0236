"""The panel of a layer: the rows of the image that a unit needs, padding included, copied side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...jit.ir import Function
from ...jit.types import I64, PTR
from ...jit.values import Record, Value

if TYPE_CHECKING:
    from .direct_code import Writer

CHANNELS_AHEAD = 2  # whose pixels are asked for while those of one are copied


def emit(w: Writer) -> None:
    """The rows of a band, all channels and planes of taps, padded."""
    args = [("args", PTR), ("image", PTR), ("panel", PTR), ("plane", I64), ("row", I64), ("rows", I64)]
    fn = w.module.function("fill_panel", args, internal=True)
    arguments, image, panel, plane, row, rows = fn.args
    a = w.record(fn, arguments)
    planes, columns, row_map = a.integer("tap_planes"), a.integer("columns"), a.address("row_map")
    first, stop, lead = a.integer("column_first"), a.integer("column_stop"), a.integer("column_lead")
    step, mapped, pitch = a.integer("image_column"), a.integer("mapped"), a.integer("panel_row")
    image_row, width, ahead = a.integer("image_row"), stop - first, a.integer("image_channel") * CHANNELS_AHEAD
    with fn.loop(0, a.integer("channels")) as c, fn.loop(0, planes) as p:
        source_plane = fn.load(I64, a.address("plane_map") + (plane * planes + p) * 8)
        channel = image + c * a.integer("image_channel") + source_plane.maximum(0) * a.integer("image_plane")
        target = panel + c * a.integer("panel_channel") + p * a.integer("panel_plane")
        with fn.loop(0, rows) as r:
            source_row = fn.load(I64, row_map + (row + r) * 8)
            line = target + r * pitch
            inside = (source_plane >= 0) & (source_row >= 0)
            with fn.when(inside.equals(0)):
                _zeros(w, fn, line, fn.index(0), columns)
            with fn.when(inside):
                source = channel + source_row.maximum(0) * image_row
                _zeros(w, fn, line, fn.index(0), first)
                _zeros(w, fn, line, stop, columns)
                _inside(w, fn, source + (first + lead) * step, step, line + first * w.size, width, ahead)
                with fn.when(mapped > 0):
                    _border(w, fn, a, source, line, (fn.index(0), first))
                    _border(w, fn, a, source, line, (stop, columns))


def _zeros(w: Writer, fn: Function, line: Value, start: Value, stop: Value) -> None:
    """Whole vectors: what they cover too much is written later; behind the last row there is room for it."""
    with fn.loop(start, stop, w.lanes) as x:
        fn.store(fn.constant(w.vector, 0.0), line + x * w.size)


def _inside(w: Writer, fn: Function, source: Value, step: Value, line: Value, width: Value, ahead: Value) -> None:
    """The columns of the image, in the largest pieces that fit; the last one is moved back. Those ``ahead`` bytes on
    are asked for."""
    dense, piece = step.equals(w.size), w.lanes
    with fn.when(dense.equals(0)), fn.loop(0, width) as x:
        fn.store(fn.load(w.scalar, source + x * step), line + x * w.size)
    while piece:
        fits = width >= piece if piece == w.lanes else (width >= piece) & (width < 2 * piece)
        with fn.when(dense & fits), fn.loop(0, width, piece) as x:
            here = x.minimum(width - piece)
            if piece == w.lanes:
                fn.prefetch(source + here * w.size + ahead)
            fn.store(fn.load(w.scalar.of(piece), source + here * w.size), line + here * w.size)
        piece //= 2


def _border(w: Writer, fn: Function, a: Record, source: Value, line: Value, span: tuple[Value, Value]) -> None:
    """Columns outside the image that stand for others."""
    with fn.loop(*span) as x:
        column = fn.load(I64, a.address("column_map") + x * 8)
        fn.store(fn.load(w.scalar, source + column * a.integer("image_column")), line + x * w.size)
