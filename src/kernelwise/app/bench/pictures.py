"""Pictures that edge detectors are compared on: photographs, noise, and paths that wind as badly as paths can.

All are gray, uint8, and the same in every run. The photographs come with packages that ship some.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

FLAT, WEAK, STRONG = 100, 120, 200  # gray values; a step to WEAK lies between Canny's thresholds 60 and 120
PHOTOGRAPHS = ("camera", "coins", "china", "flower", "grace_hopper")


def photograph(name: str) -> np.ndarray:
    """A photograph in its own size: "camera" and "coins" from scikit-image, "china" and "flower" from scikit-learn,
    "grace_hopper" from matplotlib. Colours are weighted as in ITU-R 601. Returns (H, W) uint8."""
    return gray(colours(name)) if name not in ("camera", "coins") else _from_skimage(name)


def colours(name: str) -> np.ndarray:
    """One of the photographs "china", "flower" and "grace_hopper", (H, W, 3) uint8."""
    if name == "grace_hopper":
        import matplotlib.cbook
        import matplotlib.image

        return np.asarray(
            matplotlib.image.imread(str(matplotlib.cbook.get_sample_data(f"{name}.jpg", asfileobj=False)))
        )
    from sklearn.datasets import load_sample_image

    return np.asarray(load_sample_image(f"{name}.jpg"))


def _from_skimage(name: str) -> np.ndarray:
    import skimage.data

    return np.asarray(getattr(skimage.data, name)())


def gray(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 to (H, W) uint8."""
    return np.rint(picture @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)


def resized(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """A gray picture in another size, by straight lines between pixels. Returns (height, width) uint8."""
    values = picture.astype(np.float32)
    for axis, size in enumerate((height, width)):
        have = values.shape[axis]
        at = np.clip((np.arange(size, dtype=np.float64) + 0.5) * have / size - 0.5, 0, have - 1)
        low = np.minimum(at.astype(np.intp), have - 1)
        part = (at - low).astype(np.float32).reshape((-1, 1) if axis == 0 else (1, -1))
        first = np.take(values, low, axis)
        values = first + (np.take(values, np.minimum(low + 1, have - 1), axis) - first) * part
    return np.rint(values).astype(np.uint8)


def noise(height: int, width: int) -> np.ndarray:
    """Every pixel a number of its own, 0 to 255 alike."""
    return np.random.default_rng(0).integers(0, 256, (height, width), dtype=np.uint8)


def zigzag(height: int, width: int, stroke: int = 4) -> np.ndarray:
    """One faint line that goes down and up through the whole picture, ``stroke`` pixels wide and as far from itself.

    Its outline is a single path of weak edges, all of which a bright spot at the line's beginning turns into edges.
    """
    picture = np.full((height, width), FLAT, np.uint8)
    lines = range(stroke, width - 2 * stroke, 2 * stroke)
    top, bottom = stroke, height - stroke
    for number, x in enumerate(lines):
        picture[top:bottom, x : x + stroke] = WEAK
        if number + 1 < len(lines):
            y = bottom - stroke if number % 2 == 0 else top
            picture[y : y + stroke, x : x + 3 * stroke] = WEAK
    picture[top : top + stroke, stroke : 2 * stroke] = STRONG
    return picture


def spiral(height: int, width: int, stroke: int = 4) -> np.ndarray:
    """One faint line that winds from the corner to the middle, ``stroke`` pixels wide and as far from itself.

    Its outline is a single path of weak edges, all of which a bright spot at the outer end turns into edges.
    """
    picture = np.full((height, width), FLAT, np.uint8)
    period = 2 * stroke
    top, bottom, left, right = stroke, height - stroke, stroke, width - stroke
    while right - left > 2 * period and bottom - top > 2 * period:
        picture[top : top + stroke, left:right] = WEAK
        picture[top:bottom, right - stroke : right] = WEAK
        picture[bottom - stroke : bottom, left:right] = WEAK
        picture[top + period : bottom, left : left + stroke] = WEAK
        top, bottom, right = top + period, bottom - period, right - period
        picture[top : top + stroke, left : left + period] = WEAK  # into the next turn
        left += period
    picture[stroke : 2 * stroke, stroke : 2 * stroke] = STRONG
    return picture


WINDING: dict[str, Callable[[int, int], np.ndarray]] = {"zigzag": zigzag, "spiral": spiral}
