"""torch.nn.functional.conv2d, "valid" ("same" with zeros outside in the rows of large kernels); colours as
channels-last groups; u8 images through .float(). It allocates.

Where a call would take from ten seconds to minutes, it takes no part: PyTorch 2.13 does less than a thousand million
operations a second under a kernel of 63 x 63 taps, and others are done in a tenth of a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..cases import Row
from ..timing import POOL
from .contender import Contender, valid_region

MODULE = "torch"
DISTRIBUTIONS = ("torch",)
LARGEST, MOST_FLOPS = 31, 5e9  # a kernel of this side or more takes part up to so many operations


def set_threads(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def contenders(row: Row, x: np.ndarray, out: np.ndarray) -> Iterator[Contender]:
    import torch

    if min(row.kernel.weights.shape) >= LARGEST and row.flops() > MOST_FLOPS:
        return
    region = valid_region(x.shape, row.kernel.weights.shape)
    channels = x.shape[2] if row.colour else 1
    padding = "same" if row.large else "valid"
    image = torch.from_numpy(x)
    image = image.permute(2, 0, 1)[None] if row.colour else image[None, None]

    def weights(kernel: np.ndarray) -> Any:
        return torch.from_numpy(kernel.astype(np.float32)).expand(channels, 1, *kernel.shape).contiguous()

    def chain(*kernels: np.ndarray) -> Any:
        tensors = [weights(k) for k in kernels]

        @torch.inference_mode()
        def call() -> np.ndarray:
            y = image.float()
            for tensor in tensors:
                y = torch.nn.functional.conv2d(y, tensor, groups=channels, padding=padding)
            y = _settled(torch, y, row.result)
            if row.large:
                return y[0, 0].numpy()[region]
            return (y[0].permute(1, 2, 0) if row.colour else y[0, 0]).numpy()

        return call

    yield Contender("torch.conv2d", chain(row.kernel.weights), region, spins=POOL)
    if row.kernel.family == "gaussian" and row.kernel.factors is not None:
        column, line = row.kernel.factors
        yield Contender("torch.conv2d twice", chain(column[:, None], line[None, :]), region, spins=POOL)


def _settled(torch: Any, y: Any, result: str) -> Any:
    if result == "f32":
        return y
    low, high, dtype = (0, 255, torch.uint8) if result == "u8" else (-32768, 32767, torch.int16)
    return y.round_().clamp_(low, high).to(dtype)
