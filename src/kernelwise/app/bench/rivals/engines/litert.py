"""LiteRT, which was TensorFlow Lite: its default delegate is XNNPACK. Channels last.

The model is a FlatBuffer, put together with the schema that comes in the package.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .layer import Call, Layer

NAME, MODULE, DISTRIBUTION = "LiteRT", "ai_edge_litert", "ai-edge-litert"
ERROR = 2e-5
CONV_2D, DEPTHWISE_CONV_2D, PAD = 3, 4, 34  # BuiltinOperator
FLOAT32, INT32 = 0, 2  # TensorType
SAME, VALID = 0, 1  # Padding


def calls(layer: Layer, threads: int) -> Iterator[Call]:
    """Weights are packed by the interpreter."""
    if layer.groups not in (1, layer.channels):
        raise NotImplementedError("groups of more than one channel")
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=_model(layer), num_threads=threads)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], np.ascontiguousarray(_last(layer.x)))
    result = interpreter.get_output_details()[0]["index"]
    yield Call(NAME, interpreter.invoke, lambda: np.moveaxis(interpreter.get_tensor(result), -1, 1))


def _last(x: np.ndarray) -> np.ndarray:
    return np.moveaxis(x, 1, -1)


def _last_shape(shape: Sequence[int], padding: int = 0) -> list[int]:
    images, channels, height, width = shape
    return [images, height + 2 * padding, width + 2 * padding, channels]


class _Graph:
    """Tensors and operators, as they are added."""

    def __init__(self, schema: Any) -> None:
        self.schema, self.graph, self.model = schema, schema.SubGraphT(), schema.ModelT()
        self.graph.tensors, self.graph.operators = [], []
        self.model.version, self.model.description = 3, b"layer"
        self.model.buffers, self.model.operatorCodes, self.model.subgraphs = [schema.BufferT()], [], [self.graph]

    def tensor(self, shape: Sequence[int], values: np.ndarray | None = None, kind: int = FLOAT32) -> int:
        tensor = self.schema.TensorT()
        tensor.shape, tensor.type, tensor.buffer = np.array(shape, np.int32), kind, 0
        tensor.name = f"t{len(self.graph.tensors)}".encode()
        if values is not None:
            buffer = self.schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, kind: int, inputs: Sequence[int], output: int, options: Any, options_type: int) -> None:
        code, operator = self.schema.OperatorCodeT(), self.schema.OperatorT()
        code.builtinCode = code.deprecatedBuiltinCode = kind
        code.version = 1
        operator.opcodeIndex = len(self.model.operatorCodes)
        operator.inputs, operator.outputs = np.array(inputs, np.int32), np.array([output], np.int32)
        operator.builtinOptions, operator.builtinOptionsType = options, options_type
        self.model.operatorCodes.append(code)
        self.graph.operators.append(operator)

    def written(self, first: int, last: int) -> bytes:
        import flatbuffers

        self.graph.inputs, self.graph.outputs = np.array([first], np.int32), np.array([last], np.int32)
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def _model(layer: Layer) -> bytes:
    """A convolution; before it a PAD where the padding is not what "same" means."""
    from ai_edge_litert import schema_py_generated as schema

    graph = _Graph(schema)
    image = first = graph.tensor(_last_shape(layer.x_shape))
    same = layer.stride == 1
    if not same and layer.padding:
        sides = np.array([[0, 0], [layer.padding] * 2, [layer.padding] * 2, [0, 0]], np.int32)
        image = graph.tensor(_last_shape(layer.x_shape, layer.padding))
        pads = graph.tensor([4, 2], sides, INT32)
        graph.operator(PAD, [first, pads], image, schema.PadOptionsT(), schema.BuiltinOptions.PadOptions)
    options: Any
    if layer.groups == 1:
        kind, options, weights = CONV_2D, schema.Conv2DOptionsT(), _last(layer.w)
        options_type = schema.BuiltinOptions.Conv2DOptions
    else:
        kind, options, weights = DEPTHWISE_CONV_2D, schema.DepthwiseConv2DOptionsT(), _last(layer.w[None, :, 0])
        options.depthMultiplier, options_type = 1, schema.BuiltinOptions.DepthwiseConv2DOptions
    options.padding = SAME if same else VALID
    options.strideH = options.strideW = layer.stride
    options.dilationHFactor = options.dilationWFactor = 1
    result = graph.tensor(_last_shape(layer.y_shape))
    bias = graph.tensor([layer.outputs], np.zeros(layer.outputs, np.float32))
    inputs = [image, graph.tensor(weights.shape, weights), bias]
    graph.operator(kind, inputs, result, options, options_type)
    return graph.written(first, result)
