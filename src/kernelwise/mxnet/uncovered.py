"""Names that MXNet 1.9.1 has and this door does not: they can be looked up, and say what to use when they are used."""

from __future__ import annotations

from typing import Any


class Uncovered:
    """Stands where a function, a class or a module of MXNet would: using it raises NotImplementedError.

    Looking is not using: its attributes stand in likewise, and nothing is an instance of it.
    """

    def __init__(self, name: str, instead: str) -> None:
        self.__name__ = self.__qualname__ = name
        self._instead = instead
        self.__doc__ = f"{name} is not covered by kernelwise.mxnet. Instead: {instead}"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(self.__doc__)

    def __mro_entries__(self, bases: Any) -> Any:
        raise NotImplementedError(self.__doc__)

    def __instancecheck__(self, instance: Any) -> bool:
        return False

    def __getattr__(self, name: str) -> Uncovered:
        if name.startswith("_"):
            raise AttributeError(name)
        return Uncovered(f"{self.__name__}.{name}", self._instead)

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
