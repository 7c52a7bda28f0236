"""Numbers on their way through registers: widened as they are loaded, rounded and saturated as they are stored."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..jit.ir import Function
from ..jit.types import F32, F64, I8, I16, I32, I64, Type
from ..jit.values import Value

LINE = 64  # bytes of a cache line: streamed vectors begin at one, or divide it
TYPES = {1: I8, 2: I16, 4: I32, 8: I64}
ROUNDERS = {F32.element: 1.5 * 2**23, F64.element: 1.5 * 2**52}  # adding one rounds to an integer, half to even


class Number(NamedTuple):
    """A NumPy dtype as generated code sees it."""

    code: str  # such as "u1", "i2", "f4"

    @property
    def is_float(self) -> bool:
        return self.code[0] == "f"

    @property
    def signed(self) -> bool:
        return self.code[0] == "i"

    @property
    def bytes(self) -> int:
        return int(self.code[1])

    @property
    def type(self) -> Type:
        if self.is_float:
            return F32 if self.bytes == 4 else F64
        return TYPES[self.bytes]

    @property
    def dtype(self) -> np.dtype:
        return np.dtype(self.code)

    def bits(self, value: float) -> int:
        """How it is held in memory, as an integer for the arguments of a routine."""
        return int.from_bytes(np.asarray(value, self.dtype).tobytes().ljust(8, b"\0"), "little", signed=True)

    def bounds(self) -> tuple[int, int]:
        info = np.iinfo(self.dtype)
        return int(info.min), int(info.max)


def load(fn: Function, pointer: Value, lanes: int, stored: Number, wanted: Number) -> Value:
    """``lanes`` neighbouring numbers, converted from how they are stored to how they are summed."""
    value = fn.load(stored.type.of(lanes), pointer)
    if stored.code == wanted.code:
        return value
    if stored.is_float:
        return value.to(wanted.type, "fpext")
    extend = "sext" if stored.signed else "zext"
    if not wanted.is_float:
        return value if stored.bytes == wanted.bytes else value.to(wanted.type, extend)
    if stored.bytes < 4:
        return value.to(I32, extend).to(wanted.type, "sitofp")
    return value.to(wanted.type, "sitofp" if stored.signed else "uitofp")


def store(fn: Function, value: Value, pointer: Value, summed: Number, result: Number, stream: bool = False) -> None:
    """Sums into the result: exact where it can hold them, else rounded half to even and saturated; NaN becomes 0."""
    put(fn, _converted(fn, value, summed, result), pointer, stream)


def put(fn: Function, value: Value, pointer: Value, stream: bool) -> None:
    """Store a vector of results, past the caches if ``stream``."""
    fn.store(value, pointer, min(LINE, value.type.bytes) if stream else None, stream)


def _converted(fn: Function, value: Value, summed: Number, result: Number) -> Value:
    if summed.code == result.code:
        return value
    if result.is_float:
        if summed.is_float:
            return value.to(result.type, "fpext" if result.bytes > summed.bytes else "fptrunc")
        return (value.to(I32, "sext") if summed.bytes == 2 else value).to(result.type, "sitofp")
    if summed.is_float:
        return _rounded(fn, value, summed, result)
    return _fitted(value, summed, result)


def _fitted(value: Value, summed: Number, result: Number) -> Value:
    """Signed sums into any integer."""
    low, high = result.bounds()
    have_low, have_high = summed.bounds()
    if low > have_low:
        value = value.maximum(low)
    if high < have_high:
        value = value.minimum(high)
    if result.bytes == summed.bytes:
        return value
    return value.to(result.type, "sext" if result.bytes > summed.bytes else "trunc")


def _rounded(fn: Function, value: Value, summed: Number, result: Number) -> Value:
    low, high = result.bounds()
    small = result.bytes * 2 <= summed.bytes
    if not small:  # the bounds are no floats of this width: the saturating conversion knows them
        value = fn.intrinsic("roundeven", value.type, [value])
        signed = "fptosi" if result.signed else "fptoui"
        wide = result.type.of(value.type.lanes)
        return fn.call(f"llvm.{signed}.sat.{wide.mangled}.{value.type.mangled}", wide, [value])
    if result.signed:
        value = fn.select(value.compare("uno", value), fn.constant(value.type, 0.0), value)
    value = value.maximum(float(low)).minimum(float(high))  # a NaN compares false and becomes low, which is 0 here
    rounded = value + ROUNDERS[value.type.element]
    whole = TYPES[summed.bytes].of(value.type.lanes)
    return fn.emit(whole, f"bitcast {rounded.typed} to {whole.text}").to(result.type, "trunc")


def readable(x: np.ndarray) -> np.ndarray:
    """The array itself where generated code can read it; a copy where it cannot (float16, foreign byte order)."""
    if x.dtype.kind == "b":
        return x.view(np.uint8)
    return np.require(x, np.float32 if x.dtype.char == "e" else x.dtype.newbyteorder("="), "A")
