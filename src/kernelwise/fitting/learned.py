"""What learning a kernel gives back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class LearnedKernel:
    """A kernel learned by gradient descent, with its history. ``print(learned.summary())`` to read it."""

    kernel: np.ndarray  # (h, w) float64
    bias: float | None  # None if there was none to learn
    losses: np.ndarray  # (steps,) the loss with which each step began, so before its update
    loss: float  # of the kernel returned
    learning_rate: float
    condition: float  # largest over smallest eigenvalue of the Gram matrix; infinite if taps cannot be told apart
    remaining: float  # (loss - best) / (first loss - best), where best is the least loss there is: 1 at the start
    frames: np.ndarray  # (n, h, w): the kernel after as many steps as ``frame_steps`` says, to be shown one by one
    frame_steps: np.ndarray  # (n,)
    notes: tuple[str, ...]  # what one should know about this result, in sentences

    def summary(self) -> str:
        """A few lines for people."""
        rows, columns = self.kernel.shape
        first = self.losses[0] if self.losses.size else self.loss
        lines = [
            ("kernel", f"{rows} x {columns}" + ("" if self.bias is None else f", bias {self.bias:.6g}")),
            ("steps", f"{self.losses.size} at the learning rate {self.learning_rate:.6g}"),
            ("loss", f"{first:.6g} -> {self.loss:.6g}; of what can be gained, {self.remaining:.3g} remains"),
            ("condition", f"{self.condition:.3g}"),
            *(("note", note) for note in self.notes),
        ]
        return "\n".join(f"{name:<11}{text}" for name, text in lines)
