"""The gradient's routines between forbidden pages: image, every result, scratch memory and tables.

`python -m support.guarded_gradient FIRST STEP HOW` runs every STEP-th routine in a process of its own and prints each
before it runs it. HOW is "plain"; "stream", to write past the caches; "over", to read one pixel too far on purpose.
"""

from __future__ import annotations

import faulthandler
import os
import sys
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

import kernelwise as kw
import kernelwise.algorithms.walk as walk
from kernelwise import costs
from kernelwise.edges.fused import OTHERS, TABLE, Pass, Ready
from kernelwise.jit.target import available, named

from . import guarded
from .fences import Padded

INNER_STOP = walk.FIELDS.index("inner_stop")
IMAGES = ("u1", "i2", "u2", "i4", "f4", "f8")
GRADIENTS: dict[str, tuple[int, dict[str, Any]]] = {  # axes, options
    "sobel, all": (2, {"above": 20.0}),
    "sobel, mask": (2, {"above": 20.0, "wanted": "mask"}),
    "roberts, l1": (2, {"operator": "roberts", "norm": "l1", "above": 9.0, "wanted": ("magnitude", "mask")}),
    "farid, bytes": (2, {"operator": "farid", "dtype": "u1", "wanted": ("gx", "magnitude")}),
    "gaussian, wide": (2, {"operator": "gaussian", "dtype": "f8", "wanted": ("magnitude", "direction")}),
    "prewitt, volume": (3, {"operator": "prewitt", "above": 9.0}),
    "central, signal": (1, {"operator": "central"}),
}
FORMS: dict[str, tuple[int, Callable[..., Any], dict[str, Any]]] = {
    **{name: (axes, kw.edges.gradient, options) for name, (axes, options) in GRADIENTS.items()},
    "crossings": (2, kw.edges.zero_crossings, {"jump": 2.0}),
}
RESULTS = ("gy", "gx", "magnitude", "direction", "mask")


class Fence:
    """Stands in for Pass._start: everything a routine is given is moved between forbidden pages first."""

    def __init__(self, at_end: bool, fault: bool) -> None:
        self.at_end, self.fault, self.done, self.streamed = at_end, fault, 0, 0

    def start(self, ready: Ready, x: np.ndarray, outs: Sequence[np.ndarray], table: np.ndarray, threads: Any) -> None:
        code, made, offsets, _ = ready
        assert offsets == ((0, 0),)
        image = Padded(guarded.room("image"), x.shape, x.dtype, 0, 0, self.at_end)
        image.array[...] = x
        image.room.seal()
        fenced = [guarded.room(f"result {j}").place(out.nbytes, self.at_end) for j, out in enumerate(outs)]
        others = np.array([(f.ctypes.data, o.itemsize) for f, o in zip(fenced, outs, strict=True)][1:] or [(0, 0)])
        args = made.args.copy()
        args[TABLE], args[OTHERS] = table.ctypes.data, others.ctypes.data
        args[INNER_STOP] += self.fault and args[INNER_STOP] > 0
        moved = made._replace(args=args, keep=(*made.keep, table, others))
        first = fenced[0].view(outs[0].dtype).reshape(outs[0].shape)
        guarded.walk_over(code.walk, moved, image.array, first, offsets, self.at_end)
        for j, (out, place) in enumerate(zip(outs, fenced, strict=True)):
            assert guarded.room(f"result {j}").untouched(place), "bytes beside a result were written to"
            out[...] = place.view(out.dtype).reshape(out.shape)
        self.done += 1
        self.streamed += int(bool(args[walk.FIELDS.index("stream_step")]))


def shapes(axes: int, lanes: int, rng: np.random.Generator, stream: bool) -> list[tuple[int, ...]]:
    """Around multiples of the vectors; rows of whole cache lines where they are to be streamed."""
    found = []
    for turn in range(4):
        width = int(rng.choice([1, 3, lanes, 2 * lanes, 5 * lanes])) + int(rng.integers(-1, 4))
        width = 64 * int(rng.integers(20, 24)) if stream else max(1, width)
        inner = [int(rng.integers(1, 5 if axes == 3 else 20)) for _ in range(axes - 1)]
        found.append((*inner, width, 3) if turn == 3 and not stream else (*inner, width))
    return found


def same(a: Any, b: Any) -> bool:
    """Whether two results, or all results of two gradients, are the same to the bit."""
    if isinstance(a, np.ndarray):
        return a.tobytes() == b.tobytes()
    return all(getattr(a, n) is None or same(getattr(a, n), getattr(b, n)) for n in RESULTS)


def try_out(number: int, form: str, image: str, target: str, how: str) -> tuple[int, int]:
    os.environ["KERNELWISE_TARGET"] = target
    axes, function, options = FORMS[form]
    rng = np.random.default_rng(number)
    right, done, streamed = Pass._start, 0, 0
    for shape in shapes(axes, named(target).vector_bytes // 2, rng, how == "stream"):
        x = rng.integers(0 if image[0] == "u" else -30, 31, shape).astype(image)
        given = dict(options)
        if function is kw.edges.gradient:
            given["border"] = str(rng.choice(["edge", "reflect", "wrap"]))
        if len(shape) > axes:
            given["axes"] = tuple(range(axes))
        wanted = function(x, threads=1, **given)
        for at_end in (False, True):
            fence = Fence(at_end, how == "over")
            Pass._start = lambda self, *args, fence=fence: fence.start(*args)  # type: ignore[method-assign]
            try:
                got = function(x, threads=1, **given)
            finally:
                Pass._start = right  # type: ignore[method-assign]
            assert same(got, wanted), f"wrong: {shape}, {given}"
            done, streamed = done + fence.done, streamed + fence.streamed
    return done, streamed


def main(first: int, step: int, how: str) -> None:
    faulthandler.disable()
    if how == "stream":
        costs.stream_bytes = lambda rows: 1  # type: ignore[assignment]
        costs.STREAM_BYTES = 1
    done = streamed = 0
    cases = [c for c in product(FORMS, IMAGES, available()) if not (c[0] == "crossings" and c[1][0] == "u")]
    for number, (form, image, target) in list(enumerate(cases))[first::step]:
        print(f"{number} {target}, {form}, {image}", flush=True)
        calls, past = try_out(number, form, image, target, how)
        done, streamed = done + calls, streamed + past
    print(f"done {done} {streamed}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
