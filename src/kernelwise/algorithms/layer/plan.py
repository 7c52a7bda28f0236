"""What every plan of a layer can do, whatever its algorithm, and what it takes to start one."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple, Protocol

import numpy as np

from ...jit.compile import Code
from ...jit.target import Target
from .problem import LayerProblem, Limits, Strides


class Launch(NamedTuple):
    """The numbers that a routine starts with; where its arrays lie is still empty."""

    args: np.ndarray
    scratch: int  # bytes for each worker
    units: int
    keep: tuple  # what the numbers point to


class Ready(NamedTuple):
    """What the pool needs to run a layer; images, result, weights, bias and residual still empty."""

    address: int
    args: np.ndarray  # image, result, weights, bias and, if it was asked for, residual first
    scratch: int
    units: int
    keep: tuple

    @classmethod
    def of(cls, code: Code, made: Launch) -> Ready:
        """A layer's routine and its numbers."""
        return cls(code.address("layer"), made.args, made.scratch, made.units, (code, made.keep))


class Plan(Protocol):
    """How a layer is done, by its shape and its strides alone. Plans are equal and hashable as tuples are."""

    @property
    def problem(self) -> LayerProblem: ...

    @property
    def target(self) -> Target: ...

    @property
    def name(self) -> str:
        """Of the algorithm, in a word."""

    @property
    def reason(self) -> str:
        """How it goes about it, and why for this layer."""

    @property
    def packing(self) -> Hashable:
        """Plans of one layer that agree in this read the same packed weights."""

    @property
    def packs_apart(self) -> bool:
        """Whether packed weights are memory of their own, from `spare`; others may be the weights themselves."""

    @property
    def adds_residual(self) -> bool:
        """Whether the routine can add an array like the result, before limits are kept."""

    def pack(self, weight: np.ndarray, threads: int) -> np.ndarray:
        """(groups * outputs, channels, ...), of any strides, as the routine reads it."""

    def pack_bias(self, bias: np.ndarray | None) -> np.ndarray:
        """(groups * outputs,) or None, likewise."""

    def prepare(
        self,
        images: int,
        image_strides: Strides,
        result_strides: Strides,
        limits: Limits,
        threads: int,
        residual: bool = False,
    ) -> Ready:
        """``residual``: an array with the strides of the result is added before limits are kept, sharing no memory with
        it: some results are made twice. Only where `adds_residual` says so."""

    def nanoseconds(self, packed: bool = False) -> float:
        """Predicted time on one thread, of one image; all work on the weights included, if they are not ``packed``."""
