"""A convolution with all that is done to its result at once: batch norm in its weights, an addition, a limit."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as own

from . import functional, gradients, plain
from .geometry import Geometry, outputs
from .prepared import Prepared, readable

LIMITS = {"relu": own.relu, "relu6": own.relu6}


class FusedConvolution(nn.Module):
    """activation(convolution(x) + residual), for inference: weights are packed once for each shape of images.

    ``convolution``: a layer of torch.nn's or of ours, Conv1d to Conv3d; ``norm``: the batch norm behind it, in eval
    mode, which is folded into the weights; ``activation``: None, "relu" or "relu6"; ``ours``: whether the convolution
    is kernelwise's or torch's own.
    """

    def __init__(
        self,
        convolution: nn.modules.conv._ConvNd,
        norm: nn.modules.batchnorm._BatchNorm | None,
        activation: str | None,
        ours: bool = True,
    ) -> None:
        super().__init__()
        weight, bias = folded(convolution, norm)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)
        self.activation, self.ours, self.folds = activation, ours, norm is not None
        names = ("stride", "padding", "dilation", "groups", "padding_mode", "_reversed_padding_repeated_twice")
        self.arguments: dict[str, Any] = {name: getattr(convolution, name) for name in names}
        self._prepared = Prepared()
        self.eval()

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """x: (n, c, ...) or (c, ...); ``residual``: of the result's shape, or of one that it can be added to."""
        of = self._of(x) if self.ours and not gradients.traced() else None
        if of is not None and not gradients.wanted(x, self.weight, self.bias):
            return self._now(x, residual, of)
        y = self._convolution(x)
        if residual is not None:
            y = y + residual
        return LIMITS[self.activation](y) if self.activation else y

    def _of(self, x: Tensor) -> Geometry | None:
        """How the engine does it; None where it is left to the ordinary way."""
        axes, given = self.weight.ndim - 2, self.arguments
        reason, of = functional.judge(
            axes,
            x,
            self.weight,
            self.bias,
            given["stride"],
            given["padding"],
            given["dilation"],
            given["groups"],
            given["padding_mode"],
        )
        return of if not reason and x.ndim == axes + 2 and readable(x, self.weight, self.bias) else None

    def _now(self, x: Tensor, residual: Tensor | None, of: Geometry) -> Tensor:
        last = self.activation if residual is None else None
        y = torch.empty(
            (x.shape[0], self.weight.shape[0], *outputs(x.shape[2:], self.weight.shape[2:], of)),
            dtype=x.dtype,
            memory_format=plain.memory_format(x),
        )
        if y.numel():
            self._prepared.forward(x, self.weight, self.bias, of, last, y)
        if residual is None:
            return y
        if residual.dtype is y.dtype and residual.shape == y.shape and residual.is_cpu:
            y.add_(residual)
        else:
            y = y + residual
        if self.activation == "relu":
            return y.relu_()
        return own.relu6(y, inplace=True) if self.activation else y

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
