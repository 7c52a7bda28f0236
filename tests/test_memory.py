"""A call takes its result, 64 MiB and sixteen times its kernel, and no more: no padded copy, no im2col, no whole copy
of an image that lies in memory in an awkward way.

The calls are made in processes of their own; see support/memory_use.py.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import kernelwise as kw
from support import memory_use

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
FOLDER = Path(__file__).parent


GROUPS = 8


@pytest.mark.parametrize("group", range(GROUPS))
def test_a_call_takes_little_beside_its_result(group: int, report_figure: Callable[[str, str], None]) -> None:
    command = [sys.executable, "-m", "support.memory_use", *list(memory_use.CALLS)[group::GROUPS]]
    printed = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=True, timeout=200).stdout
    for line in printed.splitlines():
        name, *numbers = line.split("\t")
        allowed, taken = (int(number) / memory_use.MB for number in numbers)
        if allowed - taken < 16:
            report_figure(f"memory, {name}", f"{taken:.0f} of {allowed:.0f} MiB")
        assert taken <= allowed, f"{name}: {taken:.0f} of {allowed:.0f} MiB"


def test_a_whole_copy_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scales are tested too: a call that copies its image first takes too much."""
    right = kw.correlate
    monkeypatch.setattr(kw, "correlate", lambda x, k, **options: right(np.array(x), k, **options))
    allowed, taken = memory_use.measure("fortran")
    assert taken > allowed


def test_thousands_of_different_calls_leave_nothing_behind() -> None:
    """Plans, routines and launches are kept, but not without end."""
    x = np.zeros((40, 41), np.float32)

    def many(first: int) -> None:
        for number in range(first, first + 1500):
            kw.correlate(x[: 2 + number % 37, : 2 + number // 37 % 39], [[1.0, number % 5, 2.0]], border="edge")

    many(0)
    before, start = memory_use.resident(), time.perf_counter()
    many(1500)
    many(3000)
    assert memory_use.resident() - before < 60 * memory_use.MB
    assert time.perf_counter() - start < 60


def test_hundreds_of_large_kernels_leave_little_behind() -> None:
    """What calls hold ready is bounded in bytes: spectra and tables of large kernels are given up, and made again."""
    rng, x = np.random.default_rng(3), np.ones((600, 700))
    kernels = rng.random((150, 99, 99))
    first = kw.correlate(x, kernels[0])
    before = memory_use.resident()
    for k in kernels:
        kw.correlate(x, k)
    assert memory_use.resident() - before < 100 * memory_use.MB
    assert np.array_equal(kw.correlate(x, kernels[0]), first)
