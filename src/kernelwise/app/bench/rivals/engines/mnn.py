"""MNN with precision "high", which is float32. Copies in and out of its tensors are not timed.

Its converter is called below its command line, whose Python part reports to a server and installs what it needs for it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from . import onnx_model
from .layer import Call, Layer

NAME, MODULE, DISTRIBUTION = "MNN", "MNN", "MNN"
ERROR = 5e-3  # its Winograd tiles of 6 x 6 outputs are that far from the definition


def calls(layer: Layer, threads: int) -> Iterator[Call]:
    """Weights are packed by the session."""
    import _tools  # MNN's own
    import MNN

    with tempfile.TemporaryDirectory() as folder:
        source, model = Path(folder, "layer.onnx"), Path(folder, "layer.mnn")
        source.write_bytes(onnx_model.model(layer))
        words = ["mnnconvert", "-f", "ONNX", "--modelFile", str(source), "--MNNModel", str(model), "--bizCode", "layer"]
        _tools.mnnconvert(words)
        net = MNN.Interpreter(str(model))
    session = net.createSession({"backend": "CPU", "numThread": threads, "precision": "high"})
    order = MNN.Tensor_DimensionType_Caffe

    def give() -> None:
        net.getSessionInput(session).copyFrom(MNN.Tensor(layer.x_shape, MNN.Halide_Type_Float, layer.x, order))

    def fetch() -> np.ndarray:
        give()  # a run may use the memory of its input for other things
        net.runSession(session)
        empty = np.zeros(layer.y_shape, np.float32)
        result = MNN.Tensor(layer.y_shape, MNN.Halide_Type_Float, empty, order)
        net.getSessionOutput(session).copyToHostTensor(result)
        return np.array(result.getNumpyData()).reshape(layer.y_shape).copy()

    give()
    yield Call(NAME, lambda: net.runSession(session), fetch)
