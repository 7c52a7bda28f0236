"""scipy.signal: correlate2d, fftconvolve, oaconvolve, which have no mirrored border and allocate their results.

They compute "valid", a little less than asked for. In the rows of large kernels, where that would be much less, they
compute "same" with zeros outside, and correlate2d, which goes tap by tap, takes no part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ..cases import Row
from .contender import Contender, settle, valid_region

MODULE = "scipy"
DISTRIBUTIONS = ("scipy",)

_threads = 1


def set_threads(threads: int) -> None:
    """Workers of scipy.fft, used by the Fourier functions; correlate2d uses one thread."""
    global _threads
    _threads = threads


def contenders(row: Row, x: np.ndarray, out: np.ndarray) -> Iterator[Contender]:
    from scipy import fft, signal

    weights = row.kernel.weights
    region = valid_region(x.shape, weights.shape)
    target = out[region]
    if not (row.colour or row.large):
        # An integer kernel on u8 fits in int16, which then is the type of the sum.
        small = weights.astype(np.int16 if row.kernel.exact and row.source == "u8" else np.float32)
        yield Contender(
            "signal.correlate2d",
            lambda: _settled(signal.correlate2d(x, small, mode="valid"), target),
            region,
            one_thread=True,
        )
    mode = "same" if row.large else "valid"
    flipped = weights[::-1, ::-1].astype(np.float32)
    if row.colour:
        flipped = flipped[:, :, None]

    def transform(function: Callable[..., np.ndarray]) -> Callable[[], np.ndarray]:
        def call() -> np.ndarray:
            with fft.set_workers(_threads):
                y = function(x.astype(np.float32, copy=False), flipped, mode=mode, axes=(0, 1))
            return _settled(y, out)[region] if row.large else _settled(y, target)

        return call

    yield Contender("signal.fftconvolve", transform(signal.fftconvolve), region, fourier=True)
    yield Contender("signal.oaconvolve", transform(signal.oaconvolve), region, fourier=True)


def _settled(y: np.ndarray, target: np.ndarray) -> np.ndarray:
    if y.dtype == target.dtype:
        return y
    if y.dtype.kind == "i" and target.dtype.kind in "iu":
        limits = np.iinfo(target.dtype)
        np.clip(y, limits.min, limits.max, out=y)
        np.copyto(target, y, casting="unsafe")
        return target
    return settle(y, target)
