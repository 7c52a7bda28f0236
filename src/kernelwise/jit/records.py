"""What callers and workers say to each other: the blocks of memory in which they meet, and what the system offers.

One call is a job, described by a record in the caller's own memory:

    JOB          one line: what to run, for how many participants
    a share      one line for each participant: the next unit of its share, and where the share ends

All calls of the process share one pool block:

    GENERATION   a serial number << 8 | participants while a job is open, or | 0 while none is
    ACTIVE       how many workers are inside the job
    LOCK         1 while a caller has the pool; another caller then works alone
    POOL         the open job, and what there is of workers
    WORKERS      a WORKER for each: its number, whether it sleeps, and what it sleeps on
"""

from __future__ import annotations

from enum import Enum

LINE = 128  # bytes that one core may write without disturbing another: two cache lines, as they are fetched in pairs
MAX_PARTICIPANTS = 64

JOB = ("routine", "args", "scratch_bytes", "units", "participants", "shared_out", "paused", "mode")
JOB_BYTES = LINE * (1 + MAX_PARTICIPANTS)

GENERATION, ACTIVE, LOCK, POOL, WORKERS = (LINE * i for i in range(5))  # in the pool block
POOL_FIELDS = ("job", "workers", "limit", "stop", "alive")
WORKER_BYTES = 3 * LINE
WORKER = ("pool", "number", "asleep", "thread", "moved")
MUTEX, CONDITION, CPUS = 64, 128, 256  # in a WORKER; the first two take at most 64 bytes on Linux and macOS
CPUS_BYTES = 128  # a set of CPUs, one bit each
POOL_BYTES = WORKERS + WORKER_BYTES * MAX_PARTICIPANTS

FINISHED, PAUSED, NO_MEMORY = 0, 1, 2  # what `run` returns


class Platform(Enum):
    """What the operating system has."""

    LINUX = "POSIX threads, and a say in where they run"
    POSIX = "POSIX threads"
    ALONE = "neither: calls run on one thread"

    @property
    def symbols(self) -> tuple[str, ...]:
        """The C functions that the code calls."""
        if self is Platform.ALONE:
            return ("malloc", "free", "GetTickCount64")
        threads = [f"pthread_{name}" for name in ("cond_wait", "cond_signal", "self")]
        threads += [f"pthread_mutex_{name}" for name in ("lock", "trylock", "unlock")]
        if self is Platform.LINUX:
            threads += ["sched_getcpu", "pthread_getaffinity_np", "pthread_setaffinity_np"]
        return ("malloc", "free", "clock_gettime", "sched_yield", "nanosleep", *threads)
