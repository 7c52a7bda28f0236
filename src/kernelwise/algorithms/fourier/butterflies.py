"""The arithmetic of fast Fourier transforms on vectors: butterflies, stages, transposes.

A complex vector is a pair of Values. Lanes are independent transforms. Forward stages run from the whole to the parts,
inverse stages from the parts to the whole, so that no number ever has to change its place.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ...jit.ir import Function
from ...jit.types import Type
from ...jit.values import Value
from .spec import radices

Complex = tuple[Value, Value]
Load = Callable[[Value], Complex]  # of the element at an index


def butterfly(fn: Function, x: Sequence[Complex], sign: int) -> list[Complex]:
    """The transform of a few numbers: y[k] = sum of x[n] * exp(sign * 2 pi i n k / len(x))."""
    n = len(x)
    if n == 1:
        return list(x)
    if n == 3:
        return _three(fn, x, sign)
    even, odd = butterfly(fn, x[0::2], sign), butterfly(fn, x[1::2], sign)
    pairs = [_plus_minus(fn, e, o, k, n, sign) for k, (e, o) in enumerate(zip(even, odd, strict=True))]
    return [p for p, _ in pairs] + [m for _, m in pairs]


def _plus_minus(fn: Function, e: Complex, o: Complex, k: int, n: int, sign: int) -> tuple[Complex, Complex]:
    """e + w o and e - w o for w = exp(sign * 2 pi i k / n)."""
    (a, b), (c, d) = e, o
    if k == 0:
        return (a + c, b + d), (a - c, b - d)
    if 4 * k == n:
        turned = ((a - d, b + c), (a + d, b - c))
        return turned if sign > 0 else (turned[1], turned[0])
    cosine, sine = math.cos(2 * math.pi * k / n), sign * math.sin(2 * math.pi * k / n)
    if 8 * k % n == 0:  # cosine and sine are equal but for their signs: one product for both
        up = c + d if sine * cosine < 0 else c - d
        across = d - c if sine * cosine < 0 else c + d
        w = math.copysign(math.sqrt(0.5), cosine)
        return (
            (fn.fma(up, w, a), fn.fma(across, w, b)),
            (fn.fma(up, -w, a), fn.fma(across, -w, b)),
        )
    re, im = fn.fma(c, cosine, d * -sine), fn.fma(d, cosine, c * sine)
    return (a + re, b + im), (a - re, b - im)


def _three(fn: Function, x: Sequence[Complex], sign: int) -> list[Complex]:
    (a, b), (c, d), (e, f) = x
    sums, differences = (c + e, d + f), (c - e, d - f)
    middle = fn.fma(sums[0], -0.5, a), fn.fma(sums[1], -0.5, b)
    w = sign * math.sqrt(0.75)
    return [
        (a + sums[0], b + sums[1]),
        (fn.fma(differences[1], -w, middle[0]), fn.fma(differences[0], w, middle[1])),
        (fn.fma(differences[1], w, middle[0]), fn.fma(differences[0], -w, middle[1])),
    ]


def times(fn: Function, x: Complex, w: Complex) -> Complex:
    """x * w."""
    (a, b), (c, s) = x, w
    return _minus(fn, a, c, b * s), fn.fma(b, c, a * s)


def times_conjugate(fn: Function, x: Complex, w: Complex) -> Complex:
    """x * conj(w)."""
    (a, b), (c, s) = x, w
    return fn.fma(a, c, b * s), _minus(fn, b, c, a * s)


def _minus(fn: Function, a: Value, b: Value, c: Value) -> Value:
    """a * b - c."""
    return fn.fma(a, b, negative(fn, c))


def negative(fn: Function, v: Value) -> Value:
    return fn.emit(v.type, f"fneg {v.typed}")


# ---------------------------------------------------------------- a transform of vectors in memory


def load_complex(fn: Function, vector: Type, pointer: Value) -> Complex:
    return fn.load(vector, pointer, align=vector.bytes), fn.load(vector, pointer + vector.bytes, align=vector.bytes)


def store_complex(fn: Function, value: Complex, pointer: Value, vector: Type) -> None:
    fn.store(value[0], pointer, align=vector.bytes)
    fn.store(value[1], pointer + vector.bytes, align=vector.bytes)


def transform(
    fn: Function, vector: Type, length: int, place: Value, table: Value, forward: bool, first: Load | None = None
) -> None:
    """Transform ``length`` complex vectors that lie one behind the other, in place; ``table``: see spec.twiddles.

    ``first`` gives the elements to the first forward stage, which else reads them from ``place``.
    """
    stages, block, at = [], length, 0
    for radix in radices(length, fn.target):
        rest = block // radix
        stages.append((radix, rest, at))
        at += rest * (radix - 1) * 2 * vector.element_bytes
        block = rest
    for number, (radix, rest, at) in enumerate(stages) if forward else reversed(list(enumerate(stages))):
        source = first if forward and number == 0 else None
        _stage(fn, vector, length, radix, rest, place, table + at, forward, source)


def _stage(
    fn: Function,
    vector: Type,
    length: int,
    radix: int,
    rest: int,
    place: Value,
    table: Value,
    forward: bool,
    source: Load | None,
) -> None:
    size, step = 2 * vector.bytes, rest * 2 * vector.bytes
    with fn.loop(0, length, radix * rest) as block, fn.loop(0, rest) as k:
        here = place + (block + k) * size
        if source is not None:
            x = [source(block + k + q * rest) for q in range(radix)]
        else:
            x = [load_complex(fn, vector, here + q * step) for q in range(radix)]
        w = _factors(fn, vector, table, k, radix) if rest > 1 else None
        if w is not None and not forward:
            x = [x[0], *(times(fn, v, f) for v, f in zip(x[1:], w, strict=True))]
        y = butterfly(fn, x, -1 if forward else 1)
        if w is not None and forward:
            y = [y[0], *(times_conjugate(fn, v, f) for v, f in zip(y[1:], w, strict=True))]
        for q in range(radix):
            store_complex(fn, y[q], here + q * step, vector)


def _factors(fn: Function, vector: Type, table: Value, k: Value, radix: int) -> list[Complex]:
    scalar = vector.scalar
    row = table + k * ((radix - 1) * 2 * scalar.bytes)
    return [
        (
            fn.splat(fn.load(scalar, row + 2 * p * scalar.bytes), vector.lanes),
            fn.splat(fn.load(scalar, row + (2 * p + 1) * scalar.bytes), vector.lanes),
        )
        for p in range(radix - 1)
    ]
