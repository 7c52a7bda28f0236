"""The code of Fourier lags. One unit of work is a part of the tiles, for one group of a's channels and one of b's:

for up to CHAIN pairs of tiles at a time:
    1. fill: the pixels of both tiles, converted, less a constant, zeros where the images have none
    2. columns: both as the real and the imaginary part of one complex tile, its columns transformed
    3. products: its rows transformed; conj(a) * b added to the spectrum of every pair of channels
4. back: that spectrum transformed back in float64, as far as lags are asked for, added to the part's sums
"""

from __future__ import annotations

from ...jit.ir import Module
from ...jit.target import Target
from ...jit.types import F64, I64, PTR, VOID
from ...jit.values import Record, Value
from ..filling import copy_row, read_centre
from ..fourier.butterflies import Complex, load_complex, negative, store_complex, transform
from ..fourier.passes import turn
from ..fourier.record import Writer
from ..numbers import Number
from .spec import CHAIN, CHANNEL, CHANNEL_BYTES, FIELDS, LINE, FourierLagSpec


def emit(spec: FourierLagSpec, target: Target) -> Module:
    """A module with ``void lags(ptr args, ptr scratch, i64 unit)``; args are FIELDS."""
    module = Module(target)
    forth, back = Writer(module, spec.transform), Writer(module, spec.back)
    for kind, stored in enumerate(spec.stored):
        _emit_fill(module, f"fill_{kind}", stored, spec, forth)
    _emit_columns(module, spec, forth)
    _emit_row(forth)
    _emit_products(module, spec, forth)
    _emit_rows_back(module, forth, back)
    _emit_back(module, forth, back)
    _emit_spectra(module, spec)
    _emit_unit(module, spec, forth)
    return module


# ---------------------------------------------------------------- one unit of work


def _emit_unit(module: Module, spec: FourierLagSpec, w: Writer) -> None:
    fn = module.function("lags", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, scratch, unit = fn.args
    field = Record(fn, args, FIELDS)
    b_group, rest = unit % field.integer("b_groups"), unit // field.integer("b_groups")
    a_group, part = rest % field.integer("a_groups"), rest // field.integer("a_groups")
    channels = []
    for which, group in (("a", a_group), ("b", b_group)):
        first = group * field.integer(f"{which}_group")
        count = (field.integer(f"{which}_channels") - first).minimum(field.integer(f"{which}_group"))
        channels.append((first, count))
    (a_first, a_count), (b_first, b_count) = channels
    pairs, parts = field.integer("pairs"), field.integer("parts")
    begin, end = part * pairs // parts, (part + 1) * pairs // parts
    products = scratch + field.integer("at_products")
    sums = field.address("sums") + part * field.integer("part_bytes")
    zero = fn.constant(w.vector, 0.0)
    with fn.loop(begin, end, CHAIN) as chain:
        with fn.loop(0, a_count * b_count * spec.tile_bytes, LINE) as at:
            for piece in range(0, LINE, w.vector.bytes):
                fn.store(zero, products + at + piece, align=w.vector.bytes)
        with fn.loop(chain, (chain + CHAIN).minimum(end)) as pair:
            for which, first, count in (("b", b_first, b_count), ("a", a_first, a_count)):
                place, table = scratch + field.integer(f"at_{which}"), field.address(f"{which}_table")
                with fn.loop(0, count) as k:
                    channel = table + (first + k) * CHANNEL_BYTES
                    here = place + k * spec.tile_bytes
                    fn.call(f"spectra_{which}", VOID, [args, scratch, channel, pair, here])
            fn.call("products", VOID, [args, scratch, a_count, b_count])
        with fn.loop(0, a_count) as o, fn.loop(0, b_count) as i:
            channel = field.address("a_table") + (a_first + o) * CHANNEL_BYTES
            of = Record(fn, channel, CHANNEL)
            place = sums + of.integer("place") + (b_first + i) * of.integer("place_step")
            fn.call("back", VOID, [args, scratch, channel, products + (o * b_count + i) * spec.tile_bytes, place])


def _emit_spectra(module: Module, spec: FourierLagSpec) -> None:
    """The columns of one pair of tiles of one channel, transformed. Tiles of a are as large as the step from one to
    the next, those of b as large as the transform."""
    for which in "ab":
        args = [("args", PTR), ("scratch", PTR), ("channel", PTR), ("pair", I64), ("place", PTR)]
        fn = module.function(f"spectra_{which}", args, internal=True)
        arguments, scratch, channel, pair, place = fn.args
        field, kind = Record(fn, arguments, FIELDS), Record(fn, channel, CHANNEL).integer("kind")
        across, down = field.integer("tiles_across"), field.integer("tiles_down")
        steps = field.integer("step_down"), field.integer("step_across")
        rows, columns = steps if which == "a" else (fn.index(n) for n in spec.tile)
        pixels = scratch + field.integer("at_tiles")
        for half in (0, 1):
            tile = pair * 2 + half
            present = tile < field.integer("tiles")
            y = field.integer("origin_row") + tile // across % down * steps[0]
            x = field.integer("origin_column") + tile % across * steps[1]
            image, height = tile // across // down, fn.select(present, rows, fn.index(0))
            given = [channel, image, y, x, height, columns, pixels + half * spec.pixel_bytes]
            for number in range(len(spec.stored)):
                with fn.when(kind.equals(number)):
                    fn.call(f"fill_{number}", VOID, given)
        fn.call("columns", VOID, [pixels, scratch + field.integer("at_column"), field.address("twiddles_down"), place])


def _emit_fill(module: Module, name: str, stored: Number, spec: FourierLagSpec, w: Writer) -> None:
    """Rows y .. y + height, columns x .. x + width of one image into a tile; all else of the tile is zero."""
    names = ("image", "y", "x", "height", "width")
    arguments = [("channel", PTR), *((n, I64) for n in names), ("tile", PTR)]
    fn = module.function(name, arguments, internal=True)
    channel, image, y, x, height, width, tile = fn.args
    field, zero = Record(fn, channel, CHANNEL), fn.constant(w.vector, 0.0)
    centre = read_centre(fn, field.at("centre"), spec.sums)
    pixels = field.address("pixels") + image * field.integer("image")
    step, first = field.integer("column"), field.integer("first_column")
    begin = (first - x).maximum(0)
    end = (first + field.integer("columns") - x).minimum(width)
    filled = fn.select(begin.equals(0), end * spec.sums.bytes // w.vector.bytes * w.vector.bytes, 0)
    with fn.loop(0, w.down) as r:
        line, row = tile + r * spec.pitch, y + r - field.integer("first_row")
        inside = (r < height) & row.compare("ult", field.integer("rows")) & (begin < end)
        with fn.loop(fn.select(inside, filled, 0), w.across * spec.sums.bytes, w.vector.bytes) as at:
            fn.store(zero, line + at, align=w.vector.bytes)
        with fn.when(inside):
            source = pixels + row * field.integer("row") + (x + begin - first) * step
            copy_row(fn, stored, spec.sums, w.lanes, source, step, line + begin * spec.sums.bytes, end - begin, centre)


# ---------------------------------------------------------------- forth


def _emit_columns(module: Module, spec: FourierLagSpec, w: Writer) -> None:
    """Two tiles of pixels as one complex one: its columns transformed, laid out row by row in ``place``:
    [down / lanes][across][re, im][lanes]."""
    arguments = [("pixels", PTR), ("column", PTR), ("table", PTR), ("place", PTR)]
    fn = module.function("columns", arguments, internal=True)
    pixels, column, table, place = fn.args
    with fn.loop(0, w.across, w.lanes) as x:
        first = pixels + x * spec.sums.bytes

        def both(row: Value) -> Complex:
            one, two = (first + row * spec.pitch + half * spec.pixel_bytes for half in (0, 1))
            return fn.load(w.vector, one, align=w.vector.bytes), fn.load(w.vector, two, align=w.vector.bytes)

        transform(fn, w.vector, w.down, column, table, True, both)
        there = place + x * w.complex_bytes
        turn(w, fn, column, w.complex_bytes * w.lanes, w.complex_bytes, there, w.block_bytes, w.complex_bytes)


def _emit_row(w: Writer) -> None:
    """One vector of rows, transformed."""
    fn = w.module.function("row", [("block", PTR), ("table", PTR)], internal=True)
    block, table = fn.args
    transform(fn, w.vector, w.across, block, table, True)


def _emit_products(module: Module, spec: FourierLagSpec, w: Writer) -> None:
    """The rows of all channels transformed; conj(a) * b added to the products of each pair of channels."""
    arguments = [("args", PTR), ("scratch", PTR), ("a_count", I64), ("b_count", I64)]
    fn = module.function("products", arguments, internal=True)
    args, scratch, a_count, b_count = fn.args
    field = Record(fn, args, FIELDS)
    table = field.address("twiddles_across")
    a_place, b_place, products = (scratch + field.integer(f"at_{name}") for name in ("a", "b", "products"))
    with fn.loop(0, spec.tile_bytes, w.block_bytes) as block:
        for place, count in ((b_place, b_count), (a_place, a_count)):
            with fn.loop(0, count) as k:
                fn.call("row", VOID, [place + k * spec.tile_bytes + block, table])
        with fn.loop(0, a_count) as o, fn.loop(0, b_count) as i:
            a, b = a_place + o * spec.tile_bytes + block, b_place + i * spec.tile_bytes + block
            total = products + (o * b_count + i) * spec.tile_bytes + block
            with fn.loop(0, w.block_bytes, w.complex_bytes) as at:
                (ar, ai), (br, bi), (re, im) = (load_complex(fn, w.vector, p + at) for p in (a, b, total))
                re = fn.fma(ar, br, fn.fma(ai, bi, re))
                im = fn.fma(ar, bi, fn.fma(negative(fn, ai), br, im))
                store_complex(fn, (re, im), total + at, w.vector)


# ---------------------------------------------------------------- and back, in float64


def _emit_rows_back(module: Module, forth: Writer, back: Writer) -> None:
    """``lanes`` of the rows of a spectrum, widened and transformed back; of them ``kept`` columns go to ``place``."""
    arguments = [("source", PTR), ("block", PTR), ("table", PTR), ("place", PTR), ("kept", I64)]
    fn = module.function("rows_back", arguments, internal=True)
    source, block, table, place, kept = fn.args
    part = forth.spec.sums.type.of(back.lanes)
    with fn.loop(0, forth.across) as x:
        here = source + x * forth.complex_bytes
        numbers = [fn.load(part, here + half * forth.vector.bytes, align=part.bytes) for half in (0, 1)]
        re, im = (v if v.type == back.vector else v.to(F64, "fpext") for v in numbers)
        store_complex(fn, (re, im), block + x * back.complex_bytes, back.vector)
    transform(fn, back.vector, back.across, block, table, False)
    with fn.loop(0, kept * back.complex_bytes, back.complex_bytes) as at:
        store_complex(fn, load_complex(fn, back.vector, block + at), place + at, back.vector)


def _emit_back(module: Module, forth: Writer, w: Writer) -> None:
    """The lags of one pair of channels: the real part of what its spectrum comes from, added to ``place``."""
    arguments = [("args", PTR), ("scratch", PTR), ("channel", PTR), ("products", PTR), ("place", PTR)]
    fn = module.function("back", arguments, internal=True)
    args, scratch, channel, products, place = fn.args
    field, of = Record(fn, args, FIELDS), Record(fn, channel, CHANNEL)
    lag_rows, lag_columns = of.integer("lag_rows"), of.integer("lag_columns")
    block, column, kept = (scratch + field.integer(name) for name in ("at_block", "at_column", "at_back"))
    kept_row = lag_columns * w.complex_bytes
    table, vectors = field.address("back_across"), forth.lanes // w.lanes  # float64 vectors in one of the sums
    with fn.loop(0, forth.down // forth.lanes) as rows:
        for part in range(vectors):
            rows_of_part = products + rows * forth.block_bytes + part * w.lanes * forth.spec.sums.bytes
            place_of_rows = kept + (rows * vectors + part) * kept_row
            fn.call("rows_back", VOID, [rows_of_part, block, table, place_of_rows, lag_columns])
    with fn.loop(0, lag_columns, w.lanes) as x:
        source = kept + x * w.complex_bytes
        turn(w, fn, source, kept_row, w.complex_bytes, column, w.complex_bytes * w.lanes, w.complex_bytes)
        transform(fn, w.vector, w.down, column, field.address("back_down"), False)
        with fn.loop(0, lag_rows) as r:
            here = place + (r * lag_columns + x) * F64.bytes
            found = fn.load(w.vector, column + r * w.complex_bytes, align=w.vector.bytes)
            fn.store(fn.load(w.vector, here) + found, here)
