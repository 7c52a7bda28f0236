"""The trainings in examples/: the loss falls, and one that was stopped ends like one that was not."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
import torch
from safetensors import safe_open

import kernelwise

FOLDER = Path(__file__).parents[1] / "examples"
SMALL = ["--threads", "1", "--batch", "16"]
FEW = {"digits": "64", "photographs": "256"}  # examples to train on

Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`run("digits", folder, "--epochs", "2")` trains as the command does and returns its exit code."""
    monkeypatch.syspath_prepend(FOLDER)
    threads = torch.get_num_threads()

    def main(name: str, folder: Path, *options: str) -> int:
        import digits
        import photographs
        import training

        task = {"digits": digits.Digits, "photographs": photographs.Photographs}[name]()
        if name == "photographs":  # a photograph as small as the digits' network is
            task.truth, task.noisy = task.truth[:, :, :64, -64:], task.noisy[:, :, :64, -64:]
        return training.main(task, [*SMALL, "--examples", FEW[name], "--folder", str(folder), *options])

    yield main
    torch.set_num_threads(threads)


def content(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors of a checkpoint, and what else it says."""
    with safe_open(folder / "checkpoint.safetensors", "pt") as file:
        facts = json.loads(file.metadata()["kernelwise training"])
        return {name: file.get_tensor(name) for name in file.keys()}, facts


def assert_same(one: Path, other: Path) -> None:
    (tensors, facts), (others, other_facts) = content(one), content(other)
    assert facts == other_facts
    assert tensors.keys() == others.keys()
    for name, tensor in tensors.items():
        assert torch.equal(tensor, others[name]), name


@pytest.mark.parametrize("name", ["digits", "photographs"])
def test_the_loss_falls_and_resuming_ends_with_the_numbers_of_a_training_that_never_stopped(
    name: str, run: Run, tmp_path: Path
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert run(name, whole, "--epochs", "4") == 0
    losses = content(whole)[1]["progress"]["losses"]
    assert len(losses) == 4
    assert losses[-1] < 0.8 * losses[0]
    assert run(name, parts, "--epochs", "1") == 0
    assert run(name, parts, "--epochs", "4", "--resume") == 0
    assert_same(whole, parts)
    assert (whole / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert (whole / "denoised.png").exists() is (name == "photographs")
    assert not list(whole.glob(".*"))


def interrupt(times: int, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C comes so many times while a batch, counted from 1, is worked on."""
    import digits

    calls = 0
    loss = digits.Digits.loss

    def interrupted(task: Any, network: torch.nn.Module, which: torch.Tensor) -> torch.Tensor:
        nonlocal calls
        calls += 1
        if calls == batch:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
        return loss(task, network, which)

    monkeypatch.setattr(digits.Digits, "loss", interrupted)


def test_ctrl_c_stops_after_the_batch_and_the_training_goes_on_at_the_next_one(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert run("digits", whole, "--epochs", "2") == 0
    handler = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        interrupt(1, 7, patch)
        assert run("digits", parts, "--epochs", "2") == 128 + signal.SIGINT
    assert "stopped in epoch 2 after batch 3" in capsys.readouterr().err
    progress = content(parts)[1]["progress"]
    assert (progress["epoch"], progress["batch"]) == (1, 3)
    assert signal.getsignal(signal.SIGINT) is handler
    assert run("digits", parts, "--epochs", "2", "--resume") == 0
    assert_same(whole, parts)


def test_a_second_ctrl_c_stops_at_once_and_leaves_the_checkpoint_before(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupt(2, 7, monkeypatch)
    assert run("digits", tmp_path, "--epochs", "2") == 128 + signal.SIGINT
    assert "as it was before" in capsys.readouterr().err
    progress = content(tmp_path)[1]["progress"]
    assert (progress["epoch"], progress["batch"]) == (1, 0)


def test_a_checkpoint_is_not_written_over_unasked_nor_resumed_with_other_settings(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("digits", tmp_path, "--resume") == 1
    assert "no checkpoint can be read" in capsys.readouterr().err
    assert run("digits", tmp_path, "--epochs", "1") == 0
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    assert run("digits", tmp_path, "--epochs", "1") == 1
    assert "is there already" in capsys.readouterr().err
    assert run("digits", tmp_path, "--epochs", "2", "--resume", "--seed", "1") == 1
    assert "`seed` was 0 there (got 1)" in capsys.readouterr().err
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
    assert run("digits", tmp_path, "--epochs", "1", "--restart") == 0
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
    (tmp_path / "checkpoint.safetensors").write_bytes(before[:-100])
    assert run("digits", tmp_path, "--resume") == 1
    assert "no checkpoint can be read" in capsys.readouterr().err


def test_the_script_answers_ctrl_c(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "digits.py"), *SMALL, "--epochs", "100000", "--examples", "64"]
    source = str(Path(kernelwise.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([source, os.environ.get("PYTHONPATH", "")])}
    process = subprocess.Popen(
        [*command, "--folder", str(tmp_path)], env=environment, stderr=subprocess.PIPE, text=True
    )
    try:
        end = time.monotonic() + 120
        while not (tmp_path / "checkpoint.safetensors").exists():
            assert process.poll() is None and time.monotonic() < end, "it did not come to the end of an epoch"
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 128 + signal.SIGINT, said
    assert "go on with --resume" in said
    assert content(tmp_path)[1]["progress"]["epoch"] >= 1
