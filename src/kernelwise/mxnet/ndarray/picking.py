"""Numbers chosen by indices, which may be of any dtype: pick, take, one_hot, Embedding, sorting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..base import MXNetError
from . import dtypes
from .calling import operator
from .core import Core, apply, plain
from .graph import constant
from .operators import listed

if TYPE_CHECKING:
    from .array import NDArray


def bounded(indices: Tensor, size: int, mode: str) -> Tensor:
    """Indices as int64 inside an axis of ``size``: "clip" moves them to its ends, "wrap" counts round it.

    Raises MXNetError for "raise" and an index outside.
    """
    whole = indices.long()
    if mode == "clip":
        return whole.clamp(0, size - 1)
    if mode == "wrap":
        return whole.remainder(size)
    if mode == "raise":
        if whole.numel() and (int(whole.min()) < 0 or int(whole.max()) >= size):
            raise MXNetError(f"Check failed: take: an index is outside of the {size} places of the axis")
        return whole
    raise MXNetError(f"Invalid Input: '{mode}', valid values are: {{'clip', 'raise', 'wrap'}}")


@operator
def pick(data: Core, index: Core, axis: int = -1, keepdims: bool = False, mode: str = "clip") -> NDArray:
    """Of every line along an axis the number at its index."""
    along = axis % data.ndim
    rest = data.shape[:along] + data.shape[along + 1 :]
    if index.shape not in (rest, (*data.shape[:along], 1, *data.shape[along + 1 :])) and not (
        not rest and index.shape == (1,)
    ):
        raise MXNetError(f"Shape inconsistent, Provided = {listed(index.shape)}, inferred shape={listed(rest)}")
    where = bounded(index.data, data.shape[along], mode).reshape(rest).unsqueeze(along)

    def compute(tensor: Tensor) -> Tensor:
        found = tensor.gather(along, where)
        return found if keepdims else found.squeeze(along).reshape(rest or (1,))

    return apply(compute, data)


@operator
def take(a: Core, indices: Core, axis: int = 0, mode: str = "clip") -> NDArray:
    """Parts along an axis, at the indices: their axes stand where it stood."""
    along = axis % a.ndim
    where = bounded(indices.data, a.shape[along], mode)

    def compute(tensor: Tensor) -> Tensor:
        shape = (*tensor.shape[:along], *where.shape, *tensor.shape[along + 1 :])
        return tensor.index_select(along, where.reshape(-1)).reshape(shape)

    return apply(compute, a)


@operator
def batch_take(a: Core, indices: Core) -> NDArray:
    """Of every row the number at its index."""
    found: NDArray = pick(a, indices)
    return found


@operator
def gather_nd(data: Core, indices: Core) -> NDArray:
    """data[indices[0], indices[1], ...]."""
    where = tuple(indices.data.long())
    return apply(lambda tensor: tensor[where], data)


@operator
def scatter_nd(data: Core, indices: Core, shape: Any) -> NDArray:
    """Zeros of ``shape`` with the numbers put where the indices say."""
    where = tuple(indices.data.long())

    def compute(tensor: Tensor) -> Tensor:
        return torch.zeros(tuple(shape), dtype=tensor.dtype).index_put(where, tensor)

    return apply(compute, data)


@operator
def one_hot(
    indices: Core, depth: int, on_value: float = 1.0, off_value: float = 0.0, dtype: Any = "float32"
) -> NDArray:
    """A new last axis with ``on_value`` at the index; an index outside has none."""
    kind = dtypes.torch_dtype(dtype)
    places = torch.arange(depth)
    chosen = indices.data.long().unsqueeze(-1) == places
    on, off = torch.tensor(on_value).to(kind), torch.tensor(off_value).to(kind)
    return plain(torch.where(chosen, on, off), indices.ctx)


@operator
def Embedding(
    data: Core,
    weight: Core,
    input_dim: int | None = None,
    output_dim: int | None = None,
    dtype: Any = "float32",
    sparse_grad: bool = False,
) -> NDArray:
    """Rows of weight (input_dim, output_dim), at the indices."""
    if sparse_grad:
        raise NotImplementedError(
            "Embedding(sparse_grad=True): gradients are dense here; in PyTorch, Embedding(sparse=True)"
        )
    if (input_dim or weight.shape[0], output_dim or weight.shape[1]) != weight.shape:
        raise MXNetError(
            f"Shape inconsistent, Provided = {listed(weight.shape)}, inferred shape=({input_dim},{output_dim})"
        )
    where = bounded(data.data, weight.shape[0], "clip")
    return apply(lambda tensor: torch.nn.functional.embedding(where, tensor), weight)


# ---------------------------------------------------------------- sorting


@operator
def sort(data: Core, axis: int | None = -1, is_ascend: bool = True) -> NDArray:
    """In ascending order along an axis, or all numbers in one."""

    def compute(tensor: Tensor) -> Tensor:
        line, along = (tensor.reshape(-1), 0) if axis is None else (tensor, axis)
        return line.sort(dim=along, descending=not is_ascend, stable=True).values

    return apply(compute, data)


@operator
def argsort(data: Core, axis: int | None = -1, is_ascend: bool = True, dtype: Any = "float32") -> NDArray:
    """Where the numbers in ascending order come from."""
    kind = dtypes.torch_dtype(dtype)

    def compute(tensor: Tensor) -> Tensor:
        line, along = (tensor.reshape(-1), 0) if axis is None else (tensor, axis)
        return line.sort(dim=along, descending=not is_ascend, stable=True).indices.to(kind)

    return constant(compute, data)  # type: ignore[no-any-return]


@operator
def topk(
    data: Core,
    axis: int | None = -1,
    k: int = 1,
    ret_typ: str = "indices",
    is_ascend: bool = False,
    dtype: Any = "float32",
) -> Any:
    """The ``k`` largest along an axis, or smallest: their places, "value", "both", or a "mask" of ones."""
    if ret_typ not in ("both", "indices", "mask", "value"):
        raise MXNetError(f"Invalid Input: '{ret_typ}', valid values are: {{'both', 'indices', 'mask', 'value'}}")
    kind = dtypes.torch_dtype(dtype)
    along = 0 if axis is None else axis % data.ndim
    size = data.size if axis is None else data.shape[along]
    count = size if k < 1 else k
    if count > size:
        raise MXNetError(f"Check failed: k must be smaller than or equal to {size} (got {k})")

    def ordered(tensor: Tensor) -> Tensor:
        line = tensor.reshape(-1) if axis is None else tensor
        return line.sort(dim=along, descending=not is_ascend, stable=True).indices.narrow(along, 0, count)

    places = ordered(data.data)

    def values(tensor: Tensor) -> Tensor:
        return (tensor.reshape(-1) if axis is None else tensor).gather(along, places)

    def mask(tensor: Tensor) -> Tensor:
        line = tensor.reshape(-1) if axis is None else tensor
        return torch.zeros_like(line).scatter_(along, places, 1).reshape(tensor.shape)

    if ret_typ == "mask":
        return constant(mask, data)
    if ret_typ == "indices":
        return constant(lambda _: places.to(kind), data)
    found = apply(values, data)
    return found if ret_typ == "value" else [found, constant(lambda _: places.to(kind), data)]


@operator
def SequenceMask(
    data: Core,
    sequence_length: Core | None = None,
    use_sequence_length: bool = False,
    value: float = 0.0,
    axis: int = 0,
) -> NDArray:
    """Places beyond each sequence's length along ``axis``, 0 or 1, become ``value``; the other is the batch."""
    if not use_sequence_length or sequence_length is None:
        return apply(torch.clone, data)
    places = torch.arange(data.shape[axis])
    lengths = sequence_length.data.long()
    beyond = places[:, None] >= lengths if axis == 0 else places >= lengths[:, None]
    shape = (*beyond.shape, *(1,) * (data.ndim - 2))
    return apply(lambda tensor: tensor.masked_fill(beyond.view(shape), value), data)
