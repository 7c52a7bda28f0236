"""What algorithms cost: constants measured once, and where.

Nanoseconds for one output of float32 from float32 at 1080 x 1920 in 16 lanes (AVX-512), one thread, on an AMD EPYC
of the Zen 5 generation, by `python benchmarks/costs.py`: a fixed part for loading and storing, and a part for each
multiply-add. Other lane counts scale the second part; choices depend on the ratio only.
"""

from __future__ import annotations

from .algorithms.spec import Proposal
from .jit.target import Target

MEASURED_LANES = 16
NANOSECONDS = {  # algorithm: (for each output, for each multiply-add)
    "direct": (0.07, 0.0095),
    "separable": (0.13, 0.0105),
}
REFERENCE_NANOSECONDS = 12.0  # for each output and tap
STREAM_BYTES = 32 << 20  # results from this size on are written past the caches: below, they are still found there
THREAD_SECONDS = 60e-6  # work that is worth another thread


def seconds(proposal: Proposal, target: Target, outputs: int) -> float:
    """Predicted time on one thread."""
    fixed, each = NANOSECONDS[proposal.spec.algorithm]
    lanes = target.lanes(proposal.spec.sums.bytes)
    scale = MEASURED_LANES / lanes
    return outputs * (fixed * max(1.0, scale / 2) + each * proposal.work * scale) * 1e-9


def reference_seconds(taps: int, outputs: int) -> float:
    return outputs * taps * REFERENCE_NANOSECONDS * 1e-9
