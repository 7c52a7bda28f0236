"""NDArray: numbers with MXNet's operators and methods."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..context import Context, usable
from . import (
    creation,
    elementwise,
    graph,
    indexing,
    joining,
    missing,
    network,
    operators,
    parts,
    picking,
    printing,
    reductions,
    shapes,
)
from .core import Core, apply, plain, register

METHODS = operators.METHODS
REFLECTED = operators.REFLECTED


class NDArray(Core):
    """An array as MXNet has it. Made by `array`, `zeros` and their like, not by calling the class.

    >>> from kernelwise.mxnet import nd
    >>> x = nd.array([[1, 2], [3, 4]])
    >>> (x * x).sum(axis=0).asnumpy()
    array([10., 20.], dtype=float32)
    """

    __slots__ = ()
    __array_priority__ = 1000.0  # NumPy's operators ask the array's own first
    __hash__ = object.__hash__

    # -- what it holds

    @property
    def grad(self) -> NDArray | None:
        """The gradient of the last `backward`, or None where none is attached."""
        found: NDArray | None = graph.grad_of(self)
        return found

    @property
    def T(self) -> NDArray:
        """A copy with the axes the other way round; of fewer than two axes the array itself."""
        return shapes.turned(self)

    @property
    def _fresh_grad(self) -> bool:
        """Whether a gradient arrived since this was last set to False."""
        return self.marked is not None and self.marked.fresh

    @_fresh_grad.setter
    def _fresh_grad(self, fresh: bool) -> None:
        if self.marked is not None:
            self.marked.fresh = bool(fresh)

    def asnumpy(self) -> np.ndarray:
        """A copy of the numbers as a NumPy array."""
        return self.data.numpy().copy()

    def asscalar(self) -> Any:
        """The number of an array of one number, of NumPy's class; of shape (1, 1) and more, NumPy's array of it."""
        if self.data.numel() != 1:
            raise ValueError("The current array is not a scalar")
        numbers = self.data.numpy()
        return numbers.reshape(-1)[0] if self.data.ndim < 2 else numbers.copy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError("an NDArray's numbers cannot be shared with NumPy: np.array(x) copies them")
        return self.asnumpy() if dtype is None else self.asnumpy().astype(dtype)

    def wait_to_read(self) -> None:
        """Nothing: results are there when an operation returns."""

    def wait_to_write(self) -> None:
        """Nothing: results are there when an operation returns."""

    # -- how Python sees it

    def __repr__(self) -> str:
        return printing.text(self)

    __str__ = __repr__

    def __len__(self) -> int:
        return int(self.data.shape[0])

    def __bool__(self) -> bool:
        if self.data.numel() == 0:
            return False
        if self.data.numel() == 1:
            return bool(self.data.numpy().reshape(-1)[0])
        raise ValueError("The truth value of an NDArray with multiple elements is ambiguous.")

    def __reduce__(self) -> tuple[Any, ...]:
        return _from_pickle, (self.asnumpy(), str(self.ctx))

    def __copy__(self) -> NDArray:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> NDArray:
        return self.copy()

    __getitem__ = indexing.getitem
    __setitem__ = indexing.setitem

    # -- operators

    __add__ = METHODS["add"]
    __radd__ = METHODS["add"]
    __sub__ = METHODS["subtract"]
    __rsub__ = REFLECTED["subtract"]
    __mul__ = METHODS["multiply"]
    __rmul__ = METHODS["multiply"]
    __truediv__ = METHODS["divide"]
    __rtruediv__ = REFLECTED["divide"]
    __div__ = METHODS["divide"]
    __mod__ = METHODS["modulo"]
    __rmod__ = REFLECTED["modulo"]
    __pow__ = METHODS["power"]
    __rpow__ = REFLECTED["power"]
    __neg__ = operators.negative
    __abs__ = operators.absolute
    __eq__ = METHODS["equal"]  # type: ignore[assignment]
    __ne__ = METHODS["not_equal"]  # type: ignore[assignment]
    __gt__ = METHODS["greater"]
    __ge__ = METHODS["greater_equal"]
    __lt__ = METHODS["lesser"]
    __le__ = METHODS["lesser_equal"]

    def __iadd__(self, other: Any) -> NDArray:
        return _into(self, METHODS["add"](self, other))

    def __isub__(self, other: Any) -> NDArray:
        return _into(self, METHODS["subtract"](self, other))

    def __imul__(self, other: Any) -> NDArray:
        return _into(self, METHODS["multiply"](self, other))

    def __itruediv__(self, other: Any) -> NDArray:
        return _into(self, METHODS["divide"](self, other))

    def __imod__(self, other: Any) -> NDArray:
        return _into(self, METHODS["modulo"](self, other))

    # -- copies and dtypes

    def copy(self) -> NDArray:
        """The same numbers in memory of their own."""
        return apply(torch.clone, self)

    def copyto(self, other: Any) -> NDArray:
        """Writes the numbers into another array, or makes a copy on a context."""
        if isinstance(other, Context):
            found = self.copy()
            found.ctx = usable(other)
            return found
        if not isinstance(other, Core):
            raise TypeError(f"copyto does not support type {type(other)}")
        if other is self:
            return self
        indexing.setitem(other, (slice(None),) if other.ndim else (), self)
        return other  # type: ignore[return-value]

    def as_in_context(self, context: Context) -> NDArray:
        """The array itself if it is there, otherwise a copy."""
        return self if context == self.ctx else self.copyto(context)

    def tostype(self, stype: str) -> NDArray:
        """The array itself: "default" is the only kind."""
        if stype != "default":
            raise NotImplementedError(f"tostype({stype!r}): arrays are dense here; in PyTorch, x.to_sparse()")
        return self

    def as_nd_ndarray(self) -> NDArray:
        """The array itself."""
        return self

    astype = elementwise.astype
    reshape = shapes.reshape_method
    transpose = shapes.transpose_method

    # -- gradients

    attach_grad = graph.attach_grad
    backward = graph.backward
    detach = graph.detach


def _into(array: NDArray, result: NDArray) -> NDArray:
    """array[:] = result, which must not be larger than the array is."""
    if result.data.shape != array.data.shape:
        operators.check_fits(array, result)
    indexing.take_over(array, result)
    return array


def _from_pickle(numbers: np.ndarray, ctx: str) -> NDArray:
    kind, _, number = ctx.rstrip(")").partition("(")
    return plain(torch.from_numpy(numbers), Context(kind, int(number)))


FLUENT = {
    elementwise: (
        "abs sign rint round ceil floor trunc fix square sqrt rsqrt cbrt rcbrt exp expm1 log log10 log2 log1p sin cos "
        "tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh degrees radians reciprocal relu sigmoid clip"
    ),
    reductions: "sum mean prod nansum nanprod max min norm argmax argmin argmax_channel",
    shapes: "reshape_like flatten expand_dims squeeze swapaxes flip",
    joining: "split split_v2",
    parts: (
        "broadcast_to broadcast_like broadcast_axes tile repeat slice slice_axis slice_like diag depth_to_space "
        "space_to_depth pad shape_array size_array"
    ),
    creation: "zeros_like ones_like",
    picking: "pick take one_hot sort argsort topk",
    network: "softmax log_softmax softmin",
}
for _module, _names in FLUENT.items():
    for _name in _names.split():
        setattr(NDArray, _name, getattr(_module, _name))
for _name, _method in missing.METHODS.items():
    setattr(NDArray, _name, _method)
register(NDArray)
