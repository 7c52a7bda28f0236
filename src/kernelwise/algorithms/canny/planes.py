"""What remains when all tiles are done: growing across their seams, and bits made into bytes."""

from __future__ import annotations

from ...jit.ir import Function, Module
from ...jit.target import Target
from ...jit.types import I8, I64, PTR, VOID, Type
from ...jit.values import Record, Value
from . import hysteresis
from .hysteresis import BITS, WORD, WORD_BITS
from .spec import BAND, PANEL

FIELDS = (
    *BITS,  # of the whole image, pending all zero
    *("height", "width", "words"),
    # the result: bytes, bytes from row to row, what an edge is written as
    *("result", "result_row", "mark"),
)
DRAIN_WORDS = 1 << 19  # of one unit: a few milliseconds
EXPAND_ROWS = 32  # of one unit


def emit(target: Target) -> Module:
    """A module with the routines ``seams``, ``pour`` and ``expand``; args are FIELDS."""
    module = Module(target)
    hysteresis.emit(module)
    _emit_seams(module)
    fn = module.function("pour", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    fn.call("drain", VOID, [fn.args[0], fn.index(DRAIN_WORDS)])
    _emit_expand(module)
    return module


def _emit_seams(module: Module) -> None:
    """One unit: let the words on both sides of every seam grow. What they reach waits on the stack."""
    fn = module.function("seams", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    bits = fn.args[0]
    field = Record(fn, bits, FIELDS)
    height, words, pitch = field.integer("height"), field.integer("words"), field.integer("pitch")
    lanes = hysteresis.vector_words(fn)
    vector = I64.of(lanes)
    c, s = field.address("candidates"), field.address("strong")
    with fn.loop(BAND, height, BAND) as y, fn.loop(y - 1, y + 1) as row, fn.loop(0, words, lanes) as word:
        place = row * pitch + word * WORD
        free = fn.load(vector, c + place) & (fn.load(vector, s + place) ^ -1)
        with fn.when(hysteresis.any_bit(fn, free)):
            with fn.loop(0, lanes) as lane:
                fn.call("visit", VOID, [bits, place + lane * WORD])
    step = PANEL // WORD_BITS
    with fn.loop(step, words, step) as k, fn.loop(0, height) as row, fn.loop(k - 1, k + 1) as word:
        fn.call("visit", VOID, [bits, row * pitch + word * WORD])


def _emit_expand(module: Module) -> None:
    """A unit of rows, from bits to bytes."""
    fn = module.function("expand", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, _, unit = fn.args
    field = Record(fn, args, FIELDS)
    width = field.integer("width")
    mark = fn.load(I8, field.at("mark"))
    first = unit * EXPAND_ROWS
    with fn.loop(first, (first + EXPAND_ROWS).minimum(field.integer("height"))) as y:
        source = field.address("strong") + y * field.integer("pitch")
        target = field.address("result") + y * field.integer("result_row")
        whole = width // WORD_BITS
        with fn.loop(0, whole) as k:
            _expand_word(fn, fn.load(I64, source + k * WORD), mark, target + k * WORD_BITS)
        rest = width % WORD_BITS
        with fn.when((whole > 0) & (rest > 0)):  # the last 64 pixels, out of two words
            end = source + whole * WORD
            pixels = (fn.load(I64, end + -WORD) >> rest) | (fn.load(I64, end) << (fn.index(WORD_BITS) - rest))
            _expand_word(fn, pixels, mark, target + (width - WORD_BITS))
        with fn.when(whole.equals(0)):
            pixels = fn.load(I64, source)
            with fn.loop(0, width) as x:
                bit = (pixels >> x) & 1
                fn.store(fn.select(bit.differs(0), mark, 0), target + x)


def _expand_word(fn: Function, pixels: Value, mark: Value, target: Value) -> None:
    """64 bits to 64 bytes."""
    lanes = min(WORD_BITS, fn.target.vector_bytes)
    part, mask = Type(f"i{lanes}"), Type("i1", lanes)
    marks = fn.splat(mark, lanes)
    for start in range(0, WORD_BITS, lanes):
        piece = pixels >> start if start else pixels
        narrow = piece if lanes == WORD_BITS else piece.to(part, "trunc")
        chosen = fn.emit(mask, f"bitcast {narrow.typed} to {mask.text}")
        fn.store(fn.select(chosen, marks, 0), target + start)
