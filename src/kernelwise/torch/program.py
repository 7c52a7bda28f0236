"""A network's steps for inputs that lie like some seen before, without PyTorch between one convolution and the next.

Called by PyTorch, a fused convolution of a tenth of a millisecond takes a tenth more to be found, to look at its
tensors and to have memory for its result. A *program* has all that done before: the routines of neighbouring
convolutions are one sequence for the pool, their results have places in one arena, and only addresses that differ from
call to call are written down in between. Steps of torch's own run as they are.

What is computed is what the network computes, by the same routines: the same bits. A program is for inference, as the
network is: where gradients are recorded, somebody listens to a layer, or torch traces, the network runs as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn.modules import module as every_module

from ..jit.pool import Job, Sequence
from ..layers.prepared import RESIDUAL
from . import choice, engine, gradients
from .arena import ALIGN, Need, arranged
from .fused import FusedConvolution
from .fusing import writes
from .recording import Form, Given, Made, Place, Recording, Result, Routine, Step

MOST_PROGRAMS = 8  # of a network; of more, the oldest are recorded again
THREAD_SECONDS = 6e-6  # work that is worth another thread in the midst of a stretch: the others are awake
IMAGE, RESULT = 0, 1  # places among the arguments of a routine
NOT_DONE = object()  # what `Programs.run` returns where the network is to run as it is
Find = Callable[[Place], Any]


class Seen(Enum):
    """What is known of inputs that have no program."""

    ONCE = 1
    REFUSED = 2


class Programs:
    """Those of one network, by what it was given. Copies, and what is read from a file, begin empty."""

    def __init__(self) -> None:
        self._seen: dict[tuple[Any, ...], Program | Seen] = {}

    def __reduce__(self) -> tuple[type, tuple[()]]:
        return Programs, ()

    def run(self, network: fx.GraphModule, given: tuple[Any, ...]) -> Any:
        """What the network returns; NOT_DONE, with nothing done, where it is to run as it is."""
        if torch.is_grad_enabled() or gradients.traced() or choice.situation():
            return NOT_DONE
        for tensor in given:
            if type(tensor) is not Tensor or tensor.layout is not torch.strided or tensor.is_neg():
                return NOT_DONE
        key = _key(given)
        program = self._seen.get(key)
        if program is None:  # what comes once is not worth it
            self._remember(key, Seen.ONCE)
            return NOT_DONE
        if program is Seen.REFUSED:
            return NOT_DONE
        if isinstance(program, Program) and program.holds():
            return program.run(given)
        if _listened_to(network):
            return NOT_DONE
        if _writes(network):
            self._remember(key, Seen.REFUSED)
            return NOT_DONE
        recording = Recording(network)
        with torch.no_grad():
            found = recording.run(*given)
        self._remember(key, recorded(network, recording) if recording.forms else Seen.REFUSED)
        return found

    def _remember(self, key: tuple[Any, ...], program: Program | Seen) -> None:
        kept = {k: v for k, v in self._seen.items() if k != key}
        self._seen = dict([*list(kept.items())[1 - MOST_PROGRAMS :], (key, program)])


def _key(given: tuple[Tensor, ...]) -> tuple[Any, ...]:
    """All that routines depend on but weights."""
    forms = tuple((x.shape, x.stride(), x.dtype, x.data_ptr() % x.element_size()) for x in given)
    return torch.get_num_threads(), engine.PRECISION, forms


def _listened_to(network: nn.Module) -> bool:
    """Whether somebody wants to know when layers are called."""
    if every_module._global_forward_hooks or every_module._global_forward_pre_hooks:
        return True
    return any(layer._forward_hooks or layer._forward_pre_hooks for layer in network.modules())


# ---------------------------------------------------------------- a program


@dataclass
class Stretch:
    """Routines that follow each other."""

    routines: list[Routine]


@dataclass
class Program:
    """What a network does, step by step."""

    network: fx.GraphModule
    parts: list[Stretch | Step]
    forms: list[Form]  # of results
    places: dict[int, int]  # in the arena: of all results but those that are returned
    arena_bytes: int
    forms_read: dict[Place, Form]
    made: int
    returned: Any
    marks: tuple[Any, ...]
    layers: tuple[nn.Module, ...]
    threads: int
    free: list[State] = field(default_factory=list)  # nobody runs in them

    def holds(self) -> bool:
        """Whether nothing has changed since it was recorded."""
        if every_module._global_forward_hooks or every_module._global_forward_pre_hooks:
            return False
        for layer in self.layers:
            if layer._forward_hooks or layer._forward_pre_hooks:
                return False
        return self.marks == _marks(self.parts)

    def run(self, given: tuple[Tensor, ...]) -> Any:
        """What the network returns; NOT_DONE where a step of torch's own made something else than before."""
        try:
            state = self.free.pop()  # any thread may be here
        except IndexError:
            state = State(self)
        made: list[Any] = [None] * self.made
        fresh = {n: _empty(form) for n, form in enumerate(self.forms) if n not in self.places}

        def find(place: Place) -> Any:
            if type(place) is Result:
                return fresh[place.number] if place.number in fresh else state.tensors[place.number]
            return made[place.number] if type(place) is Made else given[place.number]

        for number, part in enumerate(self.parts):
            if isinstance(part, Stretch):
                if not state.run(number, find):
                    return NOT_DONE
            else:
                made[part.made.number] = self._done(part, find)
        self.free.append(state)
        return _resolved(self.returned, find)

    def _done(self, step: Step, find: Find) -> Any:
        """A step of torch's own."""
        node, arguments = step.node, _resolved(step.arguments, find)
        options = _resolved(step.options, find)
        if node.op == "call_module":
            return self.network.get_submodule(str(node.target))(*arguments, **options)
        if node.op == "call_function":
            return node.target(*arguments, **options)  # type: ignore[operator]
        if node.op == "call_method":
            return getattr(arguments[0], str(node.target))(*arguments[1:], **options)
        found: Any = self.network
        for name in str(node.target).split("."):  # an attribute
            found = getattr(found, name)
        return found


class State:
    """The memory of one run at a time, and the arguments of its routines."""

    def __init__(self, program: Program) -> None:
        with torch.inference_mode(False), torch.no_grad():
            self._arena = torch.empty(program.arena_bytes + ALIGN, dtype=torch.uint8)
            skip = -self._arena.data_ptr() % ALIGN
            self.tensors = {
                number: _view(self._arena, skip + place, program.forms[number])
                for number, place in program.places.items()
            }
        self._keep: list[Any] = []
        self._sequences: dict[int, Sequence] = {}
        self._open: dict[int, list[tuple[np.ndarray, int, Place, Form]]] = {}  # addresses that differ from run to run
        for number, part in enumerate(program.parts):
            if isinstance(part, Stretch):
                self._open[number] = []
                jobs = [self._job(number, routine, program) for routine in part.routines]
                self._sequences[number] = Sequence(jobs)

    def _job(self, number: int, routine: Routine, program: Program) -> Job:
        start = routine.start
        args = start.args.copy()
        self._keep.append((args, start))
        places = [(IMAGE, routine.image), (RESULT, routine.result)]
        places += [(RESIDUAL, routine.residual)] if routine.residual is not None else []
        for at, place in places:
            tensor = self.tensors.get(place.number) if isinstance(place, Result) else None
            if tensor is not None:
                args[at] = tensor.data_ptr()
            else:
                form = program.forms[place.number] if isinstance(place, Result) else program.forms_read[place]
                self._open[number].append((args, at, place, form))
        workers = max(start.workers, min(program.threads, int(start.seconds / THREAD_SECONDS)))
        return Job(start.address, args.ctypes.data, start.scratch, start.units, workers)

    def run(self, number: int, find: Find) -> bool:
        """A stretch; False, with nothing done, where tensors do not lie as they did."""
        for args, at, place, form in self._open[number]:
            tensor = find(place)
            if type(place) is Made and not (type(tensor) is Tensor and Form.of(tensor) == form):
                return False
            args[at] = tensor.data_ptr()
        self._sequences[number].run()
        return True


def _view(arena: Tensor, at: int, form: Form) -> Tensor:
    numbers = arena[at : at + form.bytes].view(form.dtype)
    return numbers.as_strided(form.shape, form.stride)


def _empty(form: Form) -> Tensor:
    return torch.empty_strided(form.shape, form.stride, dtype=form.dtype)


def _resolved(value: Any, find: Find) -> Any:
    """Arguments with values in the places of places."""
    kind = type(value)
    if kind in (Given, Made, Result):
        return find(value)
    if isinstance(value, (tuple, list)):
        parts = [_resolved(part, find) for part in value]
        return kind(*parts) if hasattr(value, "_fields") else kind(parts)
    if isinstance(value, dict):
        return kind((key, _resolved(part, find)) for key, part in value.items())
    if kind is slice:
        return slice(*(_resolved(part, find) for part in (value.start, value.stop, value.step)))
    return value


# ---------------------------------------------------------------- making one


def _writes(network: fx.GraphModule) -> bool:
    """Whether a step might write to the network's inputs: it could not be done again as it is, if need be."""
    modules = dict(network.named_modules())
    for node in network.graph.nodes:
        if writes(node, modules):
            first = node.args[0] if node.args else None
            fused = isinstance(first, fx.Node) and first.op == "call_module"
            if not fused or not isinstance(modules[first.target], FusedConvolution):  # type: ignore[union-attr]
                return True
    return False


def recorded(network: fx.GraphModule, recording: Recording) -> Program:
    """The program of what was recorded."""
    apart = {number: form for number, form in enumerate(recording.forms) if number not in recording.kept}
    needs = [Need(*recording.read[number], form.bytes) for number, form in apart.items()]
    places, size = arranged(needs)
    parts: list[Stretch | Step] = []
    for step in recording.steps:
        if isinstance(step, Step):
            parts.append(step)
        elif parts and isinstance(parts[-1], Stretch):
            parts[-1].routines.append(step)
        else:
            parts.append(Stretch([step]))
    return Program(
        network,
        parts,
        recording.forms,
        dict(zip(apart, places, strict=True)),
        size,
        recording.forms_read,
        recording.made,
        recording.returned,
        _marks(parts),
        tuple(network.modules()),
        torch.get_num_threads(),
    )


def _marks(parts: list[Stretch | Step]) -> tuple[Any, ...]:
    routines = [routine for part in parts if isinstance(part, Stretch) for routine in part.routines]
    return tuple(routine.layer.marks() for routine in routines)
