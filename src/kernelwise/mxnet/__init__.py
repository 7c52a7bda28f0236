"""A door to programs written for MXNet 1.9.1: ``import kernelwise.mxnet as mx``.

Arrays are PyTorch's tensors with MXNet's rules, convolutions run on kernelwise, and the random numbers are MXNet's own.
`python -m kernelwise.mxnet program.py` runs a program that says ``import mxnet``, as it is.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

from . import waiting  # noqa: F401 (before torch)

# isort: split
from . import autograd, base, context, ndarray
from . import ndarray as nd
from .base import MXNetError
from .context import Context, cpu, cpu_pinned, current_context, gpu, gpu_memory_info, num_gpus
from .ndarray.convolution import set_precision
from .uncovered import lookup, table

__all__ = [
    "Context",
    "MXNetError",
    "autograd",
    "base",
    "context",
    "cpu",
    "cpu_pinned",
    "current_context",
    "gpu",
    "gpu_memory_info",
    "nd",
    "ndarray",
    "num_gpus",
    "set_precision",
]
__version__ = "1.9.1"

_LATER = {  # public name: the module, imported when first asked for
    "gluon": "gluon",
    "image": "image",
    "img": "image",
    "init": "initializer",
    "initializer": "initializer",
    "lr_scheduler": "lr_scheduler",
    "metric": "metric",
    "optimizer": "optimizer",
    "random": "random",
    "rnd": "random",
    "test_utils": "test_utils",
    "util": "util",
}
_UNCOVERED = table(
    "mx.",
    """
    sym symbol Symbol symbol_doc executor executor_manager: arrays and autograd.record(), as in PyTorch
    mod module model: a training loop of your own, or gluon.Trainer
    np npx numpy numpy_extension np_array np_shape np_symbol: torch's functions on tensors
    set_np_shape use_np use_np_array use_np_shape is_np_array is_np_shape: nothing, shapes are torch's own
    io recordio: torch.utils.data, or gluon.data with your own Dataset
    kv kvstore: torch.distributed
    contrib operator rtc tvmop th torch library: torch.autograd.Function, or torch.library
    viz visualization mon monitor callback: torch.utils.tensorboard
    profiler: torch.profiler
    rnn: torch.nn.LSTM, torch.nn.GRU
    onnx: torch.onnx
    engine runtime libinfo log name attribute AttrScope notebook registry error api: nothing is needed
    """,
)


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        return lookup(__name__, _UNCOVERED, name)
    value: ModuleType = import_module("." + _LATER[name], __name__)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_LATER})


def load_ipython_extension(shell: Any) -> None:
    """%load_ext kernelwise.mxnet: from now on ``import mxnet`` in the notebook finds this door."""
    from .naming import install

    install()
