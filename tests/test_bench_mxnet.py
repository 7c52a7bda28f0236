"""The benchmark's row beside MXNet: two processes train by turns, and must come to the same losses."""

import sys

import pytest

pytest.importorskip("torch")

from kernelwise.app.bench import command, mxnet_training, report
from kernelwise.app.bench.agree import Disagreement
from kernelwise.app.bench.timing import Pace

TINY = Pace(least=2, most=2, budget=0.0)


@pytest.fixture(autouse=True)
def itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """This interpreter in the place of MXNet's, and the door in MXNet's own."""
    monkeypatch.setenv(mxnet_training.VARIABLE, sys.executable)
    monkeypatch.setattr(mxnet_training, "RIVAL", "kernelwise.mxnet")


def test_two_processes_that_train_alike_are_timed() -> None:
    [result] = mxnet_training.measure([2], TINY, images=32, batch=16)
    assert (result.status, result.why, result.rounds) == ("ok", "", 2)
    assert result.section in report.SECTIONS and result.section in command.GROUPS
    assert all(seconds > 0 for times in result.seconds.values() for seconds in times)


def test_a_process_that_ends_fails_the_row_and_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mxnet_training, "RIVAL", "no_such_module")
    [result] = mxnet_training.measure([2], TINY, images=32, batch=16)
    assert result.status == "fail" and "no_such_module" in result.why


@pytest.mark.parametrize("other", [[2.5, 1.85], [2.5, float("nan")]])
def test_losses_that_differ_fail_the_row(other: list[float]) -> None:
    mxnet_training.agree([2.5, 1.8], [2.5, 1.8 * (1 + 1e-6)])
    with pytest.raises(Disagreement, match="losses"):
        mxnet_training.agree([2.5, 1.8], other)


@pytest.mark.parametrize("python", ["", "/no/such/python"])
def test_without_an_interpreter_the_row_is_left_out_with_a_word(
    python: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(mxnet_training.VARIABLE, python)
    assert command.main(["--only", "mxnet"]) == 2
    assert f"is left out: {mxnet_training.VARIABLE}" in capsys.readouterr().err
