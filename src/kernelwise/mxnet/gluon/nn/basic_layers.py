"""Layers of numbers: Dense, Dropout, Embedding, Flatten, functions as layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import ndarray as nd
from ..block import Block, HybridBlock
from .activations import Activation


def activation_of(name: str | None) -> Activation | None:
    """The layer of an activation's name, whose own name has no number."""
    return None if name is None else Activation(name, prefix=name + "_")


class Dense(HybridBlock):
    """x (n, ...) times the transpose of weight (units, size of ...), plus bias: (n, units).

    activation : an activation's name, or None.
    flatten : whether all axes but the first count as one; otherwise the last one is multiplied, and the others stay.
    in_units : the size of ..., or 0 to find it with the first input.
    """

    def __init__(
        self,
        units: int,
        activation: str | None = None,
        use_bias: bool = True,
        flatten: bool = True,
        dtype: Any = "float32",
        weight_initializer: Any = None,
        bias_initializer: Any = "zeros",
        in_units: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._flatten = flatten
        with self.name_scope():
            self._units = units
            self._in_units = in_units
            shape = (units, in_units)
            self.weight = self.params.get(
                "weight", shape=shape, init=weight_initializer, dtype=dtype, allow_deferred_init=True
            )
            self.bias = None
            if use_bias:
                self.bias = self.params.get(
                    "bias", shape=(units,), init=bias_initializer, dtype=dtype, allow_deferred_init=True
                )
            self.act = activation_of(activation)

    def hybrid_forward(self, F: Any, x: Any, weight: Any, bias: Any = None) -> Any:
        """(n, units)."""
        out = F.FullyConnected(
            x, weight, bias, no_bias=bias is None, num_hidden=self._units, flatten=self._flatten, name="fwd"
        )
        return out if self.act is None else self.act(out)

    def __repr__(self) -> str:
        units, inputs = self.weight.shape
        act = "linear" if self.act is None else self.act
        return f"{self.__class__.__name__}({inputs or None} -> {units}, {act})"


class Dropout(HybridBlock):
    """In training, numbers are zero with probability ``rate``, and larger otherwise. Along ``axes`` all share one fate.

    Srivastava et al., Journal of Machine Learning Research 15 (2014) 1929-1958.
    """

    def __init__(self, rate: float, axes: Any = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._rate = rate
        self._axes = axes

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """Of the same shape."""
        return F.Dropout(x, p=self._rate, axes=self._axes, name="fwd") if self._rate > 0 else F.identity(x)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(p = {self._rate}, axes={self._axes})"


class Embedding(HybridBlock):
    """Row i of weight (input_dim, output_dim) for every number i of x: (..., output_dim)."""

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        dtype: Any = "float32",
        weight_initializer: Any = None,
        sparse_grad: bool = False,
        **kwargs: Any,
    ) -> None:
        if sparse_grad:
            raise NotImplementedError("Embedding(sparse_grad=True): in PyTorch, torch.nn.Embedding(sparse=True)")
        super().__init__(**kwargs)
        self._kwargs = {"input_dim": input_dim, "output_dim": output_dim, "dtype": dtype}
        with self.name_scope():
            self.weight = self.params.get(
                "weight", shape=(input_dim, output_dim), init=weight_initializer, dtype=dtype, allow_deferred_init=True
            )

    def hybrid_forward(self, F: Any, x: Any, weight: Any) -> Any:
        """(..., output_dim)."""
        return F.Embedding(x, weight, name="fwd", **self._kwargs)

    def __repr__(self) -> str:
        name, of = self.__class__.__name__, self._kwargs
        return f"{name}({of['input_dim']} -> {of['output_dim']}, {of['dtype']})"


class Flatten(HybridBlock):
    """(n, ...) as (n, size of ...)."""

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """(n, size of ...)."""
        return F.Flatten(x)

    def __repr__(self) -> str:
        return self.__class__.__name__


class Lambda(Block):
    """A function of arrays as a block, or one of mx.nd by its name."""

    def __init__(self, function: Callable[..., Any] | str, prefix: str | None = None) -> None:
        super().__init__(prefix=prefix)
        if isinstance(function, str):
            if not hasattr(nd, function):
                raise AssertionError(f"Function name {function} is not found in ndarray.")
            self._func_name, self._func_impl = function, getattr(nd, function)
        elif callable(function):
            self._func_name, self._func_impl = getattr(function, "__name__", repr(function)), function
        else:
            raise ValueError(f"Unrecognized function in lambda: {function} of type {type(function)}")

    def forward(self, *args: Any) -> Any:
        """What the function returns."""
        return self._func_impl(*args)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self._func_name})"


class HybridLambda(HybridBlock):
    """A function of F and arrays as a block, or one of F by its name."""

    def __init__(self, function: Callable[..., Any] | str, prefix: str | None = None) -> None:
        super().__init__(prefix=prefix)
        if isinstance(function, str):
            if not hasattr(nd, function):
                raise AssertionError(f"Function name {function} is not found in symbol/ndarray.")
            name = self._func_name = function
            self._func: Callable[..., Any] = lambda F, *args: getattr(F, name)(*args)
        elif callable(function):
            self._func_name, self._func = getattr(function, "__name__", repr(function)), function
        else:
            raise ValueError(f"Unrecognized function in lambda: {function} of type {type(function)}")

    def hybrid_forward(self, F: Any, x: Any, *args: Any) -> Any:
        """What the function returns."""
        return self._func(F, x, *args)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}({self._func_name})"


class ReflectionPad2D(HybridBlock):
    """Images (n, c, h, w) with ``padding`` pixels around them that mirror those inside."""

    def __init__(self, padding: Any = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(padding, (int, np.integer)):
            padding = (0, 0, 0, 0, padding, padding, padding, padding)
        if len(padding) != 8:
            raise AssertionError("`padding` must be a number or eight of them")
        self._padding = tuple(padding)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """(n, c, h + 2 * padding, w + 2 * padding)."""
        return F.pad(x, mode="reflect", pad_width=self._padding)
