"""The machine code that runs a routine over its units.

A routine is ``void routine(ptr args, ptr scratch, i64 unit)``; its units may run in any order on any thread. Every
participant has a share of neighbouring units. It takes units from its own share until that is empty, then from those
of the others. The caller is participant 0; handover.py tells how the others come in.

A participant's scratch memory is its own from one unit to the next. Its first eight bytes are 0 before the first one,
so that a unit can leave a word there about what it has left behind them.

Everything can stop between two units: after SLICE_NS `run` calls all participants back and returns PAUSED. The job's
record knows how far it is, and calling `run` again goes on from there.
"""

from __future__ import annotations

import time

from . import entry_code, handover
from .ir import Module
from .layout import Fields
from .records import FINISHED, JOB, LINE, NO_MEMORY, PAUSED, Platform
from .target import Target
from .types import I32, I64, PTR, VOID
from .values import Record

SLICE_NS = 25_000_000
QUIET_NS = 250_000  # the clock is read about this often
STACK_SCRATCH = 16 << 10  # more scratch than this comes from malloc
CLOCK = ("left", "stride", "started", "looked")


def emit(target: Target, platform: Platform, fields: Fields | None) -> Module:
    """The module with ``i64 run(ptr pool, ptr job)``, ``ptr worker(ptr worker)`` where there are threads, and the
    builtin ``apply`` where the fields of array objects are known: one piece of code, loaded once."""
    module = Module(target)
    _emit_mode(module)
    _emit_now(module, platform)
    _emit_tick(module)
    _emit_drain(module)
    _emit_take_part(module)
    _emit_share_out(module)
    if platform is not Platform.ALONE:
        handover.emit(module, platform)
    _emit_run(module, platform)
    _emit_run_all(module, platform)
    if fields is not None:
        entry_code.emit(module, fields)
    return module


def _emit_run(module: Module, platform: Platform) -> None:
    """``i64 run(ptr pool, ptr job)``: one slice of the job; FINISHED, PAUSED or NO_MEMORY."""
    fn = module.function("run", [("pool", PTR), ("job", PTR)], I64)
    pool, job = fn.args[0], Record(fn, fn.args[1], JOB)
    mode = fn.call("mode", I64, [])
    fn.store(mode, job.at("mode"))
    fn.atomic_store(0, job.at("paused"))
    with fn.when(job.integer("shared_out").equals(0)):
        fn.call("share_out", VOID, [job.pointer])
    clock = Record(fn, fn.stack(8 * len(CLOCK), 8), CLOCK)
    for name, value in {"left": 2, "stride": 1, "started": 0}.items():
        fn.store(fn.constant(I64, value), clock.at(name))
    if platform is Platform.ALONE:
        result = fn.call("take_part", I64, [job.pointer, fn.constant(I64, 0), clock.pointer])
    else:
        opened = fn.call("open", I64, [pool, job.pointer])
        result = fn.call("take_part", I64, [job.pointer, fn.constant(I64, 0), clock.pointer])
        with fn.when(opened.differs(0)):
            fn.call("close", VOID, [pool])
    fn.call("restore_mode", VOID, [mode])
    fn.ret(result)


def _emit_run_all(module: Module, platform: Platform) -> None:
    """``i64 run_all(ptr pool, ptr jobs, i64 first, i64 count, i64 fresh)``: from the first one on, the jobs that a list
    points to, one after the other; all are begun anew if ``fresh`` is not 0. FINISHED, or the number of a job << 2 |
    PAUSED or NO_MEMORY: after SLICE_NS the caller is to look around, and to go on from there."""
    names = [("first", I64), ("count", I64), ("fresh", I64)]
    fn = module.function("run_all", [("pool", PTR), ("jobs", PTR), *names], I64)
    pool, jobs, first, count, fresh = fn.args
    with fn.when(fresh.differs(0)), fn.loop(0, count) as i:
        fn.store(fn.constant(I64, 0), Record(fn, fn.load(PTR, jobs + i * 8), JOB).at("shared_out"))
    started = fn.call("now", I64, [])
    with fn.loop(first, count) as i:
        with fn.when((i > first) & (fn.call("now", I64, []) - started).compare("ugt", SLICE_NS)):
            fn.ret(i << 2 | PAUSED)
        status = fn.call("run", I64, [pool, fn.load(PTR, jobs + i * 8)])
        with fn.when(status.differs(FINISHED)):
            fn.ret(i << 2 | status)
    fn.ret(fn.constant(I64, FINISHED))


# ---- taking units


def _emit_drain(module: Module) -> None:
    """``void drain(ptr job, ptr share, ptr scratch, ptr clock)``: run the units of one share while there are any.

    ``clock`` is null for workers: only the caller looks at the time.
    """
    fn = module.function("drain", [("job", PTR), ("share", PTR), ("scratch", PTR), ("clock", PTR)], internal=True)
    _, share, scratch, clock = fn.args
    job = Record(fn, fn.args[0], JOB)
    routine, args, end = job.address("routine"), job.address("args"), fn.load(I64, share + 8)
    timed = clock.differs(fn.null())
    with fn.forever() as stop_if:
        stop_if(fn.atomic_load(share) >= end)
        with fn.when(timed):
            fn.call("tick", VOID, [job.pointer, clock])
        stop_if(fn.atomic_load(job.at("paused")).differs(0))
        unit = fn.atomic_add(share, 1)
        stop_if(unit >= end)
        fn.call_pointer(routine, VOID, [args, scratch, unit])


def _emit_take_part(module: Module) -> None:
    """``i64 take_part(ptr job, i64 number, ptr clock)``: units of the own share, then those left in the others'."""
    fn = module.function("take_part", [("job", PTR), ("number", I64), ("clock", PTR)], I64, internal=True)
    job, number, clock = Record(fn, fn.args[0], JOB), fn.args[1], fn.args[2]
    wanted = job.integer("scratch_bytes")
    place, block = fn.stack(8, 8), fn.stack(8, 8)
    fn.store(fn.stack(STACK_SCRATCH), place)
    fn.store(fn.null(), block)
    with fn.when(wanted > STACK_SCRATCH):
        got = fn.call("malloc", PTR, [wanted + 63])
        with fn.when(got.equals(fn.null())):
            fn.ret(fn.constant(I64, NO_MEMORY))
        fn.store(got, block)
        fn.store(got + ((0 - got.to(I64, "ptrtoint")) & 63), place)
    scratch, participants = fn.load(PTR, place), job.integer("participants")
    fn.store(fn.constant(I64, 0), scratch)
    with fn.loop(0, participants) as step:
        share = job.pointer + ((number + step) % participants + 1) * LINE
        fn.call("drain", VOID, [job.pointer, share, scratch, clock])
    block = fn.load(PTR, block)
    with fn.when(block.differs(fn.null())):
        fn.call("free", VOID, [block])
    fn.ret(fn.atomic_load(job.at("paused")))


def _emit_share_out(module: Module) -> None:
    """``void share_out(ptr job)``: give every participant a run of neighbouring units, all of almost one length."""
    fn = module.function("share_out", [("job", PTR)], internal=True)
    job = Record(fn, fn.args[0], JOB)
    units, participants = job.integer("units"), job.integer("participants")
    each, more = units // participants, units % participants  # the first `more` shares are longer by one
    with fn.loop(0, participants) as i:
        share = job.pointer + (i + 1) * LINE
        fn.store(i * each + i.minimum(more), share)
        fn.store((i + 1) * each + (i + 1).minimum(more), share + 8)
    fn.store(fn.constant(I64, 1), job.at("shared_out"))


# ---- time


def _emit_now(module: Module, platform: Platform) -> None:
    """``i64 now()``: nanoseconds since some moment."""
    fn = module.function("now", [], I64, internal=True)
    if platform is Platform.ALONE:
        fn.ret(fn.call("GetTickCount64", I64, []) * 1_000_000)
        return
    now = fn.stack(16, 8)
    fn.call("clock_gettime", I32, [fn.constant(I32, time.CLOCK_MONOTONIC), now])
    fn.ret(fn.load(I64, now) * 1_000_000_000 + fn.load(I64, now + 8))


def _emit_tick(module: Module) -> None:
    """``void tick(ptr job, ptr clock)``: called before every unit; after SLICE_NS it sets `paused`.

    The clock is read at every unit at first, and half as often each time that little has passed since the last look.
    """
    fn = module.function("tick", [("job", PTR), ("clock", PTR)], internal=True)
    job, clock = Record(fn, fn.args[0], JOB), Record(fn, fn.args[1], CLOCK)
    left = clock.integer("left") - 1
    fn.store(left, clock.at("left"))
    with fn.when(left > 0):
        fn.ret()
    now = fn.call("now", I64, [])
    with fn.when(clock.integer("started").equals(0)):
        fn.store(now, clock.at("started"))
        fn.store(now, clock.at("looked"))
    quiet = (now - clock.integer("looked")).compare("ult", QUIET_NS)
    stride = fn.select(quiet, clock.integer("stride") * 2, 1)
    fn.store(stride, clock.at("stride"))
    fn.store(stride, clock.at("left"))
    fn.store(now, clock.at("looked"))
    with fn.when((now - clock.integer("started")).compare("ugt", SLICE_NS)):
        fn.atomic_store(1, job.at("paused"))


# ---- the floating-point mode: that of the caller, for all participants


def _emit_mode(module: Module) -> None:
    """``mode`` reads it; ``adopt_mode`` takes its control bits; ``restore_mode`` puts its sticky bits back too."""
    neon = module.target.name == "neon"
    fn = module.function("mode", [], I64, internal=True)
    if neon:
        control, sticky = (fn.call(f"llvm.aarch64.get.{name}", I64, []) for name in ("fpcr", "fpsr"))
        fn.ret(control | (sticky << 32))
    else:
        slot = fn.stack(4, 4)
        fn.call("llvm.x86.sse.stmxcsr", VOID, [slot])
        fn.ret(fn.load(I32, slot).to(I64, "zext"))
    fn = module.function("restore_mode", [("mode", I64)], internal=True)
    (mode,) = fn.args
    if neon:
        fn.call("llvm.aarch64.set.fpcr", VOID, [mode & 0xFFFFFFFF])
        fn.call("llvm.aarch64.set.fpsr", VOID, [mode >> 32])
    else:
        slot = fn.stack(4, 4)
        fn.store(mode.to(I32, "trunc"), slot)
        fn.call("llvm.x86.sse.ldmxcsr", VOID, [slot])
    fn = module.function("adopt_mode", [("mode", I64)], internal=True)
    fn.call("restore_mode", VOID, [fn.args[0] & (0xFFFFFFFF if neon else 0xFFC0)])
