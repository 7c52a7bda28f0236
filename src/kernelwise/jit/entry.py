"""The fast way in: a routine bound to one shape of arrays, callable at the price of a C function.

`bind` returns a callable ``apply(x, out)``. It looks at the two arrays, and if they are exactly what it was made for it
runs the routine and returns ``out``; else it returns None and has done nothing, and the caller takes the slow way.

In CPython `apply` is a builtin function whose body is generated here. It reads the fields of the array objects
directly. Where those fields lie is worked out from the size of an object's head and checked on arrays with known
fields; where that fails, or Python is not CPython, the same looks are taken in Python and the call goes through ctypes.
"""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np

from ..errors import ArgumentError, EngineError
from . import pool
from .entry_code import BINDING, MAX_ARGS, STEP
from .layout import ALIGNED, CONTIGUOUS, WRITEABLE, address, fields
from .records import MAX_PARTICIPANTS

Apply = Callable[[Any, Any], "np.ndarray | None"]

METH_FASTCALL = 0x80


def bind(
    *,
    routine: int,
    args: np.ndarray,
    scratch_bytes: int,
    units: int,
    x_shape: tuple[int, ...],
    x_dtype: np.dtype,
    out_shape: tuple[int, ...],
    out_dtype: np.dtype,
    threads: int,
    release: bool,
    keep: object,
) -> Apply:
    """``apply(x, out)``: run a routine on these two arrays if they fit, else return None and do nothing.

    They fit if both are plain ndarrays (no subclass) of the given shapes and native dtypes, C-contiguous and aligned,
    `out` writable, and no byte of one is a byte of the other. ``args`` are at most MAX_ARGS words of int64; each call
    gets a copy of them whose first two are the addresses of the data of ``x`` and ``out``. ``routine``, ``units``,
    ``scratch_bytes`` and ``threads`` are those of `pool.run`, and so is what a call may raise. ``release`` lets other
    Python threads run meanwhile, which is worth its 50 ns only for longer jobs. ``keep`` is whatever must live as long
    as the callable, above all the routine's code.
    """
    if args.dtype != np.int64 or args.ndim != 1 or not 2 <= args.size <= MAX_ARGS:
        raise ArgumentError(f"`args` must be 2 to {MAX_ARGS} words of int64 (got {args.dtype} {args.shape})")
    x = Wanted(tuple(x_shape), np.dtype(x_dtype), CONTIGUOUS | ALIGNED)
    out = Wanted(tuple(out_shape), np.dtype(out_dtype), CONTIGUOUS | ALIGNED | WRITEABLE)
    work = Work(routine, args.copy(), scratch_bytes, units, threads)
    make = _builtin if implementation() == "builtin" else _closure
    return make(work, x, out, release, keep)


def implementation() -> str:
    """'builtin' or 'ctypes': what `bind` makes. KERNELWISE_ENTRY=ctypes asks for the second."""
    asked = os.environ.get("KERNELWISE_ENTRY") or "builtin"
    if asked not in ("builtin", "ctypes"):
        raise ArgumentError(f"`KERNELWISE_ENTRY` must be 'builtin' or 'ctypes' (got {asked!r})")
    return "builtin" if asked == "builtin" and fields() is not None else "ctypes"


@dataclass(frozen=True, eq=False)
class Wanted:
    """What an array must be."""

    shape: tuple[int, ...]
    dtype: np.dtype
    flags: int

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def words(self) -> list[int]:
        return [id(self.dtype), self.flags, self.bytes, len(self.shape), *self.shape]  # WANTED and the shape

    def fits(self, array: Any) -> bool:
        return (
            type(array) is np.ndarray
            and array.dtype is self.dtype
            and array.shape == self.shape
            and array.flags.num & self.flags == self.flags
        )


@dataclass(frozen=True, eq=False)
class Work:
    """What is to be run."""

    routine: int
    args: np.ndarray
    scratch_bytes: int
    units: int
    threads: int


# ---- through ctypes


def _closure(work: Work, x_wanted: Wanted, out_wanted: Wanted, release: bool, keep: object) -> Apply:
    """ctypes lets other Python threads run in any case: ``release`` has no effect here."""

    def apply(x: Any, out: Any, /) -> np.ndarray | None:
        if not (x_wanted.fits(x) and out_wanted.fits(out)):
            return None
        x_start, out_start = address(x), address(out)
        if x_start < out_start + out_wanted.bytes and out_start < x_start + x_wanted.bytes:
            return None
        args = words.from_buffer_copy(work.args.data)
        args[0], args[1] = x_start, out_start
        pool.run(work.routine, ctypes.addressof(args), work.scratch_bytes, work.units, work.threads)
        return out

    words = ctypes.c_int64 * work.args.size
    apply.keep = keep  # type: ignore[attr-defined]
    return apply


# ---- as a builtin


class Binding(np.ndarray):
    """The words of BINDING, for the builtin to read, and what they point to, kept alive beside them."""

    keep: object


class _MethodDef(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


def _builtin(work: Work, x: Wanted, out: Wanted, release: bool, keep: object) -> Apply:
    engine, participants = pool.engine(), max(1, min(work.threads, work.units, MAX_PARTICIPANTS))
    args = np.zeros(-(-work.args.size // STEP) * STEP, np.int64)
    args[: work.args.size] = work.args
    grow = partial(engine.prepare, participants)
    binding = np.zeros(len(BINDING) + len(x.words) + len(out.words), np.int64).view(Binding)
    x_place = address(binding) + 8 * len(BINDING)
    values = {
        "routine": work.routine,
        "args": address(args),
        "scratch_bytes": work.scratch_bytes,
        "units": work.units,
        "participants": participants,
        "run": engine.run_address,
        "pool": engine.block,
        "workers": engine.field("workers"),
        "limit": engine.field("limit"),
        "grow": id(grow),
        "release": release,
        "words": args.size,
        "ndarray": id(np.ndarray),
        "none": id(None),
        "x": x_place,
        "out": x_place + 8 * len(x.words),
    }
    binding[:] = [*(values[name] for name in BINDING), *x.words, *out.words]
    binding.flags.writeable = False
    binding.keep = (engine, args, grow, x, out, keep)
    new = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
    return new(("PyCFunction_NewEx", ctypes.pythonapi))(ctypes.addressof(_method()), binding, None)


@lru_cache(maxsize=1)
def _method() -> _MethodDef:
    """The one definition behind all the builtins; they differ in their binding, which is their `self`."""
    place = pool.engine().apply_address
    if not place:
        raise EngineError("the fields of array objects are not known")
    made = _MethodDef(b"apply", place, METH_FASTCALL, b"apply(x, out, /)\n--\n\nRun a routine.")
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(made))  # a builtin may be called to the end of the process
    return made
