"""The passes over a pair of tiles: columns and rows forward, the product with the kernel's spectrum, and back."""

from __future__ import annotations

from ...jit.ir import Function
from ...jit.types import I64, PTR, Type
from ...jit.values import Record, Value
from ..numbers import Number, load, store
from ..vectors import transpose
from .butterflies import Complex, load_complex, store_complex, times, times_conjugate, transform
from .record import FIELDS, Writer

# ---------------------------------------------------------------- forward


def emit_columns_forward(w: Writer, name: str, stored: Number) -> None:
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
        turn(
            w,
            fn,
            column,
            w.complex_bytes * w.lanes,
            w.complex_bytes,
            place + x * w.complex_bytes,
            w.block_bytes,
            w.complex_bytes,
        )


def turn(
    w: Writer, fn: Function, source: Value, step: Value | int, row: int, place: Value, place_step: int, place_row: int
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


def emit_rows_forward(w: Writer) -> None:
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


def emit_product(w: Writer) -> None:
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


def emit_columns_back(w: Writer) -> None:
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
        turn(
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
    one, two = (fn.splat(power(w, fn, e), w.lanes) for e in (half, exponent - half))
    return one, two


def power(w: Writer, fn: Function, exponent: Value) -> Value:
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
