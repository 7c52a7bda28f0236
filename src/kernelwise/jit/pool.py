"""The threads that work for us: how many, started when first needed, asleep when idle.

The workers are POSIX threads that live in compiled code (see runtime.py) and never touch Python: no lock of the
interpreter, no signal handler, no Python stack. All of them share one block of memory, which lies at one place for
the life of the process, so compiled code may keep its address.
"""

from __future__ import annotations

import atexit
import ctypes
import operator
import os
import signal
import threading
import time
from collections.abc import Iterable
from functools import lru_cache
from platform import system
from typing import Any, NamedTuple

from ..errors import ArgumentError, ArgumentTypeError
from . import runtime, target
from .compile import build, define
from .entry_code import C_API
from .layout import fields
from .records import (
    CONDITION,
    LINE,
    MAX_PARTICIPANTS,
    MUTEX,
    NO_MEMORY,
    PAUSED,
    POOL,
    POOL_BYTES,
    POOL_FIELDS,
    WORKER_BYTES,
    WORKERS,
    Platform,
)

STOP_SECONDS = 1.0  # at exit; a worker needs one unit of its routine
FAULTS = {getattr(signal, n) for n in ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL") if hasattr(signal, n)}  # kept readable

# ---- how many threads

_chosen: int | None = None


def set_threads(n: int | None) -> None:
    """Set how many threads a call uses where it is not told otherwise.

    ``n`` is a whole number from 1; more than 64 count as 64. None goes back to the default: KERNELWISE_THREADS if it
    is set, else the CPUs this process may run on. Results never depend on it. Raises ArgumentError, ArgumentTypeError.

    >>> set_threads(2)
    >>> threads()
    2
    >>> set_threads(None)
    """
    global _chosen
    _default_threads.cache_clear()
    _chosen = None if n is None else check_threads("n", n)


def threads() -> int:
    """How many threads a call uses where it is not told otherwise: 1 to 64."""
    return _chosen or _default_threads()


def check_threads(name: str, n: object) -> int:
    """The argument called ``name`` as a number of threads from 1 to 64."""
    allowed = f"`{name}` must be a whole number of threads from 1"
    try:
        count = operator.index(n)  # type: ignore[arg-type]
    except TypeError:
        raise ArgumentTypeError(f"{allowed} (got {n!r})") from None
    if count < 1 or isinstance(n, bool):
        raise ArgumentError(f"{allowed} (got {n!r})")
    return min(count, MAX_PARTICIPANTS)


@lru_cache(maxsize=1)
def _default_threads() -> int:
    given = os.environ.get("KERNELWISE_THREADS")
    if given:
        if not given.strip().isdecimal() or int(given) < 1:
            raise ArgumentError(f"`KERNELWISE_THREADS` must be a whole number of threads from 1 (got {given!r})")
        return min(int(given), MAX_PARTICIPANTS)
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cpus, MAX_PARTICIPANTS)


# ---- the compiled code


def platform() -> Platform:
    """What this operating system has."""
    if os.name != "posix":
        return Platform.ALONE
    return Platform.LINUX if system() == "Linux" else Platform.POSIX


def available() -> bool:
    """Whether there can be workers. Where not, every call runs on the thread that makes it."""
    return platform() is not Platform.ALONE


class Engine:
    """The compiled runtime of this process and the block in which callers and workers meet."""

    def __init__(self) -> None:
        here, host = platform(), target.current()
        known = fields()
        for name in here.symbols:
            define(name, address_of(_c_function(name)))
        for name in C_API if known is not None else ():
            define(name, address_of(getattr(ctypes.pythonapi, name)))
        code = build(("runtime", here.name, known), lambda: runtime.emit(host, here, known), host)
        memory = ctypes.create_string_buffer(POOL_BYTES + LINE)
        self.block = -(-ctypes.addressof(memory) // LINE) * LINE
        self.run_address = code.address("run")
        self.run = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)(self.run_address)
        pointers, numbers = (ctypes.c_void_p,) * 2, (ctypes.c_int64,) * 3
        self.run_all = ctypes.CFUNCTYPE(ctypes.c_int64, *pointers, *numbers)(code.address("run_all"))
        self.apply_address = code.address("apply") if known is not None else 0
        self._worker_address = code.address("worker") if available() else 0
        self._keep = (code, memory)
        if hasattr(ctypes, "pythonapi"):  # a thread may be inside to the very end of the process: never let go of them
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._keep))
        self.reset()

    def reset(self) -> None:
        """A pool without workers. In a child after fork: nobody has a lock, nobody is in a job."""
        ctypes.memset(self.block, 0, POOL_BYTES)
        self._lock = threading.Lock()
        self._line = {n: ctypes.c_int64.from_address(self.block + POOL + 8 * i) for i, n in enumerate(POOL_FIELDS)}
        self._line["limit"].value = MAX_PARTICIPANTS - 1 if available() else 0

    @property
    def workers(self) -> int:
        """How many there are."""
        return self._line["workers"].value

    def field(self, name: str) -> int:
        """The address of a field of POOL."""
        return ctypes.addressof(self._line[name])

    def prepare(self, participants: int) -> None:
        """Have workers for so many participants, or as many as the system gives; or leave that to who is at it."""
        if self._lock.acquire(blocking=False):  # this may be a signal handler in the midst of starting workers
            try:
                while self.workers < min(participants - 1, self._line["limit"].value):
                    self._start(self.workers + 1)
            finally:
                self._lock.release()

    def _start(self, number: int) -> None:
        worker = self.block + WORKERS + number * WORKER_BYTES
        for i, value in enumerate((self.block, number)):  # the first fields of WORKER
            ctypes.c_int64.from_address(worker + 8 * i).value = value
        _call("pthread_mutex_init", worker + MUTEX, 0)
        _call("pthread_cond_init", worker + CONDITION, 0)
        self._line["workers"].value = number  # from here on its place is taken, whatever may interrupt this
        handle = ctypes.c_void_p()
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - FAULTS)  # a thread inherits the mask
        try:
            failed = _call("pthread_create", ctypes.addressof(handle), 0, self._worker_address, worker)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if failed:
            self._line["workers"].value = self._line["limit"].value = number - 1
        else:
            _call("pthread_detach", handle.value or 0)

    def stop(self) -> None:
        """Send the workers home and wait for them, but not long. Calls made from now on run alone."""
        with self._lock:
            started = self.workers
            self._line["limit"].value = self._line["workers"].value = 0
            self._line["stop"].value = 1
            for number in range(1, started + 1):
                worker = self.block + WORKERS + number * WORKER_BYTES
                _call("pthread_mutex_lock", worker + MUTEX)
                _call("pthread_cond_signal", worker + CONDITION)
                _call("pthread_mutex_unlock", worker + MUTEX)
            until = time.monotonic() + STOP_SECONDS
            while self._line["alive"].value and time.monotonic() < until:
                time.sleep(50e-6)


@lru_cache(maxsize=1)
def _c_libraries() -> tuple[ctypes.CDLL, ...]:
    if available():
        return (ctypes.CDLL(None),)
    return (ctypes.CDLL("msvcrt"), ctypes.CDLL("kernel32"))


def _c_function(name: str) -> Any:
    return next(getattr(library, name) for library in _c_libraries() if hasattr(library, name))


def address_of(function: Any) -> int:
    """Where a C function that ctypes knows lies."""
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _call(name: str, *words: int) -> int:
    """Call a C function whose arguments are all pointers."""
    return int(_c_function(name)(*(ctypes.c_void_p(word) for word in words)))


# ---- the one engine of the process

_engine: Engine | None = None
_engine_lock = threading.RLock()


def engine() -> Engine:
    """The engine; compiled or loaded at the first call."""
    global _engine
    if _engine is None:
        with _engine_lock:
            if _engine is None:
                made = Engine()
                _engine = _engine or made  # a signal handler may have been quicker
    return _engine


def run(routine: int, args: int, scratch_bytes: int, units: int, threads: int) -> None:
    """Run a routine for the units 0 .. units - 1 and return when all are done.

    ``routine`` is the address of a ``void routine(ptr args, ptr scratch, i64 unit)`` and ``args`` what it is given;
    ``scratch`` are ``scratch_bytes`` bytes, aligned to 64, for this participant of this call alone. At most
    ``threads`` threads take part, the calling one among them. Other Python threads run meanwhile, and signals are
    handled: when an exception comes out of a handler, some units have not been run, and no thread is at work any more.
    Raises MemoryError if there is no memory for the scratch.
    """
    of = _engine or engine()
    participants = max(1, min(threads, units, MAX_PARTICIPANTS))
    if of.workers < participants - 1:
        of.prepare(participants)
    memory = (ctypes.c_int64 * (LINE // 8 * (2 + participants)))()
    begin = -ctypes.addressof(memory) % LINE // 8
    job = ctypes.addressof(memory) + 8 * begin
    memory[begin : begin + 5] = [routine, args, scratch_bytes, units, participants]  # the first fields of JOB
    while (status := of.run(of.block, job)) == PAUSED:
        pass  # here Python runs signal handlers
    if status == NO_MEMORY:
        raise MemoryError(f"there is no memory for {scratch_bytes} bytes of scratch")


class Job(NamedTuple):
    """What `run` is given, for a Sequence."""

    routine: int
    args: int
    scratch_bytes: int
    units: int
    threads: int


class Sequence:
    """Jobs that are run one after the other without coming back to Python in between, as if by `run`. The arguments of
    routines are read when their turn comes. One caller at a time."""

    def __init__(self, jobs: Iterable[Job]) -> None:
        jobs = list(jobs)
        participants = [max(1, min(job.threads, job.units, MAX_PARTICIPANTS)) for job in jobs]
        self._most, self._count = max(participants, default=1), len(jobs)
        sizes = [LINE * (1 + n) for n in participants]
        self._memory = ctypes.create_string_buffer(sum(sizes) + LINE)
        place = -(-ctypes.addressof(self._memory) // LINE) * LINE
        self._list = (ctypes.c_int64 * max(1, len(jobs)))()
        for i, (job, n, size) in enumerate(zip(jobs, participants, sizes, strict=True)):
            record = (ctypes.c_int64 * 5).from_address(place)
            record[:] = [job.routine, job.args, job.scratch_bytes, job.units, n]  # the first fields of JOB
            self._list[i] = place
            place += size

    def run(self) -> None:
        """All of them. When an exception comes out of a signal handler, some have not been run, or not wholly."""
        of = _engine or engine()
        if of.workers < self._most - 1:
            of.prepare(self._most)
        jobs, first, fresh = ctypes.addressof(self._list), 0, 1
        while status := of.run_all(of.block, jobs, first, self._count, fresh):
            first, fresh = status >> 2, 0  # here Python runs signal handlers
            if status & 3 == NO_MEMORY:
                raise MemoryError("there is no memory for scratch")


def _after_fork() -> None:
    global _engine_lock
    _engine_lock = threading.RLock()
    _default_threads.cache_clear()
    if _engine is not None:
        _engine.reset()


def _at_exit() -> None:
    if _engine is not None:
        _engine.stop()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
