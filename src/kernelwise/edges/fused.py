"""Several results in one pass: what a gradient pass is asked for, prepared once and run over arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol

import numpy as np

from .. import costs
from ..algorithms import gradient as body
from ..algorithms.launch import Launch
from ..algorithms.layout import MOST_CHANNELS, Placed, column_axis, layout, place, row_axis
from ..algorithms.numbers import Number
from ..algorithms.routine import Routine
from ..algorithms.spec import Output, Proposal, Spec, block, fitted
from ..algorithms.walk import FIELDS
from ..arrays import convert
from ..bands import bands
from ..jit import pool
from ..jit.target import Target
from ..native import native_image
from ..plan import Plan
from ..problem import Problem
from ..run import place_directly, prepare, worth

MOST_READY = 16  # layouts in memory for which a pass is kept ready
LINE = 64  # bytes of a cache line, at which results begin
IMAGE, RESULT, TABLE, OTHERS = (FIELDS.index(name) for name in ("image", "result", "table", "other_results"))


class Wanted(NamedTuple):
    """One result: its name, what the body calls it, its dtype."""

    name: str
    what: str
    dtype: np.dtype

    @property
    def number(self) -> Number:
        """What generated code writes: float16 is written wider."""
        if self.dtype.kind == "b":
            return Number("u1")
        return Number("f4" if self.dtype.char == "e" else self.dtype.str[1:])


class Ready(NamedTuple):
    """What it takes to run a pass over arrays with certain strides."""

    code: Routine
    made: Launch
    offsets: tuple[tuple[int, int], ...]  # (in the image, in the first result), at each of which it is run
    seconds: float


@dataclass
class Pass:
    """A gradient pass over images of one shape and dtype."""

    problem: Problem  # its geometry; its result is the first of those wanted
    wanted: tuple[Wanted, ...]  # the one with the smallest elements first
    proposal: Proposal
    target: Target
    _ready: dict[Any, Ready] = field(default_factory=dict)

    @property
    def plan(self) -> Plan:
        outputs = math.prod(self.problem.result_shape)
        seconds = costs.seconds(self.proposal, self.target, outputs)
        return Plan(self.problem, body.NAME, "", seconds, 0, "", (), (self.proposal,), self.target)

    @property
    def spec(self) -> Spec:
        spec = self.proposal.spec
        assert isinstance(spec, Spec)
        return spec

    def __call__(
        self, x: np.ndarray, outs: Sequence[np.ndarray], table: np.ndarray, threads: int | None
    ) -> Sequence[np.ndarray]:
        """Into ``outs``, one for each of ``wanted``, and returns them. ``table``: see algorithms.gradient."""
        if outs[0].size == 0:
            return outs
        if any(np.may_share_memory(x, out) for out in outs):
            for out, result in zip(outs, self(x, empty_outs(self), table, threads), strict=True):
                out[...] = result
            return outs
        self._run(x, outs, table, threads)
        return outs

    def _run(self, x: np.ndarray, outs: Sequence[np.ndarray], table: np.ndarray, threads: int | None) -> None:
        ready = self._directly(x, outs)
        if ready is not None:
            self._start(ready, x, outs, table, threads)
            return
        columns = layout(self.problem).columns is not None
        for band in bands(self.problem, kept=MOST_CHANNELS + 1, pulled=len(self.problem.axes) - columns):
            image = band.take(x).astype(native_image(band.problem), copy=False)
            shape = band.problem.result_shape
            pieces = [np.empty(shape, w.number.dtype) for w in self.wanted]
            placed = place(band.problem, image.strides, pieces[0].strides, (image.itemsize, pieces[0].itemsize))
            assert placed is not None, "a plain array can always be walked"
            ready = self._prepared(replace(self.plan, problem=band.problem), placed, 0)
            self._start(ready, image, pieces, table, threads)
            for out, piece, w in zip(outs, pieces, self.wanted, strict=True):
                out[band.where] = piece.view(bool) if w.dtype.kind == "b" else convert(piece, w.dtype)

    def _directly(self, x: np.ndarray, outs: Sequence[np.ndarray]) -> Ready | None:
        """What it takes to run over these very arrays, if generated code can read and write them as they lie."""
        for out, w in zip(outs, self.wanted, strict=True):
            flags = out.flags
            if not (flags.c_contiguous and flags.aligned and out.dtype == w.dtype and w.dtype.char != "e"):
                return None
        if not (x.flags.aligned and x.dtype.isnative):
            return None
        key = x.strides, self._lines_agree(outs)
        if (ready := self._ready.get(key)) is None:
            plan = self.plan
            placed = place_directly(plan, x, outs[0])
            if placed is None:
                return None
            ready = self._prepared(plan, placed, sum(out.nbytes for out in outs) if key[1] else 0)
            if len(self._ready) >= MOST_READY:
                self._ready.clear()
            self._ready[key] = ready
        return ready

    def _prepared(self, plan: Plan, placed: Placed, result_bytes: int) -> Ready:
        code, made = prepare(self.proposal, plan, placed, result_bytes)
        return Ready(code, made, tuple(placed.offsets), plan.seconds)

    def _start(
        self, ready: Ready, x: np.ndarray, outs: Sequence[np.ndarray], table: np.ndarray, threads: int | None
    ) -> None:
        code, made, offsets, seconds = ready
        args, others = made.args.copy(), np.empty((max(1, len(outs) - 1), 2), np.int64)
        args[TABLE], args[OTHERS] = table.ctypes.data, others.ctypes.data
        workers = worth(seconds, threads)
        for image_offset, result_offset in offsets:
            args[IMAGE] = x.ctypes.data + image_offset
            args[RESULT] = outs[0].ctypes.data + result_offset
            for j, out in enumerate(outs[1:]):
                others[j] = out.ctypes.data + result_offset // outs[0].itemsize * out.itemsize, out.itemsize
            pool.run(code.walk, args.ctypes.data, made.scratch, made.units, workers)

    def _lines_agree(self, outs: Sequence[np.ndarray]) -> bool:
        """Whether all results can go past the caches: large ones, aligned wherever the first one is."""
        if sum(out.nbytes for out in outs) < costs.STREAM_BYTES:
            return False
        if len(outs) == 1:
            return True
        lanes = self.target.lanes(self.spec.sums.bytes)
        first, size = outs[0].ctypes.data, outs[0].itemsize
        column = -first % min(LINE, lanes * size) // size
        return all((o.ctypes.data + column * o.itemsize) % min(LINE, lanes * o.itemsize) == 0 for o in outs)


def make_pass(
    problem: Problem, factors: Sequence[Sequence[np.ndarray]], wanted: Sequence[Wanted], target: Target
) -> Pass:
    """Prepare a pass. ``problem`` says shape, geometry, border and dtypes; ``factors`` are the weights of every
    component along every axis."""
    parts = parts_of(problem, factors)
    taps = tuple(len(weights) for weights in parts[0])
    form = "block" if taps[0] == 1 and max(taps) <= body.MOST_BLOCK else "passes"
    return assemble(problem, parts, form, wanted, target)


def assemble(
    problem: Problem, parts: Sequence[Sequence[np.ndarray]], form: str, wanted: Sequence[Wanted], target: Target
) -> Pass:
    """The pass of a form; ``parts`` are the weights of every component along planes, rows and columns of the walk."""
    order = tuple(sorted(wanted, key=lambda w: w.number.bytes))
    first = order[0]
    problem = replace(problem, result=first.dtype)
    taps = tuple(len(weights) for weights in parts[0])
    rows, wide = block(target, sharing=True)
    spec = Spec(
        algorithm=body.NAME, form=form,
        image=Number(native_image(problem).str[1:]), sums=Number(problem.sums.str[1:]), result=first.number,
        taps=taps, row_step=1, row_gap=1, pitch=column_axis(problem)[1],  # type: ignore[arg-type]
        rows=1 if form == "passes" and taps[1] == 1 else rows, wide=wide if form == "passes" else 1,
        weights=b"".join(np.concatenate(p).astype(problem.sums).tobytes() for p in parts), terms=len(parts),
        outputs=tuple(Output(w.what, w.number) for w in order),
    )  # fmt: skip
    spec = fitted(spec, row_axis(problem).out)
    work = len(parts) * sum(taps) + 8 * len(order)
    return Pass(problem, order, Proposal(spec, None, float(work), 0.0, ""), target)


def parts_of(problem: Problem, factors: Sequence[Sequence[np.ndarray]]) -> list[tuple[np.ndarray, ...]]:
    """The weights of every component along planes, rows and columns of the walk."""
    one: np.ndarray = np.ones(1)
    parts: list[tuple[np.ndarray, ...]] = []
    for component in factors:
        *inner, across = component if layout(problem).columns is not None else [*component, one]
        *deep, down = inner or [one]
        plane = one
        for weights in deep:
            plane = np.multiply.outer(plane, weights).ravel()
        parts.append((plane, down, across))
    return parts


class Made(Protocol):
    """Anything that has results."""

    @property
    def problem(self) -> Problem: ...

    @property
    def wanted(self) -> tuple[Wanted, ...]: ...


def empty_outs(made: Made) -> list[np.ndarray]:
    """Arrays for the results of a pass, each beginning at a line of the cache."""
    return [_empty(made.problem.result_shape, w.dtype) for w in made.wanted]


def _empty(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    size = math.prod(shape) * dtype.itemsize
    if size < costs.STREAM_BYTES // LINE:
        return np.empty(shape, dtype)
    room = np.empty(size + LINE, np.uint8)
    start = -room.ctypes.data % LINE
    return room[start : start + size].view(dtype).reshape(shape)
