"""Problem -> Plan: which algorithm, and why.

The choice depends on the kernel, the dtypes, the spatial shape and the target; never on threads, batch or the clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from . import costs
from .algorithms import direct, separable
from .algorithms.fourier import proposal as fourier
from .algorithms.fourier.spec import FourierSpec
from .algorithms.layout import axis_of, column_axis, layout, row_axis, weights3
from .algorithms.numbers import Number
from .algorithms.routine import current_target, emit
from .algorithms.spec import Proposal, Request
from .errors import ArgumentError
from .jit.compile import assembly
from .jit.target import Target
from .native import kernel_parts, native_dtype, native_image
from .problem import Problem, one_of

ALGORITHMS = (direct, separable, fourier)
METHODS = ("auto", "reference", *(a.NAME for a in ALGORITHMS))
MOST_STAGED = 16 << 20  # bytes a block may stage at the border; kernels that reach further are done by the reference


@dataclass(frozen=True)
class Plan:
    """How a Problem will be solved. ``print`` it to read it."""

    problem: Problem
    algorithm: str
    reason: str
    seconds: float  # predicted, on one thread
    workspace: int  # bytes beside the result, at most
    error: str  # bound of the error of every output
    considered: tuple[tuple[str, str], ...]  # (algorithm, predicted time or why not)
    parts: tuple[Proposal, ...] = ()  # one routine; two for a complex kernel: its real and its imaginary part
    target: Target | None = None

    def ir(self) -> str:
        """The LLVM IR of the generated routines."""
        return "\n".join(emit(p.spec, self.target).text for p in self.parts if self.target)

    def asm(self) -> str:
        """The assembly of the generated routines."""
        return "\n".join(assembly(emit(p.spec, self.target).text, self.target) for p in self.parts if self.target)

    def __str__(self) -> str:
        problem = self.problem
        axes = ", ".join(f"{g.n} -> {g.out}" for g in problem.geometry)
        lines = [
            ("image", f"{problem.image} {problem.shape}, axes {problem.axes} ({axes})"),
            ("kernel", f"{np.dtype(problem.kernel.dtype)} {problem.kernel.shape}, border {problem.border!r}"),
            ("result", f"{problem.result} {problem.result_shape}, sums in {problem.sums}"),
            ("algorithm", f"{self.algorithm}: {self.reason}"),
            ("target", self.target.name if self.target else "none: NumPy"),
            ("predicted", f"{_time(self.seconds)} on one thread"),
            ("workspace", f"at most {self.workspace / 2**20:.1f} MiB"),
            ("error", self.error),
            *((f"  {name}", verdict) for name, verdict in self.considered),
        ]
        return "\n".join(f"{name:<12}{text}" for name, text in lines)


def _time(seconds: float) -> str:
    unit, scale = ("ms", 1e3) if seconds >= 1e-3 else ("us", 1e6)
    return f"{seconds * scale:.3g} {unit}"


def choose(problem: Problem, method: str = "auto", *, changing: bool = False, target: Target | None = None) -> Plan:
    """The plan for a problem; ``method`` overrides the choice, or raises if that algorithm cannot do it.

    ``changing``: the weights are those of a layer, and others will follow. The plan then depends on where they are
    zero, but not on their values. ``target``: the machine to write code for; None is the one in use.
    """
    one_of("method", method, METHODS)
    return _choose(problem, method, target or current_target(), changing)


def forget() -> None:
    """Drop all remembered plans."""
    _choose.cache_clear()


@lru_cache(maxsize=1024)
def _choose(problem: Problem, method: str, target: Target, changing: bool) -> Plan:
    outputs = math.prod(problem.result_shape) * (2 if problem.image.kind == "c" else 1)
    taps = max(1, int(np.count_nonzero(problem.weights)))
    slow = costs.reference_seconds(taps, outputs)
    obstacle = _obstacle(problem)
    verdicts: list[tuple[str, str]] = []
    options: list[tuple[float, str, tuple[Proposal, ...]]] = []
    for algorithm in ALGORITHMS:
        found = obstacle or _proposals(problem, algorithm, target, changing)
        if isinstance(found, str):
            verdicts.append((algorithm.NAME, found))
            continue
        cost = sum(costs.seconds(p, target, outputs) for p in found)
        verdicts.append((algorithm.NAME, f"{_time(cost)}: {found[0].why}"))
        options.append((cost, algorithm.NAME, found))
    verdicts.append(("reference", _time(slow)))
    if method != "auto":
        options = [o for o in options if o[1] == method]
        if not options and method != "reference":
            raise ArgumentError(f"`method`={method!r} cannot do this: {dict(verdicts)[method]}")
    if method == "reference" or not options:
        why = "as asked" if method == "reference" else obstacle or "no other algorithm can"
        return _finish(problem, "reference", f"tap by tap, {why}", slow, tuple(verdicts), (), None, taps)
    cost, name, parts = min(options, key=lambda o: o[0])
    return _finish(problem, name, parts[0].why, cost, tuple(verdicts), parts, target, taps)


def _finish(
    problem: Problem,
    name: str,
    reason: str,
    seconds: float,
    considered: tuple[tuple[str, str], ...],
    parts: tuple[Proposal, ...],
    target: Target | None,
    taps: int,
) -> Plan:
    rounding = 0.0 if problem.sums.kind == "i" else np.finfo(problem.sums).eps / 2
    if not rounding:
        bound = "exact"
    elif name == fourier.NAME:
        bound = _tile_bound(parts[0], float(rounding))
    else:
        bound = f"{taps} * {rounding:.2g} * sum |x| |k|"
    return Plan(problem, name, reason, seconds, WORKSPACE, bound, considered, parts, target)


def _tile_bound(part: Proposal, rounding: float) -> str:
    """Of a transform."""
    assert isinstance(part.spec, FourierSpec) and part.table is not None
    norm = math.sqrt(part.spec.size * len(part.table))
    return f"{fourier.ERROR} * {rounding:.2g} * |k| * {norm:.0f} * largest |x| of its tile, |k| Euclidean"


WORKSPACE = 64 << 20


def _proposals(problem: Problem, algorithm, target: Target, changing: bool) -> tuple[Proposal, ...] | str:  # type: ignore[no-untyped-def]
    """One proposal for each real part of the kernel, or why there is none."""
    found = []
    for part in kernel_parts(problem):
        proposal = algorithm.propose(_request(problem, part, target, changing))
        if isinstance(proposal, str):
            return proposal
        found.append(proposal)
    return tuple(found)


def _request(problem: Problem, kernel: np.ndarray, target: Target, changing: bool) -> Request:
    rows = row_axis(problem)
    columns, channels = column_axis(problem)
    return Request(
        weights3(problem, kernel),
        Number(native_image(problem).str[1:]),
        Number(problem.sums.str[1:]),
        Number(native_dtype(problem).str[1:]),
        rows.stride,
        rows.dilation,
        columns.dilation * channels,
        target,
        changing,
        rows,
        columns,
        channels,
        tuple(axis_of(problem, a, 0) for a in layout(problem).planes),
        problem.nan == "omit",
    )


def _obstacle(problem: Problem) -> str | None:
    """Why generated code cannot walk this image, if it cannot: a kernel stretched over far more than the image."""
    if problem.image.kind == "c" and problem.fill.real != problem.fill.imag:
        return "the real and the imaginary part of the fill differ"
    if problem.image.kind == "c" and problem.nan == "omit" and problem.border == "constant":
        return "what is known outside a complex image weighs 1, not 1 + 1j"
    columns, channels = column_axis(problem)
    rows = row_axis(problem)
    slots = min(rows.taps * 8, rows.reach + 8 * rows.stride)
    planes = math.prod(problem.kernel.shape) // (rows.taps * columns.taps)
    staged = (columns.reach * channels + 256) * native_image(problem).itemsize * slots * planes
    if staged > MOST_STAGED:
        return f"the kernel reaches over {columns.reach + 1} columns, too far to stage at the border"
    virtual = max(a.dense() + a.reach for a in problem.geometry)
    if any(a.reach > 4 * a.n + 4096 for a in problem.geometry) or virtual > 2**40:
        return "the kernel reaches far beyond the image"
    return None
