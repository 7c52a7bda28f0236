"""The operators of networks: activations, normalisation, softmax, dropout."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as own

from ..base import MXNetError
from .calling import operator
from .core import Core, apply
from .graph import loss
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


@operator
def UpSampling(data: Core, scale: int, sample_type: str, num_args: int = 1, workspace: int = 512) -> NDArray:
    """Every pixel repeated ``scale`` times along both axes."""
    if sample_type != "nearest":
        raise NotImplementedError(f"UpSampling(sample_type={sample_type!r}): torch.nn.functional.interpolate")
    return apply(lambda x: x.repeat_interleave(scale, -1).repeat_interleave(scale, -2), data)


@operator
def make_loss(data: Core, grad_scale: float = 1.0, valid_thresh: float = 0.0, normalization: str = "null") -> NDArray:
    """The same numbers as a loss: whatever is made of them, their gradient is ``grad_scale``."""
    if normalization not in ("batch", "null"):
        raise NotImplementedError(
            f"make_loss(normalization={normalization!r}): divide by the count yourself, as in PyTorch"
        )
    found: NDArray = loss(data, grad_scale / (data.shape[0] if normalization == "batch" else 1))
    return found


MakeLoss = make_loss
