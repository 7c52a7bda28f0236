"""Functions of one array, number by number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..base import MXNetError
from . import dtypes
from .calling import operator
from .core import Core, apply
from .graph import constant

Function = Callable[[Tensor], Tensor]


def _named(name: str, function: Function, text: str, run: Any = apply) -> Any:
    def operate(data: Core) -> Any:
        return run(function, data)

    operate.__name__ = operate.__qualname__ = name
    operate.__doc__ = text
    operate.__annotations__["data"] = "Core"
    return operator(operate)


def _real(function: Function) -> Function:
    """For whole numbers: computed in float64 and cut off."""

    def compute(tensor: Tensor) -> Tensor:
        if tensor.dtype.is_floating_point:
            return function(tensor)
        return function(tensor.double()).to(tensor.dtype)

    return compute


def _fix(tensor: Tensor) -> Tensor:
    return tensor.trunc()


def _rint(tensor: Tensor) -> Tensor:
    below, above = tensor.floor(), tensor.ceil()
    return torch.where(tensor - below <= above - tensor, below, above)


def _gamma(tensor: Tensor) -> Tensor:
    """NaN at 0, -1, -2, ...; computed in float64."""
    x = tensor.double()
    odd = (x < 0) & (torch.remainder(x.floor(), 2) != 0)
    found = torch.lgamma(x).exp() * torch.where(odd, -1.0, 1.0)
    return torch.where((x < 0) & (x == x.floor()), torch.nan, found).to(tensor.dtype)


def _round(tensor: Tensor) -> Tensor:
    """Halves away from zero, as C's round()."""
    return torch.where(tensor < 0, (tensor - 0.5).ceil(), (tensor + 0.5).floor())


abs = _named("abs", torch.abs, "|data|.")
sign = _named("sign", torch.sign, "-1, 0 or 1.", constant)
rint = _named("rint", _real(_rint), "The nearest whole number, halves down.", constant)
round = _named("round", _real(_round), "The nearest whole number, halves away from zero.", constant)
ceil = _named("ceil", _real(torch.ceil), "The next whole number above.", constant)
floor = _named("floor", _real(torch.floor), "The next whole number below.", constant)
trunc = _named("trunc", _real(torch.trunc), "The next whole number towards zero.", constant)
fix = _named("fix", _real(_fix), "The next whole number towards zero.", constant)
square = _named("square", torch.square, "data * data.")
sqrt = _named("sqrt", _real(torch.sqrt), "The square root.")
rsqrt = _named("rsqrt", _real(torch.rsqrt), "1 / the square root.")
cbrt = _named("cbrt", _real(lambda x: torch.sign(x) * x.abs().pow(1 / 3)), "The cube root.")
rcbrt = _named("rcbrt", _real(lambda x: torch.sign(x) * x.abs().pow(-1 / 3)), "1 / the cube root.")
exp = _named("exp", _real(torch.exp), "e to the power of data.")
expm1 = _named("expm1", _real(torch.expm1), "exp(data) - 1.")
log = _named("log", _real(torch.log), "The natural logarithm.")
log10 = _named("log10", _real(torch.log10), "The logarithm to base 10.")
log2 = _named("log2", _real(torch.log2), "The logarithm to base 2.")
log1p = _named("log1p", _real(torch.log1p), "log(1 + data).")
sin = _named("sin", _real(torch.sin), "The sine.")
cos = _named("cos", _real(torch.cos), "The cosine.")
tan = _named("tan", _real(torch.tan), "The tangent.")
arcsin = _named("arcsin", _real(torch.arcsin), "The inverse sine.")
arccos = _named("arccos", _real(torch.arccos), "The inverse cosine.")
arctan = _named("arctan", _real(torch.arctan), "The inverse tangent.")
sinh = _named("sinh", _real(torch.sinh), "The hyperbolic sine.")
cosh = _named("cosh", _real(torch.cosh), "The hyperbolic cosine.")
tanh = _named("tanh", _real(torch.tanh), "The hyperbolic tangent.")
arcsinh = _named("arcsinh", _real(torch.arcsinh), "The inverse hyperbolic sine.")
arccosh = _named("arccosh", _real(torch.arccosh), "The inverse hyperbolic cosine.")
arctanh = _named("arctanh", _real(torch.arctanh), "The inverse hyperbolic tangent.")
degrees = _named("degrees", _real(torch.rad2deg), "From radians to degrees.")
radians = _named("radians", _real(torch.deg2rad), "From degrees to radians.")
erf = _named("erf", _real(torch.erf), "The error function.")
erfinv = _named("erfinv", _real(torch.erfinv), "The inverse error function.")
gammaln = _named("gammaln", _real(torch.lgamma), "The logarithm of the gamma function.")
gamma = _named("gamma", _real(_gamma), "The gamma function.")
reciprocal = _named("reciprocal", _real(torch.reciprocal), "1 / data.")
relu = _named("relu", torch.relu, "The larger of data and 0; its gradient at 0 is 0.")
sigmoid = _named("sigmoid", _real(torch.sigmoid), "1 / (1 + exp(-data)).")
softsign = _named("softsign", _real(torch.nn.functional.softsign), "data / (1 + |data|).")
logical_not = _named("logical_not", lambda x: (x == 0).to(x.dtype), "1 where data is 0, otherwise 0.", constant)
identity = _named("identity", torch.clone, "A copy.")
BlockGrad = stop_gradient = _named("stop_gradient", torch.clone, "A copy through which no gradient passes.", constant)
negative = _named("negative", torch.neg, "-data.")


@operator
def hard_sigmoid(data: Core, alpha: float = 0.2, beta: float = 0.5) -> Any:
    """alpha * data + beta, kept between 0 and 1."""
    if not data.data.dtype.is_floating_point:
        raise MXNetError(f"This operation only support floating point types, not {dtypes.name(data.data.dtype)}")
    return apply(lambda tensor: (tensor * alpha + beta).clamp(0, 1), data)


@operator
def clip(data: Core, a_min: float, a_max: float) -> Any:
    """Kept between two numbers; no gradient passes outside of them."""
    return apply(lambda tensor: tensor.clamp(a_min, a_max), data)


@operator
def smooth_l1(data: Core, scalar: float = 1.0) -> Any:
    """(s x)^2 / 2 where |x| is below 1 / s^2, otherwise |x| - 1 / (2 s^2)."""
    limit = 1 / scalar**2

    def compute(x: Tensor) -> Tensor:
        return torch.where(x.abs() < limit, 0.5 * scalar**2 * x * x, x.abs() - 0.5 * limit)

    return apply(compute, data)


@operator
def cast(data: Core, dtype: Any) -> Any:
    """A copy in another dtype."""
    return astype(data, dtype)


Cast = cast


def astype(self: Core, dtype: Any, copy: bool = True) -> Any:
    """A copy in another dtype; without ``copy`` the array itself where it has it already."""
    kind = dtypes.torch_dtype(dtype)
    if kind is self.data.dtype:
        return self if not copy else apply(torch.clone, self)
    return (apply if kind.is_floating_point else constant)(lambda tensor: converted(tensor, kind), self)


def converted(tensor: Tensor, kind: torch.dtype) -> Tensor:
    """In another dtype; real numbers out of a whole dtype's range wrap, as C casts them on this machine."""
    if kind is torch.uint8 and tensor.dtype.is_floating_point:
        return tensor.to(torch.int64).to(kind)
    return tensor.to(kind)


@operator
def where(condition: Core, x: Core, y: Core) -> Any:
    """Numbers of ``x`` where the condition is not 0, otherwise of ``y``; a condition of one axis chooses rows."""
    if x.shape != y.shape:
        raise MXNetError(f"Check failed: x and y must have one shape (got {x.shape} and {y.shape})")
    chosen = condition.data != 0
    if chosen.shape != x.data.shape:
        if chosen.ndim != 1 or chosen.shape[0] != x.shape[0]:
            raise MXNetError(f"Check failed: a condition of shape {condition.shape} cannot choose from {x.shape}")
        chosen = chosen.view(-1, *(1,) * (x.ndim - 1))
    return apply(lambda left, right: torch.where(chosen, left, right), x, y)
