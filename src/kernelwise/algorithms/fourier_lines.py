"""Lag sums of single lines by transforms: for many lags, in the place of line_lags.py.

Lines lie side by side in the lanes, pixel by pixel. They are cut into overlapping pieces as long as a transform; two
neighbouring pieces are the real and the imaginary part of one complex piece. Then

1. all pieces of all lines are transformed: those of a as they are, those of b so that lines follow each other at every
   frequency, and a vector of them can begin anywhere;
2. for each distance d the products of a's lines with those of b that lie d behind are added up over all pieces, and the
   sum is transformed back: its real part is the lag sums of both pieces of all pairs.

A sum is off by some units of 2^-53 times the norms of its two lines. Everything is cut by shapes alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..jit import pool
from ..jit.compile import Code, build
from ..jit.ir import Function, Module
from ..jit.target import Target
from ..jit.types import F64, I64, PTR, VOID
from ..jit.values import Record, Value
from . import spare
from .fourier.butterflies import Complex, Load, load_complex, negative, store_complex, transform
from .fourier.spec import LENGTHS, twiddles
from .launch import Sheet
from .memory import up
from .routine import current_target
from .vectors import transpose

DOWNS = 16  # distances whose sums are transformed back by one unit of work
TOGETHER = 4
FIELDS = (
    # float64 [image, channel, pixel][line], zeros behind the lines and behind the pixels; bytes of an image, of a
    # channel and of a pixel
    *("a", "a_image", "a_channel", "a_pixel"),
    *("b", "b_image", "b_channel", "b_pixel"),
    # spectra: [channel, vector of lines, frequency, piece] and, lines of b side by side,
    # [channel, frequency, piece, real or imaginary][line]; a piece is a pair of pieces of an image
    *("a_spectra", "b_spectra", "b_part"),
    # float64 [a's channel, b's channel, line, distance][lag], and bytes of the last
    *("found", "found_row"),
    # how many there are
    *("images", "pairs", "a_channels", "b_channels", "a_vectors", "b_vectors", "downs", "lag_vectors"),
    # pixels from one piece of a line to the next; factors of transforms
    *("step", "twiddles"),
)


@dataclass(frozen=True)
class LinesSpec:
    """Everything that changes the generated code."""

    length: int  # of a transform
    lanes: int
    together: int  # distances whose products are added up at a time: one alone would wait for itself


@dataclass(frozen=True)
class LinesCut:
    """How lines are cut and transformed."""

    spec: LinesSpec
    step: int  # pixels of a piece that are its own
    pairs: int  # of pieces of a line
    a_vectors: int  # of lines
    b_vectors: int
    nanoseconds: float  # predicted, on one thread

    @property
    def pixels(self) -> int:
        """That pieces reach over."""
        return 2 * self.pairs * self.step + self.spec.length - self.step


# Nanoseconds on one thread by `python benchmarks/line_costs.py` on the machine of costs.py: for a vector in each of the
# log2 stages of a transform, there (it is filled and read as well) and back; for a product of vectors; for a call.
FORTH, BACK = 2.1, 0.65
PRODUCT = 0.9
START = 50_000.0
MEASURED_LANES = 8


@lru_cache(maxsize=1024)
def cut(images: int, channels: tuple[int, int], rows: int, pixels: int, downs: int, lags: int) -> LinesCut | None:
    """The cut that takes the least time for so many rows of a, matched with as many and ``downs`` - 1 more of b; None
    where there are too many lags for it."""
    fitting = [length for length in LENGTHS if length >= lags + 7]
    every = [of_length(length, images, channels, rows, pixels, downs, lags) for length in fitting]
    return min(every, key=lambda one: one.nanoseconds, default=None)


def of_length(
    length: int, images: int, channels: tuple[int, int], rows: int, pixels: int, downs: int, lags: int
) -> LinesCut:
    """The cut into transforms of that length."""
    lanes = current_target().lanes(F64.bytes)
    a_vectors = -(-rows // lanes)
    b_vectors = -(-(a_vectors * lanes + downs - 1) // lanes)
    (a, b), step = channels, length - lags + 1
    pairs = -(-pixels // (2 * step))
    pieces, stages = images * pairs, math.log2(length)
    forth = pieces * (a * a_vectors + b * b_vectors) * length * stages
    sums = a * b * a_vectors * downs * length
    work = forth * FORTH + sums * (pieces * PRODUCT + stages * BACK)
    nanoseconds = START + work * MEASURED_LANES / lanes
    return LinesCut(LinesSpec(length, lanes, min(downs, TOGETHER)), step, pairs, a_vectors, b_vectors, nanoseconds)


class Lines(NamedTuple):
    """What is to be matched."""

    of: LinesCut
    images: int
    channels: tuple[int, int]
    rows: int
    downs: int
    lags: int
    # given zeros, (n, c, pixels, lines) for a and for b, write the numbers from the first pixel and line on
    fill: Callable[[np.ndarray, np.ndarray], None]

    def shapes(self) -> list[tuple[int, ...]]:
        """Of a and b, then of their spectra."""
        of, (a, b), pieces = self.of, self.channels, self.images * self.of.pairs
        lanes, length = of.spec.lanes, of.spec.length
        given = [(self.images, c, of.pixels, v * lanes) for c, v in ((a, of.a_vectors), (b, of.b_vectors))]
        spectra = [(c, v, length, pieces, 2, lanes) for c, v in ((a, of.a_vectors), (b, of.b_vectors))]
        return [*given, *spectra]


def fourier_lines(asked: Sequence[Lines], threads: int | None) -> list[np.ndarray]:
    """All of them, one after the other: (c, d, rows, downs, lags) for each."""
    if not asked:
        return []
    threads = threads or pool.threads()
    memory = spare.take_arrays([shape for one in asked for shape in one.shapes()])
    made = [_prepared(one, memory[4 * i : 4 * i + 4], threads) for i, one in enumerate(asked)]
    pool.Sequence(job for jobs, _, _ in made for job in jobs).run()
    spare.leave(memory[0])
    return [found[:, :, : one.rows, :, : one.lags] for one, (_, found, _) in zip(asked, made, strict=True)]


def _prepared(one: Lines, memory: list[np.ndarray], threads: int) -> tuple[list[pool.Job], np.ndarray, object]:
    """The jobs, what they write to, and what has to live until they are done."""
    (a, b, *spectra), of, target, (channels, others) = memory, one.of, current_target(), one.channels
    a[...], b[...] = 0, 0
    one.fill(a, b)
    lanes, pieces = of.spec.lanes, one.images * of.pairs
    found = np.empty((channels, others, of.a_vectors * lanes, one.downs, up(one.lags, lanes)))
    sheet = Sheet(FIELDS)
    for name, array, spectrum in (("a", a, spectra[0]), ("b", b, spectra[1])):
        sheet.point(name, array)
        sheet.point(f"{name}_spectra", spectrum)
        sheet.write(**dict(zip((f"{name}_image", f"{name}_channel", f"{name}_pixel"), array.strides, strict=False)))
        sheet.write(**{f"{name}_channels": array.shape[1]})
    sheet.point("found", found)
    sheet.point("twiddles", twiddles(of.spec.length, target, np.dtype(np.float64)))
    sheet.write(b_part=b.strides[2], found_row=found.strides[3], images=one.images, pairs=of.pairs, step=of.step)
    sheet.write(a_vectors=of.a_vectors, b_vectors=of.b_vectors, downs=one.downs, lag_vectors=found.shape[4] // lanes)
    code, args = _code(of.spec, target), sheet.args()
    piece = of.spec.length * 2 * lanes * F64.bytes
    forth = pieces * (channels * of.a_vectors + others * of.b_vectors)
    back = channels * others * of.a_vectors * -(-one.downs // DOWNS)
    jobs = [
        pool.Job(code.address("forth"), args.ctypes.data, piece, forth, threads),
        pool.Job(code.address("back"), args.ctypes.data, (DOWNS + TOGETHER) * piece, back, threads),
    ]
    return jobs, found, (sheet, args, code)


@lru_cache(maxsize=64)
def _code(spec: LinesSpec, target: Target) -> Code:
    return build(spec, lambda: emit(spec, target), target)


def forget() -> None:
    """Drop all remembered plans and code. Code that still runs is kept alive by its caller."""
    cut.cache_clear()
    _code.cache_clear()


# ---------------------------------------------------------------- the code


def emit(spec: LinesSpec, target: Target) -> Module:
    """A module with ``forth`` and ``back``, both ``void (ptr args, ptr scratch, i64 unit)``; args are FIELDS."""
    module = Module(target)
    _emit_forth(module, spec)
    _emit_products(module, spec)
    _emit_back(module, spec)
    return module


def _emit_forth(module: Module, spec: LinesSpec) -> None:
    """Pieces of a vector of lines. A unit: piece of an image * vectors of a and b + vector."""
    fn = module.function("forth", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, scratch, unit = fn.args
    field, vector = Record(fn, args, FIELDS), F64.of(spec.lanes)
    ours, theirs = (field.integer(f"{s}_channels") * field.integer(f"{s}_vectors") for s in "ab")
    number, piece = unit % (ours + theirs), unit // (ours + theirs)
    pieces, table, size = field.integer("images") * field.integer("pairs"), field.address("twiddles"), 2 * vector.bytes
    with fn.when(number < ours):
        transform(fn, vector, spec.length, scratch, table, True, _pixels(fn, spec, field, "a", piece, number))
        place = field.address("a_spectra") + (number * spec.length * pieces + piece) * size
        with fn.loop(0, spec.length) as f:
            store_complex(fn, load_complex(fn, vector, scratch + f * size), place + f * pieces * size, vector)
    with fn.when(number >= ours):
        line, part = number - ours, field.integer("b_part")
        transform(fn, vector, spec.length, scratch, table, True, _pixels(fn, spec, field, "b", piece, line))
        channel, v = line // field.integer("b_vectors"), line % field.integer("b_vectors")
        place = field.address("b_spectra") + ((channel * spec.length * pieces + piece) * (2 * part) + v * vector.bytes)
        with fn.loop(0, spec.length) as f:
            re, im = load_complex(fn, vector, scratch + f * size)
            here = place + f * pieces * (2 * part)
            fn.store(re, here)
            fn.store(im, here + part)


def _pixels(fn: Function, spec: LinesSpec, field: Record, side: str, piece: Value, number: Value) -> Load:
    """What gives the numbers of two neighbouring pieces of a vector of lines; those of a end where b's are shared."""
    vector, pairs = F64.of(spec.lanes), field.integer("pairs")
    image, pair = piece // pairs, piece % pairs
    vectors, pixel, step = (field.integer(name) for name in (f"{side}_vectors", f"{side}_pixel", "step"))
    start = field.address(side) + image * field.integer(f"{side}_image")
    start = start + number // vectors * field.integer(f"{side}_channel") + number % vectors * vector.bytes
    first = start + pair * 2 * step * pixel
    second = first + step * pixel

    def numbers(index: Value) -> Complex:
        values = [fn.load(vector, begin + index * pixel) for begin in (first, second)]
        if side == "a":
            values = [fn.select(index < step, value, 0) for value in values]
        return values[0], values[1]

    return numbers


def _emit_products(module: Module, spec: LinesSpec) -> None:
    """``products``: of a vector of a's lines with b's from ``b`` on, at one frequency and some distances, over all
    pieces; ``apart``: bytes from the sums of one distance to those of the next."""
    pointers = [("args", PTR), ("a", PTR), ("b", PTR), ("place", PTR)]
    fn = module.function("products", [*pointers, ("apart", I64)], internal=True)
    args, a, b, place, apart = fn.args
    field, vector = Record(fn, args, FIELDS), F64.of(spec.lanes)
    part, pieces = field.integer("b_part"), field.integer("images") * field.integer("pairs")
    zeros = [fn.constant(vector, 0)] * (2 * spec.together)
    with fn.counted(0, pieces, carry=zeros) as p:
        fn.fence()
        re, im = load_complex(fn, vector, a + p.index * (2 * vector.bytes))
        minus, sums = negative(fn, im), list(p.carried)
        for d in range(spec.together):
            there = b + (p.index * (2 * part) + d * F64.bytes)
            real, imaginary = fn.load(vector, there), fn.load(vector, there + part)
            sums[2 * d] = fn.fma(im, imaginary, fn.fma(re, real, sums[2 * d]))
            sums[2 * d + 1] = fn.fma(minus, real, fn.fma(re, imaginary, sums[2 * d + 1]))
        p.carry_on(sums)
    for d in range(spec.together):
        store_complex(fn, (p.results[2 * d], p.results[2 * d + 1]), place + d * apart, vector)


def _emit_back(module: Module, spec: LinesSpec) -> None:
    """A unit: ((a's channel * b's channels + b's channel) * a's vectors + vector) * blocks of distances + block."""
    fn = module.function("back", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, scratch, unit = fn.args
    field, vector = Record(fn, args, FIELDS), F64.of(spec.lanes)
    downs, vectors = field.integer("downs"), field.integer("a_vectors")
    blocks = (downs + (DOWNS - 1)) // DOWNS
    block, rest = unit % blocks, unit // blocks
    v, pair = rest % vectors, rest // vectors
    i, j = pair // field.integer("b_channels"), pair % field.integer("b_channels")
    begin, end = block * DOWNS, (block * DOWNS + DOWNS).minimum(downs)
    number, part = 2 * vector.bytes, field.integer("b_part")
    size, pieces = spec.length * number, field.integer("images") * field.integer("pairs")
    a = field.address("a_spectra") + (i * vectors + v) * size * pieces
    b = field.address("b_spectra") + (j * part * (2 * spec.length) * pieces + v * vector.bytes)
    first = begin.minimum(downs - spec.together)  # the last blocks may begin among those before
    with fn.loop(0, spec.length) as f, fn.loop(first, end, spec.together) as d_:
        d = d_.minimum(end - spec.together)
        there = b + (f * pieces * 2 * part + d * F64.bytes)
        place = scratch + ((d - first) * size + f * number)
        fn.call("products", VOID, [args, a + f * pieces * number, there, place, fn.index(size)])
    with fn.loop(begin, end) as d:
        sums = scratch + (d - first) * size
        transform(fn, vector, spec.length, sums, field.address("twiddles"), False)
        row = field.integer("found_row")
        line = field.address("found") + ((pair * vectors + v) * spec.lanes * downs + d) * row
        with fn.loop(0, field.integer("lag_vectors")) as lag:
            here = sums + lag * (spec.lanes * number)
            turned = transpose(fn, [fn.load(vector, here + k * number) for k in range(spec.lanes)])
            for k, value in enumerate(turned):
                fn.store(value * (1.0 / spec.length), line + k * downs * row + lag * vector.bytes)
