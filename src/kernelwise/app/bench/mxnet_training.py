"""An epoch of LeNet by MXNet's names: `kernelwise.mxnet` beside MXNet 1.9.1 itself.

MXNet needs a Python of its own (3.10 at most, with numpy < 1.24): the row is there where the environment variable
KERNELWISE_MXNET_PYTHON names such an interpreter, and is left out, with a word, where it does not. Each of the two
trains in a process of its own (lenet_epoch.py), with as many OpenMP threads, and they take turns, epoch by epoch. They
begin with the same weights, and their losses must agree. On one thread the processor time counts, otherwise the time.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import kernelwise

from . import ours, rivals
from .agree import Disagreement
from .measure import Result
from .timing import Block, Entry, Pace, interleave

SECTION = "mxnet"
VARIABLE = "KERNELWISE_MXNET_PYTHON"
IMAGES, BATCH = 2560, 256
NAME = f"{SECTION} {IMAGES}x1x28x28 f32->f32 LeNet, an epoch"
SCRIPT = Path(__file__).with_name("lenet_epoch.py")
RIVAL = "mxnet"
NEAR = 1e-4  # of the loss, which may differ by the last digits of its sums


def missing() -> str:
    """Why the row is left out; nothing if it is not."""
    if not rivals.is_installed("torch"):
        return "LeNet beside MXNet is left out: PyTorch is not installed"
    python = os.environ.get(VARIABLE)
    if not python:
        return f"LeNet beside MXNet is left out: {VARIABLE} names no interpreter that has MXNet 1.9.1"
    if shutil.which(python) is None:
        return f"LeNet beside MXNet is left out: {VARIABLE}={python} is no interpreter"
    return ""


class Trainer:
    """A process that trains an epoch when it is told to."""

    def __init__(self, python: str, module: str, threads: int, images: int = IMAGES, batch: int = BATCH) -> None:
        source = str(Path(kernelwise.__file__).resolve().parents[1])
        path = [source, os.environ.get("PYTHONPATH", "")] if module.startswith("kernelwise") else []
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        environment |= {"OMP_NUM_THREADS": str(threads), "KERNELWISE_THREADS": str(threads)}
        if path:
            environment["PYTHONPATH"] = os.pathsep.join(part for part in path if part)
        self._process = subprocess.Popen(
            [python, str(SCRIPT), module, str(images), str(batch)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        self.clock = "work" if threads == 1 else "seconds"
        self.losses: list[float] = []

    def __enter__(self) -> Trainer:
        try:
            self._answer()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None) -> None:
        self._end()

    def _end(self) -> None:
        self._process.kill()
        self._process.communicate()

    def epoch(self, least: float = 0.0, last: float | None = None) -> float:
        """Trains an epoch; its seconds. (One is a turn, whatever ``least`` says.)"""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._answer()[self.clock])

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None and self._process.stderr is not None
        line = self._process.stdout.readline()
        if not line:
            said = self._process.stderr.read().strip().splitlines()
            raise RuntimeError(said[-1] if said else f"exit code {self._process.wait()}")
        found: dict[str, Any] = json.loads(line)
        self.losses.append(found["loss"])
        return found


def measure(threads: Sequence[int], pace: Pace, images: int = IMAGES, batch: int = BATCH) -> list[Result]:
    """A Result for every number of threads; failed where the losses do not agree, or a process ends."""
    results = []
    for count in threads:
        result = Result(NAME, f"{images}x1x28x28", "f32->f32", "LeNet, an epoch", count, SECTION)
        try:
            _measure(result, pace, images, batch)
        except Exception as error:  # whatever it is: the row fails and says so, the other rows go on
            result.status, result.why = "fail", f"{type(error).__name__}: {error}".splitlines()[0]
        results.append(result)
    return results


def _measure(result: Result, pace: Pace, images: int, batch: int) -> None:
    python = os.environ[VARIABLE]
    with (
        Trainer(sys.executable, "kernelwise.mxnet", result.threads, images, batch) as mine,
        Trainer(python, RIVAL, result.threads, images, batch) as theirs,
    ):
        turns: dict[str, Block] = {ours.NAME: mine.epoch, RIVAL: theirs.epoch}
        entries = [Entry(name, block) for name, block in turns.items()]
        rounds = interleave([(result.threads, entries)], pace, lambda _: None)
        agree(mine.losses, theirs.losses)
        result.settle(entries, rounds)


def agree(losses: Sequence[float], others: Sequence[float]) -> None:
    """Raises Disagreement unless the losses are MXNet's, epoch by epoch."""
    for one, other in zip(losses, others, strict=True):
        if not abs(one - other) <= NEAR * abs(other):
            raise Disagreement(f"losses {losses} and MXNet's {others} differ")
