"""The walk over an image: which rows and columns a body sees, and where borders come from.

Shape, strides, stride, border and fill are data here, so a walk is compiled once for each pixel size and serves every
body. One *unit* of work is a group of output rows, within one panel of columns, of one plane of one image of the batch:

    1. find the source row of every slot of the unit (a null pointer where the fill stands)
    2. the interior columns: the body reads the image itself
    3. the columns near the left and right border: their pixels are staged in a small tile, borders resolved, and the
       body reads the tile

So a border costs a few columns, no image is padded, and every output is computed by the same instructions in the
same order wherever it lies.
"""

from __future__ import annotations

from collections.abc import Callable

from ..jit.ir import Function, Module
from ..jit.target import Target
from ..jit.types import I64, PTR, VOID
from ..jit.values import Record, Value
from .numbers import TYPES
from .vectors import copy_numbers

IMAGE, RESULT = 0, 1  # the first two fields are the pointers that change from call to call
FIELDS = (
    # the arrays, and the generated code for the columns
    *("image", "result", "wide_body", "plain_body", "table"),
    # units: ((batch * planes_out + plane) * row_units + row unit) * panels + panel
    *("planes_out", "row_units", "panels", "batch_in", "batch_out", "plane_map", "plane_out"),
    # rows
    *("planes", "slots", "block_rows", "blocks", "unit_slots", "unit_offsets", "block_slots"),
    *("rows_out", "row_step", "row_map", "virtual_rows", "row_out"),
    # columns, in elements of a row at stride 1
    *("lead", "span", "inner_start", "inner_stop", "inner_panels", "panel", "lanes", "align", "stream_step"),
    *("column_step", "channels", "result_bytes", "joined"),
    # results beside the first one, laid out alike: how many, and (address, bytes of an element) of each
    *("others", "other_results"),
    # staged columns, and what stands outside
    *("left_start", "left_stop", "left_map", "left_copy", "left_copy_stop", "left_panels", "left_panel"),
    *("right_start", "right_stop", "right_map", "right_copy", "right_copy_stop", "right_panels", "right_panel"),
    *("fill", "fill_row", "tile_pitch"),
    # places in scratch memory
    *("at_rows", "at_outs", "at_source", "at_tile", "at_spare", "at_dense", "dense_pitch", "at_temp"),
)
Blocks = Callable[[Value, Value, int, Value], None]  # (first column, stop, from the tile?, body)
MISSING = -(2**62)  # the byte offset of a plane or row that lies outside
BODY_TYPES = (PTR, PTR, I64, PTR, PTR)


def name(pixel_bytes: int) -> str:
    return f"walk_{pixel_bytes}"


def emit(target: Target) -> Module:
    """A module with a walk for pixels of 1, 2, 4 and 8 bytes."""
    module = Module(target)
    _emit_pick(module)
    for pixel_bytes in (1, 2, 4, 8):
        _emit_stage(module, pixel_bytes)
        _emit_blocks(module, pixel_bytes)
        _emit_walk(module, pixel_bytes)
    return module


# ---------------------------------------------------------------- one unit


def _emit_walk(module: Module, pixel_bytes: int) -> None:
    fn = module.function(name(pixel_bytes), [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, scratch, unit = fn.args
    a = Record(fn, args, FIELDS)
    panels, row_units, planes_out = a.integer("panels"), a.integer("row_units"), a.integer("planes_out")
    panel = unit % panels
    rest = unit // panels
    first_row = rest % row_units * (a.integer("blocks") * a.integer("block_rows"))
    rest = rest // row_units
    plane = rest % planes_out
    batch = rest // planes_out
    image = a.address("image") + batch * a.integer("batch_in")
    plane_out = fn.load(I64, a.address("plane_out") + plane * 8)
    result = a.address("result") + batch * a.integer("batch_out") + plane_out
    _find_rows(fn, a, scratch, image, plane, first_row)

    def blocks(start: Value, stop: Value, tile: int, body: Value) -> None:
        values = [args, scratch, result, first_row, start, stop - start, fn.index(tile), body]
        fn.call(f"blocks_{pixel_bytes}", VOID, values)

    with fn.when(panel < a.integer("inner_panels")):
        last = panel.equals(a.integer("inner_panels") - 1)
        _interior(fn, a, scratch, result, first_row, panel, last, blocks, pixel_bytes)
    for side, piece in (("left", panel), ("right", panels - 1 - panel)):
        with fn.when((piece < a.integer(f"{side}_panels")) & (a.integer(f"{side}_stop") > a.integer(f"{side}_start"))):
            _border(fn, a, args, scratch, side, piece, blocks, pixel_bytes)


def _border(
    fn: Function, a: Record, args: Value, scratch: Value, side: str, piece: Value, blocks: Blocks, pixel_bytes: int
) -> None:
    """A piece of the columns near a border: staged, then done by the plain body."""
    skipped = piece * a.integer(f"{side}_panel")
    begin = a.integer(f"{side}_start") + skipped
    last = piece.equals(a.integer(f"{side}_panels") - 1)
    end = fn.select(last, a.integer(f"{side}_stop"), begin + a.integer(f"{side}_panel"))
    width = end - begin + a.integer("span")
    copy, copy_stop = (
        (a.integer(f"{side}_{field}") - skipped).maximum(0).minimum(width) for field in ("copy", "copy_stop")
    )
    stage = [args, scratch, end - begin, a.address(f"{side}_map") + skipped * 8, copy, copy_stop]
    fn.call(f"stage_{pixel_bytes}", VOID, stage)
    blocks(begin, end, 1, a.address("plain_body"))


def _find_rows(fn: Function, a: Record, scratch: Value, image: Value, plane: Value, first_row: Value) -> None:
    """source[plane tap][unit slot] = the image row there, or null where the fill stands."""
    planes, unit_slots = a.integer("planes"), a.integer("unit_slots")
    source = scratch + a.integer("at_source")
    offsets, row_map = a.address("unit_offsets"), a.address("row_map")
    first, final = first_row * a.integer("row_step"), a.integer("virtual_rows") - 1
    plane_map = a.address("plane_map") + plane * planes * 8
    with fn.loop(0, planes) as p:
        plane_offset = fn.load(I64, plane_map + p * 8)
        line = source + p * unit_slots * 8
        with fn.loop(0, unit_slots) as u:
            virtual = (first + fn.load(I64, offsets + u * 8)).minimum(final)
            row_offset = fn.load(I64, row_map + virtual * 8)
            outside = plane_offset.equals(MISSING) | row_offset.equals(MISSING)
            fn.store(fn.select(outside, fn.null(), image + (plane_offset + row_offset)), line + u * 8)


def _interior(
    fn: Function,
    a: Record,
    scratch: Value,
    result: Value,
    first_row: Value,
    panel: Value,
    last: Value,
    blocks: Blocks,
    pixel_bytes: int,
) -> None:
    """The interior columns of a panel by the wide body, from where the results are aligned.

    The columns skipped for that are the plain body's, unless the left border covers them; streamed results must be
    whole vectors, and what is left over at the end is the plain body's too. Rows that follow each other in memory are
    joined; what that writes between them are border columns, which are done after.
    """
    wide, plain, lanes, step = (
        a.address("wide_body"),
        a.address("plain_body"),
        a.integer("lanes"),
        a.integer("stream_step"),
    )
    begin, size = a.integer("inner_start"), a.integer("result_bytes")
    # The address is only looked at; no pointer is made from it.
    address = fn.emit(I64, f"ptrtoint {(result + begin * size).typed} to i64")
    skip = ((fn.index(0) - address) & (a.integer("align") - 1)) // size
    start = begin + skip + panel * a.integer("panel")
    stop = fn.select(last, a.integer("inner_stop"), start + a.integer("panel"))
    with fn.when(a.integer("inner_stop") > begin):
        with fn.when(panel.equals(0) & (begin + skip > a.integer("left_stop").maximum(begin))):
            blocks(begin, begin + skip.maximum(lanes), 0, plain)
        whole = first_row + a.integer("blocks") * a.integer("block_rows") <= a.integer("rows_out")
        joined = (a.integer("joined") > 0) & whole
        with fn.when(joined):
            _joined_rows(fn, a, scratch, result, first_row, start, stop, pixel_bytes)
        with fn.when(joined.equals(0) & step.equals(0)):
            blocks(start, stop, 0, wide)
        with fn.when(step.differs(0)):
            final = start + (stop - start) // step * step
            blocks(start, final, 0, wide)
            with fn.when(final < stop):
                blocks(stop - (stop - final).maximum(lanes), stop, 0, plain)


def _joined_rows(
    fn: Function,
    a: Record,
    scratch: Value,
    result: Value,
    first_row: Value,
    start: Value,
    stop: Value,
    pixel_bytes: int,
) -> None:
    """All rows of a unit in one call of the wide body: as many rows for it as in a block, each of them several."""
    rows, outs = scratch + a.integer("at_rows"), scratch + a.integer("at_outs")
    source, each = scratch + a.integer("at_source"), a.integer("blocks")
    with fn.loop(0, a.integer("block_rows")) as r:
        pixels = fn.load(PTR, source + r * each * 8)
        fn.store(pixels + (start - a.integer("lead")) * pixel_bytes, rows + r * 8)
        line = result + (first_row + r * each) * a.integer("row_out")
        fn.store(line + start * a.integer("result_bytes"), outs + r * 8)
    n = (each - 1) * a.integer("joined") + (stop - start)
    temp = scratch + a.integer("at_temp")
    fn.call_pointer(a.address("wide_body"), VOID, [rows, outs, n, a.address("table"), temp])


# ---------------------------------------------------------------- the rows of a unit, block by block


def _emit_blocks(module: Module, pixel_bytes: int) -> None:
    """Call the body for every block of the unit, on columns x .. x + n; from the tile if there is one."""
    args = [("args", PTR), ("scratch", PTR), ("result", PTR), ("first_row", I64)]
    args += [("x", I64), ("n", I64), ("tile", I64), ("body", PTR)]
    fn = module.function(f"blocks_{pixel_bytes}", args, internal=True)
    arguments, scratch, result, first_row, x, n, tile, body = fn.args
    a = Record(fn, arguments, FIELDS)
    rows_out, block_rows, lanes = a.integer("rows_out"), a.integer("block_rows"), a.integer("lanes")
    rows, outs = scratch + a.integer("at_rows"), scratch + a.integer("at_outs")
    dense, dense_pitch = scratch + a.integer("at_dense"), a.integer("dense_pitch")
    indirect = (n < lanes) | a.integer("column_step").differs(1)
    with fn.loop(0, a.integer("blocks")) as block:
        y = first_row + block * block_rows
        with fn.when(y < rows_out):
            _block_rows(fn, a, scratch, rows, block, x, tile, pixel_bytes)
            with fn.loop(0, block_rows) as r:
                line = result + (y + r) * a.integer("row_out") + x * a.integer("result_bytes")
                line = fn.select(y + r < rows_out, line, scratch + a.integer("at_spare"))
                fn.store(fn.select(indirect, dense + r * dense_pitch, line), outs + r * 8)
            with fn.loop(0, a.integer("others")) as j:
                size, first = _other_result(fn, a, j, result, y)
                with fn.loop(0, block_rows) as r:
                    line = first + (r * (a.integer("row_out") // a.integer("result_bytes")) + x) * size
                    line = fn.select(y + r < rows_out, line, scratch + a.integer("at_spare"))
                    place = (j + 1) * block_rows + r
                    fn.store(fn.select(indirect, dense + place * dense_pitch, line), outs + place * 8)
            temp = scratch + a.integer("at_temp")
            fn.call_pointer(body, VOID, [rows, outs, n.maximum(lanes), a.address("table"), temp])
            with fn.when(indirect):
                with fn.loop(0, block_rows.minimum(rows_out - y)) as r:
                    target = result + (y + r) * a.integer("row_out")
                    fn.call("pick", VOID, [arguments, dense + r * dense_pitch, target, x, n, a.integer("result_bytes")])
                with fn.loop(0, a.integer("others")) as j:
                    size, first = _other_result(fn, a, j, result, y)
                    with fn.loop(0, block_rows.minimum(rows_out - y)) as r:
                        target = first + r * (a.integer("row_out") // a.integer("result_bytes")) * size
                        line = dense + ((j + 1) * block_rows + r) * dense_pitch
                        fn.call("pick", VOID, [arguments, line, target, x, n, size])


def _other_result(fn: Function, a: Record, j: Value, result: Value, y: Value) -> tuple[Value, Value]:
    """Bytes of an element of the j-th result beside the first one, and where row y begins in it.

    ``result`` is where the plane begins in the first one; all results are alike but for the size of their elements.
    """
    record = a.address("other_results") + j * 16
    size = fn.load(I64, record + 8)
    # The addresses are only compared; no pointer is made from them.
    here, begin = (fn.emit(I64, f"ptrtoint {p.typed} to i64") for p in (result, a.address("result")))
    elements = (here - begin + y * a.integer("row_out")) // a.integer("result_bytes")
    return size, fn.load(PTR, record) + elements * size


def _block_rows(
    fn: Function, a: Record, scratch: Value, rows: Value, block: Value, x: Value, tile: Value, pixel_bytes: int
) -> None:
    """rows[plane tap][slot] for one block: into the tile, or into the image at column x under tap 0."""
    slots, unit_slots = a.integer("slots"), a.integer("unit_slots")
    source, staged = scratch + a.integer("at_source"), scratch + a.integer("at_tile")
    shift = (x - a.integer("lead")) * pixel_bytes
    block_slots = a.address("block_slots") + block * slots * 8
    with fn.loop(0, a.integer("planes")) as p:
        with fn.loop(0, slots) as s:
            u = p * unit_slots + fn.load(I64, block_slots + s * 8)
            pixels = fn.load(PTR, source + u * 8)
            inside = fn.select(pixels.equals(fn.null()), a.address("fill_row"), pixels + shift)
            chosen = fn.select(tile.equals(0), inside, staged + u * a.integer("tile_pitch"))
            fn.store(chosen, rows + (p * slots + s) * 8)


# ---------------------------------------------------------------- staged columns


def _emit_stage(module: Module, pixel_bytes: int) -> None:
    """Copy n + span columns of every source row into the tile. ``map`` gives the image column of each, negative where
    the fill stands; columns copy .. copy_stop are neighbours in the image too."""
    args = [("args", PTR), ("scratch", PTR), ("n", I64), ("map", PTR), ("copy", I64), ("copy_stop", I64)]
    fn = module.function(f"stage_{pixel_bytes}", args, internal=True)
    arguments, scratch, n, column_map, copy, copy_stop = fn.args
    a = Record(fn, arguments, FIELDS)
    pixel = TYPES[pixel_bytes]
    lanes = fn.target.lanes(pixel_bytes)
    width = n + a.integer("span")
    source, tile, pitch = scratch + a.integer("at_source"), scratch + a.integer("at_tile"), a.integer("tile_pitch")
    fill = fn.load(pixel, a.at("fill"))
    with fn.loop(0, a.integer("planes") * a.integer("unit_slots")) as u:
        pixels, line = fn.load(PTR, source + u * 8), tile + u * pitch
        with fn.when(pixels.equals(fn.null())):
            wide_fill = fn.splat(fill, lanes)
            with fn.loop(0, width, lanes) as c:  # the pitch has room for whole vectors
                fn.store(wide_fill, line + c * pixel_bytes)
        with fn.when(pixels.differs(fn.null())):
            start = fn.load(I64, column_map + copy * 8)
            copy_numbers(fn, pixel, pixels + start * pixel_bytes, line + copy * pixel_bytes, copy_stop - copy)
            for begin, end in ((fn.index(0), copy), (copy_stop, width)):
                with fn.loop(begin, end) as c:
                    column = fn.load(I64, column_map + c * 8)
                    value = fn.load(pixel, pixels + column.maximum(0) * pixel_bytes)
                    fn.store(fn.select(column < 0, fill, value), line + c * pixel_bytes)


def _emit_pick(module: Module) -> None:
    """From n results at stride 1, starting at column x, into a row of the output: those that the stride keeps.

    ``size``: bytes of an element.
    """
    args = [("args", PTR), ("dense", PTR), ("row", PTR), ("x", I64), ("n", I64), ("size", I64)]
    fn = module.function("pick", args, internal=True)
    arguments, dense, row, x, n, size = fn.args
    a = Record(fn, arguments, FIELDS)
    step, channels = a.integer("column_step"), a.integer("channels")
    per_output = step * channels
    first, stop = (x // channels + (step - 1)) // step, ((x + n) // channels + (step - 1)) // step
    for bytes_ in (1, 2, 4, 8):
        with fn.when(size.equals(bytes_)):
            with fn.loop(first, stop) as p:
                with fn.loop(0, channels) as c:
                    value = fn.load(TYPES[bytes_], dense + (p * per_output + c - x) * bytes_)
                    fn.store(value, row + (p * channels + c) * bytes_)
