"""Names of blocks and their parameters: a kind and a number, counted for the process or inside of a name scope."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

from .parameter_dict import ParameterDict


class _Names(threading.local):
    """Of this thread: the innermost scope, and how many names of every kind were given outside of scopes."""

    def __init__(self) -> None:
        self.scope: Scope | None = None
        self.given: Counter[str] = Counter()


NAMES = _Names()


def begin(prefix: str | None, params: ParameterDict | None, kind: str) -> tuple[str, ParameterDict]:
    """The whole prefix of a new block and its parameters, none yet.

    prefix : as asked for, or None for the kind and the next number.
    params : a dictionary to share parameters with, or None.
    """
    scope = NAMES.scope
    counts = NAMES.given if scope is None else scope.given
    if prefix is None:
        prefix = f"{kind}{counts[kind]}_"
        counts[kind] += 1
    outer = "" if scope is None else scope.block.prefix
    if params is not None:
        return outer + prefix, ParameterDict(params.prefix, params)
    if scope is None:
        return prefix, ParameterDict(prefix)
    return outer + prefix, ParameterDict(scope.block.params.prefix + prefix, scope.block.params.shared)


class Scope:
    """``with block.name_scope():`` blocks made inside have the block's prefix before their own."""

    def __init__(self, block: Any) -> None:
        self.block = block
        self.given: Counter[str] = Counter()
        self._outside: list[Scope | None] = []

    def __enter__(self) -> Scope:
        self._outside.append(NAMES.scope)
        if self.block.prefix != "":
            NAMES.scope = self
        return self

    def __exit__(self, *error: Any) -> None:
        NAMES.scope = self._outside.pop()
