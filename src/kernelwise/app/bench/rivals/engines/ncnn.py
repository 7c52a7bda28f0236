"""ncnn: its own text format and a file of weights, all halves off. It has no axis of images: one pass for each."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .layer import Call, Layer

NAME, MODULE, DISTRIBUTION = "ncnn", "ncnn", "ncnn"
ERROR = 2e-5
RAW = bytes(4)  # before the weights: they are plain floats


def calls(layer: Layer, threads: int) -> Iterator[Call]:
    """Weights are packed when they are loaded."""
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads, net.opt.use_vulkan_compute, net.opt.use_bf16_storage = threads, False, False
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    with tempfile.TemporaryDirectory() as folder:
        text, weights = Path(folder, "layer.param"), Path(folder, "layer.bin")
        text.write_text(_text(layer), encoding="utf-8")
        weights.write_bytes(RAW + layer.w.tobytes())
        if net.load_param(str(text)) or net.load_model(str(weights)):
            raise RuntimeError("ncnn does not load the layer")
    images = [ncnn.Mat(image).clone() for image in layer.x]
    results: list = []

    def run() -> None:
        results.clear()
        for image in images:
            extractor = net.create_extractor()
            extractor.input("in", image)
            results.append(extractor.extract("out")[1])

    yield Call(NAME, run, lambda: np.stack([np.array(result) for result in results]))


def _text(layer: Layer) -> str:
    kind = "Convolution" if layer.groups == 1 else "ConvolutionDepthWise"
    numbers = {0: layer.outputs, 1: layer.taps, 3: layer.stride, 4: layer.padding, 5: 0, 6: layer.w.size}
    if layer.groups > 1:
        numbers[7] = layer.groups
    given = " ".join(f"{key}={value}" for key, value in numbers.items())
    return f"7767517\n2 2\nInput in 0 1 in\n{kind} conv 1 1 in out {given}\n"
