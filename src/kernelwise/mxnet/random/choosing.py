"""Whole numbers, orders and choices at random."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..base import MXNetError, integer_types
from ..context import Context
from ..ndarray import dtypes
from ..ndarray.calling import put
from ..ndarray.core import Core, need, plain
from ..ndarray.creation import shape_of
from .samplers import check_out, context, known
from .state import GENERATOR

if TYPE_CHECKING:
    from ..ndarray.array import NDArray


def randint(
    low: int, high: int, shape: Any = None, dtype: Any = None, ctx: Context | None = None, out: Any = None,
    **kwargs: Any,
) -> NDArray:  # fmt: skip
    """Whole numbers from ``low`` to below ``high``: int32, or int64. Raises MXNetError where there are none."""
    known(kwargs, "randint")
    for name, value in (("low", low), ("high", high)):
        if not isinstance(value, integer_types):
            raise MXNetError(f"Invalid Parameter format for {name} expect long but value='{value}'")
    if low >= high:
        raise MXNetError(
            f"Check failed: low must be less than high (got {low} and {high}), in operator _random_randint"
        )
    if dtype is None or dtype == "None":
        dtype = np.int32 if out is None else out.dtype
    kind = dtypes.torch_dtype(dtype)
    if kind not in (torch.int32, torch.int64):
        raise MXNetError(f"Invalid Input: '{dtypes.name(kind)}', valid values are: {{'None', 'int32', 'int64'}}")
    if shape is None:
        shape = (1,) if out is None else out.shape
    where = context(ctx)
    sizes = shape_of(shape, "_random_randint", dtypes.name(kind), where)
    check_out(sizes, out)
    numbers = GENERATOR.integers(int(low), int(high), int(np.prod(sizes)))
    made = plain(torch.from_numpy(numbers).to(kind).reshape(sizes), where)
    return made if out is None else put(out, made)  # type: ignore[no-any-return]


def shuffle(data: Core, out: Any = None, **kwargs: Any) -> NDArray:
    """The parts along the first axis in random order."""
    known(kwargs, "shuffle")
    need("data", data)
    order = GENERATOR.order(data.shape[0], rows=data.ndim > 1)
    made = plain(data.data[torch.from_numpy(order)], data.context)
    return made if out is None else put(out, made)  # type: ignore[no-any-return]


def multinomial(
    data: Core, shape: Any = None, get_prob: bool = False, out: Any = None, dtype: Any = "int32", **kwargs: Any
) -> NDArray:
    """Places of ``data`` (k,), or of every row of (n, k), chosen with the probabilities that stand there.

    The result has shape ``shape``, after the axis of rows if there is one.
    """
    known(kwargs, "multinomial")
    need("data", data)
    if get_prob:
        raise NotImplementedError("multinomial(get_prob=True): in PyTorch, torch.distributions.Categorical.log_prob")
    rows = data.data.reshape(-1, data.shape[-1]).to(torch.float32).numpy()
    where = data.context
    inner = () if shape is None else shape_of(shape, "_sample_multinomial", dtype, where)
    chosen = GENERATOR.choose(rows, int(np.prod(inner)))
    sizes = (*data.shape[:-1], *inner) or (1,)
    made = plain(torch.from_numpy(chosen).to(dtypes.torch_dtype(dtype)).reshape(sizes), where)
    return made if out is None else put(out, made)  # type: ignore[no-any-return]
