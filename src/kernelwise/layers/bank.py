"""Images correlated with a whole bank of kernels, one for each output channel, by the engine of `correlate`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..algorithms import direct, walk
from ..algorithms.layout import weights3
from ..algorithms.spec import Spec
from ..jit import pool
from ..plan import Plan, choose
from ..problem import Axis, Kernel, Problem
from ..run import place_directly, prepare, run, worth

MOST_CHANNELS = 512  # that one routine adds up; of more, it takes so many at a time
TABLE = walk.FIELDS.index("table")


def correlate_bank(
    x: np.ndarray,
    bank: np.ndarray,
    axes: tuple[Axis, Axis],
    result: np.dtype,
    threads: int | None = None,
) -> np.ndarray:
    """y[n, m] = x[n] correlated with bank[m] over channels, rows and columns; zeros stand around the images.

    x: (n, c, h, w), bank: (m, c, kh, kw), ``axes``: the geometry of rows and columns. Returns (n, m, y, x) of the dtype
    ``result``, in which products are added up too. The weights are data: other ones need no other routine.
    """
    channels = bank.shape[1]
    out = np.empty((len(x), len(bank), axes[0].out, axes[1].out), result)
    _correlate(x[:, :MOST_CHANNELS], bank[:, :MOST_CHANNELS], axes, out, threads)
    for first in range(MOST_CHANNELS, channels, MOST_CHANNELS):
        part = slice(first, first + MOST_CHANNELS)
        more = np.empty_like(out)
        _correlate(x[:, part], bank[:, part], axes, more, threads)
        out += more
    return out


def _correlate(x: np.ndarray, bank: np.ndarray, axes: tuple[Axis, Axis], out: np.ndarray, threads: int | None) -> None:
    if 0 in out.shape:
        return
    plan = _plan(x, bank, axes, out.dtype)
    if not plan.parts:
        for m, kernel in enumerate(bank):
            run(_with_kernel(plan, kernel), x, out[:, m : m + 1], threads)
        return
    proposal = plan.parts[0]
    assert isinstance(proposal.spec, Spec)
    tables = [direct.table(proposal.spec, weights3(plan.problem, kernel.astype(out.dtype))) for kernel in bank]
    placed = place_directly(plan, x, out[:, :1])
    if placed is None:
        for m, table in enumerate(tables):
            run(replace(plan, parts=(proposal._replace(table=table),)), x, out[:, m : m + 1], threads)
        return
    code, launch = prepare(proposal, plan, placed, out[:, :1].nbytes)
    workers = worth(plan.seconds, threads)
    for m, table in enumerate(tables):
        launch.args[TABLE] = table.ctypes.data
        for image_offset, result_offset in placed.offsets:
            launch.args[walk.IMAGE] = x.ctypes.data + image_offset
            launch.args[walk.RESULT] = out.ctypes.data + m * out.strides[1] + result_offset
            pool.run(code.walk, launch.args.ctypes.data, launch.scratch, launch.units, workers)


def _plan(x: np.ndarray, bank: np.ndarray, axes: tuple[Axis, Axis], dtype: np.dtype) -> Plan:
    """The plan that serves all kernels of the bank: that of a kernel of ones, but zero where any of them is zero."""
    kernel = (bank != 0).all(axis=0).astype(dtype)
    channels = bank.shape[1]
    problem = Problem(
        shape=x.shape,
        axes=(1, 2, 3),
        geometry=(Axis(channels, channels, 0, 1, 1, 1), *axes),
        kernel=Kernel.of(kernel),
        border="constant",
        fill=0,
        image=x.dtype.newbyteorder("="),
        sums=dtype,
        result=dtype,
    )
    return choose(problem, changing=True)


def _with_kernel(plan: Plan, kernel: np.ndarray) -> Plan:
    return replace(plan, problem=replace(plan.problem, kernel=Kernel.of(kernel)))
