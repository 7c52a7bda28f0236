"""The steps of a descent, and the kernels that are kept on the way."""

from __future__ import annotations

import math

import numpy as np

from .quadratic import Bowl


class Film:
    """Kernels on the way, evenly spread over the steps: the start is the first, the end the last."""

    def __init__(self, frames: int, steps: int) -> None:
        self._wanted = set(np.unique(np.linspace(0, steps, frames).round().astype(int)).tolist()) if frames else set()
        self._seen: dict[int, np.ndarray] = {}

    def see(self, step: int, k: np.ndarray) -> None:
        """The kernel after so many steps."""
        if step in self._wanted:
            self._seen[step] = k.copy()

    @property
    def steps(self) -> np.ndarray:
        """(n,): after how many steps each was taken."""
        return np.array(sorted(self._seen), int)

    def kernels(self, size: tuple[int, int]) -> np.ndarray:
        """(n, h, w), without the bias."""
        taps = size[0] * size[1]
        found = [self._seen[step][:taps].reshape(size) for step in sorted(self._seen)]
        return np.array(found).reshape(-1, *size)


def descend(bowl: Bowl, rate: float, steps: int, film: Film, done: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The kernel after ``steps`` steps, or after the last one that did not overflow; and the height before each.

    ``done``: steps that were taken before these."""
    k, heights = bowl.start, np.empty(steps)
    film.see(done, k)
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(steps):
            following = k - rate * bowl.gradient(k)
            heights[step] = bowl.height(k)
            if not math.isfinite(bowl.height(following)):
                return k, heights[: step + 1]
            k = following
            film.see(done + step + 1, k)
    return k, heights
