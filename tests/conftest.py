"""What all tests share: fixed seeds, and a place where a test can report a figure it measured."""

import random
import signal
import threading
import zlib
from collections.abc import Callable

import hypothesis
import numpy as np
import pytest

hypothesis.settings.register_profile("kernelwise", derandomize=True, deadline=None, max_examples=50)
hypothesis.settings.load_profile("kernelwise")

# A shell without job control starts what runs in its background with Ctrl-C ignored, and children inherit that: the
# programs that the tests interrupt would never notice.
if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _global_seeds() -> None:
    """Code that draws from the global generators draws the same in every run and in any order of the tests."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  the global generator is the one to be fixed here


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> np.random.Generator:
    """A generator of the test's own, seeded by its name: other numbers in each test, the same in every run."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.encode()))


@pytest.fixture
def report_figure(record_property: Callable[[str, object], None]) -> Callable[[str, str], None]:
    """`report_figure("import time", "21 ms")` prints the line at the end of the run, passed or failed."""

    def report(what: str, figure: str) -> None:
        record_property("figure", f"{what}: {figure}")

    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, [])]
    figures = [value for report in reports for name, value in report.user_properties if name == "figure"]
    if figures:
        terminalreporter.section("figures measured", sep="-")
        for figure in figures:
            terminalreporter.line(figure)
