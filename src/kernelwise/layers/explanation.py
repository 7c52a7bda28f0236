"""What a prepared layer says about how it works."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .prepared import Start

ERRORS = {"fast": 5e-6, "exact": 1e-6}  # in float32, in units of the largest output


class ConvPlan(NamedTuple):
    """How a prepared layer does images of one shape."""

    algorithm: str  # "direct", "winograd", "pixels" or "depthwise"
    reason: str
    result_shape: tuple[int, ...]
    seconds: float  # predicted, on one thread
    threads: int  # that take part
    packed_bytes: int  # of weights and bias
    scratch_bytes: int  # of each thread
    error: float  # bound, in units of the largest output

    @classmethod
    def of(cls, start: Start, result_shape: tuple[int, ...], precision: str) -> ConvPlan:
        """Of what is ready to be started."""
        single = np.finfo(np.float32).eps
        scale = np.finfo(start.plan.problem.number.dtype).eps / single
        return cls(
            start.plan.name,
            start.plan.reason,
            result_shape,
            start.seconds,
            start.workers,
            sum(array.nbytes for array in start.keep[:2]),
            start.scratch,
            float(ERRORS[precision] * scale),
        )

    def __str__(self) -> str:
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        return (
            f"{self.algorithm}: {self.reason}\n"
            f"result    {' x '.join(map(str, self.result_shape))}\n"
            f"time      {self.seconds * 1e3:.3g} ms predicted on one thread; {threads} take part\n"
            f"memory    {self.packed_bytes / 1e6:.3g} MB of packed weights, "
            f"{self.scratch_bytes / 1e6:.3g} MB for each thread\n"
            f"error     below {self.error:.1g} of the largest output"
        )
