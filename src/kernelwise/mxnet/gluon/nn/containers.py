"""Blocks one after another."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

from ..block import Block, HybridBlock, listing


class _Stack(Block):
    """What both kinds have."""

    def __repr__(self) -> str:
        return listing(self, self._children.items())

    def __len__(self) -> int:
        return len(self._children)

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self._children.values()))

    def __getitem__(self, key: Any) -> Any:
        found = list(self._children.values())[key]
        if not isinstance(found, list):
            return found
        part = type(self)(prefix=self._prefix)
        with part.name_scope():
            part.add(*found)
        return part

    def add(self, *blocks: Any) -> None:
        """Appends blocks."""
        for block in blocks:
            self.register_child(block)


class Sequential(_Stack):
    """Blocks that compute one after another, each on what the one before it returned.

    >>> from kernelwise.mxnet import nd
    >>> from kernelwise.mxnet.gluon import nn
    >>> net = nn.Sequential()
    >>> net.add(nn.Dense(3), nn.Dense(1))
    >>> net.initialize()
    >>> net(nd.ones((2, 4))).shape
    (2, 1)
    """

    def hybridize(self, active: bool = True, **kwargs: Any) -> None:
        """`hybridize` of all blocks."""
        if self._children and all(isinstance(one, HybridBlock) for one in self._children.values()):
            warnings.warn(
                f"All children of this Sequential layer '{self.prefix}' are HybridBlocks. Consider using "
                "HybridSequential for the best performance.",
                stacklevel=2,
            )
        super().hybridize(active, **kwargs)

    def forward(self, x: Any) -> Any:
        """Through all blocks."""
        for block in self._children.values():
            x = block(x)
        return x


class HybridSequential(_Stack, HybridBlock):
    """`Sequential` of HybridBlocks only."""

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Through all blocks."""
        for block in self._children.values():
            x = block(x)
        return x
