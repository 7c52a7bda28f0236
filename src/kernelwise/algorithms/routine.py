"""Specifications made into machine code, once each."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import NamedTuple

from ..jit import target as targets
from ..jit.compile import Code, build
from ..jit.ir import Module
from ..jit.target import Target
from . import direct, gradient, ordered, separable, walk
from .fourier import tiles
from .fourier.spec import FourierSpec
from .spec import Spec

EMITTERS = {
    "direct": direct.emit,
    "separable": separable.emit,
    "ordered": ordered.emit,
    "gradient": gradient.emit,
}
MOST_ROUTINES = 1024

_routines: OrderedDict[tuple[Spec | FourierSpec, Target], Routine] = OrderedDict()
_lock = threading.RLock()
if hasattr(os, "register_at_fork"):  # no child may begin with a lock that nobody will release
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


class Routine(NamedTuple):
    """The two bodies of a specification in memory, and the walk that runs them; of a transform the one function."""

    code: Code
    wide: int  # addresses
    plain: int
    walk: int  # what the pool starts
    walk_code: Code


def emit(spec: Spec | FourierSpec, target: Target) -> Module:
    """Both bodies: ``wide`` for the interior of an image, ``plain`` one vector wide for its border columns.

    What transforms tiles needs no walk and no body.
    """
    if isinstance(spec, FourierSpec):
        return tiles.emit(target, spec)
    module = Module(target)
    EMITTERS[spec.algorithm](module, spec, "wide", spec.wide, spec.stream)
    EMITTERS[spec.algorithm](module, spec, "plain", 1, False)
    return module


def routine(spec: Spec | FourierSpec, target: Target) -> Routine:
    """The machine code of a specification. The most recent ones stay in memory."""
    key = spec, target
    with _lock:
        found = _routines.get(key)
        if found is not None:
            _routines.move_to_end(key)
            return found
        code = build(spec, lambda: emit(spec, target), target)
        if isinstance(spec, FourierSpec):
            made = Routine(code, 0, 0, code.address("tiles"), code)
        else:
            walk_code = walks(target)
            start = walk_code.address(walk.name(spec.image.bytes))
            made = Routine(code, code.address("wide"), code.address("plain"), start, walk_code)
        _routines[key] = made
        if len(_routines) > MOST_ROUTINES:
            _routines.popitem(last=False)
        return made


_walks: dict[Target, Code] = {}


def walks(target: Target) -> Code:
    if target not in _walks:
        _walks[target] = build(walk.FIELDS, lambda: walk.emit(target), target)
    return _walks[target]


def clear() -> None:
    """Forget all routines in memory. Code that still runs is kept alive by its caller."""
    with _lock:
        _routines.clear()


def current_target() -> Target:
    return targets.current()
