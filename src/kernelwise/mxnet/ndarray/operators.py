"""Arithmetic and comparison of arrays and numbers.

There is no promotion: both arrays have one dtype, and so has the result, that of a comparison too (0 and 1). A number
beside an array is converted to the array's dtype before anything is computed; so 7 * 1.5 is 7 for whole numbers.
Shapes broadcast as NumPy's do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..base import DivisionByZeroError, MXNetError
from . import dtypes
from .core import Core, apply
from .graph import constant

if TYPE_CHECKING:
    from .array import NDArray

NUMBERS = (int, float, np.generic)  # bool is an int
Binary = Callable[[Any, Any], Tensor]
Result = Callable[[Core, Any], "NDArray"]


# ---------------------------------------------------------------- what may stand beside an array


def check_dtypes(lhs: Core, rhs: Core, place: int = 1) -> None:
    """Raises MXNetError for two dtypes."""
    if lhs.data.dtype is not rhs.data.dtype:
        raise MXNetError(
            f"Check failed: assign(&dattr, vec.at(i)): Incompatible attr in node  at {place}-th input: "
            f"expected {dtypes.name(lhs.data.dtype)}, got {dtypes.name(rhs.data.dtype)}"
        )


def check_shapes(lhs: Core, rhs: Core) -> None:
    """Raises MXNetError for shapes that do not broadcast."""
    for left, right in zip(reversed(lhs.data.shape), reversed(rhs.data.shape), strict=False):
        if left != right and left != 1 and right != 1:
            raise MXNetError(
                "Check failed: l == 1 || r == 1: operands could not be broadcast together with shapes "
                f"{listed(lhs.data.shape)} {listed(rhs.data.shape)}"
            )


def check_same(lhs: Core, rhs: Core, place: int = 1) -> None:
    """Raises MXNetError for two shapes or dtypes, where operators do not broadcast."""
    check_dtypes(lhs, rhs, place)
    if lhs.data.shape != rhs.data.shape:
        raise MXNetError(
            f"Check failed: assign(&dattr, vec.at(i)): Incompatible attr in node  at {place}-th input: "
            f"expected {listed(lhs.data.shape)}, got {listed(rhs.data.shape)}"
        )


def check_fits(array: Core, result: Core) -> None:
    """What is computed in place must have the array's own shape. Raises MXNetError."""
    if len(result.shape) > len(array.shape) and result.size == array.size:
        raise MXNetError(f"Shape inconsistent, Provided = {listed(array.shape)}, inferred shape={listed(result.shape)}")
    if result.shape != array.shape:
        raise MXNetError(
            "Check failed: l == 1 || r == 1: operands could not be broadcast together with shapes "
            f"{listed(array.shape)} {listed(result.shape)}"
        )


def listed(shape: Any) -> str:
    """[2,3] for (2, 3), as MXNet's messages have it."""
    return "[" + ",".join(map(str, shape)) + "]"


def number(value: Any, dtype: torch.dtype) -> Any:
    """A number in the array's dtype."""
    if dtype.is_floating_point:
        return float(value)
    if dtype is torch.bool:
        return bool(value)
    whole = int(value)
    limits = torch.iinfo(dtype)
    if not limits.min <= whole <= limits.max:
        whole = (whole - limits.min) % (limits.max - limits.min + 1) + limits.min
    return whole


# ---------------------------------------------------------------- an operator from a function


def _operator(function: Binary, run: Any = apply) -> Result:
    """``array (op) other`` from a function of tensors."""

    def operate(lhs: Core, rhs: Any) -> NDArray:
        if isinstance(rhs, Core):
            left, right = lhs.data, rhs.data
            if left.dtype is not right.dtype:
                check_dtypes(lhs, rhs)
            if left.shape != right.shape:
                check_shapes(lhs, rhs)
            return run(function, lhs, rhs)
        if isinstance(rhs, NUMBERS):
            scalar = number(rhs, lhs.data.dtype)
            return run(lambda tensor: function(tensor, scalar), lhs)
        raise TypeError(f"type {type(rhs)} not supported")

    return operate


def _reflected(function: Binary, run: Any = apply) -> Result:
    """``number (op) array`` from a function of tensors."""

    def operate(rhs: Core, lhs: Any) -> NDArray:
        if isinstance(lhs, NUMBERS):
            scalar = number(lhs, rhs.data.dtype)
            return run(lambda tensor: function(scalar, tensor), rhs)
        raise TypeError(f"type {type(lhs)} not supported")

    return operate


def _as_numbers(compare: Binary) -> Binary:
    """A comparison whose results are 0 and 1 in the dtype of what is compared."""

    def function(left: Any, right: Any) -> Tensor:
        dtype = left.dtype if isinstance(left, Tensor) else right.dtype
        return compare(left, right).to(dtype)

    return function


def _divide(left: Any, right: Any) -> Tensor:
    array = left if isinstance(left, Tensor) else right
    if array.dtype.is_floating_point:
        return torch.true_divide(left, right)
    if not (right.all() if isinstance(right, Tensor) else right):
        raise DivisionByZeroError(f"an array of {dtypes.name(array.dtype)} was divided by zero")
    return torch.div(_tensor(left, array), right, rounding_mode="trunc")


def _modulo(left: Any, right: Any) -> Tensor:
    """The remainder has the divisor's sign, and is 0 where the divisor is."""
    array = left if isinstance(left, Tensor) else right
    divisor = _tensor(right, array)
    zero = divisor == 0
    if not zero.any():
        return torch.remainder(_tensor(left, array), divisor)
    found = torch.remainder(_tensor(left, array), torch.where(zero, torch.ones_like(divisor), divisor))
    return torch.where(zero, torch.zeros_like(found), found)


def _power(left: Any, right: Any) -> Tensor:
    array = left if isinstance(left, Tensor) else right
    if array.dtype.is_floating_point:
        return torch.pow(left, right)
    exact = torch.pow(_tensor(left, array).double(), _tensor(right, array).double())
    return exact.to(array.dtype)


def _hypot(left: Any, right: Any) -> Tensor:
    array = left if isinstance(left, Tensor) else right
    return torch.hypot(_tensor(left, array), _tensor(right, array))


def _maximum(left: Any, right: Any) -> Tensor:
    array = left if isinstance(left, Tensor) else right
    return _Larger.apply(_tensor(left, array), _tensor(right, array))


def _minimum(left: Any, right: Any) -> Tensor:
    array = left if isinstance(left, Tensor) else right
    return _Smaller.apply(_tensor(left, array), _tensor(right, array))


def _tensor(value: Any, like: Tensor) -> Tensor:
    return value if isinstance(value, Tensor) else torch.full((), value, dtype=like.dtype)


class _Larger(torch.autograd.Function):
    """The larger of two numbers; where they are equal, the gradient is the first's."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor) -> Tensor:
        ctx.save_for_backward(left, right)
        return torch.where(left > right, left, torch.where(left.isnan(), left, right))

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Tensor, Tensor]:
        left, right = ctx.saved_tensors
        first = left >= right
        return (grad * first).sum_to_size(left.shape), (grad * ~first).sum_to_size(right.shape)


class _Smaller(torch.autograd.Function):
    """The smaller of two numbers; where they are equal, the gradient is the first's."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor) -> Tensor:
        ctx.save_for_backward(left, right)
        return torch.where(left < right, left, torch.where(left.isnan(), left, right))

    @staticmethod
    def backward(ctx: Any, grad: Any) -> tuple[Tensor, Tensor]:
        left, right = ctx.saved_tensors
        first = left <= right
        return (grad * first).sum_to_size(left.shape), (grad * ~first).sum_to_size(right.shape)


def _subtract(left: Any, right: Any) -> Tensor:
    return left - right


def _multiply(left: Any, right: Any) -> Tensor:
    return left * right


def _add(left: Any, right: Any) -> Tensor:
    return left + right


FUNCTIONS: dict[str, Binary] = {
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "divide": _divide,
    "modulo": _modulo,
    "power": _power,
    "maximum": _maximum,
    "minimum": _minimum,
    "hypot": _hypot,
}
COMPARISONS: dict[str, Binary] = {
    "equal": _as_numbers(lambda left, right: left == right),
    "not_equal": _as_numbers(lambda left, right: left != right),
    "greater": _as_numbers(lambda left, right: left > right),
    "greater_equal": _as_numbers(lambda left, right: left >= right),
    "lesser": _as_numbers(lambda left, right: left < right),
    "lesser_equal": _as_numbers(lambda left, right: left <= right),
    "logical_and": _as_numbers(lambda left, right: torch.logical_and(_bool(left), _bool(right))),
    "logical_or": _as_numbers(lambda left, right: torch.logical_or(_bool(left), _bool(right))),
    "logical_xor": _as_numbers(lambda left, right: torch.logical_xor(_bool(left), _bool(right))),
}


def _bool(value: Any) -> Tensor:
    return value != 0 if isinstance(value, Tensor) else torch.tensor(value != 0)


METHODS: dict[str, Result] = {
    **{name: _operator(function) for name, function in FUNCTIONS.items()},
    **{name: _operator(function, constant) for name, function in COMPARISONS.items()},
}
REFLECTED: dict[str, Result] = {
    **{name: _reflected(function) for name, function in FUNCTIONS.items()},
    "maximum": METHODS["maximum"],  # where a number and the array's are equal, the gradient is the array's
    "minimum": METHODS["minimum"],
    **{name: _reflected(function, constant) for name, function in COMPARISONS.items()},
}


def negative(data: Core) -> NDArray:
    """-data."""
    return apply(torch.neg, data)


def absolute(data: Core) -> NDArray:
    """|data|."""
    return apply(torch.abs, data)
