"""What the code of a layer's routine depends on, and the shape of its block of sums."""

from __future__ import annotations

from dataclasses import dataclass

from ...jit.target import Target
from ..numbers import Number


@dataclass(frozen=True)
class DirectSpec:
    """Everything that changes the generated code of one routine."""

    number: Number  # of images, weights, sums and results
    pixels: tuple[int, ...]  # of a block: element offsets of their inputs from the first one's
    vectors: int  # of output channels in a block
    taps: int  # on the last axis
    kinds: tuple[tuple[int, ...], ...]  # of blocks: for each of these taps, the pixels that find it outside, as bits
    gap: int  # elements between them
    point: bool = False  # there is one tap in all
    channels_last: bool = False  # results have their channels side by side
    whole: bool = False  # the outputs of a group fill whole blocks
    masked: bool = False  # some weights are zero: what lies under them does not touch the sums
    residual: bool = False  # an array like the result is added to it
    floor: bool = True  # there is a lowest result, and a highest
    ceiling: bool = True
    fetch: int = 0  # lines of the next block's weights that are asked for in a turn of the inner loop
    algorithm: str = "layer"


def block_channels(spec: DirectSpec, target: Target) -> int:
    """Output channels of a block."""
    return spec.vectors * target.lanes(spec.number.bytes)


def most_pixels(target: Target) -> int:
    """Pixels of a block whose sums, with two vectors of channels, leave room for weights and a pixel."""
    if target.registers >= 32:  # ARM has no broadcast that costs nothing: several pixels are under way at a time
        return 14 if target.name == "avx512" else 12
    return 6 if target.fused else 5
