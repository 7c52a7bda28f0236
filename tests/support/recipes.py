"""Recipes: kernels, dtypes and steps, all that generated code depends on. Drawn by number, so that a few hundred
routines serve thousands of cases."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

IMAGES = ("?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8", "c8", "c16")
KERNELS = ("i1", "i4", "i8", "u1", "?", "f2", "f4", "f8", "c8", "c16")
RESULTS = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16")
MOST_TAPS = 260


@dataclass(frozen=True)
class Recipe:
    """What a routine is made from. ``axes`` count from the end of the image: -1, -2, ..."""

    image: np.dtype
    kernel: np.ndarray
    axes: tuple[int, ...] | None
    channels: tuple[int, ...]  # lengths of the axes behind the last one of the kernel
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    dtype: np.dtype | None
    method: str


def recipe(seed: int, number: int) -> Recipe:
    """The recipe of that number; the same in every process."""
    rng = np.random.default_rng([seed, number, 1])
    image = np.dtype(str(rng.choice(IMAGES)))
    if rng.random() < 0.45:  # the common ones
        image = np.dtype(str(rng.choice(["f4", "u1", "f8"])))
    ndim = int(rng.choice([1, 2, 2, 2, 2, 3]))
    kernel = values(rng, ndim).astype(np.int64)
    kernel = in_dtype(rng, kernel, image)
    channels: tuple[int, ...] = ()
    axes: tuple[int, ...] | None = None
    if rng.random() < 0.25:
        channels = (int(rng.choice([1, 2, 3, 3, 4, 5, 70])),)
        if rng.random() < 0.15:
            channels = (*channels[:-1], 2, int(rng.integers(1, 4)))
    if channels or rng.random() < 0.2:
        axes = _axes(rng, ndim, len(channels))
    steps = [1] * ndim, [1] * ndim
    for kind, often in zip(steps, (0.25, 0.2), strict=True):
        for a in range(ndim):
            if rng.random() < often:
                kind[a] = int(rng.choice([2, 2, 3, 4, 7]))
    dtype = _result(rng, image, kernel) if rng.random() < 0.3 else None
    method = str(rng.choice(["auto", "auto", "auto", "direct", "separable", "separable", "reference"]))
    return Recipe(image, kernel, axes, channels, tuple(steps[0]), tuple(steps[1]), dtype, method)


def _axes(rng: np.random.Generator, ndim: int, channels: int) -> tuple[int, ...]:
    """Axes for the kernel: ending before the channels; sometimes with a gap, sometimes in another order."""
    axes = [-channels - 1 - i for i in range(ndim)][::-1]
    if rng.random() < 0.3:
        axes[0] -= 1  # a batch axis between the kernel's own
    if rng.random() < 0.3:
        axes = [axes[i] for i in rng.permutation(ndim)]
    return tuple(axes)


def _result(rng: np.random.Generator, image: np.dtype, kernel: np.ndarray) -> np.dtype:
    allowed = [r for r in RESULTS if "c" not in (image.kind, kernel.dtype.kind) or r[0] == "c"]
    return np.dtype(str(rng.choice(allowed)))


# ---------------------------------------------------------------- kernels


def values(rng: np.random.Generator, ndim: int) -> np.ndarray:
    """A kernel of whole numbers with some structure."""
    shape = _shape(rng, ndim)
    draw = rng.integers(-9, 10, shape)
    return KINDS[rng.choice(list(KINDS))](rng, draw)


def _shape(rng: np.random.Generator, ndim: int) -> tuple[int, ...]:
    longest = {1: 45, 2: 14, 3: 5}[ndim]
    while True:
        shape = [int(rng.integers(1, 6)) for _ in range(ndim)]
        if rng.random() < 0.3:
            shape[int(rng.integers(ndim))] = int(rng.integers(1, longest + 1))
        if rng.random() < 0.06:
            shape[int(rng.integers(ndim))] = int(rng.integers(17, 25))  # taller than what is unrolled
        if np.prod(shape) <= MOST_TAPS:
            return tuple(shape)


def _with_zeros(rng: np.random.Generator, k: np.ndarray) -> np.ndarray:
    return np.where(rng.random(k.shape) < 0.5, 0, k)


def _mirrored(k: np.ndarray) -> np.ndarray:
    return np.flip(k, int(np.argmax(k.shape)))


def _product(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    lines = [rng.integers(-4, 5, n) for n in shape]
    for one in lines:
        one[rng.integers(len(one))] = rng.choice([1, 2, 3, -1])
    product = lines[0]
    for one in lines[1:]:
        product = np.multiply.outer(product, one)
    return product


def _one_tap(rng: np.random.Generator, k: np.ndarray) -> np.ndarray:
    one = np.zeros_like(k)
    one[tuple(int(rng.integers(n)) for n in k.shape)] = rng.choice([1, -1, 2, 5])
    return one


def _scaled_columns(rng: np.random.Generator, k: np.ndarray) -> np.ndarray:
    return np.multiply.outer(k[..., 0], rng.choice([-4, -2, -1, 0, 1, 2, 3, 8], k.shape[-1]))


KINDS = {
    "any": lambda rng, k: k,
    "with zeros": _with_zeros,
    "symmetric": lambda rng, k: k + _mirrored(k),
    "antisymmetric": lambda rng, k: k - _mirrored(k),
    "plus minus one": lambda rng, k: np.where(k < 0, -1, 1),
    "ones": lambda rng, k: np.ones_like(k),
    "product": lambda rng, k: _product(rng, k.shape),
    "two products": lambda rng, k: _product(rng, k.shape) + _product(rng, k.shape),
    "scaled columns": _scaled_columns,
    "one tap": _one_tap,
    "nothing": lambda rng, k: k if rng.random() < 0.7 else np.zeros_like(k),
}


def in_dtype(rng: np.random.Generator, k: np.ndarray, image: np.dtype) -> np.ndarray:
    """The kernel in a dtype that can hold it; complex ones get an imaginary part."""
    choices = list(KERNELS)
    if rng.random() < 0.5:
        choices = ["f4", "f8"] if image.kind in "fc" else ["i1", "i4", "i8"]
    dtype = np.dtype(str(rng.choice(choices)))
    if dtype.kind == "c":
        imaginary = k[::-1] if rng.random() < 0.8 else np.zeros_like(k)
        return (k + 1j * imaginary).astype(dtype)
    if dtype.kind == "b":
        return k != 0
    if dtype.kind == "u":
        return np.abs(k).astype(dtype)
    if dtype == np.int64 and rng.random() < 0.1:  # weights that only wide sums can take
        return k * int(rng.choice([1000, 100_000, 2**25, 2**37]))
    return np.clip(k, -128, 127).astype(dtype)
