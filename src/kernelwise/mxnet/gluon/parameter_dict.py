"""Parameters by name, in the order in which they were made."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import Any

import numpy as np

from .. import initializer
from .. import ndarray as nd
from ..context import Context
from .parameter import Constant, Parameter, is_known


class ParameterDict:
    """Names that begin with ``prefix``, and parameters; those of ``shared`` are found too."""

    def __init__(self, prefix: str = "", shared: ParameterDict | None = None) -> None:
        self._prefix = prefix
        self._params: dict[str, Parameter] = {}
        self.shared = shared

    @property
    def prefix(self) -> str:
        """What all names that `get` makes begin with."""
        return self._prefix

    def __repr__(self) -> str:
        name = self._prefix + " " if self._prefix else ""
        lines = "\n".join(f"  {one}" for one in self._params.values())
        return f"{name}(\n{lines}\n)"

    def __getitem__(self, key: str) -> Parameter:
        return self._params[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._params)

    def __contains__(self, key: str) -> bool:
        return key in self._params

    def __len__(self) -> int:
        return len(self._params)

    def items(self) -> ItemsView[str, Parameter]:
        """Names and parameters."""
        return self._params.items()

    def keys(self) -> KeysView[str]:
        """Names."""
        return self._params.keys()

    def values(self) -> ValuesView[Parameter]:
        """Parameters."""
        return self._params.values()

    # -- making them

    def get(self, name: str, **kwargs: Any) -> Parameter:
        """The parameter ``prefix + name``; made with ``kwargs`` if there is none yet.

        Raises AssertionError where the one that is there is not like that.
        """
        name = self._prefix + name
        found = self._find(name)
        if found is None:
            found = self._params[name] = Parameter(name, **kwargs)
            return found
        for key, value in kwargs.items():
            _agree(found, key, value)
        return found

    def get_constant(self, name: str, value: Any = None) -> Constant:
        """The constant ``prefix + name``; made of ``value`` if there is none yet."""
        name = self._prefix + name
        found = self._find(name)
        if found is None:
            if value is None:
                raise KeyError(
                    f"No constant named '{name}'. Please specify value if you want to create a new constant."
                )
            found = self._params[name] = Constant(name, value)
        if not isinstance(found, Constant):
            raise AssertionError(f"Parameter '{name}' already exists but it is not a constant.")
        if value is not None:
            numbers = value.asnumpy() if hasattr(value, "asnumpy") else np.asarray(value)
            if numbers.shape != found.value.shape or (numbers != found.value.asnumpy()).any():
                raise AssertionError(f"Constant '{name}' already exists but it's value doesn't match new value")
        return found

    def _find(self, name: str) -> Parameter | None:
        if name in self._params:
            return self._params[name]
        if self.shared is not None and (found := self.shared._find(name)) is not None:
            self._params[name] = found
            return found
        return None

    def update(self, other: Any) -> None:
        """Another's parameters too. Raises AssertionError where two have one name."""
        for name, one in other.items():
            if self._params.get(name, one) is not one:
                raise AssertionError(
                    f"Cannot update self with other because they have different Parameters with the same name '{name}'"
                )
        self._params.update(other.items())

    # -- doing something with all of them

    def initialize(self, init: Any = None, ctx: Any = None, verbose: bool = False, force_reinit: bool = False) -> None:
        """`Parameter.initialize` with a default initializer."""
        default = initializer.Uniform() if init is None else init
        for one in self.values():
            one.initialize(None, ctx, default, force_reinit=force_reinit)

    def zero_grad(self) -> None:
        """Gradients of zeros."""
        for one in self.values():
            one.zero_grad()

    def reset_ctx(self, ctx: Any) -> None:
        """From now on on other contexts."""
        for one in self.values():
            one.reset_ctx(ctx)

    def list_ctx(self) -> list[Context]:
        """All contexts that any of them is on."""
        found: dict[Context, None] = {}
        for one in self.values():
            found.update(dict.fromkeys(one.list_ctx()))
        return list(found)

    def setattr(self, name: str, value: Any) -> None:
        """One attribute of all: ``setattr("grad_req", "null")``."""
        for one in self.values():
            setattr(one, name, value)

    # -- files

    def save(self, filename: str, strip_prefix: str = "") -> None:
        """Into a file, under their names without ``strip_prefix``. Raises ValueError where one does not begin so."""
        arrays = {}
        for one in self.values():
            if not one.name.startswith(strip_prefix):
                raise ValueError(
                    f"Prefix '{strip_prefix}' is to be striped before saving, but Parameter's name '{one.name}' does "
                    f"not start with '{strip_prefix}'. this may be due to your Block shares parameters from other "
                    "Blocks or you forgot to use 'with name_scope()' when creating child blocks."
                )
            arrays[one.name[len(strip_prefix) :]] = one._mean()
        nd.save(filename, arrays)

    def load(
        self,
        filename: str,
        ctx: Any = None,
        allow_missing: bool = False,
        ignore_extra: bool = False,
        restore_prefix: str = "",
        cast_dtype: bool = False,
        dtype_source: str = "current",
    ) -> None:
        """From a file. Raises AssertionError where names differ, unless that is allowed."""
        self.load_dict(
            nd.load(filename), ctx, allow_missing, ignore_extra, restore_prefix, filename, cast_dtype, dtype_source
        )

    def load_dict(
        self,
        param_dict: Any,
        ctx: Any = None,
        allow_missing: bool = False,
        ignore_extra: bool = False,
        restore_prefix: str = "",
        filename: str | None = None,
        cast_dtype: bool = False,
        dtype_source: str = "current",
    ) -> None:
        """From arrays by name."""
        for name in self.keys():
            if restore_prefix and not name.startswith(restore_prefix):
                raise AssertionError(
                    f"restore_prefix is '{restore_prefix}' but Parameters name '{name}' does not start with "
                    f"'{restore_prefix}'."
                )
        where = f"file '{filename}'" if filename else "param_dict"
        arrays = {restore_prefix + name.partition(":")[2] if ":" in name else restore_prefix + name: one
                  for name, one in param_dict.items()}  # fmt: skip
        for name in self.keys():
            if name not in arrays and not allow_missing:
                raise AssertionError(
                    f"Parameter '{name[len(restore_prefix) :]}' is missing in {where}, which contains parameters: "
                    f"{brief(arrays)}. Please make sure source and target networks have the same prefix."
                )
        for name, one in arrays.items():
            if name in self._params:
                self[name].load(one, ctx, cast_dtype, dtype_source)
            elif not ignore_extra:
                raise AssertionError(
                    f"Parameter '{name[len(restore_prefix) :]}' loaded from {where} is not present in ParameterDict, "
                    f"choices are: {brief(self.keys())}. Set ignore_extra to True to ignore. Please make sure source "
                    "and target networks have the same prefix."
                )


def _agree(found: Parameter, key: str, value: Any) -> None:
    """What is asked for must be what is there, or is what is missing there."""
    existing = getattr(found, key, None)
    if existing is None:
        setattr(found, key, value)
    elif key == "shape" and value is not None and len(value) == len(existing):
        fits = all(a == b or a in (0, -1) or b in (0, -1) for a, b in zip(value, existing, strict=True))
        if not fits:
            raise _other(found, key, value, existing)
        found._shape = tuple(a if a not in (0, -1) else b for a, b in zip(value, existing, strict=True))
        if found.waits and is_known(found._shape):
            found._finish_deferred_init()
    elif key == "dtype" and np.dtype(value) == np.dtype(existing):
        pass
    elif value is not None and value != existing:
        raise _other(found, key, value, existing)


def _other(found: Parameter, key: str, value: Any, existing: Any) -> AssertionError:
    return AssertionError(
        f"Cannot retrieve Parameter '{found.name}' because desired attribute does not match with stored for attribute "
        f"'{key}': desired '{value}' vs stored '{existing}'."
    )


def brief(names: Any, limit: int = 7) -> str:
    """Names in quotes, not too many of them."""
    shown = list(names)
    if len(shown) > limit:
        half = limit // 2
        return f"{brief(shown[:half], limit)}, ..., {brief(shown[-half:], limit)}"
    return ", ".join(f"'{one}'" for one in shown)
