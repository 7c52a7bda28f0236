"""gluon.data: examples, and batches of them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from ...uncovered import lookup, table
from .dataloader import DataLoader
from .dataset import ArrayDataset, Dataset, SimpleDataset
from .sampler import BatchSampler, FilterSampler, RandomSampler, Sampler, SequentialSampler

__all__ = [
    "ArrayDataset",
    "BatchSampler",
    "DataLoader",
    "Dataset",
    "FilterSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SimpleDataset",
    "vision",
]

_UNCOVERED = table("gluon.data.", "RecordFileDataset: a Dataset of your own")


def __getattr__(name: str) -> Any:
    if name == "vision":
        return import_module(f"{__name__}.vision")
    return lookup(__name__, _UNCOVERED, name)
