"""Canny's passes between forbidden pages: pixels, what is known, lists, planes of bits, scratch memory, result.

`python -m support.guarded_canny FIRST STEP HOW` runs every STEP-th specification in a process of its own. It prints
each before it runs it, so that the last line names the one at which the process died. HOW is "plain"; "over" or
"under", to read a column too far on purpose.
"""

from __future__ import annotations

import ctypes
import faulthandler
import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np

from kernelwise.algorithms.canny import launch as canny_launch
from kernelwise.algorithms.canny import tiles
from kernelwise.algorithms.canny.launch import Bits, Field, edges, magnitudes, sample
from kernelwise.algorithms.canny.spec import EdgeSpec, lanes
from kernelwise.algorithms.numbers import Number
from kernelwise.jit import pool
from kernelwise.jit.target import available, named

from .fences import Fenced, Padded

MOST_BYTES = 1 << 21
STORED = {"i2": ("u1",), "f4": ("u1", "i1", "u2", "i2", "f4"), "f8": ("f8",)}
TALLER = [(62, 9), (63, 70), (64, 5), (125, 33), (130, 64)]
WIDER = [(3, 2047), (5, 2048), (4, 2049), (65, 2080), (2, 4097), (63, 2113)]


@cache
def room(role: str) -> Fenced:
    return Fenced(MOST_BYTES)


def specifications() -> list[tuple[EdgeSpec, str]]:
    """Every pair of dtypes, norm, source and number of channels, with and without a mask, on every target."""
    made = []
    for name in available():
        for work, images in STORED.items():
            number = Number(work)
            width = lanes(number, named(name))
            for norm, masked in (("l1", False), ("l2", True), ("l2", False)):
                masked = masked and number.is_float
                for image in images:
                    channels = 3 if image in ("u1", "f4") and norm == "l2" else 1
                    made.append((EdgeSpec(Number(image), number, norm, (1, 2), channels, masked, width), name))
                made.append((EdgeSpec(number, number, norm, None, 1, masked, width), name))
    return list(dict.fromkeys(made))


def shapes(spec: EdgeSpec, rng: np.random.Generator) -> Iterator[tuple[int, int]]:
    """Around multiples of what is worked on at once; of several tiles."""
    for times in (0, 1, 2, 3, 8):
        yield int(rng.integers(1, 12)), max(1, times * spec.lanes + int(rng.integers(-2, 3)))
    yield TALLER[int(rng.integers(len(TALLER)))]
    yield WIDER[int(rng.integers(len(WIDER)))]


class Fences:
    """Everything that one call touches, placed at one side of its room."""

    def __init__(self, at_end: bool) -> None:
        self.at_end, self.places, self.count = at_end, [], 0

    def place(self, size: int) -> np.ndarray:
        """``size`` bytes between forbidden pages."""
        self.count += 1
        block = room(f"work {self.count}")
        place = block.place(size, self.at_end)
        self.places.append((block, place))
        return place

    def copy(self, array: np.ndarray) -> np.ndarray:
        """The array, moved there, C-contiguous."""
        place = self.place(array.nbytes)
        place[...] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        return place.view(array.dtype).reshape(array.shape)

    def empty(self, shape: Any, dtype: Any) -> np.ndarray:
        """Full of ones: no zeros by chance."""
        place = self.place(int(np.prod(shape)) * np.dtype(dtype).itemsize)
        place[...] = 0xFF
        return place.view(dtype).reshape(shape)

    def zeros(self, shape: Any, dtype: Any) -> np.ndarray:
        array = self.empty(shape, dtype)
        array[...] = 0
        return array

    def full(self, shape: Any, value: Any, dtype: Any) -> np.ndarray:
        array = self.empty(shape, dtype)
        array[...] = value
        return array

    def untouched(self) -> bool:
        """Whether nothing was written beside what was placed."""
        return all(block.untouched(place) for block, place in self.places)


class Numpy:
    """NumPy whose new arrays lie between fences."""

    def __init__(self, fences: Fences) -> None:
        self.empty, self.zeros, self.full = fences.empty, fences.zeros, fences.full

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


def run_in_turn(fences: Fences, routine: int, args: int, scratch_bytes: int, units: int, threads: int) -> None:
    """What the pool does, in one thread, with fenced scratch memory."""
    scratch = fences.place(max(64, -(-scratch_bytes // 64) * 64))
    assert scratch.ctypes.data % 64 == 0
    scratch[...] = 0xFF
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(routine)
    for unit in range(units):
        call(args, scratch.ctypes.data, unit)


def fenced(fences: Fences, work: Callable[[], np.ndarray], fault: int = 0) -> np.ndarray:
    """Do the work with every array of the passes between fences."""
    field_arguments, bit_arguments = Field.arguments, Bits.arguments

    def of_field(field: Field, **more: int) -> tuple[np.ndarray, np.ndarray]:
        args, sources = field_arguments(field, **more)
        sources = fences.copy(sources + fault * field.planes[0].itemsize)
        args[tiles.FIELDS.index("sources")] = sources.ctypes.data
        return fences.copy(args), sources

    replaced = [
        (Field, "arguments", of_field),
        (Bits, "arguments", lambda bits, **more: fences.copy(bit_arguments(bits, **more))),
        (canny_launch, "np", Numpy(fences)),
        (pool, "run", lambda *given: run_in_turn(fences, *given)),
    ]
    before = [getattr(owner, name) for owner, name, _ in replaced]
    try:
        for owner, name, new in replaced:
            setattr(owner, name, new)
        return work()
    finally:
        for (owner, name, _), old in zip(replaced, before, strict=True):
            setattr(owner, name, old)


def try_out(spec: EdgeSpec, target: str, number: int, fault: int) -> int:
    """Returns how many pictures were done. Raises AssertionError at a wrong pixel or a spoilt canary."""
    canny_launch.current_target = lambda: named(target)
    done = 0
    for turn, shape in enumerate(shapes(spec, np.random.default_rng(number))):
        for at_end in (True, False):
            _one(spec, shape, at_end, np.random.default_rng([number, turn]), fault)
            done += 1
    return done


def _one(spec: EdgeSpec, shape: tuple[int, int], at_end: bool, rng: np.random.Generator, fault: int) -> None:
    given = spec.smooth is None
    stored = np.dtype(spec.stored.code)
    padded = (shape[0], -(-shape[1] // 64) * 64)
    low = 0 if spec.stored.code[0] == "u" else -100
    planes = [
        rng.integers(low, 101, padded if given else shape).astype(stored) for _ in range(2 if given else spec.channels)
    ]
    known = (rng.random(padded) > 0.02).astype(np.uint8) if spec.masked else None
    outside = tuple(int(v) for n in shape for v in rng.integers(0, n, 2))
    limits = (10000, 30000) if spec.exact and spec.norm == "l2" else (100, 250)
    plain = Field([plane[:, : shape[1]] for plane in planes], outside, known)
    wanted = edges(spec, plain, *limits, np.empty(shape, np.uint8), 7, 1)
    sizes = magnitudes(spec, plain, 1)

    fences = Fences(at_end)
    more = 0 if given else int(rng.integers(0, 4))
    moved = []
    for c, plane in enumerate(planes):
        source = Padded(room(f"plane {c}"), plane.shape, stored, 0, 0, at_end)
        if not given and more and spec.channels == 1:
            source = Padded(room(f"plane {c}"), plane.shape, stored, 0, more, at_end)
        source.array[...] = plane
        source.room.seal()
        moved.append(source.array[:, : shape[1]])
    field = Field(moved, outside, None if known is None else fences.copy(known))
    out = Padded(room("result"), shape, np.dtype(np.uint8), 0, int(rng.integers(0, 4)), at_end)
    found = fenced(fences, lambda: edges(spec, field, *limits, out.array, 7, 1), fault)
    assert fault or np.array_equal(found, wanted), f"wrong edges: {shape}"
    assert out.untouched() and fences.untouched(), f"bytes beside an array were written to: {shape}"
    most = max(1, shape[0] * shape[1] // 3)
    for measured, work in (
        (sizes, lambda field: magnitudes(spec, field, 1)),
        (sample(spec, plain, most, 1), lambda field: sample(spec, field, most, 1)),
    ):
        fences = Fences(at_end)
        field = Field(moved, outside, None if known is None else fences.copy(known))
        found = fenced(fences, partial(work, field), fault)
        assert fault or np.array_equal(found, measured), f"wrong magnitudes: {shape}"
        assert fences.untouched(), f"bytes beside an array were written to: {shape}"


def main(first: int, step: int, how: str) -> None:
    faulthandler.disable()
    fault = {"plain": 0, "over": 1, "under": -1}[how]
    done = 0
    for number, (spec, target) in list(enumerate(specifications()))[first::step]:
        print(f"{number} {target}, {spec}", flush=True)
        done += try_out(spec, target, number, fault)
    print(f"done {done}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
