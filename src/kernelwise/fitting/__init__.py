"""Step 4, learning a kernel: from images before and after, the kernel that turns one into the other."""

from __future__ import annotations

from .closed_form import fit_kernel
from .descent import learn_kernel
from .learned import LearnedKernel
from .result import KernelFit, SizeCurve
from .statistics import FitStatistics
from .varying import VaryingKernelFit, fit_varying_kernel

__all__ = [
    "FitStatistics",
    "KernelFit",
    "LearnedKernel",
    "SizeCurve",
    "VaryingKernelFit",
    "fit_kernel",
    "fit_varying_kernel",
    "learn_kernel",
]
