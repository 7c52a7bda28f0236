"""Sums into results as C converts numbers: towards zero, and wrapping where an integer is too narrow."""

from __future__ import annotations

from ..jit.ir import Function
from ..jit.types import I32, I64
from ..jit.values import Value
from .numbers import Number

HALF = 2.0**63


def cast(fn: Function, value: Value, summed: Number, result: Number) -> Value:
    """A sum as a number of the result's type.

    Float sums lose what follows the point and wrap around in integers of 32 bits or fewer that are too narrow; beyond
    64 bits, and for NaN, the result is what the machine makes of it. Integer sums keep their lowest bits.
    """
    if summed.code == result.code or (not summed.is_float and summed.bytes == result.bytes):
        return value
    if not summed.is_float:
        return value.to(result.type, "trunc")
    if result.is_float:
        return value.to(result.type, "fptrunc")
    if result.code == "u8":
        return _unsigned(fn, value)
    if result.code == "u4":
        return value.to(I64, "fptosi").to(I32, "trunc")
    if result.bytes < 4:
        return value.to(I32, "fptosi").to(result.type, "trunc")
    return value.to(result.type, "fptosi")


def _unsigned(fn: Function, value: Value) -> Value:
    """To 64 bits without a sign: what a signed number cannot hold is converted 2**63 lower; negatives wrap around."""
    high = (value - HALF).to(I64, "fptosi") ^ -(2**63)
    return fn.select(value >= HALF, high, value.to(I64, "fptosi"))


def widen(fn: Function, value: Value, result: Number, sums: Number) -> Value:
    """A number of the result's type back among the sums, as if it had been stored and loaded."""
    if not sums.is_float or result.code == sums.code:
        return value
    if result.is_float:
        return value.to(sums.type, "fpext")
    extend = "sext" if result.signed else "zext"
    if result.bytes < 4:
        return value.to(I32, extend).to(sums.type, "sitofp")
    return value.to(sums.type, "sitofp" if result.signed else "uitofp")


def through(fn: Function, value: Value, sums: Number, result: Number) -> Value:
    """What is left of a sum that was stored in the result's type. Integer sums wrap around at the end just as well."""
    if not sums.is_float:
        return value
    return widen(fn, cast(fn, value, sums, result), result, sums)
