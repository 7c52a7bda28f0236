"""Canny's edges of one tile: gradient, thinning and hysteresis in one pass, without the image ever being stored anew.

A tile is BAND rows of PANEL columns. For every BLOCK rows

    1. the rows of pixels are looked up, borders resolved; the few columns at the image's left and right border are
       staged, so that nothing outside the image is read
    2. gradients: magnitudes go to a ring of rows, directions beside them
    3. thinning, one row behind: a pixel becomes two bits, candidate and strong

Then the hysteresis of the tile by itself, and its bits go to the planes of the whole image. What crosses from tile to
tile is left for afterwards. Magnitudes outside the image are zero.
"""

from __future__ import annotations

from ...jit.ir import Function, Module
from ...jit.target import Target
from ...jit.types import I64, PTR, VOID
from ...jit.values import Record, Value
from ..numbers import TYPES
from . import gradient, hysteresis, suppress
from .hysteresis import PAD_WORDS, WORD, WORD_BITS
from .spec import BAND, BLOCK, MARGIN, PANEL, RING, EdgeSpec, Layout

SAMPLE_RUN = 32  # columns
SCATTER = 0x9E3779B1  # 2^32 / golden ratio: its multiples fall evenly
FIELDS = (
    *("height", "width", "panels"),
    # a list of the first pixels of all channels (or of gy and gx), and bytes from row to row
    *("sources", "row_bytes"),
    # which pixel stands for the one before the first and after the last
    *("top", "bottom", "left", "right"),
    # bytes that are zero where nothing is known, in rows padded to whole groups
    *("known", "known_row"),
    # the thresholds, as magnitudes are
    *("low", "high"),
    # the planes of the whole image: row 0, and bytes from row to row
    *("candidates", "strong", "pitch"),
    # where magnitudes go that are asked for themselves: all, in padded rows, or those of a sample
    *("measured", "measured_row", "sample_step"),
)


def emit(spec: EdgeSpec, target: Target) -> Module:
    """A module with the routines ``tile``, ``measure`` and ``sample``; args are FIELDS."""
    module = Module(target)
    gradient.emit(module, spec)
    suppress.emit(module, spec)
    hysteresis.emit(module)
    if spec.smooth is not None:
        _emit_stage(module, spec)
    _emit_block(module, spec)
    _emit_thin(module, spec)
    _emit_finish(module, spec)
    _emit_tile(module, spec)
    _emit_measure(module, spec)
    _emit_sample(module, spec)
    return module


class Tile:
    """Where a unit's tile lies: rows y0 .. y1, columns c0 .. c1, and gradients for columns first .. stop."""

    def __init__(self, fn: Function, field: Record, unit: Value, spec: EdgeSpec) -> None:
        panels, width = field.integer("panels"), field.integer("width")
        self.y0 = unit // panels * BAND
        self.y1 = (self.y0 + BAND).minimum(field.integer("height"))
        self.c0 = unit % panels * PANEL
        self.c1 = (self.c0 + PANEL).minimum(width)
        groups_end = (width + (spec.lanes - 1)) // spec.lanes * spec.lanes
        self.first = (self.c0 - spec.lanes).maximum(0)
        self.stop = (self.c0 + (PANEL + spec.lanes)).minimum(groups_end)
        self.words = (self.c1 - self.c0 + (WORD_BITS - 1)) // WORD_BITS

    @property
    def values(self) -> list[Value]:
        return [self.y0, self.y1, self.c0, self.c1, self.first, self.stop]


TILE = [(name, I64) for name in ("y0", "y1", "c0", "c1", "first", "stop")]


def _emit_tile(module: Module, spec: EdgeSpec) -> None:
    fn = module.function("tile", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, scratch, unit = fn.args
    place = Layout(spec)
    tile = Tile(fn, Record(fn, args, FIELDS), unit, spec)
    ring, turns = _scratch_rows(fn, scratch, place, tile, spec)
    top = tile.y0 - 1
    with fn.loop(top, tile.y1 + 1, BLOCK) as y:
        with fn.loop(0, BLOCK) as r:
            slot = (y + r - top) % RING
            fn.store(ring + slot * place.magnitude_pitch, scratch + place.magnitude_rows + r * 8)
            fn.store(turns + slot * place.turn_pitch, scratch + place.turn_rows + r * 8)
        fn.call("block", VOID, [args, scratch, y, tile.c0, tile.first, tile.stop])
        begin = (y - 1).maximum(tile.y0)
        fn.call("thin", VOID, [args, scratch, ring, turns, begin, (y + (BLOCK - 1)).minimum(tile.y1), *tile.values])
    fn.call("finish", VOID, [args, scratch, *tile.values])


def _emit_measure(module: Module, spec: EdgeSpec) -> None:
    """Magnitudes alone, into a padded array; the rows of a unit that lie below the image go to scratch memory."""
    fn = module.function("measure", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, scratch, unit = fn.args
    field, place = Record(fn, args, FIELDS), Layout(spec)
    tile = Tile(fn, field, unit, spec)
    spare, turns = _scratch_rows(fn, scratch, place, tile, spec)
    with fn.loop(tile.y0, tile.y1, BLOCK) as y:
        with fn.loop(0, BLOCK) as r:
            row = field.address("measured") + (y + r) * field.integer("measured_row")
            fn.store(fn.select(y + r < tile.y1, row, spare), scratch + place.magnitude_rows + r * 8)
            fn.store(turns, scratch + place.turn_rows + r * 8)
        fn.call("block", VOID, [args, scratch, y, fn.index(-1), tile.c0, (tile.c0 + PANEL).minimum(tile.stop)])


def _emit_sample(module: Module, spec: EdgeSpec) -> None:
    """Of every ``sample_step`` runs of SAMPLE_RUN columns in a row, the magnitudes of one, side by side.

    In each row it begins elsewhere, so that lines of any direction get their share.
    """
    fn = module.function("sample", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, scratch, unit = fn.args
    field, place = Record(fn, args, FIELDS), Layout(spec)
    tile, step = Tile(fn, field, unit, spec), field.integer("sample_step")
    spare, turns = _scratch_rows(fn, scratch, place, tile, spec)
    run = spec.magnitude.of(SAMPLE_RUN)
    first, stop = tile.c0 // SAMPLE_RUN, tile.c1 // SAMPLE_RUN
    with fn.loop(tile.y0, tile.y1, BLOCK) as y:
        with fn.loop(0, BLOCK) as r:
            fn.store(spare + r * place.magnitude_pitch, scratch + place.magnitude_rows + r * 8)
            fn.store(turns, scratch + place.turn_rows + r * 8)
        fn.call("block", VOID, [args, scratch, y, fn.index(-1), tile.c0, (tile.c0 + PANEL).minimum(tile.stop)])
        with fn.loop(0, BLOCK) as r, fn.loop(y + r, (y + r + 1).minimum(tile.y1)) as row:
            begin = ((row * SCATTER) & 0xFFFFFFFF) // (1 << 16) % step
            line = field.address("measured") + row * field.integer("measured_row")
            with fn.loop(first + (begin + step - first % step) % step, stop, step) as k:
                values = fn.load(run, spare + r * place.magnitude_pitch + k * run.bytes)
                fn.store(values, line + (k - begin) // step * run.bytes)


def _scratch_rows(fn: Function, scratch: Value, place: Layout, tile: Tile, spec: EdgeSpec) -> tuple[Value, Value]:
    """Where column 0 of the first row of magnitudes, and of directions, would be in scratch memory."""
    magnitudes = scratch + place.magnitudes + (fn.index(MARGIN) - tile.c0) * spec.magnitude.bytes
    return magnitudes, scratch + place.turns + (fn.index(MARGIN // 8) - tile.c0 // 8) * spec.turn_bits


# ---------------------------------------------------------------- gradients


def _emit_block(module: Module, spec: EdgeSpec) -> None:
    """``void block(ptr args, ptr scratch, i64 y, i64 c0, i64 first, i64 stop)``: rows y .. y + BLOCK, into the rows
    that are listed. Magnitudes outside the image become zero, unless c0 is negative."""
    names = [("args", PTR), ("scratch", PTR), *((n, I64) for n in ("y", "c0", "first", "stop"))]
    fn = module.function("block", names, internal=True)
    args, scratch, y, c0, first, stop = fn.args
    field, place = Record(fn, args, FIELDS), Layout(spec)
    height, width = field.integer("height"), field.integer("width")
    _list_rows(fn, spec, field, place, scratch, y)
    lists = [scratch + p for p in (place.rows, place.known, place.magnitude_rows, place.turn_rows)]
    if spec.smooth is None:
        fn.call("gradient", VOID, [*lists, first, stop])
    else:
        inner = (width - 1) // spec.lanes * spec.lanes  # groups from here on need the right border
        staged = [scratch + place.staged, *lists[1:]]
        fn.call("gradient", VOID, [*lists, first.maximum(spec.lanes), stop.minimum(inner)])
        with fn.when(first.equals(0)):
            fn.call("stage", VOID, [args, scratch, fn.index(0)])
            fn.call("gradient", VOID, [*staged, fn.index(0), fn.index(spec.lanes)])
        with fn.when((stop > inner) & (inner > 0)):
            fn.call("stage", VOID, [args, scratch, inner])
            fn.call("gradient", VOID, [*staged, inner, inner + spec.lanes])
    with fn.when(c0 >= 0):
        _zeros_around(fn, spec, place, scratch, y, height, width, first, stop)


def _list_rows(fn: Function, spec: EdgeSpec, field: Record, place: Layout, scratch: Value, y: Value) -> None:
    """rows[channel][slot], or gy and gx of each channel; and the rows of what is known."""
    height, last = field.integer("height"), field.integer("height") - 1
    rows, sources, row_bytes = scratch + place.rows, field.address("sources"), field.integer("row_bytes")
    given = spec.smooth is None
    each = BLOCK if given else BLOCK + 2
    with fn.loop(0, each) as t:
        row = y + t if given else y + t - 1
        inside = row.maximum(0).minimum(last)
        if not given:
            inside = fn.select(row < 0, field.integer("top"), fn.select(row > last, field.integer("bottom"), inside))
        with fn.loop(0, spec.channels * (2 if given else 1)) as plane:
            fn.store(fn.load(PTR, sources + plane * 8) + inside * row_bytes, rows + (plane * each + t) * 8)
    if spec.masked:
        with fn.loop(0, BLOCK) as r:
            row = field.address("known") + (y + r).maximum(0).minimum(height - 1) * field.integer("known_row")
            fn.store(row, scratch + place.known + r * 8)


def _zeros_around(
    fn: Function,
    spec: EdgeSpec,
    place: Layout,
    scratch: Value,
    y: Value,
    height: Value,
    width: Value,
    first: Value,
    stop: Value,
) -> None:
    zeros = fn.constant(spec.magnitude.of(spec.lanes), 0)
    with fn.loop(0, BLOCK) as r:
        row = fn.load(PTR, scratch + place.magnitude_rows + r * 8)
        with fn.when((y + r).compare("uge", height)):  # above the image, or below it
            with fn.loop(first, stop, spec.lanes) as x:
                fn.store(zeros, row + x * spec.magnitude.bytes)
        with fn.when(first.equals(0)):
            fn.store(zeros, row + -spec.lanes * spec.magnitude.bytes)
        with fn.when(stop >= width):
            fn.store(zeros, row + width * spec.magnitude.bytes)


def _emit_stage(module: Module, spec: EdgeSpec) -> None:
    """``void stage(ptr args, ptr scratch, i64 x)``: copy the columns x - 1 .. x + lanes of all listed rows, x being the
    first group or the last, and list where column 0 of each copy would be."""
    fn = module.function("stage", [("args", PTR), ("scratch", PTR), ("x", I64)], internal=True)
    args, scratch, x = fn.args
    field, place = Record(fn, args, FIELDS), Layout(spec)
    width, lanes, size = field.integer("width"), spec.lanes, spec.stored.bytes
    pixel = TYPES[size]
    group = pixel.of(lanes)
    left, right = field.integer("left"), field.integer("right")
    with fn.loop(0, spec.channels * spec.slots) as i:
        source = fn.load(PTR, scratch + place.rows + i * 8)
        line = scratch + place.stage + i * place.stage_pitch + (fn.index(lanes) - x) * size
        fn.store(line, scratch + place.staged + i * 8)
        wide = width > lanes
        with fn.when(wide & x.equals(0)):
            fn.store(fn.load(group, source), line)
            fn.store(fn.load(pixel, source + lanes * size), line + lanes * size)
        with fn.when(wide & x.differs(0)):
            for start in (x - lanes, width - lanes):
                fn.store(fn.load(group, source + start * size), line + start * size)
        with fn.when(width <= lanes):
            with fn.loop(0, width) as c:
                fn.store(fn.load(pixel, source + c * size), line + c * size)
        with fn.when(x.equals(0)):
            fn.store(fn.load(pixel, source + left * size), line + -size)
        with fn.when(x + lanes >= width):
            fn.store(fn.load(pixel, source + right * size), line + width * size)


# ---------------------------------------------------------------- thinning, and the tile's own hysteresis


def _emit_thin(module: Module, spec: EdgeSpec) -> None:
    """``void thin(..., i64 begin, i64 end, tile)``: rows begin .. end of magnitudes into rows of bits."""
    names = [("args", PTR), ("scratch", PTR), ("ring", PTR), ("turns", PTR), ("begin", I64), ("end", I64), *TILE]
    fn = module.function("thin", names, internal=True)
    args, scratch, ring, turns, begin, end, y0, _, c0, c1, _, _ = fn.args
    place = Layout(spec)
    limits = Record(fn, args, FIELDS).at("low")
    last_word = (c1 - c0 - 1) // WORD_BITS * WORD
    shift = fn.index(0) - (c0 >> 3)
    with fn.loop(begin, end) as y:
        above, here, below = (ring + (y - y0 + k) % RING * place.magnitude_pitch for k in range(3))
        bits = []
        for plane in (place.candidates, place.strong):
            row = scratch + plane + (y - y0) * place.bit_pitch
            with fn.loop(last_word, place.bit_pitch, WORD) as k:
                fn.store(fn.constant(I64, 0), row + k)
            bits.append(row + shift)
        turn = turns + (y - y0 + 1) % RING * place.turn_pitch
        fn.call("suppress", VOID, [above, here, below, turn, *bits, limits, c0, c1])


def _emit_finish(module: Module, spec: EdgeSpec) -> None:
    """``void finish(ptr args, ptr scratch, tile)``: hysteresis within the tile, then its bits into the whole planes."""
    fn = module.function("finish", [("args", PTR), ("scratch", PTR), *TILE], internal=True)
    args, scratch, y0, y1, c0, c1, _, _ = fn.args
    field, place = Record(fn, args, FIELDS), Layout(spec)
    rows, words = y1 - y0, (c1 - c0 + (WORD_BITS - 1)) // WORD_BITS
    lanes = hysteresis.vector_words(fn)
    vector = I64.of(lanes)
    zeros = fn.constant(vector, 0)
    for plane in (place.candidates, place.strong):
        for row in (fn.index(-1), rows):
            with fn.loop(-PAD_WORDS * WORD, place.bit_pitch, lanes * WORD) as k:
                fn.store(zeros, scratch + plane + row * place.bit_pitch + k)
    with fn.loop(0, rows * place.bit_pitch, lanes * WORD) as k:
        fn.store(zeros, scratch + place.pending + k)
    bits = Record(fn, scratch + place.bits, hysteresis.BITS)
    for name in ("candidates", "strong", "pending", "stack"):
        fn.store(scratch + getattr(place, name), bits.at(name))
    fn.store(fn.index(0), bits.at("top"))
    fn.store(fn.index(place.bit_pitch), bits.at("pitch"))
    pitch = fn.index(place.bit_pitch)
    fn.call("sweep", VOID, [bits.pointer, fn.index(0), pitch, words, rows])
    fn.call("sweep", VOID, [bits.pointer, (rows - 1) * pitch, fn.index(-place.bit_pitch), words, rows])
    fn.call("settle", VOID, [bits.pointer, words, rows])
    last = c1.equals(field.integer("width"))
    copied = fn.select(last, field.integer("pitch") - (c0 >> 3), words * WORD)
    narrow = field.integer("pitch") < 2 * PAD_WORDS * WORD  # rows that are no multiple of a vector
    for name in ("candidates", "strong"):
        with fn.loop(0, rows) as r:
            target = field.address(name) + (y0 + r) * field.integer("pitch") + (c0 >> 3)
            source = scratch + getattr(place, name) + r * place.bit_pitch
            with fn.loop(0, fn.select(narrow, fn.index(0), copied), lanes * WORD) as k:
                fn.store(fn.load(vector, source + k), target + k)
            with fn.loop(0, fn.select(narrow, copied, 0), WORD) as k:
                fn.store(fn.load(I64, source + k), target + k)
