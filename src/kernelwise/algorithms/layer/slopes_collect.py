"""Sums of `slopes` as a gradient: parts added up, the taps and channels of an output side by side, blocks forgotten.

[part][group][block of outputs][block of channels][place of a tap][channel of the block][output of the block]
-> [group][output][channel][tap]
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ...jit import pool
from ...jit.compile import Code, build
from ...jit.ir import Module
from ...jit.target import Target
from ...jit.types import F64, I64, PTR, VOID
from ...jit.values import Record
from ..launch import Sheet
from ..numbers import Number
from ..routine import current_target
from . import slopes_rows

LINES = 512  # taps of channels that a unit turns, about
FIELDS = (
    *("sums", "out", "parts", "part", "group", "block", "channel_block", "in_block", "places"),
    # units: (group * output blocks + block) * ranges + range
    *("output_blocks", "block_outputs", "outputs", "ranges", "range", "channels", "taps"),
    *("out_group", "out_row", "out_channel", "at_spare"),
)


@dataclass(frozen=True)
class CollectSpec:
    """Everything that changes the generated code of one routine."""

    number: Number  # of the gradient
    algorithm: str = "layer slopes, collected"


class Layout(NamedTuple):
    """How sums lie: ``steps`` in bytes from one part, group, block of outputs and block of channels to the next;
    ``places``: of the taps, in bytes."""

    steps: tuple[int, int, int, int]
    places: np.ndarray
    block: tuple[int, int]  # outputs and channels of a block
    groups: int
    outputs: int
    channels: int
    parts: int


def emit(target: Target, spec: CollectSpec) -> Module:
    """A module with the function ``collect`` for the pool: some channels of a block of outputs."""
    module = Module(target)
    lanes, number, size = target.lanes(F64.bytes), spec.number.type, spec.number.bytes
    wide, vector = F64.of(lanes), number.of(lanes)
    slopes_rows.emit(module, number, vector)
    fn = module.function("collect", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, scratch, unit = fn.args
    a = Record(fn, args, FIELDS)
    first, rest = unit % a.integer("ranges") * a.integer("range"), unit // a.integer("ranges")
    channels = (a.integer("channels") - first).minimum(a.integer("range"))
    block, group = rest % a.integer("output_blocks"), rest // a.integer("output_blocks")
    source = a.address("sums") + group * a.integer("group") + block * a.integer("block")
    taps, each = a.integer("taps"), a.integer("in_block")
    spare, lines = scratch, scratch + a.integer("at_spare")
    with fn.loop(0, a.integer("block_outputs"), lanes) as output:
        valid = a.integer("outputs") - block * a.integer("block_outputs") - output
        with fn.when(valid > 0):
            with fn.loop(0, channels) as c:
                at, inner = (first + c) // each, (first + c) % each
                here = source + at * a.integer("channel_block") + output * F64.bytes
                here = here + inner * (a.integer("block_outputs") * F64.bytes)
                with fn.loop(0, taps) as tap:
                    place = here + fn.load(I64, a.address("places") + tap * 8)
                    with fn.counted(0, a.integer("parts"), carry=[fn.constant(wide, 0.0)]) as part:
                        part.carry_on([part.carried[0] + fn.load(wide, place + part.index * a.integer("part"))])
                    total = part.results[0]
                    total = total if size == F64.bytes else total.to(number, "fptrunc")
                    fn.store(total, lines + (c * taps + tap) * vector.bytes)
            row = block * a.integer("block_outputs") + output
            out = a.address("out") + group * a.integer("out_group") + row * a.integer("out_row")
            out = out + first * a.integer("out_channel")
            given = [lines, channels * taps, out, a.integer("out_row"), valid.minimum(lanes), spare, fn.index(0)]
            fn.call("put_rows", VOID, given)
    return module


def collect(sums: np.ndarray, layout: Layout, out: np.ndarray, threads: int) -> None:
    """``sums``: float64; ``out``: float32 or float64, (groups * outputs, channels, taps...), C-contiguous."""
    target, number = current_target(), Number(out.dtype.str[1:])
    taps = len(layout.places)
    some = min(layout.channels, max(1, LINES // taps))
    ranges, blocks = -(-layout.channels // some), -(-layout.outputs // layout.block[0])
    sheet = Sheet(FIELDS)
    sheet.point("places", layout.places)
    sheet.write(sums=sums.ctypes.data, out=out.ctypes.data, parts=layout.parts, taps=taps)
    sheet.write(**dict(zip(("part", "group", "block", "channel_block"), layout.steps, strict=True)))
    sheet.write(block_outputs=layout.block[0], in_block=layout.block[1], output_blocks=blocks)
    sheet.write(outputs=layout.outputs, channels=layout.channels, ranges=ranges, range=some)
    channel = taps * number.bytes
    row = layout.channels * channel
    sheet.write(out_channel=channel, out_row=row, out_group=row * layout.outputs, at_spare=64)
    scratch = 64 + some * taps * target.lanes(F64.bytes) * number.bytes
    args = sheet.args()
    routine = code(CollectSpec(number), target)
    pool.run(routine.address("collect"), args.ctypes.data, scratch, layout.groups * blocks * ranges, threads)


@lru_cache(maxsize=8)
def code(spec: CollectSpec, target: Target) -> Code:
    return build(spec, lambda: emit(target, spec), target)


def forget() -> None:
    """Drop all remembered code."""
    code.cache_clear()
