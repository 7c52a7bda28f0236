"""Blocks: layers, and networks made of blocks."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from .. import ndarray as nd
from ..ndarray.core import Core
from . import naming
from .inferring import current, infer
from .parameter import DeferredInitializationError, Parameter
from .parameter_dict import ParameterDict
from .parameter_files import load_parameters, save_parameters

__all__ = ["Block", "HybridBlock"]


class Block:
    """The base of all layers and networks: subclasses say in `forward` what they compute.

    Blocks and parameters that are attributes belong to it: `collect_params` finds them.

    prefix : what its parameters' names begin with; the class's name and a number, if not given.
    params : a ParameterDict to share parameters with.
    """

    _params: ParameterDict

    def __init__(self, prefix: str | None = None, params: ParameterDict | None = None) -> None:
        self._prefix, self._params = naming.begin(prefix, params, self._alias())
        self._name = self._prefix.removesuffix("_")
        self._scope = naming.Scope(self)
        self._children: dict[str, Any] = {}
        self._reg_params: dict[str, Parameter] = {}
        self._before: dict[int, Callable[..., Any]] = {}  # hooks
        self._after: dict[int, Callable[..., Any]] = {}

    def __repr__(self) -> str:
        parts = [(key, value) for key, value in self.__dict__.items() if isinstance(value, Block)]
        return listing(self, parts)

    def __setattr__(self, name: str, value: Any) -> None:
        """Enters blocks and parameters where they belong. Raises TypeError where one is replaced by another kind."""
        existing = getattr(self, name, None)
        if isinstance(existing, (Parameter, Block)) and not isinstance(value, type(existing)):
            raise TypeError(f"Changing attribute type for {name} from {type(existing)} to {type(value)}is not allowed.")
        if isinstance(value, Block):
            self.register_child(value, name)
        elif isinstance(value, Parameter):
            if name in self._reg_params:
                raise AssertionError(
                    f"Overriding Parameter attribute {name} is not allowed. If you want to share parameters between "
                    "blocks, please set 'params' at Block construction instead."
                )
            self._reg_params[name] = value
        super().__setattr__(name, value)

    def _alias(self) -> str:
        """The kind in its name."""
        return self.__class__.__name__.lower()

    # -- names

    @property
    def prefix(self) -> str:
        """What its parameters' names begin with."""
        return self._prefix

    @property
    def name(self) -> str:
        """Its prefix without the last underscore."""
        return self._name

    def name_scope(self) -> naming.Scope:
        """``with block.name_scope():`` blocks made inside have this one's prefix before their own."""
        return self._scope

    # -- parameters

    @property
    def params(self) -> ParameterDict:
        """Its own parameters, without those of blocks inside."""
        return self._params

    def collect_params(self, select: str | None = None) -> ParameterDict:
        """All parameters, its own first; only those whose names match the regular expression ``select``."""
        self._warn_of_containers()
        found = ParameterDict(self._params.prefix)
        pattern = None if select is None else re.compile(select)
        found.update({name: one for name, one in self.params.items() if pattern is None or pattern.match(name)})
        for child in self._children.values():
            found.update(child.collect_params(select=select))
        return found

    def _warn_of_containers(self) -> None:
        inside = set(map(id, self._children.values()))
        for name, value in self.__dict__.items():
            if isinstance(value, (list, tuple, dict)) and not name.startswith("_"):
                blocks = [one for one in _flat(value) if isinstance(one, Block)]
                if any(id(one) not in inside for one in blocks):
                    warnings.warn(
                        f'"{self.__class__.__name__}.{name}" is an unregistered container with Blocks. Note that '
                        "Blocks inside the list, tuple or dict will not be registered automatically. Make sure to "
                        "register them using register_child() or switching to nn.Sequential/nn.HybridSequential "
                        "instead. ",
                        stacklevel=3,
                    )

    def initialize(self, init: Any = None, ctx: Any = None, verbose: bool = False, force_reinit: bool = False) -> None:
        """Fills all parameters: each by its own initializer, otherwise by ``init``, or Uniform(0.07) if not given.

        Parameters whose shape is not known are filled when it is.
        """
        self.collect_params().initialize(init, ctx, verbose, force_reinit)

    def cast(self, dtype: Any) -> None:
        """From now on parameters of another dtype, in blocks inside too."""
        for child in self._children.values():
            child.cast(dtype)
        for one in self.params.values():
            one.cast(dtype)

    save_parameters = save_parameters
    load_parameters = load_parameters
    save_params = save_parameters
    load_params = load_parameters

    def _collect_params_with_prefix(self, prefix: str = "") -> dict[str, Parameter]:
        """Parameters by where they are: "0.weight" is the weight of the first block inside."""
        start = prefix + "." if prefix else ""
        found = {start + key: one for key, one in self._reg_params.items()}
        for name, child in self._children.items():
            found.update(child._collect_params_with_prefix(start + name))
        return found

    # -- blocks inside

    def register_child(self, block: Any, name: str | None = None) -> None:
        """A block inside, under a name or a number."""
        self._children[str(len(self._children)) if name is None else name] = block

    def apply(self, fn: Callable[[Any], Any]) -> Any:
        """Calls a function with every block inside, and with this one last."""
        for child in self._children.values():
            child.apply(fn)
        fn(self)
        return self

    def hybridize(self, active: bool = True, **kwargs: Any) -> None:
        """`HybridBlock.hybridize` of the blocks inside."""
        for child in self._children.values():
            child.hybridize(active, **kwargs)

    # -- computing

    def __call__(self, *args: Any) -> Any:
        for hook in self._before.values():
            hook(self, args)
        out = self.forward(*args)
        for hook in self._after.values():
            hook(self, args, out)
        return out

    def forward(self, *args: Any) -> Any:
        """What the block computes: for subclasses to say."""
        raise NotImplementedError

    def register_forward_pre_hook(self, hook: Callable[..., Any]) -> Hook:
        """From now on ``hook(block, inputs)`` is called before `forward`."""
        return Hook(self._before, hook)

    def register_forward_hook(self, hook: Callable[..., Any]) -> Hook:
        """From now on ``hook(block, inputs, outputs)`` is called after `forward`."""
        return Hook(self._after, hook)

    def register_op_hook(self, callback: Any, monitor_all: bool = False) -> None:
        """Raises NotImplementedError."""
        raise NotImplementedError("Block.register_op_hook(): in PyTorch, torch.utils._python_dispatch")

    def save(self, prefix: str) -> None:
        """Raises NotImplementedError."""
        raise NotImplementedError("Block.save(): use save_parameters(filename), as torch.save(net.state_dict(), ...)")

    def load(self, prefix: str) -> None:
        """Raises NotImplementedError."""
        raise NotImplementedError("Block.load(): use load_parameters(filename), as load_state_dict in PyTorch")

    def summary(self, *inputs: Any) -> None:
        """Raises NotImplementedError."""
        raise NotImplementedError("Block.summary(): print(block) shows it; in PyTorch, torch.fx's print_tabular")


class Hook:
    """A registered hook; `detach` takes it away again, and so does the end of a ``with`` block."""

    def __init__(self, hooks: dict[int, Callable[..., Any]], hook: Callable[..., Any]) -> None:
        self._hooks = hooks
        hooks[id(self)] = hook

    def detach(self) -> None:
        """From now on it is not called any more."""
        self._hooks.pop(id(self), None)

    def __enter__(self) -> Hook:
        return self

    def __exit__(self, *error: Any) -> None:
        self.detach()


class HybridBlock(Block):
    """A block that computes by functions of ``F`` alone: subclasses say in ``hybrid_forward(F, x, weight, ...)`` what.

    ``F`` is mx.nd, and parameters that are attributes come as arguments of their names. A shape that has a 0 becomes
    known when the first image comes, from what ``F``'s functions need.
    """

    def __init__(self, prefix: str | None = None, params: ParameterDict | None = None) -> None:
        super().__init__(prefix, params)
        self._to_complete = False  # whether all parameters inside are to be filled before the next computation

    def register_child(self, block: Any, name: str | None = None) -> None:
        """A block inside. Raises ValueError for one that is no HybridBlock."""
        if not isinstance(block, HybridBlock):
            raise ValueError(
                f"Children of HybridBlock must also be HybridBlock, but {block!s} has type {type(block)}. If you are "
                "using Sequential, please try HybridSequential instead."
            )
        super().register_child(block, name)

    def hybridize(self, active: bool = True, **kwargs: Any) -> None:
        """From now on all parameters are initialized before the first computation; else, nothing is different here.

        (MXNet compiles a graph. Here functions are called one after another, as before.)
        """
        self._to_complete = active
        super().hybridize(active, **kwargs)

    def infer_shape(self, *args: Any) -> None:
        """Makes shapes known from inputs like these."""
        infer(self, args)

    def infer_type(self, *args: Any) -> None:
        """Raises NotImplementedError."""
        raise NotImplementedError("HybridBlock.infer_type(): use block.cast(dtype), as in PyTorch module.to(dtype)")

    def export(self, path: str, epoch: int = 0, remove_amp_cast: bool = True) -> None:
        """Raises NotImplementedError."""
        raise NotImplementedError("HybridBlock.export(): save_parameters() keeps the numbers; in PyTorch, torch.export")

    def optimize_for(self, x: Any, *args: Any, **kwargs: Any) -> None:
        """Raises NotImplementedError."""
        raise NotImplementedError("HybridBlock.optimize_for(): in PyTorch, torch.compile")

    def forward(self, x: Any, *args: Any) -> Any:
        """`hybrid_forward` with mx.nd and the parameters. Raises ValueError where no input is an array."""
        if (trace := current()) is not None:
            return trace.run(self, x, *args)
        where = next((one.context for one in _flat((x, args)) if isinstance(one, Core)), None)
        if where is None:
            raise ValueError(
                "In HybridBlock, there must be one NDArray or one Symbol in the input. Please check the type of the "
                "args.\n"
            )
        if self._to_complete:
            if any(one.waits for one in self.collect_params().values()):
                for one in infer(self, (x, *args)):
                    one._finish_deferred_init()
            self._to_complete = False
        try:
            params = {name: one.data(where) for name, one in self._reg_params.items()}
        except DeferredInitializationError:
            infer(self, (x, *args))
            for one in self.params.values():
                one._finish_deferred_init()
            params = {name: one.data(where) for name, one in self._reg_params.items()}
        return self.hybrid_forward(nd, x, *args, **params)

    def hybrid_forward(self, F: Any, x: Any, *args: Any, **kwargs: Any) -> Any:
        """What the block computes: for subclasses to say."""
        raise NotImplementedError


def listing(block: Block, parts: Any) -> str:
    """A block with blocks inside, as it is shown."""
    lines = "\n".join(f"  ({key}): {indented(repr(part))}" for key, part in parts)
    return f"{block.__class__.__name__}(\n{lines}\n)"


def indented(text: str) -> str:
    """Two blanks before every line but the first."""
    return text.replace("\n", "\n  ")


def _flat(value: Any) -> Iterator[Any]:
    """What is inside of lists, tuples and dicts in each other."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from _flat(part)
    else:
        yield value
