"""The routines on edge maps read and write nothing but their arrays, between pages that nobody may touch."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernelwise.edges import chains, link, matching
from kernelwise.edges.words import words
from kernelwise.jit.target import available
from support.fences import Fenced

ROOMS: dict[str, Fenced] = {}


class Moved:
    """Puts the arrays of a routine between forbidden pages while it runs, and brings back what it wrote."""

    def __init__(self, at_end: bool) -> None:
        self.at_end = at_end
        self.moved: list[tuple[NDArray, NDArray, Fenced]] = []
        self.runs = 0

    def words(self, fields: Sequence[str], arrays: Mapping[str, NDArray], numbers: Mapping[str, int]) -> NDArray:
        there, self.moved = {}, []
        for name, array in arrays.items():
            room = ROOMS.setdefault(name, Fenced(1 << 17))
            place = room.place(array.nbytes, self.at_end)
            there[name] = place.view(array.dtype).reshape(array.shape)
            there[name][...] = array
            self.moved.append((array, there[name], room))
        return words(fields, there, numbers)

    def run(self, *given: Any) -> None:
        real_run(*given)
        self.runs += 1
        for array, there, room in self.moved:
            assert room.untouched(there.reshape(-1).view(np.uint8)), "bytes beside an array were written to"
            if array.flags.writeable:
                array[...] = there


real_run = matching.pool.run


def try_out(at_end: bool) -> int:
    rng, moved = np.random.default_rng(7), Moved(at_end)
    for module in (matching, chains):
        module.words = moved.words  # type: ignore[attr-defined]
    matching.pool.run = moved.run  # type: ignore[assignment]
    for _ in range(120):
        shape = tuple(rng.integers(1, 50, 2))
        true, found = (rng.random(shape) < rng.choice([0.02, 0.2, 0.7, 1.0]) for _ in range(2))
        true[tuple(rng.integers(0, shape))] = True
        matching.squared_distances(true, found, threads=2)
        matching.match(rng.permutation(np.flatnonzero(found)), true, float(rng.choice([0, 1, 3, 60])))
        assert sum(len(chain.pixels) for chain in link(true)) == true.sum()
    return moved.runs


@pytest.mark.skipif(sys.platform == "win32", reason="pages are forbidden through POSIX calls")
@pytest.mark.parametrize("target", available())
@pytest.mark.parametrize("side", ["end", "start"])
def test_nothing_outside_the_arrays_is_touched(target: str, side: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process of its own, which would die."""
    monkeypatch.setenv("KERNELWISE_TARGET", target)
    command = [sys.executable, "-c", f"import test_edges_guard_pages as t; print('runs', t.try_out({side == 'end'}))"]
    child = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, timeout=120)
    assert child.returncode == 0, child.stderr[-2000:]
    assert int(child.stdout.split()[-1]) > 500
