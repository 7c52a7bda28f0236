"""Transforms touch nothing but what they were given: they run between pages that nobody may touch.

See support/guarded_tiles.py, and test_guard_pages.py for all other routines.
"""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kernelwise.jit.target import available

pytestmark = pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="needs mprotect")

STEP = 8
FOLDER = Path(__file__).parent


def run(first: int, step: int, how: str) -> tuple[int, str, str]:
    """(exit status, last line, complaints) of a process that runs every ``step``-th guard."""
    command = [sys.executable, "-m", "support.guarded_tiles", str(first), str(step), how]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=900)
    return done.returncode, done.stdout.strip().rpartition("\n")[2], done.stderr


def assert_clean(first: int, step: int) -> int:
    """Returns how many shapes were run."""
    status, last, complaints = run(first, step, "plain")
    assert status >= 0, f"died of {signal.Signals(-status).name} in: {last}"
    assert status == 0, f"in {last}:\n{complaints}"
    return int(last.removeprefix("done "))


@pytest.mark.parametrize("part", [1, 2])
def test_no_transform_leaves_its_arrays(part: int, report_figure: Callable[[str, str], None]) -> None:
    """A quarter of them all, in which every form and every dtype meets every target; on either side of every array."""
    done = assert_clean(part, STEP)
    assert done > 33 * len(available())
    report_figure(f"transforms between forbidden pages, part {part}", f"{done} calls")


@pytest.mark.long
@pytest.mark.parametrize("part", range(STEP))
def test_no_transform_of_all_leaves_its_arrays(part: int) -> None:
    assert assert_clean(part, STEP) > 100


@pytest.mark.parametrize("fault", ["over", "under"])
def test_one_vector_too_far_is_caught(fault: str) -> None:
    """The watchdog is tested too: where too much of the image is read, or of the result written, the process dies, or
    says that bytes beside the result are not as they were."""
    status, last, complaints = run(0, 9, fault)
    assert status in (-signal.SIGSEGV, -signal.SIGBUS) or "were written to" in complaints
    assert "weights into" in last
