"""The other libraries, one file each: what they can do of a row, and how their threads are set.

A library that is not installed is left out and named; nothing here is imported before it is asked for.
"""

from __future__ import annotations

from importlib import metadata, util

import numpy as np

from ..cases import Row
from . import ndimage, opencv, signal, skimage, slices, torch
from .contender import Contender
from .engines import ENGINES

RIVALS = (opencv, slices, ndimage, signal, skimage, torch)
NOT_INSTALLED = "not installed"


def is_installed(module: str) -> bool:
    return util.find_spec(module) is not None


def versions() -> dict[str, str]:
    """Distribution -> version, or "not installed"; engines for layers only where they are installed."""
    found: dict[str, str] = {}
    for rival in RIVALS:
        names = [n for n in rival.DISTRIBUTIONS if is_installed(rival.MODULE) and _version(n)]
        for name in names[:1]:
            found[name] = _version(name) or NOT_INSTALLED
        if not names:
            found[rival.DISTRIBUTIONS[0]] = NOT_INSTALLED
    engines = {name: _version(name) for name in (*(engine.DISTRIBUTION for engine in ENGINES), "jax")}
    return found | {name: version for name, version in engines.items() if version and name not in found}


def contenders(row: Row, x: np.ndarray, out: np.ndarray) -> list[Contender]:
    """Every function of every installed rival that computes this row. All write to ``out`` where they can."""
    return [c for rival in RIVALS if is_installed(rival.MODULE) for c in rival.contenders(row, x, out)]


def set_threads(threads: int) -> None:
    for rival in RIVALS:
        if is_installed(rival.MODULE):
            rival.set_threads(threads)


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
