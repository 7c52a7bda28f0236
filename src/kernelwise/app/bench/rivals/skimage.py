"""scikit-image, where it has the operation: gaussian, and on float images sobel and laplace. One thread.

Its sobel is a quarter of ours, its laplace has the other sign (and another border, which is left out); that is
undone when results are compared, not in the time.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..cases import Row
from .contender import Contender

MODULE = "skimage"
DISTRIBUTIONS = ("scikit-image",)


def set_threads(threads: int) -> None:
    """scikit-image's filters use one thread."""


def contenders(row: Row, x: np.ndarray, out: np.ndarray) -> Iterator[Contender]:
    from skimage import filters

    if row.result != "f32":
        return
    kernel = row.kernel
    if kernel.family == "gaussian":
        channel_axis = -1 if row.colour else None
        truncate = (kernel.weights.shape[0] // 2) / kernel.sigma

        def gaussian() -> np.ndarray:
            return filters.gaussian(
                x,
                kernel.sigma,
                mode="mirror",
                truncate=truncate,
                preserve_range=True,
                channel_axis=channel_axis,
                out=out,
            )

        yield Contender("skimage.gaussian", gaussian, one_thread=True)
    if row.source != "f32" or row.colour:
        return
    if kernel.family == "sobel-x":
        yield Contender("skimage.sobel", lambda: filters.sobel(x, axis=1, mode="mirror"), factor=4.0, one_thread=True)
    if kernel.family == "laplace":
        inside = (slice(1, -1), slice(1, -1))
        yield Contender(
            "skimage.laplace", lambda: filters.laplace(x, ksize=3)[inside], inside, factor=-1.0, one_thread=True
        )
