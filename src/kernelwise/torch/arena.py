"""One piece of memory for all that a program writes: what is not read any more makes room for what comes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

ALIGN = 128  # bytes: two cache lines, as they are fetched in pairs


class Need(NamedTuple):
    """Memory that is in use from one step to another, both included."""

    first: int
    last: int
    bytes: int


def arranged(needs: Sequence[Need]) -> tuple[list[int], int]:
    """Where each one lies, and the bytes of all. Needs at one place are never in use at the same time; large ones are
    placed first, each as far in front as the others allow.

    >>> arranged([Need(0, 1, 1000), Need(1, 2, 100), Need(2, 3, 1000)])
    ([0, 1024, 0], 1152)
    """
    places = [0] * len(needs)
    placed: list[int] = []
    for number in sorted(range(len(needs)), key=lambda n: (-needs[n].bytes, n)):
        need, at = needs[number], 0
        taken = [n for n in placed if needs[n].first <= need.last and need.first <= needs[n].last]
        for start, end in sorted((places[n], places[n] + _whole(needs[n].bytes)) for n in taken):
            if start - at >= _whole(need.bytes):
                break
            at = max(at, end)
        places[number] = at
        placed.append(number)
    return places, max((places[n] + _whole(needs[n].bytes) for n in placed), default=0)


def _whole(size: int) -> int:
    return -(-size // ALIGN) * ALIGN
