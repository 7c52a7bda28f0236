"""The machine code that hands a job to the workers and takes it back.

A worker whose number is below the participants of an open generation raises ACTIVE, looks again whether the generation
is still the same, and only then touches the job. The caller closes the generation and waits until ACTIVE is 0: for
those who came, never for those who did not. Both sides write first and read then, in one sequentially consistent
order, so one of them always sees the other. The same holds for falling asleep (ASLEEP, then GENERATION) and waking.
"""

from __future__ import annotations

from .ir import Function, Module
from .records import (
    ACTIVE,
    CONDITION,
    CPUS,
    CPUS_BYTES,
    GENERATION,
    JOB,
    LOCK,
    MUTEX,
    POOL,
    POOL_FIELDS,
    WORKER,
    WORKER_BYTES,
    WORKERS,
    Platform,
)
from .types import I32, I64, PTR, VOID
from .values import Record

SPIN_NS = 30_000  # so long a worker waits awake
TURNS_PER_LOOK = 8  # at the clock, while it does
TURNS_PER_YIELD = 256  # of the caller, while workers finish
PATIENCE_NS, NAP_NS = 300_000, 50_000  # after so long the caller sleeps in between


def emit(module: Module, platform: Platform) -> None:
    """``open`` and ``close`` for the caller, ``worker`` for the workers."""
    _emit_open(module)
    _emit_wake(module, platform)
    _emit_close(module)
    _emit_invited(module)
    _emit_await(module, platform)
    _emit_worker(module)


# ---- the caller


def _emit_open(module: Module) -> None:
    """``i64 open(ptr pool, ptr job)``: offer the job to the workers; 1 if they may come, 0 if the caller is alone."""
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


def _emit_wake(module: Module, platform: Platform) -> None:
    """``void wake(ptr worker)``: wake a worker that sleeps.

    One that holds its mutex is just falling asleep or just waking: it is left alone, as waiting for it could take
    long. One that says `asleep` and does not hold it is in the wait.
    """
    fn = module.function("wake", [("worker", PTR)], internal=True)
    (worker,) = fn.args
    with fn.when(fn.call("pthread_mutex_trylock", I32, [worker + MUTEX]).equals(0)):
        if platform is Platform.LINUX:
            _move_away(fn, Record(fn, worker, WORKER))
        fn.call("pthread_mutex_unlock", I32, [worker + MUTEX])
        fn.call("pthread_cond_signal", I32, [worker + CONDITION])


def _move_away(fn: Function, worker: Record) -> None:
    """Forbid a sleeping worker the caller's CPU; it takes its own set of CPUs back when it is awake.

    Linux likes to wake a thread where its waker runs, in virtual machines nearly always; there it would stay in the
    queue behind the caller while another CPU is idle.
    """
    size, thread = fn.constant(I64, CPUS_BYTES), worker.integer("thread")
    own, fewer = worker.pointer + CPUS, fn.stack(CPUS_BYTES, 8)
    with fn.when(worker.integer("moved").equals(0)):
        fn.call("pthread_getaffinity_np", I32, [thread, size, own])
        fn.store(fn.constant(I64, 1), worker.at("moved"))
    with fn.loop(0, CPUS_BYTES, 8) as i:
        fn.store(fn.load(I64, own + i), fewer + i)
    cpu = fn.call("sched_getcpu", I32, []).to(I64, "zext")
    with fn.when(cpu.compare("ult", 8 * CPUS_BYTES)):
        word = fewer + (cpu >> 6) * 8
        fn.store(fn.load(I64, word) & ((fn.constant(I64, 1) << (cpu & 63)) ^ -1), word)
        fn.call("pthread_setaffinity_np", I32, [thread, size, fewer])


def _move_back(fn: Function, worker: Record) -> None:
    with fn.when(worker.integer("moved").differs(0)):
        size = fn.constant(I64, CPUS_BYTES)
        fn.call("pthread_setaffinity_np", I32, [worker.integer("thread"), size, worker.pointer + CPUS])
        fn.store(fn.constant(I64, 0), worker.at("moved"))


def _emit_close(module: Module) -> None:
    """``void close(ptr pool)``: no worker may come any more; wait for those who did, and let go of the pool.

    Who has not left after PATIENCE_NS is likely to be out of a CPU, and will sooner have this one if it is free.
    """
    fn = module.function("close", [("pool", PTR)], internal=True)
    (pool,) = fn.args
    closed = fn.atomic_load(pool + GENERATION) & -256
    fn.atomic_store(closed, pool + GENERATION)
    patient = fn.call("now", I64, []) + PATIENCE_NS
    nap = fn.stack(16, 8)
    fn.store(fn.constant(I64, 0), nap)
    fn.store(fn.constant(I64, NAP_NS), nap + 8)
    with fn.forever():
        with fn.loop(0, TURNS_PER_YIELD):
            with fn.when(fn.atomic_load(pool + ACTIVE).equals(0)):
                fn.atomic_store(0, pool + LOCK)
                fn.ret()
            fn.pause()
        fn.call("sched_yield", I32, [])
        with fn.when(fn.call("now", I64, []) > patient):
            fn.call("nanosleep", I32, [nap, fn.null()])


# ---- the worker


def _emit_invited(module: Module) -> None:
    """``i64 invited(ptr worker, i64 seen)``: the generation if it is open to this worker and new to it, -1: stop, 0."""
    fn = module.function("invited", [("worker", PTR), ("seen", I64)], I64, internal=True)
    worker, seen = Record(fn, fn.args[0], WORKER), fn.args[1]
    pool = worker.address("pool")
    with fn.when(fn.atomic_load(Record(fn, pool + POOL, POOL_FIELDS).at("stop")).differs(0)):
        fn.ret(fn.constant(I64, -1))
    generation = fn.atomic_load(pool + GENERATION)
    mine = ((generation & 255) > worker.integer("number")) & generation.differs(seen)
    fn.ret(fn.select(mine, generation, 0))


def _emit_await(module: Module, platform: Platform) -> None:
    """``i64 await(ptr worker, i64 seen)``: wait for an invitation, awake at first, then asleep."""
    fn = module.function("await", [("worker", PTR), ("seen", I64)], I64, internal=True)
    pointer, seen = fn.args
    until = fn.call("now", I64, []) + SPIN_NS
    with fn.forever() as stop_if:
        with fn.loop(0, TURNS_PER_LOOK):
            _return_if_invited(fn)
            fn.pause()
        stop_if(fn.call("now", I64, []) >= until)
    worker = Record(fn, pointer, WORKER)
    fn.call("pthread_mutex_lock", I32, [pointer + MUTEX])
    fn.atomic_store(1, worker.at("asleep"))
    answer = fn.stack(8, 8)
    with fn.forever() as stop_if:
        fn.store(fn.call("invited", I64, [pointer, seen]), answer)
        stop_if(fn.load(I64, answer).differs(0))
        fn.call("pthread_cond_wait", I32, [pointer + CONDITION, pointer + MUTEX])
        if platform is Platform.LINUX:
            _move_back(fn, worker)
    fn.atomic_store(0, worker.at("asleep"))
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
    fn.store(fn.call("pthread_self", PTR, []), worker.at("thread"))
    fn.atomic_add(line.at("alive"), 1)
    with fn.forever() as stop_if:
        generation = fn.call("await", I64, [worker.pointer, fn.load(I64, seen)])
        stop_if(generation < 0)
        fn.store(generation, seen)
        fn.atomic_add(pool + ACTIVE, 1)
        with fn.when(fn.atomic_load(pool + GENERATION).equals(generation)):
            job = Record(fn, line.address("job"), JOB)
            fn.call("adopt_mode", VOID, [job.integer("mode")])
            fn.call("take_part", I64, [job.pointer, number, fn.null()])
        fn.atomic_add(pool + ACTIVE, -1)
    fn.atomic_add(line.at("alive"), -1)
    fn.ret(fn.null())
