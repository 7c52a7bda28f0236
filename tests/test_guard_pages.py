"""Generated code touches nothing but what it was given: it runs between pages that nobody may touch.

Image (sealed against writing), result, scratch memory, tables and arguments lie flush against a forbidden page, once
with their end and once with their start; see support/guarded.py. Each part runs in a process of its own, so that a
segmentation fault is a failed test which names the routine.
"""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="needs mprotect")

PARTS = 4
FOLDER = Path(__file__).parent


def run(first: int, step: int, which: str, how: str) -> tuple[int, str, str]:
    """(exit status, last line, complaints) of a process that runs every ``step``-th routine."""
    command = [sys.executable, "-m", "support.guarded", str(first), str(step), which, how]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=3000)
    return done.returncode, done.stdout.strip().rpartition("\n")[2], done.stderr


def assert_clean(first: int, step: int, which: str, how: str) -> int:
    """Returns how many shapes were run."""
    status, last, complaints = run(first, step, which, how)
    assert status >= 0, f"died of {signal.Signals(-status).name} in: {last}"
    assert status == 0, f"in {last}:\n{complaints}"
    return int(last.removeprefix("done "))


@pytest.mark.parametrize("part", range(PARTS))
def test_no_routine_leaves_its_arrays(part: int, report_figure: Callable[[str, str], None]) -> None:
    """Every form and pair of dtypes on the best target, and in turns on the rest; into every other dtype once."""
    done = assert_clean(part, PARTS, "some", "plain")
    assert done > 600
    report_figure(f"between forbidden pages, part {part + 1} of {PARTS}", f"{done} calls")


def test_no_routine_leaves_its_arrays_when_it_writes_past_the_caches(report_figure: Callable[[str, str], None]) -> None:
    done = assert_clean(1, 17, "some", "stream")
    assert done > 120
    report_figure("between forbidden pages, past the caches", f"{done} calls")


@pytest.mark.parametrize("fault", ["over", "under"])
def test_one_pixel_too_far_is_caught(fault: str) -> None:
    """The watchdog is tested too: with an interior one column too wide the process dies, and says where."""
    status, last, _ = run(0, 61, "some", fault)
    assert status == -signal.SIGSEGV or status == -signal.SIGBUS
    assert "weights into" in last


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("part", range(8))
@pytest.mark.parametrize("how", ["plain", "stream"])
def test_no_routine_of_all_leaves_its_arrays(how: str, part: int, report_figure: Callable[[str, str], None]) -> None:
    """Every form, pair of dtypes, result and target over many shapes; a tenth of them past the caches."""
    step = 8 if how == "plain" else 80
    done = assert_clean(part, step, "every", how)
    report_figure(f"between forbidden pages, {how}, part {part + 1} of 8", f"{done} calls")
