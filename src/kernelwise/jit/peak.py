"""How fast this CPU can multiply and add at all: the measure for how good a routine is."""

from __future__ import annotations

import ctypes
import time

import numpy as np

from ..errors import ArgumentError
from . import target
from .compile import build
from .ir import Module
from .target import Target
from .types import F32, F64, I64, PTR, Type
from .values import Value

ELEMENTS = {"f4": F32, "f8": F64}
CHAINS = 24  # sums under way at once: enough to hide a latency of 6 cycles at 4 per cycle
RUN_SECONDS = 1e-3


def fma_gflops(dtype: str = "f4", seconds: float = 0.05) -> float:
    """The most multiply-adds that one thread does in a loop without memory, in 1e9 operations a second.

    A multiply-add counts as two operations. ``dtype`` is 'f4' or 'f8'. The best of many runs of about a millisecond
    is given, within ``seconds``: other work on the machine makes it smaller, never larger. Raises ArgumentError.

    >>> fma_gflops("f8") > 0
    True
    """
    element = ELEMENTS.get(dtype)
    if element is None:
        raise ArgumentError(f"`dtype` must be 'f4' or 'f8' (got {dtype!r})")
    machine = target.current()
    code = build(("peak", element), lambda: emit(machine, element), machine)
    routine = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(code.address("peak"))
    args = np.zeros(1 + machine.vector_bytes // 8, np.int64)  # the turns to do, and a vector
    turn_flops = 2 * chains(machine) * machine.lanes(element.bytes)
    best, turns, end = 0.0, 1000, time.perf_counter() + seconds
    while best == 0 or time.perf_counter() < end:
        args[0] = turns
        args[1:].view(dtype)[:] = 0.5
        start = time.perf_counter()
        routine(args.ctypes.data, 0, 0)
        took = time.perf_counter() - start
        if took < RUN_SECONDS / 4:
            turns *= 2  # too short to be measured
        else:
            best = max(best, turns * turn_flops / took / 1e9)
    return best


def chains(machine: Target) -> int:
    """How many sums are kept: as many as leave registers for the factor, and no more than help."""
    return min(CHAINS, machine.registers - 3)


def emit(machine: Target, element: Type) -> Module:
    """The module with the routine ``peak``: ``args[0]`` turns of one multiply-add in every chain."""
    module = Module(machine)
    fn = module.function("peak", [("args", PTR), ("scratch", PTR), ("unit", I64)])
    args, vector = fn.args[0], element.of(machine.lanes(element.bytes))
    half = fn.load(vector, args + 8)  # read from memory, so that LLVM cannot know what it is

    def step(chain: Value) -> Value:
        """Without a fused instruction the factor must change, or the product would be made once for all turns."""
        return fn.fma(half, half, chain) if machine.fused else fn.fma(chain, half, half)

    with fn.counted(0, fn.load(I64, args), carry=[half] * chains(machine)) as loop:
        loop.carry_on([step(chain) for chain in loop.carried])
    total = loop.results[0]
    for chain in loop.results[1:]:
        total = total + chain
    fn.store(total, args + 8)  # so that no chain is idle
    return module
