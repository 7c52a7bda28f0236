"""Layers with few channels in a group: neighbouring pixels of a row in the lanes.

A unit of work is a band of output rows of one group of one image. The rows it needs are copied into a panel, borders
resolved: [channel][plane][row][phase][column]. Columns whose distance is a multiple of the stride are of one phase and
lie side by side, so that whatever the stride, neighbouring outputs read neighbouring numbers. Then a block of sums,
``outputs`` channels by ``rows`` by ``vectors``, stays in registers while channels and taps go by:

    for channel, for plane of taps, for chunk of tap rows, for tap column:
        for slot, a row of the panel that some output row of the block needs under some tap row of the chunk:
            one vector of pixels meets the weights of all outputs, for each output row that needs it
"""

from __future__ import annotations

from ...jit.ir import Function, Module
from ...jit.target import Target
from ...jit.types import I64, PTR, VOID
from ...jit.values import Record, Value
from .across_panel import emit_panel
from .across_spec import FIELDS, AcrossSpec, Writer
from .sums import add_column, limited, store_part

MOST_UNROLLED = 700  # multiply-adds written out in one body


def emit(target: Target, spec: AcrossSpec) -> Module:
    """A module with the function ``layer`` for the pool."""
    module = Module(target)
    writer = Writer(module, spec)
    _emit_block(writer)
    emit_panel(writer)
    _emit_group(writer)
    _emit_unit(writer)
    return module


# ---------------------------------------------------------------- the block of sums


def _emit_block(w: Writer) -> None:
    """All channels and taps of a block, then bias, limits and the way into the result."""
    args = [("args", PTR), ("x", PTR), ("weights", PTR), ("bias", PTR), ("out", PTR), ("valid", I64), ("scratch", PTR)]
    fn = w.module.function("block", args, internal=True)
    arguments, x, weights, bias, out, valid, scratch = fn.args
    a = Record(fn, arguments, FIELDS)
    sums = scratch + a.integer("at_sums")
    channels, zero = a.integer("channels"), [fn.constant(w.vector, 0.0)] * w.spec.block
    if w.spec.chained:
        for k, value in enumerate(zero):
            fn.store(value, sums + k * w.vector.bytes, align=w.vector.bytes)
        with fn.loop(0, channels, a.integer("chain")) as first:
            stop = (first + a.integer("chain")).minimum(channels)
            for k, value in enumerate(_sum_channels(w, fn, a, x, weights, first, stop, zero)):
                place = sums + k * w.vector.bytes
                fn.store(fn.load(w.vector, place, align=w.vector.bytes) + value, place, align=w.vector.bytes)
        totals = [fn.load(w.vector, sums + k * w.vector.bytes, align=w.vector.bytes) for k in range(w.spec.block)]
    else:
        totals = _sum_channels(w, fn, a, x, weights, fn.index(0), channels, zero)
    _finish(w, fn, a, totals, bias, out, valid, scratch + a.integer("at_spare"))


def _sum_channels(
    w: Writer, fn: Function, a: Record, x: Value, weights: Value, first: Value, stop: Value, zero: list[Value]
) -> list[Value]:
    planes, chunks = a.integer("tap_planes"), a.integer("tap_chunks")
    each = a.integer("chunk_bytes")
    with fn.counted(first, stop, carry=zero) as c:
        with fn.counted(0, planes, carry=c.carried) as p:
            sheet = x + c.index * a.integer("panel_channel") + p.index * a.integer("panel_plane")
            table = weights + (c.index * planes + p.index) * (chunks * each)
            with fn.counted(0, chunks, carry=p.carried) as chunk:
                line = sheet + chunk.index * (w.spec.tap_rows * w.spec.row_gap * w.spec.row_bytes)
                chunk.carry_on(_chunk(w, fn, a, line, table + chunk.index * each, chunk.carried))
            p.carry_on(chunk.results)
        c.carry_on(p.results)
    return c.results


def _chunk(w: Writer, fn: Function, a: Record, line: Value, table: Value, sums: list[Value]) -> list[Value]:
    """All columns of a chunk of tap rows. Weights: [column][row][output]."""
    spec, each = w.spec, w.spec.tap_rows * w.spec.outputs * w.size
    if spec.tap_columns * spec.tap_rows * spec.block <= MOST_UNROLLED and spec.tap_columns <= 7:
        total = list(sums)
        for j in range(spec.tap_columns):
            offset = fn.load(I64, a.address("tap_columns") + j * 8) if j else fn.index(0)
            _column(w, fn, line + offset if j else line, table + j * each, total)
        return total
    with fn.counted(0, spec.tap_columns, carry=sums) as column:
        total = list(column.carried)
        offset = fn.load(I64, a.address("tap_columns") + column.index * 8)
        _column(w, fn, line + offset, table + column.index * each, total)
        column.carry_on(total)
    return column.results


def _column(w: Writer, fn: Function, line: Value, table: Value, total: list[Value]) -> None:
    """One column of a chunk of taps."""
    spec = w.spec

    def pixels(slot: int) -> list[Value]:
        row = line + slot * spec.row_bytes
        return [fn.load(w.vector, row + v * w.vector.bytes) for v in range(spec.vectors)]

    def weight(i: int, o: int) -> Value:
        return fn.splat(fn.load(w.scalar, table + (i * spec.outputs + o) * w.size), w.lanes)

    add_column(fn, spec, pixels, weight, total)


# ---------------------------------------------------------------- a block's results


def _finish(
    w: Writer, fn: Function, a: Record, totals: list[Value], bias: Value, out: Value, valid: Value, spare: Value
) -> None:
    """Outputs beyond ``valid`` do not exist and go to a spare place."""
    spec = w.spec
    floor, ceiling = (fn.splat(fn.load(w.scalar, a.at(name)), w.lanes) for name in ("floor", "ceiling"))
    channel, row, column = a.integer("result_channel"), a.integer("result_row"), a.integer("result_column")
    values = []
    for k, total in enumerate(totals):
        shift = fn.splat(fn.load(w.scalar, bias + k // (spec.rows * spec.vectors) * w.size), w.lanes)
        values.append(limited(fn, total + shift, floor, ceiling))
    dense = column.equals(w.size)
    with fn.when(dense):
        for value, (o, r, v) in zip(values, spec.places, strict=True):
            place = out + channel * o + row * r
            if spec.outputs > 1:
                place = fn.select(valid > o, place, spare)
            count = min(w.lanes, spec.width - v * w.lanes) if spec.width else w.lanes
            store_part(fn, value, place + v * w.vector.bytes, count, w.size)
    slot = fn.stack(w.vector.bytes)
    with fn.when(dense.equals(0)):
        for value, (o, r, v) in zip(values, spec.places, strict=True):
            fn.store(value, slot)
            count = min(w.lanes, spec.width - v * w.lanes) if spec.width else w.lanes
            with fn.when(valid > o), fn.loop(0, count) as x:
                place = out + channel * o + row * r + (x + v * w.lanes) * column
                fn.store(fn.load(w.scalar, slot + x * w.size), place)


# ---------------------------------------------------------------- units


def _emit_unit(w: Writer) -> None:
    fn = w.module.function("layer", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, scratch, unit = fn.args
    a = Record(fn, args, FIELDS)
    places, rest = {}, unit
    for name in ("panels", "bands", "planes", "group_ranges"):
        places[name], rest = rest % a.integer(name), rest // a.integer(name)
    # The last band and the last panel are moved back, to be as large as the others.
    first = (places["bands"] * a.integer("band_rows")).minimum(a.integer("rows_out") - a.integer("band_rows"))
    across = a.integer("panel_columns")
    left = (places["panels"] * across).minimum(a.integer("columns_out") - across)
    begin = places["group_ranges"] * a.integer("group_range")
    with fn.loop(begin, (begin + a.integer("group_range")).minimum(a.integer("groups"))) as group:
        fn.call("group", VOID, [args, scratch, rest, group, places["planes"], first, left])


def _emit_group(w: Writer) -> None:
    """A band of rows of one group: the panel, then all blocks of sums."""
    names = ("image", "group", "plane", "first", "left")
    fn = w.module.function("group", [("args", PTR), ("scratch", PTR), *((n, I64) for n in names)], internal=True)
    args, scratch, batch, group, plane, first, left = fn.args
    a, spec = Record(fn, args, FIELDS), w.spec
    stop, right = first + a.integer("band_rows"), left + a.integer("panel_columns")
    image = a.address("image") + batch * a.integer("image_batch") + group * a.integer("image_group")
    result = a.address("result") + batch * a.integer("result_batch") + group * a.integer("result_group")
    result = result + plane * a.integer("result_plane")
    panel = scratch + a.integer("at_panel")
    rows = (stop - first - 1) * spec.row_step + a.integer("panel_rows")
    width = (right - left - 1) * spec.phases + a.integer("reach") + 1
    corner = [plane, first * spec.row_step, rows, left * spec.phases, width]
    fn.call("fill_panel", VOID, [args, image, panel, *corner])
    weights = a.address("weights") + group * a.integer("weight_group")
    bias = a.address("bias") + group * (a.integer("blocks") * (spec.outputs * w.size))
    step = spec.vectors * w.lanes
    with fn.loop(first, stop, spec.rows) as y_, fn.loop(0, a.integer("blocks")) as block:
        y = y_.minimum(stop - spec.rows)
        line = panel + (y - first) * (spec.row_step * spec.row_bytes)
        ws, shift = weights + block * a.integer("weight_block"), bias + block * (spec.outputs * w.size)
        out = result + block * (a.integer("result_channel") * spec.outputs) + y * a.integer("result_row")
        valid = a.integer("outputs") - block * spec.outputs
        with fn.loop(left, right, step) as x_:
            x = x_.minimum(right - step).maximum(left)
            here = [line + (x - left) * w.size, ws, shift, out + x * a.integer("result_column"), valid, scratch]
            fn.call("block", VOID, [args, *here])
