"""The angle of a vector, in vectors of floats: atan2 without a library call."""

from __future__ import annotations

import math

import numpy as np

from ..jit.ir import Function
from ..jit.types import F32, I1
from ..jit.values import Value

# atan(t) / t as a polynomial in t * t, lowest power first, for t from 0 to 1: interpolated at Chebyshev's points in 50
# decimal digits. The error of the polynomial itself is 4.4e-10 and 8.8e-19.
FLOAT_TERMS = (
    *(0.9999999995535376, -0.33333322488911593, 0.19999558100363982, -0.14278576024807985),
    *(0.1105077127584966, -0.08785043282362845, 0.06685281517877424, -0.04392841073326746),
    *(0.021912945865448393, -0.007030669470424213, 0.001057607438057242),
)
DOUBLE_TERMS = (
    *(1.0, -0.3333333333333325, 0.19999999999986157, -0.14285714284820428),
    *(0.11111111080383854, -0.09090908440338843, 0.07692298432985685, -0.06666572806289763),
    *(0.05881647236717415, -0.05259103789485882, 0.0474370596643217, -0.042828645702794474),
    *(0.038129809754225044, -0.03264116292977077, 0.0259471057039563, -0.018386836817918875),
    *(0.011122014669752633, -0.005484778971809356, 0.002090633535263676, -0.0005727925781292097),
    *(9.978410811953032e-05, -8.26799581733715e-06),
)


def atan2(fn: Function, y: Value, x: Value) -> Value:
    """The angle of (x, y) in radians, above -pi and up to pi; 0 where both are 0, whatever their signs.

    Within 4 units in the last place. A NaN in either gives NaN, and so do two infinities.
    """
    single = y.type.scalar == F32
    zero = fn.constant(y.type, 0.0)
    across, up = magnitude(fn, x), magnitude(fn, y)
    steep = up > across
    large, small = fn.select(steep, up, across), fn.select(steep, across, up)
    ratio = fn.emit(y.type, f"fdiv {small.typed}, {large.name}")
    # A NaN in one of them is kept: it is neither large nor equal to zero, or the ratio is NaN already.
    ratio = fn.select(large.equals(0.0) & small.equals(0.0), zero, ratio)
    square = ratio * ratio
    terms = FLOAT_TERMS if single else DOUBLE_TERMS
    series = fn.constant(y.type, terms[-1])
    for term in reversed(terms[:-1]):
        series = fn.fma(series, square, fn.constant(y.type, term))
    angle = series * ratio
    angle = fn.select(steep, _turned(fn, angle, math.pi / 2), angle)
    angle = fn.select(x < 0.0, _turned(fn, angle, math.pi), angle)
    return fn.select(y < 0.0, zero - angle, angle)


def _turned(fn: Function, angle: Value, turn: float) -> Value:
    """turn - angle; in float32 the turn in two parts, for it is no float itself."""
    if angle.type.scalar != F32:
        return turn - angle
    high = float(np.float32(turn))
    return high - (angle - (turn - high))


def magnitude(fn: Function, value: Value) -> Value:
    """|value|, of floats or of integers that are not the lowest of their type."""
    if value.type.is_float:
        return fn.intrinsic("fabs", value.type, [value])
    return fn.call(f"llvm.abs.{value.type.mangled}", value.type, [value, fn.constant(I1, 0)])
