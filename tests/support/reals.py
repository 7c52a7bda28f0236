"""Real images and kernels that strain rounding: mixed magnitudes, denormals, cancellation; and what bounds allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from . import oracle

SUMS = {"f2": np.float32, "f4": np.float32, "f8": np.float64, "c8": np.float32, "c16": np.float64}


@dataclass(frozen=True)
class Real:
    """A call on real numbers, drawn by number; repeat it with ``reals.draw(seed, number)``."""

    seed: int
    number: int
    x: np.ndarray
    k: np.ndarray
    options: dict[str, Any]
    method: str

    def __str__(self) -> str:
        return (
            f"reals.draw({self.seed}, {self.number}): x {self.x.dtype} {self.x.shape}, k {self.k.dtype} "
            f"{self.k.shape}, method={self.method!r}, {self.options}"
        )


def draw(seed: int, number: int) -> Real:
    """The real case of that number. Kernels are drawn from a few dozen, so that few routines are made."""
    rng = np.random.default_rng([seed, number])
    code = str(rng.choice(["f2", "f4", "f4", "f4", "f8", "f8", "c8", "c16"]))
    kernels = np.random.default_rng([seed, int(rng.integers(60)), 7])
    k = kernel(kernels, np.dtype(code))
    shape = [int(rng.integers(1, 20)) for _ in range(k.ndim)]
    shape[-1] = int(rng.choice([7, 60, 300]))
    x = pixels(rng, shape, np.dtype(code))
    options: dict[str, Any] = {
        "mode": str(rng.choice(["same", "valid", "full"])),
        "border": str(rng.choice(["constant", "edge", "reflect", "symmetric", "wrap"])),
    }
    return Real(seed, number, x, k, options, str(rng.choice(["auto", "direct", "separable"])))


def _spread(rng: np.random.Generator, shape: Any, code: str, widest: float) -> np.ndarray:
    """Normal numbers, alone or times powers of ten over a wide range."""
    plain = rng.standard_normal(shape)
    wide = plain * 10.0 ** rng.uniform(-widest, widest, shape)
    return {"plain": plain, "wide": wide, "one scale": plain * 10.0 ** rng.uniform(-widest, widest)}[code]


def kernel(rng: np.random.Generator, image: np.dtype) -> np.ndarray:
    """A kernel in the dtype that its products are added in: rounding it is no part of the bound."""
    ndim = int(rng.choice([1, 2, 2, 2, 3]))
    shape = tuple(int(n) for n in rng.integers(1, {1: 40, 2: 12, 3: 5}[ndim], ndim))
    kind = str(rng.choice(["any", "product", "two products", "mean", "with zeros", "bell"]))
    values = _spread(rng, shape, str(rng.choice(["plain", "wide", "one scale"])), 3 if image.char == "e" else 12)
    if kind in ("product", "two products", "bell"):
        values = sum(_product(rng, shape, kind == "bell") for _ in range(2 if kind == "two products" else 1))
    elif kind == "mean":
        values = np.full(shape, 1 / np.prod(shape))
    elif kind == "with zeros":
        values = np.where(rng.random(shape) < 0.4, 0, values)
    dtype = np.dtype(SUMS[f"{image.kind}{image.itemsize}"])
    if rng.random() < 0.15 and image.kind == "c":
        return (values + 1j * values[::-1]).astype(np.result_type(dtype, np.complex64))
    return np.asarray(values).astype(dtype)


def _product(rng: np.random.Generator, shape: tuple[int, ...], bell: bool) -> Any:
    product: Any = 1.0
    for n in shape:
        t = np.arange(n) - (n - 1) / 2
        product = np.multiply.outer(product, np.exp(-t * t / max(1, n)) if bell else rng.standard_normal(n))
    return product


def pixels(rng: np.random.Generator, shape: Any, dtype: np.dtype) -> np.ndarray:
    """Pixels of a dtype: plain, over sixty powers of ten, very small, or on a large pedestal."""
    kind = str(rng.choice(["plain", "wide", "one scale", "denormal", "pedestal"]))
    tiny = float(np.finfo(dtype).smallest_normal)
    widest = 2.0 if dtype.char == "e" else 15.0

    def part() -> np.ndarray:
        if kind == "denormal":
            return rng.standard_normal(shape) * tiny * 10.0 ** rng.uniform(-5, 1, shape)
        if kind == "pedestal":
            return rng.standard_normal(shape) + 10.0 ** (3 if dtype.char == "e" else 6)
        return _spread(rng, shape, kind, widest)

    return (part() + 1j * part() if dtype.kind == "c" else part()).astype(dtype)


def exact(case: Real, x: np.ndarray | None = None) -> np.ndarray:
    """The definition in long double, which has eleven more bits than any sum of the library."""
    work = np.clongdouble if "c" in (case.x.dtype.kind, case.k.dtype.kind) else np.longdouble
    return oracle.correlate(case.x if x is None else x, case.k, work=work, **case.options)


def allowed(case: Real, result: np.dtype) -> np.ndarray:
    """The a-priori bound of the error: gamma(n) * sum |x| |k|, and what cannot be avoided besides.

    gamma(n) = n u / (1 - n u) with n non-zero taps [Higham, Accuracy and Stability, 2nd ed., section 3.1]. Besides: at
    every rounding half of the smallest number, carried by the weights that follow; and the rounding of a result that
    is narrower than the sums. A complex product is four real ones and two additions.
    """
    sums = np.finfo(SUMS[f"{case.x.dtype.kind}{case.x.dtype.itemsize}"])
    u, n = float(sums.eps) / 2, max(1, int(np.count_nonzero(case.k)))
    if case.k.dtype.kind == "c":
        n = 2 * n + 2
    size = oracle.magnitude(case.x, case.k, **case.options)
    bound = n * u / (1 - n * u) * size + n * sums.smallest_subnormal * max(1.0, float(np.abs(case.k).sum()))
    if result.char == "e":
        narrow = np.finfo(np.float16)
        bound = bound + float(narrow.eps) / 2 * size + float(narrow.smallest_subnormal)
    return bound
