"""From products to results: transformed back along both axes, bias added, kept in limits, turned, stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...jit.types import I64, PTR, VOID
from ..vectors import transpose
from .results import Arrays, both_limits, limited
from .winograd import INPUTS, OUTPUTS, of_results, times

if TYPE_CHECKING:
    from .winograd_code import Writer


def emit(w: Writer) -> None:
    """``leave``: results of one block of outputs, in a band and segment of the image ``at`` bytes into the result."""
    _emit_back(w)
    _emit_store(w)
    names = ["group", "block", "row", "rows", "column", "columns"]
    fn, a, args = w.function("leave", [("at", I64), *((name, I64) for name in names), ("products", PTR)])
    args_, scratch, start, group, block, row, rows, column, columns, products = args
    wide = (a.integer("columns_out") - column * OUTPUTS).minimum(columns * OUTPUTS)
    channel = a.integer("result_channel")
    bias = a.address("bias") + (group * a.integer("blocks") + block) * w.block_bytes
    with fn.loop(0, rows) as r:
        y = (row + r) * OUTPUTS
        high = (a.integer("rows_out") - y).minimum(OUTPUTS)
        out = start + y * a.integer("result_row") + column * OUTPUTS * a.integer("result_column")
        for v in range(w.spec.vectors):
            source = products + r * columns * w.block_bytes + v * w.vector.bytes
            fn.call("back", VOID, [args_, scratch, source, columns, wide, bias + v * w.vector.bytes])
            at = block * (w.spec.vectors * w.lanes) + v * w.lanes
            valid = a.integer("outputs") - at
            with fn.when(valid > 0):
                fn.call("store", VOID, [args_, scratch, out + at * channel, high, wide, valid])


def _emit_back(w: Writer) -> None:
    """``back``: a row of tiles of one vector of outputs, into four rows of pixels without a gap.

    Tiles go from right to left: what the last one has too many is overwritten by the first one of the next row.
    """
    args = [("products", PTR), ("columns", I64), ("wide", I64), ("bias", PTR)]
    fn, a, (_, scratch, products, columns, wide, bias) = w.function("back", args)
    matrix, vector, step = of_results(), w.vector, a.integer("product_position")
    shift = fn.load(vector, bias)
    limits = both_limits(w, fn, a)
    down = fn.stack(OUTPUTS * INPUTS * vector.bytes)
    rows = scratch + a.integer("at_rows")
    with fn.loop(0, columns) as done:
        t = columns - 1 - done
        source = products + t * w.block_bytes
        with fn.loop(0, INPUTS) as j:
            here = source + j * step
            values = [fn.load(vector, here + step * (INPUTS * k)) for k in range(INPUTS)]
            for k, value in enumerate(times(fn, matrix, values)):
                fn.store(value, down + k * (INPUTS * vector.bytes) + j * vector.bytes)
        target = rows + t * (OUTPUTS * vector.bytes)
        with fn.loop(0, OUTPUTS) as i:
            here = down + i * (INPUTS * vector.bytes)
            values = times(fn, matrix, [fn.load(vector, here + k * vector.bytes) for k in range(INPUTS)])
            for k, value in enumerate(values):
                value = value + shift
                place = target + i * wide * vector.bytes + k * vector.bytes
                fn.store(value if w.spec.residual else limited(fn, value, limits), place)


def _emit_store(w: Writer) -> None:
    """``store``: rows of pixels into the result; ``valid`` of the vector's outputs are its own."""
    args = [("at", I64), ("high", I64), ("wide", I64), ("valid", I64)]
    fn, a, (_, scratch, at, high, wide, valid) = w.function("store", args)
    out = Arrays(fn, a.address("result") + at)
    if w.spec.residual:
        out = Arrays(fn, out.result, a.address("residual") + at, both_limits(w, fn, a))
    rows, column = scratch + a.integer("at_rows"), a.integer("result_column")
    if w.spec.channels_last:
        slot = fn.stack(w.vector.bytes)
        with fn.loop(0, high) as r, fn.loop(0, wide) as x:
            value = fn.load(w.vector, rows + (r * wide + x) * w.vector.bytes)
            place = out.moved(r * a.integer("result_row") + x * column)
            with fn.when(valid >= w.lanes):
                place.put(value)
            with fn.when(valid < w.lanes):
                place.put_some(slot, value, valid, w.size)
        return
    # where rows of the result follow each other without a gap, they are one long row
    dense = (wide * column).equals(a.integer("result_row")) & column.equals(w.size)
    length = fn.select(dense, wide * high, wide)
    fast = (length >= w.lanes) & column.equals(w.size)
    spare = scratch + a.integer("at_spare")
    channel = a.integer("result_channel")
    with fn.loop(0, fn.select(dense, fn.index(1), high)) as r:
        source, line = rows + r * wide * w.vector.bytes, out.moved(r * a.integer("result_row"))
        with fn.when(fast), fn.loop(0, length, w.lanes) as i:
            first = i.minimum(length - w.lanes)
            here = source + first * w.vector.bytes
            turned = transpose(fn, [fn.load(w.vector, here + k * w.vector.bytes) for k in range(w.lanes)])
            place = line.moved(first * w.size)
            for k, value in enumerate(turned):
                place.moved(channel * k).where(valid > k, spare).put(value)
        with fn.when(fast.equals(0)), fn.loop(0, length) as i, fn.loop(0, valid.minimum(w.lanes)) as n:
            one = fn.load(w.scalar, source + i * w.vector.bytes + n * w.size)
            line.moved(i * column + n * channel).put(one)
