"""A block's parameters in a file, under where they are in the network: "0.weight"."""

from __future__ import annotations

from typing import Any

from .. import ndarray as nd
from .parameter_dict import brief


def save_parameters(self: Any, filename: str, deduplicate: bool = False) -> None:
    """Writes all parameters to a file, which `load_parameters` of a like block reads.

    ``deduplicate``: a parameter that is in several places is written once.
    """
    params = self._collect_params_with_prefix()
    if deduplicate:
        first = {id(one): name for name, one in reversed(params.items())}
        params = {name: one for name, one in params.items() if first[id(one)] == name}
    nd.save(filename, {name: one._mean() for name, one in params.items()})


def load_parameters(
    self: Any,
    filename: str,
    ctx: Any = None,
    allow_missing: bool = False,
    ignore_extra: bool = False,
    cast_dtype: bool = False,
    dtype_source: str = "current",
) -> None:
    """Reads parameters from a file of `save_parameters`.

    allow_missing, ignore_extra : whether the file may hold fewer parameters than the block has, or others too.
    cast_dtype : whether dtypes may differ; then the block's own ("current") is kept, or the file's ("saved").

    Raises AssertionError where a parameter is missing, ValueError for one too many.
    """
    arrays = nd.load(filename)
    params = self._collect_params_with_prefix()
    if not arrays and not params:
        return
    if not any("." in name for name in arrays):  # written under the parameters' own names
        self.collect_params().load(filename, ctx, allow_missing, ignore_extra, self.prefix, cast_dtype, dtype_source)
        return
    if not allow_missing:
        present = {id(params[name]) for name in arrays if name in params}
        for name, one in params.items():
            if id(one) not in present:
                raise AssertionError(
                    f"Parameter '{name}' is missing in file '{filename}', which contains parameters: {brief(arrays)}. "
                    "Set allow_missing=True to ignore missing parameters."
                )
    for name, one in arrays.items():
        if name in params:
            params[name].load(one, ctx, cast_dtype, dtype_source)
        elif not ignore_extra:
            raise ValueError(
                f"Parameter '{name}' loaded from file '{filename}' is not present in ParameterDict, which contains "
                f"parameters {brief(params)}. Set ignore_extra=True to ignore. "
            )
