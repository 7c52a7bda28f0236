"""The errors of the door, named and derived as MXNet's are.

MXNetError                 (RuntimeError)        what MXNet's operators refuse
 +-- DivisionByZeroError   (ZeroDivisionError)   an integer array divided by zero, which ends MXNet's process
"""

from __future__ import annotations

from typing import Any

import numpy as np

numeric_types = (float, int, np.generic)
integer_types = (int, np.int32, np.int64)
string_types = (str,)


class MXNetError(RuntimeError):
    """An operator was given what it does not take, or a gradient was asked for that nothing recorded."""


class DivisionByZeroError(MXNetError, ZeroDivisionError):
    """An integer array was divided by zero."""


class NotImplementedForSymbol(MXNetError):
    """Kept for programs that name it: this door has arrays only, no symbols."""

    def __init__(self, function: Any, alias: str | None, *args: Any) -> None:
        super().__init__(f"{alias or function} is not implemented for Symbol and only available in NDArray.")


class NotSupportedForSparseNDArray(MXNetError):
    """Kept for programs that name it: this door has dense arrays only."""

    def __init__(self, function: Any, alias: str | None, *args: Any) -> None:
        super().__init__(f"{alias or function} is not supported for SparseNDArray and only available in NDArray.")
