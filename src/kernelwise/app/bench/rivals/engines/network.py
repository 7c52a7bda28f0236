"""A whole network as all engines are given it: steps whose weights hold their batch norms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

KINDS = ("convolution", "addition", "maximum", "mean", "linear")


@dataclass(frozen=True)
class Step:
    """One of KINDS, on the results of other steps, whose names are ``inputs``; then, if asked for, ReLU.

    convolution: weight (o, c / groups, k, k) and bias (o,); maximum: over windows of ``taps``; mean: over all pixels;
    linear: weight (o, c) and bias (o,), on the means. Strides and padding are equal in both axes.
    """

    kind: str
    name: str  # of the result
    inputs: tuple[str, ...]
    weight: np.ndarray | None = None
    bias: np.ndarray | None = None
    taps: int = 1
    stride: int = 1
    padding: int = 0
    groups: int = 1
    relu: bool = False


@dataclass(frozen=True)
class Network:
    """Steps in their order, from the value "in" to the result of the last, and the images they are timed on."""

    steps: tuple[Step, ...]
    x: np.ndarray  # (n, c, h, w) float32
    model: Any = field(repr=False)  # the same as a torch.nn.Module in eval mode, with its batch norms

    @property
    def outputs(self) -> int:
        """Numbers of each image's result."""
        weight = self.steps[-1].weight
        assert weight is not None
        return len(weight)
