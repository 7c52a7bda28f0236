"""Jobs of the pool that show what was done, and programs that do them in a process of their own."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kernelwise.jit import pool

from .routines import ADDRESS

LINUX = sys.platform == "linux"


def counted(units: int, threads: int, turns: int = 0) -> np.ndarray:
    """How often each unit was run; two more places at the end that nobody may touch."""
    counts = np.zeros(units + 2, np.int64)
    args = np.array([counts.ctypes.data, turns], np.int64)
    pool.run(ADDRESS["count"], args.ctypes.data, 0, units, threads)
    return counts


def assert_once(counts: np.ndarray) -> None:
    assert (counts[:-2] == 1).all()
    assert (counts[-2:] == 0).all()


def program(body: str, timeout: float = 60, **environment: str) -> str:
    """What a fresh Python prints when it runs the body after the imports; it must end well and without complaint."""
    head = "from support.jobs import *\nfrom support.routines import *\n"
    child = subprocess.run(
        [sys.executable, "-c", head + textwrap.dedent(body)],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=Path(__file__).parents[1],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))} | environment,
    )
    assert not child.stderr, child.stderr
    assert child.returncode == 0
    return child.stdout.strip()


def tasks() -> dict[int, dict[str, str]]:
    """The kernel's status of every thread of this process."""
    found = {}
    for folder in Path("/proc/self/task").iterdir():
        lines = (line.partition(":") for line in (folder / "status").read_text().splitlines())
        found[int(folder.name)] = {name: value.strip() for name, _, value in lines}
    return found


def new_tasks(act: Callable[[], object]) -> dict[int, dict[str, str]]:
    """The threads that it starts, as they are when they have settled."""
    before = tasks()
    act()
    time.sleep(0.05)
    return {number: status for number, status in tasks().items() if number not in before}


def resident() -> int:
    """Bytes of memory that this process has in use (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def seconds_to_answer_ctrl_c(call: Callable[[], object], counts: np.ndarray, attempts: int = 3) -> float:
    """Interrupt a long call that counts its units; the shortest time. Once it is left, nobody may go on counting."""
    times = []
    for _ in range(attempts):
        counts[:] = 0
        sent: list[float] = []
        thread = threading.Thread(target=_interrupt_soon, args=(sent,))
        thread.start()
        try:
            call()
        except KeyboardInterrupt:
            times.append(time.perf_counter() - sent[0])
        thread.join()
        before = counts.copy()
        time.sleep(0.02)
        assert (counts == before).all(), "somebody still works"
        assert 0 < counts.sum() < counts.size, counts.sum()
        assert counts.max() == 1
    assert len(times) == attempts
    return min(times)


def _interrupt_soon(sent: list[float]) -> None:
    time.sleep(0.15)
    sent.append(time.perf_counter())
    os.kill(os.getpid(), signal.SIGINT)


def in_children(act: Callable[[], object], times: int = 20) -> None:
    """Do it in that many forked children, one after the other; each must be through within 5 seconds."""
    for _ in range(times):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                act()
                status = 7
            finally:
                os._exit(status)
        start = time.monotonic()
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            if time.monotonic() - start > 5:
                os.kill(child, signal.SIGKILL)
            time.sleep(0.002)
        assert os.waitstatus_to_exitcode(ended[1]) == 7
