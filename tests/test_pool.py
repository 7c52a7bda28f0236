"""The pool: every unit is run exactly once, whoever runs it; and the pool is a good guest in its process."""

import ctypes
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from kernelwise.errors import ArgumentError, ArgumentTypeError
from kernelwise.jit import handover, pool, runtime, target
from kernelwise.jit.compile import assembly
from kernelwise.jit.records import MAX_PARTICIPANTS, Platform
from support.jobs import LINUX, assert_once, counted, program
from support.routines import ADDRESS, turns_of

# ---- the units


@pytest.mark.parametrize("threads", [1, 2, 3, 8, 64, 1000])
@pytest.mark.parametrize("units", [0, 1, 2, 7, 1000])
def test_every_unit_is_run_exactly_once(units: int, threads: int) -> None:
    for _ in range(20):
        assert_once(counted(units, threads))


@pytest.mark.parametrize("turns", [0, 2000])
def test_a_sequence_runs_every_unit_of_its_jobs_once_and_in_their_order(turns: int) -> None:
    """Also where it takes longer than a slice, and again and again."""
    units = [(0, 1), (3, 2), (1000, 2), (1, 1), (40, 3), (700, 2)]
    counts = [np.zeros(n + 2, np.int64) for n, _ in units]
    args = [np.array([count.ctypes.data, turns], np.int64) for count in counts]
    jobs = [
        pool.Job(ADDRESS["count"], one.ctypes.data, 0, n, threads)
        for one, (n, threads) in zip(args, units, strict=True)
    ]
    sequence = pool.Sequence(jobs)
    for again in range(1, 6):
        sequence.run()
        for count in counts:
            assert (count[:-2] == again).all() and (count[-2:] == 0).all()
    pool.Sequence([]).run()


def test_a_sequence_is_interrupted_and_begins_anew() -> None:
    body = """
        counts = np.zeros(2_000_002, np.int64)
        args = np.array([counts.ctypes.data, 2000], np.int64)
        jobs = [pool.Job(ADDRESS["count"], args.ctypes.data, 0, 2_000_000, 2) for _ in range(3)]
        sequence = pool.Sequence(jobs)
        timer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT))
        timer.start()
        try:
            sequence.run()
            print("never interrupted")
        except KeyboardInterrupt:
            print("interrupted" if counts.sum() < 6_000_000 else "too late")
        small = np.zeros(12, np.int64)
        args = np.array([small.ctypes.data, 0], np.int64)
        again = pool.Sequence([pool.Job(ADDRESS["count"], args.ctypes.data, 0, 10, 2)])
        again.run()
        print(small.tolist())
    """
    assert program(body).splitlines() == ["interrupted", str([1] * 10 + [0, 0])]


def test_a_job_longer_than_a_slice_goes_on_where_it_was() -> None:
    turns = turns_of(50e-6)
    for threads in (1, 2, 3):
        units = 2 * threads * runtime.SLICE_NS // 50_000
        assert_once(counted(units, threads, turns))


def test_two_threads_work_at_the_same_time() -> None:
    """Two units that wait for each other, from a worker that may still be awake and from one that sleeps."""
    met = 0
    for attempt in range(10):
        args = np.array([0, 2_000_000, 0], np.int64)
        pool.run(ADDRESS["meet"], args.ctypes.data, 0, 2, 2)
        met += args[2] > 0
        time.sleep(0.003 * (attempt % 2))
    assert met >= 5


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [0, 1, 63, 16 << 10, (16 << 10) + 1, 1 << 20])
def test_scratch_is_private_and_aligned(size: int, threads: int) -> None:
    wrong = np.full(40, -1, np.int64)
    args = np.array([wrong.ctypes.data, size], np.int64)
    pool.run(ADDRESS["fill_scratch"], args.ctypes.data, size, 40, threads)
    assert (wrong == 0).all()


@pytest.mark.parametrize("threads", [1, 2])
def test_scratch_that_cannot_be_had_is_a_memory_error(threads: int) -> None:
    wrong = np.zeros(4, np.int64)
    args = np.array([wrong.ctypes.data, 1], np.int64)
    with pytest.raises(MemoryError, match="scratch"):
        pool.run(ADDRESS["fill_scratch"], args.ctypes.data, 1 << 62, 4, threads)
    assert_once(counted(100, threads))


# ---- several callers


@pytest.mark.parametrize("callers", [2, 16])
def test_many_threads_may_call_at_once(callers: int) -> None:
    turns, failures = turns_of(5e-6), []

    def call(seed: int) -> None:
        for i in range(60):
            counts = counted(1 + (seed * 7 + i * 13) % 50, 1 + (seed + i) % 4, turns)
            if not ((counts[:-2] == 1).all() and (counts[-2:] == 0).all()):
                failures.append(counts)

    callers_ = [threading.Thread(target=call, args=(seed,)) for seed in range(callers)]
    for caller in callers_:
        caller.start()
    for caller in callers_:
        caller.join()
    assert not failures


def test_a_call_does_not_wait_for_the_call_of_another_thread() -> None:
    turns, long_done = turns_of(1e-3), threading.Event()

    def long_call() -> None:
        counted(600, 2, turns)  # 0.3 s and more
        long_done.set()

    other = threading.Thread(target=long_call)
    other.start()
    time.sleep(0.05)
    assert_once(counted(20, 2))
    assert not long_done.is_set()
    other.join()


# ---- signals


@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_is_answered_within_a_tenth_of_a_second(threads: int, report_figure: Callable[[str, str], None]) -> None:
    out = program(f"""
        counts = np.zeros(200_000, np.int64)
        args = np.array([counts.ctypes.data, turns_of(200e-6)], np.int64)
        call = lambda: pool.run(ADDRESS["count"], args.ctypes.data, 0, counts.size, {threads})
        print(seconds_to_answer_ctrl_c(call, counts))
        args[1], counts[:] = 0, 0
        call()
        assert (counts == 1).all()
    """)
    seconds = float(out)
    report_figure(f"Ctrl-C answered, {threads} threads", f"{seconds * 1e3:.0f} ms")
    assert seconds < 0.1


def test_a_signal_handler_may_call_too() -> None:
    out = program("""
        inner = []
        def handler(number, frame):
            inner.append(counted(100, 2))
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
        counts = counted(4000, 2, turns_of(200e-6))
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert_once(counts)
        for counts in inner:
            assert_once(counts)
        print(len(inner))
    """)
    assert int(out) >= 2


def test_a_signal_handler_may_call_while_workers_are_being_started(monkeypatch: pytest.MonkeyPatch) -> None:
    real, inner = pool._call, []

    def interrupted(name: str, *words: int) -> int:
        if name == "pthread_create" and not inner:
            inner.append(1)
            assert_once(counted(50, 4))
        return real(name, *words)

    engine = pool.Engine()
    monkeypatch.setattr(pool, "_engine", engine)
    monkeypatch.setattr(pool, "_call", interrupted)
    assert_once(counted(100, 3))
    assert (inner, engine.workers) == ([1], 2)
    engine.stop()


def test_a_signal_handler_may_call_while_the_engine_is_being_made(monkeypatch: pytest.MonkeyPatch) -> None:
    real, interruptions, inner = pool.build, iter([True]), []

    def interrupted(*arguments: Any) -> Any:
        if next(interruptions, False):
            inner.append(pool.engine())
        return real(*arguments)

    monkeypatch.setattr(pool, "_engine", None)
    monkeypatch.setattr(pool, "build", interrupted)
    assert pool.engine() is inner[0]
    assert_once(counted(100, 3))
    pool.engine().stop()


@pytest.mark.skipif(not LINUX, reason="reads /proc")
def test_workers_take_no_signals_but_faults() -> None:
    print_masks = "print(*(status['SigBlk'] for status in new_tasks(lambda: counted(30, 3)).values()))"
    masks = [int(mask, 16) for mask in program(print_masks).split()]
    assert len(masks) == 2
    for mask in masks:
        blocked = {n for n in range(1, 32) if mask >> (n - 1) & 1}
        assert {1, 2, 10, 12, 13, 14, 15, 17} <= blocked
        assert not {4, 7, 8, 11} & blocked


# ---- forks


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_has_a_pool_of_its_own() -> None:
    program("""
        turns = turns_of(20e-6)
        act = lambda: assert_once(counted(300, 3, turns))
        act()
        in_children(act)
        act()
    """)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_thread_may_fork_while_another_one_is_in_a_call() -> None:
    program("""
        turns, stop = turns_of(20e-6), []
        act = lambda: assert_once(counted(300, 3, turns))
        def busy():
            while not stop:
                act()
        other = threading.Thread(target=busy)
        other.start()
        forked = []
        forker = threading.Thread(target=lambda: forked.append(in_children(act)))
        forker.start()
        forker.join()
        stop.append(1)
        other.join()
        assert forked == [None]
    """)


# ---- a good guest


def test_idle_workers_sleep() -> None:
    counted(100, 4, turns_of(20e-6))
    time.sleep(0.01)
    start = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - start < 0.01


def test_the_process_ends_at_once_and_in_peace() -> None:
    start = time.perf_counter()
    program("assert_once(counted(100, 8))")
    quick = time.perf_counter() - start
    program("assert_once(counted(100, 8)); sys.exit(0)")
    program("""
        turns = turns_of(1e-3)
        threading.Thread(target=counted, args=(100_000, 3, turns), daemon=True).start()
        time.sleep(0.1)
    """)
    assert time.perf_counter() - start < 10 + 3 * quick


def test_a_call_after_the_workers_have_gone_home_works() -> None:
    program("""
        assert_once(counted(100, 3))
        pool.engine().stop()
        assert_once(counted(100, 3))
        assert pool.engine().workers == 0
    """)


@pytest.mark.skipif(not LINUX, reason="reads /proc")
def test_workers_keep_the_cpus_of_the_thread_that_started_them() -> None:
    """A worker that is woken is kept off its caller's CPU for a moment only."""
    out = program("""
        def act():
            for _ in range(50):
                time.sleep(0.001)
                counted(30, 3, turns_of(1e-6))
        allowed = {status["Cpus_allowed"] for status in new_tasks(act).values()}
        print(allowed == {tasks()[os.getpid()]["Cpus_allowed"]})
    """)
    assert out == "True"


@pytest.mark.skipif(not LINUX, reason="reads /proc")
def test_memory_does_not_grow_with_the_number_of_calls() -> None:
    out = program("""
        counts = np.zeros(4, np.int64)
        args = np.array([counts.ctypes.data, 0], np.int64)
        def calls(n):
            for _ in range(n):
                pool.run(ADDRESS["count"], args.ctypes.data, 100_000, 4, 4)
        started = len(new_tasks(lambda: calls(3000)))
        before = resident()
        later = len(new_tasks(lambda: calls(10_000)))
        print(resident() - before, started, later)
    """)
    growth, started, later = map(int, out.split())
    assert growth < 1 << 20
    assert (started, later) == (3, 0)


# ---- the floating-point state


def c_library() -> ctypes.CDLL:
    return ctypes.CDLL("libm.so.6" if LINUX else None)


X86_LINUX = LINUX and os.uname().machine == "x86_64"
HALVED = np.uint32(1 << 20)  # the bits of a float32 far below the smallest normal one


def halve(units: int, threads: int) -> np.ndarray:
    """The bits of 500 floats for each unit: halves of one that is far below the smallest normal one, rounded."""
    x, out = np.full((units, 500), 2 * HALVED + 1, np.uint32), np.zeros((units, 500), np.uint32)
    args = np.array([x.ctypes.data, out.ctypes.data, 500], np.int64)
    pool.run(ADDRESS["halve"], args.ctypes.data, 0, units, threads)
    return out


@pytest.fixture
def flush_to_zero() -> Iterator[None]:
    """The calling thread in a mode in which the smallest numbers count as 0; the workers are older than that."""
    assert_once(counted(100, 3))
    environment = ctypes.create_string_buffer(64)
    c_library().fegetenv(environment)
    changed = ctypes.create_string_buffer(environment.raw, 64)
    np.frombuffer(changed, np.uint32)[7] |= 0x8040  # MXCSR in glibc's fenv_t
    c_library().fesetenv(changed)
    yield
    c_library().fesetenv(environment)


def test_the_smallest_numbers_are_not_flushed_to_zero() -> None:
    for _ in range(20):
        assert (halve(2000, 2) == HALVED).all()


@pytest.mark.skipif(not X86_LINUX, reason="knows where glibc keeps the mode of x86-64")
def test_workers_compute_in_the_mode_of_the_caller(flush_to_zero: None) -> None:
    """The result does not depend on who computed it, in whatever mode the caller is."""
    for _ in range(20):
        assert (halve(2000, 3) == 0).all()


@pytest.mark.skipif(not LINUX, reason="needs libm by name")
def test_the_floating_point_flags_of_the_caller_stay_as_they_were() -> None:
    library, inexact_and_underflow = c_library(), 0x30
    x, out = np.full(500, 2 * HALVED + 1, np.uint32), np.zeros(500, np.uint32)
    args = np.array([x.ctypes.data, out.ctypes.data, 500], np.int64)
    start = args.ctypes.data
    library.feclearexcept(inexact_and_underflow)
    pool.run(ADDRESS["halve"], start, 0, 1, 1)
    assert library.fetestexcept(inexact_and_underflow) == 0
    assert (out == HALVED).all()


# ---- how many threads


@pytest.fixture(autouse=True)
def _default_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("KERNELWISE_THREADS", raising=False)
    pool.set_threads(None)
    yield
    monkeypatch.undo()
    pool.set_threads(None)


def test_the_default_is_the_number_of_cpus_this_process_may_use() -> None:
    cpus = len(os.sched_getaffinity(0)) if LINUX else os.cpu_count()
    assert pool.threads() == min(cpus or 1, MAX_PARTICIPANTS)


def test_set_threads_sets_the_number_and_none_takes_it_back() -> None:
    default = pool.threads()
    pool.set_threads(np.int32(5))  # type: ignore[arg-type]
    assert pool.threads() == 5
    pool.set_threads(1000)
    assert pool.threads() == MAX_PARTICIPANTS
    pool.set_threads(None)
    assert pool.threads() == default


def test_the_environment_gives_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, threads in {"3": 3, " 7 ": 7, "1000": MAX_PARTICIPANTS}.items():
        monkeypatch.setenv("KERNELWISE_THREADS", given)
        pool.set_threads(None)
        assert pool.threads() == threads


@pytest.mark.parametrize("given", ["0", "-1", "two", "1.5", "0x2"])
def test_a_bad_number_in_the_environment_is_one_clear_error(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERNELWISE_THREADS", given)
    pool.set_threads(None)
    with pytest.raises(ArgumentError, match="`KERNELWISE_THREADS` must be a whole number .* from 1") as caught:
        pool.threads()
    assert repr(given) in str(caught.value)
    pool.set_threads(2)
    assert pool.threads() == 2  # what was asked for in the program wins


@pytest.mark.parametrize("n", [0, -3, True])
def test_a_bad_number_is_refused(n: int) -> None:
    with pytest.raises(ArgumentError, match=r"`n` must be a whole number of threads from 1 \(got"):
        pool.set_threads(n)


@pytest.mark.parametrize("n", [1.0, "2", [1]])
def test_what_is_no_whole_number_is_refused(n: object) -> None:
    with pytest.raises(ArgumentTypeError, match="`n` must be a whole number"):
        pool.set_threads(n)  # type: ignore[arg-type]


# ---- where there are no threads, and where there are no more


def test_without_posix_threads_a_call_runs_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ctypes.CFUNCTYPE(ctypes.c_int64)(lambda: time.monotonic_ns() // 1_000_000)
    real = pool._c_function
    monkeypatch.setattr(pool, "platform", lambda: Platform.ALONE)
    monkeypatch.setattr(pool, "_c_function", lambda name: clock if name == "GetTickCount64" else real(name))
    monkeypatch.setattr(pool, "_c_libraries", lambda: (ctypes.CDLL(None),))
    monkeypatch.setattr(pool, "_engine", pool.Engine())
    assert not pool.available()
    for threads in (1, 2, 8):
        assert_once(counted(300, threads, turns_of(100e-6)))
    assert pool.engine().workers == 0


def test_where_the_system_gives_no_more_threads_fewer_do_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    real, started = pool._call, []

    def refuse(name: str, *words: int) -> int:
        if name != "pthread_create":
            return real(name, *words)
        started.append(name)
        return real(name, *words) if len(started) < 2 else 11

    engine = pool.Engine()
    monkeypatch.setattr(pool, "_engine", engine)
    monkeypatch.setattr(pool, "_call", refuse)
    for _ in range(3):
        assert_once(counted(100, 8))
    assert (engine.workers, len(started)) == (1, 2)
    engine.stop()


# ---- the machine code


@pytest.mark.parametrize("platform", list(Platform))
@pytest.mark.parametrize("name", ["avx512", "avx2", "sse", "neon"])
def test_the_code_can_be_generated_for_every_target(name: str, platform: Platform) -> None:
    machine = target.named(name)
    text = assembly(runtime.emit(machine, platform, None).text, machine)
    assert "run:" in text
    assert ("worker:" in text) == (platform is not Platform.ALONE)
    assert ("isb" in text) == (name == "neon" and platform is not Platform.ALONE)
    assert handover.SPIN_NS <= 50_000
