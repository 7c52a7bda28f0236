"""Parameters: arrays with gradients, of which the shape may become known only when the first image comes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import autograd, initializer
from .. import ndarray as nd
from ..base import MXNetError
from ..context import Context, cpu, current_context, usable
from ..ndarray.core import Core

REQUESTS = ("write", "add", "null")


class DeferredInitializationError(MXNetError):
    """A parameter is to be made when its shape is known, and it is not known yet."""


def is_known(shape: Any) -> bool:
    """Whether all sizes are: those not known are 0 or -1."""
    return shape is not None and all(size > 0 for size in shape)


def contexts(ctx: Any) -> list[Context]:
    """One or several contexts as a list; None is the current one."""
    if ctx is None:
        return [current_context()]
    return [ctx] if isinstance(ctx, Context) else list(ctx)


class Parameter:
    """A named array with its gradient, on one or several contexts.

    >>> weight = Parameter("weight", shape=(1, 2))
    >>> weight.initialize("ones")
    >>> weight.data().asnumpy()
    array([[1., 1.]], dtype=float32)
    """

    def __init__(
        self,
        name: str,
        grad_req: str = "write",
        shape: Any = None,
        dtype: Any = np.float32,
        lr_mult: float = 1.0,
        wd_mult: float = 1.0,
        init: Any = None,
        allow_deferred_init: bool = False,
        differentiable: bool = True,
        stype: str = "default",
        grad_stype: str = "default",
    ) -> None:
        for kind in (stype, grad_stype):
            if kind != "default":
                raise NotImplementedError(f"Parameter(stype={kind!r}): arrays are dense here; PyTorch has torch.sparse")
        self.name = name
        self.lr_mult, self.wd_mult = lr_mult, wd_mult
        self.init = init
        self._shape = (shape,) if isinstance(shape, int) else None if shape is None else tuple(shape)
        self._dtype = dtype
        self._allow_deferred_init = allow_deferred_init
        self._differentiable = differentiable
        self._data: list[Any] | None = None
        self._grad: list[Any] | None = None
        self._deferred: tuple[Any, list[Context], Any, Any] | None = None  # init, contexts, default init, data
        self._trainer: Any = None
        self._grad_req = "write"
        self.grad_req = grad_req

    def __repr__(self) -> str:
        return f"{self.__class__.__name__} {self.name} (shape={self.shape}, dtype={self.dtype})"

    # -- what it is

    @property
    def shape(self) -> Any:
        """Sizes, 0 where not known; None where nothing is known."""
        return self._shape

    @shape.setter
    def shape(self, shape: Any) -> None:
        if self._shape is not None and not (
            len(self._shape) == len(shape)
            and all(old in (-1, 0, new) for old, new in zip(self._shape, shape, strict=True))
        ):
            raise AssertionError(f"Expected shape {tuple(shape)} is incompatible with given shape {self._shape}.")
        self._shape = tuple(shape)

    @property
    def dtype(self) -> Any:
        """As it was given."""
        return self._dtype

    @dtype.setter
    def dtype(self, dtype: Any) -> None:
        self.cast(dtype)

    @property
    def grad_req(self) -> str:
        """What becomes of gradients: "write", "add" or "null"."""
        return self._grad_req

    @grad_req.setter
    def grad_req(self, request: str) -> None:
        if request not in REQUESTS:
            raise AssertionError(f"grad_req must be one of 'write', 'add', or 'null', but got '{request}'")
        if not self._differentiable:
            request = "null"
        if self._grad_req == request:
            return
        self._grad_req = request
        if request == "null":
            self._grad = None
            if self._data is not None:
                self._data = [one.detach() for one in self._data]
        elif self._data is not None:
            self._make_gradients()

    @property
    def stype(self) -> str:
        """Arrays are dense here."""
        return "default"

    grad_stype = stype

    # -- how it begins

    def initialize(
        self, init: Any = None, ctx: Any = None, default_init: Any = None, force_reinit: bool = False
    ) -> None:
        """Fills it: by ``init``, otherwise by the initializer it was made with, otherwise by ``default_init``.

        Where its shape is not known yet, that happens when it is. Raises ValueError if it may not wait.
        """
        if self._data is not None and not force_reinit:
            warnings.warn(
                f"Parameter '{self.name}' is already initialized, ignoring. Set force_reinit=True to re-initialize.",
                stacklevel=2,
            )
            return
        self._data = self._grad = None
        default = initializer.Uniform() if default_init is None else default_init
        if init is None:
            init = default if self.init is None else self.init
        if not is_known(self.shape) and not self._allow_deferred_init:
            raise ValueError(f"Cannot initialize Parameter '{self.name}' because it has invalid shape: {self.shape}.")
        self._deferred = init, contexts(ctx), default, None
        if is_known(self.shape):
            self._finish_deferred_init()

    @property
    def waits(self) -> bool:
        """Whether it is to be filled when its shape is known."""
        return self._deferred is not None

    def _finish_deferred_init(self) -> None:
        """Fills it, if it was waiting for its shape."""
        if self._deferred is None:
            return
        init, where, default, data = self._deferred
        self._deferred = None
        if not is_known(self.shape):
            raise AssertionError(
                f"Cannot initialize Parameter '{self.name}' because it has invalid shape: {self.shape}. Please specify "
                "in_units, in_channels, etc for `Block`s."
            )
        with autograd.pause():
            if data is None:
                data = nd.zeros(self.shape, cpu(), self.dtype)
                described = initializer.InitDesc(self.name, {"__init__": init})
                initializer.create(default)(described, data)
            self._keep(data, where)

    def _keep(self, data: Any, where: Sequence[Context]) -> None:
        """From now on these numbers, on every context."""
        self._data = [data.copyto(usable(one)) for one in where]
        self._make_gradients()

    def _make_gradients(self) -> None:
        if self.grad_req == "null" or self._data is None:
            self._grad = None
            return
        self._grad = [nd.zeros_like(one) for one in self._data]
        autograd.mark_variables(self._data, self._grad, self.grad_req)

    def reset_ctx(self, ctx: Any) -> None:
        """From now on on other contexts."""
        if self._data is not None:
            with autograd.pause():
                self._keep(self._mean(), contexts(ctx))
        elif self._deferred is not None:
            init, _, default, data = self._deferred
            self._deferred = init, contexts(ctx), default, data
        else:
            raise ValueError(f"Cannot reset context for Parameter '{self.name}' because it has not been initialized.")

    # -- its numbers

    def data(self, ctx: Context | None = None) -> Any:
        """The array on a context. Raises RuntimeError if it was not initialized, or not there."""
        return self._on(self._data, ctx)

    def list_data(self) -> list[Any]:
        """The arrays on all contexts."""
        return self._all(self._data)

    def grad(self, ctx: Context | None = None) -> Any:
        """The gradient on a context. Raises RuntimeError where none is kept."""
        self._has_gradient()
        return self._on(self._grad, ctx)

    def list_grad(self) -> list[Any]:
        """The gradients on all contexts."""
        self._has_gradient()
        return self._all(self._grad)

    def list_ctx(self) -> list[Context]:
        """All contexts it is on, or will be."""
        if self._data is not None:
            return [one.context for one in self._data]
        if self._deferred is not None:
            return self._deferred[1]
        raise RuntimeError(f"Parameter '{self.name}' has not been initialized")

    def set_data(self, data: Any) -> None:
        """Other numbers, of the same shape."""
        self.shape = data.shape
        if self._data is None:
            if self._deferred is None:
                raise AssertionError(f"Parameter '{self.name}' has not been initialized")
            self._deferred = (*self._deferred[:3], data)
            return
        for one in self._data:
            one[:] = data

    def zero_grad(self) -> None:
        """Gradients of zeros."""
        for one in self._grad or ():
            one[:] = 0

    def cast(self, dtype: Any) -> None:
        """From now on of another dtype."""
        self._dtype = dtype
        if self._data is None:
            return
        with autograd.pause():
            self._data = [one.astype(dtype) for one in self._data]
            self._make_gradients()

    def var(self) -> Any:
        """Raises NotImplementedError: there are no symbols here."""
        raise NotImplementedError("Parameter.var(): there are no symbols here; in PyTorch, the tensor itself")

    def row_sparse_data(self, row_id: Any) -> Any:
        """Raises NotImplementedError: arrays are dense here."""
        raise NotImplementedError("Parameter.row_sparse_data(): arrays are dense here; PyTorch has torch.sparse")

    list_row_sparse_data = row_sparse_data

    def _has_gradient(self) -> None:
        if self._data is not None and self._grad is None:
            raise RuntimeError(f"Cannot get gradient array for Parameter '{self.name}' because grad_req='null'")

    def _all(self, arrays: list[Any] | None) -> list[Any]:
        if arrays is None:
            raise self._missing()
        return arrays

    def _on(self, arrays: list[Any] | None, ctx: Context | None) -> Any:
        if arrays is None:
            raise self._missing()
        if ctx is None:
            if len(arrays) == 1:
                return arrays[0]
            ctx = current_context()
        for one in arrays:
            if one.ctx == ctx:
                return one
        raise RuntimeError(
            f"Parameter '{self.name}' was not initialized on context {ctx}. It was only initialized on "
            f"{[one.context for one in arrays]}."
        )

    def _missing(self) -> RuntimeError:
        if self._deferred is not None:
            return DeferredInitializationError(
                f"Parameter '{self.name}' has not been initialized yet because initialization was deferred. Actual "
                "initialization happens during the first forward pass. Please pass one batch of data through the "
                "network before accessing Parameters. You can also avoid deferred initialization by specifying "
                "in_units, num_features, etc., for network layers."
            )
        return RuntimeError(
            f"Parameter '{self.name}' has not been initialized. Note that you should initialize parameters and create "
            "Trainer with Block.collect_params() instead of Block.params because the later does not include "
            "Parameters of nested child Blocks"
        )

    def _mean(self) -> Any:
        """Of its arrays on all contexts."""
        arrays = self.list_data()
        return arrays[0].copyto(cpu()) if len(arrays) == 1 else nd.add_n(*arrays) / len(arrays)

    def load(self, data: Any, ctx: Any, cast_dtype: bool = False, dtype_source: str = "current") -> None:
        """Numbers from a file. Raises AssertionError where shape or dtype are others."""
        if dtype_source not in ("current", "saved"):
            raise AssertionError("dtype_source must be in ['current', 'saved']")
        if self.shape is not None:
            if len(self.shape) != len(data.shape) or any(
                old not in (0, -1, new) for old, new in zip(self.shape, data.shape, strict=True)
            ):
                raise AssertionError(
                    f"Failed loading Parameter '{self.name}' from saved params: shape incompatible expected "
                    f"{self.shape} vs saved {data.shape}"
                )
        self._shape = data.shape
        if self.dtype is not None:
            if cast_dtype and dtype_source == "current":
                data = data.astype(self.dtype)
            elif cast_dtype:
                self._dtype = data.dtype
            elif np.dtype(self.dtype) != np.dtype(data.dtype):
                raise AssertionError(
                    f"Failed loading Parameter '{self.name}' from saved params: dtype incompatible expected "
                    f"{np.dtype(self.dtype).type} vs saved {data.dtype}. Set cast_dtype=True to cast the dtype of "
                    "saved params."
                )
        if self._data is None:
            where = contexts(ctx) if ctx is not None else self._deferred[1] if self._deferred is not None else [cpu()]
            with autograd.pause():
                self._keep(data, where)
        else:
            if ctx is not None and set(contexts(ctx)) != set(self.list_ctx()):
                raise AssertionError(
                    f"Failed to load Parameter '{self.name}' on {contexts(ctx)} because it was previous initialized on "
                    f"{self.list_ctx()}."
                )
            self.set_data(data)
        self._deferred = None


class Constant(Parameter):
    """An array that is no variable: saved and loaded with the others, without a gradient."""

    def __init__(self, name: str, value: Any) -> None:
        if not isinstance(value, Core):
            value = nd.array(value)
        self.value = value
        super().__init__(name, "null", value.shape, value.dtype, init=initializer.Constant(value), differentiable=False)

    @property
    def grad_req(self) -> str:
        """Always "null"."""
        return "null"

    @grad_req.setter
    def grad_req(self, request: str) -> None:
        if request != "null":
            warnings.warn(
                f'Constant parameter "{self.name}" does not support grad_req other than "null", and new value '
                f'"{request}" is ignored.',
                stacklevel=2,
            )


tensor_types = (Core,)
