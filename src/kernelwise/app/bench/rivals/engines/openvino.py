"""OpenVINO: one stream, the latency hint, and float32, where its own choice on some CPUs would be bfloat16."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from . import onnx_model
from .layer import Call, Layer

NAME, MODULE, DISTRIBUTION = "OpenVINO f32", "openvino", "openvino"
ERROR = 2e-5


def calls(layer: Layer, threads: int) -> Iterator[Call]:
    """Weights are packed when the model is compiled."""
    import openvino

    core = openvino.Core()
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled = core.compile_model(core.read_model(onnx_model.model(layer)), "CPU", settings)
    request = compiled.create_infer_request()
    request.set_input_tensor(openvino.Tensor(layer.x, shared_memory=False))
    yield Call(NAME, request.infer, lambda: np.array(request.get_output_tensor().data))
