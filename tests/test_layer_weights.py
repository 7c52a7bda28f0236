"""Weights packed for a layer's routine: the same bytes, whatever their strides."""

import numpy as np
import pytest

from kernelwise.algorithms.layer.weights import WeightsSpec, pack
from kernelwise.algorithms.numbers import Number
from kernelwise.jit.target import available, named

TAPS = [(3, 3), (1, 1), (5, 5), (3,), (2, 2), (3, 3, 3), (1, 3)]
VIEWS = [
    "transposed",
    "transposed, backwards",
    "transposed, every other tap",
    "transposed, one tap",
    "every other channel",
]


def seen(given: np.ndarray, view: str) -> np.ndarray:
    """A view like those that the gradients of images have of a layer's weights."""
    taps = given.ndim - 2
    if view == "every other channel":
        return given[:, ::2]
    if view == "transposed, one tap":
        return given.swapaxes(0, 1)[(slice(None),) * 2 + (slice(-1, None),) * taps]
    step = {"transposed": 1, "transposed, backwards": -1}.get(view, -2)
    return given.swapaxes(0, 1)[(slice(None),) * 2 + (slice(None, None, step),) * taps]


@pytest.mark.parametrize("target", available())
@pytest.mark.parametrize("view", VIEWS)
def test_weights_are_packed_alike_from_any_strides(view: str, target: str, rng: np.random.Generator) -> None:
    host = named(target)
    for turn in range(40):
        taps = TAPS[turn % len(TAPS)]
        weight = seen(rng.standard_normal((*rng.integers(1, 50, 2), *taps)).astype("f4"), view)
        transformed = taps in ((3, 3), (3, 3, 3)) and weight.shape[2:] == taps
        spec = WeightsSpec(Number("f4"), 2, transformed)
        lanes = host.lanes(4)
        blocks, block_bytes = -(-len(weight) // (2 * lanes)), 8 * lanes
        if transformed:
            position = -(-weight.shape[1] // lanes) * lanes * (3 if len(taps) == 3 else 1) * block_bytes
            sizes = 36 * position, position, blocks * 36 * position
        else:
            block = int(np.prod(weight.shape[1:])) * block_bytes
            sizes = block, 0, blocks * block
        packed, plain = (pack(spec, host, w, 1, sizes, 1) for w in (weight, np.ascontiguousarray(weight)))
        assert packed.tobytes() == plain.tobytes(), (weight.shape, taps)
