"""The loss curve as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kernelwise.atomic import replacing

LOSS, FIGURE = "#2f6690", "#c4662d"


def draw(path: Path, losses: Sequence[float], figures: Sequence[float], name: str) -> None:
    """A PNG of the loss of each epoch (left, logarithmic) and of a figure called `name` after it (right)."""
    picture = Figure(figsize=(7, 4), layout="constrained")
    left = picture.subplots()
    right = left.twinx()
    epochs = range(1, len(losses) + 1)
    left.semilogy(epochs, losses, color=LOSS, marker="o", markersize=3)
    right.plot(epochs, figures, color=FIGURE, marker="s", markersize=3)
    left.set_xlabel("epoch")
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    left.set_ylabel("loss", color=LOSS)
    right.set_ylabel(name, color=FIGURE)
    with replacing(path) as stream:
        picture.savefig(stream, format="png", dpi=120)
