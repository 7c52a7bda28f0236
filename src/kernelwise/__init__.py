"""kernelwise: convolution for Python. Apply a kernel, find edges, train a layer, learn a kernel from examples."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import errors
from .correlation import Filter, convolve, corr2d, correlate, explain
from .version import VERSION as __version__

if TYPE_CHECKING:
    from . import edges, stencils
    from .caches import clear_cache
    from .fitting import (
        FitStatistics,
        KernelFit,
        VaryingKernelFit,
        fit_kernel,
        fit_varying_kernel,
        learn_kernel,
    )
    from .jit.pool import set_threads
    from .layers import (
        Conv1D,
        Conv2D,
        Conv3D,
        PreparedConv,
        conv,
        conv_bias_gradient,
        conv_input_gradient,
        conv_transpose,
        conv_weight_gradient,
    )

__all__ = [
    "Conv1D",
    "Conv2D",
    "Conv3D",
    "Filter",
    "FitStatistics",
    "KernelFit",
    "PreparedConv",
    "VaryingKernelFit",
    "__version__",
    "clear_cache",
    "conv",
    "conv_bias_gradient",
    "conv_input_gradient",
    "conv_transpose",
    "conv_weight_gradient",
    "convolve",
    "corr2d",
    "correlate",
    "edges",
    "errors",
    "explain",
    "fit_kernel",
    "fit_varying_kernel",
    "learn_kernel",
    "set_threads",
    "stencils",
]

_LATER = {  # public name: (module, name in it or None for the module itself), imported when first asked for
    "Conv1D": (".layers", "Conv1D"),
    "Conv2D": (".layers", "Conv2D"),
    "Conv3D": (".layers", "Conv3D"),
    "PreparedConv": (".layers", "PreparedConv"),
    "clear_cache": (".caches", "clear_cache"),
    "conv": (".layers", "conv"),
    "conv_bias_gradient": (".layers", "conv_bias_gradient"),
    "conv_input_gradient": (".layers", "conv_input_gradient"),
    "conv_transpose": (".layers", "conv_transpose"),
    "conv_weight_gradient": (".layers", "conv_weight_gradient"),
    "edges": (".edges", None),
    "FitStatistics": (".fitting", "FitStatistics"),
    "KernelFit": (".fitting", "KernelFit"),
    "VaryingKernelFit": (".fitting", "VaryingKernelFit"),
    "fit_kernel": (".fitting", "fit_kernel"),
    "fit_varying_kernel": (".fitting", "fit_varying_kernel"),
    "learn_kernel": (".fitting", "learn_kernel"),
    "set_threads": (".jit.pool", "set_threads"),
    "stencils": (".stencils", None),
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LATER[name]
    found = import_module(module, __name__)
    value = found if attribute is None else getattr(found, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
