"""IR -> machine code: compiled once, kept on disk, loaded into the process.

The key of a piece of code holds everything that changes it: the version, the generator's own source, LLVM, the target
and the specification it was generated from. So a hit needs no IR at all.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from functools import lru_cache

import llvmlite
import llvmlite.binding as llvm

from ..errors import EngineError
from ..version import VERSION
from .cache import ObjectCache
from .ir import Module
from .target import Target, named

GENERATOR_FOLDERS = ("jit", "algorithms", "edges")
_lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    # No child may begin with LLVM half-way through something and a lock that nobody will release. What is registered
    # last is taken first: this lock, then llvmlite's own, which every one of its functions takes, whoever calls it.
    _llvmlite_lock = llvm.ffi.lib._lock
    for enter, leave in ((_llvmlite_lock.__enter__, _llvmlite_lock.__exit__), (_lock.acquire, _lock.release)):
        os.register_at_fork(before=enter, after_in_parent=leave, after_in_child=leave)


class Code:
    """Machine code in memory. It stays there as long as this object does."""

    def __init__(self, engine: llvm.ExecutionEngine) -> None:
        self._engine = engine

    def address(self, function: str) -> int:
        address = self._engine.get_function_address(function)
        if not address:
            raise EngineError(f"the generated code has no function {function!r}")
        return address


def build(specification: object, emit: Callable[[], Module], target: Target) -> Code:
    """The code of a specification: from the disk cache if it is there, else generated, compiled and stored.

    ``emit`` is called on a miss only. ``repr(specification)`` must tell all that ``emit`` depends on.
    """
    key = _key(specification, target)
    stored = disk_cache().get(key)
    if stored is not None:
        try:
            return load(stored, target)
        except RuntimeError:
            pass  # an object that LLVM does not take is made anew
    compiled = compile_object(emit().text, target)
    disk_cache().put(key, compiled)
    return load(compiled, target)


def compile_object(ir: str, target: Target) -> bytes:
    with _lock:
        return _machine(target).emit_object(_parse(ir, target))


def assembly(ir: str, target: Target) -> str:
    with _lock:
        return _machine(target).emit_assembly(_parse(ir, target))


def load(compiled: bytes, target: Target) -> Code:
    with _lock:
        _initialise()
        engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine(target))
        engine.add_object_file(llvm.ObjectFileRef.from_data(compiled))
        engine.finalize_object()
    return Code(engine)


def define(name: str, address: int) -> None:
    """Tell generated code where a function of that name is; to be said before the code is loaded."""
    with _lock:
        llvm.add_symbol(name, address)


@lru_cache(maxsize=1)
def disk_cache() -> ObjectCache:
    return ObjectCache()


@lru_cache(maxsize=1)
def generator_version() -> str:
    """A digest of the version and of the name, size and time of every source file that generates code."""
    digest = hashlib.sha256(VERSION.encode())
    root = os.path.dirname(os.path.dirname(__file__))
    for folder in GENERATOR_FOLDERS:
        for path in sorted(_sources(os.path.join(root, folder))):
            known = os.stat(path)
            digest.update(f"{os.path.relpath(path, root)} {known.st_size} {known.st_mtime_ns}".encode())
    return digest.hexdigest()


def _sources(folder: str) -> Iterator[str]:
    """Every Python file in a folder and in those within it."""
    for entry in os.scandir(folder):
        if entry.is_dir():
            yield from _sources(entry.path)
        elif entry.name.endswith(".py"):
            yield entry.path


def _key(specification: object, target: Target) -> str:
    parts = (generator_version(), llvmlite.__version__, llvm.llvm_version_info, target, specification)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _parse(ir: str, target: Target) -> llvm.ModuleRef:
    _initialise()
    module = llvm.parse_assembly(ir)
    module.triple = target.triple
    return module


def _machine(target: Target) -> llvm.TargetMachine:
    _initialise()
    if target.triple != llvm.get_process_triple():
        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
    return llvm.Target.from_triple(target.triple).create_target_machine(
        cpu=target.cpu, features=target.features, opt=2, reloc="pic", codemodel="jitdefault"
    )


@lru_cache(maxsize=1)
def _initialise() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()


# Once in any process that computes: better while it starts than in its first call.
_initialise()
named("host")
