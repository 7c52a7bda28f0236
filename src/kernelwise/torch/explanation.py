"""What runs when a convolution is called, and why."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..errors import ArgumentTypeError
from . import engine, functional
from .fused import FusedConvolution
from .geometry import Geometry

FORWARD = {getattr(functional, f"conv{n}d"): n for n in (1, 2, 3)}
TRANSPOSED = {getattr(functional, f"conv_transpose{n}d"): n for n in (1, 2, 3)}


class Explanation(NamedTuple):
    """What runs for one call; `print` shows it."""

    call: str  # its name and what it is given
    ours: bool  # whether kernelwise computes the result
    reason: str  # why not; or how

    def __str__(self) -> str:
        return f"{self.call}: {'kernelwise' if self.ours else 'torch'}, {self.reason}"


class Explanations(tuple[tuple[str, Explanation], ...]):
    """What runs for each convolution of a network, by its name; `print` shows it."""

    def __str__(self) -> str:
        return "\n".join(f"{name}: {found}" for name, found in self) or "no convolutions"


def explain(what: Callable[..., Any], *args: Any, **arguments: Any) -> Explanation | Explanations:
    """What runs when a function, a layer or a network is called with these arguments: kernelwise or torch, and why.

    what : a function of this module; a convolution layer, ours or torch's; or any network, which is called once.

    Raises ArgumentTypeError for anything else.

    >>> import torch
    >>> from kernelwise.torch import conv2d
    >>> x, w = torch.zeros(1, 3, 32, 32), torch.zeros(8, 3, 3, 3)
    >>> explain(conv2d, x.double(), w.double()).ours
    True
    >>> print(explain(conv2d, x.bfloat16(), w.bfloat16()))
    conv2d of (1, 3, 32, 32) under (8, 3, 3, 3): torch, `input` holds bfloat16, not float16, float32 or float64
    """
    if what is functional.corr2d:
        X, K = inspect.signature(what).bind(*args, **arguments).arguments.values()
        return _function(functional.conv2d, (X.reshape(-1, 1, *X.shape[-2:]), K[None, None]), {})
    if what in FORWARD or what in TRANSPOSED:
        return _function(what, args, arguments)
    if isinstance(what, (nn.modules.conv._ConvNd, FusedConvolution)):
        return _layer(what, args[0] if args else arguments["input"])
    if isinstance(what, nn.Module):
        return _network(what, args, arguments)
    raise ArgumentTypeError(f"`what` must be a function of kernelwise.torch, a layer or a network (got {what!r})")


def _function(what: Callable[..., Any], args: tuple[Any, ...], arguments: dict[str, Any]) -> Explanation:
    bound = inspect.signature(what).bind(*args, **arguments)
    bound.apply_defaults()
    if what in FORWARD:
        reason, of = functional.judge(FORWARD[what], *bound.arguments.values())
    else:
        reason, of = functional.judge_transposed(TRANSPOSED[what], *bound.arguments.values())
    given = bound.arguments
    return _explanation(_call(what.__name__, given["input"], given["weight"]), reason, of)


def _layer(layer: Any, x: Any) -> Explanation:
    call = _call(type(layer).__name__, x, layer.weight)
    if isinstance(layer, FusedConvolution):
        if not layer.ours:
            return Explanation(call, False, "which was quicker when it was measured")
        given, bias = layer.arguments, layer.bias
    elif type(layer).__module__.startswith("torch."):
        return Explanation(call, False, "the layer is torch's own: `accelerate` puts ours in its place")
    else:
        given, bias = layer.__dict__, layer.bias
    axes = layer.weight.ndim - 2
    shape = given["stride"], given["padding"], given["dilation"], given["groups"]
    if getattr(layer, "transposed", False):
        stride, padding, dilation, groups = shape
        extra = layer.output_padding
        found = functional.judge_transposed(axes, x, layer.weight, bias, stride, padding, extra, groups, dilation)
    else:
        found = functional.judge(axes, x, layer.weight, bias, *shape, given["padding_mode"])
    return _explanation(call, *found)


def _network(network: nn.Module, args: tuple[Any, ...], arguments: dict[str, Any]) -> Explanations:
    found: list[tuple[str, Explanation]] = []

    def listen(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        return lambda layer, inputs: found.append((name, _layer(layer, inputs[0])))

    handles = [
        layer.register_forward_pre_hook(listen(name))
        for name, layer in network.named_modules()
        if isinstance(layer, (nn.modules.conv._ConvNd, FusedConvolution))
    ]
    try:
        with torch.no_grad():
            network(*args, **arguments)
    finally:
        for handle in handles:
            handle.remove()
    return Explanations(found)


def _explanation(call: str, reason: str, of: Geometry | None) -> Explanation:
    if reason or of is None:
        return Explanation(call, False, reason)
    threads = torch.get_num_threads()
    how = f"with its gradients, in up to {threads} thread{'s' if threads > 1 else ''}, precision {engine.PRECISION!r}"
    return Explanation(call, True, how)


def _call(name: str, x: Any, weight: Any) -> str:
    shapes = (str(tuple(part.shape)) if isinstance(part, Tensor) else type(part).__name__ for part in (x, weight))
    return f"{name} of {' under '.join(shapes)}"
