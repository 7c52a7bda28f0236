"""nd.add and its like: arithmetic and comparison by name.

`add` takes arrays, which broadcast, and numbers; `broadcast_add` arrays only; `elemwise_add` arrays of one shape.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .calling import operator
from .core import Core, need
from .operators import METHODS, NUMBERS, REFLECTED, check_same


def _named(name: str) -> Callable[[Any, Any], Any]:
    method, reflected = METHODS[name], REFLECTED[name]

    def operate(lhs: Any, rhs: Any) -> Any:
        if isinstance(lhs, Core):
            return method(lhs, rhs)
        if isinstance(rhs, Core):
            return reflected(rhs, lhs)
        if isinstance(lhs, NUMBERS) and isinstance(rhs, NUMBERS):
            return SCALARS[name](lhs, rhs)
        raise TypeError(f"type {type(lhs if not isinstance(lhs, NUMBERS) else rhs)} not supported")

    operate.__name__ = operate.__qualname__ = name
    operate.__doc__ = f"`{name}` of two arrays, which broadcast, or of an array and a number."
    return operate


SCALARS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda a, b: a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "modulo": lambda a, b: a % b,
    "power": lambda a, b: a**b,
    "maximum": lambda a, b: a if a > b else b,
    "minimum": lambda a, b: a if a < b else b,
    "hypot": np.hypot,
    "equal": lambda a, b: 1.0 if a == b else 0.0,
    "not_equal": lambda a, b: 1.0 if a != b else 0.0,
    "greater": lambda a, b: 1.0 if a > b else 0.0,
    "greater_equal": lambda a, b: 1.0 if a >= b else 0.0,
    "lesser": lambda a, b: 1.0 if a < b else 0.0,
    "lesser_equal": lambda a, b: 1.0 if a <= b else 0.0,
    "logical_and": lambda a, b: 1.0 if a and b else 0.0,
    "logical_or": lambda a, b: 1.0 if a or b else 0.0,
    "logical_xor": lambda a, b: 1.0 if bool(a) != bool(b) else 0.0,
}

add = _named("add")
subtract = _named("subtract")
multiply = _named("multiply")
divide = true_divide = _named("divide")
modulo = _named("modulo")
power = _named("power")
maximum = _named("maximum")
minimum = _named("minimum")
equal = _named("equal")
not_equal = _named("not_equal")
greater = _named("greater")
greater_equal = _named("greater_equal")
lesser = _named("lesser")
lesser_equal = _named("lesser_equal")
logical_and = _named("logical_and")
logical_or = _named("logical_or")
logical_xor = _named("logical_xor")


def _broadcast(name: str) -> Any:
    method = METHODS[name]

    def operate(lhs: Core, rhs: Core) -> Any:
        return method(need("lhs", lhs), need("rhs", rhs))

    operate.__name__ = operate.__qualname__ = f"broadcast_{name}"
    operate.__doc__ = f"`{name}` of two arrays, which broadcast."
    return operator(operate)


def _elementwise(name: str) -> Any:
    method = METHODS[name]

    def operate(lhs: Core, rhs: Core) -> Any:
        check_same(need("lhs", lhs), need("rhs", rhs))
        return method(lhs, rhs)

    operate.__name__ = operate.__qualname__ = f"elemwise_{name}"
    operate.__doc__ = f"`{name}` of two arrays of one shape."
    return operator(operate)


broadcast_add = broadcast_plus = _broadcast("add")
broadcast_sub = broadcast_minus = _broadcast("subtract")
broadcast_mul = _broadcast("multiply")
broadcast_div = _broadcast("divide")
broadcast_mod = _broadcast("modulo")
broadcast_power = _broadcast("power")
broadcast_maximum = _broadcast("maximum")
broadcast_minimum = _broadcast("minimum")
broadcast_hypot = _broadcast("hypot")
broadcast_equal = _broadcast("equal")
broadcast_not_equal = _broadcast("not_equal")
broadcast_greater = _broadcast("greater")
broadcast_greater_equal = _broadcast("greater_equal")
broadcast_lesser = _broadcast("lesser")
broadcast_lesser_equal = _broadcast("lesser_equal")
broadcast_logical_and = _broadcast("logical_and")
broadcast_logical_or = _broadcast("logical_or")
broadcast_logical_xor = _broadcast("logical_xor")
elemwise_add = _elementwise("add")
elemwise_sub = _elementwise("subtract")
elemwise_mul = _elementwise("multiply")
elemwise_div = _elementwise("divide")
