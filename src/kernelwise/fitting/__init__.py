"""Step 4, learning a kernel: from images before and after, the kernel that turns one into the other."""

from __future__ import annotations

from .closed_form import fit_kernel
from .descent import learn_kernel
from .learned import LearnedKernel
from .result import KernelFit, SizeCurve
from .statistics import FitStatistics

__all__ = ["FitStatistics", "KernelFit", "LearnedKernel", "SizeCurve", "fit_kernel", "learn_kernel"]
