"""Lag sums between forbidden pages: images, tables, scratch memory and the sums themselves.

`python -m support.fenced_lags METHOD TURNS` runs so many cases, "direct" or "fourier", in a process of its own and
prints each before it runs it, so that the last line names the one at which the process died. METHOD may be "fault":
transforms of images that are said to be one row longer than they are.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import sys
from functools import cache
from typing import Any

import numpy as np

from kernelwise.algorithms import direct_lags
from kernelwise.algorithms.fourier_lags import cut, launch
from kernelwise.algorithms.lag_sums import Lagged, joint_lag_sums
from kernelwise.algorithms.launch import Sheet
from kernelwise.jit.target import available

from . import lagged
from .fences import Fenced, Padded

MOST_BYTES = 1 << 24
AT_END = True


@cache
def room(role: str) -> Fenced:
    return Fenced(MOST_BYTES)


class Pool:
    """Stands in for the pool: units one by one, with fenced scratch memory."""

    units = 0

    def run(self, address: int, args: int, scratch: int, units: int, threads: int) -> None:
        place = room("scratch").place(-(-scratch // 64) * 64, AT_END)
        place[...] = 0xFF  # a NaN in every dtype
        routine = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)(address)
        for unit in range(units):
            routine(args, place.ctypes.data, unit)
        assert room("scratch").untouched(place), "bytes beside the scratch memory were written to"
        self.units += units


class Memory:
    """Stands in for NumPy where the memory of the sums is taken: zeros between forbidden pages."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def __init__(self) -> None:
        self.places: list[np.ndarray] = []

    def zeros(self, shape: tuple[int, ...]) -> np.ndarray:
        place = room(f"sums {len(self.places)}").place(8 * int(np.prod(shape)), AT_END)
        place[...] = 0
        self.places.append(place)
        return place.view(np.float64).reshape(shape)

    def check(self) -> None:
        """Nothing beside them was written to."""
        for number, place in enumerate(self.places):
            assert room(f"sums {number}").untouched(place), "bytes beside the sums were written to"
        self.places = []


class FencedSheet(Sheet):
    """Puts every table between forbidden pages; the sums are there already."""

    def point(self, name: str, array: np.ndarray) -> None:
        if name != "sums":
            block = room(name)
            place = block.place(array.nbytes, AT_END)
            place[...] = array.reshape(-1).view(np.uint8)
            array = place.view(array.dtype)
            block.seal()
        super().point(name, array)


class LongerSheet(FencedSheet):
    """Says that the images of b have a row more than they have."""

    def point(self, name: str, array: np.ndarray) -> None:
        if name == "b_table":
            array[:, launch.CHANNEL.index("rows")] += 1
        super().point(name, array)


def try_out(number: int, method: str, at_end: bool) -> int:
    """Units that were run."""
    global AT_END
    AT_END = at_end
    rng = np.random.default_rng((31, number))
    os.environ["KERNELWISE_TARGET"] = str(rng.choice(available()))
    case = lagged.draw(rng, most=90)
    sums = str(rng.choice(["f4", "f8"]))
    lengths = [int(n) for n in rng.choice(cut.LENGTHS[:3], 2)]
    print(f"{number} {os.environ['KERNELWISE_TARGET']} {sums} {lengths} {case}", flush=True)
    lagged.force(*(fitting(n, taps) for n, taps in zip(lengths, case.most, strict=True)))
    drawn, b = case.arrays(rng)
    more = int(rng.integers(0, 3))
    asked = [Lagged(fenced(f"a{k}", a, more), taps, start, centre) for k, (a, taps, start, centre) in enumerate(drawn)]
    image, stand_in, memory = fenced("b", b, more), Pool(), Memory()
    for module in (direct_lags, launch):
        module.pool, module.np = stand_in, memory  # type: ignore[attr-defined]
    launch.Sheet = LongerSheet if method == "fault" else FencedSheet  # type: ignore[misc]
    way = "direct" if method == "direct" else "fourier"
    for together in [[one] for one in asked] if way == "direct" else [asked]:
        totals: list[np.ndarray] | None = [] if way == "direct" and number % 2 else None
        found = joint_lag_sums(together, image, centre=case.centre, sums=sums, method=way, totals=totals)
        memory.check()
        for total, one in zip(totals or (), together, strict=totals is not None):
            values = one.a.astype(np.float64) - one.centre
            exact = np.stack([values.sum(axis=(0, 2, 3)), np.square(values).sum(axis=(0, 2, 3))], axis=1)
            assert np.allclose(total, exact, rtol=1e-4, atol=1e-3 if sums == "f4" else 1e-9)
        for got, one in zip(found, together, strict=True):
            lagged.check(got, one, b, case.centre, sums)
    return stand_in.units


def fitting(length: int, taps: int) -> int:
    """The length of a transform, or the next one that is long enough."""
    return next(n for n in cut.LENGTHS if n >= max(length, taps + 7))


def fenced(role: str, values: np.ndarray, more: int) -> np.ndarray:
    padded = Padded(room(role), values.shape, values.dtype, 2, more, AT_END)
    padded.array[...] = values
    padded.room.seal()
    return padded.array


def main(method: str, turns: int) -> None:
    faulthandler.disable()
    units = sum(try_out(number, method, at_end) for number in range(turns) for at_end in (False, True))
    print(f"done {units}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
