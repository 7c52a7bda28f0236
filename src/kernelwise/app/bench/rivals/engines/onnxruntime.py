"""ONNX Runtime: a session with all optimisations and the given number of threads; input and output bound before."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from . import onnx_model
from .layer import Call, Layer

NAME, MODULE, DISTRIBUTION = "ONNX Runtime", "onnxruntime", "onnxruntime"
ERROR = 2e-5  # of the largest output, that its result may differ by
ONLY_ERRORS = 3  # what it logs


def calls(layer: Layer, threads: int) -> Iterator[Call]:
    """Weights are packed by the session."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = ONLY_ERRORS
    session = ort.InferenceSession(onnx_model.model(layer), options, providers=["CPUExecutionProvider"])
    image = ort.OrtValue.ortvalue_from_numpy(layer.x)
    result = ort.OrtValue.ortvalue_from_numpy(np.zeros(layer.y_shape, np.float32))
    binding = session.io_binding()
    binding.bind_ortvalue_input("in", image)
    binding.bind_ortvalue_output("out", result)
    yield Call(NAME, lambda: session.run_with_iobinding(binding), result.numpy)
