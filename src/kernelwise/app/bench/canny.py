"""Canny's edges: in OpenCV's setting beside cv2.Canny, pixel for pixel; in general beside scikit-image.

OpenCV's setting is what cv2.Canny does by default: no smoothing, Sobel 3x3, |gx| + |gy|, with the thresholds 60 and
120. Photographs, noise, and the two pictures whose hysteresis is as long as it can be: pictures.py. scikit-image finds
the maximum across an edge in another way, so that its edges agree with ours in place but not pixel for pixel: of 100
edge pixels of either at least 99 lie within two pixels of one of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

import kernelwise as kw
from kernelwise import edges

from . import pictures, rivals
from .agree import Disagreement
from .comparison import Comparison, Prepared, Rival, same

OPENCV, GENERAL_SECTION = "canny", "canny smoothed"  # sections of the table
SHAPES = ((1080, 1920), (4096, 4096))
LOW, HIGH = 60, 120
MODULES = {"camera": "skimage", "coins": "skimage", "china": "sklearn", "grace_hopper": "matplotlib"}  # that ship them
MADE: dict[str, Callable[[int, int], np.ndarray]] = {"noise": pictures.noise, **pictures.WINDING}
SIGMA, GENERAL_LOW, GENERAL_HIGH = 1.5, 30.0, 75.0  # pixels; Sobel's slope in a picture of 0 to 255
GENERAL = ("camera", "noise")
NEAR, SHARE = 2, 0.99  # so many pixels apart, and so much of all edge pixels at least


def rows(shapes: Sequence[tuple[int, int]] = SHAPES) -> list[Comparison]:
    """Every picture in OpenCV's setting on every shape, and two with smoothing."""
    names = [*(name for name, module in MODULES.items() if rivals.is_installed(module)), *MADE]
    opencv = [_opencv(name, shape) for shape in shapes for name in names]
    return opencv + [_general(name, shapes[0]) for name in GENERAL if name in names]


def missing() -> list[str]:
    """The photographs of libraries that are not installed: their rows are left out."""
    return [f"{name} ({module})" for name, module in MODULES.items() if not rivals.is_installed(module)]


def quick() -> list[Comparison]:
    """All at 1080 x 1920, two photographs and the winding lines at 4096 x 4096."""
    larger = [_opencv(name, SHAPES[1]) for name in ("camera", *pictures.WINDING)]
    return [*rows(SHAPES[:1]), *larger]


def picture(name: str, shape: tuple[int, int]) -> np.ndarray:
    """(H, W) uint8: one of the photographs in that size, or one that is made in it."""
    return MADE[name](*shape) if name in MADE else pictures.resized(pictures.photograph(name), *shape)


def _opencv(name: str, shape: tuple[int, int]) -> Comparison:
    def prepare(threads: int) -> Prepared:
        x = picture(name, shape)
        out = np.empty(shape, np.uint8)

        def theirs() -> np.ndarray:
            import cv2

            cv2.Canny(x, LOW, HIGH, edges=out, apertureSize=3, L2gradient=False)
            return out

        return Prepared(
            lambda: edges.canny(x, 0, LOW, HIGH, norm="l1", opencv=True, threads=threads),
            lambda got: _check_map(got, x, LOW),
            [Rival("cv2.Canny", "cv2", theirs, same)],
        )

    return Comparison(OPENCV, _size(shape), "u8", f"{name} 60/120 L1", prepare)


def _general(name: str, shape: tuple[int, int]) -> Comparison:
    def prepare(threads: int) -> Prepared:
        x = picture(name, shape)
        floats = x.astype(np.float64)

        def theirs() -> np.ndarray:
            from skimage import feature

            return feature.canny(floats, SIGMA, GENERAL_LOW, GENERAL_HIGH, mode="mirror")

        return Prepared(
            lambda: edges.canny(x, SIGMA, GENERAL_LOW, GENERAL_HIGH, threads=threads),
            lambda got: _check_map(got, x, None),
            [Rival("skimage.canny", "skimage", theirs, _near, one_thread=True)],
        )

    return Comparison(GENERAL_SECTION, _size(shape), "u8", f"{name} sigma {SIGMA}", prepare)


def _size(shape: tuple[int, int]) -> str:
    return "x".join(map(str, shape))


def _check_map(got: np.ndarray, x: np.ndarray, above: float | None) -> None:
    """A map of the picture's size with some edges; without smoothing, all of them where the slope is `above` that."""
    found = got != 0
    if got.shape != x.shape or not found.any() or found.all():
        raise Disagreement(f"{np.count_nonzero(found)} edge pixels in a map of {got.shape}")
    if above is not None:
        slope = sum(np.abs(kw.correlate(x, kernel, border="edge")) for kernel in ("sobel-x", "sobel-y"))
        if (slope[found] <= above).any():
            raise Disagreement("an edge where the slope is below the lower threshold")


def _near(mine: np.ndarray, theirs: np.ndarray) -> None:
    """Nearly every edge pixel of either has one of the other within NEAR pixels."""
    for name, some, others in (("ours", mine, theirs), ("theirs", theirs, mine)):
        count = int(np.count_nonzero(some))
        share = float(np.count_nonzero(some & _widened(others))) / max(1, count)
        if share < SHARE:
            raise Disagreement(f"{1 - share:.1%} of the {count} edge pixels of {name} have none of the other near")


def _widened(found: np.ndarray) -> np.ndarray:
    """Every pixel that has an edge within NEAR rows and columns."""
    box = np.ones(2 * NEAR + 1, np.int32)
    counts = kw.correlate(found.astype(np.uint8), np.outer(box, box), border="constant")
    return counts > 0
