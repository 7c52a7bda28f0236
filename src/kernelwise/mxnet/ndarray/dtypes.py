"""MXNet's names of dtypes (NumPy's classes) and torch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

NUMPY: dict[torch.dtype, type[np.generic]] = {
    torch.float16: np.float16,
    torch.float32: np.float32,
    torch.float64: np.float64,
    torch.uint8: np.uint8,
    torch.int8: np.int8,
    torch.int32: np.int32,
    torch.int64: np.int64,
    torch.bool: np.bool_,
}
TORCH: dict[np.dtype, torch.dtype] = {np.dtype(kind): dtype for dtype, kind in NUMPY.items()}
_REMEMBERED: dict[Any, torch.dtype] = {None: torch.float32}


def torch_dtype(dtype: Any) -> torch.dtype:
    """From anything that numpy.dtype() takes; None is float32.

    Raises TypeError for what is no dtype, and for one that MXNet does not have.
    """
    try:
        return _REMEMBERED[dtype]
    except (KeyError, TypeError):
        pass
    known = np.dtype(dtype)
    if known not in TORCH:
        names = ", ".join(kind.name for kind in TORCH)
        raise TypeError(f"`dtype` must be one of {names} (got {known.name})")
    if isinstance(dtype, (str, type, np.dtype)):
        _REMEMBERED[dtype] = TORCH[known]
    return TORCH[known]


def name(dtype: torch.dtype) -> str:
    """float32 for torch.float32."""
    return str(dtype).removeprefix("torch.")


def is_integer(dtype: torch.dtype) -> bool:
    """Whether arithmetic on it is that of whole numbers; bool's is too."""
    return not dtype.is_floating_point
