"""Products of matrices: dot, batch_dot and the layer that is one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as own

from ..base import MXNetError
from .calling import operator
from .core import Core, apply
from .operators import check_dtypes, listed
from .reductions import shaped

if TYPE_CHECKING:
    from .array import NDArray


@operator
def dot(lhs: Core, rhs: Core, transpose_a: bool = False, transpose_b: bool = False) -> NDArray:
    """The last axis of ``lhs`` with the first of ``rhs``; transposed, the first with the last. Raises MXNetError."""
    check_dtypes(lhs, rhs)
    left = (lhs.ndim - 1) if not transpose_a or lhs.ndim == 1 else 0
    right = 0 if not transpose_b or rhs.ndim == 1 else rhs.ndim - 1
    if lhs.shape[left] != rhs.shape[right]:
        raise MXNetError(
            f"Check failed: L[!Ta].Size() == R[Tb].Size() ({lhs.shape[left]} vs. {rhs.shape[right]}) : "
            f"dot shape error: {listed(lhs.shape)} X {listed(rhs.shape)}"
        )

    def compute(a: Tensor, b: Tensor) -> Tensor:
        if a.ndim <= 2 and b.ndim <= 2:
            return shaped(
                torch.matmul(a.T if transpose_a and a.ndim == 2 else a, b.T if transpose_b and b.ndim == 2 else b)
            )
        return shaped(torch.tensordot(a, b, ([left], [right])))

    return apply(compute, lhs, rhs)


@operator
def batch_dot(lhs: Core, rhs: Core, transpose_a: bool = False, transpose_b: bool = False) -> NDArray:
    """(n, i, k) by (n, k, j): a product of matrices for every n. Raises MXNetError."""
    check_dtypes(lhs, rhs)
    fits = lhs.ndim == rhs.ndim and lhs.ndim >= 3 and lhs.shape[:-2] == rhs.shape[:-2]
    if not fits or lhs.shape[-2 if transpose_a else -1] != rhs.shape[-1 if transpose_b else -2]:
        raise MXNetError(f"Check failed: batch_dot shape error: {listed(lhs.shape)} X {listed(rhs.shape)}")

    def compute(a: Tensor, b: Tensor) -> Tensor:
        return torch.matmul(a.mT if transpose_a else a, b.mT if transpose_b else b).contiguous()

    return apply(compute, lhs, rhs)


@operator
def FullyConnected(
    data: Core,
    weight: Core | None = None,
    bias: Core | None = None,
    num_hidden: int | None = None,
    no_bias: bool = False,
    flatten: bool = True,
) -> NDArray:
    """data (n, ...) times the transpose of weight (num_hidden, the size of ...), plus bias: (n, num_hidden).

    Without ``flatten`` only the last axis of ``data`` is multiplied. Raises MXNetError.
    """
    if num_hidden is None:
        raise MXNetError("Required parameter num_hidden of int is not presented, in operator FullyConnected")
    if num_hidden < 1:
        raise MXNetError(
            f"value {num_hidden} for Parameter num_hidden should be greater equal to 1\nnum_hidden: Number of hidden "
            "nodes of the output., in operator FullyConnected"
        )
    given = [array for array in (data, weight, None if no_bias else bias) if array is not None]
    wanted = 2 if no_bias else 3
    if len(given) != wanted:
        raise MXNetError(
            f"Check failed: num_inputs == infered_num_inputs ({len(given)} vs. {wanted}) : Operator FullyConnected "
            f"expects {wanted} inputs, but got {len(given)} instead."
        )
    for place, array in enumerate(given):
        check_dtypes(data, array, place)
    columns = math.prod(data.shape[1:]) if flatten else data.shape[-1]
    for array, expected in zip(given[1:], ((num_hidden, columns), (num_hidden,)), strict=False):
        if array.shape != expected:
            inferred = ",".join(map(str, expected))
            raise MXNetError(f"Shape inconsistent, Provided = {listed(array.shape)}, inferred shape=({inferred})")

    def compute(x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
        return own.linear(x.reshape(x.shape[0], -1) if flatten else x, w, b)

    return apply(compute, *given)
