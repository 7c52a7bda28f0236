"""Values of generated code: an operator on them emits an instruction into their function."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .types import I64, PTR, Type

if TYPE_CHECKING:
    from .ir import Function

Number = int | float


def literal(element: str, number: Number) -> str:
    """A constant as LLVM spells it; a float by the bits of the double that equals it."""
    if element == "i1":
        return "true" if number else "false"
    if element == "float":
        number = struct.unpack("<f", struct.pack("<f", number))[0]
    if element in ("float", "double"):
        return f"0x{struct.unpack('<Q', struct.pack('<d', number))[0]:016X}"
    return str(int(number))


class Value:
    """One SSA value; operators emit instructions into its function."""

    __slots__ = ("fn", "name", "type")

    def __init__(self, fn: Function, type: Type, name: str) -> None:
        self.fn, self.type, self.name = fn, type, name

    @property
    def typed(self) -> str:
        return f"{self.type.text} {self.name}"

    def _binary(self, other: Value | Number, integer: str, floating: str | None = None) -> Value:
        other = self.fn.value(self.type, other)
        op = floating if self.type.is_float else integer
        return self.fn.emit(self.type, f"{op} {self.typed}, {other.name}")

    def __add__(self, other: Value | Number) -> Value:
        if self.type == PTR:
            return self.fn.offset(self, other if isinstance(other, Value) else int(other))
        if isinstance(other, int) and other == 0 and not self.type.is_float:
            return self
        return self._binary(other, "add", "fadd")

    def __sub__(self, other: Value | Number) -> Value:
        return self._binary(other, "sub", "fsub")

    def __rsub__(self, other: Number) -> Value:
        return self.fn.value(self.type, other) - self

    def __mul__(self, other: Value | Number) -> Value:
        if isinstance(other, int) and other == 1 and not self.type.is_float:
            return self
        return self._binary(other, "mul", "fmul")

    __radd__, __rmul__ = __add__, __mul__

    def __and__(self, other: Value | Number) -> Value:
        return self._binary(other, "and")

    def __or__(self, other: Value | Number) -> Value:
        return self._binary(other, "or")

    def __xor__(self, other: Value | Number) -> Value:
        return self._binary(other, "xor")

    def __lshift__(self, other: Value | Number) -> Value:
        return self._binary(other, "shl")

    def __rshift__(self, other: Value | Number) -> Value:
        return self._binary(other, "lshr")

    def __floordiv__(self, other: Value | Number) -> Value:
        """Unsigned division: for counts."""
        return self._binary(other, "udiv")

    def __mod__(self, other: Value | Number) -> Value:
        return self._binary(other, "urem")

    def compare(self, predicate: str, other: Value | Number) -> Value:
        other = self.fn.value(self.type, other)
        op = "fcmp" if self.type.is_float else "icmp"
        return self.fn.emit(self.type.mask(), f"{op} {predicate} {self.typed}, {other.name}")

    def __lt__(self, other: Value | Number) -> Value:
        return self.compare("olt" if self.type.is_float else "slt", other)

    def __le__(self, other: Value | Number) -> Value:
        return self.compare("ole" if self.type.is_float else "sle", other)

    def __gt__(self, other: Value | Number) -> Value:
        return self.compare("ogt" if self.type.is_float else "sgt", other)

    def __ge__(self, other: Value | Number) -> Value:
        return self.compare("oge" if self.type.is_float else "sge", other)

    def equals(self, other: Value | Number) -> Value:
        return self.compare("oeq" if self.type.is_float else "eq", other)

    def differs(self, other: Value | Number) -> Value:
        return self.compare("une" if self.type.is_float else "ne", other)

    def to(self, element: Type, instruction: str) -> Value:
        """The same lanes in another element type, by the named LLVM conversion (sext, trunc, sitofp, ...)."""
        target = element.of(self.type.lanes)
        return self.fn.emit(target, f"{instruction} {self.typed} to {target.text}")

    def minimum(self, other: Value | Number) -> Value:
        other = self.fn.value(self.type, other)
        return self.fn.select(self < other, self, other)

    def maximum(self, other: Value | Number) -> Value:
        other = self.fn.value(self.type, other)
        return self.fn.select(self > other, self, other)


class Record:
    """A block of 8-byte fields behind a pointer, read by name."""

    def __init__(self, fn: Function, pointer: Value, fields: Sequence[str]) -> None:
        self.fn, self.pointer = fn, pointer
        self._place = {name: 8 * i for i, name in enumerate(fields)}

    def at(self, name: str) -> Value:
        return self.pointer + self._place[name]

    def integer(self, name: str) -> Value:
        return self.fn.load(I64, self.at(name))

    def address(self, name: str) -> Value:
        return self.fn.load(PTR, self.at(name))
