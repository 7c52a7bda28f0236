"""kernelwise: convolution for Python. Apply a kernel, find edges, train a layer, learn a kernel from examples."""

from __future__ import annotations

from . import errors, stencils
from .correlation import Filter, convolve, corr2d, correlate, explain
from .version import VERSION as __version__

__all__ = ["Filter", "__version__", "convolve", "corr2d", "correlate", "errors", "explain", "stencils"]
