"""Images through a layer with many output channels: channels in the lanes, see `algorithms.layer`."""

from __future__ import annotations

import numpy as np

from ..algorithms.layer.choice import choose, nanoseconds, pack, prepare
from ..algorithms.layer.launch import LayerProblem, pack_bias, problem3
from ..algorithms.numbers import Number
from ..algorithms.routine import current_target
from ..jit import pool
from ..problem import Axis
from ..run import worth

UNLIMITED = (-np.inf, np.inf)


def correlate_channels(
    x: np.ndarray,
    weight: np.ndarray,
    axes: tuple[Axis, ...],
    bias: np.ndarray | None = None,
    *,
    groups: int = 1,
    border: str = "constant",
    limits: tuple[float, float] = UNLIMITED,
    precision: str = "exact",
    out: np.ndarray | None = None,
    threads: int | None = None,
) -> np.ndarray:
    """y[n, o] = x[n] correlated with weight[o] over the channels of its group and axes, plus bias[o], kept in limits.

    x: (n, groups * c, ...) and weight: (groups * o, c, ...) with one to three axes, bias: (groups * o,), all float32 or
    all float64; ``axes``: the geometry of each; ``border`` (with zeros for "constant") says what stands around the
    images. ``out``: where the result goes, aligned; any strides. Returns (n, groups * o, ...).

    ``precision``: "exact" takes sums of many products in pieces of a few hundred, in the arrays' dtype; its error is
    below 1e-6 of the largest output in float32, and what lies under a zero weight does not touch the result. "fast" may
    use Winograd's algorithm: an error up to 5e-6, and a value that is not finite spoils its tile of outputs. Bits
    depend on neither threads nor batch nor strides.
    """
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
    joined = out.strides[-1] == out.itemsize and (out.ndim == 3 or out.strides[-2] == out.shape[-1] * out.itemsize)
    row_bytes = x.strides[-2] if _readable(x, axes) else 0
    chosen = choose(problem, current_target(), out.strides[1] == out.itemsize, row_bytes, joined, precision)
    workers = worth(len(x) * nanoseconds(chosen) * 1e-9, threads)
    packed, shift = pack(chosen, weight, workers), pack_bias(chosen, bias)
    ready = prepare(chosen, len(x), _strides(x), _strides(out), limits, workers)
    ready.args[:4] = [array.ctypes.data for array in (x, out, packed, shift)]
    pool.run(ready.address, ready.args.ctypes.data, ready.scratch, ready.units, workers)
    return out


def _readable(x: np.ndarray, axes: tuple[Axis, ...]) -> bool:
    """Whether rows can be read as they lie, where no window leaves the image."""
    return len(axes) > 1 and x.strides[-1] == x.itemsize and x.strides[-2] > 0


def _strides(x: np.ndarray) -> tuple[int, ...]:
    """Batch, channel, plane, row, column."""
    return (*x.strides[:2], *(0,) * (5 - x.ndim), *x.strides[2:])
