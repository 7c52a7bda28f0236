"""OpenCV: filter2D, sepFilter2D, GaussianBlur, Sobel, Laplacian, subtract. Outputs preallocated (dst=)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..cases import Row
from .contender import Contender

MODULE = "cv2"
DISTRIBUTIONS = ("opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")

# GaussianBlur on u8 rounds its weights to multiples of 1/256. OpenCV 5.0.0 on noise, 1080 x 1920 x 3, 15 taps: 16 % of
# the results are one level off the rounded float sum, and one of 6.2 million is two levels off.
FIXED_POINT_LEVELS = 2.0


def set_threads(threads: int) -> None:
    import cv2

    cv2.setNumThreads(threads)


def contenders(row: Row, x: np.ndarray, out: np.ndarray) -> Iterator[Contender]:
    import cv2

    depth = {"f32": cv2.CV_32F, "u8": cv2.CV_8U, "int16": cv2.CV_16S}[row.result]
    border = cv2.BORDER_REFLECT_101
    kernel = row.kernel
    weights = kernel.weights.astype(np.float32)
    yield Contender("cv2.filter2D", lambda: cv2.filter2D(x, depth, weights, dst=out, borderType=border))
    if kernel.factors is not None:
        column, line = (f.astype(np.float32) for f in kernel.factors)
        yield Contender("cv2.sepFilter2D", lambda: cv2.sepFilter2D(x, depth, line, column, dst=out, borderType=border))
    if kernel.family == "gaussian" and row.source == row.result:
        size, sigma = kernel.weights.shape[::-1], kernel.sigma
        yield Contender(
            "cv2.GaussianBlur",
            lambda: cv2.GaussianBlur(x, size, sigma, dst=out, borderType=border),
            levels=0.0 if row.result == "f32" else FIXED_POINT_LEVELS,
        )
    if kernel.family == "sobel-x":
        yield Contender("cv2.Sobel", lambda: cv2.Sobel(x, depth, 1, 0, dst=out, ksize=3, borderType=border))
    if kernel.family == "laplace":
        yield Contender("cv2.Laplacian", lambda: cv2.Laplacian(x, depth, dst=out, ksize=1, borderType=border))
    if kernel.family == "difference":
        yield Contender("cv2.subtract slices", lambda: _subtract(x, out, depth))


def _subtract(x: np.ndarray, out: np.ndarray, depth: int) -> np.ndarray:
    """[1, -1]: the pixel to the left minus the pixel itself; left of column 0 stands column 1."""
    import cv2

    cv2.subtract(x[:, :-1], x[:, 1:], dst=out[:, 1:], dtype=depth)
    cv2.subtract(x[:, 1:2], x[:, :1], dst=out[:, :1], dtype=depth)
    return out
