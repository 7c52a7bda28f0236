"""The name mxnet, for programs that import it: it stands for this door while a program runs, and nothing is installed.

A real MXNet is left as it is. Where one has been imported already, it stays; the program is told which one runs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module, metadata
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from types import ModuleType

NAME, DOOR = "mxnet", __name__.rpartition(".")[0]


class _Finder(MetaPathFinder, Loader):
    """Finds ``mxnet.x`` where ``kernelwise.mxnet.x`` is: one module under two names."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != NAME and not fullname.startswith(NAME + "."):
            return None
        name = DOOR + fullname.removeprefix(NAME)
        try:
            found = find_spec(name)
        except ModuleNotFoundError:
            found = None
        if found is None and not _attribute_module(name):
            raise ModuleNotFoundError(
                f"No module named {fullname!r}: the program runs on {DOOR}, which has no such room; PyTorch may",
                name=fullname,
            )
        return ModuleSpec(fullname, self, is_package=found is None or found.submodule_search_locations is not None)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        name = DOOR + spec.name.removeprefix(NAME)
        module = _attribute_module(name) or import_module(name)
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        spec = module.__spec__
        if spec is not None and spec.loader is self:  # the import system has put its own into the module
            module.__spec__ = spec.loader_state


def _attribute_module(name: str) -> ModuleType | None:
    """The module that an attribute such as ``kernelwise.mxnet.nd`` or ``init`` is, under a name not its own."""
    parent, _, last = name.rpartition(".")
    if not parent:
        return None
    try:
        found = getattr(import_module(parent), last, None)
    except ImportError:
        return None
    return found if isinstance(found, ModuleType) else None


def install() -> bool:
    """From now on ``import mxnet`` finds this door; says so on stderr where a real one is. Returns whether it does."""
    loaded = sys.modules.get(NAME)
    if loaded is not None and getattr(loaded, "__name__", None) != DOOR:
        print(
            f"kernelwise: mxnet is imported already, from {where(loaded.__spec__)}; it stays, and runs", file=sys.stderr
        )
        return False
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return True
    real = PathFinder.find_spec(NAME)
    if real is not None:
        print(
            f"kernelwise: `import mxnet` runs on {DOOR} here; the mxnet {version()} in {where(real)} is left as it is",
            file=sys.stderr,
        )
    sys.meta_path.insert(0, _Finder())
    return True


def uninstall() -> None:
    """``import mxnet`` finds what it found before."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Finder)]
    for name in [name for name in sys.modules if name == NAME or name.startswith(NAME + ".")]:
        if getattr(sys.modules[name], "__name__", "").startswith(DOOR):
            del sys.modules[name]


def where(spec: ModuleSpec | None) -> str:
    """The file or folder of a module."""
    return str(spec.origin or spec.submodule_search_locations) if spec else "an unknown place"


def version() -> str:
    """Of the real MXNet, as it was installed."""
    try:
        return metadata.version(NAME)
    except metadata.PackageNotFoundError:
        return "of unknown version"
