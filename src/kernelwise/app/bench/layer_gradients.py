"""Rows of layers that are trained: forward and both gradients together, and the weight gradient of one-channel images.

Beside PyTorch's and JAX's autograd, and PyTorch's own function for weight gradients. Ours are the functions on arrays,
with out=.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import kernelwise as kw

from . import layer_truth, rivals, timing
from .agree import Disagreement
from .comparison import Comparison, Prepared, Rival
from .rivals import autograd
from .rivals.engines import Layer

BOTH, WEIGHTS = "layers trained", "layers weights"  # sections of the table
OURS, THEIRS = 5e-6, 5e-5  # errors allowed, in units of the largest value of each array
LONG_SUMS = 1e-3  # the same for torch under a million products, which it adds up in float32


def trained(layer: Layer) -> Comparison:
    """y, dx and dw of a layer, for a gradient that is given."""
    image = "x".join(map(str, layer.x_shape[1:]))
    what = f"{layer.taps}x{layer.taps} to {layer.outputs} N={layer.images}"
    return Comparison(BOTH, image, "f32->f32", what, lambda threads: _prepare_trained(layer, threads), 3 * layer.flops)


def weight_gradient(side: int, taps: int) -> Comparison:
    """dw of one image of one channel, side x side, under a kernel of taps x taps that reaches over no edge."""
    m = side - taps + 1
    return Comparison(
        WEIGHTS,
        f"1x{side}x{side}",
        "f32->f32",
        f"{taps}x{taps}",
        lambda threads: _prepare_weights(side, taps, threads),
        2 * taps * taps * m * m,
    )


# ---------------------------------------------------------------- forward and backward


def _prepare_trained(layer: Layer, threads: int) -> Prepared:
    x, w, dy = layer.x, layer.w, layer_truth.slopes(layer)
    truths = [layer_truth.known_forward(layer), *layer_truth.known_gradients(layer)]
    shapes = [truth.shape for truth in truths]
    together = np.empty(sum(truth.size for truth in truths), np.float32)
    y, dx, dw = _parts(together, shapes)
    options: dict[str, Any] = {"stride": layer.stride, "padding": layer.padding, "threads": threads}

    def call() -> np.ndarray:
        kw.conv(x, w, out=y, **options)
        kw.conv_input_gradient(dy, w, layer.size, out=dx, **options)
        kw.conv_weight_gradient(dy, x, layer.taps, out=dw, **options)
        return together

    def error(got: np.ndarray) -> float:
        return max(layer_truth.relative_error(a, b) for a, b in zip(_parts(got, shapes), truths, strict=True))

    def at_most(allowed: float) -> Callable[[np.ndarray], None]:
        def check(got: np.ndarray) -> None:
            if not error(got) <= allowed:
                raise Disagreement(f"error {error(got):.2g} of the largest value ({allowed:g} allowed)")

        return check

    theirs = at_most(THEIRS)
    ways: list[autograd.Way] = []
    left_out = {}
    for name, made in (("torch", autograd.pytorch), ("jax", autograd.jax)):
        if not rivals.is_installed(name):
            left_out[name] = rivals.NOT_INSTALLED
        elif name == "jax" and not autograd.jax_has(threads):
            left_out[name] = "has as many threads as there are CPUs"
        else:
            ways += made(layer, dy)
    others = [
        Rival(w.name, w.module, w.run, lambda _, got: theirs(got), fetch=w.fetch, spins=timing.POOL) for w in ways
    ]
    return Prepared(call, at_most(OURS), others, error, left_out)


def _parts(flat: np.ndarray, shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """Views of these shapes, one behind the other."""
    ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)])
    return [flat[a:b].reshape(shape) for a, b, shape in zip(ends, ends[1:], shapes, strict=False)]


# ---------------------------------------------------------------- one-channel images


def _prepare_weights(side: int, taps: int, threads: int) -> Prepared:
    m = side - taps + 1
    rng = np.random.default_rng(5)
    x = rng.standard_normal((1, 1, side, side), np.float32)
    dy = rng.standard_normal((1, 1, m, m), np.float32)
    out = np.empty((1, 1, taps, taps), np.float32)
    truth = _correlation(x[0, 0], dy[0, 0], taps)

    def call() -> np.ndarray:
        kw.conv_weight_gradient(dy, x, taps, out=out, threads=threads)
        return out

    def error(got: np.ndarray) -> float:
        return layer_truth.relative_error(got[0, 0], truth)

    def check(got: np.ndarray) -> None:
        if not error(got) <= OURS:
            raise Disagreement(f"error {error(got):.2g} of the largest value ({OURS:g} allowed)")

    def agree(_: np.ndarray, got: np.ndarray) -> None:
        if not error(got) <= LONG_SUMS:
            raise Disagreement(f"error {error(got):.2g} of the largest value ({LONG_SUMS:g} allowed)")

    rival = _torch_weights(x, dy, taps)
    others = [Rival("torch conv2d_weight", "torch", rival, agree, spins=timing.POOL)]
    return Prepared(call, check, others, error)


def _correlation(x: np.ndarray, dy: np.ndarray, taps: int) -> np.ndarray:
    """(taps, taps) float64: dy at every lag of x, by Fourier transforms of the whole image; no lag wraps around."""
    spectrum = np.fft.rfft2(x.astype(np.float64))
    spectrum *= np.fft.rfft2(dy.astype(np.float64), x.shape).conj()
    return np.fft.irfft2(spectrum, x.shape)[:taps, :taps]


def _torch_weights(x: np.ndarray, dy: np.ndarray, taps: int) -> Callable[[], object]:
    def call() -> np.ndarray:
        import torch
        from torch.nn.grad import conv2d_weight

        with torch.inference_mode():
            images, slopes = torch.from_numpy(x), torch.from_numpy(dy)
            got: np.ndarray = conv2d_weight(images, (1, 1, taps, taps), slopes).numpy()
        return got

    return call
