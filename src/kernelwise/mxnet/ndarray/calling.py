"""How MXNet's operators are called: they take ``out`` and ``name``, and refuse arguments they do not know."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from ..base import MXNetError
from .core import Core, is_array, plain

F = TypeVar("F", bound=Callable[..., Any])


def operator(function: F) -> F:
    """The function as an operator: ``out=`` gets its result, ``name=`` means nothing, and an argument that it does not
    have raises MXNetError, as does one missing. Arguments without a default and annotated Core must be arrays.
    """
    signature = inspect.signature(function)
    arrays = [name for name, one in signature.parameters.items() if one.annotation == "Core"]

    @functools.wraps(function)
    def call(*args: Any, out: Any = None, name: str | None = None, **kwargs: Any) -> Any:
        try:
            result = function(*args, **kwargs)
        except (TypeError, AttributeError) as error:
            reason = _reason(function.__name__, signature, arrays, args, kwargs, error)
            if reason is error:
                raise
            raise reason from None
        return result if out is None else put(out, result)

    return call  # type: ignore[return-value]


def put(out: Any, result: Any) -> Any:
    """The result of an operator called with ``out=``."""
    if isinstance(out, (list, tuple)):
        return [put(one, part) for one, part in zip(out, result, strict=True)]
    out[:] = result
    return out


def _reason(
    name: str, signature: inspect.Signature, arrays: list[str], args: Any, kwargs: Any, error: Exception
) -> Exception:
    """The error MXNet has for a call that could not be made."""
    for argument in kwargs:
        if argument not in signature.parameters:
            possible = "\n".join(signature.parameters)
            return MXNetError(f"Cannot find argument '{argument}', Possible Arguments:\n----------------\n{possible}")
    try:
        bound = signature.bind_partial(*args, **kwargs)
    except TypeError:
        return error
    for argument in arrays:
        value = bound.arguments.get(argument, inspect.Parameter.empty)
        if value is inspect.Parameter.empty:
            return MXNetError(f"Operator {name} needs the argument '{argument}', which was not given")
        if not is_array(value):
            return AssertionError(f"Argument {argument} must have NDArray type, but got {value}")
    return error


def several(arrays: tuple[Any, ...]) -> list[Core]:
    """The positional arguments of an operator of any number of arrays. Raises AssertionError."""
    for array in arrays:
        if not is_array(array):
            raise AssertionError(f"Positional arguments must have NDArray type, but got {array}")
    return list(arrays)


def copied(array: Core) -> Any:
    """The same numbers in memory of their own."""
    return plain(array.data.clone(), array.ctx)
