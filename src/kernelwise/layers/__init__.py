"""Step 2, the layer: a kernel and a bias for each output channel, and the gradients to train them by."""

from __future__ import annotations

from .convolution import PreparedConv
from .functions import conv, conv_bias_gradient, conv_input_gradient, conv_transpose, conv_weight_gradient
from .modules import Conv1D, Conv2D, Conv3D, Gradients

__all__ = [
    "Conv1D",
    "Conv2D",
    "Conv3D",
    "Gradients",
    "PreparedConv",
    "conv",
    "conv_bias_gradient",
    "conv_input_gradient",
    "conv_transpose",
    "conv_weight_gradient",
]
