"""Layers found again by the very numbers of their weights, which may change at any time."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")

MOST_NUMBERS = 1 << 16  # weights of a layer that is looked up: comparing more takes about as long as packing them
SMALL_BYTES = 2 << 10  # of weights that are looked up wherever they lie
MOST_LAYERS = 128  # that are remembered
MOST_BYTES = 8 << 20  # of all their weights; packed, they take several times as much


class Known(Generic[T]):
    """What was made of weights, as long as neither their numbers nor anything else about them has changed."""

    def __init__(self) -> None:
        self._made: dict[Hashable, tuple[bytes, T]] = {}

    def find(self, key: Hashable, numbers: bytes, place: int, make: Callable[[], T]) -> T:
        """What was made for this ``key`` and these ``numbers``, or is made now. ``place``: something that tells arrays
        of many weights apart, and may be wrong. Raises TypeError for a key that is none, and what ``make`` raises."""
        full = key, numbers if len(numbers) <= SMALL_BYTES else place
        found = self._made.get(full)
        if found is None or found[0] != numbers:
            found = numbers, make()
            self._made.pop(full, None)
            self._made[full] = found
            self._let_go()
        return found[1]

    def forget(self) -> None:
        """Let go of everything."""
        self._made = {}

    def _let_go(self) -> None:
        """Of the oldest, where there is too much."""
        kept = list(self._made.items())
        total = sum(len(numbers) for _, (numbers, _) in kept)
        first = 0
        while len(kept) - first > MOST_LAYERS or total > MOST_BYTES:
            total -= len(kept[first][1][0])
            first += 1
        if first:
            self._made = dict(kept[first:])
