"""scipy.ndimage: correlate, gaussian_filter, sobel, laplace. Outputs preallocated (output=); one thread always.

It takes no part in the rows of large kernels. Where it would truncate or wrap (u8 results), it writes float32, and the
result is rounded and saturated after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..cases import Row
from .contender import Contender, settle

MODULE = "scipy"
DISTRIBUTIONS = ("scipy",)


def set_threads(threads: int) -> None:
    """scipy.ndimage uses one thread."""


def contenders(row: Row, x: np.ndarray, out: np.ndarray) -> Iterator[Contender]:
    from scipy import ndimage

    if row.large:
        return  # tap by tap: minutes where the others take a second
    kernel = row.kernel
    weights = kernel.weights.astype(np.float64)
    if row.colour:
        weights = weights[:, :, None]
    scratch = np.empty(x.shape, np.float32) if out.dtype == np.uint8 else None

    def contender(function: Callable[..., Any], *arguments: Any, **options: Any) -> Contender:
        def call() -> np.ndarray:
            into = out if scratch is None else scratch
            function(x, *arguments, output=into, mode="mirror", **options)
            return out if scratch is None else settle(scratch, out)

        return Contender(f"ndimage.{function.__name__}", call, one_thread=True)

    if kernel.family != "gaussian":
        yield contender(ndimage.correlate, weights)
    else:
        flat = (0,) if row.colour else ()
        radius = (kernel.weights.shape[0] // 2,) * 2 + flat
        yield contender(ndimage.gaussian_filter, (kernel.sigma,) * 2 + flat, radius=radius)
    if kernel.family == "sobel-x" and not row.colour:
        yield contender(ndimage.sobel, 1)
    if kernel.family == "laplace" and not row.colour:
        yield contender(ndimage.laplace)
