"""MNIST and FashionMNIST, from files that are there. Nothing is downloaded.

The format (idx, as yann.lecun.com/exdb/mnist describes it): two zero bytes, the dtype (8: unsigned bytes), the number
of axes; the size of each as a big-endian u32; the numbers in C order. Files may be packed by gzip.
"""

from __future__ import annotations

import gzip
import math
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .... import ndarray as nd
from ..dataset import Dataset

__all__ = ["MNIST", "FashionMNIST"]

BYTES = 8  # idx's number of the dtype
PARTS = {True: "train", False: "t10k"}


def _home() -> Path:
    """$MXNET_HOME, otherwise ~/.mxnet, as MXNet has it."""
    return Path(os.environ.get("MXNET_HOME", Path.home() / ".mxnet"))


class MNIST(Dataset):
    """Handwritten digits: images (28, 28, 1) of uint8, and labels, int32.

    root : the folder of the files train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and
        t10k-labels-idx1-ubyte, each with or without .gz; $MXNET_HOME/datasets/mnist if not given.
    train : whether the images to train with, or those to test with.
    transform : what is done to every (image, label).

    Raises FileNotFoundError, which names the files, and ValueError for files of another kind.
    """

    _folder = "mnist"

    def __init__(
        self, root: Any = None, train: bool = True, transform: Callable[[Any, Any], Any] | None = None
    ) -> None:
        folder = _home() / "datasets" / self._folder if root is None else Path(root).expanduser()
        part = PARTS[bool(train)]
        images, labels = _find(folder, f"{part}-images-idx3-ubyte"), _find(folder, f"{part}-labels-idx1-ubyte")
        missing = [str(where) for found, where in (images, labels) if not found]
        if missing:
            raise FileNotFoundError(
                f"{type(self).__name__} reads local files and downloads nothing: there is no {' and no '.join(missing)}"
                " (nor with .gz). Put them there, or give their folder as `root`"
            )
        pictures, numbers = _read(images[1], 3), _read(labels[1], 1)
        if len(pictures) != len(numbers):
            raise ValueError(f"{images[1]} holds {len(pictures)} images, {labels[1]} {len(numbers)} labels")
        self._data: Any = nd.array(pictures[..., None], dtype=np.uint8)
        self._label = numbers.astype(np.int32)
        self._transform = transform

    def __len__(self) -> int:
        return len(self._label)

    def __getitem__(self, idx: Any) -> Any:
        image, label = self._data[idx], self._label[idx]
        return (image, label) if self._transform is None else self._transform(image, label)


class FashionMNIST(MNIST):
    """Pictures of clothes, in files like `MNIST`'s; $MXNET_HOME/datasets/fashion-mnist if ``root`` is not given."""

    _folder = "fashion-mnist"


def _find(folder: Path, name: str) -> tuple[bool, Path]:
    """Whether the file is there, and where it is or should be."""
    for file in (folder / f"{name}.gz", folder / name):
        if file.is_file():
            return True, file
    return False, folder / name


def _read(file: Path, axes: int) -> np.ndarray:
    """The numbers of an idx file of unsigned bytes. Raises ValueError."""
    try:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (EOFError, OSError) as error:
        raise ValueError(f"{file} cannot be unpacked: {error}") from error
    begin = 4 + 4 * axes
    if len(content) < begin or content[:4] != bytes((0, 0, BYTES, axes)):
        raise ValueError(f"{file} is no idx file of unsigned bytes with {axes} axes")
    shape = struct.unpack(f">{axes}I", content[4:begin])
    if len(content) - begin != math.prod(shape):
        raise ValueError(f"{file} should hold {shape} numbers (got {len(content) - begin} bytes)")
    return np.frombuffer(content, np.uint8, offset=begin).reshape(shape)
