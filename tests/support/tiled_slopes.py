"""Weight gradients by Winograd's algorithm: random ones, their definition, and their routines between forbidden pages.

`python -m support.tiled_slopes TURNS` runs so many in a process of its own and prints each before it runs it, so that
the last line names the one at which the process died.
"""

from __future__ import annotations

import faulthandler
import os
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from kernelwise.algorithms.layer import slopes_fold, slopes_winograd_launch
from kernelwise.algorithms.layer.problem import problem3
from kernelwise.algorithms.layer.slopes_winograd_launch import SlopeTilesPlan
from kernelwise.algorithms.numbers import Number
from kernelwise.algorithms.routine import current_target
from kernelwise.jit.target import available
from kernelwise.problem import Axis

from .fenced_layers import Pool, fenced, room

BORDERS = ("constant", "edge", "reflect", "symmetric", "wrap")
BOUND = 5e-6  # of the largest value of a gradient


@dataclass(frozen=True)
class Case:
    """A layer with three by three taps."""

    images: int
    groups: int
    channels: int  # of a group
    outputs: int  # of a group
    rows: int
    columns: int
    before: tuple[int, int] = (1, 1)
    after: tuple[int, int] = (1, 1)
    border: str = "constant"
    shared: bool | None = None  # tiles for all units; None: as the plan would have it

    @property
    def axes(self) -> tuple[Axis, Axis, Axis]:
        sizes = zip((self.rows, self.columns), self.before, self.after, strict=True)
        return problem3(tuple(Axis(n, 3, -low, 1, 1, n + low + high - 2) for n, low, high in sizes))

    @property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Of x and of dy."""
        _, rows, columns = self.axes
        x = self.images, self.groups * self.channels, 1, rows.n, columns.n
        return x, (self.images, self.groups * self.outputs, 1, rows.out, columns.out)

    def plan(self) -> SlopeTilesPlan:
        launch: Any = slopes_winograd_launch
        before = launch.ALONE_BYTES, launch.PANEL_BYTES, launch.SHARED_TILES
        if self.shared is not None:  # if so, then in several goes
            launch.ALONE_BYTES, launch.PANEL_BYTES, launch.SHARED_TILES = (-1, 1, 9) if self.shared else (1 << 40, 1, 9)
        try:
            return launch.plan.__wrapped__(
                self.axes, self.groups, self.channels, self.outputs, self.images, Number("f4"), current_target()
            )
        finally:
            launch.ALONE_BYTES, launch.PANEL_BYTES, launch.SHARED_TILES = before


def draw(rng: np.random.Generator) -> Case:
    """A small layer of any kind; never without a result."""
    while True:
        border = str(rng.choice(BORDERS)) if rng.random() < 0.5 else "constant"
        rows, columns = (int(rng.integers(1, most)) for most in (30, 70))
        top, left, bottom, right = (int(p) for p in rng.integers(0, 4, 4))
        groups, (channels, outputs) = int(rng.choice([1, 1, 2, 3])), rng.integers(1, 45, 2)
        images, shared = int(rng.integers(1, 6)), bool(rng.random() < 0.5)
        sizes = images, groups, int(channels), int(outputs), rows, columns
        case = Case(*sizes, (top, left), (bottom, right), border, shared)
        if min(axis.out for axis in case.axes) > 0:
            return case


def normal(case: Case, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """x and dy."""
    x, dy = (rng.standard_normal(shape, np.float32) for shape in case.shapes)
    return x, dy


def run(case: Case, x: np.ndarray, dy: np.ndarray, threads: int = 1) -> np.ndarray:
    out = np.full((case.groups * case.outputs, case.channels, 3, 3), np.nan, np.float32)
    slopes_winograd_launch.weight_slopes(case.plan(), dy, x, case.border, out, threads)
    return out


def definition(case: Case, x: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Tap by tap, in float64, on a padded copy of the images."""
    around = ((0, 0), (0, 0), *zip(case.before, case.after, strict=True))
    padded = np.pad(x[:, :, 0].astype(np.float64), around, mode=case.border)  # type: ignore[call-overload]
    padded = padded.reshape(case.images, case.groups, case.channels, *padded.shape[2:])
    slopes = dy.astype(np.float64).reshape(case.images, case.groups, case.outputs, *dy.shape[3:])
    rows, columns = slopes.shape[3:]
    dw = np.zeros((case.groups, case.outputs, case.channels, 3, 3))
    for a in range(3):
        for b in range(3):
            part = padded[..., a : a + rows, b : b + columns]
            for g in range(case.groups):
                dw[g, :, :, a, b] = np.tensordot(slopes[:, g], part[:, g], axes=((0, 2, 3), (0, 2, 3)))
    return dw.reshape(-1, case.channels, 3, 3)


def error(found: np.ndarray, wanted: np.ndarray) -> float:
    """The largest, in units of the largest value; NaN counts as infinite."""
    worst = np.abs(found - wanted).max() / max(np.abs(wanted).max(), 1e-30)
    return float(np.nan_to_num(worst, nan=np.inf))


# ---------------------------------------------------------------- between forbidden pages


class Memory:
    """Stands in for NumPy where a gradient takes memory for its parts: between forbidden pages."""

    def __init__(self, at_end: bool) -> None:
        self.at_end = at_end

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)

    def empty(self, shape: tuple[int, ...], dtype: Any = np.float64) -> np.ndarray:
        return self.place("parts", int(np.prod(shape)) * np.dtype(dtype).itemsize).view(dtype).reshape(shape)

    def take(self, size: int) -> np.ndarray:
        return self.place("panels", size)

    def leave(self, taken: np.ndarray) -> None:
        assert room("panels").untouched(taken), "bytes beside the panels were written to"

    def place(self, role: str, size: int) -> np.ndarray:
        found = room(role).place(size, self.at_end)
        found[...] = 0xFF  # a NaN
        return found


def try_out(number: int, at_end: bool) -> None:
    rng = np.random.default_rng((78, number))
    os.environ["KERNELWISE_TARGET"] = str(rng.choice(available()))
    case = draw(rng)
    print(f"{number} {os.environ['KERNELWISE_TARGET']} {case}", flush=True)
    x, dy = normal(case, rng)
    images, slopes = (fenced(name, a, int(rng.integers(0, 3)), at_end) for name, a in (("image", x), ("dy", dy)))
    out = fenced("result", np.full((case.groups * case.outputs, case.channels, 3, 3), np.nan, "f4"), 0, at_end, False)
    memory, made = Memory(at_end), case.plan()
    launch: Any = slopes_winograd_launch
    launch.pool = slopes_fold.pool = Pool(at_end)  # type: ignore[assignment]
    launch.spare = memory
    numpy, launch.np = launch.np, memory
    try:
        launch.weight_slopes(made, slopes.array, images.array, case.border, out.array, 1)
    finally:
        launch.np = numpy
    assert out.untouched(), "bytes beside the result were written to"
    worst = error(out.array, definition(case, x, dy))
    assert worst <= BOUND, f"error {worst:.2g} of the largest value"


def main(turns: int) -> None:
    faulthandler.disable()
    for number in range(turns):
        for at_end in (False, True):
            try_out(number, at_end)
    print(f"done {turns}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
