"""Layers by the definition, slow and clear, in float64; and random layers to compare with it.

`python -m support.layer_cases SEED FIRST COUNT` checks so many and prints how many were right.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

import kernelwise as kw

BORDERS = ("constant", "edge", "reflect", "symmetric", "wrap")
FAMILY = 50  # layers of one shape: generating code takes longer than running it
MOST_PRODUCTS = 200_000  # of one case, so that a thousand of them take seconds


@dataclass(frozen=True)
class Layer:
    """One configuration; ``pads`` is what ``padding`` means for the images ``sizes``."""

    images: int
    channels: int
    outputs: int
    sizes: tuple[int, ...]
    taps: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: Any
    pads: tuple[tuple[int, int], ...]
    groups: int
    border: str
    layout: str

    @property
    def options(self) -> dict[str, Any]:
        names = ("stride", "dilation", "padding", "groups", "border", "layout")
        return {name: getattr(self, name) for name in names}

    @property
    def out(self) -> tuple[int, ...]:
        found = zip(self.sizes, self.pads, self.taps, self.stride, self.dilation, strict=True)
        return tuple((n + sum(p) - (k - 1) * d - 1) // s + 1 for n, p, k, s, d in found)

    @property
    def products(self) -> int:
        return int(np.prod(self.out)) * self.images * self.outputs * self.channels * int(np.prod(self.taps))


def places(layer: Layer) -> list[np.ndarray]:
    """For each axis: the pixel under every (output, tap), by np.pad; -1 outside."""
    found = []
    for n, pads, k, s, d, m in zip(
        layer.sizes, layer.pads, layer.taps, layer.stride, layer.dilation, layer.out, strict=True
    ):
        fill = {"constant_values": -1} if layer.border == "constant" else {}
        line = np.pad(np.arange(n), pads, mode=layer.border, **fill)
        found.append(line[np.arange(m)[:, None] * s + np.arange(k)[None, :] * d])
    return found


def windows(layer: Layer) -> Iterator[tuple[tuple[int, ...], np.ndarray, tuple[np.ndarray, ...]]]:
    """For every tap: its place in the kernel, which outputs see a pixel through it, and those pixels."""
    lines = places(layer)
    for tap in product(*(range(k) for k in layer.taps)):
        seen = np.meshgrid(*(line[:, a] for line, a in zip(lines, tap, strict=True)), indexing="ij")
        yield tap, np.logical_and.reduce([s >= 0 for s in seen]), tuple(seen)


def split(array: np.ndarray, groups: int, axis: int) -> list[np.ndarray]:
    return np.split(array, groups, axis)


def forward(layer: Layer, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    y = np.zeros((len(x), len(w), *layer.out))
    for tap, inside, seen in windows(layer):
        picked = np.where(inside, x[(slice(None), slice(None), *(np.maximum(s, 0) for s in seen))], 0)
        parts = zip(
            split(picked, layer.groups, 1), split(w[(slice(None), slice(None), *tap)], layer.groups, 0), strict=True
        )
        y += np.concatenate([np.einsum("ni...,oi->no...", a, b) for a, b in parts], 1)
    return y


def gradients(layer: Layer, x: np.ndarray, w: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(dx, dw) of sum(dy * forward(x, w))."""
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for tap, inside, seen in windows(layer):
        picked = np.where(inside, x[(slice(None), slice(None), *(np.maximum(s, 0) for s in seen))], 0)
        here = (slice(None), slice(None), *tap)
        backs = zip(split(dy, layer.groups, 1), split(w[here], layer.groups, 0), strict=True)
        back = np.concatenate([np.einsum("no...,oi->ni...", a, b) for a, b in backs], 1)
        np.add.at(dx, (slice(None), slice(None), *(s[inside] for s in seen)), back[:, :, inside])
        flat = (a.reshape(*a.shape[:2], -1) for a in (dy, picked))
        pairs = zip(*(split(a, layer.groups, 1) for a in flat), strict=True)
        dw[here] = np.concatenate([np.einsum("nop,nip->oi", a, b) for a, b in pairs])
    return dx, dw


# ---------------------------------------------------------------- random ones


def draw(rng: np.random.Generator, variation: np.random.Generator | None = None) -> Layer:
    """``rng`` draws the shape, for which code is generated; ``variation`` all else: batch, border, padding, layout."""
    while True:
        layer = _draw(rng, np.random.default_rng(rng.integers(2**32)) if variation is None else variation)
        if layer is not None and layer.products <= MOST_PRODUCTS:
            return layer


def _draw(rng: np.random.Generator, variation: np.random.Generator) -> Layer | None:
    axes = int(rng.choice([1, 2, 2, 2, 3]))
    groups = int(rng.choice([1, 1, 1, 2, 3, 8]))
    channels, outputs = (groups * int(rng.choice([1, 1, 2, 3, 5, most])) for most in (17, 35))
    taps = tuple(int(rng.choice([1, 2, 3, 3, 4, 5, 9])) for _ in range(axes))
    stride, dilation = (tuple(int(rng.choice([1, 1, 1, 2, 3])) for _ in range(axes)) for _ in range(2))
    largest = {1: 90, 2: 40, 3: 9}[axes]
    sizes = tuple(int(rng.integers(1, largest)) for _ in range(axes))
    reach = tuple((k - 1) * d for k, d in zip(taps, dilation, strict=True))
    totals = [int(rng.choice([0, 0, 1, 2, 4, 7])) for _ in taps]
    same = bool(rng.integers(2))
    if same:
        totals = [max(0, (-(-n // s) - 1) * s + r + 1 - n) for n, s, r in zip(sizes, stride, reach, strict=True)]
    if any(n + total <= r for n, total, r in zip(sizes, totals, reach, strict=True)):
        return None
    border = str(variation.choice(BORDERS)) if variation.random() < 0.6 else "constant"
    before = [total // 2 if variation.random() < 0.5 else int(variation.integers(0, total + 1)) for total in totals]
    pads = tuple((low, total - low) for low, total in zip(before, totals, strict=True))
    padding: Any = pads
    if same and all(low == total // 2 for low, total in zip(before, totals, strict=True)):
        padding = "same"
    elif not any(totals):
        padding = str(variation.choice(["valid", "0"]))
        padding = 0 if padding == "0" else padding
    elif all(low == high for low, high in pads):
        padding = tuple(low for low, _ in pads)
    layout = "channels_last" if variation.random() < 0.25 else "channels_first"
    images = int(variation.integers(1, 4))
    return Layer(images, channels, outputs, sizes, taps, stride, dilation, padding, pads, groups, border, layout)


def whole(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return rng.integers(-3, 4, shape).astype(dtype)


def lying(array: np.ndarray, layer: Layer) -> np.ndarray:
    """Channels first into the layer's layout."""
    return np.ascontiguousarray(np.moveaxis(array, 1, -1)) if layer.layout == "channels_last" else array


def check_one(seed: int, number: int) -> None:
    """Forward and all gradients of one random layer on whole numbers, exactly."""
    family, rng = np.random.default_rng((seed, number // FAMILY)), np.random.default_rng((seed, number))
    dtype = str(family.choice(["f4", "f4", "f8"]))
    layer = draw(family, rng)
    x = whole(rng, (layer.images, layer.channels, *layer.sizes), dtype)
    w = whole(rng, (layer.outputs, layer.channels // layer.groups, *layer.taps), dtype)
    bias = whole(rng, (layer.outputs,), dtype)
    y = forward(layer, x, w)
    dy = whole(rng, y.shape, dtype)
    dx, dw = gradients(layer, x, w, dy)
    there, back = lying(x, layer), lying(dy, layer)
    exact = {**layer.options, "precision": "exact"}
    relu = bool(rng.integers(2))
    shifted = y + bias.reshape(-1, *(1,) * len(layer.taps))
    wanted = np.maximum(shifted, 0) if relu else shifted
    found = kw.conv(there, w, bias, activation="relu" if relu else None, **exact)
    same("conv", layer, found, lying(wanted, layer), dtype)
    same("input", layer, kw.conv_input_gradient(back, w, layer.sizes, **exact), lying(dx, layer), dtype)
    same("weight", layer, kw.conv_weight_gradient(back, there, layer.taps, **exact), dw, dtype)
    axes = (0, *range(2, dy.ndim))
    same("bias", layer, kw.conv_bias_gradient(back, layout=layer.layout), dy.sum(axes), dtype)


def same(what: str, layer: Layer, found: np.ndarray, wanted: np.ndarray, dtype: str) -> None:
    assert found.dtype == dtype, f"{what}: {found.dtype} of {layer}"
    assert found.shape == wanted.shape, f"{what}: {found.shape}, not {wanted.shape} of {layer}"
    assert np.array_equal(found, wanted), f"{what} of {layer}"


def main(seed: int, first: int, count: int) -> None:
    for number in range(first, first + count):
        check_one(seed, number)
    print(f"{count} right")


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:]))
