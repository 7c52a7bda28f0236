"""What every plan of a layer can do, whatever its algorithm, and what it takes to start one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from ...jit.compile import Code
from ...jit.target import Target
from ..memory import aligned, up
from . import costs
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


@dataclass(frozen=True)
class Plan(ABC):
    """How a layer is done, by its shape and its strides alone."""

    problem: LayerProblem
    target: Target

    name: ClassVar[str]  # of the algorithm, in a word
    reason: ClassVar[str]  # how it goes about it, and why for this layer
    packs_apart: ClassVar[bool] = True  # packed weights are memory of their own, from `spare`
    adds_residual: ClassVar[bool] = True  # the routine can add an array like the result, before limits are kept

    @property
    @abstractmethod
    def block(self) -> int:
        """Output channels of a block."""

    @property
    def packing(self) -> Hashable:
        """Plans of one layer that agree in this read the same packed weights."""
        return type(self), self.target, self.block

    def for_images(self, images: int) -> Plan:
        """The plan for so many images at a time; its results have the same bits."""
        return self

    @abstractmethod
    def pack(self, weight: np.ndarray, threads: int) -> np.ndarray:
        """(groups * outputs, channels, ...), of any strides, as the routine reads it."""

    def pack_bias(self, bias: np.ndarray | None) -> np.ndarray:
        """(groups * outputs,) or None -> [group][block of outputs][output in the block]; zeros beyond the last one."""
        problem = self.problem
        packed = np.zeros((problem.groups, up(problem.outputs, self.block)), problem.number.dtype)
        if bias is not None:
            packed[:, : problem.outputs] = bias.reshape(problem.groups, problem.outputs)
        return aligned(packed)

    @abstractmethod
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

    @abstractmethod
    def nanoseconds(self, packed: bool = False) -> float:
        """Predicted time on one thread, of one image; all work on the weights included, if they are not ``packed``."""


class PixelsPlan(Plan):
    """One whose weights are few: they are packed for it alone, and may be the caller's own."""

    packs_apart = False
    adds_residual = False

    @property
    def packing(self) -> Hashable:
        return self

    def nanoseconds(self, packed: bool = False) -> float:
        return costs.pixels(self.problem, self.target)
