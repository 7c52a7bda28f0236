"""nd.random.uniform and its like: arrays of random numbers.

Parameters are numbers, or arrays of one shape; then ``shape`` numbers are drawn for each of their places, and the
result has the axes of both. dtypes are float16, float32 (the default) and float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..base import MXNetError
from ..context import Context, usable
from ..ndarray import dtypes
from ..ndarray.calling import put
from ..ndarray.core import Core, plain
from ..ndarray.creation import shape_of
from .numbers import single
from .state import GENERATOR

if TYPE_CHECKING:
    from ..ndarray.array import NDArray

REAL = (torch.float16, torch.float32, torch.float64)
NUMBERS = (int, float, np.generic)
Draw = Callable[..., np.ndarray]


def uniform(
    low: Any = 0, high: Any = 1, shape: Any = None, dtype: Any = None, ctx: Context | None = None, out: Any = None,
    **kwargs: Any,
) -> NDArray:  # fmt: skip
    """Numbers from ``low`` to below ``high``, all equally likely. Raises MXNetError where ``high`` is less.

    >>> from kernelwise.mxnet import nd, random
    >>> random.seed(0)
    >>> nd.random.uniform(0, 10, shape=(1, 3)).asnumpy()
    array([[5.4881353, 5.928446 , 7.1518936]], dtype=float32)
    """
    known(kwargs, "uniform")
    return _sampled("uniform", GENERATOR.uniform, {"low": low, "high": high}, shape, dtype, ctx, out)


def normal(
    loc: Any = 0, scale: Any = 1, shape: Any = None, dtype: Any = None, ctx: Context | None = None, out: Any = None,
    **kwargs: Any,
) -> NDArray:  # fmt: skip
    """Numbers around ``loc`` with standard deviation ``scale``. Raises MXNetError where it is not above 0."""
    known(kwargs, "normal")
    return _sampled("normal", GENERATOR.normal, {"loc": loc, "scale": scale}, shape, dtype, ctx, out)


def randn(*shape: int, **kwargs: Any) -> NDArray:
    """`normal` with the shape first: ``randn(2, 3)``. Takes loc, scale, dtype, ctx and out."""
    return normal(shape=shape, **kwargs)


def exponential(
    scale: Any = 1, shape: Any = None, dtype: Any = None, ctx: Context | None = None, out: Any = None, **kwargs: Any
) -> NDArray:
    """Waiting times whose mean is ``scale``."""
    known(kwargs, "exponential")
    return _sampled("exponential", GENERATOR.exponential, {"lam": 1.0 / scale}, shape, dtype, ctx, out)


def uniform_like(data: Core, low: Any = 0, high: Any = 1, out: Any = None, **kwargs: Any) -> NDArray:
    """`uniform` of the shape and dtype of ``data``."""
    known(kwargs, "uniform_like")
    return uniform(low, high, data.shape, data.dtype, data.context, out)


def normal_like(data: Core, loc: Any = 0, scale: Any = 1, out: Any = None, **kwargs: Any) -> NDArray:
    """`normal` of the shape and dtype of ``data``."""
    known(kwargs, "normal_like")
    return normal(loc, scale, data.shape, data.dtype, data.context, out)


def exponential_like(data: Core, lam: Any = 1, out: Any = None, **kwargs: Any) -> NDArray:
    """`exponential` with rate ``lam``, of the shape and dtype of ``data``."""
    known(kwargs, "exponential_like")
    parameters = {"lam": lam}
    return _sampled("exponential", GENERATOR.exponential, parameters, data.shape, data.dtype, data.context, out)


def random_exponential(
    lam: Any = 1, shape: Any = None, ctx: Any = None, dtype: Any = None, out: Any = None, **kwargs: Any
) -> NDArray:
    """`exponential` with a rate instead of a mean."""
    known(kwargs, "exponential")
    return _sampled("exponential", GENERATOR.exponential, {"lam": lam}, shape, dtype, ctx, out)


def sample_uniform(low: Core, high: Core, shape: Any = None, dtype: Any = None, out: Any = None) -> NDArray:
    """`uniform` with arrays of parameters."""
    return uniform(low, high, shape, dtype, None, out)


def sample_normal(mu: Core, sigma: Core, shape: Any = None, dtype: Any = None, out: Any = None) -> NDArray:
    """`normal` with arrays of parameters."""
    return normal(mu, sigma, shape, dtype, None, out)


def sample_exponential(lam: Core, shape: Any = None, dtype: Any = None, out: Any = None) -> NDArray:
    """`exponential` with an array of rates."""
    return random_exponential(lam, shape, None, dtype, out)


def known(kwargs: dict[str, Any], name: str) -> None:
    """Raises MXNetError for an argument that no sampler has; ``name=`` means nothing."""
    for argument in kwargs:
        if argument != "name":
            raise MXNetError(f"Cannot find argument '{argument}', in operator {name}")


def _sampled(name: str, draw: Draw, parameters: dict[str, Any], shape: Any, dtype: Any, ctx: Any, out: Any) -> NDArray:
    """What all samplers do: check, draw, and put where it is wanted."""
    values = list(parameters.values())
    if isinstance(values[0], Core):
        made = _for_each(name, draw, values, shape, dtype)
    else:
        made = _for_numbers(name, draw, parameters, shape, dtype, context(ctx), out)
    return made if out is None else put(out, made)  # type: ignore[no-any-return]


def _for_numbers(
    name: str, draw: Draw, parameters: dict[str, Any], shape: Any, dtype: Any, ctx: Context, out: Any
) -> NDArray:
    values = list(parameters.values())
    for value in values:
        if isinstance(value, Core):
            raise AssertionError(
                "Distribution parameters must all have the same type, but got both "
                f"{type(values[0])} and {type(value)}."
            )
        if not isinstance(value, NUMBERS):
            raise ValueError(f"Distribution parameters must be either NDArray or numbers, but got {type(value)}.")
    operator = f"_random_{name}"
    if dtype is None:
        dtype = np.float32 if out is None else out.dtype
    kind = _real(dtype, operator)
    if shape is None:
        shape = (1,) if out is None else out.shape
    sizes = shape_of(shape, operator, dtypes.name(kind), ctx)
    check_out(sizes, out)
    _check(name, {key: _in_range(key, value, operator) for key, value in parameters.items()})
    numbers = draw(*values, int(np.prod(sizes)), dtypes.NUMPY[kind])
    return plain(torch.from_numpy(numbers).reshape(sizes), ctx)


def _for_each(name: str, draw: Draw, values: list[Any], shape: Any, dtype: Any) -> NDArray:
    first = values[0]
    for value in values[1:]:
        if not isinstance(value, Core):
            raise AssertionError(
                f"Distribution parameters must all have the same type, but got both {type(first)} and {type(value)}."
            )
        if value.shape != first.shape:
            raise MXNetError(f"Distribution parameters must have one shape (got {first.shape} and {value.shape})")
    kind = _real(first.dtype if dtype is None else dtype, f"_sample_{name}")
    inner = () if shape is None else shape_of(shape, f"_sample_{name}", dtypes.name(kind), first.context)
    sizes = (*first.shape, *inner)
    repeats = int(np.prod(inner))
    each = [np.repeat(value.data.numpy().reshape(-1), repeats) for value in values]
    numbers = draw(*each, int(np.prod(sizes)), dtypes.NUMPY[kind])
    return plain(torch.from_numpy(numbers).reshape(sizes), first.context)


def check_out(sizes: tuple[int, ...], out: Any) -> None:
    """Raises MXNetError where the result does not fit into ``out``."""
    if out is not None and out.shape != sizes:
        provided, inferred = ",".join(map(str, out.shape)), ",".join(map(str, sizes))
        raise MXNetError(f"Shape inconsistent, Provided = [{provided}], inferred shape=[{inferred}]")


def context(ctx: Any) -> Context:
    """Also from the text of a context: "cpu(0)"."""
    if isinstance(ctx, str):
        kind, _, number = ctx.rstrip(")").partition("(")
        ctx = Context(kind, int(number or 0))
    return usable(ctx)


def _real(dtype: Any, operator: str) -> torch.dtype:
    kind = dtypes.torch_dtype(None if dtype == "None" else dtype)
    if kind not in REAL:
        raise MXNetError(
            f"Invalid Input: '{dtypes.name(kind)}', valid values are: {{'None', 'float16', 'float32', 'float64'}}, in "
            f"operator {operator}"
        )
    return kind


def _in_range(name: str, value: Any, operator: str) -> np.float32:
    try:
        return single(value)
    except OverflowError:
        raise MXNetError(f"Out of range value for {name}, value='{value}', in operator {operator}") from None


def _check(name: str, given: dict[str, Any]) -> None:
    """Raises MXNetError for parameters that no distribution has."""
    if name == "uniform" and not given["high"] >= given["low"]:
        raise MXNetError(
            f"Check failed: param.high >= param.low ({given['high']:g} vs. {given['low']:g}) : low must be less or "
            "equal to high in uniform distribution"
        )
    if name == "normal" and not given["scale"] > 0:
        raise MXNetError(
            f"Check failed: param.scale > 0 ({given['scale']:g} vs. 0) : scale parameter in gaussian has to be positive"
        )
    if name == "exponential" and not given["lam"] > 0:
        raise MXNetError(
            f"Check failed: param.lam > 0 ({given['lam']:g} vs. 0) : lambda parameter in exponential distribution has "
            "to be positive"
        )
