"""OpenVINO: one stream, the latency hint, and float32, where its own choice on some CPUs would be bfloat16."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from . import onnx_model
from .layer import Call, Layer
from .network import Network

NAME, MODULE, DISTRIBUTION = "OpenVINO f32", "openvino", "openvino"
ERROR = 2e-5


def calls(layer: Layer, threads: int) -> Iterator[Call]:
    """Weights are packed when the model is compiled."""
    yield _call(onnx_model.model(layer), layer.x, threads)


def networks(network: Network, threads: int) -> Iterator[Call]:
    """A whole network, likewise."""
    yield _call(onnx_model.of_network(network), network.x, threads)


def _call(model: bytes, x: np.ndarray, threads: int) -> Call:
    import openvino

    core = openvino.Core()
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled = core.compile_model(core.read_model(model), "CPU", settings)
    request = compiled.create_infer_request()
    request.set_input_tensor(openvino.Tensor(x, shared_memory=False))
    return Call(NAME, request.infer, lambda: np.array(request.get_output_tensor().data))
