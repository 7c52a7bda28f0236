"""Mersenne Twisters side by side: the raw 32-bit words that random numbers are made from.

Engine i of `count` starts as ``std::mt19937((127 * seed + i) mod 2**32)`` does. That is Matsumoto and Nishimura's
MT19937 (ACM TOMACS 8 (1998) 3-30) with their `init_genrand` of 2002. All engines are rows of one array, so that a step
of the recurrence is a few NumPy operations for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

LENGTH = 624  # words of state, and words made at once
SHIFT = 397
TWIST = np.uint32(0x9908B0DF)
UPPER, LOWER = np.uint32(0x80000000), np.uint32(0x7FFFFFFF)
SEED_STEP = 127  # MXNet's distance between the seeds of neighbouring streams
AT_ONCE = 64  # engines whose states are worked on together, so that they stay in the processor's cache


class Engines:
    """`count` engines, each with its own place in its own sequence.

    >>> Engines(2, seed=0).words(np.array([2, 1]))
    array([2357136044, 2546248239, 1791095845], dtype=uint32)
    """

    def __init__(self, count: int, seed: int) -> None:
        self._count = count
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Every engine to the beginning of its sequence. States are made when words are first asked for."""
        self._seed = seed
        self._states: np.ndarray | None = None

    def words(self, counts: np.ndarray, first: int = 0) -> np.ndarray:
        """The next ``counts[i]`` words of engine first + i, one engine's after another's (uint32)."""
        if self._states is None:
            self._begin()
        engines = slice(first, first + len(counts))
        ready, used = self._ready[engines], self._used[engines]
        left = np.array(counts, dtype=np.int64)
        starts = np.concatenate(([0], np.cumsum(left)[:-1]))
        out = np.empty(int(left.sum()), np.uint32)
        while (rows := np.flatnonzero(left)).size:
            self._twist(first + rows[used[rows] == LENGTH])
            sizes = np.minimum(left[rows], LENGTH - used[rows])
            for begin, end in _alike(rows, used[rows], left[rows], counts[rows]):
                row, size, each, many = rows[begin], sizes[begin], counts[rows[begin]], end - begin
                part = out[starts[row] : starts[row] + many * each].reshape(many, each)
                done, place = each - left[row], used[row]
                part[:, done : done + size] = ready[row : row + many, place : place + size]
            left[rows] -= sizes
            used[rows] += sizes
        return out

    def _begin(self) -> None:
        """The states that seeds stand for."""
        seeds = (SEED_STEP * self._seed + np.arange(self._count, dtype=object)) % 2**32
        states = np.empty((LENGTH, self._count), np.uint32)
        states[0] = seeds.astype(np.uint32)
        for i in range(1, LENGTH):
            states[i] = (states[i - 1] ^ (states[i - 1] >> np.uint32(30))) * np.uint32(1812433253) + np.uint32(i)
        self._states = np.ascontiguousarray(states.T)
        self._ready = np.empty_like(self._states)  # the words of the present state
        self._used = np.full(self._count, LENGTH)  # how many of them have been handed out

    def _twist(self, rows: np.ndarray) -> None:
        """New states and their words for some engines."""
        assert self._states is not None
        for first in range(0, len(rows), AT_ONCE):
            some = rows[first : first + AT_ONCE]
            states = self._states[some]
            twist(states)
            self._states[some] = states
            self._ready[some] = tempered(states)
        self._used[rows] = 0


def twist(states: np.ndarray) -> None:
    """The recurrence, LENGTH steps of it, in place. states (n, LENGTH) uint32."""
    following = _mixed(states[:, :-1], states[:, 1:])
    span = LENGTH - SHIFT  # a step reads what stands SHIFT after it, so as many steps need nothing new
    states[:, :span] = states[:, SHIFT:] ^ following[:, :span]
    states[:, span : 2 * span] = states[:, :span] ^ following[:, span : 2 * span]
    states[:, 2 * span : -1] = states[:, span : SHIFT - 1] ^ following[:, 2 * span :]
    states[:, -1] = states[:, SHIFT - 1] ^ _mixed(states[:, -1], states[:, 0])


def _mixed(here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """The uppermost bit of one word and the others of another, through the matrix of the recurrence."""
    low = there & LOWER
    mixed = (((here & UPPER) | low) >> np.uint32(1)) ^ ((low & np.uint32(1)) * TWIST)
    return mixed  # type: ignore[no-any-return]


def tempered(states: np.ndarray) -> np.ndarray:
    """Words as they are handed out."""
    words = states ^ (states >> np.uint32(11))
    words ^= (words << np.uint32(7)) & np.uint32(0x9D2C5680)
    words ^= (words << np.uint32(15)) & np.uint32(0xEFC60000)
    words ^= words >> np.uint32(18)
    return words


def _alike(rows: np.ndarray, *columns: np.ndarray) -> Iterator[tuple[int, int]]:
    """First and last + 1 of every stretch of neighbouring rows that are equal in all columns."""
    same = np.diff(rows) == 1
    for column in columns:
        same &= column[1:] == column[:-1]
    edges = np.flatnonzero(~same) + 1
    firsts, lasts = [0, *edges.tolist()], [*edges.tolist(), len(rows)]
    yield from zip(firsts, lasts, strict=True)
