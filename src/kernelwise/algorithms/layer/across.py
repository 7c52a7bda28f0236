"""Layers with few channels in a group: neighbouring pixels of a row in the lanes. Depthwise layers are of this kind.

A unit of work is a band of output rows of one group of one image. The rows it needs are copied into a panel, borders
resolved: [channel][plane][row][phase][column]. Columns whose distance is a multiple of the stride are of one phase and
lie side by side, so that whatever the stride, neighbouring outputs read neighbouring numbers. Then a block of sums,
``outputs`` channels by ``rows`` by ``vectors``, stays in registers while channels and taps go by:

    for channel, for plane of taps, for chunk of tap rows, for tap column:
        for slot, a row of the panel that some output row of the block needs under some tap row of the chunk:
            one vector of pixels meets the weights of all outputs, for each output row that needs it
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

from ...jit.ir import Function, Module
from ...jit.target import Target
from ...jit.types import I64, PTR, VOID
from ...jit.values import Record, Value
from ..numbers import Number

FIELDS = (
    # the arrays
    *("image", "result", "weights", "bias"),
    # units: ((((image * group ranges + range) * planes + plane) * bands + band) * panels + panel)
    *(
        "groups",
        "group_range",
        "group_ranges",
        "planes",
        "bands",
        "panels",
        "band_rows",
        "rows_out",
        "columns_out",
        "panel_columns",
    ),
    *("image_batch", "image_group", "image_channel", "image_plane", "image_row", "image_column"),
    *("result_batch", "result_group", "result_channel", "result_plane", "result_row", "result_column"),
    *("weight_group", "weight_block", "channels", "outputs", "blocks"),
    # taps: planes of them; chunks of rows; where each column lies in a row of the panel
    *("tap_planes", "plane_map", "tap_chunks", "tap_columns", "chunk_bytes"),
    # the panel
    *("panel_channel", "panel_plane", "panel_rows", "row_map", "column_map", "reach"),
    *("column_first", "column_stop", "column_lead"),
    *("chain", "floor", "ceiling", "zeros"),
    *("at_panel", "at_sums", "at_spare"),
)
MOST_UNROLLED = 700  # multiply-adds written out in one body
RESERVED = {"avx512": 2, "avx2": 3, "sse": 4, "neon": 10}  # registers that are neither sums, pixels nor weights


@dataclass(frozen=True)
class AcrossSpec:
    """Everything that changes the generated code of one routine."""

    number: Number  # of images, weights, sums and results
    outputs: int  # of a block of sums: channels, rows, vectors of columns
    rows: int
    vectors: int
    tap_rows: int  # of a chunk
    tap_columns: int
    row_step: int  # stride and dilation of the rows
    row_gap: int
    phases: int  # stride of the columns
    phase_bytes: int  # from one phase of a row of the panel to the next
    width: int  # columns of a result that is no wider than a block; 0 where it is wider
    masked: bool  # some weights are zero: what lies under them does not touch the sums
    chained: bool  # long sums are taken in pieces
    algorithm: str = "layer across"

    @property
    def row_bytes(self) -> int:
        """From one row of the panel to the next."""
        return self.phases * self.phase_bytes

    @property
    def slots(self) -> dict[int, list[tuple[int, int]]]:
        """For each row of the panel that a chunk of taps needs: the (output row, tap row) pairs that meet there."""
        found: dict[int, list[tuple[int, int]]] = {}
        for r, i in product(range(self.rows), range(self.tap_rows)):
            found.setdefault(r * self.row_step + i * self.row_gap, []).append((r, i))
        return dict(sorted(found.items()))

    @property
    def block(self) -> int:
        """Vectors of sums."""
        return self.outputs * self.rows * self.vectors


class Writer:
    """What all functions of one routine share."""

    def __init__(self, module: Module, spec: AcrossSpec) -> None:
        self.module, self.spec = module, spec
        self.lanes = module.target.lanes(spec.number.bytes)
        self.scalar = spec.number.type
        self.vector = self.scalar.of(self.lanes)
        self.size = spec.number.bytes


def emit(target: Target, spec: AcrossSpec) -> Module:
    """A module with the function ``layer`` for the pool."""
    module = Module(target)
    writer = Writer(module, spec)
    _emit_block(writer)
    _emit_panel(writer)
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
    weights: dict[tuple[int, int], Value] = {}
    for slot, meeting in spec.slots.items():
        fn.fence()
        row = line + slot * spec.row_bytes
        pixels = [fn.load(w.vector, row + v * w.vector.bytes) for v in range(spec.vectors)]
        for (r, i), o in product(meeting, range(spec.outputs)):
            if (i, o) not in weights:
                place = table + (i * spec.outputs + o) * w.size
                weights[i, o] = fn.splat(fn.load(w.scalar, place), w.lanes)
            for v, pixel in enumerate(pixels):
                k = (o * spec.rows + r) * spec.vectors + v
                added = fn.fma(pixel, weights[i, o], total[k])
                total[k] = fn.select(weights[i, o].differs(0), added, total[k]) if spec.masked else added


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
        value = total + shift
        value = fn.select(value < floor, floor, value)
        values.append(fn.select(value > ceiling, ceiling, value))
    dense = column.equals(w.size)
    places = list(product(range(spec.outputs), range(spec.rows), range(spec.vectors)))
    with fn.when(dense):
        for value, (o, r, v) in zip(values, places, strict=True):
            place = out + channel * o + row * r
            if spec.outputs > 1:
                place = fn.select(valid > o, place, spare)
            count = min(w.lanes, spec.width - v * w.lanes) if spec.width else w.lanes
            store_part(fn, value, place + v * w.vector.bytes, count, w.size)
    slot = fn.stack(w.vector.bytes)
    with fn.when(dense.equals(0)):
        for value, (o, r, v) in zip(values, places, strict=True):
            fn.store(value, slot)
            count = min(w.lanes, spec.width - v * w.lanes) if spec.width else w.lanes
            with fn.when(valid > o), fn.loop(0, count) as x:
                place = out + channel * o + row * r + (x + v * w.lanes) * column
                fn.store(fn.load(w.scalar, slot + x * w.size), place)


def store_part(fn: Function, value: Value, place: Value, count: int, size: int) -> None:
    """The first ``count`` numbers of a vector, in pieces of a power of two that may overlap."""
    if count == value.type.lanes:
        fn.store(value, place)
        return
    piece = 1 << (count.bit_length() - 1)
    for at in sorted({0, count - piece}):
        if piece > 1:
            fn.store(fn.shuffle(value, value, range(at, at + piece)), place + at * size)
        else:
            fn.store(fn.emit(value.type.scalar, f"extractelement {value.typed}, i64 {at}"), place + at * size)


# ---------------------------------------------------------------- the panel


def _emit_panel(w: Writer) -> None:
    """The rows of a band, all channels of a group and planes of taps: virtual columns first .. first + columns."""
    names = ("plane", "row", "rows", "first", "columns")
    args = [("args", PTR), ("image", PTR), ("panel", PTR), *((n, I64) for n in names)]
    fn = w.module.function("fill_panel", args, internal=True)
    arguments, image, panel, plane, row, rows, first, columns = fn.args
    a = Record(fn, arguments, FIELDS)
    planes, each = a.integer("tap_planes"), a.integer("panel_plane")
    image_channel, image_plane, image_row = (a.integer(f"image_{name}") for name in ("channel", "plane", "row"))
    plane_map, row_map = a.address("plane_map") + plane * planes * 8, a.address("row_map") + row * 8
    line_of = _line(w, fn, a, first, columns)
    with fn.loop(0, a.integer("channels")) as c, fn.loop(0, planes) as p:
        source_plane = fn.load(I64, plane_map + p * 8)
        channel = image + c * image_channel + source_plane.maximum(0) * image_plane
        target = panel + c * a.integer("panel_channel") + p * each
        with fn.loop(0, rows) as r:
            source_row = fn.load(I64, row_map + r * 8)
            line = target + r * w.spec.row_bytes
            inside = (source_plane >= 0) & (source_row >= 0)
            with fn.when(inside.equals(0)), fn.loop(0, w.spec.row_bytes, w.vector.bytes) as at:
                fn.store(fn.constant(w.vector, 0.0), line + at)
            with fn.when(inside):
                line_of(channel + source_row.maximum(0) * image_row, line)


def _line(w: Writer, fn: Function, a: Record, first: Value, columns: Value) -> Callable[[Value, Value], None]:
    """What copies one row: columns inside the image as they lie; of the border zeros, or one by one."""
    begin = (a.integer("column_first") - first).maximum(0).minimum(columns)
    stop = (a.integer("column_stop") - first).minimum(columns).maximum(begin)
    step, lead = a.integer("image_column"), a.integer("column_lead") + first
    dense, plain = step.equals(w.size), a.integer("zeros").differs(0)
    column_map = a.address("column_map") + first * 8
    zero = fn.constant(w.vector, 0.0)

    def one_by_one(source: Value, line: Value, start: Value | int, end: Value) -> None:
        with fn.loop(start, end) as x:
            column = fn.load(I64, column_map + x * 8)
            pixel = fn.load(w.scalar, source + column.maximum(0) * step)
            phase, place = x % w.spec.phases, x // w.spec.phases
            at = phase * w.spec.phase_bytes + place * w.size if w.spec.phases > 1 else x * w.size
            fn.store(fn.select(column < 0, fn.constant(w.scalar, 0.0), pixel), line + at)

    def copy_line(source: Value, line: Value) -> None:
        if w.spec.phases == 1:
            fast = plain & dense & (stop > begin)
            with fn.when(fast):  # the zeros may be written over the inside: it comes after
                with fn.loop(0, begin, w.lanes) as x:
                    fn.store(zero, line + x * w.size)
                with fn.loop(stop, columns, w.lanes) as x:
                    fn.store(zero, line + x * w.size)
            with fn.when(dense & (stop > begin)):
                copy(fn, w.scalar, w.lanes, source + (begin + lead) * w.size, line + begin * w.size, stop - begin)
            with fn.when(fast.equals(0)):
                one_by_one(source, line, 0, begin)
                one_by_one(source, line, fn.select(dense, stop, begin), columns)
            return
        rest = begin
        if w.spec.phases == 2:
            rest = _pairs(w, fn, source + lead * w.size, line, begin, fn.select(dense, stop, begin))
        one_by_one(source, line, 0, begin)
        one_by_one(source, line, rest, columns)

    return copy_line


def _pairs(w: Writer, fn: Function, source: Value, line: Value, begin: Value, stop: Value) -> Value:
    """Columns begin .. stop into two phases, two vectors at a time; returns where it left off. Where it begins with an
    odd column, the even one before it is read with it if there is one, and written again by its own way later."""
    first = begin + (begin & 1)
    pairs = (stop - first).maximum(0) // 2
    even, odd = range(0, 2 * w.lanes, 2), range(1, 2 * w.lanes, 2)
    with fn.when(first > begin):
        pixel = fn.load(w.scalar, source + begin * w.size)
        fn.store(pixel, line + (begin // 2) * w.size + w.spec.phase_bytes)
    with fn.when(pairs >= w.lanes), fn.loop(0, pairs, w.lanes) as k:
        at = k.minimum(pairs - w.lanes)
        here = source + (first + at * 2) * w.size
        one, two = fn.load(w.vector, here), fn.load(w.vector, here + w.vector.bytes)
        place = line + (first // 2 + at) * w.size
        fn.store(fn.shuffle(one, two, even), place)
        fn.store(fn.shuffle(one, two, odd), place + w.spec.phase_bytes)
    return fn.select(pairs >= w.lanes, first + pairs * 2, begin)


def copy(fn: Function, scalar, lanes: int, source: Value, target: Value, n: Value) -> None:  # type: ignore[no-untyped-def]
    """n numbers, at least one: in vectors, the last one moved back; fewer than a vector in two pieces that overlap."""
    size = scalar.bytes
    wide = scalar.of(lanes)
    with fn.when(n >= lanes), fn.loop(0, n, lanes) as x:
        here = x.minimum(n - lanes) * size
        fn.store(fn.load(wide, source + here), target + here)
    piece = lanes // 2
    while piece:
        with fn.when((n >= piece) & (n < 2 * piece)):
            part, last = scalar.of(piece), (n - piece) * size
            values = fn.load(part, source), fn.load(part, source + last)
            fn.store(values[0], target)
            fn.store(values[1], target + last)
        piece //= 2


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


# ---------------------------------------------------------------- the shape of a block


def choose_block(
    target: Target,
    number: Number,
    outputs: int,
    taps: tuple[int, int],
    steps: tuple[int, int],
    out: tuple[int, int],
    masked: bool,
) -> tuple[int, int, int]:
    """(outputs, rows, vectors) of the block with the least estimated time for each useful multiply-add.

    ``taps``: rows of a chunk, columns; ``steps``: stride and dilation of rows; ``out``: rows and columns of the result.
    """
    lanes = target.lanes(number.bytes)
    room = target.registers - RESERVED[target.name]
    per_weight = 2 if masked and target.name != "avx512" else 1  # its mask takes a register too, but on AVX-512

    def cost(block: tuple[int, int, int]) -> float:
        o, r, v = block
        slots = len({y * steps[0] + i * steps[1] for y in range(r) for i in range(taps[0])})
        work = o * r * v * taps[0]
        loads = (slots * v * (1.6 if taps[1] > 1 else 1.0) + taps[0] * o) / work
        waste = math.prod(-(-n // m) * m / n for n, m in ((outputs, o), (out[0], r), (out[1], v * lanes)))
        return waste * (max(1.0, loads, 8 / (o * r * v)) + 0.1 * loads + 2 / (taps[0] * taps[1]) * (1 / (r * v)))

    def fits(o: int, r: int, v: int) -> bool:
        weights = per_weight * (taps[0] * o if r > 1 and taps[0] > 1 else 1)
        return o * r * v + weights + v <= room or o * r * v == 1

    most = min(outputs, 8), min(out[0], 14), min(-(-out[1] // lanes), 4)
    sizes = product(*(range(1, n + 1) for n in most))
    return min(((o, r, v) for o, r, v in sizes if fits(o, r, v)), key=cost)
