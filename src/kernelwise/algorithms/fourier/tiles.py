"""The code around the transforms: one unit of work is two tiles, each with its planes.

    1. find the rows of each tile; where a tile leaves the image, its pixels are staged, borders resolved
    2. measure: the largest pixel, and how much smaller the largest pixel of any 16 x 16 block is
    3. transform both tiles as the real and the imaginary part of one complex tile, each scaled by a power of two
    4. multiply with the spectrum of the kernel, add up planes, transform back
    5. scale back, round, store what is not beyond the result

A tile that holds a NaN or an infinity, whose pixels differ too much in size for a transform, or whose rounding errors
alone might overflow, is not stored but flagged; it is done directly afterwards. Its partner does not see it.
"""

from __future__ import annotations

from ...jit.ir import Function, Module
from ...jit.target import Target
from ...jit.types import I8, I64, PTR, VOID, Type
from ...jit.values import Record, Value
from ..numbers import TYPES, Number, load, store
from ..walk import MISSING
from .butterflies import Complex, load_complex, store_complex, times, times_conjugate, transform, transpose
from .spec import FourierSpec

FIELDS = (
    # the arrays
    *("image", "result", "flags"),
    # units: ((batch * groups + group) * pairs_down + pair) * pairs_across + pair
    *("groups", "pairs_down", "pairs_across", "batch_in", "batch_out"),
    # tiles of a pair: the first at pair * (down, across), the second next to it
    *("down", "across", "next_down", "next_across", "tiles_down", "tiles_across", "step_down", "step_across"),
    # planes: the sources of every group; for every plane of the result, which source lies under each tap
    *("planes_out", "plane_out", "group", "taps", "most_sources", "group_sources", "group_count", "source_of"),
    # rows and columns; columns in elements
    *(
        "rows_out",
        "row_out",
        "row_map",
        "columns_out",
        "lead",
        "inside_stop",
        "left_map",
        "right_map",
        "fill_row",
        "zero_row",
        "copied",
    ),
    # tables
    *("twiddles_down", "twiddles_across", "twist", "spectrum", "kernel_exponent"),
    # places in scratch memory
    *("at_rows", "at_stage", "stage_pitch", "at_column", "at_sources", "at_sum", "at_found"),
)
COPY_BYTES = 32
BLOCK = 16  # rows and columns of a block whose largest pixel is looked at


class Writer:
    """What all functions of one routine share."""

    def __init__(self, module: Module, spec: FourierSpec) -> None:
        self.module, self.spec, self.target = module, spec, module.target
        self.lanes = self.target.lanes(spec.sums.bytes)
        self.vector = spec.sums.type.of(self.lanes)
        self.bits = TYPES[spec.sums.bytes]  # integers as wide as the sums
        self.complex_bytes = 2 * self.vector.bytes
        self.down, self.across = spec.tile
        self.block_bytes = self.across * self.complex_bytes  # one vector of rows, all columns
        self.column_bytes = self.down * self.complex_bytes
        # of a float: where its exponent begins, the largest one of a finite number, and its bias
        self.mantissa, self.top, self.bias = (23, 254, 127) if spec.sums.bytes == 4 else (52, 2046, 1023)


def emit(target: Target, spec: FourierSpec) -> Module:
    """A module with two functions for the pool: ``tiles``, and ``kernel``, which transforms a plane of the kernel."""
    module = Module(target)
    writer = Writer(module, spec)
    _emit_stage(writer)
    _emit_find(writer)
    _emit_measure(writer)
    _emit_columns_forward(writer, "columns_forward", spec.image)
    _emit_columns_forward(writer, "kernel_columns", spec.sums)
    _emit_rows_forward(writer)
    _emit_product(writer)
    _emit_columns_back(writer)
    _emit_kernel(writer)
    _emit_tiles(writer)
    return module


# ---------------------------------------------------------------- where a tile lies


def _emit_stage(w: Writer) -> None:
    """n columns of an image row, from virtual column v, into ``line``: borders resolved."""
    args = [("args", PTR), ("pixels", PTR), ("line", PTR), ("v", I64), ("n", I64)]
    fn = w.module.function("stage", args, internal=True)
    arguments, pixels, line, v, n = fn.args
    a = Record(fn, arguments, FIELDS)
    size = w.spec.image.bytes
    kind = TYPES[size]
    first = v - a.integer("lead")  # the image column behind the tile's first
    begin = (fn.index(0) - first).maximum(0).minimum(n)
    end = (a.integer("inside_stop") - first).minimum(n).maximum(begin)
    _copy(fn, size, pixels + (first + begin) * size, line + begin * size, end - begin)
    outside = fn.load(kind, a.address("fill_row"))
    for start, stop, table in (
        (fn.index(0), begin, a.address("left_map") + v * 8),
        (end, n, a.address("right_map") + (first - a.integer("inside_stop")) * 8),
    ):
        with fn.loop(start, stop) as c:
            column = fn.load(I64, table + c * 8)
            value = fn.load(kind, pixels + column.maximum(0) * size)
            fn.store(fn.select(column < 0, outside, value), line + c * size)


def _copy(fn: Function, size: int, source: Value, place: Value, n: Value) -> None:
    """n pixels in pieces, the last one moved back so that it ends at n; fewer than a piece singly."""
    kind, piece = TYPES[size], COPY_BYTES // size
    with fn.when(n >= piece), fn.loop(0, n, piece) as c:
        at = c.minimum(n - piece) * size
        fn.store(fn.load(kind.of(piece), source + at), place + at)
    with fn.when(n < piece), fn.loop(0, n) as c:
        fn.store(fn.load(kind, source + c * size), place + c * size)


def _emit_find(w: Writer) -> None:
    """The rows of a tile: pointers to its first column, into the image or into what is staged of it."""
    args = [("args", PTR), ("scratch", PTR), ("which", I64), ("plane", PTR), ("y", I64), ("x", I64)]
    fn = w.module.function("find", args, internal=True)
    arguments, scratch, which, plane, y, x = fn.args
    a = Record(fn, arguments, FIELDS)
    size, down, across = w.spec.image.bytes, w.down, w.across
    rows = scratch + a.integer("at_rows") + which * (8 * down)
    pitch = a.integer("stage_pitch")
    stage = scratch + a.integer("at_stage") + which * (pitch * (1 if w.spec.line else down))
    v = x * a.integer("step_across")
    width = w.spec.size if w.spec.line else across
    first = v - a.integer("lead")
    inside = (first >= 0) & (first + width <= a.integer("inside_stop")) & a.integer("copied").equals(0)
    fill_row = a.address("fill_row")
    row_map = a.address("row_map") + y * a.integer("step_down") * 8
    missing_plane = plane.equals(fn.null())
    with fn.loop(0, 1 if w.spec.line else down) as r:
        offset = fn.load(I64, row_map + r * 8)
        missing = missing_plane | offset.equals(MISSING)
        pixels = plane + offset
        line = stage + r * pitch
        with fn.when((missing | inside).equals(0)):
            fn.call("stage", VOID, [arguments, pixels, line, v, fn.index(width)])
        begin = fn.select(inside, pixels + first * size, line)
        if w.spec.line:
            with fn.loop(0, down) as part:
                fn.store(fn.select(missing, fill_row, begin + part * (across * size)), rows + part * 8)
        else:
            fn.store(fn.select(missing, fill_row, begin), rows + r * 8)


# ---------------------------------------------------------------- how large its pixels are


def _emit_measure(w: Writer) -> None:
    """found[0] = the bits of the largest |pixel|, found[1] = of the least among the largest of all blocks that are
    not all zero; both joined with what is there."""
    fn = w.module.function("measure", [("rows", PTR), ("found", PTR)], internal=True)
    rows, found = fn.args
    zero = fn.constant(w.bits.of(w.lanes), 0)
    magnitude = (1 << (w.bits.bytes * 8 - 1)) - 1  # all bits but the sign
    none = fn.constant(w.bits, magnitude)
    height = BLOCK if w.spec.ranged else w.down
    with fn.counted(0, w.across, w.lanes, carry=[fn.constant(w.bits, 0), none]) as columns:
        with fn.counted(0, w.down, height, carry=columns.carried) as blocks:
            with fn.counted(blocks.index, blocks.index + height, 4, carry=[zero] * 4) as lines:
                largest = []
                for part, value in enumerate(lines.carried):
                    pixels = fn.load(PTR, rows + lines.index * 8 + part * 8) + columns.index * w.spec.image.bytes
                    number = load(fn, pixels, w.lanes, w.spec.image, w.spec.sums)
                    bits = fn.emit(zero.type, f"bitcast {number.typed} to {zero.type.text}") & magnitude
                    largest.append(bits.maximum(value))
                lines.carry_on(largest)
            one, two, three, four = lines.results
            block = _across_lanes(fn, one.maximum(two).maximum(three.maximum(four)))
            most, least = blocks.carried
            blocks.carry_on([most.maximum(block), fn.select(block.equals(0), least, least.minimum(block))])
        columns.carry_on(blocks.results)
    most, least = columns.results
    fn.store(most.maximum(fn.load(w.bits, found)), found)
    fn.store(least.minimum(fn.load(w.bits, found + 8)), found + 8)


def _across_lanes(fn: Function, vector: Value) -> Value:
    """The largest of all lanes."""
    while vector.type.lanes > 1:
        half = vector.type.lanes // 2
        if half == 1:
            first, second = (fn.emit(vector.type.scalar, f"extractelement {vector.typed}, i64 {i}") for i in (0, 1))
            return first.maximum(second)
        vector = fn.shuffle(vector, vector, range(half)).maximum(fn.shuffle(vector, vector, range(half, 2 * half)))
    return vector


# ---------------------------------------------------------------- forward


def _emit_columns_forward(w: Writer, name: str, stored: Number) -> None:
    """Two tiles, scaled, as one complex one: its columns transformed, then laid out row by row in ``place``:
    [down / lanes][across][re, im][lanes]."""
    scalar = w.spec.sums.type
    args = [("rows", PTR), ("place", PTR), ("column", PTR), ("table", PTR), ("scale_a", scalar), ("scale_b", scalar)]
    fn = w.module.function(name, args, internal=True)
    rows, place, column, table, scale_a, scale_b = fn.args
    scales = [fn.splat(s, w.lanes) for s in (scale_a, scale_b)]
    with fn.loop(0, w.across, w.lanes) as x:

        def pixels(row: Value) -> Complex:
            a, b = (
                load(
                    fn,
                    fn.load(PTR, rows + 8 * w.down * which + row * 8) + x * stored.bytes,
                    w.lanes,
                    stored,
                    w.spec.sums,
                )
                * scales[which]
                for which in (0, 1)
            )
            return a, b

        transform(fn, w.vector, w.down, column, table, True, pixels)
        _turn(
            w,
            fn,
            column,
            w.complex_bytes * w.lanes,
            w.complex_bytes,
            place + x * w.complex_bytes,
            w.block_bytes,
            w.complex_bytes,
        )


def _turn(
    w: Writer, fn: Function, source: Value, step: int, row: int, place: Value, place_step: int, place_row: int
) -> None:
    """Square pieces transposed: piece number i from source + i * step to place + i * place_step."""
    for part in (0, w.vector.bytes):
        with fn.loop(0, w.down // w.lanes) as i:
            here = source + i * step + part
            turned = transpose(fn, [fn.load(w.vector, here + row * r, align=w.vector.bytes) for r in range(w.lanes)])
            there = place + i * place_step + part
            for r, value in enumerate(turned):
                fn.store(value, there + place_row * r, align=w.vector.bytes)


def _each(w: Writer, fn: Function, twist: Value, place: Value, conjugate: bool) -> None:
    """Multiply a block by the factors between the transforms down and across that make one transform of a line."""
    with fn.loop(0, w.block_bytes, w.complex_bytes) as at:
        z, factor = load_complex(fn, w.vector, place + at), load_complex(fn, w.vector, twist + at)
        product = (times if conjugate else times_conjugate)(fn, z, factor)
        store_complex(fn, product, place + at, w.vector)


def _blocks(w: Writer) -> int:
    return w.down // w.lanes * w.block_bytes


def _emit_rows_forward(w: Writer) -> None:
    fn = w.module.function("rows_forward", [("args", PTR), ("place", PTR)], internal=True)
    args, place = fn.args
    a = Record(fn, args, FIELDS)
    table, twist = a.address("twiddles_across"), a.address("twist")
    with fn.loop(0, _blocks(w), w.block_bytes) as block:
        _row_forward(w, fn, place + block, twist + block, table)


def _row_forward(w: Writer, fn: Function, block: Value, twist: Value, table: Value) -> None:
    if w.spec.line:
        _each(w, fn, twist, block, conjugate=False)
    transform(fn, w.vector, w.across, block, table, True)


def _row_back(w: Writer, fn: Function, block: Value, twist: Value, table: Value) -> None:
    transform(fn, w.vector, w.across, block, table, False)
    if w.spec.line:
        _each(w, fn, twist, block, conjugate=True)


# ---------------------------------------------------------------- product


def _emit_product(w: Writer) -> None:
    """The rows of a plane of the result: product with the spectrum, summed over the planes under the taps."""
    args = [("args", PTR), ("sources", PTR), ("source_of", PTR), ("place", PTR)]
    fn = w.module.function("product", args, internal=True)
    arguments, sources, source_of, place = fn.args
    a = Record(fn, arguments, FIELDS)
    table, twist, spectrum = a.address("twiddles_across"), a.address("twist"), a.address("spectrum")
    taps = a.integer("taps")
    with fn.loop(0, _blocks(w), w.block_bytes) as block:
        here = place + block
        if w.spec.deep:
            _sum_planes(w, fn, sources + block, source_of, spectrum + block, here, taps)
        else:
            _row_forward(w, fn, here, twist + block, table)
            with fn.loop(0, w.block_bytes, w.complex_bytes) as at:
                z, k = load_complex(fn, w.vector, here + at), load_complex(fn, w.vector, spectrum + block + at)
                store_complex(fn, times(fn, z, k), here + at, w.vector)
        _row_back(w, fn, here, twist + block, table)


def _sum_planes(
    w: Writer, fn: Function, source: Value, source_of: Value, spectrum: Value, place: Value, taps: Value
) -> None:
    zero = fn.constant(w.vector, 0.0)
    width = 2  # complex vectors side by side
    with fn.loop(0, w.block_bytes, width * w.complex_bytes) as at:
        with fn.counted(0, taps, carry=[zero] * (2 * width)) as tap:
            number = fn.load(I64, source_of + tap.index * 8)
            z, k = source + number * w.spec.tile_bytes + at, spectrum + tap.index * w.spec.tile_bytes + at
            sums = []
            for part in range(width):
                a, b = load_complex(fn, w.vector, z + part * w.complex_bytes)
                c, s = load_complex(fn, w.vector, k + part * w.complex_bytes)
                re, im = tap.carried[2 * part : 2 * part + 2]
                negative = fn.emit(w.vector, f"fneg {b.typed}")
                sums += [fn.fma(negative, s, fn.fma(a, c, re)), fn.fma(b, c, fn.fma(a, s, im))]
            tap.carry_on(sums)
        for part in range(width):
            store_complex(
                fn, (tap.results[2 * part], tap.results[2 * part + 1]), place + at + part * w.complex_bytes, w.vector
            )


# ---------------------------------------------------------------- back


def _emit_columns_back(w: Writer) -> None:
    """Columns transformed back, scaled by powers of two, rounded and stored: the real part is the first tile's result,
    the imaginary part the second one's."""
    names = [
        (f"{name}_{which}", kind)
        for which in "ab"
        for name, kind in (("out", PTR), ("rows", I64), ("columns", I64), ("exponent", I64))
    ]
    fn = w.module.function("columns_back", [("args", PTR), ("place", PTR), ("column", PTR), *names], internal=True)
    arguments, place, column = fn.args[:3]
    tiles = fn.args[3:7], fn.args[7:]
    a = Record(fn, arguments, FIELDS)
    table, row_out = a.address("twiddles_down"), a.integer("row_out")
    slot = fn.stack(w.lanes * w.spec.result.bytes)
    scales = [_scales(w, fn, exponent) for *_, exponent in tiles]
    needed = fn.index(w.across) if w.spec.line else tiles[0][2].maximum(tiles[1][2])
    with fn.loop(0, needed, w.lanes) as x:
        _turn(
            w,
            fn,
            place + x * w.complex_bytes,
            w.block_bytes,
            w.complex_bytes,
            column,
            w.complex_bytes * w.lanes,
            w.complex_bytes,
        )
        transform(fn, w.vector, w.down, column, table, False)
        for which, (out, rows, columns, _) in enumerate(tiles):
            _store(w, fn, column + which * w.vector.bytes, x, out, rows, columns, row_out, scales[which], slot)


def _scales(w: Writer, fn: Function, exponent: Value) -> tuple[Value, Value]:
    """2 ** exponent as two factors, each of which is a normal number for exponents from 2 - 2 * bias to 2 * bias."""
    half = ((exponent + 8192) >> 1) - 4096
    one, two = (fn.splat(_power(w, fn, e), w.lanes) for e in (half, exponent - half))
    return one, two


def _power(w: Writer, fn: Function, exponent: Value) -> Value:
    """2 ** exponent, a number of the sums."""
    bits = (exponent + w.bias) << w.mantissa
    whole = bits if w.bits == I64 else bits.to(w.bits, "trunc")
    return fn.emit(w.spec.sums.type, f"bitcast {whole.typed} to {w.spec.sums.type.text}")


def _store(
    w: Writer, fn: Function, column: Value, x: Value, out: Value, rows: Value, columns: Value, row_out: Value,
    scales: tuple[Value, Value], slot: Value,
) -> None:  # fmt: skip
    """One vector of columns, x .. x + lanes, of every row that the result has; of the last columns, what it has."""
    result = w.spec.result
    if w.spec.line:  # a row of the tile follows the other
        pitch = fn.index(w.across * result.bytes)
        whole = fn.select(columns >= x + w.lanes, (columns - x - w.lanes) // w.across + 1, fn.index(0))
        rest = (columns - x - whole * w.across).maximum(0)
        stop = fn.select(rest > 0, whole + 1, whole)
    else:
        pitch = row_out
        rest = (columns - x).maximum(0).minimum(w.lanes)
        whole = fn.select(rest.equals(w.lanes), rows, fn.index(0))
        stop = fn.select(rest > 0, rows, whole)
    target = out + x * result.bytes

    def scaled(row: Value) -> Value:
        value = fn.load(w.vector, column + row * w.complex_bytes, align=w.vector.bytes)
        value = value * scales[0] * scales[1]
        return fn.intrinsic("roundeven", value.type, [value]) if w.spec.whole and result.is_float else value

    with fn.loop(0, whole) as row:
        store(fn, scaled(row), target + row * pitch, w.spec.sums, result)
    with fn.loop(whole, stop) as row:
        store(fn, scaled(row), slot, w.spec.sums, result)
        _copy_part(fn, result.type, w.lanes, slot, target + row * pitch, rest)


def _copy_part(fn: Function, kind: Type, lanes: int, source: Value, place: Value, n: Value) -> None:
    """n < lanes numbers, in pieces of halving size."""
    at, piece = fn.index(0), lanes // 2
    while piece:
        with fn.when((n & piece).differs(0)):
            fn.store(fn.load(kind.of(piece), source + at * kind.bytes), place + at * kind.bytes)
        at, piece = at + (n & piece), piece // 2


# ---------------------------------------------------------------- units


def _emit_kernel(w: Writer) -> None:
    """The spectrum of one plane of the kernel; ``image`` holds the planes, each as large as a tile, in the dtype of
    the sums, and ``fill_row`` zeros."""
    fn = w.module.function("kernel", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, scratch, unit = fn.args
    a = Record(fn, args, FIELDS)
    size = w.spec.sums.bytes
    rows, column = scratch + a.integer("at_rows"), scratch + a.integer("at_column")
    plane = a.address("image") + unit * (w.spec.size * size)
    place = a.address("spectrum") + unit * w.spec.tile_bytes
    with fn.loop(0, w.down) as r:
        fn.store(plane + r * (w.across * size), rows + r * 8)
        fn.store(a.address("fill_row"), rows + 8 * w.down + r * 8)
    one = fn.constant(w.spec.sums.type, 1.0)
    fn.call("kernel_columns", VOID, [rows, place, column, a.address("twiddles_down"), one, one])
    fn.call("rows_forward", VOID, [args, place])


def _emit_tiles(w: Writer) -> None:
    fn = w.module.function("tiles", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, scratch, unit = fn.args
    a = Record(fn, args, FIELDS)
    across, rest = unit % a.integer("pairs_across"), unit // a.integer("pairs_across")
    down, rest = rest % a.integer("pairs_down"), rest // a.integer("pairs_down")
    group, batch = rest % a.integer("groups"), rest // a.integer("groups")
    first = down * a.integer("down"), across * a.integer("across")
    second = first[0] + a.integer("next_down"), first[1] + a.integer("next_across")
    present = (second[0] < a.integer("tiles_down")) & (second[1] < a.integer("tiles_across"))
    image = a.address("image") + batch * a.integer("batch_in")
    found = scratch + a.integer("at_found")
    for which in (0, 1):
        fn.store(fn.index(0), found + 16 * which)
        fn.store(fn.index((1 << (8 * w.bits.bytes - 1)) - 1), found + 16 * which + 8)
    _measure_planes(w, fn, a, args, scratch, image, group, (first, second), present)
    flags = a.address("flags") + unit_of(a, batch, group)
    tiles = []
    for which, (y, x) in enumerate((first, second)):
        largest, least = (_exponent(w, fn, found + 16 * which + 8 * i) for i in (0, 1))
        scale = largest - w.bias + a.integer("kernel_exponent")
        bad = (largest > w.top) | (scale >= w.bias)
        if w.spec.ranged:
            bad = bad | (largest - least > w.spec.range_bits)
        exists = bad.equals(bad) if which == 0 else present
        with fn.when(exists & bad):
            fn.store(fn.constant(I8, 1), flags + (y * a.integer("tiles_across") + x))
        good = exists & bad.equals(0)
        dark = fn.load(w.bits, found + 16 * which).equals(0)
        tiles.append((y, x, good, largest.maximum(1).minimum(w.top - 1), dark))
    with fn.when(tiles[0][2] | tiles[1][2]):
        _transform_planes(w, fn, a, args, scratch, image, group, tiles)
        _planes_back(w, fn, a, args, scratch, batch, group, tiles)


def unit_of(a: Record, batch: Value, group: Value) -> Value:
    """Where the flags of a batch and group begin."""
    return (batch * a.integer("groups") + group) * (a.integer("tiles_down") * a.integer("tiles_across"))


def _exponent(w: Writer, fn: Function, pointer: Value) -> Value:
    bits = fn.load(w.bits, pointer)
    return (bits if w.bits == I64 else bits.to(I64, "zext")) >> w.mantissa


def _sources(fn: Function, a: Record, image: Value, group: Value, s: Value) -> Value:
    """Plane number s of a group; null where the fill stands."""
    offset = fn.load(I64, a.address("group_sources") + (group * a.integer("most_sources") + s) * 8)
    return fn.select(offset.equals(MISSING), fn.null(), image + offset)


def _measure_planes(w, fn, a, args, scratch, image, group, tiles, present) -> None:  # type: ignore[no-untyped-def]
    count = fn.load(I64, a.address("group_count") + group * 8)
    rows, found = scratch + a.integer("at_rows"), scratch + a.integer("at_found")
    with fn.loop(0, count) as s:
        plane = _sources(fn, a, image, group, s)
        for which, (y, x) in enumerate(tiles):
            with fn.when(present if which else present.equals(present)):
                fn.call("find", VOID, [args, scratch, fn.index(which), plane, y, x])
                fn.call("measure", VOID, [rows + which * 8 * w.down, found + 16 * which])


def _transform_planes(w, fn, a, args, scratch, image, group, tiles) -> None:  # type: ignore[no-untyped-def]
    """The spectrum of every source of the group, as far as one transform along the columns where planes are single."""
    count = fn.load(I64, a.address("group_count") + group * 8)
    rows, column = scratch + a.integer("at_rows"), scratch + a.integer("at_column")
    place = scratch + a.integer("at_sources")
    scales = [_power(w, fn, fn.index(w.bias) - exponent) for *_, exponent, _ in tiles]
    with fn.loop(0, count) as s:
        plane = _sources(fn, a, image, group, s)
        for which, (y, x, good, *_) in enumerate(tiles):
            if w.spec.deep:
                with fn.when(good):
                    fn.call("find", VOID, [args, scratch, fn.index(which), plane, y, x])
            with fn.when(good.equals(0)), fn.loop(0, w.down) as r:
                fn.store(a.address("zero_row"), rows + 8 * w.down * which + r * 8)
        here = place + s * w.spec.tile_bytes
        fn.call("columns_forward", VOID, [rows, here, column, a.address("twiddles_down"), *scales])
        if w.spec.deep:
            fn.call("rows_forward", VOID, [args, here])


def _planes_back(w, fn, a, args, scratch, batch, group, tiles) -> None:  # type: ignore[no-untyped-def]
    """Every plane of the group's result."""
    begin = group * a.integer("group")
    stop = (begin + a.integer("group")).minimum(a.integer("planes_out"))
    sources, column = scratch + a.integer("at_sources"), scratch + a.integer("at_column")
    place = scratch + a.integer("at_sum") if w.spec.deep else sources
    with fn.loop(begin, stop) as p:
        source_of = a.address("source_of") + p * a.integer("taps") * 8
        fn.call("product", VOID, [args, sources, source_of, place])
        plane = a.address("result") + batch * a.integer("batch_out") + fn.load(I64, a.address("plane_out") + p * 8)
        given = []
        for y, x, good, exponent, dark in tiles:
            at_row, at_column = y * a.integer("step_down"), x * a.integer("step_across")
            out = plane + at_row * a.integer("row_out") + at_column * w.spec.result.bytes
            rows = (a.integer("rows_out") - at_row).minimum(a.integer("step_down"))
            columns = (a.integer("columns_out") - at_column).minimum(a.integer("step_across"))
            least = fn.index(2 - 2 * w.bias)  # under which all is zero, like the result of a tile without light
            scale = fn.select(dark, least, (exponent - w.bias + a.integer("kernel_exponent")).maximum(least))
            given += [out, fn.select(good, rows, fn.index(0)), fn.select(good, columns, fn.index(0)), scale]
        fn.call("columns_back", VOID, [args, place, column, *given])
