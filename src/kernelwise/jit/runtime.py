"""The machine code that runs a routine over its units: the caller's `run` and the loop in which a worker lives.

A routine is ``void routine(ptr args, ptr scratch, i64 unit)``; its units may run in any order on any thread. One call is
a job, described by a record in the caller's own memory:

    JOB      one line: what to run, for how many participants
    SHARE    one line for each participant: the next unit of its share, and where the share ends

A participant takes units from its own share until it is empty, then from those of the others. The caller is
participant 0. All calls of the process meet in one pool block:

    generation   a serial number << 8 | participants while a job is open, or | 0 while none is
    active       workers inside the job
    lock         1 while a caller has the pool; another caller then works alone
    POOL         the open job, and how many workers there are
    WORKER       for each worker: its number, whether it sleeps, and what it sleeps on

A worker with a number below the participants of an open generation raises `active`, looks again whether the generation
is still the same, and only then touches the job. The caller closes the generation and waits until `active` is 0: for
those who came, never for those who did not. Both sides write first and read then, all in one sequentially consistent
order, so that one of them always sees the other.

Everything stops between two units: after SLICE_NS `run` calls all participants back and returns PAUSED. The job
record knows how far it is; calling `run` again goes on from there.
"""

from __future__ import annotations

from enum import Enum

from .ir import I32, I64, PTR, VOID, Function, Module, Record, Value
from .target import Target

FINISHED, PAUSED, NO_MEMORY = 0, 1, 2  # what `run` returns

MAX_PARTICIPANTS = 64
LINE = 128  # bytes that one core may write without disturbing another: two cache lines, as they are fetched in pairs
JOB = ("routine", "args", "scratch_bytes", "units", "participants", "shared_out", "paused", "mode")
JOB_BYTES = LINE * (1 + MAX_PARTICIPANTS)

GENERATION, ACTIVE, LOCK, POOL = 0, LINE, 2 * LINE, 3 * LINE
POOL_FIELDS = ("job", "workers", "limit", "stop", "alive")
WORKERS, WORKER_BYTES = 4 * LINE, 2 * LINE
WORKER = ("pool", "number", "asleep")
MUTEX, CONDITION = 64, 128  # in a WORKER; both take at most 64 bytes on Linux and macOS
POOL_BYTES = WORKERS + WORKER_BYTES * MAX_PARTICIPANTS

SLICE_NS = 25_000_000
QUIET_NS = 250_000  # the clock is read about this often
SPIN_NS = 30_000  # so long a worker waits awake
TURNS_PER_LOOK = 8  # at the clock, while it does
STACK_SCRATCH = 16 << 10  # more scratch than this comes from malloc
CLOCK = ("left", "stride", "started", "looked")


class Platform(Enum):
    """What the operating system has; the value is the number of its monotonic clock."""

    LINUX = 1
    MACOS = 6
    ALONE = 0  # no POSIX threads: calls run on one thread

    @property
    def symbols(self) -> tuple[str, ...]:
        """The C functions that the code calls."""
        if self is Platform.ALONE:
            return ("malloc", "free", "GetTickCount64")
        mutex = tuple(f"pthread_mutex_{verb}" for verb in ("lock", "trylock", "unlock"))
        return ("malloc", "free", "clock_gettime", "sched_yield", "pthread_cond_wait", "pthread_cond_signal", *mutex)


def emit(target: Target, platform: Platform) -> Module:
    """The module with ``i64 run(ptr pool, ptr job)`` and, where there are threads, ``ptr worker(ptr worker)``."""
    module = Module(target)
    _emit_mode(module)
    _emit_now(module, platform)
    _emit_tick(module)
    _emit_drain(module)
    _emit_take_part(module)
    _emit_share_out(module)
    if platform is not Platform.ALONE:
        _emit_open(module)
        _emit_close(module)
        _emit_invited(module)
        _emit_await(module)
        _emit_worker(module)
    _emit_run(module, platform)
    return module


# ---- the floating-point mode: that of the caller, for all participants


def _emit_mode(module: Module) -> None:
    """``mode`` reads the control and the sticky bits; ``set_mode`` puts them back."""
    neon = module.target.name == "neon"
    fn = module.function("mode", [], I64, internal=True)
    if neon:
        control, sticky = (fn.call(f"llvm.aarch64.get.{name}", I64, []) for name in ("fpcr", "fpsr"))
        fn.ret(control | (sticky << 32))
    else:
        slot = fn.stack(4, 4)
        fn.call("llvm.x86.sse.stmxcsr", VOID, [slot])
        fn.ret(fn.load(I32, slot).to(I64, "zext"))
    fn = module.function("set_mode", [("mode", I64)], internal=True)
    (mode,) = fn.args
    if neon:
        fn.call("llvm.aarch64.set.fpcr", VOID, [mode & 0xFFFFFFFF])
        fn.call("llvm.aarch64.set.fpsr", VOID, [mode >> 32])
    else:
        slot = fn.stack(4, 4)
        fn.store(mode.to(I32, "trunc"), slot)
        fn.call("llvm.x86.sse.ldmxcsr", VOID, [slot])


def _control(mode: Value) -> Value:
    """The mode without what has happened so far: rounding, and the treatment of the smallest numbers."""
    return mode & (0xFFFFFFFF if mode.fn.target.name == "neon" else 0xFFC0)


# ---- time


def _emit_now(module: Module, platform: Platform) -> None:
    """``i64 now()``: nanoseconds since some moment."""
    fn = module.function("now", [], I64, internal=True)
    if platform is Platform.ALONE:
        fn.ret(fn.call("GetTickCount64", I64, []) * 1_000_000)
        return
    time = fn.stack(16, 8)
    fn.call("clock_gettime", I32, [fn.constant(I32, platform.value), time])
    fn.ret(fn.load(I64, time) * 1_000_000_000 + fn.load(I64, time + 8))


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


# ---- the caller


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
    fn.call("set_mode", VOID, [mode])
    fn.ret(result)


def _emit_open(module: Module) -> None:
    """``i64 open(ptr pool, ptr job)``: offer the job to the workers; 1 if they may come, 0 if the caller works alone."""
    fn = module.function("open", [("pool", PTR), ("job", PTR)], I64, internal=True)
    pool, job = fn.args[0], Record(fn, fn.args[1], JOB)
    line, participants = Record(fn, pool + POOL, POOL_FIELDS), job.integer("participants")
    workers = fn.atomic_load(line.at("workers"))
    with fn.when((participants - 1).minimum(workers) <= 0):
        fn.ret(fn.constant(I64, 0))
    with fn.when(fn.atomic_swap(pool + LOCK, 1).differs(0)):
        fn.ret(fn.constant(I64, 0))
    fn.store(job.pointer, line.at("job"))
    fn.atomic_store((fn.atomic_load(pool + GENERATION) + 256) | participants, pool + GENERATION)
    with fn.loop(1, participants.minimum(workers + 1)) as number:
        worker = Record(fn, pool + (number * WORKER_BYTES + WORKERS), WORKER)
        with fn.when(fn.atomic_load(worker.at("asleep")).differs(0)):
            fn.call("wake", VOID, [worker.pointer])
    fn.ret(fn.constant(I64, 1))

    # A worker that holds its mutex is just falling asleep or just waking: it is left alone, as waiting for it could
    # take long. One whose mutex is free while it says `asleep` is in the wait.
    fn = module.function("wake", [("worker", PTR)], internal=True)
    (worker,) = fn.args
    with fn.when(fn.call("pthread_mutex_trylock", I32, [worker + MUTEX]).equals(0)):
        fn.call("pthread_mutex_unlock", I32, [worker + MUTEX])
        fn.call("pthread_cond_signal", I32, [worker + CONDITION])


def _emit_close(module: Module) -> None:
    """``void close(ptr pool)``: no worker may come any more; wait for those who did, and let go of the pool."""
    fn = module.function("close", [("pool", PTR)], internal=True)
    (pool,) = fn.args
    closed = fn.atomic_load(pool + GENERATION) & -256
    fn.atomic_store(closed, pool + GENERATION)
    turns = fn.stack(8, 8)
    fn.store(fn.constant(I64, 0), turns)
    with fn.forever() as stop_if:
        stop_if(fn.atomic_load(pool + ACTIVE).equals(0))
        fn.pause()
        turn = fn.load(I64, turns) + 1
        fn.store(turn, turns)
        with fn.when((turn & 255).equals(0)):
            fn.call("sched_yield", I32, [])
    fn.atomic_store(0, pool + LOCK)


# ---- the worker


def _emit_invited(module: Module) -> None:
    """``i64 invited(ptr worker, i64 seen)``: the generation, if it is open to this worker and new to it; -1: stop; 0."""
    fn = module.function("invited", [("worker", PTR), ("seen", I64)], I64, internal=True)
    worker, seen = Record(fn, fn.args[0], WORKER), fn.args[1]
    pool = worker.address("pool")
    with fn.when(fn.atomic_load(Record(fn, pool + POOL, POOL_FIELDS).at("stop")).differs(0)):
        fn.ret(fn.constant(I64, -1))
    generation = fn.atomic_load(pool + GENERATION)
    mine = ((generation & 255) > worker.integer("number")) & generation.differs(seen)
    fn.ret(fn.select(mine, generation, 0))


def _emit_await(module: Module) -> None:
    """``i64 await(ptr worker, i64 seen)``: wait for an invitation, awake for SPIN_NS, then asleep."""
    fn = module.function("await", [("worker", PTR), ("seen", I64)], I64, internal=True)
    pointer, seen = fn.args
    until = fn.call("now", I64, []) + SPIN_NS
    with fn.forever() as stop_if:
        with fn.loop(0, TURNS_PER_LOOK):
            _return_if_invited(fn)
            fn.pause()
        stop_if(fn.call("now", I64, []) >= until)
    asleep = Record(fn, pointer, WORKER).at("asleep")
    fn.call("pthread_mutex_lock", I32, [pointer + MUTEX])
    fn.atomic_store(1, asleep)
    answer = fn.stack(8, 8)
    with fn.forever() as stop_if:
        fn.store(fn.call("invited", I64, [pointer, seen]), answer)
        stop_if(fn.load(I64, answer).differs(0))
        fn.call("pthread_cond_wait", I32, [pointer + CONDITION, pointer + MUTEX])
    fn.atomic_store(0, asleep)
    fn.call("pthread_mutex_unlock", I32, [pointer + MUTEX])
    fn.ret(fn.load(I64, answer))


def _return_if_invited(fn: Function) -> None:
    answer = fn.call("invited", I64, fn.args)
    with fn.when(answer.differs(0)):
        fn.ret(answer)


def _emit_worker(module: Module) -> None:
    """``ptr worker(ptr worker)``: the whole life of a worker thread."""
    fn = module.function("worker", [("worker", PTR)], PTR)
    worker = Record(fn, fn.args[0], WORKER)
    pool, number = worker.address("pool"), worker.integer("number")
    line = Record(fn, pool + POOL, POOL_FIELDS)
    seen = fn.stack(8, 8)
    fn.store(fn.constant(I64, 0), seen)
    fn.atomic_add(line.at("alive"), 1)
    with fn.forever() as stop_if:
        generation = fn.call("await", I64, [worker.pointer, fn.load(I64, seen)])
        stop_if(generation < 0)
        fn.store(generation, seen)
        fn.atomic_add(pool + ACTIVE, 1)
        with fn.when(fn.atomic_load(pool + GENERATION).equals(generation)):
            job = Record(fn, line.address("job"), JOB)
            fn.call("set_mode", VOID, [_control(job.integer("mode"))])
            fn.call("take_part", I64, [job.pointer, number, fn.null()])
        fn.atomic_add(pool + ACTIVE, -1)
    fn.atomic_add(line.at("alive"), -1)
    fn.ret(fn.null())
