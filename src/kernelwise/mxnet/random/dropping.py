"""nd.Dropout: some numbers set to zero, the others made larger for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..base import MXNetError
from ..ndarray import dtypes
from ..ndarray.calling import operator
from ..ndarray.core import Core, apply
from ..recording import STATE
from .numbers import f32, single
from .state import GENERATOR

if TYPE_CHECKING:
    from ..ndarray.array import NDArray


@operator
def Dropout(data: Core, p: float = 0.5, mode: str = "training", axes: Any = (), cudnn_off: bool = False) -> NDArray:
    """Numbers are zero with probability ``p``, and times 1 / (1 - p) otherwise: in training, or always.

    mode : "training", which leaves everything as it is outside of training, or "always".
    axes : along these all numbers share one fate.

    Raises MXNetError for a ``p`` outside [0, 1] and for whole numbers.
    """
    if mode not in ("always", "training"):
        raise MXNetError(f"Invalid Input: '{mode}', valid values are: {{'always', 'training'}}, in operator Dropout")
    if not 0 <= p <= 1:
        raise MXNetError(
            f"value {p} for Parameter p exceed bound [0,1]\np: Fraction of the input that gets dropped out during "
            f'training time., in operator Dropout(name="", p="{p}")'
        )
    if not data.data.dtype.is_floating_point:
        kind = dtypes.name(data.data.dtype)
        raise MXNetError(f"This operation only support floating point types, not {kind}")
    if p == 0 or not (STATE.training or mode == "always"):
        return apply(torch.clone, data)
    along = {axis % data.ndim for axis in ((axes,) if isinstance(axes, int) else axes)}
    shape = tuple(1 if axis in along else size for axis, size in enumerate(data.shape))
    factors = torch.from_numpy(_factors(p, int(np.prod(shape)), data.dtype)).reshape(shape)
    return apply(lambda x: x * factors, data)


def _factors(p: float, count: int, dtype: Any) -> np.ndarray:
    """Zeros, and 1 / (1 - p) in single precision: (count,)."""
    kept = f32(1) - single(p)
    drawn = GENERATOR.unit(count, dtype).astype(np.float32, copy=False)
    with np.errstate(divide="ignore", invalid="ignore"):
        return ((drawn < kept) * (f32(1) / kept)).astype(dtype, copy=False)  # type: ignore[no-any-return]
