"""Models of LiteRT, put together with the schema that comes in its package. Channels last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

ADD, AVERAGE_POOL_2D, CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, MAX_POOL_2D, PAD = 0, 1, 3, 4, 9, 17, 34
FLOAT32, INT32 = 0, 2  # TensorType
SAME, VALID = 0, 1  # Padding
RELU = 1  # ActivationFunctionType


def last(x: np.ndarray) -> np.ndarray:
    """Channels to the end."""
    return np.moveaxis(x, 1, -1)


class Graph:
    """Tensors and operators, as they are added. Tensors are numbers; their shapes are (n, h, w, c)."""

    def __init__(self, x_shape: Sequence[int]) -> None:
        """``x_shape``: (n, c, h, w) of the images, which are the tensor ``first``."""
        from ai_edge_litert import schema_py_generated as schema

        self.schema: Any = schema
        self.graph, self.model = schema.SubGraphT(), schema.ModelT()
        self.graph.tensors, self.graph.operators = [], []
        self.model.version, self.model.description = 3, b"layers"
        self.model.buffers, self.model.operatorCodes, self.model.subgraphs = [schema.BufferT()], [], [self.graph]
        images, channels, height, width = x_shape
        self.shapes: list[tuple[int, ...]] = []
        self.first = self._tensor((images, height, width, channels))

    def convolution(
        self,
        x: int,
        weight: np.ndarray,
        bias: np.ndarray,
        stride: int,
        padding: int,
        groups: int = 1,
        relu: bool = False,
    ) -> int:
        """weight: (o, c / groups, k, k), bias: (o,); groups: 1 or all channels."""
        taps = weight.shape[2]
        image, same = self._padded(x, taps, stride, padding)
        if groups == 1:
            kind, options, weights = CONV_2D, self.schema.Conv2DOptionsT(), last(weight)
            options_type = self.schema.BuiltinOptions.Conv2DOptions
        else:
            kind, options, weights = DEPTHWISE_CONV_2D, self.schema.DepthwiseConv2DOptionsT(), last(weight[None, :, 0])
            options.depthMultiplier, options_type = 1, self.schema.BuiltinOptions.DepthwiseConv2DOptions
        self._windows(options, same, stride, relu)
        options.dilationHFactor = options.dilationWFactor = 1
        inputs = [image, self._tensor(weights.shape, weights), self._tensor(bias.shape, bias)]
        return self._operator(kind, inputs, self._moved(image, same, taps, stride, len(weight)), options, options_type)

    def pool(self, x: int, kind: int, taps: int, stride: int, padding: int) -> int:
        """The largest (of values not below 0) or the mean of each window; ``kind``: MAX_POOL_2D or AVERAGE_POOL_2D."""
        image, same = self._padded(x, taps, stride, padding)
        options = self.schema.Pool2DOptionsT()
        options.filterHeight = options.filterWidth = taps
        self._windows(options, same, stride, False)
        shape = self._moved(image, same, taps, stride, self.shapes[image][3])
        return self._operator(kind, [image], shape, options, self.schema.BuiltinOptions.Pool2DOptions)

    def add(self, one: int, other: int, relu: bool) -> int:
        """Two tensors of one shape."""
        options = self.schema.AddOptionsT()
        options.fusedActivationFunction = RELU if relu else 0
        return self._operator(ADD, [one, other], self.shapes[one], options, self.schema.BuiltinOptions.AddOptions)

    def linear(self, x: int, weight: np.ndarray, bias: np.ndarray) -> int:
        """weight: (o, c), bias: (o,); gives (n, o)."""
        inputs = [x, self._tensor(weight.shape, weight), self._tensor(bias.shape, bias)]
        shape = self.shapes[x][0], len(weight)
        options, kind = self.schema.FullyConnectedOptionsT(), self.schema.BuiltinOptions.FullyConnectedOptions
        return self._operator(FULLY_CONNECTED, inputs, shape, options, kind)

    def written(self, result: int) -> bytes:
        """The model whose result is this tensor."""
        import flatbuffers

        self.graph.inputs, self.graph.outputs = np.array([self.first], np.int32), np.array([result], np.int32)
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _padded(self, x: int, taps: int, stride: int, padding: int) -> tuple[int, bool]:
        """The image, after a PAD where the padding is not what "same" means; and whether it is."""
        same = stride == 1 and 2 * padding == taps - 1
        if same or not padding:
            return x, same
        images, height, width, channels = self.shapes[x]
        sides = self._tensor([4, 2], np.array([[0, 0], [padding] * 2, [padding] * 2, [0, 0]], np.int32), INT32)
        shape = images, height + 2 * padding, width + 2 * padding, channels
        options = self.schema.PadOptionsT()
        return self._operator(PAD, [x, sides], shape, options, self.schema.BuiltinOptions.PadOptions), False

    def _moved(self, x: int, same: bool, taps: int, stride: int, channels: int) -> tuple[int, ...]:
        """The shape after windows have moved over the image."""
        images, *sizes, _ = self.shapes[x]
        return (images, *(size if same else (size - taps) // stride + 1 for size in sizes), channels)

    def _windows(self, options: Any, same: bool, stride: int, relu: bool) -> None:
        options.padding = SAME if same else VALID
        options.strideH = options.strideW = stride
        options.fusedActivationFunction = RELU if relu else 0

    def _tensor(self, shape: Sequence[int], values: np.ndarray | None = None, kind: int = FLOAT32) -> int:
        tensor = self.schema.TensorT()
        tensor.shape, tensor.type, tensor.buffer = np.array(shape, np.int32), kind, 0
        tensor.name = f"t{len(self.shapes)}".encode()
        if values is not None:
            buffer = self.schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        self.graph.tensors.append(tensor)
        self.shapes.append(tuple(shape))
        return len(self.shapes) - 1

    def _operator(self, kind: int, inputs: Sequence[int], shape: Sequence[int], options: Any, options_type: int) -> int:
        code, operator = self.schema.OperatorCodeT(), self.schema.OperatorT()
        code.builtinCode = code.deprecatedBuiltinCode = kind
        code.version = 1
        result = self._tensor(shape)
        operator.opcodeIndex = len(self.model.operatorCodes)
        operator.inputs, operator.outputs = np.array(inputs, np.int32), np.array([result], np.int32)
        operator.builtinOptions, operator.builtinOptionsType = options, options_type
        self.model.operatorCodes.append(code)
        self.graph.operators.append(operator)
        return result
