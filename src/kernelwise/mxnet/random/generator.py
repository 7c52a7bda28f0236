"""MXNet 1.9.1's random numbers on the CPU, bit for bit, as NumPy arrays.

There are two sources, and a seed sets both. Most samplers share the 1024 engines of `Generator.many`: of N values,
engine j makes the j-th of ``min(ceil(N / 64), 1024)`` equal parts, however many threads there are. Shuffling and
choosing by probability have an engine of their own, `Generator.one`.

A program that sets no seed begins with seed 0.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from .engines import Engines
from .numbers import f32, logf, single

MANY = 1024
AT_LEAST = 64  # values of an engine, before another one is asked too
AT_ONCE = 2**17  # values worked on together, so that they stay in the processor's cache
WORD = 2.0**32
MOST = 2**32 - 1


class Generator:
    """The state from which numbers are drawn. Draws from several threads wait for each other.

    >>> Generator().uniform(0, 1, 3)
    array([0.5488135 , 0.5928446 , 0.71518934], dtype=float32)
    """

    def __init__(self, seed: int = 0) -> None:
        self.many = Engines(MANY, seed)
        self.one = Engines(1, seed)
        self._lock = threading.RLock()

    def seed(self, seed: int) -> None:
        """Back to the beginning of the sequence that belongs to ``seed``, any whole number."""
        with self._lock:
            self.many.seed(seed)
            self.one.seed(seed)

    # -- samplers, which share the many engines. Parameters may be arrays that go with the values, one for each

    def uniform(self, low: Any, high: Any, count: int, dtype: Any = np.float32) -> np.ndarray:
        """``low + (high - low) * u``: (count,) of a real dtype. Now and then, once in 2**25, `high` itself."""
        low, span = _parameter(low), _parameter(high) - _parameter(low)
        return _low_precision(low + span * self.unit(count, dtype), dtype)

    def normal(self, loc: Any, scale: Any, count: int, dtype: Any = np.float32) -> np.ndarray:
        """``loc + scale * n``: (count,) of a real dtype."""
        return _low_precision(self.standard_normal(count, dtype) * _parameter(scale) + _parameter(loc), dtype)

    def exponential(self, rate: Any, count: int, dtype: Any = np.float32) -> np.ndarray:
        """``-log(1 - u) / rate``: (count,) of a real dtype."""
        rest = 1.0 - self.unit(count, dtype).astype(np.float64)
        with np.errstate(divide="ignore"):  # now and then the rest is 0, and what is made of it infinite
            return _low_precision(-np.log(rest) / _parameter(rate), dtype)

    def integers(self, low: int, high: int, count: int) -> np.ndarray:
        """Whole numbers from ``low`` to below ``high``: (count,) int64."""
        with self._lock:
            words = np.concatenate([self.many.words(2 * shares, first) for first, shares, _ in _pieces(count)])
        words = words.astype(np.uint64)
        drawn = ((words[0::2] << np.uint64(31)) + words[1::2]).view(np.int64)
        return low + np.fmod(drawn, np.int64(high - low))

    def unit(self, count: int, dtype: Any = np.float32) -> np.ndarray:
        """From 0 to 1: (count,) float32, of one word each; for other dtypes float64, of two words each."""
        double = np.dtype(dtype) != np.float32
        out = np.empty(count, np.float64 if double else np.float32)
        with self._lock:
            for first, shares, place in _pieces(count):
                words = self.many.words(shares * (2 if double else 1), first)
                out[place] = _double_unit(words) if double else _unit(words)
        return out

    def standard_normal(self, count: int, dtype: Any = np.float32) -> np.ndarray:
        """(count,) float32, or float64 for other dtypes, by Marsaglia's polar method (SIAM Review 6 (1964) 260-264).

        A point of the square is drawn until it falls into the circle; of the two values made of it, one is used.
        """
        out = np.empty(count, np.float32 if np.dtype(dtype) == np.float32 else np.float64)
        with self._lock:
            for first, shares, place in _pieces(count):
                self._fill_normal(out[place], shares, first)
        return out

    def _fill_normal(self, out: np.ndarray, shares: np.ndarray, first: int) -> None:
        """``shares[i]`` values of engine first + i: as many points as are missing, until none is."""
        double = out.dtype == np.float64
        left = shares.copy()
        places = np.cumsum(shares) - shares
        while left.any():
            words = self.many.words(left * (4 if double else 2), first)
            x, y = (_double_unit(words) if double else _unit(words)).reshape(-1, 2).T * f32(2) - f32(1)
            square = x * x + y * y
            inside = (square <= 1) & (square != 0)
            found = np.bincount(np.repeat(np.arange(len(left)), left)[inside], minlength=len(left))
            rank = np.arange(found.sum()) - np.repeat(np.cumsum(found) - found, found)
            out[np.repeat(places, found) + rank] = _polar(y[inside], square[inside])
            places += found
            left -= found

    # -- samplers with an engine of their own

    def order(self, count: int, rows: bool = False) -> np.ndarray:
        """``count`` places in random order: (count,) int64. Rows of a table are mixed from the last one on."""
        places = list(range(count))
        steps = list(range(1, count) if rows else range(count - 1, 0, -1))  # the next one last
        with self._lock:
            words: list[int] = []
            while steps:
                words = words or self.one.words(np.array([len(steps)])).tolist()[::-1]
                i = steps[-1]
                size = MOST // (i + 1)
                if (word := words.pop()) < (i + 1) * size:
                    j = word // size
                    places[i], places[j] = places[j], places[i]
                    steps.pop()
        return np.array(places)

    def choose(self, probabilities: np.ndarray, count: int) -> np.ndarray:
        """``count`` places for every row of (n, k) float32 probabilities: (n, count) int64."""
        with self._lock:
            drawn = _unit(self.one.words(np.array([len(probabilities) * count]))).reshape(-1, count)
        sums = np.cumsum(probabilities, axis=1, dtype=np.float32)
        places = (drawn[:, :, None] >= sums[:, None, :]).sum(2)
        return np.minimum(places, probabilities.shape[1] - 1)


def _pieces(count: int) -> Iterator[tuple[int, np.ndarray, slice]]:
    """How ``count`` values are shared: the first of some engines, how many values each of them makes, their places."""
    engines = min(-(-count // AT_LEAST), MANY)
    share = -(-count // engines)
    shares = np.clip(count - share * np.arange(engines), 0, share)
    together = max(1, AT_ONCE // share)
    for first in range(0, engines, together):
        yield first, shares[first : first + together], slice(first * share, (first + together) * share)


def _parameter(value: Any) -> Any:
    return value if isinstance(value, np.ndarray) else single(value)


def _low_precision(values: np.ndarray, dtype: Any) -> np.ndarray:
    """float16 is reached by way of float32."""
    if np.dtype(dtype) == np.float16:
        values = values.astype(np.float32)
    with np.errstate(over="ignore"):
        return values.astype(dtype, copy=False)


def _unit(words: np.ndarray) -> np.ndarray:
    return words.astype(np.float32) * f32(1 / WORD)


def _double_unit(words: np.ndarray) -> np.ndarray:
    pairs = words.astype(np.float64)
    unit: np.ndarray = (pairs[0::2] + pairs[1::2] * WORD) / WORD**2
    return unit


def _polar(y: np.ndarray, square: np.ndarray) -> np.ndarray:
    if square.dtype == np.float32:
        log = logf(square)
    else:  # the C library's logarithm; NumPy's differs from it in the last bit here and there
        log = np.fromiter(map(math.log, square), np.float64, len(square))
    return y * np.sqrt(square.dtype.type(-2) * log / square)
