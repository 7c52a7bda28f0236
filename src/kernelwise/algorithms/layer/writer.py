"""What the functions of one routine share while they are written."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from ...jit.ir import Function, Module
from ...jit.types import PTR
from ...jit.values import Record, Value
from ..numbers import Number


class HasNumber(Protocol):
    """A specification."""

    @property
    def number(self) -> Number: ...


Spec = TypeVar("Spec", bound=HasNumber)


class BaseWriter(Generic[Spec]):
    """The module that is written, its specification, and the numbers and vectors that it works with."""

    fields: tuple[str, ...] = ()  # of the routine's arguments

    def __init__(self, module: Module, spec: Spec) -> None:
        self.module, self.spec = module, spec
        self.lanes = module.target.lanes(spec.number.bytes)
        self.size = spec.number.bytes
        self.scalar = spec.number.type
        self.vector = self.scalar.of(self.lanes)

    def record(self, fn: Function, pointer: Value) -> Record:
        """The arguments of the routine."""
        return Record(fn, pointer, self.fields)

    def function(self, name: str, args: list) -> tuple[Function, Record, list[Value]]:
        """A function of the module that gets the arguments of the routine and its scratch memory first."""
        fn = self.module.function(name, [("args", PTR), ("scratch", PTR), *args], internal=True)
        return fn, self.record(fn, fn.args[0]), fn.args
