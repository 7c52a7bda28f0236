"""Functions timed beside each other."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

ROUNDS, MOST_ROUNDS = 3, 25
SECONDS = 0.05  # that a comparison takes, if so many rounds allow it


def medians(functions: Sequence[Callable[[], Any]]) -> list[float]:
    """Seconds of each function: medians of calls in turn, so that whatever else the machine does meets all alike."""
    for function in functions:
        function()
    taken: list[list[float]] = [[] for _ in functions]
    end = perf_counter() + SECONDS
    for number in range(MOST_ROUNDS):
        if number >= ROUNDS and perf_counter() > end:
            break
        for times, function in zip(taken, functions, strict=True):
            start = perf_counter()
            function()
            times.append(perf_counter() - start)
    return [statistics.median(times) for times in taken]
