"""The operators of networks: activations, normalisation, softmax, dropout."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as own

from ..base import MXNetError
from ..recording import STATE
from .calling import operator
from .core import Core, apply, plain
from .operators import listed
from .reductions import shaped

if TYPE_CHECKING:
    from .array import NDArray

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "softrelu": own.softplus,
    "softsign": own.softsign,
    "tanh": torch.tanh,
}


@operator
def Activation(data: Core, act_type: str | None = None) -> NDArray:
    """relu, sigmoid, softrelu, softsign or tanh. Raises MXNetError."""
    if act_type is None:
        raise MXNetError(
            "Required parameter act_type of {'relu', 'sigmoid', 'softrelu', 'softsign', 'tanh'} is not presented"
        )
    if act_type not in ACTIVATIONS:
        raise MXNetError(
            f"Invalid Input: '{act_type}', valid values are: {{'relu', 'sigmoid', 'softrelu', 'softsign', 'tanh'}}, "
            f'in operator Activation(name="", act_type="{act_type}")'
        )
    return apply(ACTIVATIONS[act_type], data)


@operator
def LeakyReLU(
    data: Core,
    gamma: Core | None = None,
    act_type: str = "leaky",
    slope: float = 0.25,
    lower_bound: float = 0.125,
    upper_bound: float = 0.334,
) -> NDArray:
    """leaky, prelu (slopes ``gamma``), elu, selu or gelu. Raises MXNetError."""
    if act_type == "prelu":
        if gamma is None:
            raise MXNetError("LeakyReLU(act_type='prelu') needs the argument 'gamma', which was not given")

        def slanted(x: Tensor, slopes: Tensor) -> Tensor:
            return torch.where(x > 0, x, x * slopes.reshape(-1, *(1,) * (x.ndim - 2)))

        return apply(slanted, data, gamma)
    functions: dict[str, Callable[[Tensor], Tensor]] = {
        "leaky": lambda x: own.leaky_relu(x, slope),
        "elu": lambda x: own.elu(x, slope),
        "selu": own.selu,
        "gelu": own.gelu,
    }
    if act_type == "rrelu":
        raise NotImplementedError("LeakyReLU(act_type='rrelu'): in PyTorch, torch.nn.functional.rrelu")
    if act_type not in functions:
        raise MXNetError(
            f"Invalid Input: '{act_type}', valid values are: {{'elu', 'gelu', 'leaky', 'prelu', 'rrelu', 'selu'}}"
        )
    return apply(functions[act_type], data)


# ---------------------------------------------------------------- softmax


def _softened(tensor: Tensor, axis: int, temperature: float | None, log: bool) -> Tensor:
    scaled = tensor / temperature if temperature else tensor
    return torch.log_softmax(scaled, axis) if log else torch.softmax(scaled, axis)


@operator
def softmax(
    data: Core, length: Core | None = None, axis: int = -1, temperature: float | None = None, dtype: Any = None,
    use_length: bool = False,
) -> NDArray:  # fmt: skip
    """exp(data) along an axis, divided by its sum. With ``use_length``, only of the first ``length`` places."""
    found = _masked(data, length, axis, temperature) if use_length and length is not None else apply(
        lambda tensor: _softened(tensor, axis, temperature, False), data
    )  # fmt: skip
    return found if dtype is None else found.astype(dtype)


def _masked(data: Core, length: Core, axis: int, temperature: float | None) -> NDArray:
    along = axis % data.ndim
    places = torch.arange(data.shape[along]).view(-1, *(1,) * (data.ndim - 1 - along))
    inside = places < length.data.long().unsqueeze(along)

    def compute(tensor: Tensor) -> Tensor:
        return _softened(tensor.masked_fill(~inside, float("-inf")), along, temperature, False).masked_fill(~inside, 0)

    return apply(compute, data)


@operator
def log_softmax(
    data: Core, axis: int = -1, temperature: float | None = None, dtype: Any = None, use_length: bool = False
) -> NDArray:
    """The logarithm of `softmax`."""
    found = apply(lambda tensor: _softened(tensor, axis, temperature, True), data)
    return found if dtype is None else found.astype(dtype)


@operator
def softmin(
    data: Core, axis: int = -1, temperature: float | None = None, dtype: Any = None, use_length: bool = False
) -> NDArray:
    """`softmax` of -data."""
    return apply(lambda tensor: _softened(-tensor, axis, temperature, False), data)


@operator
def SoftmaxActivation(data: Core, mode: str = "instance") -> NDArray:
    """`softmax` along the last axis, or with ``mode="channel"`` along axis 1."""
    if mode == "channel":
        return apply(lambda tensor: torch.softmax(tensor, 1), data)
    return apply(lambda tensor: torch.softmax(tensor, -1), data)


class _SoftmaxOutput(torch.autograd.Function):
    """`softmax` whose gradient is that of the cross entropy with the labels, whatever comes from above."""

    @staticmethod
    def forward(ctx: Any, data: Tensor, label: Tensor, scale: float, norm: str, ignore: float | None) -> Tensor:
        out = torch.softmax(data, 1)
        ctx.save_for_backward(out, label)
        ctx.scale, ctx.norm, ctx.ignore = scale, norm, ignore
        return out

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Any, ...]:
        out, label = ctx.saved_tensors
        if label.shape == out.shape:
            found = out - label
            counted = torch.ones((), dtype=torch.bool)
        else:
            classes = label.reshape(out.shape[0], *out.shape[2:]).long()
            found = out - own.one_hot(classes.clamp(0, out.shape[1] - 1), out.shape[1]).movedim(-1, 1).to(out.dtype)
            counted = torch.ones_like(classes, dtype=torch.bool) if ctx.ignore is None else classes != int(ctx.ignore)
            found = found * counted.unsqueeze(1)
        if ctx.norm == "batch":
            found = found / out.shape[0]
        elif ctx.norm == "valid":
            found = found / counted.sum().clamp(min=1)
        return found * ctx.scale, None, None, None, None


@operator
def SoftmaxOutput(
    data: Core,
    label: Core,
    grad_scale: float = 1.0,
    ignore_label: float = -1.0,
    multi_output: bool = False,
    use_ignore: bool = False,
    preserve_shape: bool = False,
    normalization: str = "null",
    out_grad: bool = False,
    smooth_alpha: float = 0.0,
) -> NDArray:
    """`softmax` over axis 1; its gradient is that of the cross entropy with ``label``."""
    if out_grad or smooth_alpha or preserve_shape:
        raise NotImplementedError(
            "SoftmaxOutput(out_grad=, smooth_alpha=, preserve_shape=): in PyTorch, torch.nn.functional.cross_entropy"
        )
    if normalization not in ("batch", "null", "valid"):
        raise MXNetError(f"Invalid Input: '{normalization}', valid values are: {{'batch', 'null', 'valid'}}")
    ignored = ignore_label if use_ignore else None
    labels = label.data
    return apply(lambda tensor: _SoftmaxOutput.apply(tensor, labels, grad_scale, normalization, ignored), data)


Softmax = SoftmaxOutput


@operator
def softmax_cross_entropy(data: Core, label: Core) -> NDArray:
    """The sum over rows of -log(softmax(row)[label]): shape (1,)."""
    classes = label.data.long()
    return apply(lambda tensor: shaped(own.cross_entropy(tensor, classes, reduction="sum")), data)


# ---------------------------------------------------------------- normalisation


class _BatchNorm(torch.autograd.Function):
    """Normalised by the batch's own mean and variance. The running ones move when the gradient is asked for."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, axis: int, eps: float, move: Any) -> Any:
        around = [one for one in range(x.ndim) if one != axis]
        shape = [-1 if one == axis else 1 for one in range(x.ndim)]
        mean = x.mean(around)
        centred = x - mean.view(shape)
        variance = centred.square().mean(around)
        scale = (variance + eps).rsqrt()
        normal = centred * scale.view(shape)
        ctx.save_for_backward(normal, gamma, scale, mean, variance)
        ctx.around, ctx.wide, ctx.move = around, shape, move
        ctx.mark_non_differentiable(mean, variance)
        return normal * gamma.view(shape) + beta.view(shape), mean, variance

    @staticmethod
    def backward(ctx: Any, dy: Any, *unused: Any) -> tuple[Any, ...]:
        normal, gamma, scale, mean, variance = ctx.saved_tensors
        ctx.move(mean, variance)
        shift = dy.sum(ctx.around)
        slope = (dy * normal).sum(ctx.around)
        count = normal.numel() // max(1, shift.numel())
        inner = dy - (shift / count).view(ctx.wide) - normal * (slope / count).view(ctx.wide)
        return inner * (gamma * scale).view(ctx.wide), slope, shift, None, None, None


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
    if fix_gamma:
        gamma.data.fill_(1)
    shape = [-1 if one == along else 1 for one in range(data.ndim)]

    def normalised(x: Tensor, weight: Tensor, shift: Tensor) -> Tensor:
        scale = (moving_var.data + eps).rsqrt()
        return (x - moving_mean.data.view(shape)) * (scale * weight).view(shape) + shift.view(shape)

    if not STATE.training or use_global_stats:
        found = apply(normalised, data, gamma.detach() if fix_gamma else gamma, beta)  # type: ignore[attr-defined]
        return [found, moving_mean, moving_var] if output_mean_var else found

    def move(mean: Tensor, variance: Tensor) -> None:
        moving_mean.data.mul_(momentum).add_(mean, alpha=1 - momentum)
        moving_var.data.mul_(momentum).add_(variance, alpha=1 - momentum)

    measured: list[Tensor] = []

    def own_statistics(x: Tensor, weight: Tensor, shift: Tensor) -> Tensor:
        out, mean, variance = _BatchNorm.apply(x, weight, shift, along, eps, move)
        measured[:] = mean, variance
        return out  # type: ignore[no-any-return]

    found = apply(own_statistics, data, gamma.detach() if fix_gamma else gamma, beta)  # type: ignore[attr-defined]
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


# ---------------------------------------------------------------- dropout


def dropped(data: Core, p: float, mask: Callable[[tuple[int, ...]], Tensor], mode: str, axes: Any) -> NDArray:
    """`Dropout` with a mask from a generator: ``mask(shape)`` is true where a number is kept."""
    if mode not in ("always", "training"):
        raise MXNetError(f"Invalid Input: '{mode}', valid values are: {{'always', 'training'}}")
    if not 0 <= p <= 1:
        raise MXNetError(f"value {p} for Parameter p should be between 0 and 1, in operator Dropout")
    if p == 0 or not (STATE.training or mode == "always"):
        return apply(torch.clone, data)
    shape = tuple(1 if axis in axes else size for axis, size in enumerate(data.shape))
    kept = mask(shape).to(data.data.dtype) * (1 / (1 - p) if p < 1 else 0)
    return apply(lambda x: x * kept, data)


@operator
def GroupNorm(data: Core, gamma: Core, beta: Core, num_groups: int = 1, eps: float = 1e-5) -> NDArray:
    """Normalised over groups of channels."""
    return apply(lambda x, weight, shift: own.group_norm(x, num_groups, weight, shift, eps), data, gamma, beta)


@operator
def UpSampling(data: Core, scale: int, sample_type: str, num_args: int = 1, workspace: int = 512) -> NDArray:
    """Every pixel repeated ``scale`` times along both axes."""
    if sample_type != "nearest":
        raise NotImplementedError(f"UpSampling(sample_type={sample_type!r}): torch.nn.functional.interpolate")
    return apply(lambda x: x.repeat_interleave(scale, -1).repeat_interleave(scale, -2), data)
