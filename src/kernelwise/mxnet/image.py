"""mx.image: images (h, w, channels) in other sizes, to the bit as MXNet 1.9.1 makes them through OpenCV.

OpenCV (modules/imgproc/src/resize.cpp) puts the centre of pixel i of n at (i + 1/2) / n of the length of the image.
Bilinear weights of bytes are whole numbers of 1/2048. Along a row they are applied exactly; the weighting of two rows
drops 4 bits before and 16 after the products.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .base import MXNetError
from .ndarray.core import Core, plain
from .uncovered import lookup, table

__all__ = ["center_crop", "color_normalize", "fixed_crop", "imresize", "resize_short"]

NEAREST, BILINEAR = 0, 1
ONE = 2048  # a weight of 1, for bytes
_UNCOVERED = table(
    "mx.image.",
    """
    imread imdecode: matplotlib.image.imread or PIL.Image.open, and nd.array
    imrotate random_rotate random_crop random_size_crop copyMakeBorder: torchvision.transforms
    Augmenter SequentialAug RandomOrderAug ResizeAug ForceResizeAug RandomCropAug: torchvision.transforms
    RandomSizedCropAug CenterCropAug BrightnessJitterAug ContrastJitterAug: torchvision.transforms
    SaturationJitterAug HueJitterAug ColorJitterAug LightingAug ColorNormalizeAug: torchvision.transforms
    RandomGrayAug HorizontalFlipAug CastAug CreateAugmenter: torchvision.transforms
    ImageIter ImageDetIter CreateDetAugmenter: torch.utils.data.DataLoader
    detection: torchvision.transforms.v2
    """,
)


def __getattr__(name: str) -> object:
    return lookup(__name__, _UNCOVERED, name)


def imresize(src: Core, w: int, h: int, interp: int = BILINEAR, out: Any = None) -> Any:
    """An image (h, w, channels) of uint8 or float32 in another size.

    interp : 1, bilinear between the four nearest pixels; 0, the nearest. Others raise NotImplementedError.
    """
    if src.ndim != 3:
        raise MXNetError(f"Check failed: an image has 3 axes, (h, w, channels) (got {src.ndim})")
    if w < 1 or h < 1:
        raise MXNetError(f"Check failed: an image has 1 pixel or more each way (got `w`={w}, `h`={h})")
    image = src.data.numpy()
    if interp == NEAREST:
        rows, columns = (np.minimum(np.arange(m) * (n / m), n - 1).astype(int) for n, m in zip(image.shape, (h, w)))  # noqa: B905
        made = image[rows][:, columns]
    elif interp == BILINEAR:
        made = _bilinear(image, w, h)
    else:
        raise NotImplementedError(f"imresize(interp={interp}): 0 and 1 are there; torch.nn.functional.interpolate")
    found = plain(torch.from_numpy(np.ascontiguousarray(made)), src.ctx)
    if out is None:
        return found
    out[:] = found
    return out


def _bilinear(image: np.ndarray, w: int, h: int) -> np.ndarray:
    if image.shape[:2] == (h, w):
        return image.copy()
    if image.dtype not in (np.uint8, np.float32):
        raise MXNetError(f"Check failed: images to be resized are uint8 or float32 (got {image.dtype.name})")
    if image.dtype == np.uint8 and image.shape[:2] == (2 * h, 2 * w):
        return _halved(image)
    rows, columns = _places(image.shape[0], h), _places(image.shape[1], w)
    columns[2][columns[0] == columns[1]] = 0  # of rows OpenCV weighs such a pixel twice, which rounds twice
    if image.dtype == np.uint8:
        return _bytes(image, rows, columns)
    (top, bottom, down), (left, right, along) = rows, columns
    across = image[:, left] * (np.float32(1) - along)[:, None] + image[:, right] * along[:, None]
    down = down[:, None, None]
    return across[top] * (np.float32(1) - down) + across[bottom] * down  # type: ignore[no-any-return]


def _places(size: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of every new pixel the two old ones it lies between, and how far it is from the first, float32.

    Beyond the first and the last pixel, both are that pixel.
    """
    at = ((np.arange(count) + 0.5) * (size / count) - 0.5).astype(np.float32)
    first = np.floor(at).astype(int)
    part = at - first.astype(np.float32)
    return first.clip(0, size - 1), (first + 1).clip(0, size - 1), part


def _bytes(image: np.ndarray, rows: Any, columns: Any) -> np.ndarray:
    (top, bottom, down), (left, right, along) = rows, columns
    (near_x, far_x), (near_y, far_y) = _whole(along), _whole(down)
    wide = image.astype(np.int64)
    across = wide[:, left] * near_x[:, None] + wide[:, right] * far_x[:, None]
    parts = (across[top] >> 4) * near_y[:, None, None] >> 16, (across[bottom] >> 4) * far_y[:, None, None] >> 16
    return ((parts[0] + parts[1] + 2) >> 2).clip(0, 255).astype(np.uint8)


def _whole(part: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The weights of the first and the second pixel, in whole numbers; halves are rounded to even."""
    near, far = (np.rint(one * np.float32(ONE)).astype(np.int64) for one in (np.float32(1) - part, part))
    return near, far


def _halved(image: np.ndarray) -> np.ndarray:
    """Half the size: means of four."""
    h, w, channels = image.shape
    total = image.reshape(h // 2, 2, w // 2, 2, channels).sum(axis=(1, 3), dtype=np.int64)
    return ((total + 2) >> 2).astype(np.uint8)


def short_side(w: int, h: int, size: int) -> tuple[int, int]:
    """Width and height with the shorter one made ``size``, in proportion."""
    return (size * w // h, size) if h <= w else (size, size * h // w)


def resize_short(src: Core, size: int, interp: int = BILINEAR) -> Any:
    """The image with its shorter side made ``size``."""
    w, h = short_side(src.shape[1], src.shape[0], size)
    return imresize(src, w, h, interp)


def fixed_crop(src: Core, x0: int, y0: int, w: int, h: int, size: Any = None, interp: int = BILINEAR) -> Any:
    """A part of an image, made ``size`` = (w, h) if that is given."""
    part = plain(src.data[y0 : y0 + h, x0 : x0 + w].contiguous(), src.ctx)
    return part if size is None or (w, h) == tuple(size) else imresize(part, size[0], size[1], interp)


def center_crop(src: Core, size: Any, interp: int = BILINEAR) -> Any:
    """The middle of an image, of ``size`` = (w, h), and where it was: (x, y, w, h)."""
    (h, w), (new_w, new_h) = src.shape[:2], size
    if w < new_w:
        new_w, new_h = w, new_h * w // new_w
    if h < new_h:
        new_w, new_h = new_w * h // new_h, h
    x0, y0 = (w - new_w) // 2, (h - new_h) // 2
    return fixed_crop(src, x0, y0, new_w, new_h, size, interp), (x0, y0, new_w, new_h)


def color_normalize(src: Any, mean: Any, std: Any = None) -> Any:
    """(src - mean) / std."""
    if mean is not None:
        src = src - mean
    return src if std is None else src / std
