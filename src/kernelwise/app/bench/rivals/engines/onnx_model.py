"""A convolution or a network as an ONNX model, written down byte by byte: so that nobody needs the `onnx` package.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .layer import Layer
from .network import Network, Step
from .protobuf import message, number, string

IR_VERSION, OPERATORS = 8, 13  # of the format, and of the set of operators
FLOAT, INT, INTS = 1, 2, 7  # TensorProto.FLOAT, AttributeProto.INT and INTS
FIRST, LAST = "in", "out"


def model(layer: Layer) -> bytes:
    """The layer with the input "in" and the output "out"."""
    conv = _convolution([FIRST, "w"], LAST, layer.taps, layer.stride, layer.padding, layer.groups)
    return _written([conv], {"w": layer.w}, layer.x_shape, layer.y_shape)


def of_network(network: Network) -> bytes:
    """The network with the input "in" and the output "out"."""
    nodes: list[bytes] = []
    values: dict[str, np.ndarray] = {}
    for step in network.steps:
        result = LAST if step is network.steps[-1] else step.name
        before = f"{result}.before" if step.relu else result
        weights = {f"{step.name}.{name}": v for name, v in (("w", step.weight), ("b", step.bias)) if v is not None}
        values |= weights
        nodes += _nodes(step, [*step.inputs, *weights], before)
        if step.relu:
            nodes.append(_node("Relu", [before], result))
    return _written(nodes, values, network.x.shape, (len(network.x), network.outputs))


def _nodes(step: Step, inputs: Sequence[str], result: str) -> list[bytes]:
    if step.kind == "convolution":
        return [_convolution(inputs, result, step.taps, step.stride, step.padding, step.groups)]
    if step.kind == "addition":
        return [_node("Add", inputs, result)]
    if step.kind == "maximum":
        return [_node("MaxPool", inputs, result, _windows(step.taps, step.stride, step.padding))]
    if step.kind == "mean":
        square = f"{result}.square"
        return [_node("GlobalAveragePool", inputs, square), _node("Flatten", [square], result, {"axis": 1})]
    assert step.kind == "linear"
    return [_node("Gemm", inputs, result, {"transB": 1})]


def _convolution(inputs: Sequence[str], result: str, taps: int, stride: int, padding: int, groups: int) -> bytes:
    return _node("Conv", inputs, result, {**_windows(taps, stride, padding), "group": groups})


def _windows(taps: int, stride: int, padding: int) -> dict[str, int | list[int]]:
    return {"kernel_shape": [taps] * 2, "strides": [stride] * 2, "pads": [padding] * 4}


def _node(
    kind: str, inputs: Sequence[str], result: str, attributes: Mapping[str, int | list[int]] | None = None
) -> bytes:
    """A NodeProto."""
    node = b"".join(string(1, name) for name in inputs) + string(2, result) + string(4, kind)
    for name, value in (attributes or {}).items():
        if isinstance(value, int):
            node += message(5, string(1, name) + number(3, value) + number(20, INT))
        else:
            node += message(5, string(1, name) + b"".join(number(8, v) for v in value) + number(20, INTS))
    return node


def _written(
    nodes: Sequence[bytes], values: Mapping[str, np.ndarray], first: Sequence[int], last: Sequence[int]
) -> bytes:
    """A ModelProto."""
    graph = b"".join(message(1, node) for node in nodes) + string(2, "graph")
    for name, array in values.items():
        sizes = b"".join(number(1, n) for n in array.shape)
        graph += message(5, sizes + number(2, FLOAT) + string(8, name) + message(9, array.astype("<f4").tobytes()))
    graph += message(11, _value(FIRST, first)) + message(12, _value(LAST, last))
    return number(1, IR_VERSION) + message(7, graph) + message(8, string(1, "") + number(2, OPERATORS))


def _value(name: str, shape: Sequence[int]) -> bytes:
    """A ValueInfoProto: a name and a tensor's type and shape."""
    sizes = b"".join(message(1, number(1, n)) for n in shape)
    return string(1, name) + message(2, message(1, number(1, FLOAT) + message(2, sizes)))
