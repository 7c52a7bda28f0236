"""Arrays from lists, from NumPy, and from nothing. What is not said to be of another dtype becomes float32."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from ..base import MXNetError
from ..context import Context, usable
from . import dtypes
from .core import Core, plain
from .graph import constant

if TYPE_CHECKING:
    from .array import NDArray


def array(source_array: Any, ctx: Context | None = None, dtype: Any = None) -> NDArray:
    """An array of the numbers of a list, a NumPy array or an NDArray: float32, an NDArray's own dtype, or ``dtype``.

    Raises TypeError for what holds no numbers.
    """
    where = usable(ctx)
    if isinstance(source_array, Core):
        kind = source_array.data.dtype if dtype is None else dtypes.torch_dtype(dtype)
        return plain(source_array.data.to(kind, copy=True), where)
    kind = dtypes.torch_dtype(dtype)
    if isinstance(source_array, torch.Tensor):
        return plain(source_array.detach().to(kind, copy=True).contiguous(), where)
    try:
        numbers = np.array(source_array, dtype=dtypes.NUMPY[kind], order="C")
    except (TypeError, ValueError):
        if isinstance(source_array, (list, tuple)) and any(isinstance(part, Core) for part in source_array):
            return array([part.data.numpy() if isinstance(part, Core) else part for part in source_array], ctx, dtype)
        raise TypeError("source_array must be array like object") from None
    return plain(torch.from_numpy(numbers), where)


def shape_of(shape: Any, operator: str, dtype: Any, ctx: Context) -> tuple[int, ...]:
    """A shape to make. Raises MXNetError where it has an axis without places, or no axes."""
    if isinstance(shape, (int, np.integer)):
        sizes: tuple[int, ...] = (int(shape),)
    elif isinstance(shape, (tuple, list)):
        sizes = tuple(int(size) for size in shape)
    else:
        raise MXNetError(
            f"Invalid Parameter format for shape expect Shape(tuple) but value='{shape}', in operator "
            f'{operator}(name="", dtype="{dtype}", ctx="{ctx}", shape="{shape}")'
        )
    if not sizes or min(sizes) < 1:
        known = listed(sizes) if sizes else "None"
        raise MXNetError(
            f"Operator {operator} inferring shapes failed.\ninput shapes:\noutput shapes:\n{known}\noperator "
            f"attributes:\ndtype : {dtype}\nctx : {ctx}\nshape : {sizes}\n\n"
            "Every axis of an array must have at least one place. (Does a kernel not fit into its image?)"
        )
    return sizes


def listed(sizes: tuple[int, ...]) -> str:
    """[2,-1] for (2, 0): an axis without places counts as unknown."""
    return "[" + ",".join(str(size if size > 0 else -1) for size in sizes) + "]"


def _filled(operator: str, shape: Any, value: Any, ctx: Context | None, dtype: Any) -> NDArray:
    where = usable(ctx)
    kind = dtypes.torch_dtype(dtype)
    return plain(torch.full(shape_of(shape, operator, dtypes.name(kind), where), value, dtype=kind), where)


def zeros(
    shape: Any, ctx: Context | None = None, dtype: Any = None, stype: str | None = None, **kwargs: Any
) -> NDArray:
    """An array of zeros. Raises MXNetError for a shape with a size below 1."""
    _dense("zeros", stype)
    return _filled("_zeros", shape, 0, ctx, dtype)


def ones(shape: Any, ctx: Context | None = None, dtype: Any = None, **kwargs: Any) -> NDArray:
    """An array of ones. Raises MXNetError for a shape with a size below 1."""
    return _filled("_ones", shape, 1, ctx, dtype)


def full(shape: Any, val: Any, ctx: Context | None = None, dtype: Any = None, out: Any = None) -> NDArray:
    """An array of one number."""
    kind = dtypes.torch_dtype(dtype)
    made = _filled("_full", shape, val if kind.is_floating_point else int(val), ctx, dtype)
    if out is None:
        return made
    out.data.copy_(made.data)
    found: NDArray = out
    return found


def empty(shape: Any, ctx: Context | None = None, dtype: Any = None, stype: str | None = None) -> NDArray:
    """An array to be written to. Here it holds zeros."""
    _dense("empty", stype)
    return _filled("_zeros", shape, 0, ctx, dtype)


def arange(
    start: Any,
    stop: Any = None,
    step: Any = 1.0,
    repeat: int = 1,
    infer_range: bool | None = None,
    ctx: Context | None = None,
    dtype: Any = "float32",
) -> NDArray:
    """start, start + step, ... below ``stop``; with one number, from 0 to it. Each ``repeat`` times."""
    first, last = (0.0, start) if stop is None else (start, stop)
    count = max(0, int(np.ceil((last - first) / step)))
    if count == 0:
        raise MXNetError(f"Invalid range (start, stop, step) = ({first},{last},{step})")
    kind = dtypes.torch_dtype(dtype)
    numbers = torch.from_numpy(first + np.arange(count, dtype=np.float64) * step).to(kind)
    return plain(numbers.repeat_interleave(repeat) if repeat != 1 else numbers, usable(ctx))


def linspace(
    start: float, stop: float, num: int, endpoint: bool = True, ctx: Context | None = None, dtype: Any = "float32"
) -> NDArray:
    """``num`` numbers at equal distances from ``start`` to ``stop``."""
    numbers = np.linspace(start, stop, num, endpoint).astype(dtypes.NUMPY[dtypes.torch_dtype(dtype)])
    return plain(torch.from_numpy(numbers), usable(ctx))


def eye(N: int, M: int = 0, k: int = 0, ctx: Context | None = None, dtype: Any = None, **kwargs: Any) -> NDArray:
    """Ones on the diagonal ``k`` of (N, M or N) zeros."""
    numbers = np.eye(N, M or None, k, dtype=dtypes.NUMPY[dtypes.torch_dtype(dtype)])
    return plain(torch.from_numpy(numbers), usable(ctx))


def zeros_like(data: Core, **kwargs: Any) -> NDArray:
    """Zeros of the same shape and dtype."""
    return constant(torch.zeros_like, data)  # type: ignore[no-any-return]


def ones_like(data: Core, **kwargs: Any) -> NDArray:
    """Ones of the same shape and dtype."""
    return constant(torch.ones_like, data)  # type: ignore[no-any-return]


def from_numpy(ndarray: np.ndarray, zero_copy: bool = True) -> NDArray:
    """An array of NumPy's numbers in their own dtype; with ``zero_copy`` in the same memory."""
    if zero_copy and not ndarray.flags["C_CONTIGUOUS"]:
        raise ValueError("Only c-contiguous arrays are supported for zero-copy")
    tensor = torch.from_numpy(ndarray if zero_copy else ndarray.copy())
    return plain(tensor)


def _dense(function: str, stype: str | None) -> None:
    if stype not in (None, "default"):
        raise NotImplementedError(f"nd.{function}(stype={stype!r}): arrays are dense here; PyTorch has torch.sparse")
