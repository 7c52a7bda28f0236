"""Numbers brought to mean 0 and variance 1, or to length 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as own

from ..base import MXNetError
from ..recording import STATE
from .calling import operator
from .core import Core, apply, plain
from .operators import listed

if TYPE_CHECKING:
    from .array import NDArray


class _BatchNorm(torch.autograd.Function):
    """Normalised by the batch's own mean and variance. The running ones move when the gradient is asked for."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, axis: int, eps: float, fixed: bool, move: Any) -> Any:
        images = x if axis == 1 else x.movedim(axis, 1).contiguous()
        out, mean, scale = torch.native_batch_norm(images, gamma, beta, None, None, True, 0.0, eps)
        ctx.save_for_backward(images, gamma, mean, scale)
        ctx.axis, ctx.eps, ctx.fixed, ctx.move = axis, eps, fixed, move
        variance = scale**-2 - eps
        ctx.mark_non_differentiable(mean, variance)
        return (out if axis == 1 else out.movedim(1, axis).contiguous()), mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Any, *unused: Any) -> tuple[Any, ...]:
        images, gamma, mean, scale = ctx.saved_tensors
        ctx.move(mean, scale**-2 - ctx.eps)
        above = dy if ctx.axis == 1 else dy.movedim(ctx.axis, 1)
        dx, dgamma, dbeta = torch.ops.aten.native_batch_norm_backward(
            above.contiguous(), images, gamma, None, None, mean, scale, True, ctx.eps, [True, True, True]
        )
        if ctx.fixed:
            dgamma.zero_()
        return (dx if ctx.axis == 1 else dx.movedim(1, ctx.axis)), dgamma, dbeta, None, None, None, None


@operator
def BatchNorm(
    data: Core,
    gamma: Core,
    beta: Core,
    moving_mean: Core,
    moving_var: Core,
    eps: float = 1e-3,
    momentum: float = 0.9,
    fix_gamma: bool = True,
    use_global_stats: bool = False,
    output_mean_var: bool = False,
    axis: int = 1,
    cudnn_off: bool = False,
    min_calib_range: float | None = None,
    max_calib_range: float | None = None,
) -> Any:
    """(data - mean) / sqrt(variance + eps) * gamma + beta along every channel of ``axis``.

    In training mean and variance are the batch's own, and the moving ones follow them when the gradient is computed;
    otherwise the moving ones are used. ``fix_gamma``: gamma is set to ones.
    """
    along = axis % data.ndim
    channels = (data.shape[along],)
    for array in (gamma, beta, moving_mean, moving_var):
        if array.shape != channels:
            raise MXNetError(f"Shape inconsistent, Provided = {listed(array.shape)}, inferred shape={listed(channels)}")
    if fix_gamma and not bool((gamma.data == 1).all()):
        gamma.data.fill_(1)
    shape = [-1 if one == along else 1 for one in range(data.ndim)]

    def normalised(x: Tensor, weight: Tensor, shift: Tensor) -> Tensor:
        scale = (moving_var.data + eps).rsqrt()
        weight = weight * 0 + 1 if fix_gamma else weight  # its gradient is zeros then
        return (x - moving_mean.data.view(shape)) * (scale * weight).view(shape) + shift.view(shape)

    if not STATE.training or use_global_stats:
        found = apply(normalised, data, gamma, beta)
        return [found, moving_mean, moving_var] if output_mean_var else found

    def move(mean: Tensor, variance: Tensor) -> None:
        moving_mean.data.mul_(momentum).add_(mean, alpha=1 - momentum)
        moving_var.data.mul_(momentum).add_(variance, alpha=1 - momentum)

    measured: list[Tensor] = []

    def own_statistics(x: Tensor, weight: Tensor, shift: Tensor) -> Tensor:
        out, mean, variance = _BatchNorm.apply(x, weight, shift, along, eps, fix_gamma, move)
        measured[:] = mean, variance
        return out  # type: ignore[no-any-return]

    found = apply(own_statistics, data, gamma, beta)
    return [found, *[plain(part.detach(), data.ctx) for part in measured]] if output_mean_var else found


@operator
def LayerNorm(
    data: Core, gamma: Core, beta: Core, axis: int = -1, eps: float = 1e-5, output_mean_var: bool = False
) -> NDArray:
    """Normalised along one axis, times gamma, plus beta."""
    if output_mean_var:
        raise NotImplementedError("LayerNorm(output_mean_var=True): in PyTorch, torch.var_mean beside layer_norm")
    shape = [-1 if one == axis % data.ndim else 1 for one in range(data.ndim)]

    def compute(x: Tensor, weight: Tensor, shift: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x, axis, correction=0, keepdim=True)
        return (x - mean) * (variance + eps).rsqrt() * weight.view(shape) + shift.view(shape)

    return apply(compute, data, gamma, beta)


@operator
def InstanceNorm(data: Core, gamma: Core, beta: Core, eps: float = 1e-3) -> NDArray:
    """Normalised over the pixels of every channel of every image."""
    return apply(
        lambda x, weight, shift: own.instance_norm(x, None, None, weight, shift, True, 0.0, eps), data, gamma, beta
    )


@operator
def L2Normalization(data: Core, eps: float = 1e-10, mode: str = "instance") -> NDArray:
    """Divided by the root of the sum of squares of every "instance", "channel" or "spatial" plane."""
    axes = {"instance": tuple(range(1, data.ndim)), "channel": (1,), "spatial": tuple(range(2, data.ndim))}
    if mode not in axes:
        raise MXNetError(f"Invalid Input: '{mode}', valid values are: {{'channel', 'instance', 'spatial'}}")
    return apply(lambda x: x / (x.square().sum(axes[mode], keepdim=True) + eps).sqrt(), data)


@operator
def LRN(data: Core, alpha: float = 1e-4, beta: float = 0.75, knorm: float = 2.0, nsize: int = 5) -> NDArray:
    """Divided by (knorm + alpha * the mean of squares over ``nsize`` channels) ** beta."""
    return apply(lambda x: own.local_response_norm(x, nsize, alpha, beta, knorm), data)


@operator
def GroupNorm(data: Core, gamma: Core, beta: Core, num_groups: int = 1, eps: float = 1e-5) -> NDArray:
    """Normalised over groups of channels; gamma and beta have a number for each group. Raises MXNetError."""
    channels = data.shape[1] if data.ndim > 2 else 0
    if channels == 0 or channels % num_groups or gamma.shape != (num_groups,) or beta.shape != (num_groups,):
        raise MXNetError(
            f"Check failed: GroupNorm needs images of at least 3 axes, channels in {num_groups} groups, and as many "
            f"numbers in gamma and beta (got {listed(data.shape)}, {listed(gamma.shape)} and {listed(beta.shape)})"
        )
    each = channels // num_groups

    def compute(x: Tensor, weight: Tensor, shift: Tensor) -> Tensor:
        return own.group_norm(x, num_groups, weight.repeat_interleave(each), shift.repeat_interleave(each), eps)

    return apply(compute, data, gamma, beta)
