"""mx.optimizer: how weights follow their gradients. Stochastic gradient descent and Adam, number for number MXNet's.

An optimizer keeps for every weight, by its index, how often it was updated, and makes it a state. `gluon.Trainer` calls
it through an `Updater`.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import ndarray as nd
from .random.numbers import single
from .uncovered import lookup, table

__all__ = ["SGD", "Adam", "Optimizer", "Updater", "create", "get_updater", "register"]

_UNCOVERED = table(
    "mx.optimizer.",
    """
    AdaDelta: torch.optim.Adadelta
    AdaGrad GroupAdaGrad: torch.optim.Adagrad
    Adamax: torch.optim.Adamax
    Nadam: torch.optim.NAdam
    NAG: torch.optim.SGD(nesterov=True)
    RMSProp: torch.optim.RMSprop
    ccSGD: mx.optimizer.SGD, which is the same
    DCASGD FTML Ftrl LAMB LARS LBSGD SGLD Signum contrib: torch.optim, or a subclass of Optimizer
    Test: a subclass of Optimizer
    """,
)


def __getattr__(name: str) -> Any:
    return lookup(__name__, _UNCOVERED, name)


class Optimizer:
    """The base of all: subclasses say in ``create_state(index, weight)`` what they keep of a weight, and in
    ``update(index, weight, grad, state)`` how it changes, in place.

    learning_rate : 0.01, or the base_lr of ``lr_scheduler``, if not given.
    wd : weight decay, a part of the weight that is added to its gradient.
    rescale_grad : what gradients are multiplied by; a Trainer sets it to 1 / the batch's size.
    clip_gradient : gradients are limited to this, either way. None and 0 do not limit them.
    param_idx2name : names of weights by index.
    multi_precision : for a float16 weight, a float32 one is kept and updated.
    """

    opt_registry: dict[str, type[Optimizer]] = {}

    def __init__(
        self,
        rescale_grad: float = 1.0,
        param_idx2name: dict[int, str] | None = None,
        wd: float = 0.0,
        clip_gradient: float | None = None,
        learning_rate: float | None = None,
        lr_scheduler: Any = None,
        sym: Any = None,
        begin_num_update: int = 0,
        multi_precision: bool = False,
        param_dict: dict[int, Any] | None = None,
    ) -> None:
        if sym is not None:
            raise NotImplementedError(f"{type(self).__name__}(sym=): there are no symbols here, nor in PyTorch")
        if not isinstance(param_idx2name, (dict, type(None))):
            raise AssertionError("param_idx2name should be a dict of param indexes to names.")
        if lr_scheduler is None and learning_rate is None:
            learning_rate = 0.01
        elif lr_scheduler is not None and learning_rate not in (None, lr_scheduler.base_lr):
            print(
                UserWarning(
                    "learning rate from ``lr_scheduler`` has been overwritten by ``learning_rate`` in optimizer."
                )
            )
            lr_scheduler.base_lr = learning_rate
        self.lr, self.lr_scheduler = learning_rate, lr_scheduler
        self.rescale_grad, self.wd, self.clip_gradient = rescale_grad, wd, clip_gradient
        self.multi_precision = multi_precision
        self.begin_num_update = self.num_update = begin_num_update
        self._counts: dict[int, dict[Any, int]] = {}  # updates of each weight, by device
        self._set_current_context(0)
        self.idx2name = dict(param_idx2name or {})
        self.param_dict = param_dict or {}
        self.set_lr_mult({})
        self.set_wd_mult({})

    # -- by name

    @staticmethod
    def register(klass: Any) -> Any:
        """A class decorator: from now on the class can be named by its own name in lower case."""
        if not isinstance(klass, type):
            raise AssertionError(f"an optimizer is a class (got {klass!r})")
        name = klass.__name__.lower()
        if name in Optimizer.opt_registry:
            before, now = Optimizer.opt_registry[name], klass
            warnings.warn(
                f"WARNING: New optimizer {now.__module__}.{now.__name__} is overriding existing optimizer "
                f"{before.__module__}.{before.__name__}",
                stacklevel=2,
            )
        Optimizer.opt_registry[name] = klass
        return klass

    @staticmethod
    def create_optimizer(name: str, **kwargs: Any) -> Optimizer:
        """The optimizer of this name, in lower case or not. Raises ValueError for one that is not known."""
        kind = Optimizer.opt_registry.get(name.lower())
        if kind is not None:
            return kind(**kwargs)
        for known, stand_in in _UNCOVERED.items():
            if known.lower() == name.lower():
                stand_in()
        raise ValueError(f"Cannot find optimizer {name}")

    # -- for subclasses to say

    def create_state(self, index: Any, weight: Any) -> Any:
        """What is kept of a weight: None, an array or a tuple of arrays."""
        return None

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Changes a weight in place."""
        raise NotImplementedError

    # -- float16 weights

    def create_state_multi_precision(self, index: Any, weight: Any) -> Any:
        """`create_state`, of a float32 copy where that is kept."""
        if weight.dtype == np.float16:
            if self.multi_precision:
                copy = weight.astype(np.float32)
                return (self.create_state(index, copy), copy)
            warnings.warn(
                "Accumulating with float16 in optimizer can lead to poor accuracy or slow convergence. Consider using "
                f"multi_precision=True option of the {type(self).__name__} optimizer",
                stacklevel=2,
            )
        return self.create_state(index, weight)

    def update_multi_precision(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """`update`, through a float32 copy where that is kept."""
        if not (self.multi_precision and weight.dtype == np.float16):
            self.update(index, weight, grad, state)
            return
        inner, copy = state
        self.update(index, copy, grad.astype(np.float32), inner)
        weight[:] = copy.astype(np.float16)

    # -- rates

    @property
    def learning_rate(self) -> Any:
        """The rate now."""
        return self.lr if self.lr_scheduler is None else self.lr_scheduler(self.num_update)

    def set_learning_rate(self, lr: float) -> None:
        """Another rate from now on. Raises UserWarning where a scheduler decides."""
        if self.lr_scheduler is not None:
            raise UserWarning(
                "LRScheduler of the optimizer has already been defined. Note that set_learning_rate can mutate the "
                "value of the learning rate of the optimizer only when the LRScheduler of the optimizer is undefined."
            )
        self.lr = lr

    def set_lr_mult(self, args_lr_mult: dict[Any, float]) -> None:
        """Factors of the rate, by index or name. Those of a Trainer's parameters are the parameters' own."""
        self.lr_mult = dict(args_lr_mult)

    def set_wd_mult(self, args_wd_mult: dict[Any, float]) -> None:
        """Factors of the decay, by index or name; 0 for names that end in neither _weight nor _gamma, unless given."""
        kept = ("_weight", "_gamma")
        self.wd_mult: dict[Any, float] = {name: 0.0 for name in self.idx2name.values() if not name.endswith(kept)}
        self.wd_mult.update(args_wd_mult)

    def _factor(self, index: Any, kind: str) -> float:
        """``kind``: lr_mult or wd_mult."""
        if index in self.param_dict:
            return float(getattr(self.param_dict[index], kind))
        given = getattr(self, kind)
        if index in given:
            return float(given[index])
        return float(given.get(self.idx2name.get(index), 1.0))

    def _get_lr(self, index: Any) -> float:
        """The rate of a weight."""
        return float(self.learning_rate * self._factor(index, "lr_mult"))

    def _get_wd(self, index: Any) -> float:
        """The decay of a weight."""
        return float(self.wd * self._factor(index, "wd_mult"))

    def _get_lrs(self, indices: Any) -> list[float]:
        return [self._get_lr(index) for index in indices]

    def _get_wds(self, indices: Any) -> list[float]:
        return [self._get_wd(index) for index in indices]

    # -- counting

    def _set_current_context(self, device_id: int) -> None:
        """From now on updates on this device are counted."""
        self._index_update_count = self._counts.setdefault(device_id, {})

    def _update_count(self, index: Any) -> None:
        """One more update of a weight, or of several."""
        for one in index if isinstance(index, (list, tuple)) else (index,):
            count = self._index_update_count.get(one, self.begin_num_update) + 1
            self._index_update_count[one] = count
            self.num_update = max(self.num_update, count)

    def _gradient(self, grad: Tensor) -> Tensor:
        """Limited to ``clip_gradient``."""
        if not self.clip_gradient:
            return grad
        limit = float(single(self.clip_gradient))
        return grad.clamp(-limit, limit)


register = Optimizer.register


def create(name: str, **kwargs: Any) -> Optimizer:
    """The optimizer of this name."""
    return Optimizer.create_optimizer(name, **kwargs)


@register
class SGD(Optimizer):
    """Gradient descent: ``m = momentum * m - lr * wd * w - lr * g``, ``w += m``, each operation rounded."""

    def __init__(self, momentum: float = 0.0, lazy_update: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.momentum, self.lazy_update = momentum, lazy_update  # of sparse gradients alone

    def create_state(self, index: Any, weight: Any) -> Any:
        """What the weight moved by last."""
        return None if self.momentum == 0.0 else nd.zeros_like(weight)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """One step."""
        self._update_count(index)
        # rates are parsed by another routine than other numbers, which rounds correctly
        lr, wd = np.float32(self._get_lr(index)), np.float32(self._get_wd(index))
        scale = single(self.rescale_grad)
        if self.clip_gradient:
            step = self._gradient(grad.data * float(scale)).mul_(float(lr))
        else:
            step = grad.data * float(lr * scale)
        if state is not None and self.momentum > 0:
            moved = state.data.mul_(float(single(self.momentum)))
            if wd:
                moved.sub_(weight.data * float(lr * wd))
            weight.data.add_(moved.sub_(step))
        elif wd:
            weight.data.sub_(step.add_(weight.data * float(lr * wd)))
        else:
            weight.data.sub_(step)


@register
class Adam(Optimizer):
    """Means of gradients and of their squares: ``w -= rate * m / (sqrt(v) + epsilon)``, with the rate set right for the
    first steps, when the means still know of zeros (Kingma and Ba 2015, algorithm 1 in its efficient order).
    """

    def __init__(
        self,
        learning_rate: float | None = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        lazy_update: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1, self.beta2, self.epsilon, self.lazy_update = beta1, beta2, epsilon, lazy_update

    def create_state(self, index: Any, weight: Any) -> Any:
        """The two means."""
        return nd.zeros_like(weight), nd.zeros_like(weight)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """One step."""
        self._update_count(index)
        count = self._index_update_count[index]
        rate = self._get_lr(index) * (math.sqrt(1.0 - self.beta2**count) / (1.0 - self.beta1**count))
        decay, one = single(self._get_wd(index)), np.float32(1)
        first, second = single(self.beta1), single(self.beta2)
        g = grad.data * float(single(self.rescale_grad))
        if decay:
            g.add_(weight.data * float(decay))
        g = self._gradient(g)
        mean, square = (one.data for one in state)
        mean.mul_(float(first)).add_(g * float(one - first))
        square.mul_(float(second)).add_((g * float(one - second)).mul_(g))
        root = torch.from_numpy(np.sqrt(square.numpy()))  # correctly rounded, which torch.sqrt is not
        weight.data.sub_((mean * float(single(rate))).div_(root.add_(float(single(self.epsilon)))))


class Updater:
    """An optimizer with the states of the weights it updates: ``updater(index, grad, weight)``."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.states: dict[Any, Any] = {}

    def __call__(self, index: Any, grad: Any, weight: Any) -> None:
        """Updates a weight, or several: lists of indices, gradients and weights."""
        if not isinstance(index, (list, tuple)):
            index, grad, weight = [index], [grad], [weight]
        if weight:
            self.optimizer._set_current_context(weight[0].context.device_id)
        for place, slope, one in zip(index, grad, weight, strict=True):
            if place not in self.states:
                self.states[place] = self.optimizer.create_state_multi_precision(place, one)
            self.optimizer.update_multi_precision(place, one, slope, self.states[place])

    def get_states(self, dump_optimizer: bool = False) -> bytes:
        """Raises NotImplementedError: Trainer.save_states writes them."""
        raise NotImplementedError("Updater.get_states(): use Trainer.save_states(), as PyTorch's state_dict()")

    def set_states(self, states: bytes) -> None:
        """Raises NotImplementedError: Trainer.load_states reads them."""
        raise NotImplementedError("Updater.set_states(): use Trainer.load_states(), as PyTorch's load_state_dict()")


def get_updater(optimizer: Optimizer) -> Updater:
    """An Updater."""
    return Updater(optimizer)


def state_arrays(state: Any) -> list[Any]:
    """The arrays in a state, in order."""
    if state is None:
        return []
    if isinstance(state, (list, tuple)):
        return [array for part in state for array in state_arrays(part)]
    return [state]
