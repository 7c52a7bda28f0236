"""mx.init: what the numbers of a layer are before it is trained.

An initializer fills an array: ``initializer(description, array)``. Its subclasses say how in `_init_weight`. By name,
"zeros" or "xavier", they are made with their usual arguments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from .ndarray.core import Core
from .random.samplers import normal, uniform
from .uncovered import lookup, table

_KNOWN: dict[str, type] = {}
_UNCOVERED = table(
    "mx.init.",
    """
    FusedRNN LSTMBias: torch.nn.init on the parameters of torch.nn.LSTM
    Load: load_parameters of the network
    """,
)


def __getattr__(name: str) -> Any:
    return lookup(__name__, _UNCOVERED, name)


def register(klass: type) -> type:
    """A class decorator: from now on the class can be named by its own name in lower case."""
    _KNOWN[klass.__name__.lower()] = klass
    return klass


def alias(*names: str) -> Callable[[type], type]:
    """A class decorator: other names for an initializer."""

    def also(klass: type) -> type:
        for name in names:
            _KNOWN[name.lower()] = klass
        return klass

    return also


def create(initializer: Any, **kwargs: Any) -> Any:
    """An initializer from its name, from what `dumps` wrote of one, or itself.

    Raises AssertionError for a name that nothing is registered under.
    """
    if isinstance(initializer, Initializer):
        return initializer
    if not isinstance(initializer, str):
        raise AssertionError("initializer must be of string type")
    if initializer.startswith("["):
        initializer, kwargs = json.loads(initializer)
    name = initializer.lower()
    if name not in _KNOWN:
        raise AssertionError(f"{initializer} is not registered. Please register with initializer.register first")
    return _KNOWN[name](**kwargs)


class InitDesc(str):
    """The name of an array, with attributes: an initializer of its own, perhaps, under "__init__"."""

    attrs: dict[str, Any]
    global_init: Any

    def __new__(cls, name: str, attrs: dict[str, Any] | None = None, global_init: Any = None) -> InitDesc:
        found = super().__new__(cls, name)
        found.attrs, found.global_init = attrs or {}, global_init
        return found


class Initializer:
    """The base of all. ``kwargs`` are what `dumps` writes."""

    def __init__(self, **kwargs: Any) -> None:
        self._kwargs = kwargs

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Initializer)
            and self.__class__ is other.__class__
            and _comparable(self._kwargs) == _comparable(other._kwargs)
        )

    __hash__ = None  # type: ignore[assignment]

    def dumps(self) -> str:
        """As text: name and arguments.

        >>> Uniform().dumps()
        '["uniform", {"scale": 0.07}]'
        """
        return json.dumps([self.__class__.__name__.lower(), _comparable(self._kwargs)])

    def set_verbosity(self, verbose: bool = False, print_func: Any = None) -> Initializer:
        """Nothing is said of arrays that are filled."""
        return self

    def __call__(self, desc: Any, arr: Core) -> None:
        """Fills an array: as its own initializer says, otherwise by the end of its name."""
        if not isinstance(desc, str):
            raise TypeError("name must be string")
        attrs = getattr(desc, "attrs", {})
        if own := attrs.get("__init__", ""):
            create(own)._init_weight(desc, arr)
            return
        for ending, method in _ENDINGS.items():
            if desc.endswith(ending):
                getattr(self, method)(desc, arr)
                return
        self._init_default(desc, arr)

    def _init_weight(self, name: str, arr: Core) -> None:
        """How weights are filled: for subclasses to say."""
        raise NotImplementedError("Must override it")

    def _init_bias(self, name: str, arr: Core) -> None:
        fill(arr, 0)

    _init_beta = _init_zero = _init_bias

    def _init_gamma(self, name: str, arr: Core) -> None:
        fill(arr, 1)

    _init_one = _init_gamma

    def _init_default(self, name: str, arr: Core) -> None:
        raise ValueError(
            f"Unknown initialization pattern for {name}. Default initialization is now limited to "
            '"weight", "bias", "gamma" (1.0), and "beta" (0.0).'
            "Please use mx.sym.Variable(init=mx.init.*) to set initialization pattern"
        )


_ENDINGS = {
    "weight": "_init_weight",
    "bias": "_init_bias",
    "gamma": "_init_gamma",
    "beta": "_init_beta",
    "min": "_init_zero",
    "max": "_init_one",
}


def fill(arr: Core, value: Any) -> None:
    """arr[:] = value."""
    arr[:] = value  # type: ignore[index]


def _comparable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _comparable(part) for key, part in value.items()}
    if isinstance(value, Core):
        return value.data.tolist()
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


@alias("zeros")
@register
class Zero(Initializer):
    """Zeros."""

    def _init_weight(self, name: str, arr: Core) -> None:
        fill(arr, 0)


@alias("ones")
@register
class One(Initializer):
    """Ones."""

    def _init_weight(self, name: str, arr: Core) -> None:
        fill(arr, 1)


@register
class Constant(Initializer):
    """One number everywhere, or the numbers of an array."""

    def __init__(self, value: Any) -> None:
        super().__init__(value=value)
        self.value = value

    def _init_weight(self, name: str, arr: Core) -> None:
        fill(arr, self.value)


@register
class Uniform(Initializer):
    """Numbers between -scale and scale, all equally likely. What layers take that are told nothing else."""

    def __init__(self, scale: float = 0.07) -> None:
        super().__init__(scale=scale)
        self.scale = scale

    def _init_weight(self, name: str, arr: Core) -> None:
        uniform(-self.scale, self.scale, out=arr)


@register
class Normal(Initializer):
    """Numbers around zero with standard deviation ``sigma``."""

    def __init__(self, sigma: float = 0.01) -> None:
        super().__init__(sigma=sigma)
        self.sigma = sigma

    def _init_weight(self, name: str, arr: Core) -> None:
        normal(0, self.sigma, out=arr)


@register
class Xavier(Initializer):
    """Numbers whose spread keeps a layer's outputs about as large as its inputs.

    The variance is a third of ``magnitude``, or ``magnitude`` for "gaussian" numbers, divided by the number of inputs
    of an output ("in"), of outputs of an input ("out"), or the mean of both ("avg").
    Glorot and Bengio, AISTATS 9 (2010) 249-256.
    """

    def __init__(self, rnd_type: str = "uniform", factor_type: str = "avg", magnitude: float = 3) -> None:
        super().__init__(rnd_type=rnd_type, factor_type=factor_type, magnitude=magnitude)
        self.rnd_type = rnd_type
        self.factor_type = factor_type
        self.magnitude = float(magnitude)

    def _init_weight(self, name: str, arr: Core) -> None:
        shape = arr.shape
        if len(shape) < 2:
            raise ValueError(f"Xavier initializer cannot be applied to vector {name!s}. It requires at least 2D.")
        taps = np.prod(shape[2:]) if len(shape) > 2 else 1.0
        fans = {"in": shape[1] * taps, "out": shape[0] * taps, "avg": (shape[1] * taps + shape[0] * taps) / 2.0}
        if self.factor_type not in fans:
            raise ValueError("Incorrect factor type")
        scale = float(np.sqrt(self.magnitude / fans[self.factor_type]))
        if self.rnd_type == "uniform":
            uniform(-scale, scale, out=arr)
        elif self.rnd_type == "gaussian":
            normal(0, scale, out=arr)
        else:
            raise ValueError("Unknown random type")


@register
class MSRAPrelu(Xavier):
    """`Xavier` for layers before a ReLU whose slope is ``slope`` below zero.

    He, Zhang, Ren and Sun, ICCV 2015, 1026-1034.
    """

    def __init__(self, factor_type: str = "avg", slope: float = 0.25) -> None:
        super().__init__("gaussian", factor_type, 2.0 / (1 + slope**2))
        self._kwargs = {"factor_type": factor_type, "slope": slope}


@register
class Orthogonal(Initializer):
    """Rows, or columns if they are fewer, at right angles to each other, each of length ``scale``.

    Saxe, McClelland and Ganguli, ICLR 2014. The signs of rows are those that the linear algebra at hand gives.
    """

    def __init__(self, scale: float = 1.414, rand_type: str = "uniform") -> None:
        super().__init__(scale=scale, rand_type=rand_type)
        self.scale = scale
        self.rand_type = rand_type

    def _init_weight(self, name: str, arr: Core) -> None:
        shape = (arr.shape[0], int(np.prod(arr.shape[1:])))
        drawn = uniform(-1.0, 1.0, shape) if self.rand_type == "uniform" else normal(0.0, 1.0, shape)
        left, _, right = np.linalg.svd(drawn.asnumpy(), full_matrices=False)
        found = left if left.shape == shape else right
        fill(arr, (self.scale * found).reshape(arr.shape))


@register
class Bilinear(Initializer):
    """The weights of a transposed convolution that enlarges images: hats over the last two axes."""

    def _init_weight(self, name: str, arr: Core) -> None:
        height, width = arr.shape[2:]
        half = np.ceil(width / 2.0)
        centre = (2 * half - 1 - half % 2) / (2.0 * half)
        place = np.arange(arr.size)
        rows, columns = place // width % height, place % width
        hats = (1 - np.abs(columns / half - centre)) * (1 - np.abs(rows / half - centre))
        fill(arr, hats.astype(np.float32).reshape(arr.shape))


class Mixed:
    """Several initializers, each for the names that a regular expression matches: the first that does."""

    def __init__(self, patterns: list[str], initializers: list[Any]) -> None:
        if len(patterns) != len(initializers):
            raise AssertionError("`patterns` and `initializers` must be equally many")
        self.map = [(re.compile(pattern), one) for pattern, one in zip(patterns, initializers, strict=True)]

    def __call__(self, name: str, arr: Core) -> None:
        """Fills an array. Raises ValueError where no pattern matches its name."""
        for pattern, one in self.map:
            if pattern.match(name):
                one(name, arr)
                return
        raise ValueError(
            f'Parameter name {name} did not match any pattern. Consider add a ".*" pattern at the and with default '
            "Initializer."
        )
