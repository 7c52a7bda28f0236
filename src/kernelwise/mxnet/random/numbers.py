"""Numbers as MXNet's machine code computes them: parameters read from text, the logarithm in single precision.

Both differ from the correctly rounded result in a few of a thousand cases, and what is drawn with them would too.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

f32 = np.float32

NUMBER = re.compile(r"\s*([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?)(\d+))?")
WHOLE = 2**64  # digits are kept in a 64-bit integer
PLACES = 19  # digits after the point that are looked at
MOST = 38  # the largest exponent, of either sign; there, what stands before it has limits too
SMALLEST, LARGEST = f32(1.175494351), f32(3.402823466)


def single(value: Any) -> np.float32:
    """A number as an operator's parameter of type float: written as text, and read back by `parse_float`."""
    return parse_float(str(value))


def parse_float(text: str) -> np.float32:
    """The number in ``text`` in single precision, as MXNet 1.9.1's parser finds it.

    Whole part and fraction are rounded to single precision each, and so is every multiplication by a power of ten.
    Raises OverflowError where the exponent is too large, or too far below zero.
    """
    plain = text.strip().lower().lstrip("+-")
    if plain.startswith(("inf", "nan")):
        return f32(text)
    found = NUMBER.match(text)
    assert found is not None  # every part of it may be empty
    sign, whole, fraction, exponent_sign, exponent = found.groups()
    value = f32(np.uint64(int(whole or 0) % WHOLE))
    if digits := (fraction or "")[:PLACES]:
        value = f32(value + f32(np.float64(int(digits)) / np.float64(10 ** len(digits))))
    if exponent is not None:
        power, small = int(exponent), exponent_sign == "-"
        if power > MOST or (power == MOST and (value < SMALLEST if small else value > LARGEST)):
            raise OverflowError(text)
        value = f32(value / _power_of_ten(power)) if small else f32(value * _power_of_ten(power))
    return f32(-value) if sign == "-" else value


def _power_of_ten(exponent: int) -> np.float32:
    factor = f32(1)
    for _ in range(exponent // 8):
        factor = f32(factor * f32(1e8))
    for _ in range(exponent % 8):
        factor = f32(factor * f32(10))
    return factor


# The logarithm of glibc since 2.27: `logf` of Arm's Optimized Routines (github.com/ARM-software/optimized-routines,
# math/logf.c). x = 2**k * z with z in [0.7, 1.4); that interval is cut into 16, and c stands near the middle of each:
#     log(x) = k * log(2) + log(c) + log(1 + r),   r = z / c - 1
# all of it in double precision. The table has 1 / c and log(c), with c chosen so that rounding changes both little.
LOG_TABLE = np.array(
    [
        [float.fromhex(inverse), float.fromhex(log)]
        for inverse, log in (
            ("0x1.661ec79f8f3bep+0", "-0x1.57bf7808caadep-2"),
            ("0x1.571ed4aaf883dp+0", "-0x1.2bef0a7c06ddbp-2"),
            ("0x1.49539f0f010bp+0", "-0x1.01eae7f513a67p-2"),
            ("0x1.3c995b0b80385p+0", "-0x1.b31d8a68224e9p-3"),
            ("0x1.30d190c8864a5p+0", "-0x1.6574f0ac07758p-3"),
            ("0x1.25e227b0b8eap+0", "-0x1.1aa2bc79c81p-3"),
            ("0x1.1bb4a4a1a343fp+0", "-0x1.a4e76ce8c0e5ep-4"),
            ("0x1.12358f08ae5bap+0", "-0x1.1973c5a611cccp-4"),
            ("0x1.0953f419900a7p+0", "-0x1.252f438e10c1ep-5"),
            ("0x1p+0", "0x0p+0"),
            ("0x1.e608cfd9a47acp-1", "0x1.aa5aa5df25984p-5"),
            ("0x1.ca4b31f026aap-1", "0x1.c5e53aa362eb4p-4"),
            ("0x1.b2036576afce6p-1", "0x1.526e57720db08p-3"),
            ("0x1.9c2d163a1aa2dp-1", "0x1.bc2860d224770p-3"),
            ("0x1.886e6037841edp-1", "0x1.1058bc8a07ee1p-2"),
            ("0x1.767dcf5534862p-1", "0x1.4043057b6ee09p-2"),
        )
    ]
)
LOG_POLYNOMIAL = [float.fromhex(c) for c in ("-0x1.00ea348b88334p-2", "0x1.5575b0be00b6ap-2", "-0x1.ffffef20a4123p-2")]
LOG_2 = float.fromhex("0x1.62e42fefa39efp-1")
LOWEST = np.uint32(0x3F330000)  # where the first interval of z begins
# 1 / c in two parts whose products with 24 bits are exact, so that r is rounded once, as a fused multiply-add does
HIGH = (LOG_TABLE[:, 0].view(np.uint64) & np.uint64(0xFFFFFFFFF8000000)).view(np.float64)
LOW = LOG_TABLE[:, 0] - HIGH


def logf(x: np.ndarray) -> np.ndarray:
    """The natural logarithm of float32 numbers, normal and above 0, as glibc's `logf` computes it, bit for bit."""
    bits = np.ascontiguousarray(x, dtype=np.float32).view(np.uint32)
    above = bits - LOWEST
    part = (above >> np.uint32(19)) & np.uint32(15)
    power = above.view(np.int32) >> 23
    z = (bits - (above & np.uint32(0xFF800000))).view(np.float32).astype(np.float64)
    r = (z * HIGH[part] - 1.0) + z * LOW[part]
    base = LOG_TABLE[part, 1] + power * LOG_2
    square = r * r
    y = LOG_POLYNOMIAL[1] * r + LOG_POLYNOMIAL[2]
    y = LOG_POLYNOMIAL[0] * square + y
    y = y * square + (base + r)
    return y.astype(np.float32)
