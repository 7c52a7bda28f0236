"""Shapes of parameters that are not known yet, found from a network's first input.

The network computes once with arrays of zeros in place of parameters without numbers, and of one image only where it
can. `F`, which HybridBlocks compute by, is then a `Tracer` in place of mx.nd: it knows what a function needs.
"""

from __future__ import annotations

import inspect
import math
import threading
from collections.abc import Callable, Iterable
from typing import Any

from .. import autograd
from .. import ndarray as nd
from ..base import MXNetError
from ..ndarray.core import Core
from .parameter import Parameter, is_known


class _State(threading.local):
    trace: Trace | None = None


_STATE = _State()


def current() -> Trace | None:
    """The search for shapes that this computation is part of, or None."""
    return _STATE.trace


def infer(block: Any, inputs: tuple[Any, ...]) -> list[Parameter]:
    """Makes the shapes of all parameters known that the block's computation on ``inputs`` reaches.

    Returns them in the order in which they were reached. Raises ValueError where it cannot be computed.
    """
    if _STATE.trace is not None:
        _STATE.trace.run(block, *inputs)
        return []
    trace = _STATE.trace = Trace()
    try:
        with autograd.pause(train_mode=False):
            trace.run(block, *inputs)
    except Exception as error:
        text = f"MXNetError: {error}" if isinstance(error, MXNetError) else str(error)
        if isinstance(error, _InOperator):
            names = ("data",) if len(inputs) == 1 else tuple(f"data{i}" for i in range(len(inputs)))
            print("infer_shape error. Arguments:")
            for name, one in zip(names, inputs, strict=True):
                print(f"  {name}: {getattr(one, 'shape', None)}")
        raise ValueError(f"Deferred initialization failed because shape cannot be inferred. {text}") from error
    finally:
        _STATE.trace = None
    return list(trace.reached)


class _InOperator(MXNetError):
    """What an operator said of the shapes it was given."""


class Trace:
    """One search."""

    def __init__(self) -> None:
        self.reached: dict[Parameter, None] = {}

    def run(self, block: Any, *inputs: Any) -> Any:
        """The block's `hybrid_forward`, without its parameters' numbers."""
        params = {name: self._stand_in(one) for name, one in block._reg_params.items()}
        return block.hybrid_forward(Tracer(block.prefix), *inputs, **params)

    def _stand_in(self, one: Parameter) -> Any:
        self.reached[one] = None
        if is_known(one.shape):
            return nd.zeros(one.shape, dtype=one.dtype)
        return Unknown(one)


class Unknown:
    """Stands for a parameter of unknown shape."""

    def __init__(self, parameter: Parameter) -> None:
        self.parameter = parameter
        self.shape = parameter.shape

    def __getattr__(self, name: str) -> Any:
        raise MXNetError(
            f"the shape {self.shape} of parameter '{self.parameter.name}' is not known where its `{name}` is asked for"
        )


class Tracer:
    """mx.nd while shapes are searched for."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def __getattr__(self, name: str) -> Any:
        found = getattr(nd, name)
        if name == "Dropout":  # draws nothing at random now
            return lambda data, **kwargs: data
        return self._traced(name, found) if inspect.isfunction(found) else found

    def _traced(self, name: str, operator: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                return _computed(name, operator, args, kwargs)
            except MXNetError as error:
                if str(error).startswith(BEFORE_SHAPES):
                    raise
                own = kwargs.get("name") or name.lower() + "0"
                raise _InOperator(f"Error in operator {self._prefix}{own}: {error}") from error

        return call


BEFORE_SHAPES = ("Invalid Input", "value ", "Required parameter", "Cannot find argument", "Invalid Parameter")


def _computed(name: str, operator: Callable[..., Any], args: Any, kwargs: Any) -> Any:
    """The operator's result; unknown shapes among its arguments become known."""
    options = {key: value for key, value in kwargs.items() if key not in ("name", "out")}
    if name not in NEEDS and name not in BY_IMAGE:
        for one in (*args, *options.values()):
            if isinstance(one, Unknown):
                raise MXNetError(f"{name} does not say what shape parameter '{one.parameter.name}' needs")
        return operator(*args, **kwargs)
    bound = inspect.signature(operator).bind(*args, **options)
    bound.apply_defaults()
    arguments = bound.arguments
    unknown = {key: one for key, one in arguments.items() if isinstance(one, Unknown)}
    shapes = NEEDS[name](arguments) if unknown else {}
    for key, one in unknown.items():
        # where the image has the wrong number of axes, or a size is 0, the operator is to say so
        shape = tuple(max(size, 1) for size in shapes.get(key) or (1,) * len(one.shape))
        arguments[key] = nd.zeros(shape, dtype=one.parameter.dtype)
    made = _on_one_image(operator, bound) if name in BY_IMAGE else operator(*bound.args, **bound.kwargs)
    for key, one in unknown.items():
        one.parameter.shape = shapes[key]
        one.shape = one.parameter.shape
    return made


def _on_one_image(operator: Callable[..., Any], bound: inspect.BoundArguments) -> Any:
    """Zeros of the result's shape; it is computed for the first image only."""
    data = bound.arguments["data"]
    if not isinstance(data, Core) or data.ndim == 0:
        return operator(*bound.args, **bound.kwargs)
    bound.arguments["data"] = data[0:1]  # type: ignore[index]
    found = operator(*bound.args, **bound.kwargs)
    return nd.zeros((data.shape[0], *found.shape[1:]), dtype=found.dtype)


# ---------------------------------------------------------------- what functions need

Arguments = dict[str, Any]
Shapes = dict[str, tuple[int, ...]]


def _channels(a: Arguments) -> int | None:
    """Of images under a kernel; None where they do not have as many axes as it needs."""
    if len(a["data"].shape) != len(a["kernel"]) + 2:
        return None
    last = a["layout"] is not None and a["layout"].endswith("C")
    return int(a["data"].shape[-1 if last else 1])


def _convolution(a: Arguments) -> Shapes:
    if (channels := _channels(a)) is None:
        return {}
    last = a["layout"] is not None and a["layout"].endswith("C")
    each = channels // a["num_group"]
    taps = tuple(a["kernel"])
    weight = (a["num_filter"], *taps, each) if last else (a["num_filter"], each, *taps)
    return {"weight": weight, "bias": (a["num_filter"],)}


def _deconvolution(a: Arguments) -> Shapes:
    if (channels := _channels(a)) is None:
        return {}
    return {"weight": (channels, a["num_filter"] // a["num_group"], *a["kernel"]), "bias": (a["num_filter"],)}


def _fully_connected(a: Arguments) -> Shapes:
    shape = a["data"].shape
    columns = math.prod(shape[1:]) if a["flatten"] else shape[-1]
    return {"weight": (a["num_hidden"], columns), "bias": (a["num_hidden"],)}


def _along(names: Iterable[str], axis: int | None = None) -> Callable[[Arguments], Shapes]:
    """As many numbers as places along an axis: the argument ``axis``, if not given here."""
    return lambda a: dict.fromkeys(names, (a["data"].shape[a["axis"] if axis is None else axis],))


NEEDS: dict[str, Callable[[Arguments], Shapes]] = {
    "Convolution": _convolution,
    "Deconvolution": _deconvolution,
    "FullyConnected": _fully_connected,
    "BatchNorm": _along(("gamma", "beta", "moving_mean", "moving_var")),
    "LayerNorm": _along(("gamma", "beta")),
    "InstanceNorm": _along(("gamma", "beta"), axis=1),
    "GroupNorm": lambda a: dict.fromkeys(("gamma", "beta"), (a["num_groups"],)),
    "Embedding": lambda a: {"weight": (a["input_dim"], a["output_dim"])},
    "LeakyReLU": _along(("gamma",), axis=1),
}
BY_IMAGE = {"Convolution", "Deconvolution", "FullyConnected", "Pooling"}
