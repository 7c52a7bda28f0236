"""gluon.utils: batches shared among contexts, gradients kept from growing."""

from __future__ import annotations

import hashlib
import itertools
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import ndarray as nd
from ..context import Context
from ..ndarray.core import Core, plain
from ..uncovered import lookup, table
from .parameter import is_known as shape_is_known

__all__ = ["check_sha1", "clip_global_norm", "shape_is_known", "split_and_load", "split_data"]

_UNCOVERED = table("gluon.utils.", "download: urllib.request.urlretrieve, or torch.hub.download_url_to_file")


def __getattr__(name: str) -> Any:
    return lookup(__name__, _UNCOVERED, name)


def split_data(data: Core, num_slice: int, batch_axis: int = 0, even_split: bool = True) -> list[Any]:
    """A batch in ``num_slice`` parts; the first ones may be larger by one unless they must be even.

    Raises ValueError where they cannot be.
    """
    size = data.shape[batch_axis]
    if even_split and size % num_slice != 0:
        raise ValueError(
            f"data with shape {data.shape} cannot be evenly split into {num_slice} slices along axis {batch_axis}. Use "
            f"a batch size that's multiple of {num_slice} or set even_split=False to allow uneven partitioning of data."
        )
    each, more = divmod(size, num_slice)
    edges = [0, *itertools.accumulate(each + (part < more) for part in range(num_slice))]
    parts = []
    for first, last in itertools.pairwise(edges):
        if last == first:
            parts.append(plain(data.data.narrow(batch_axis, first, 0), data.context))
        elif batch_axis == 0:
            parts.append(data[first:last])  # type: ignore[index]
        else:
            parts.append(nd.slice_axis(data, batch_axis, first, last))
    return parts


def split_and_load(data: Any, ctx_list: Sequence[Context], batch_axis: int = 0, even_split: bool = True) -> list[Any]:
    """A batch in as many parts as there are contexts, each on its own."""
    if not isinstance(data, Core):
        data = nd.array(data, ctx=ctx_list[0])
    if len(ctx_list) == 1:
        return [data.as_in_context(ctx_list[0])]
    parts = split_data(data, len(ctx_list), batch_axis, even_split)
    return [part.as_in_context(ctx) for part, ctx in zip(parts, ctx_list, strict=True)]


def clip_global_norm(arrays: list[Any], max_norm: float, check_isfinite: bool = True) -> float:
    """Makes arrays smaller, all by one factor, so that the norm of them together is at most ``max_norm``.

    Returns the norm before. Warns where it is not finite.
    """
    if not arrays:
        raise AssertionError("`arrays` must have at least one array")
    norm = math.sqrt(sum(float((one.data.double() ** 2).sum()) for one in arrays))
    if check_isfinite and not math.isfinite(norm):
        warnings.warn(UserWarning("nan or inf is detected. Clipping results will be undefined."), stacklevel=2)
    scale = max_norm / (norm + 1e-8)
    if scale < 1.0:
        for one in arrays:
            one *= scale
    return norm


def check_sha1(filename: str, sha1_hash: str) -> bool:
    """Whether a file has this SHA-1 digest."""
    return hashlib.sha1(Path(filename).read_bytes()).hexdigest() == sha1_hash
