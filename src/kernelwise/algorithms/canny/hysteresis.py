"""Hysteresis on bits: of all candidates, those that a strong pixel reaches through its eight neighbours.

Pixels are bits, 64 in a word, pixel x of a row being bit x % 64 of word x // 64. Candidates C and strong pixels S (a
subset of C) are planes of such rows. Zeros stand around them, a row above and below and words to the left and right,
so no neighbour needs to be asked for. S grows inside C until nothing changes; what comes out is one and the same set
in whatever order it grows. It grows in three ways, each of which leaves little for the next:

    sweep    down, then up: what touches S in the rows above and below, and whole runs of candidates within a word,
             filled by the carry of an addition (towards higher bits) and by doubling steps (towards lower ones)
    settle   look for words that can still grow
    drain    grow them and what they reach, word by word, from a stack: each bit is set once and passed on once, so
             no picture, however winding its edges, takes more than a few steps for each of its pixels

A word that grew waits on the stack with its new bits in a third plane, *pending*; what it gains while it waits is
added there, so the stack never holds a word twice.
"""

from __future__ import annotations

from ...jit.ir import Function, Module
from ...jit.types import I64, PTR, VOID, Type
from ...jit.values import Record, Value

BITS = ("candidates", "strong", "pending", "stack", "top", "pitch")  # a place is a byte offset into each plane
WORD, WORD_BITS = 8, 64
PAD_WORDS = 8  # zeros at the end of each row, which stand before the next one too
HIGHEST = -(2**63)


def emit(module: Module) -> None:
    """``sweep`` and ``settle``, with ``visit``, ``take`` and ``drain``, into a module."""
    _emit_take(module)
    _emit_visit(module)
    _emit_drain(module)
    _emit_settle(module)
    _emit_sweep(module)


def vector_words(fn: Function) -> int:
    return fn.target.lanes(WORD)


def any_bit(fn: Function, words: Value) -> Value:
    """Whether any of the words is not zero."""
    some, mask = words.differs(0), Type(f"i{words.type.lanes}")
    return fn.emit(mask, f"bitcast {some.typed} to {mask.text}").differs(0)


def _spread(middle: Value, left: Value, right: Value) -> Value:
    """The pixels themselves and those beside them."""
    return middle | (middle << 1) | (middle >> 1) | (left >> 63) | (right << 63)


def _fill(bits: Value, runs: Value) -> Value:
    """All pixels of those runs in which there is a bit; bits must lie in runs."""
    filled = (((runs + bits) ^ runs) | bits) & runs
    return _fill_down(filled, runs)


def _fill_down(bits: Value, runs: Value) -> Value:
    for step in (1, 2, 4, 8, 16, 32):
        bits = bits | (runs & (bits >> step))
        if step < 32:
            runs = runs & (runs >> step)
    return bits


# ---------------------------------------------------------------- row by row, several words at once


def _emit_sweep(module: Module) -> None:
    """``void sweep(ptr bits, i64 first, i64 step, i64 words, i64 rows)``: rows at first, first + step, ..."""
    names = [("bits", PTR), *((name, I64) for name in ("first", "step", "words", "rows"))]
    fn = module.function("sweep", names, internal=True)
    bits, first, step, words, rows = fn.args
    b = Record(fn, bits, BITS)
    c, s, pitch = b.address("candidates"), b.address("strong"), b.integer("pitch")
    lanes = vector_words(fn)
    vector = I64.of(lanes)
    with fn.loop(0, rows) as row:
        here = first + row * step
        with fn.counted(0, words, lanes, carry=[fn.constant(vector, 0)]) as loop:
            place = here + loop.index * WORD
            runs, own = fn.load(vector, c + place), fn.load(vector, s + place)
            loop.carry_on([own])
            with fn.when(any_bit(fn, runs & (own ^ -1))):
                before = fn.shuffle(loop.carried[0], own, range(lanes - 1, 2 * lanes - 1))
                seeds = (own | _around(fn, s + place, pitch, vector, before)) & runs
                with fn.when(any_bit(fn, seeds ^ own)):
                    fn.store(_fill(seeds, runs), s + place)


def _around(fn: Function, place: Value, pitch: Value, kind: Type, left: Value | None = None) -> Value:
    """The eight neighbours of all pixels of some words."""
    above, below = place + (0 - pitch), place + pitch
    own_left = fn.load(kind, place + -WORD) if left is None else left
    middle, before, after = (fn.load(kind, above + shift) | fn.load(kind, below + shift) for shift in (0, -WORD, WORD))
    own_right = fn.load(kind, place + WORD)
    beside = (own_left >> 63) | (own_right << 63)
    return _spread(middle, before, after) | beside


# ---------------------------------------------------------------- word by word


def _emit_take(module: Module) -> None:
    """``void take(ptr bits, i64 place, i64 seeds)``: add the runs of candidates that hold seeds to S, and remember the
    word if it grew."""
    fn = module.function("take", [("bits", PTR), ("place", I64), ("seeds", I64)], internal=True)
    bits, place, seeds = fn.args
    b = Record(fn, bits, BITS)
    strong_place = b.address("strong") + place
    strong = fn.load(I64, strong_place)
    free = fn.load(I64, b.address("candidates") + place) & (strong ^ -1)
    bit = seeds & free
    with fn.when(bit.equals(0)):
        fn.ret()
    grown = fn.stack(WORD, WORD)
    fn.store(bit, grown)
    with fn.when((((bit << 1) | (bit >> 1)) & free & (bit ^ -1)).differs(0)):
        fn.store(_fill(bit, free), grown)
    new = fn.load(I64, grown)
    fn.store(strong | new, strong_place)
    pending_place = b.address("pending") + place
    pending = fn.load(I64, pending_place)
    fn.store(pending | new, pending_place)
    with fn.when(pending.equals(0)):
        top = b.integer("top")
        fn.store(place, b.address("stack") + top * WORD)
        fn.store(top + 1, b.at("top"))
    fn.ret()


def _emit_visit(module: Module) -> None:
    """``void visit(ptr bits, i64 place)``: let a word grow from its neighbours."""
    fn = module.function("visit", [("bits", PTR), ("place", I64)], internal=True)
    bits, place = fn.args
    b = Record(fn, bits, BITS)
    own = b.address("strong") + place
    strong = fn.load(I64, own)
    free = fn.load(I64, b.address("candidates") + place) & (strong ^ -1)
    with fn.when(free.differs(0)):
        seeds = _around(fn, own, b.integer("pitch"), I64) | (strong << 1) | (strong >> 1)
        with fn.when((seeds & free).differs(0)):
            fn.call("take", VOID, [bits, place, seeds])


def _emit_drain(module: Module) -> None:
    """``void drain(ptr bits, i64 most)``: let ``most`` waiting words at most pass their new bits on."""
    fn = module.function("drain", [("bits", PTR), ("most", I64)], internal=True)
    bits, most = fn.args
    b = Record(fn, bits, BITS)
    c, s, p, stack, pitch = (
        b.address("candidates"), b.address("strong"), b.address("pending"), b.address("stack"), b.integer("pitch")
    )  # fmt: skip
    with fn.loop(0, most):
        top = b.integer("top") - 1
        with fn.when(top < 0):
            fn.ret()
        fn.store(top, b.at("top"))
        place = fn.load(I64, stack + top * WORD)
        new = fn.load(I64, p + place)
        fn.store(fn.constant(I64, 0), p + place)
        wide = new | (new << 1) | (new >> 1)
        for row in (place - pitch, place + pitch):
            free = fn.load(I64, c + row) & (fn.load(I64, s + row) ^ -1)
            with fn.when((wide & free).differs(0)):
                fn.call("take", VOID, [bits, row, wide])
        for edge, side, seed in ((1, -WORD, HIGHEST), (HIGHEST, WORD, 1)):
            with fn.when((new & edge).differs(0)):
                for row in (place - pitch, place, place + pitch):
                    fn.call("take", VOID, [bits, row + side, fn.constant(I64, seed)])


def _emit_settle(module: Module) -> None:
    """``void settle(ptr bits, i64 words, i64 rows)``: grow to the end, within rows 0 .. rows - 1."""
    fn = module.function("settle", [("bits", PTR), ("words", I64), ("rows", I64)], internal=True)
    bits, words, rows = fn.args
    b = Record(fn, bits, BITS)
    c, s, pitch = b.address("candidates"), b.address("strong"), b.integer("pitch")
    lanes = vector_words(fn)
    vector = I64.of(lanes)
    with fn.loop(0, rows) as row, fn.loop(0, words, lanes) as word:
        place = row * pitch + word * WORD
        strong = fn.load(vector, s + place)
        free = fn.load(vector, c + place) & (strong ^ -1)
        with fn.when(any_bit(fn, free)):
            seeds = _around(fn, s + place, pitch, vector) | (strong << 1) | (strong >> 1)
            with fn.when(any_bit(fn, seeds & free)):
                with fn.loop(0, lanes) as lane:
                    fn.call("visit", VOID, [bits, place + lane * WORD])
                fn.call("drain", VOID, [bits, fn.constant(I64, 2**62)])
