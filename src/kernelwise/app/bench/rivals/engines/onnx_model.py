"""One convolution as an ONNX model, written down byte by byte: so that nobody needs the `onnx` package.

The format is Protocol Buffers' wire format: a field is its number and kind, then a varint or a length and bytes. Field
numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

from collections.abc import Sequence

from .layer import Layer

IR_VERSION, OPERATORS = 8, 13  # of the format, and of the set of operators
FLOAT, INT, INTS = 1, 2, 7  # TensorProto.FLOAT, AttributeProto.INT and INTS


def model(layer: Layer) -> bytes:
    """The layer with the input "in" and the output "out"."""
    node = _string(1, "in") + _string(1, "w") + _string(2, "out") + _string(4, "Conv")
    pads, taps, steps = [layer.padding] * 4, [layer.taps] * 2, [layer.stride] * 2
    for name, values in (("kernel_shape", taps), ("strides", steps), ("pads", pads)):
        node += _bytes(5, _string(1, name) + b"".join(_number(8, v) for v in values) + _number(20, INTS))
    node += _bytes(5, _string(1, "group") + _number(3, layer.groups) + _number(20, INT))
    weights = b"".join(_number(1, n) for n in layer.w_shape) + _number(2, FLOAT) + _string(8, "w")
    weights += _bytes(9, layer.w.astype("<f4").tobytes())
    graph = _bytes(1, node) + _string(2, "layer") + _bytes(5, weights)
    graph += _bytes(11, _value("in", layer.x_shape)) + _bytes(12, _value("out", layer.y_shape))
    return _number(1, IR_VERSION) + _bytes(7, graph) + _bytes(8, _string(1, "") + _number(2, OPERATORS))


def _value(name: str, shape: Sequence[int]) -> bytes:
    """A ValueInfoProto: a name and a tensor's type and shape."""
    sizes = b"".join(_bytes(1, _number(1, n)) for n in shape)
    return _string(1, name) + _bytes(2, _bytes(1, _number(1, FLOAT) + _bytes(2, sizes)))


def _varint(value: int) -> bytes:
    digits = bytearray()
    while value > 127:
        digits.append(value & 127 | 128)
        value >>= 7
    return bytes([*digits, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _string(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())
