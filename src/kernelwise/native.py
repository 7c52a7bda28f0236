"""How a problem's numbers look to generated code."""

from __future__ import annotations

import numpy as np

from .problem import Problem


def native_image(problem: Problem) -> np.dtype:
    """What generated code reads: the image's own numbers; bool as uint8, float16 widened, complex as pairs."""
    image = problem.image
    if image.kind == "c":
        return np.dtype(f"f{image.itemsize // 2}")
    if image.kind == "b":
        return np.dtype(np.uint8)
    return np.dtype(np.float32) if image.char == "e" else image


def native_dtype(problem: Problem) -> np.dtype:
    """What generated code writes: the result's own numbers, or those that NumPy converts to the result."""
    result = problem.result
    if result.kind == "c":
        return np.dtype(f"f{result.itemsize // 2}")
    if result.kind == "f" and result.itemsize == 2:
        return np.dtype(np.float64) if problem.sums.kind == "i" else problem.sums
    return result


def native_result(problem: Problem) -> np.dtype:
    """The dtype of an array that generated code fills: complex where the image is."""
    number = native_dtype(problem)
    return np.dtype(f"c{2 * number.itemsize}") if problem.image.kind == "c" else number


def pairs(problem: Problem) -> int:
    """Numbers in a pixel."""
    return 2 if problem.image.kind == "c" else 1


def kernel_parts(problem: Problem) -> tuple[np.ndarray, ...]:
    """The kernel in the dtype of the sums; its real and its imaginary part if it is complex."""
    kernel = problem.weights
    parts = (kernel.real, kernel.imag) if kernel.dtype.kind == "c" else (kernel,)
    with np.errstate(over="ignore", under="ignore"):
        return tuple(part.astype(problem.sums) for part in parts)
