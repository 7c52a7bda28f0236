"""What all examples share: options, the loop over epochs and batches, a progress bar, Ctrl-C, and the loss curve.

A training can be stopped and resumed at any batch, and ends with the numbers of one that was never stopped.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType, ModuleType, TracebackType
from typing import Any, Protocol

import torch
from checkpoints import CheckpointError, Progress, Settings, read, restore, write
from curve import draw
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from torch import Tensor, nn

import kernelwise.torch as kt

LAYERS: dict[str, ModuleType] = {"kernelwise": kt, "torch": nn}
SIGNALLED = 128  # and the signal's number is the exit code, as shells have it
RATE, SEED = 2e-3, 0
DECAY = 0.85  # what the rate is multiplied by after each epoch


class Task(Protocol):
    """What is to be learned, and from what."""

    NAME: str
    FIGURE: str  # what `judge` returns, in words
    EPOCHS: int  # unless options say otherwise
    BATCH: int  # likewise: examples in a step
    examples: int  # to be trained on

    def network(self, layers: ModuleType) -> nn.Module:
        """Its convolutions from `layers`: kernelwise.torch or torch.nn. Random numbers are torch's."""

    def loss(self, network: nn.Module, which: Tensor) -> Tensor:
        """The mean loss of some of the examples, whose indices are (n,) int64. Random numbers are torch's."""

    def judge(self, network: nn.Module) -> float:
        """How good the network is on what it is not trained on. Draws no random numbers of torch's."""

    def show(self, network: nn.Module, folder: Path) -> None:
        """Write what the trained network does into the folder."""


class Stop:
    """Inside, the first Ctrl-C (or SIGTERM) is noted in `asked`, for the loop to stop at; a second one is as ever."""

    def __init__(self) -> None:
        self.asked = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        self._before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = number
        signal.signal(signal.SIGINT, signal.default_int_handler)


class Training:
    """A network, its optimiser, how far they are, and the folder that this is kept in."""

    def __init__(self, task: Task, settings: Settings, folder: Path) -> None:
        torch.manual_seed(settings["seed"])
        self.task, self.folder = task, folder
        self.network = task.network(LAYERS[settings["layers"]])
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=settings["rate"])
        self.progress = Progress(settings)

    @property
    def checkpoint(self) -> Path:
        """The file that a training is resumed from."""
        return self.folder / "checkpoint.safetensors"

    def resume(self) -> None:
        """Go on where the checkpoint stands. Raises CheckpointError."""
        progress, tensors, groups = read(self.checkpoint)
        for name, value in self.progress.settings.items():
            before = progress.settings.get(name)
            if before != value:
                raise CheckpointError(f"{self.checkpoint}: `{name}` was {before!r} there (got {value!r})")
        restore(tensors, groups, self.network, self.optimizer)
        self.progress = progress

    def keep(self) -> None:
        """Write the checkpoint."""
        write(self.checkpoint, self.progress, self.network, self.optimizer)

    def run(self, epochs: int, console: Console) -> int:
        """Train until so many epochs are over. Returns 0, or the number of the signal that it was stopped by."""
        batches = -(-self.task.examples // self.progress.settings["batch"])
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
        with Stop() as stop, Bars(*columns, TextColumn("loss {task.fields[loss]:.4f}"), console=console) as bars:
            bar = bars.add_task(
                self.task.NAME,
                total=epochs * batches,
                completed=self.progress.epoch * batches + self.progress.batch,
                loss=self.progress.losses[-1] if self.progress.losses else float("nan"),
            )
            while self.progress.epoch < epochs:
                if not self._epoch(batches, stop, bars, bar):
                    self.keep()
                    return stop.asked
                self._judge(bars.console)
                self.keep()
        return 0

    def _epoch(self, batches: int, stop: Stop, bars: Bars, bar: TaskID) -> bool:
        """The batches that are left of an epoch; False where it was stopped before its end."""
        now, size = self.progress, self.progress.settings["batch"]
        self.network.train()
        self.optimizer.param_groups[0]["lr"] = self.progress.settings["rate"] * DECAY**now.epoch
        if now.order is None:
            now.order = torch.randperm(self.task.examples)
        while now.batch < batches:
            which = now.order[now.batch * size : (now.batch + 1) * size]
            self.optimizer.zero_grad()
            loss = self.task.loss(self.network, which)
            loss.backward()
            self.optimizer.step()
            now.batch += 1
            now.total += loss.item() * len(which)
            bars.update(bar, advance=1, loss=loss.item())
            if stop.asked and now.batch < batches:
                return False
        return True

    def _judge(self, console: Console) -> None:
        """End an epoch."""
        now = self.progress
        self.network.eval()
        with torch.no_grad():
            now.figures.append(self.task.judge(self.network))
        now.losses.append(now.total / self.task.examples)
        now.epoch, now.batch, now.order, now.total = now.epoch + 1, 0, None, 0.0
        draw(self.folder / "loss.png", now.losses, now.figures, self.task.FIGURE)
        console.print(
            f"epoch {now.epoch}: loss {now.losses[-1]:.4f}, {self.task.FIGURE} {now.figures[-1]:.2f}", highlight=False
        )


def options(task: Task, arguments: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=type(task).__doc__)
    add = parser.add_argument
    add("--epochs", type=_whole, default=task.EPOCHS, help="in all, resumed ones included (default: %(default)s)")
    add("--batch", type=_whole, default=task.BATCH, help="examples in a step (default: %(default)s)")
    add("--rate", type=float, default=RATE, help="of learning, in the first epoch (default: %(default)s)")
    add("--seed", type=int, default=SEED, help="of all random numbers (default: %(default)s)")
    add("--examples", type=_whole, help="train on so many only")
    add("--layers", choices=LAYERS, default="kernelwise", help="whose convolutions (default: %(default)s)")
    add("--threads", type=_whole, help="that torch and kernelwise use (default: torch's own choice)")
    add("--folder", type=Path, default=Path("runs", task.NAME), help="for what is written (default: %(default)s)")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--resume", action="store_true", help="go on where the checkpoint in the folder stands")
    how.add_argument("--restart", action="store_true", help="begin anew, whatever there is in the folder")
    return parser.parse_args(arguments)


def _whole(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1 (got {value})")
    return value


def main(task: Task, arguments: list[str] | None = None) -> int:
    """Run an example from the command line. Returns the exit code."""
    given = options(task, arguments)
    if given.threads:
        torch.set_num_threads(given.threads)
    task.examples = min(task.examples, given.examples or task.examples)
    settings = {name: getattr(given, name) for name in ("batch", "rate", "seed", "layers")}
    console = Console()
    given.folder.mkdir(parents=True, exist_ok=True)
    training = Training(task, settings | {"task": task.NAME, "examples": task.examples}, given.folder)
    try:
        if given.resume:
            training.resume()
        elif training.checkpoint.exists() and not given.restart:
            raise CheckpointError(f"{training.checkpoint} is there already: --resume goes on from it, --restart anew")
        signalled = training.run(given.epochs, console)
    except CheckpointError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped at once: the checkpoint is as it was before", file=sys.stderr)
        return SIGNALLED + signal.SIGINT
    if signalled:
        done = training.progress
        print(f"stopped in epoch {done.epoch + 1} after batch {done.batch}: go on with --resume", file=sys.stderr)
        return SIGNALLED + signalled
    training.network.eval()
    with torch.no_grad():
        task.show(training.network, given.folder)
    console.print(f"in {given.folder}: " + ", ".join(sorted(file.name for file in given.folder.iterdir())))
    return 0
