"""The routines that follow edge pixels from one to the next, generated.

`accept`: which of its neighbours each edge pixel would be linked with, by a table of its eight neighbours.
`agree`: a link is one that both its ends accept. The two are run again for what is left: a pixel whose choice did not
choose it may have another. Every pixel has two links at most, so they form paths and circles.
`follow`: path after path, and then circle after circle, each from its first pixel in the order of rows.

The maps have a frame of zeros, one pixel wide at least, so that every edge pixel has eight neighbours; a row takes a
multiple of 8 bytes, so that empty ones are passed over eight at a time.
"""

from __future__ import annotations

from collections.abc import Callable

from ..jit.ir import Function, Module
from ..jit.target import Target
from ..jit.types import I8, I32, I64, PTR
from ..jit.values import Record, Value

STEPS = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))  # y, x: clockwise from the right
FIELDS = (
    *("rows", "pitch"),  # of the framed maps: rows without the frame, bytes of a row with it
    "lines",  # rows in a unit of work
    "map",  # bytes: 1 for an edge; `follow` sets to 0 what it has been to
    # a byte for each set of neighbours, a bit for each of STEPS: those that are one step away; those to accept, of the
    # set of candidates, after 256 bytes for each link there may be: none, or one of STEPS
    *("steps", "choice"),
    *("accepted", "linked"),  # bytes: bits of STEPS, for each pixel
    "most_links",  # of a pixel that `follow` begins at: 1 for paths, 2 for circles
    "pixels",  # int32: places in the framed map, one chain after the other
    "starts",  # int32: where each chain begins in `pixels`
    *("pixel_count", "chain_count"),
)


def emit(target: Target) -> Module:
    """A module with ``accept``, ``agree`` and ``follow``, each (args, scratch, unit); args are FIELDS.

    The units of `follow` are run in their order.
    """
    module = Module(target)
    _emit_accept(module)
    _emit_agree(module)
    _emit_follow(module)
    return module


def _emit_accept(module: Module) -> None:
    fn, field, pitch = _begin(module, "accept")
    given, accepted, linked = (field.address(name) for name in ("map", "accepted", "linked"))

    def one(place: Value) -> None:
        links, neighbours, full = _byte(fn, linked, place), fn.index(0), fn.index(0)
        for bit, step in enumerate(STEPS):
            there = place + _offset(step, pitch)
            neighbours = neighbours | ((_byte(fn, given, there) & 1) << bit)
            full = full | ((_links(fn, linked, there) >> 1) << bit)
        candidates = _byte(fn, field.address("steps"), neighbours) & (full ^ 255) & (links ^ 255)
        earlier = fn.select(links.equals(0), fn.index(0), _lowest(fn, links) + 1)
        chosen = _byte(fn, field.address("choice"), earlier * 256 + candidates)
        fn.store(fn.select(_links(fn, linked, place).equals(2), fn.index(0), chosen).to(I8, "trunc"), accepted + place)

    _for_each(fn, field, given, one)


def _emit_agree(module: Module) -> None:
    fn, field, pitch = _begin(module, "agree")
    accepted, linked = field.address("accepted"), field.address("linked")

    def one(place: Value) -> None:
        mine, links = _byte(fn, accepted, place), _byte(fn, linked, place)
        for bit, step in enumerate(STEPS):
            theirs = _byte(fn, accepted, place + _offset(step, pitch)) >> ((bit + 4) % 8)
            links = links | (((mine >> bit) & theirs & 1) << bit)
        fn.store(links.to(I8, "trunc"), linked + place)

    _for_each(fn, field, accepted, one)


def _emit_follow(module: Module) -> None:
    fn, field, pitch = _begin(module, "follow")
    given, linked = field.address("map"), field.address("linked")
    offsets = fn.stack(8 * len(STEPS), 8)
    for bit, step in enumerate(STEPS):
        fn.store(_offset(step, pitch), offsets + 8 * bit)
    here = fn.stack(8, 8)

    def one(place: Value) -> None:
        with fn.when(_links(fn, linked, place) <= field.integer("most_links")):
            chains = field.integer("chain_count")
            _put(fn, field.address("starts"), chains, field.integer("pixel_count"))
            fn.store(chains + 1, field.at("chain_count"))
            fn.store(place, here)
            with fn.forever() as stop_if:
                at, count = fn.load(I64, here), field.integer("pixel_count")
                _put(fn, field.address("pixels"), count, at)
                fn.store(count + 1, field.at("pixel_count"))
                fn.store(fn.constant(I8, 0), given + at)
                links = _byte(fn, linked, at)
                stop_if(links.equals(0))
                other = links & (links - 1)  # without the lowest bit
                other = fn.select(other.equals(0), links, other)
                ahead = [at + fn.load(I64, offsets + _lowest(fn, bits) * 8) for bits in (links, other)]
                onward = fn.select(_byte(fn, given, ahead[0]).differs(0), ahead[0], ahead[1])
                fn.store(onward, here)
                stop_if(_byte(fn, given, onward).equals(0))

    _for_each(fn, field, given, one)


def _begin(module: Module, name: str) -> tuple[Function, Record, Value]:
    fn = module.function(name, [("args", PTR), ("scratch", PTR), ("unit", I64)])
    field = Record(fn, fn.args[0], FIELDS)
    return fn, field, field.integer("pitch")


def _for_each(fn: Function, field: Record, given: Value, one: Callable[[Value], None]) -> None:
    """The body for every pixel of the unit's rows where a map is not 0."""
    pitch, lines = field.integer("pitch"), field.integer("lines")
    first = fn.args[2] * lines + 1
    stop = (first + lines).minimum(field.integer("rows") + 1)
    with fn.loop(first * pitch, stop * pitch, 8) as word:
        with fn.when(fn.load(I64, given + word, align=1).differs(0)):
            with fn.loop(word, word + 8) as place:
                with fn.when(_byte(fn, given, place).differs(0)):
                    one(place)


def _offset(step: tuple[int, int], pitch: Value) -> Value:
    return pitch * step[0] + step[1]


def _links(fn: Function, linked: Value, place: Value) -> Value:
    """How many links a pixel has."""
    return fn.intrinsic("ctpop", I64, [_byte(fn, linked, place)])


def _lowest(fn: Function, bits: Value) -> Value:
    """The number of the lowest bit that is set."""
    return fn.intrinsic("ctpop", I64, [(bits ^ (bits - 1)) >> 1])


def _byte(fn: Function, array: Value, place: Value) -> Value:
    return fn.load(I8, array + place).to(I64, "zext")


def _put(fn: Function, array: Value, index: Value, value: Value) -> None:
    fn.store(value.to(I32, "trunc"), array + index * 4)
