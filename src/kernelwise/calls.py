"""A plan made ready to be called again and again on plain arrays of one shape and dtype."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable

import numpy as np

from .jit import entry
from .lazy import lazy
from .plan import Plan
from .run import place_plain, prepare, run, start

BUILTIN_SECONDS = 60e-6  # jobs below run on one thread, straight from a builtin that checks the arrays itself
RELEASE_SECONDS = 4e-6  # jobs above let other Python threads run meanwhile

MOST_HELD = 32 << 20  # bytes of tables and spectra that calls hold ready, together

Bound = Callable[[np.ndarray, np.ndarray], "np.ndarray | None"]


class Call:
    """Runs one plan. Plain C-contiguous arrays take the short way; any others go through run()."""

    def __init__(self, plan: Plan, threads: int | None) -> None:
        problem = plan.problem
        self.plan, self.threads = plan, threads
        self.shape, self.dtype = problem.shape, problem.image
        self.result_shape, self.result = problem.result_shape, problem.result

    @lazy
    def bound(self) -> Bound:
        """(x, out) -> out for plain arrays; None, with nothing done, for any others."""
        ready = self._ready
        if ready is None:
            return lambda x, out: None
        _, (code, made) = ready
        if self.plan.seconds >= BUILTIN_SECONDS or made.flags:
            return self._start
        return entry.bind(
            routine=code.walk,
            args=made.args,
            scratch_bytes=made.scratch,
            units=made.units,
            x_shape=self.shape,
            x_dtype=self.dtype,
            out_shape=self.result_shape,
            out_dtype=self.result,
            threads=1,
            release=self.plan.seconds >= RELEASE_SECONDS,
            keep=ready,
        )

    def __call__(self, x: np.ndarray, out: np.ndarray | None) -> np.ndarray:
        """``x`` and ``out`` are checked for this plan already."""
        if out is None:
            out = np.empty(self.result_shape, self.result)
        done = self.bound(x, out)
        if done is None:
            done = self._start(x, out)
        return run(self.plan, x, out, self.threads) if done is None else done

    @lazy
    def _ready(self):  # type: ignore[no-untyped-def]
        """Routine and launch for C-contiguous arrays, if generated code can walk them in one go."""
        if 0 in self.result_shape or 0 in self.shape:
            return None
        placed = place_plain(self.plan)
        if placed is None or placed.runs:
            return None
        size = math.prod(self.result_shape) * self.result.itemsize
        ready = prepare(self.plan.parts[0], self.plan, placed, size)
        _hold(self, sum(array.nbytes for array in ready[1].keep))
        return placed, ready

    def _start(self, x: np.ndarray, out: np.ndarray) -> np.ndarray | None:
        """The same as `bound`, looked at in Python."""
        if self._ready is None:
            return None
        if not (self._plain(x, self.shape, self.dtype) and self._plain(out, self.result_shape, self.result)):
            return None
        if not out.flags.writeable or np.may_share_memory(x, out):
            return None
        placed, ready = self._ready
        start(self.plan.parts[0], self.plan, placed, ready, x, out, self.threads)
        return out

    @staticmethod
    def _plain(array: np.ndarray, shape: tuple[int, ...], dtype: np.dtype) -> bool:
        flags = array.flags
        return (
            type(array) is np.ndarray
            and array.shape == shape
            and array.dtype == dtype
            and array.dtype.isnative
            and flags.c_contiguous
            and flags.aligned
        )


_held: OrderedDict[Call, int] = OrderedDict()


def _hold(call: Call, size: int) -> None:
    """Note what a call holds ready; the oldest let go of theirs where all together hold too much."""
    _held[call] = size
    while len(_held) > 1 and sum(list(_held.values())) > MOST_HELD:
        try:
            oldest, _ = _held.popitem(last=False)
        except KeyError:  # another thread was faster
            break
        for name in ("_ready", "bound"):
            oldest.__dict__.pop(name, None)


def forget() -> None:
    """Drop the note of what calls hold."""
    _held.clear()
