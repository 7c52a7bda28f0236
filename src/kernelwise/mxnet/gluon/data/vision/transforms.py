"""What is done to images (h, w, channels) before a network sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from .... import ndarray as nd
from ....base import MXNetError
from ....image import imresize, short_side
from ....ndarray.core import Core, apply
from ....uncovered import lookup, table
from ...block import Block, HybridBlock
from ...nn import HybridSequential, Sequential

__all__ = ["Cast", "CenterCrop", "Compose", "Normalize", "Resize", "ToTensor"]

_UNCOVERED = table(
    "transforms.",
    """
    CropResize RandomResizedCrop RandomCrop Rotate RandomRotation RandomApply HybridRandomApply: torchvision.transforms
    RandomBrightness RandomContrast RandomSaturation RandomHue RandomColorJitter RandomLighting: torchvision.transforms
    RandomFlipLeftRight RandomFlipTopBottom RandomGray HybridCompose: torchvision.transforms
    """,
)


def __getattr__(name: str) -> object:
    return lookup(__name__, _UNCOVERED, name)


class Compose(Sequential):
    """Several, one after the other."""

    def __init__(self, transforms: Sequence[Any]) -> None:
        super().__init__()
        run: list[Any] = []  # of HybridBlocks that follow each other: one block, as MXNet has it
        for one in [*transforms, None]:
            if isinstance(one, HybridBlock):
                run.append(one)
                continue
            if len(run) == 1:
                self.add(run[0])
            elif run:
                joined = HybridSequential()
                joined.add(*run)
                joined.hybridize()
                self.add(joined)
            run = []
            if one is not None:
                self.add(one)


class Cast(HybridBlock):
    """Another dtype."""

    def __init__(self, dtype: Any = "float32") -> None:
        super().__init__()
        self._dtype = dtype

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The numbers in the dtype."""
        return F.cast(x, self._dtype)


class ToTensor(HybridBlock):
    """Images (h, w, c) or (n, h, w, c) of numbers up to 255 as (c, h, w) or (n, c, h, w) of float32 up to 1."""

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Divided by 255, with the channels first."""
        if x.ndim not in (3, 4):
            raise MXNetError(f"Check failed: images have 3 axes, or 4 with a batch (got {x.ndim})")
        return apply(lambda tensor: (tensor.to(torch.float32) / 255.0).movedim(-1, -3).contiguous(), x)


class Normalize(HybridBlock):
    """(x - mean) / std of (c, h, w) or (n, c, h, w): one number for all channels, or one for each."""

    def __init__(self, mean: Any = 0.0, std: Any = 1.0) -> None:
        super().__init__()
        self._mean, self._std = mean, std

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The same shape."""
        if x.ndim not in (3, 4):
            raise MXNetError(f"Check failed: images have 3 axes, or 4 with a batch (got {x.ndim})")
        mean, std = (self._by_channel(value, x.shape[-3]) for value in (self._mean, self._std))
        return apply(lambda tensor: (tensor - mean) / std, x)

    @staticmethod
    def _by_channel(value: Any, channels: int) -> torch.Tensor:
        numbers = np.atleast_1d(np.asarray(value, dtype=np.float32))
        if numbers.ndim != 1 or len(numbers) not in (1, channels):
            raise MXNetError(f"Check failed: mean and std have 1 number or {channels}, one a channel (got {value!r})")
        return torch.from_numpy(numbers).view(-1, 1, 1)


class Resize(HybridBlock):
    """Another size: (w, h), or a number for both, or for the shorter side with ``keep_ratio``.

    interpolation : 1 is bilinear, 0 takes the nearest pixel (`image.imresize`).
    """

    def __init__(self, size: Any, keep_ratio: bool = False, interpolation: int = 1) -> None:
        super().__init__()
        self._size, self._keep, self._interpolation = size, keep_ratio, interpolation

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Images (h, w, c) or (n, h, w, c) of their dtype."""
        if x.ndim == 4:
            return nd.stack(*[self.hybrid_forward(F, one) for one in x])
        w, h = (self._size, self._size) if isinstance(self._size, int) else self._size
        if self._keep and isinstance(self._size, int):
            w, h = short_side(x.shape[1], x.shape[0], self._size)
        return imresize(x, w, h, self._interpolation)


class CenterCrop(Block):
    """The middle of an image: (w, h), or a number for both; a smaller image is made larger first.

    interpolation : as of `Resize`.
    """

    def __init__(self, size: Any, interpolation: int = 1) -> None:
        super().__init__()
        self._size, self._interpolation = (size, size) if isinstance(size, int) else tuple(size), interpolation

    def forward(self, x: Core) -> Any:
        """An image (h, w, c)."""
        from ....image import center_crop

        return center_crop(x, self._size, self._interpolation)[0]
