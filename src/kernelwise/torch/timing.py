"""Functions timed beside each other."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

ROUNDS, MOST_ROUNDS = 3, 25
SECONDS = 0.05  # that a comparison takes, if so many rounds allow it


def medians(functions: Sequence[Callable[[], Any]], seconds: float = SECONDS) -> list[float]:
    """Seconds of each function: medians of calls in turn, so that whatever else the machine does meets all alike.

    On one thread it is the thread's own time: while others hold the core, it stands still.
    """
    clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    for function in functions:
        function()
    taken: list[list[float]] = [[] for _ in functions]
    end = time.perf_counter() + seconds
    for number in range(MOST_ROUNDS):
        if number >= ROUNDS and time.perf_counter() > end:
            break
        for times, function in zip(taken, functions, strict=True):
            start = clock()
            function()
            times.append(clock() - start)
    return [statistics.median(times) for times in taken]
