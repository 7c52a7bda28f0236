"""Generated code between forbidden pages: image, result, scratch memory, tables, everything it has a pointer to.

`python -m support.guarded FIRST STEP LIST HOW` runs every STEP-th routine of the list "some" or "every" in a process
of its own. It prints each before it runs it, so that the last line names the one at which the process died. HOW is
"plain"; "stream", to write past the caches; "over" or "under", to read one pixel too far on purpose.
"""

from __future__ import annotations

import ctypes
import faulthandler
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import numpy as np

import kernelwise.algorithms.launch as launches
from kernelwise import costs, plan, run
from kernelwise.algorithms.launch import Launch
from kernelwise.errors import ArgumentError
from kernelwise.jit.target import available, named
from kernelwise.problem import normalise

from . import expect, oracle
from .fences import Fenced, Padded

MOST_BYTES = 1 << 22
WHOLE = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8")
REALS = ("f4", "f8")
COMPLEX = ("c8", "c16")
EVERY_RESULT = (*WHOLE, *REALS)
UNEVEN = np.array([[3, -1, 2], [0, 5, -4], [1, 2, 7]])
RNG = np.random.default_rng(5)
FORMS = {  # one kernel for each way a body is written
    "baked": (UNEVEN, "direct"),
    "baked, planes": (np.stack([UNEVEN, UNEVEN.T[::-1]]), "direct"),
    "baked, one row": (np.array([[2, 0, -3, 1, 5]]), "direct"),
    "table": (RNG.integers(-3, 4, (7, 9)), "direct"),
    "table, planes": (RNG.integers(-3, 4, (3, 5, 5)), "direct"),
    "tall": (RNG.integers(-3, 4, (19, 3)), "direct"),
    "long": (RNG.integers(-3, 4, (1, 131)), "direct"),
    "product": (np.outer([1, 3, 2, 1], [2, 0, 1, 5, 1]), "separable"),
    "mirrored product": (np.outer([1, 2, 1], [1, 4, 6, 4, 1]), "separable"),
    "product, planes": (np.multiply.outer([1, 2, 3], np.outer([1, -1], [1, 2, 1])), "separable"),
}


@dataclass(frozen=True)
class Guard:
    """A routine to be run, over several shapes, on both sides."""

    form: str
    image: str
    real_kernel: bool
    result: str | None
    target: str

    @property
    def name(self) -> str:
        kernel = "real" if self.real_kernel else "whole"
        return (
            f"{self.target}, {self.form}: {self.image} and {kernel} weights into {self.result or 'the natural dtype'}"
        )


def guards(every: bool) -> list[Guard]:
    """Every form, pair of dtypes and target; into the natural dtype, and into all others. In the short list, the best
    target has every form and pair, the rest share them in turns, and every other dtype is there once."""
    made, turn = [], 0
    triples = [(image, real) for image in (*WHOLE, *REALS, *COMPLEX) for real in (False, True)]
    for number, (image, real) in enumerate(triples):
        for (i, form), (j, target) in product(enumerate(FORMS), enumerate(available())):
            if every or j == 0 or (number + number // 2 + i + j) % 2 == 0:
                made.append(Guard(form, image, real, None, target))
        for result in COMPLEX if image in COMPLEX else EVERY_RESULT:
            some = [(form, target) for form in FORMS for target in available()]
            turn += 7
            chosen = some if every else [some[turn % len(some)]]
            made += [Guard(form, image, real, result, target) for form, target in chosen]
    return made


# ---------------------------------------------------------------- running one


@cache
def room(role: str) -> Fenced:
    return Fenced(MOST_BYTES)


def shapes(guard: Guard, number: int, turns: int, stream: bool) -> Iterator[tuple[tuple[int, ...], dict[str, Any]]]:
    """Image shapes around multiples of the vectors, with a border and steps for each."""
    rng = np.random.default_rng([number, turns])
    kernel, _ = FORMS[guard.form]
    lanes = named(guard.target).vector_bytes // 4
    for turn in range(turns):
        near = int(rng.choice([0, lanes, 2 * lanes, 8 * lanes, 16 * lanes, 33 * lanes])) + (800 if stream else 0)
        shape = [int(rng.integers(1, 12 if kernel.ndim < 3 else 6)) for _ in range(kernel.ndim)]
        shape[-1] = max(1, near + int(rng.integers(-3, 4)) + int(rng.choice([0, kernel.shape[-1]])))
        options: dict[str, Any] = {
            "mode": ("same", "valid", "full")[turn % 3],
            "border": str(rng.choice(["constant", "edge", "reflect", "symmetric", "wrap"])),
        }
        if rng.random() < 0.3 and not stream:
            steps = [int(rng.choice([1, 2, 3])) for _ in range(kernel.ndim)]
            options["stride" if rng.random() < 0.5 else "dilation"] = tuple(steps)
        if rng.random() < 0.25:
            channels = int(rng.integers(2, 5))
            shape, options["axes"] = [*shape, channels], tuple(range(kernel.ndim))
        yield tuple(shape), options


def try_out(guard: Guard, number: int, turns: int, stream: bool) -> int:
    """Run a routine over its shapes; returns how many. Raises AssertionError at a wrong number or a spoilt canary."""
    done = 0
    for turn, (shape, options) in enumerate(shapes(guard, number, turns, stream)):
        rng = np.random.default_rng([number, turn])
        for at_end in (True, False):
            done += _run(guard, shape, options, at_end, stream, rng)
    return done


def _run(
    guard: Guard, shape: tuple[int, ...], options: dict, at_end: bool, stream: bool, rng: np.random.Generator
) -> bool:
    kernel, method = FORMS[guard.form]
    kernel = kernel.astype("f8" if guard.real_kernel else "i8")
    values = rng.integers(0 if guard.image[0] == "u" else -30, 31, shape).astype(guard.image)
    if guard.image in COMPLEX:
        values += 1j * rng.integers(-30, 31, shape)
    problem = normalise(
        shape, values.dtype, kernel, flip=False, fill=0, anchor=None, nan="propagate", dtype=guard.result, largest=31,
        **{"stride": 1, "dilation": 1, "axes": None, **options},
    )  # fmt: skip
    if 0 in problem.result_shape:
        return False
    try:
        chosen = plan.choose(problem, method, target=named(guard.target))
    except ArgumentError:
        return False
    rows = len(shape) - (3 if "axes" in options else 2)
    more = int(rng.integers(0, 4))
    x = Padded(room("image"), shape, values.dtype, rows, more, at_end)
    x.array[...] = values
    x.room.seal()
    if stream:  # rows that begin at whole lines of the cache
        row_bytes = problem.result.itemsize * int(np.prod(problem.result_shape[rows + 1 :]))
        more = -row_bytes % 64 // problem.result.itemsize
    out = Padded(room("result"), problem.result_shape, problem.result, rows, more, at_end)
    placed = run.place_directly(chosen, x.array, out.array)
    assert placed is not None, "the array can be walked as it lies"
    code, made = run.prepare(chosen.parts[0], chosen, placed, out.array.nbytes)
    step = made.args[launches.walk.FIELDS.index("stream_step")]
    assert bool(step) == stream, "streamed or not as asked"
    walk_over(code.walk, made, x.array, out.array, placed.offsets, at_end)
    assert out.untouched(), f"bytes beside the rows of the result were written to: {shape}, {options}"
    work = np.int64 if guard.image in WHOLE and not guard.real_kernel else np.result_type(values, np.float64)
    wanted = oracle.correlate(values, kernel, work=work, **options)
    assert np.array_equal(out.array, expect.converted(wanted, problem.result)), f"wrong: {shape}, {options}"
    return True


def walk_over(walk: int, made: Launch, x: np.ndarray, out: np.ndarray, offsets: Any, at_end: bool) -> None:
    """All units, one by one; what the arguments point to is moved between forbidden pages first, and sealed."""
    args = made.args.copy()
    for i, array in enumerate(made.keep):
        block = room(f"kept {i}")
        copy = block.place(array.nbytes, at_end)
        copy[...] = array.reshape(-1).view(np.uint8)
        args[args == array.ctypes.data] = copy.ctypes.data
        block.seal()
    scratch = room("scratch").place(made.scratch, at_end)
    assert scratch.ctypes.data % 64 == 0
    scratch[...] = 0xFF  # a NaN in every dtype
    given = room("args")
    place = given.place(args.nbytes, at_end)
    routine = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(walk)
    for image_offset, result_offset in offsets:
        args[0], args[1] = x.ctypes.data + image_offset, out.ctypes.data + result_offset
        place[...] = args.view(np.uint8)
        for unit in range(made.units):
            routine(place.ctypes.data, scratch.ctypes.data, unit)
    assert room("scratch").untouched(scratch), "bytes beside the scratch memory were written to"


# ---------------------------------------------------------------- a process of its own


TURNS = {"some": 3, "every": 12}


def main(first: int, step: int, which: str, how: str) -> None:
    faulthandler.disable()
    if how == "stream":
        costs.stream_bytes = lambda rows: 1
    elif how != "plain":
        _plant(how)
    done = 0
    for number, guard in list(enumerate(guards(which == "every")))[first::step]:
        print(f"{number} {guard.name}", flush=True)
        done += try_out(guard, number, TURNS[which], how == "stream")
    print(f"done {done}")


def _plant(fault: str) -> None:
    """Let the interior of the image begin or end one column too far out."""
    right = run.launch

    def wrong(*given: Any) -> Launch:
        made = right(*given)
        place = launches.walk.FIELDS.index({"over": "inner_stop", "under": "inner_start"}[fault])
        made.args[place] += {"over": 1, "under": -1}[fault]
        return made

    run.launch = wrong


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:5])
