"""Small routines in machine code, for tests of what runs them."""

import ctypes
import time
from collections.abc import Callable

import numpy as np

from kernelwise.jit import target
from kernelwise.jit.compile import Code, compile_object, load
from kernelwise.jit.ir import Function, Module
from kernelwise.jit.types import F32, I8, I64, PTR
from kernelwise.jit.values import Value

EMIT: dict[str, Callable[[Function], None]] = {}


def routine(emit: Callable[[Function], None]) -> Callable[[Function], None]:
    EMIT[emit.__name__] = emit
    return emit


def busy(fn: Function, turns: Value) -> None:
    with fn.counted(0, turns, carry=[turns]) as loop:
        loop.carry_on([loop.carried[0] * 6364136223846793005 + 1442695040888963407])
    fn.store(loop.results[0], fn.stack(8, 8))


@routine
def nothing(fn: Function) -> None:
    """Does nothing."""


@routine
def count(fn: Function) -> None:
    """counts[unit] += 1, with args = the address of counts, then busy for args[1] turns."""
    args, _, unit = fn.args
    fn.atomic_add(fn.load(PTR, args) + unit * 8, 1)
    busy(fn, fn.load(I64, args + 8))


@routine
def count_in_x(fn: Function) -> None:
    """x[unit] += 1 with x = args[0], busy for args[2] turns."""
    args, _, unit = fn.args
    fn.atomic_add(fn.load(PTR, args) + unit * 8, 1)
    busy(fn, fn.load(I64, args + 16))


@routine
def last_words(fn: Function) -> None:
    """x[unit] = args[2 + unit], with x = args[0]: what a bound callable hands over."""
    args, _, unit = fn.args
    fn.store(fn.load(I64, args + (unit + 2) * 8), fn.load(PTR, args) + unit * 8)


@routine
def meet(fn: Function) -> None:
    """Two units wait for each other: args[0] counts those who came, args[1] says how long to wait, args[2] who met."""
    args = fn.args[0]
    fn.atomic_add(args, 1)
    with fn.loop(0, fn.load(I64, args + 8)):
        with fn.when(fn.atomic_load(args).equals(2)):
            fn.atomic_add(args + 16, 1)
            fn.ret()
        fn.pause()


@routine
def fill_scratch(fn: Function) -> None:
    """wrong[unit] = how many of args[1] bytes of scratch are not what was put there, with wrong = args[0]."""
    args, scratch, unit = fn.args
    size, number = fn.load(I64, args + 8), unit.to(I8, "trunc")
    misplaced = scratch.to(I64, "ptrtoint") & 63
    with fn.loop(0, size) as i:
        fn.store(number, scratch + i)
    with fn.counted(0, size, carry=[misplaced]) as loop:
        same = fn.load(I8, scratch + loop.index).equals(number)
        loop.carry_on([fn.select(same, loop.carried[0], loop.carried[0] + 1)])
    fn.store(loop.results[0], fn.load(PTR, args) + unit * 8)


@routine
def halve(fn: Function) -> None:
    """out[i] = x[i] / 2 in float32, for the args[2] elements of this unit of x = args[0] and out = args[1]."""
    args, _, unit = fn.args
    x, out, size = fn.load(PTR, args), fn.load(PTR, args + 8), fn.load(I64, args + 16)
    with fn.loop(unit * size, (unit + 1) * size) as i:
        fn.store(fn.load(F32, x + i * 4) * 0.5, out + i * 4)


def compiled() -> Code:
    host = target.current()
    module = Module(host)
    for name, emit in EMIT.items():
        emit(module.function(name, [("args", PTR), ("scratch", PTR), ("unit", I64)]))
    return load(compile_object(module.text, host), host)


CODE = compiled()
ADDRESS = {name: CODE.address(name) for name in EMIT}


def turns_of(seconds: float) -> int:
    """So many turns of `count` take about that time on this machine, when it has nothing else to do."""
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(ADDRESS["count"])
    counts, best = np.zeros(1, np.int64), 1.0
    args = np.array([counts.ctypes.data, 100_000], np.int64)
    for _ in range(5):
        start = time.perf_counter()
        call(args.ctypes.data, 0, 0)
        best = min(best, time.perf_counter() - start)
    return int(100_000 * seconds / best)
