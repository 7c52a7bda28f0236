"""A door to programs written for MXNet 1.9.1: ``import kernelwise.mxnet as mx``. On PyTorch's tensors and our layers."""

from __future__ import annotations

from . import autograd, base, context, ndarray
from . import ndarray as nd
from .context import Context, cpu, cpu_pinned, current_context, gpu, num_gpus

__version__ = "1.9.1"
