"""LiteRT, which was TensorFlow Lite: its default delegate is XNNPACK. Channels last.

The model is a FlatBuffer, put together with the schema that comes in the package.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from . import litert_network
from .layer import Call, Layer
from .litert_graph import Graph, last
from .network import Network

NAME, MODULE, DISTRIBUTION = "LiteRT", "ai_edge_litert", "ai-edge-litert"
ERROR = 2e-5


def calls(layer: Layer, threads: int) -> Iterator[Call]:
    """Weights are packed by the interpreter."""
    if layer.groups not in (1, layer.channels):
        raise NotImplementedError("groups of more than one channel")
    yield _call(_model(layer), layer.x, threads)


def networks(network: Network, threads: int) -> Iterator[Call]:
    """A whole network, likewise."""
    yield _call(litert_network.model(network), network.x, threads)


def _call(model: bytes, x: np.ndarray, threads: int) -> Call:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=model, num_threads=threads)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.ascontiguousarray(last(x)))
    result = interpreter.get_output_details()[0]["index"]

    def fetch() -> np.ndarray:
        y = interpreter.get_tensor(result)
        found: np.ndarray = np.moveaxis(y, -1, 1) if y.ndim > 2 else y
        return found

    return Call(NAME, interpreter.invoke, fetch)


def _model(layer: Layer) -> bytes:
    graph = Graph(layer.x_shape)
    bias = np.zeros(layer.outputs, np.float32)
    return graph.written(graph.convolution(graph.first, layer.w, bias, layer.stride, layer.padding, layer.groups))
