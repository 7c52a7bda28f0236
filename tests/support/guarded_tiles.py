"""Transforms between forbidden pages: image, result, flags, scratch memory, tables, and the kernel's spectrum.

`python -m support.guarded_tiles FIRST STEP HOW` runs every STEP-th guard in a process of its own and prints each before
it runs it. HOW is "plain"; "over" or "under", to read or write one pixel too far on purpose.
"""

from __future__ import annotations

import ctypes
import faulthandler
import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

import kernelwise.algorithms.fourier.launch as launches
from kernelwise import plan, run
from kernelwise.algorithms.fourier.record import FIELDS
from kernelwise.algorithms.launch import Launch, Sheet
from kernelwise.errors import ArgumentError
from kernelwise.jit.target import available, named
from kernelwise.problem import normalise

from . import oracle, tiled
from .fences import Padded
from .guarded import room

FORMS = {  # taps, tile, whether the image may have one axis less
    "square": ((5, 7), (32, 32)),
    "tall": ((11, 3), (64, 32)),
    "wide, threes": ((4, 9), (32, 96)),
    "lines": ((1, 60), (32, 32)),
    "planes": ((3, 4, 5), (32, 32)),
}
IMAGES = ("f4", "f8", "u1", "i2", "i4", "c8")
RESULTS = {"f4": ("f8", "u1"), "f8": ("f4", "i8"), "u1": ("u1", "f8"), "i2": ("i2",), "i4": ("u1",), "c8": ("c16",)}
ALIASED = launches.ALIASED
TURNS = 3


@dataclass(frozen=True)
class Guard:
    """A routine to be run, over several shapes, on both sides."""

    form: str
    image: str
    result: str | None
    whole: bool  # integer weights
    target: str

    @property
    def name(self) -> str:
        weights = "whole" if self.whole else "real"
        return f"{self.target}, {self.form}: {self.image} and {weights} weights into {self.result or 'its own dtype'}"


def guards() -> list[Guard]:
    """Every form, image and target into the natural dtype; into others in turn."""
    made = []
    for number, (form, image, target) in enumerate(itertools.product(FORMS, IMAGES, available())):
        made.append(Guard(form, image, None, False, target))
        others = RESULTS[image]
        made.append(Guard(form, image, others[number % len(others)], False, target))
        if image in ("u1", "i2"):
            made.append(Guard(form, image, None, True, target))
    return made


def shapes(guard: Guard, number: int) -> Iterator[tuple[tuple[int, ...], dict[str, Any]]]:
    """Images of a part of a tile, of one, and of some more, with every remainder of a vector."""
    taps, tile = FORMS[guard.form]
    lanes = named(guard.target).vector_bytes // 4
    for turn in range(TURNS):
        rng = np.random.default_rng([number, turn])
        step = tile[0] * tile[1] - taps[-1] + 1 if guard.form == "lines" else tile[1] - taps[-1] + 1
        width = int(rng.choice([0, 1, 2])) * step + int(rng.integers(1, 2 * lanes + 1))
        shape = [int(rng.integers(1, 5)) for _ in taps]
        shape[-2:] = [int(rng.integers(1, 4 if guard.form == "lines" else 2 * tile[0])), width]
        options: dict[str, Any] = {
            "mode": ("same", "valid", "full")[(turn + number) % 3],
            "border": str(rng.choice(["constant", "edge", "reflect", "symmetric", "wrap"])),
        }
        if rng.random() < 0.25:
            options["dilation"] = tuple(int(rng.integers(1, 3)) for _ in taps)
        if rng.random() < 0.25:
            shape[-1] = -(-shape[-1] // 3)
            shape, options["axes"] = [*shape, 2], tuple(range(len(taps)))
        yield tuple(shape), options


def try_out(guard: Guard, number: int) -> int:
    """Run a routine over its shapes; returns how many. Raises AssertionError at a wrong number or a spoilt canary."""
    done = 0
    for turn, (shape, options) in enumerate(shapes(guard, number)):
        for at_end in (True, False):
            rng = np.random.default_rng([number, turn, 1])
            done += _run(guard, shape, options, at_end, rng)
    return done


def _run(guard: Guard, shape: tuple[int, ...], options: dict, at_end: bool, rng: np.random.Generator) -> bool:
    taps, _ = FORMS[guard.form]
    kernel = rng.integers(-3, 4, taps) if guard.whole else rng.standard_normal(taps)
    values = tiled.pixels(rng, shape, guard.image)
    if values.dtype.kind in "fc" and rng.random() < 0.5:
        values.reshape(-1)[int(rng.integers(values.size))] = rng.choice([np.nan, 1e25])
    problem = normalise(
        shape, values.dtype, kernel, flip=False, fill=0, anchor=None, nan="propagate", dtype=guard.result, largest=1000,
        **{"stride": 1, "dilation": 1, "axes": None, **options},
    )  # fmt: skip
    if 0 in problem.result_shape:
        return False
    rows = len(shape) - (3 if "axes" in options else 2)
    row_bytes = values.itemsize * int(np.prod(shape[rows + 1 :]))
    more = int(rng.choice([0, 3, -row_bytes % ALIASED // values.itemsize]))
    x = Padded(room("image"), shape, values.dtype, rows, more, at_end)
    x.array[...] = values
    x.room.seal()
    out = Padded(room("result"), problem.result_shape, problem.result, rows, int(rng.integers(0, 4)), at_end)
    out.array[...] = 77
    try:
        chosen = plan.choose(problem, tiled.METHOD, target=named(guard.target))
    except ArgumentError as error:
        assert "far" in str(error)
        return False
    with guarded_spectra(at_end):
        placed = run.place_directly(chosen, x.array, out.array)
        assert placed is not None, "the array can be walked as it lies"
        code, made = run.prepare(chosen.parts[0], chosen, placed, out.array.nbytes)
    flags = walk_over(code.walk, made, x.array, out.array, placed.offsets, at_end)
    assert out.untouched(), f"bytes beside the rows of the result were written to: {shape}, {options}"
    _compare(chosen, values, kernel, options, out.array, flags)
    return True


def _compare(chosen: Any, x: np.ndarray, k: np.ndarray, options: dict, got: np.ndarray, flags: np.ndarray) -> None:
    """What is not flagged is within the bound; what is flagged was left as it was."""
    left = got == np.asarray(77, got.dtype)
    wild = ~np.isfinite(x) | (np.abs(x) > 1e20)
    assert wild.any() <= flags.any()
    if flags.any():
        seen = oracle.correlate(wild.astype(float), np.ones(k.shape), **options) > 0
        assert left[seen].all(), "no output that sees a wild pixel was written"
    else:
        left[...] = False
    size = tiled.largest(np.where(wild, 0, x))
    wanted = oracle.correlate(np.where(wild, 0, x), k, **options)
    if got.dtype.kind in "iu":
        wanted = np.clip(wanted, np.iinfo(got.dtype).min, np.iinfo(got.dtype).max)
    error = np.abs(got.astype(wanted.dtype) - wanted)[~left].max(initial=0.0)
    assert error <= tiled.allowed(chosen, size), f"wrong by {error}: {x.shape}, {options}"


def walk_over(walk: int, made: Launch, x: np.ndarray, out: np.ndarray, offsets: Any, at_end: bool) -> np.ndarray:
    """All units, one by one, on arrays between forbidden pages; returns the flags."""
    args = made.args.copy()
    for i, array in enumerate(made.keep):
        _move(args, array, f"kept {i}", at_end).seal()
    scratch = room("scratch").place(made.scratch, at_end)
    assert scratch.ctypes.data % 64 == 0
    scratch[...] = 0xFF  # a NaN in every dtype
    offsets = list(offsets)
    flags = room("flags").place(made.flags, at_end)
    args[FIELDS.index("flags")] = flags.ctypes.data
    place = room("args").place(args.nbytes, at_end)
    found = []
    for image_offset, result_offset in offsets:
        flags[...] = 0
        args[0], args[1] = x.ctypes.data + image_offset, out.ctypes.data + result_offset
        place[...] = args.view(np.uint8)
        _start(walk, place, scratch, made.units)
        found.append(flags.copy())
    assert room("scratch").untouched(scratch), "bytes beside the scratch memory were written to"
    assert room("flags").untouched(flags), "bytes beside the flags were written to"
    return np.array(found)


def _move(args: np.ndarray, array: np.ndarray, role: str, at_end: bool) -> Any:
    """A copy of an array between forbidden pages, and every pointer to it in ``args`` along with it."""
    block = room(role)
    copy = block.place(array.nbytes, at_end)
    copy[...] = array.reshape(-1).view(np.uint8)
    args[args == array.ctypes.data] = copy.ctypes.data
    return block


def _start(address: int, args: np.ndarray, scratch: np.ndarray, units: int) -> None:
    routine = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(address)
    for unit in range(units):
        routine(args.ctypes.data, scratch.ctypes.data, unit)


class guarded_spectra:
    """Within, the kernel is transformed between forbidden pages too."""

    def __init__(self, at_end: bool) -> None:
        self.at_end, self.sheets = at_end, []  # type: ignore[var-annotated]

    def __enter__(self) -> None:
        launches.forget()
        self.before = launches.Sheet, launches.pool

        def sheet(fields: tuple[str, ...]) -> Sheet:
            self.sheets.append(Sheet(fields))
            return self.sheets[-1]

        launches.Sheet, launches.pool = sheet, self  # type: ignore[misc, assignment]

    def __exit__(self, *_: object) -> None:
        launches.Sheet, launches.pool = self.before  # type: ignore[misc]

    def run(self, routine: int, given: int, scratch_bytes: int, units: int, threads: int) -> None:
        """In place of pool.run."""
        sheet = self.sheets[-1]
        args, spectrum = sheet.args(), FIELDS.index("spectrum")
        (made,) = (array for array in sheet.keep if array.ctypes.data == args[spectrum])
        for i, array in enumerate(sheet.keep):
            block = _move(args, array, f"kernel {i}", self.at_end)
            if array is made:
                written = block
            else:
                block.seal()
        scratch = room("scratch").place(scratch_bytes, self.at_end)
        scratch[...] = 0xFF
        place = room("args").place(args.nbytes, self.at_end)
        place[...] = args.view(np.uint8)
        _start(routine, place, scratch, units)
        copy = written.bytes[written._used]
        assert written.untouched(copy) and room("scratch").untouched(scratch), "written beside the spectrum"
        made.reshape(-1).view(np.uint8)[...] = copy


def _plant(fault: str) -> None:
    """Let the image, or the result, begin or end one column too far out."""
    right = launches.launch

    def wrong(*given: Any) -> Launch:
        made = right(*given)
        made.args[FIELDS.index({"over": "inside_stop", "under": "columns_out"}[fault])] += 9
        return made

    launches.launch = wrong


def main(first: int, step: int, how: str) -> None:
    faulthandler.disable()
    if how != "plain":
        _plant(how)
    done = 0
    by_form: dict[str, list[tuple[int, Guard]]] = {}
    for number, guard in list(enumerate(guards()))[first::step]:
        by_form.setdefault(guard.form, []).append((number, guard))
    for form, some in by_form.items():
        with tiled.tiles(*FORMS[form][1]):
            for number, guard in some:
                print(f"{number} {guard.name}", flush=True)
                done += try_out(guard, number)
    print(f"done {done}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
