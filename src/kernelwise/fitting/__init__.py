"""Step 4, learning a kernel: from images before and after, the kernel that turns one into the other."""

from __future__ import annotations

from .descent import learn_kernel
from .learned import LearnedKernel

__all__ = ["LearnedKernel", "learn_kernel"]
