"""Passes and kernels over real arrays: put together where one walk over the image can do several, and run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from ..algorithms import points
from ..algorithms.layout import column_axis, layout, row_axis
from ..algorithms.numbers import Number
from ..algorithms.ordered import NAME
from ..algorithms.routine import current_target
from ..algorithms.spec import Proposal, Spec, Stage, block, fitted
from ..calls import Call
from ..jit.target import Target
from ..plan import MOST_STAGED, WORKSPACE, Plan
from ..problem import Axis, Kernel, Problem
from . import definition
from .passes import Key, Pass, mirror_of, present

MOST_TAPS = 1 << 15  # on one axis
MOST_RECOMPUTED = 9  # taps down the columns, where rows are filtered along first: then each is filtered for each block
LARGEST_EXACT = 2**31  # what integer sums must stay below
MOST_ADDED = 25  # pixels under a window that are added up one by one
NANOSECONDS = (0.3, 0.03)  # for each output, and for each tap, in eight lanes: decides only how many threads take part
Chain = tuple[Pass, ...]


# ---------------------------------------------------------------- one-dimensional filters


def apply(x: np.ndarray, passes: Sequence[Pass], out: np.ndarray) -> None:
    """Passes one after the other, each into the dtype of ``out``; real arrays of one shape."""
    groups = _grouped(x, passes, out.dtype)
    spare: list[np.ndarray] = []
    for number, group in enumerate(groups):
        last = number == len(groups) - 1
        if last:
            target = out
        elif number < 2:
            target = np.empty(out.shape, out.dtype.newbyteorder("="))
            spare.append(target)
        else:
            target = spare[number % 2]
        if not _start((group,), "", x, target):
            for step in group:
                x = _by_definition(x, step, target)
        x = target


def combine(x: np.ndarray, chains: Sequence[Sequence[Pass]], how: str, out: np.ndarray) -> bool:
    """The sum of several chains, or its "magnitude" (root of the sum of squares), each stored in the dtype of ``out``
    before that; False, with nothing done, if they cannot be computed together."""
    if how == "magnitude" and out.dtype.kind != "f" or how == "squares" and out.dtype.itemsize > 4:
        return False
    return all(1 <= len(chain) <= 2 for chain in chains) and _start(tuple(map(tuple, chains)), how, x, out)


def _grouped(x: np.ndarray, passes: Sequence[Pass], result: np.dtype) -> list[Chain]:
    """Neighbouring passes in pairs, where one walk does both."""
    groups: list[Chain] = []
    i = 0
    while i < len(passes):
        pair = tuple(passes[i : i + 2])
        image = x.dtype if i == 0 else result
        together = len(pair) == 2 and _planned(x.shape, image, result, (_keys(pair),), "", current_target()) is not None
        groups.append(pair if together else pair[:1])
        i += len(groups[-1])
    return groups


def _keys(chain: Sequence[Pass]) -> tuple[Key, ...]:
    return tuple(step.key for step in chain)


def _start(chains: tuple[Chain, ...], how: str, x: np.ndarray, out: np.ndarray) -> bool:
    """Run what can be planned; False if it cannot."""
    if x.size == 0:
        return True
    x = holding(x, chains[0][0].fill)
    call = _planned(x.shape, x.dtype, out.dtype, tuple(map(_keys, chains)), how, current_target())
    if call is None:
        return False
    call(x, out)
    return True


def holding(x: np.ndarray, fill: float) -> np.ndarray:
    """The image in a dtype that can hold the fill, too."""
    if x.dtype.kind == "f":
        with np.errstate(all="ignore"):
            held = np.isnan(fill) or float(x.dtype.type(fill)) == fill
    else:
        info = np.iinfo(x.dtype)
        held = float(fill).is_integer() and info.min <= fill <= info.max and not (fill == 0 and np.signbit(fill))
        held = held and abs(fill) <= 2**53
    return x if held else x.astype(np.float64)


def exact_mean(image: np.dtype, result: np.dtype, size: int) -> bool:
    """Whether integer sums divided by ``size`` are the mean that float64 would be converted to, and are quick."""
    whole = image.kind in "iu" and result.kind in "iu" and result.itemsize <= 4 and np.can_cast(image, result)
    return whole and size <= MOST_ADDED and size * _largest(image) < LARGEST_EXACT


def _by_definition(x: np.ndarray, step: Pass, out: np.ndarray) -> np.ndarray:
    assert not step.divisor, "a small window can always be planned"
    definition.assign(definition.correlate1d(x, step), out)
    return out


@lru_cache(maxsize=1024)
def _planned(
    shape: tuple[int, ...],
    image: np.dtype,
    result: np.dtype,
    keys: tuple[tuple[Key, ...], ...],
    how: str,
    target: Target,
) -> Call | None:
    """The call for chains of passes, or None if one walk cannot do them."""
    chains = [[Pass(k[0], np.frombuffer(k[1]), *k[2:]) for k in chain] for chain in keys]
    steps = [step for chain in chains for step in chain]
    if any(step.border != steps[0].border for step in steps) or not _fill_agrees(chains):
        return None
    geometry = {axis: _reach(shape[axis], axis, steps) for axis in sorted({step.axis for step in steps})}
    if len(geometry) > 2 or max(axis.taps for axis in geometry.values()) > MOST_TAPS:
        return None
    border, fill = steps[0].border, steps[0].fill
    sums = _sums(image, result, chains, fill)
    problem = _problem(shape, geometry, border, fill, image, result, sums)
    ways = _ways(problem)
    if ways is None or any(_wasteful(chain, ways) for chain in chains):
        return None
    stages, table = _stages(chains, geometry, ways)
    return _call(problem, target, "chains", np.array(table).astype(sums), chains=stages, how=how, work=len(table))


def _fill_agrees(chains: Sequence[Sequence[Pass]]) -> bool:
    """Whether what stands outside the image is the same for all passes of all chains, and is so after a first pass."""
    steps = [step for chain in chains for step in chain]
    if steps[0].border != "constant":
        return True
    if len({np.float64(step.cval).tobytes() for step in steps}) > 1:
        return False
    firsts = [chain[0] for chain in chains if len(chain) == 2]
    return all(step.cval == 0 and not np.signbit(step.cval) and _keeps_zero(step.weights) for step in firsts)


def _keeps_zero(weights: np.ndarray) -> bool:
    """Whether a pass makes +0 of zeros, not -0 or NaN."""
    left = definition.correlate1d(np.zeros(1), Pass(0, weights, "edge", 0.0, 0))[0]
    return bool(left == 0 and not np.signbit(left))


def _reach(n: int, axis: int, steps: Sequence[Pass]) -> Axis:
    """The pixels that all passes along an axis need together, and the centre for the chains without one."""
    along = [(step.start, step.start + len(step.weights)) for step in steps if step.axis == axis]
    first = min(0, *(a for a, _ in along))
    stop = max(1, *(b for _, b in along))
    if len(along) == len(steps):
        first, stop = min(a for a, _ in along), max(b for _, b in along)
    return Axis(n, stop - first, first, 1, 1, n)


def _problem(
    shape: tuple[int, ...],
    geometry: dict[int, Axis],
    border: str,
    fill: float,
    image: np.dtype,
    result: np.dtype,
    sums: np.dtype,
) -> Problem:
    taps = tuple(axis.taps for axis in geometry.values())
    value = fill if image.kind == "f" else int(fill)
    nothing = Kernel(taps, "<f8", b"")  # the weights travel in a table
    return Problem(
        shape=shape,
        axes=tuple(geometry),
        geometry=tuple(geometry.values()),
        kernel=nothing,
        border=border,
        fill=value,
        image=image.newbyteorder("="),
        sums=sums,
        result=result.newbyteorder("="),
    )


def _ways(problem: Problem) -> dict[int, str] | None:
    """Which way each axis of the kernel runs in the walk; None if one of them is a plane."""
    plan = layout(problem)
    if plan.planes:
        return None
    ways = {}
    if plan.rows in problem.axes:
        ways[plan.rows] = "down"
    if plan.columns in problem.axes:
        ways[plan.columns] = "across"
    return ways  # type: ignore[return-value]


def _wasteful(chain: Sequence[Pass], ways: dict[int, str]) -> bool:
    """Two passes in an order that would filter most rows twice; or the same way, which is no chain."""
    if len(chain) < 2:
        return False
    first, second = (ways[step.axis] for step in chain)
    return first == second or (first == "across" and len(chain[1].weights) > MOST_RECOMPUTED)


def _stages(
    chains: Sequence[Sequence[Pass]], geometry: dict[int, Axis], ways: dict[int, str]
) -> tuple[tuple[tuple[Stage, ...], ...], list[float]]:
    """The chains as a routine knows them, and the table of all their weights."""
    table: list[float] = []
    made = []
    for chain in chains:
        stages = []
        mine = {step.axis: step for step in chain}
        offset = {
            ways[axis]: (mine[axis].start if axis in mine else 0) - place.start for axis, place in geometry.items()
        }
        for step in chain:
            way = ways[step.axis]
            row, column = offset.get("down", 0), offset.get("across", 0)
            if len(chain) == 2 and step is chain[0]:  # leaves what the second one needs around it
                shift, beside = (row, 0) if way == "down" else (0, column)
            elif len(chain) == 2:
                shift, beside = (0, column) if way == "across" else (row, 0)
            else:
                shift, beside = row, column
            taps, mirror = len(step.weights), mirror_of(step.weights)
            stages.append(Stage(way, taps, mirror, len(table), shift, beside, step.divisor))
            table += step.weights.tolist()
        made.append(tuple(stages))
    return tuple(made), table


def _sums(image: np.dtype, result: np.dtype, chains: Sequence[Sequence[Pass]], fill: float) -> np.dtype:
    """Integers where they wrap around exactly as converted float64 sums would; else float64."""
    if chains[0][0].divisor:
        most = max(len(step.weights) for chain in chains for step in chain) * _largest(image)
        return np.dtype(f"i{max(2 if most < 2**15 else 4, image.itemsize, result.itemsize)}")
    for chain in chains:
        bound = _largest(image)
        for step in chain:
            bound *= _magnitude(step.weights)
            if bound >= LARGEST_EXACT:
                return np.dtype(np.float64)
            bound = min(bound, _largest(result)) if result.kind in "iu" else bound
    return _whole_type(image, result)


def _whole_type(image: np.dtype, result: np.dtype) -> np.dtype:
    if image.kind in "iu" and result.kind in "iu" and max(image.itemsize, result.itemsize) <= 4:
        return np.dtype(f"i{max(2, image.itemsize, result.itemsize)}")
    return np.dtype(np.float64)


def _largest(dtype: np.dtype) -> float:
    if dtype.kind not in "iu":
        return math.inf
    info = np.iinfo(dtype)
    return float(max(-int(info.min), int(info.max)))


def _magnitude(weights: np.ndarray) -> float:
    """Sum of |w| of whole numbers; infinite for others."""
    with np.errstate(all="ignore"):
        whole = np.isfinite(weights).all() and (weights == np.rint(weights)).all()
    return float(np.abs(weights).sum()) if whole else math.inf


# ---------------------------------------------------------------- kernels of several axes


def correlate(
    x: np.ndarray, weights: np.ndarray, starts: tuple[int, ...], border: str, cval: float, out: np.ndarray
) -> None:
    """Any kernel, float64, of as many axes as the image; its taps in C order."""
    if x.size == 0:
        return
    fill = cval if border == "constant" else 0.0
    x, kernel = holding(x, fill), Kernel.of(weights)
    call = None
    if x.ndim:
        call = _planned_points(x.shape, x.dtype, out.dtype, kernel, starts, border, fill, current_target())
    if call is None:
        definition.assign(definition.correlate(x, weights, starts, border, cval), out)
    else:
        call(x, out)


@lru_cache(maxsize=1024)
def _planned_points(
    shape: tuple[int, ...],
    image: np.dtype,
    result: np.dtype,
    kernel: Kernel,
    starts: tuple[int, ...],
    border: str,
    fill: float,
    target: Target,
) -> Call | None:
    weights = kernel.array()
    there = present(weights)
    axes = [a for a, taps in enumerate(weights.shape) if taps > 1 or starts[a] != 0] or [len(shape) - 1]
    geometry = {a: Axis(shape[a], weights.shape[a], starts[a], 1, 1, shape[a]) for a in axes}
    if max(axis.taps for axis in geometry.values()) > MOST_TAPS:
        return None
    sums = _whole_type(image, result)
    if _largest(image) * _magnitude(weights[there]) >= LARGEST_EXACT:
        sums = np.dtype(np.float64)
    problem = _problem(shape, geometry, border, fill, image, result, sums)
    columns = layout(problem).columns is not None
    inner = [axis.taps for axis in geometry.values()]
    across = inner.pop() if columns else 1
    tall = inner.pop() if inner else 1
    taps = math.prod(inner), tall, across
    return _call(problem, target, "points", weights.reshape(taps), there=there.reshape(taps), work=int(there.sum()))


# ---------------------------------------------------------------- plans


def _call(
    problem: Problem,
    target: Target,
    form: str,
    table: np.ndarray,
    *,
    work: int,
    chains: tuple[tuple[Stage, ...], ...] = (),
    how: str = "",
    there: np.ndarray | None = None,
) -> Call | None:
    """The plan of a routine, ready to be called; None if the kernel reaches too far for it."""
    rows, (columns, channels) = row_axis(problem), column_axis(problem)
    image, sums, result = (Number(d.str[1:]) for d in (problem.image, problem.sums, problem.result))
    across = columns.taps
    planes = math.prod(problem.kernel.shape) // (rows.taps * across)
    high, wide = block(target, sharing=rows.taps > 1)
    spec = Spec(
        NAME, form, image, sums, result, (planes, rows.taps, across), 1, 1, channels, high, wide,
        chains=chains, combine=how,
    )  # fmt: skip
    spec = fitted(spec, rows.out)
    if there is not None:
        spec, table = _points(spec, table, there, target)
    if (columns.reach * channels + 256) * problem.image.itemsize * spec.slots * planes > MOST_STAGED:
        return None
    outputs = math.prod(problem.result_shape)
    fixed, each = NANOSECONDS
    seconds = outputs * (fixed + each * work) * 8 / target.lanes(sums.bytes) * 1e-9
    proposal = Proposal(spec, table, float(work), 0.0, "in a stated order")
    bound = "that of the stated order" if sums.is_float else "exact"
    plan = Plan(problem, NAME, proposal.why, seconds, WORKSPACE, bound, (), (proposal,), target)
    return Call(plan, None)


def _points(spec: Spec, weights: np.ndarray, there: np.ndarray, target: Target) -> tuple[Spec, np.ndarray]:
    """Few taps written out, as many rows together as that allows; many in a list."""
    count, rows = int(there.sum()), spec.rows
    while rows > 1 and count * rows * spec.wide > points.MOST_WRITTEN:
        rows //= 2
    if count * rows * spec.wide <= points.MOST_WRITTEN:
        table = weights[there].astype(spec.sums.dtype)
        return replace(spec, rows=rows, weights=there.tobytes()), table
    _, wide = block(target, sharing=False)
    spec = replace(spec, rows=1, wide=wide)
    return spec, points.listing(spec, weights, there)
