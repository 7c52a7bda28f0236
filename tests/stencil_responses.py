"""How a kernel answers to a known image, for the tests of the stencils."""

from __future__ import annotations

import numpy as np


def coordinates(kernel):
    """x and y of every tap, 0 at the anchor k // 2."""
    y, x = np.indices(kernel.shape)
    return x - kernel.shape[1] // 2, y - kernel.shape[0] // 2


def response(kernel, image_at):
    """What correlating gives at the origin of an image that is `image_at(x, y)`."""
    return float((kernel * image_at(*coordinates(kernel))).sum())
