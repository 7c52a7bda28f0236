"""Names that MXNet 1.9.1 has and this door does not: they can be looked up, and say what to use when they are used."""

from __future__ import annotations

from typing import Any


class Uncovered:
    """Stands where a function, a class or a module of MXNet would: using it raises NotImplementedError."""

    def __init__(self, name: str, instead: str) -> None:
        self.__name__ = self.__qualname__ = name
        self.__doc__ = self._text = f"{name} is not covered by kernelwise.mxnet; in PyTorch: {instead}"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(self._text)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotImplementedError(self._text)

    def __repr__(self) -> str:
        return f"<not covered: {self.__name__}>"


def table(prefix: str, text: str) -> dict[str, Uncovered]:
    """Stand-ins from lines ``names: what to use instead``."""
    made = {}
    for line in text.strip().splitlines():
        names, _, instead = line.partition(": ")
        for name in names.split():
            made[name] = Uncovered(prefix + name, instead.strip())
    return made


def lookup(module: str, stand_ins: dict[str, Uncovered], name: str) -> Uncovered:
    """For a module's __getattr__. Raises AttributeError for what MXNet does not have either."""
    if name in stand_ins:
        return stand_ins[name]
    raise AttributeError(f"module {module!r} has no attribute {name!r}")
