"""Gradients of several parts of a batch, added up in float64."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ...jit import pool
from ...jit.compile import Code, build
from ...jit.ir import Module
from ...jit.target import Target
from ...jit.types import F64, I64, PTR
from ...jit.values import Record
from ..numbers import Number
from ..routine import current_target

FIELDS = ("parts", "out", "count", "of_parts", "each")
UNIT = 4096  # numbers that a unit adds up


@dataclass(frozen=True)
class FoldSpec:
    """Everything that changes the generated code of one routine."""

    number: Number
    algorithm: str = "layer slopes, parts"


def emit(target: Target, spec: FoldSpec) -> Module:
    """A module with the function ``fold`` for the pool: the parts of some numbers, one after the other."""
    module = Module(target)
    fn = module.function("fold", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, _, unit = fn.args
    a = Record(fn, args, FIELDS)
    number, lanes, size = spec.number.type, target.lanes(F64.bytes), spec.number.bytes
    count = a.integer("count")
    begin = unit * UNIT
    end = (begin + UNIT).minimum(count)
    whole = begin + (end - begin) // lanes * lanes
    for start, stop, width in ((begin, whole, lanes), (whole, end, 1)):
        with fn.loop(start, stop, width) as i:
            source = a.address("parts") + i * size
            with fn.counted(0, a.integer("of_parts"), carry=[fn.constant(F64.of(width), 0.0)]) as part:
                value = fn.load(number.of(width), source + part.index * a.integer("each"))
                value = value if number.element == F64.element else value.to(F64, "fpext")
                part.carry_on([part.carried[0] + value])
            total = part.results[0]
            total = total if number.element == F64.element else total.to(number, "fptrunc")
            fn.store(total, a.address("out") + i * size)
    return module


def add_up(parts: np.ndarray, out: np.ndarray, threads: int) -> None:
    """parts: (parts, ...), float32 or float64, and out: (...), of the same dtype, both C-contiguous."""
    args = np.array([parts.ctypes.data, out.ctypes.data, out.size, len(parts), out.nbytes], np.int64)
    routine = code(FoldSpec(Number(out.dtype.str[1:])), current_target())
    pool.run(routine.address("fold"), args.ctypes.data, 0, -(-out.size // UNIT), threads)


@lru_cache(maxsize=8)
def code(spec: FoldSpec, target: Target) -> Code:
    return build(spec, lambda: emit(target, spec), target)


def forget() -> None:
    """Drop all remembered code."""
    code.cache_clear()
