"""Images through a layer with few channels in a group: pixels in the lanes, see `algorithms.layer.across`."""

from __future__ import annotations

import numpy as np

from ..algorithms.layer import across_launch as across
from ..algorithms.layer.launch import LayerProblem, problem3
from ..algorithms.numbers import Number
from ..algorithms.routine import current_target
from ..costs import NANOSECONDS
from ..jit import pool
from ..problem import Axis
from ..run import worth
from .channels import UNLIMITED, _strides


def correlate_pixels(
    x: np.ndarray,
    weight: np.ndarray,
    axes: tuple[Axis, ...],
    bias: np.ndarray | None = None,
    *,
    groups: int = 1,
    border: str = "constant",
    limits: tuple[float, float] = UNLIMITED,
    out: np.ndarray | None = None,
    threads: int | None = None,
) -> np.ndarray:
    """What `channels.correlate_channels` computes, from the same arguments."""
    if out is None:
        out = np.empty((len(x), len(weight), *(axis.out for axis in axes)), weight.dtype)
    if 0 in out.shape:
        return out
    if not (x.flags.aligned and x.dtype.isnative):
        x = np.require(x, x.dtype.newbyteorder("="), "A")
    number = Number(weight.dtype.str[1:])
    problem = LayerProblem(
        problem3(axes), groups, weight.shape[1], len(weight) // groups, border, number, not weight.all()
    )
    chosen, made, address, _ = across.ready(problem, current_target(), len(x), _strides(x), _strides(out), limits)
    packed, shift = across.pack(chosen, weight), across.pack_bias(chosen, bias)
    args = made.args.copy()
    args[:4] = [array.ctypes.data for array in (x, out, packed, shift)]
    seconds = out.size * weight[0].size * NANOSECONDS["direct"][1] * 1e-9 * out.itemsize / 4
    pool.run(address, args.ctypes.data, made.scratch, made.units, worth(seconds, threads))
    return out
