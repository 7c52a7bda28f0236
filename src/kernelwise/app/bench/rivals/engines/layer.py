"""A convolution layer as all engines are given it, and what each of them makes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Layer:
    """A layer without bias and its images, all float32: 2-D, equal in both axes, zeros outside."""

    channels: int
    size: tuple[int, int]  # pixels of an image
    outputs: int
    taps: int  # on either axis
    stride: int = 1
    groups: int = 1
    images: int = 1

    @property
    def padding(self) -> int:
        """Pixels on every side: half of the window."""
        return self.taps // 2

    @property
    def out_size(self) -> tuple[int, int]:
        height, width = ((n + 2 * self.padding - self.taps) // self.stride + 1 for n in self.size)
        return height, width

    @property
    def x_shape(self) -> tuple[int, ...]:
        return (self.images, self.channels, *self.size)

    @property
    def w_shape(self) -> tuple[int, ...]:
        return (self.outputs, self.channels // self.groups, self.taps, self.taps)

    @property
    def y_shape(self) -> tuple[int, ...]:
        return (self.images, self.outputs, *self.out_size)

    @property
    def flops(self) -> int:
        """Operations as the definition has them, a multiply-add counting as two; taps on the padding count too."""
        height, width = self.out_size
        return 2 * self.images * self.outputs * height * width * self.channels // self.groups * self.taps**2

    @cached_property
    def x(self) -> np.ndarray:
        return np.random.default_rng(1234).standard_normal(self.x_shape, np.float32)

    @cached_property
    def w(self) -> np.ndarray:
        """Normal, of a variance that keeps the result's near 2."""
        scale = np.float32((2 / (self.w_shape[1] * self.taps**2)) ** 0.5)
        return np.random.default_rng(4321).standard_normal(self.w_shape, np.float32) * scale


@dataclass(frozen=True)
class Call:
    """A way to run a layer with everything made ready before: ``run()`` is timed, ``fetch()`` gives the result."""

    name: str
    run: Callable[[], object]
    fetch: Callable[[], np.ndarray]  # -> (n, o, h, w), of the last run
