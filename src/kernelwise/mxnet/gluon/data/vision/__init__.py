"""gluon.data.vision: images and their labels from local files, and what is done to images."""

from __future__ import annotations

from ....uncovered import lookup, table
from . import transforms
from .datasets import MNIST, FashionMNIST

__all__ = ["MNIST", "FashionMNIST", "transforms"]

_UNCOVERED = table(
    "gluon.data.vision.",
    """
    CIFAR10 CIFAR100: torchvision.datasets, and an ArrayDataset of its arrays
    ImageFolderDataset: torchvision.datasets.ImageFolder
    ImageRecordDataset: a Dataset of your own
    """,
)


def __getattr__(name: str) -> object:
    return lookup(__name__, _UNCOVERED, name)
