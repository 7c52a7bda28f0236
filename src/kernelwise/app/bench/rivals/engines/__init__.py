"""Engines that run convolution layers, one file each. Nothing is imported before it is asked for.

A file says ``NAME``, the ``MODULE`` that must be installed and its ``DISTRIBUTION``, the ``ERROR`` that its results may
have in units of the largest output, and ``calls(layer, threads)``: ways to run the layer, made ready before timing.
"""

from __future__ import annotations

from . import litert, mnn, ncnn, onnxruntime, openvino, torch
from .layer import Call, Layer

ENGINES = (torch, onnxruntime, openvino, litert, ncnn, mnn)

__all__ = ["ENGINES", "Call", "Layer"]
