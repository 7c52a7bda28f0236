"""gluon.Trainer: steps of an optimizer on the parameters of a network."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from .. import ndarray as nd
from .. import optimizer as opt
from ..base import MXNetError
from ..context import Context
from .parameter import Parameter
from .parameter_dict import ParameterDict

__all__ = ["Trainer"]

STALE = (
    "Gradient of Parameter `{}` on context {} has not been updated by backward since last `step`. This could mean a "
    "bug in your model that made it only use a subset of the Parameters (Blocks) for this iteration. If you are "
    "intentionally only using a subset, call step with ignore_stale_grad=True to suppress this warning and skip "
    "updating of Parameters with stale gradient"
)
ON_STORE = (
    "{}() when parameters are updated on kvstore is not supported. Try setting `update_on_kvstore` to False when "
    "creating trainer."
)
FACTS = "trainer"  # the array of a states' file that holds JSON


class Trainer:
    """Parameters, and the optimizer that changes them: after `backward`, ``step(batch_size)``.

    params : a ParameterDict (`collect_params`), a dict, or a list of Parameters.
    optimizer : its name ("sgd", "adam") with ``optimizer_params``, or an Optimizer.
    kvstore, update_on_kvstore : where there are several contexts, MXNet updates weights where gradients are added up
        unless ``update_on_kvstore`` is False, and then has no `allreduce_grads` and no `update`. So it is here. What
        is computed is the same.

    Parameters must have been initialized. Raises ValueError for what is no parameter.
    """

    def __init__(
        self,
        params: Any,
        optimizer: Any,
        optimizer_params: dict[str, Any] | None = None,
        kvstore: Any = "device",
        compression_params: dict[str, Any] | None = None,
        update_on_kvstore: bool | None = None,
    ) -> None:
        if isinstance(params, (dict, ParameterDict)):
            params = [params[key] for key in sorted(params.keys())]
        if not isinstance(params, (list, tuple)):
            raise ValueError(f"First argument must be a list or dict of Parameters, got {type(params)}.")
        for one in params:
            if not isinstance(one, Parameter):
                raise ValueError(f"First argument must be a list or dict of Parameters, got list of {type(one)}.")
        if compression_params:
            raise NotImplementedError("Trainer(compression_params=): in PyTorch, DistributedDataParallel's hooks")
        if isinstance(kvstore, str) and "dist" in kvstore:
            raise NotImplementedError(f"Trainer(kvstore={kvstore!r}): in PyTorch, torch.distributed")
        self._params: list[Parameter] = list(params)
        for one in self._params:
            _own(one, self)
        self._contexts = self._common_contexts()
        self._optimizer = self._make(optimizer, optimizer_params or {})
        self._updaters = [opt.get_updater(self._optimizer) for _ in self._contexts]
        self._scale = self._optimizer.rescale_grad
        several = len(self._contexts) > 1 and kvstore is not None
        self._on_store = several and update_on_kvstore is not False

    def _common_contexts(self) -> list[Context]:
        found: list[Context] | None = None
        for one in self._params:
            where = one.list_ctx()
            if found not in (None, where):
                raise AssertionError(
                    f"All Parameters must be initialized on the same set of contexts, but Parameter {one.name} is "
                    f"initialized on {where} while previous Parameters are initialized on {found}."
                )
            found = where
        return found or []

    def _make(self, optimizer: Any, options: dict[str, Any]) -> opt.Optimizer:
        numbered = dict(enumerate(self._params))
        if not isinstance(optimizer, opt.Optimizer):
            return opt.create(optimizer, param_dict=numbered, **options)
        if options:
            raise AssertionError(
                "optimizer_params must be None if optimizer is an instance of Optimizer instead of str"
            )
        optimizer.param_dict = numbered
        return optimizer

    # -- rates

    @property
    def optimizer(self) -> opt.Optimizer:
        """The optimizer."""
        return self._optimizer

    @property
    def learning_rate(self) -> float:
        """The rate now."""
        return self._optimizer.learning_rate  # type: ignore[no-any-return]

    def set_learning_rate(self, lr: float) -> None:
        """Another rate from now on. Raises UserWarning where a scheduler decides."""
        self._optimizer.set_learning_rate(lr)

    # -- steps

    def step(self, batch_size: float, ignore_stale_grad: bool = False) -> None:
        """Changes all parameters by their gradients, divided by ``batch_size``, summed up over contexts.

        ignore_stale_grad : parameters that `backward` did not reach since the last step are left as they are;
            otherwise they raise UserWarning.
        """
        self._optimizer.rescale_grad = self._scale / batch_size
        self._add_up()
        self._update(ignore_stale_grad)

    def allreduce_grads(self) -> None:
        """Sums gradients up over contexts, so that they can be looked at or changed before `update`."""
        self._check_store("allreduce_grads")
        self._add_up()

    def update(self, batch_size: float, ignore_stale_grad: bool = False) -> None:
        """The rest of a `step`, after `allreduce_grads`."""
        self._check_store("update")
        self._optimizer.rescale_grad = self._scale / batch_size
        self._update(ignore_stale_grad)

    def _check_store(self, name: str) -> None:
        if self._on_store:
            raise AssertionError(ON_STORE.format(name))

    def _add_up(self) -> None:
        if len(self._contexts) < 2:
            return
        for one in self._params:
            if one.grad_req != "null":
                grads = one.list_grad()
                total = nd.add_n(*grads)
                for grad in grads:
                    grad[:] = total

    def _update(self, ignore_stale_grad: bool) -> None:
        chosen: list[list[tuple[int, Any, Any]]] = [[] for _ in self._updaters]
        trained = [(number, one, one.list_data()) for number, one in enumerate(self._params) if one.grad_req != "null"]
        for number, one, arrays in trained:
            if not ignore_stale_grad:
                for array in arrays:
                    if not array._fresh_grad:
                        raise UserWarning(STALE.format(one.name, array.context))
            for batch, array, grad in zip(chosen, arrays, one.list_grad(), strict=True):
                if array._fresh_grad:
                    batch.append((number, grad, array))
                    array._fresh_grad = False
        for updater, batch in zip(self._updaters, chosen, strict=True):
            if batch:
                updater(*zip(*batch, strict=True))

    # -- states in a file

    def save_states(self, fname: Any) -> None:
        """Writes what the optimizer keeps to a file, whole or not at all, for `load_states` to go on from.

        The file is one of `nd.save`: moments as arrays, counts and rates as JSON.
        """
        kept = self._updaters[0].states
        arrays = {f"{n}/{i}": one for n, state in kept.items() for i, one in enumerate(opt.state_arrays(state))}
        scheduler = self._optimizer.lr_scheduler
        facts = {
            "optimizer": type(self._optimizer).__name__,
            "numbers": _numbers(self._optimizer),
            "counts": [[device, list(counts.items())] for device, counts in self._optimizer._counts.items()],
            "known": list(kept),
            "scheduler": None if scheduler is None else [type(scheduler).__name__, _numbers(scheduler)],
        }
        text = np.frombuffer(json.dumps(facts).encode(), np.uint8)
        nd.save(fname, {FACTS: nd.array(text, dtype=np.uint8), **arrays})

    def load_states(self, fname: Any) -> None:
        """Reads a file of `save_states`. Raises MXNetError for other files, and for another optimizer's."""
        arrays = nd.load(fname)
        try:
            facts = json.loads(arrays.pop(FACTS).asnumpy().tobytes())
            kind, scheduler, known = facts["optimizer"], facts["scheduler"], facts["known"]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise MXNetError(f"{str(fname)!r} is no file of Trainer.save_states") from error
        mine = self._optimizer
        wanted = [type(mine).__name__, None if mine.lr_scheduler is None else type(mine.lr_scheduler).__name__]
        given = [kind, None if scheduler is None else scheduler[0]]
        if given != wanted:
            raise MXNetError(f"The states are those of optimizer and scheduler {given}; this trainer has {wanted}")
        if any(number >= len(self._params) for number in known):
            raise MXNetError(f"The states are those of more than this trainer's {len(self._params)} parameters")
        vars(mine).update(facts["numbers"])
        if scheduler is not None:
            vars(mine.lr_scheduler).update(scheduler[1])
        mine._counts = {device: dict(map(tuple, counts)) for device, counts in facts["counts"]}
        mine._set_current_context(0)
        for place, updater in enumerate(self._updaters):
            updater.states = {number: self._state(number, place, arrays) for number in known}

    def _state(self, number: int, place: int, arrays: dict[str, Any]) -> Any:
        """A fresh state of a parameter, with the numbers of a file."""
        state = self._optimizer.create_state_multi_precision(number, self._params[number].list_data()[place])
        for i, one in enumerate(opt.state_arrays(state)):
            found = arrays.get(f"{number}/{i}")
            if found is None or found.shape != one.shape:
                raise MXNetError(f"The states do not fit Parameter '{self._params[number].name}'")
            one[:] = found
        return state


def _own(parameter: Parameter, trainer: Trainer) -> None:
    parameter._trainer = trainer


def _numbers(of: Any) -> dict[str, Any]:
    """Attributes that are numbers, texts or lists of numbers: rates, counts, steps."""
    plain = (int, float, str, bool, type(None), list)
    return {name: value for name, value in vars(of).items() if isinstance(value, plain)}
