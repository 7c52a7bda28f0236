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
from ...jit.types import I1, I8, I64, PTR, VOID
from ...jit.values import Record, Value
from ..walk import MISSING
from . import passes, staging
from .passes import power
from .record import FIELDS, Writer
from .spec import FourierSpec


def emit(target: Target, spec: FourierSpec) -> Module:
    """A module with two functions for the pool: ``tiles``, and ``kernel``, which transforms a plane of the kernel."""
    module = Module(target)
    writer = Writer(module, spec)
    staging.emit_stage(writer)
    staging.emit_find(writer)
    staging.emit_measure(writer)
    passes.emit_columns_forward(writer, "columns_forward", spec.image)
    passes.emit_columns_forward(writer, "kernel_columns", spec.sums)
    passes.emit_rows_forward(writer)
    passes.emit_product(writer)
    passes.emit_columns_back(writer)
    _emit_kernel(writer)
    _emit_tiles(writer)
    return module


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
    tiles, always = [], fn.constant(I1, 1)
    for which, (y, x) in enumerate((first, second)):
        largest, least = (_exponent(w, fn, found + 16 * which + 8 * i) for i in (0, 1))
        scale = largest - w.bias + a.integer("kernel_exponent")
        bad = (largest > w.top) | (scale >= w.bias)
        if w.spec.ranged:
            bad = bad | (largest - least > w.spec.range_bits)
        exists = present if which else always
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
            with fn.when(present if which else fn.constant(I1, 1)):
                fn.call("find", VOID, [args, scratch, fn.index(which), plane, y, x])
                fn.call("measure", VOID, [rows + which * 8 * w.down, found + 16 * which])


def _transform_planes(w, fn, a, args, scratch, image, group, tiles) -> None:  # type: ignore[no-untyped-def]
    """The spectrum of every source of the group, as far as one transform along the columns where planes are single."""
    count = fn.load(I64, a.address("group_count") + group * 8)
    rows, column = scratch + a.integer("at_rows"), scratch + a.integer("at_column")
    place = scratch + a.integer("at_sources")
    scales = [power(w, fn, fn.index(w.bias) - exponent) for *_, exponent, _ in tiles]
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
