"""ONNX Runtime: a session with all optimisations and the given number of threads; input and output bound before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from . import onnx_model
from .layer import Call, Layer
from .network import Network

NAME, MODULE, DISTRIBUTION = "ONNX Runtime", "onnxruntime", "onnxruntime"
ERROR = 2e-5  # of the largest output, that its result may differ by
ONLY_ERRORS = 3  # what it logs


def calls(layer: Layer, threads: int) -> Iterator[Call]:
    """Weights are packed by the session."""
    yield _call(onnx_model.model(layer), layer.x, layer.y_shape, threads)


def networks(network: Network, threads: int) -> Iterator[Call]:
    """A whole network, likewise."""
    yield _call(onnx_model.of_network(network), network.x, (len(network.x), network.outputs), threads)


def _call(model: bytes, x: np.ndarray, shape: Sequence[int], threads: int) -> Call:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = ONLY_ERRORS
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    image = ort.OrtValue.ortvalue_from_numpy(x)
    result = ort.OrtValue.ortvalue_from_numpy(np.zeros(shape, np.float32))
    binding = session.io_binding()
    binding.bind_ortvalue_input(onnx_model.FIRST, image)
    binding.bind_ortvalue_output(onnx_model.LAST, result)
    return Call(NAME, lambda: session.run_with_iobinding(binding), result.numpy)
