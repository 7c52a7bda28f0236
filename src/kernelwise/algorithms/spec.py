"""What generated code depends on, and nothing else: the specification of a routine.

Bodies. A routine walks the image in blocks of ``rows`` output rows; the body, generated for one specification,
computes one block:

    body(rows, outs, n, table, temp)

    rows   pointers to the image rows of the block, at the pixel under tap 0 of output column 0: [plane][slot]
    outs   pointers to the ``rows`` output rows, at output column 0; of several results: [result][row]
    n      columns to compute, at least one vector
    table  weights, where they are not baked into the code
    temp   scratch memory of the body

A *slot* is one image row that some output row of the block needs: output row r reads, for kernel row i, the slot at
offset r * row_step + i * row_gap.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple

import numpy as np

from ..jit.ir import Function, Module
from ..jit.target import Target
from ..jit.types import I64, PTR
from ..jit.values import Value
from ..lazy import lazy
from ..problem import Axis
from .fourier.spec import FourierSpec
from .numbers import Number


class Output(NamedTuple):
    """One of several results of a body."""

    what: str
    number: Number


BODY_ARGS = [("rows", PTR), ("outs", PTR), ("n", I64), ("table", PTR), ("temp", PTR)]


class Stage(NamedTuple):
    """A one-dimensional filter of an ordered sum; see ordered.py."""

    way: str  # "down" or "across"
    taps: int
    mirror: int  # 1: symmetric, -1: antisymmetric, 0: neither
    at: int  # of its first weight in the table
    shift: int = 0  # row of its first tap
    column: int = 0  # column of its first tap
    divisor: int = 0  # not 0: a plain sum of the taps, divided by this; for integer sums

    @property
    def order(self) -> tuple[int, int]:
        """(the tap that is first, how many taps or pairs follow from tap 0 on)."""
        return (self.taps // 2, self.taps // 2) if self.mirror else (self.taps - 1, self.taps - 1)


@dataclass(frozen=True)
class Spec:
    """Everything that changes the generated code of one body."""

    algorithm: str  # "direct", "separable" or "ordered"
    form: str  # how it is written: "baked", "table", "long", "passes", "chains", "points"
    image: Number
    sums: Number
    result: Number
    taps: tuple[int, int, int]  # planes, rows, columns
    row_step: int  # stride of output rows
    row_gap: int  # dilation of kernel rows
    pitch: int  # elements between neighbouring taps of a row: dilation times interleaved channels
    rows: int  # output rows in a block
    wide: int  # vectors side by side
    weights: bytes = b""  # baked ones, in the dtype of the sums
    chunk: int = 0  # kernel rows that the table form unrolls at a time
    terms: int = 1  # of a separable kernel
    masked: bool = False  # the table holds zeros, which must not touch the sums
    stream: bool = False  # results go past the caches
    outputs: tuple[Output, ...] = ()  # of a body with several results; ``result`` is the first one's number
    chains: tuple[tuple[Stage, ...], ...] = ()  # of an ordered sum
    combine: str = ""  # several chains: "sum", "squares" or "magnitude"

    @property
    def work(self) -> int:
        """Multiply-adds for each output, about."""
        dense = self.algorithm == "direct" or self.form == "points"
        return math.prod(self.taps) if dense else sum(self.taps)

    @lazy
    def offsets(self) -> tuple[int, ...]:
        """Row offset of every slot, ascending."""
        pairs = product(range(self.rows), range(self.taps[1]))
        return tuple(sorted({r * self.row_step + i * self.row_gap for r, i in pairs}))

    @lazy
    def slots(self) -> int:
        return len(self.offsets)

    @lazy
    def uses(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """For every slot: (output row, kernel row) pairs that meet there."""
        found: list[list[tuple[int, int]]] = [[] for _ in self.offsets]
        place = {offset: s for s, offset in enumerate(self.offsets)}
        for r in range(self.rows):
            for i in range(self.taps[1]):
                found[place[r * self.row_step + i * self.row_gap]].append((r, i))
        return tuple(tuple(pairs) for pairs in found)

    @property
    def span(self) -> int:
        """Elements between the first tap of a row and the last."""
        return (self.taps[2] - 1) * self.pitch

    def array(self) -> np.ndarray:
        """The baked weights."""
        return np.frombuffer(self.weights, self.sums.dtype)


def body_function(module: Module, name: str) -> Function:
    return module.function(name, BODY_ARGS)


@contextmanager
def columns(fn: Function, n: Value, step: int) -> Iterator[Value]:
    """Column positions 0, step, ... that cover n; the last one is moved back so that it ends at n."""
    with fn.loop(0, n, step) as k:
        yield k.minimum(n - step)


def accumulate(fn: Function, total: Value | None, value: Value, weight: float | int) -> Value:
    """total + weight * value, in as few instructions as the weight allows. ``None`` is an empty sum."""
    if weight == 1:
        return value if total is None else total + value
    if weight == -1:
        return fn.constant(value.type, 0) - value if total is None else total - value
    if value.type.is_float:
        weight = float(weight)
        return value * weight if total is None else fn.fma(value, weight, total)
    product = _integer_product(value, int(weight))
    if weight < 0:
        return fn.constant(value.type, 0) - product if total is None else total - product
    return product if total is None else total + product


def _integer_product(value: Value, weight: int) -> Value:
    """value * |weight|, by a shift where that is enough."""
    weight = abs(weight)
    return value << (weight.bit_length() - 1) if weight & (weight - 1) == 0 else value * weight


# ---------------------------------------------------------------- asking and proposing


class Request(NamedTuple):
    """What an algorithm is asked to do, in the walk's terms."""

    weights: np.ndarray  # [planes, rows, columns] in the dtype of the sums
    image: Number
    sums: Number
    result: Number
    row_step: int
    row_gap: int
    pitch: int
    target: Target
    changing: bool  # other weights will go through the same routine: none may be written into the code
    rows: Axis
    columns: Axis
    channels: int  # interleaved in the columns
    planes: tuple[Axis, ...]
    omitting: bool  # sums are divided by the weights of what is known


class Proposal(NamedTuple):
    """How an algorithm would do it."""

    spec: Spec | FourierSpec
    table: np.ndarray | None  # the weights that are not baked, in the order the body reads them; all, for a transform
    work: float  # multiply-adds for each output
    conversions: float  # vectors of pixels converted to the sums' dtype, for each vector of outputs
    why: str


def block(target: Target, sharing: bool) -> tuple[int, int]:
    """(rows, vectors side by side) of a block whose sums fit the registers.

    ``sharing``: rows of pixels feed several rows of sums; otherwise the rows are done one after the other.
    """
    many = target.registers >= 32
    if not sharing:
        return 8, 8 if many else 4
    return (8, 2) if many else (4, 2)


def fitted(spec: Spec, rows_out: int) -> Spec:
    """With no more rows than the result needs, rounded up to a power of two so that few routines serve all heights.

    The choice among algorithms does not see this: a row must not get other bits because there are few of them.
    """
    return replace(spec, rows=min(spec.rows, 1 << max(0, rows_out - 1).bit_length()))


def conversions(spec: Spec, loads: float) -> float:
    """Conversions for each output, where ``loads`` vectors are loaded for each block row of slots."""
    return 0.0 if spec.image.code == spec.sums.code else loads * spec.slots / spec.rows


def base_spec(request: Request, algorithm: str, form: str, rows: int, wide: int) -> Spec:
    taps = tuple(int(n) for n in request.weights.shape)
    return Spec(
        algorithm, form, request.image, request.sums, request.result, taps,  # type: ignore[arg-type]
        request.row_step, request.row_gap, request.pitch, rows, wide,
    )  # fmt: skip
