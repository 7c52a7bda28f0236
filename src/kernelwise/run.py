"""Plan + arrays -> output.

Arrays that generated code can read and write as they lie go straight to it. All others (odd strides, foreign byte
order, float16, complex kernels, nan="omit") are done in bands: a piece of the image is copied into a plain array,
worked on, and its result converted into its place.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import numpy as np

from . import costs, flagged, pieces
from .algorithms.fourier import launch as fourier
from .algorithms.fourier.launch import cut
from .algorithms.fourier.spec import FourierSpec
from .algorithms.launch import Launch, aliased, launch
from .algorithms.layout import MOST_CHANNELS, Placed, column_axis, layout, place, row_axis
from .algorithms.routine import Routine, routine
from .algorithms.spec import Proposal
from .bands import bands
from .jit import pool
from .native import native_dtype, native_image, native_result, pairs
from .plan import Plan, choose
from .problem import Problem

MOST_LISTED = 1 << 20  # rows or planes that a launch may list; larger images are done in bands
TILED_BYTES = 2 << 20  # of a band that is transformed; its tiles and their spectra take memory too
MOST_STARTS, WORTH_START = 64, 4096  # grids of so few outputs are put together rather than run so often
MOST_BYTES = 56 << 20  # of a transform's spectra and all its workers together; where each needs much, fewer take part
ROW_ALIGN = 64  # bytes; rows of the result that may be streamed begin alike


def run(plan: Plan, x: np.ndarray, out: np.ndarray, threads: int | None) -> np.ndarray:
    """Solve the plan's problem for ``x`` into ``out``, both checked already."""
    if out.size == 0:
        return out
    if np.may_share_memory(x, out):
        out[...] = run(plan, x, np.empty(out.shape, out.dtype.newbyteorder("=")), threads)
        return out
    placed = place_directly(plan, x, out)
    if placed is not None:
        _start(plan.parts[0], plan, placed, x, out, threads)
    elif not plan.parts:
        for band in bands(plan.problem, gather=False):
            out[band.where] = pieces.by_reference(band.problem, x[band.source])
    else:
        apply = partial(_apply, plan=plan, threads=threads)
        count = partial(_count, whole=plan, threads=threads)
        columns = layout(plan.problem).columns is not None  # their dilation is written into the code
        pulled = len(plan.problem.axes) - columns
        grid = _grid(plan)
        how = {"budget": TILED_BYTES, "grid": grid} if grid else {"pulled": pulled}
        for band in bands(plan.problem, kept=MOST_CHANNELS + 1, **how):
            out[band.where] = pieces.by_parts(band.problem, band.take(x), plan.parts, apply, count)
    return out


def _grid(plan: Plan) -> dict[int, int]:
    """Where a transform lets its problem be cut: between pairs of tiles, so that all tiles are the same."""
    problem, spec = plan.problem, plan.parts[0].spec
    if not isinstance(spec, FourierSpec):
        return {}
    places = layout(problem)
    columns, channels = column_axis(problem)
    planes = tuple(problem.geometry[problem.axes.index(a)] for a in places.planes)
    of = cut(spec, row_axis(problem), columns, channels, planes)
    grid = dict.fromkeys(places.planes, of.group)
    if places.rows is not None and not spec.line:
        grid[places.rows] = of.step[0] * (2 - of.paired)
    if places.columns is not None:
        across = of.step[1] * (1 + of.paired)
        grid[places.columns] = across // math.gcd(across, channels)
    else:
        grid |= {a: problem.shape[a] for a in places.channels}
    return grid


def place_directly(plan: Plan, x: np.ndarray, out: np.ndarray) -> Placed | None:
    """The walk over these very arrays, if generated code can read and write them as they lie."""
    if not (x.flags.aligned and x.dtype.isnative and out.flags.aligned and out.dtype.isnative):
        return None
    return _place(plan, x.strides, out.strides)


def place_plain(plan: Plan) -> Placed | None:
    """The walk over C-contiguous arrays, if generated code can read and write such."""
    problem = plan.problem
    x_strides, out_strides = (
        tuple(dtype.itemsize * math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
        for shape, dtype in ((problem.shape, problem.image), (problem.result_shape, problem.result))
    )
    return _place(plan, x_strides, out_strides)


def _place(plan: Plan, x_strides: tuple[int, ...], out_strides: tuple[int, ...]) -> Placed | None:
    problem = plan.problem
    if len(plan.parts) != 1 or problem.nan == "omit" or not _listable(problem):
        return None
    sizes = native_image(problem).itemsize, native_dtype(problem).itemsize
    if (problem.image.itemsize, problem.result.itemsize) != tuple(size * pairs(problem) for size in sizes):
        return None
    placed = place(problem, x_strides, out_strides, sizes)
    if (
        placed is not None
        and placed.starts > MOST_STARTS
        and math.prod(problem.result_shape) < placed.starts * WORTH_START
    ):
        return None
    return placed


def _listable(problem: Problem) -> bool:
    """Rows and planes are few enough to be listed one by one."""
    *planes, rows = problem.geometry[:-1] or (None,)
    listed = math.prod(axis.out * axis.taps for axis in planes)
    virtual = rows.dense() + rows.reach if rows else 0
    return max(listed, virtual, *problem.shape[:-1], 0) <= MOST_LISTED


def _apply(problem: Problem, proposal: Proposal, image: np.ndarray, *, plan: Plan, threads: int | None) -> np.ndarray:
    """One routine on a plain piece of the image; numbers as generated code writes them."""
    out = np.empty(problem.result_shape, native_result(problem))
    sizes = native_image(problem).itemsize, native_dtype(problem).itemsize
    placed = place(problem, image.strides, out.strides, sizes)
    assert placed is not None, "a plain array can always be walked"
    _start(proposal, replace(plan, problem=problem), placed, image, out, threads)
    return out


def _count(problem: Problem, image: np.ndarray, *, whole: Plan, threads: int | None) -> np.ndarray:
    """An exact count by generated code, planned for the whole image."""
    plan = replace(choose(pieces.counting(whole.problem), target=whole.target), problem=problem)
    return run(plan, image, np.empty(problem.result_shape, problem.result), threads)


# ---------------------------------------------------------------- generated code


def prepare(proposal: Proposal, plan: Plan, placed: Placed, result_bytes: int) -> tuple[Routine, Launch]:
    """The routine and the launch for a placed grid."""
    problem, spec, target = plan.problem, proposal.spec, plan.target
    assert target is not None
    grid = placed.grid
    fill = np.asarray(problem.fill).real.astype(native_image(problem))
    if isinstance(spec, FourierSpec):
        code = routine(spec, target)
        assert proposal.table is not None
        return code, fourier.launch(spec, grid, problem.border, fill, proposal.table, code.code, target)
    large = result_bytes >= costs.stream_bytes(spec.taps[1])
    whole = grid.row_strides[1] % ROW_ALIGN == 0 and grid.columns.stride == 1
    if large and whole and not aliased(spec, grid):
        spec = replace(spec, stream=True)
    code = routine(spec, target)
    lanes = target.lanes(spec.sums.bytes)
    return code, launch(spec, grid, problem.border, fill, (code.wide, code.plain), proposal.table, lanes)


def _start(proposal: Proposal, plan: Plan, placed: Placed, x: np.ndarray, out: np.ndarray, threads: int | None) -> None:
    start(proposal, plan, placed, prepare(proposal, plan, placed, out.nbytes), x, out, threads)


def start(
    proposal: Proposal,
    plan: Plan,
    placed: Placed,
    ready: tuple[Routine, Launch],
    x: np.ndarray,
    out: np.ndarray,
    threads: int | None,
) -> None:
    """Run a routine that is ready on every grid; then do what it flagged."""
    code, made = ready
    args = made.args.copy()
    workers = worth(plan.seconds, threads)
    if made.flags:
        spectra = sum(array.nbytes for array in made.keep)
        workers = max(1, min(workers, (MOST_BYTES - spectra) // made.scratch))
    flags = np.zeros((placed.starts, made.flags), np.uint8)
    for each, (image_offset, result_offset) in zip(flags, placed.offsets, strict=True):
        args[0] = x.ctypes.data + image_offset
        args[1] = out.ctypes.data + result_offset
        if made.flags:
            args[2] = each.ctypes.data
        pool.run(code.walk, args.ctypes.data, made.scratch, made.units, workers)
    if flags.any():
        _redo(proposal, plan, placed, flags, x, out, threads)


def _redo(
    proposal: Proposal,
    plan: Plan,
    placed: Placed,
    flags: np.ndarray,
    x: np.ndarray,
    out: np.ndarray,
    threads: int | None,
) -> None:
    """Directly, what a transform left."""
    assert isinstance(proposal.spec, FourierSpec)
    number = next(i for i, part in enumerate(plan.parts) if part is proposal)
    directly = choose(plan.problem, "direct", target=plan.target)
    for rest in flagged.rests(plan.problem, proposal.spec, placed, flags):
        image, result = x[rest.source], out[rest.where]
        sizes = native_image(plan.problem).itemsize, native_dtype(plan.problem).itemsize
        piece = place(rest.problem, image.strides, result.strides, sizes)
        assert piece is not None, "a part of what can be walked can be walked"
        _start(directly.parts[number], replace(directly, problem=rest.problem), piece, image, result, threads)


def worth(seconds: float, threads: int | None) -> int:
    """Threads that this much work is worth, at most as many as asked for."""
    return max(1, min(pool.threads() if threads is None else threads, int(seconds / costs.THREAD_SECONDS)))
