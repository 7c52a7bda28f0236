"""Everything kernelwise remembers, and how to make it forget."""

from __future__ import annotations

import sys

from . import correlation, plan
from .algorithms import (
    boxes,
    chosen_windows,
    fourier_lines,
    lag_sums,
    layout,
    line_lags,
    routine,
    spare,
    totals,
    weighted_windows,
)
from .algorithms.fourier import launch
from .jit.compile import disk_cache


def clear_cache(disk: bool = False) -> None:
    """Forget plans and generated code in memory; with ``disk``, the object code in the user's cache folder too.

    Filters and arrays in use stay valid.

    >>> clear_cache()
    """
    correlation.forget()
    plan.forget()
    layout.layout.cache_clear()
    routine.clear()
    lag_sums.forget()
    boxes.forget()
    chosen_windows.forget()
    line_lags.forget()
    fourier_lines.forget()
    weighted_windows.forget()
    totals.forget()
    launch.forget()
    spare.forget()
    if passes := sys.modules.get("kernelwise.algorithms.canny.launch"):
        passes.forget()
    slopes = "slopes_launch", "slopes_winograd_launch", "slopes_fold", "slopes_collect"
    algorithms = "direct_launch", "winograd_launch", "across_launch", "rows_launch", "last_launch"
    for name in (*algorithms, "weights", *slopes):
        if layers := sys.modules.get(f"kernelwise.algorithms.layer.{name}"):
            layers.forget()
    if gradients := sys.modules.get("kernelwise.edges.gradients"):
        gradients.forget()
    for name in ("matching", "chains"):
        if routines := sys.modules.get(f"kernelwise.edges.{name}"):
            routines.forget()
    for name in ("layers.prepared", "layers.convolution", "torch.prepared"):
        if prepared := sys.modules.get(f"kernelwise.{name}"):
            prepared.forget()
    if stencils := sys.modules.get("kernelwise.stencils"):
        stencils.clear_cache()
    if disk:
        disk_cache().clear()
