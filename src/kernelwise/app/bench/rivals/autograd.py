"""Layers forward and backward by libraries that differentiate: PyTorch and JAX.

JAX decides how many threads it has when it starts: it takes part where as many are asked for as this process has CPUs.
Its function is compiled before, and its arrays are its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .engines import Layer


class Way(NamedTuple):
    """``run`` computes y and the gradients by x and by w; ``fetch`` returns them, one behind the other, flat."""

    name: str
    module: str
    run: Callable[[], object]
    fetch: Callable[[], np.ndarray]


def pytorch(layer: Layer, dy: np.ndarray) -> list[Way]:
    """In both layouts."""
    import torch

    def way(name: str, order: Any) -> Way:
        image, weight, slope = (torch.from_numpy(a).contiguous(memory_format=order) for a in (layer.x, layer.w, dy))
        image.requires_grad_()
        weight.requires_grad_()
        results: list = []

        def run() -> None:
            results.clear()
            y = torch.nn.functional.conv2d(image, weight, None, layer.stride, layer.padding)
            results.extend((y.detach(), *torch.autograd.grad(y, (image, weight), slope)))

        return Way(f"torch {name}", "torch", run, lambda: _flat([part.contiguous().numpy() for part in results]))

    return [way("NCHW", torch.contiguous_format), way("channels_last", torch.channels_last)]


def jax(layer: Layer, dy: np.ndarray) -> list[Way]:
    """In both layouts."""
    import jax

    def way(name: str, orders: tuple[str, str, str]) -> Way:
        last = orders[0] == "NHWC"
        x, slope = (jax.numpy.asarray(_turned(a, (0, 2, 3, 1)) if last else a) for a in (layer.x, dy))
        w = jax.numpy.asarray(_turned(layer.w, (2, 3, 1, 0)) if last else layer.w)
        around = [(layer.padding, layer.padding)] * 2

        def convolve(x: Any, w: Any) -> Any:
            steps = (layer.stride, layer.stride)
            return jax.lax.conv_general_dilated(x, w, steps, around, dimension_numbers=orders)

        @jax.jit
        def both(x: Any, w: Any, slope: Any) -> Any:
            y, back = jax.vjp(convolve, x, w)
            return y, *back(slope)

        results: list = []

        def run() -> None:
            results[:] = jax.block_until_ready(both(x, w, slope))

        def fetch() -> np.ndarray:
            y, dx, dw = map(np.asarray, results)
            if last:
                y, dx, dw = _turned(y, (0, 3, 1, 2)), _turned(dx, (0, 3, 1, 2)), _turned(dw, (3, 2, 0, 1))
            return _flat([y, dx, dw])

        run()
        return Way(f"jax {name}", "jax", run, fetch)

    return [way("NCHW", ("NCHW", "OIHW", "NCHW")), way("NHWC", ("NHWC", "HWIO", "NHWC"))]


def jax_has(threads: int) -> bool:
    """Whether that is how many threads JAX has."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return threads == cpus


def _turned(array: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return np.ascontiguousarray(array.transpose(axes))


def _flat(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([part.ravel() for part in parts])
