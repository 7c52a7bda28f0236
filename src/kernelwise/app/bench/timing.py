"""Time taken fairly on a machine that others use too: one interleaved run, blocks, medians.

A block is a contender's turn: calls for WARMING seconds that are not counted (they bring the contender's data back into
the caches and wake its workers, and the core that they run on), then calls for at least LEAST_BLOCK seconds. A block
counts as the median of its calls: the minimum would favour whoever makes more calls in a block. A round gives every
contender one block, in the same order, A B C A B C ...; the result is the median over the rounds. Garbage collection is
off.

On one thread a call takes the CPU time of the thread that makes it, which does not run while another process has the
core (a contender that worked on other threads all the same would look faster than it is). On more threads, wall time.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from timeit import Timer

LEAST_BLOCK = 0.002  # s
WARMING = 0.001  # s
READING = 1e-4  # s; what two readings of a clock should lie apart at least
SLOW = 0.02  # s; a call this long gains nothing from a call before it
POOL, BLAS = 0.02, 0.15  # s for which workers spin: those of torch and of engines, those of NumPy's linear algebra


Clock = Callable[[], float]  # -> seconds since some moment
Block = Callable[[float, float | None], float]  # (least seconds, s per call in the last block) -> s per call


@dataclass(frozen=True)
class Pace:
    """How long to measure: rounds until both ``least`` rounds and ``budget`` seconds are reached, ``most`` at most."""

    least: int = 5
    most: int = 15
    budget: float = 1.0  # s, for one row with all its thread counts
    hopeless: float = 20.0  # times the best rival: who takes longer in a trial is not timed
    block: float = LEAST_BLOCK


@dataclass
class Entry:
    """A contender at one thread count, and what its blocks gave: seconds per call, one number per round."""

    name: str
    block: Block
    spins: float = 0.0  # s of sleep after its turn, while its workers spin
    most: int | None = None  # rounds it takes part in; None: all
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def clock_for(threads: int) -> Clock:
    """CPU time of this thread where that is all the work, else wall time; in seconds."""
    return time.thread_time if threads == 1 else time.perf_counter


def each_call(call: Callable[[], object], clock: Clock) -> Block:
    """A block that times calls one by one, or a few together where they are so short that the clock would count."""

    def block(least: float, last: float | None) -> float:
        if last is None or last < SLOW:
            begin = time.perf_counter()
            call()
            while least and time.perf_counter() - begin < WARMING:
                call()
        together = 1 if last is None else int(READING / last) + 1
        times = []
        begin = time.perf_counter()
        while True:
            start = clock()
            for _ in range(together):
                call()
            times.append((clock() - start) / together)
            if time.perf_counter() - begin >= least:
                return statistics.median(times)

    return block


def in_batches(statement: str, names: dict[str, object], clock: Clock, batches: int = 5) -> Block:
    """A block for calls of a few microseconds: the median over batches of a loop around the statement itself."""
    timer = Timer(statement, timer=clock, globals=names)

    def block(least: float, last: float | None) -> float:
        once = last if last is not None else max(timer.timeit(20) / 20, 1e-8)
        calls = max(1, int(least / batches / once))
        timer.timeit(1)
        return statistics.median(timer.timeit(calls) / calls for _ in range(batches))

    return block


@contextmanager
def no_garbage_collection() -> Iterator[None]:
    """Collection off inside, and as it was behind."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def interleave(groups: Sequence[tuple[int, Sequence[Entry]]], pace: Pace, set_threads: Callable[[int], None]) -> int:
    """Run rounds over all groups (thread count, entries), filling ``seconds`` of every entry. Returns the rounds."""
    begin = time.perf_counter()
    rounds = 0
    with no_garbage_collection():
        while rounds < pace.least or (rounds < pace.most and time.perf_counter() - begin < pace.budget):
            for threads, entries in groups:
                set_threads(threads)
                for entry in entries:
                    if entry.most is not None and rounds >= entry.most:
                        continue
                    last = entry.seconds[-1] if entry.seconds else None
                    entry.seconds.append(entry.block(pace.block, last))
                    if entry.spins and pace.budget:
                        time.sleep(entry.spins)
            rounds += 1
    return rounds


def occupancy(call: Callable[[], object], seconds: float = 0.1) -> float:
    """Share of the wall time in which this thread really ran, while calling: 1.0 on a machine that is ours alone."""
    wall, own = time.perf_counter(), time.thread_time()
    while time.perf_counter() - wall < seconds:
        call()
    return (time.thread_time() - own) / (time.perf_counter() - wall)
