"""A network as a model of LiteRT."""

from __future__ import annotations

from .litert_graph import AVERAGE_POOL_2D, MAX_POOL_2D, Graph
from .network import Network, Step


def model(network: Network) -> bytes:
    """The network, channels last. Max pooling stands behind ReLU: what it is padded with is 0."""
    graph = Graph(network.x.shape)
    values = {"in": graph.first}
    for step in network.steps:
        values[step.name] = _added(graph, step, [values[name] for name in step.inputs])
    return graph.written(values[network.steps[-1].name])


def _added(graph: Graph, step: Step, inputs: list[int]) -> int:
    if step.kind == "addition":
        return graph.add(inputs[0], inputs[1], step.relu)
    (x,) = inputs
    if step.kind == "maximum":
        return graph.pool(x, MAX_POOL_2D, step.taps, step.stride, step.padding)
    if step.kind == "mean":
        return graph.pool(x, AVERAGE_POOL_2D, graph.shapes[x][1], 1, 0)
    assert step.weight is not None and step.bias is not None
    if step.kind == "linear":
        return graph.linear(x, step.weight, step.bias)
    return graph.convolution(x, step.weight, step.bias, step.stride, step.padding, step.groups, step.relu)
