"""What algorithms cost: constants measured once, and where.

Nanoseconds for one output of float32 from float32 at 1080 x 1920 in 16 lanes (AVX-512), one thread, on an AMD EPYC
of the Zen 5 generation, by `python benchmarks/costs.py`: a fixed part for loading and storing, a part for each
multiply-add, and a part for each pixel converted. Other lane counts scale them; choices depend on the ratios only.
"""

from __future__ import annotations

from .algorithms.spec import Proposal
from .jit.target import Target

MEASURED_LANES = 16
NANOSECONDS = {  # algorithm: (for each output, for each multiply-add)
    "direct": (0.057, 0.0105),  # large kernels cost 0.0095 each, 5 x 5 ones, where the choice is close, a little more
    "separable": (0.120, 0.0088),
    "fourier": (0.0, 0.0105),
    "gradient": (0.120, 0.0088),
}
CONVERSION_NANOSECONDS = 0.007
START_SECONDS = {"fourier": 4e-6}  # over what any call takes: it looks at its flags
REFERENCE_NANOSECONDS = 12.0  # for each output and tap
STREAM_BYTES = 16 << 20  # results from this size on are written past the caches: smaller ones are still found there
STREAM_LINES = 2  # times that many where a row of the result is written alone: then plain writing does well for longer
THREAD_SECONDS = 25e-6  # work that is worth another thread: nobody waits for one that has not arrived


def seconds(proposal: Proposal, target: Target, outputs: int) -> float:
    """Predicted time on one thread."""
    fixed, each = NANOSECONDS[proposal.spec.algorithm]
    scale = MEASURED_LANES / target.lanes(proposal.spec.sums.bytes)
    work = each * proposal.work + CONVERSION_NANOSECONDS * proposal.conversions
    return (
        START_SECONDS.get(proposal.spec.algorithm, 0.0) + outputs * (fixed * max(1.0, scale / 2) + work * scale) * 1e-9
    )


def stream_bytes(rows: int) -> int:
    """The size of result from which it is streamed, for a kernel of so many rows."""
    return STREAM_BYTES * (1 if rows > 1 else STREAM_LINES)


def reference_seconds(taps: int, outputs: int) -> float:
    return outputs * taps * REFERENCE_NANOSECONDS * 1e-9
