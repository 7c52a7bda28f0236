"""Step 2, the layer: a kernel and a bias for each output channel, and the gradients to train them by."""

from __future__ import annotations

from .conv2d import Conv2D, Gradients

__all__ = ["Conv2D", "Gradients"]
