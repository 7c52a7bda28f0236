"""A convolution with all that is done to its result at once: batch norm in its weights, an addition, a limit."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as own

from ..layers.prepared import Start
from . import choice, functional, gradients, plain
from .geometry import Geometry, Numbers, outputs
from .prepared import MOST_STARTS, Prepared, marks, readable

LIMITS = {"relu": own.relu, "relu6": own.relu6}
FORMATS = {name: getattr(torch, name) for name in ("contiguous_format", "channels_last")}  # torch.save has names only


class _Known(NamedTuple):
    """What follows from the shape and the strides of images."""

    of: Geometry
    shape: Numbers  # of the result


class FusedConvolution(nn.Module):
    """activation(convolution(x) + residual), for inference: weights are packed once for each shape of images.

    ``convolution``: a layer of torch.nn's or of ours, Conv1d to Conv3d; ``norm``: the batch norm behind it, in eval
    mode, which is folded into the weights; ``activation``: None, "relu" or "relu6"; ``ours``: whether the convolution
    is kernelwise's or torch's own; ``in_place``: whether the residual is added to the result itself, whose dtype and
    shape then stay.
    """

    def __init__(
        self,
        convolution: nn.modules.conv._ConvNd,
        norm: nn.modules.batchnorm._BatchNorm | None,
        activation: str | None,
        ours: bool = True,
        in_place: bool = False,
    ) -> None:
        super().__init__()
        weight, bias = folded(convolution, norm)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
        self.activation, self.ours, self.folds = activation, ours, norm is not None
        self.in_place = in_place
        names = ("stride", "padding", "dilation", "groups", "padding_mode", "_reversed_padding_repeated_twice")
        self.arguments: dict[str, Any] = {name: getattr(convolution, name) for name in names}
        self.layout: str | None = None  # of results, by the name of torch's memory format; None: as torch has it
        self.precision: str | None = None  # of this layer; None: what is set for all
        self._prepared = Prepared()
        self._known: dict[tuple[Any, ...], _Known | None] = {}
        self.eval()

    def forward(self, x: Tensor, residual: Tensor | None = None, like: Tensor | None = None) -> Tensor:
        """x: (n, c, ...) or (c, ...); ``residual``: of the result's shape, or of one that it can be added to;
        ``like``: what the result lies like if it has no layout of its own, x if not given."""
        tensors = residual is None or isinstance(residual, Tensor)  # it may be a number, where a network adds sizes
        if self.ours and tensors and not gradients.traced():
            weight, bias = self.weight, self.bias
            known = self._judged(x, weight, bias)
            if known is not None and not gradients.wanted(x, weight, bias, residual):
                layout = self._layout(x if like is None else like, residual)
                return self._now(x, weight, bias, residual, known, layout)
        y = self._convolution(x)
        if residual is not None:
            y = y.add_(residual) if self.in_place else y + residual
        return LIMITS[self.activation](y) if self.activation else y

    def started(self, x: Tensor, residual: Tensor | None, y: Tensor) -> Start | None:
        """The one routine that makes ``y`` of these tensors; None where there is none, or more has to be done."""
        weight, bias = self.weight, self.bias
        known = self._judged(x, weight, bias) if self.ours else None
        if known is None or gradients.wanted(x, weight, bias, residual):
            return None
        if residual is not None and not _addable(residual, y):
            return None
        adds = residual is not None
        start = self._prepared.start(x, weight, bias, known.of, self.activation, y, adds, self.precision)
        return start if start.residual is adds else None

    def marks(self) -> tuple[Any, ...]:
        """What changes when its routines do."""
        weight, bias = self.weight, self.bias
        return self.ours, self.precision, self.activation, marks(weight), bias is None or marks(bias)

    def _judged(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> _Known | None:
        """How the engine does it; None where it is left to the ordinary way."""
        axes = weight.ndim - 2
        if choice.situation() or choice.tensors(axes, x, weight, bias) or not readable(x, weight, bias):
            return None
        key = x.shape, x.stride(), weight.shape
        if key not in self._known:
            known = self._judge(x, weight, bias)
            self._known = dict([*list(self._known.items())[1 - MOST_STARTS :], (key, known)])
        return self._known[key]

    def _judge(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> _Known | None:
        axes, given = weight.ndim - 2, self.arguments
        names = ("stride", "padding", "dilation", "groups", "padding_mode")
        reason, of = functional.judge(axes, x, weight, bias, *(given[name] for name in names))
        if reason or of is None or x.ndim != axes + 2:
            return None
        shape = x.shape[0], weight.shape[0], *outputs(x.shape[2:], weight.shape[2:], of)
        return _Known(of, shape) if 0 not in shape else None

    def _layout(self, like: Tensor, residual: Tensor | None) -> torch.memory_format:
        """Of the result: where the layer may choose, that of the residual, which can then be added at once."""
        if self.layout is None:
            return plain.memory_format(like)
        return FORMATS[self.layout] if residual is None else plain.memory_format(residual)

    def _now(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        residual: Tensor | None,
        known: _Known,
        layout: torch.memory_format,
    ) -> Tensor:
        of, shape = known
        y = torch.empty(shape, dtype=x.dtype, memory_format=layout)
        added = residual if residual is not None and _addable(residual, y) else None
        last = self.activation if residual is None or added is not None else None
        if self._prepared.forward(x, weight, bias, of, last, y, added, self.precision) and added is residual:
            return y
        assert residual is not None
        alike = residual.shape == y.shape and residual.dtype is y.dtype
        y = y.add_(residual) if alike or self.in_place else y + residual
        return LIMITS[self.activation](y, inplace=True) if self.activation else y

    def _convolution(self, x: Tensor) -> Tensor:
        axes, given = self.weight.ndim - 2, self.arguments
        convolve = functional.NAMED[axes] if self.ours else functional.OWN[axes]
        stride, padding, dilation, groups = (given[n] for n in ("stride", "padding", "dilation", "groups"))
        if given["padding_mode"] == "zeros":
            y: Tensor = convolve(x, self.weight, self.bias, stride, padding, dilation, groups)
            return y
        mode, sides = given["padding_mode"], given["_reversed_padding_repeated_twice"]
        if self.ours:
            return functional.convolve_bordered(
                x, self.weight, self.bias, stride, padding, dilation, groups, mode, sides
            )
        y = convolve(own.pad(x, sides, mode=mode), self.weight, self.bias, stride, 0, dilation, groups)
        return y

    def extra_repr(self) -> str:
        """What is in it."""
        outputs, channels, *taps = self.weight.shape
        given = self.arguments
        parts = [f"{channels * given['groups']}, {outputs}, kernel_size={tuple(taps)}, stride={given['stride']}"]
        parts += [f"groups={given['groups']}"] if given["groups"] > 1 else []
        parts += ["batch norm folded"] if self.folds else []
        parts += [self.activation] if self.activation else []
        return ", ".join([*parts, "by kernelwise" if self.ours else "by torch"])


def _addable(residual: Tensor, y: Tensor) -> bool:
    """Whether generated code can add it to the result as it writes that."""
    if type(residual) not in choice.PLAIN or not residual.is_cpu or residual.layout is not torch.strided:
        return False
    if residual.shape != y.shape or residual.dtype is not y.dtype or residual.stride() != y.stride():
        return False
    return not residual.is_neg() and residual.data_ptr() % residual.element_size() == 0


def folded(
    convolution: nn.modules.conv._ConvNd, norm: nn.modules.batchnorm._BatchNorm | None
) -> tuple[Tensor, Tensor | None]:
    """Weight and bias of a convolution that does what the batch norm behind it did, worked out in float64.

    With running mean m and variance v: w' = w * gamma / sqrt(v + eps) and b' = (b - m) * gamma / sqrt(v + eps) + beta.
    """
    weight, bias = convolution.weight.detach().clone(), convolution.bias
    bias = None if bias is None else bias.detach().clone()
    if norm is None:
        return weight, bias
    assert norm.running_mean is not None and norm.running_var is not None
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.detach().double()
    shift = -norm.running_mean.double() if bias is None else bias.double() - norm.running_mean.double()
    shift = shift * scale
    if norm.bias is not None:
        shift = shift + norm.bias.detach().double()
    scaled = weight.double() * scale.reshape(-1, *(1,) * (weight.ndim - 1))
    return scaled.to(weight.dtype), shift.to(weight.dtype)
