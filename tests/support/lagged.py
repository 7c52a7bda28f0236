"""Lag sums drawn at random, and what they are by their definition in float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kernelwise.algorithms.fourier_lags import cut
from kernelwise.algorithms.lag_sums import Lagged

BOUND = 8  # rounding errors of the root of the product of both sums of squares: see fourier_lags
UNIT = {"f4": 2.0**-24, "f8": 2.0**-53}
DTYPES = ("f4", "f4", "f8", "u1", "i2", "i4")

Pair = tuple[int, int]
Drawn = tuple[np.ndarray, Pair, Pair, float]


@dataclass(frozen=True)
class Case:
    """Stacks that are matched with one other: for each, channels, shape, taps, start, dtype, centre."""

    images: int
    stacks: tuple[tuple[int, Pair, Pair, Pair, str, float], ...]
    b: tuple[int, Pair, str]
    centre: float

    @property
    def most(self) -> Pair:
        """The most taps."""
        rows, columns = zip(*(taps for _, _, taps, *_ in self.stacks), strict=True)
        return max(rows), max(columns)

    def arrays(self, rng: np.random.Generator) -> tuple[list[Drawn], np.ndarray]:
        made = [
            (numbers(rng, (self.images, channels, *shape), dtype), taps, start, centre)
            for channels, shape, taps, start, dtype, centre in self.stacks
        ]
        channels, shape, dtype = self.b
        return made, numbers(rng, (self.images, channels, *shape), dtype)


def numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Few binary digits, so that sums in float64 are exact in any order."""
    if dtype[0] == "f":
        return (rng.integers(-64, 81, shape) / 16).astype(dtype)
    low, high = (0, 256) if dtype == "u1" else (-300, 301)
    return rng.integers(low, high, shape).astype(dtype)


def draw(rng: np.random.Generator, most: int) -> Case:
    """Up to three stacks; b may be smaller than they, and begin before them or after."""

    def pair(low: int, high: int) -> Pair:
        first, second = (int(v) for v in rng.integers(low, high, 2))
        return first, second

    stacks = tuple(
        (
            int(rng.integers(1, 4)),
            pair(1, most),
            pair(1, 25),
            pair(-20, 20),
            str(rng.choice(DTYPES)),
            float(rng.choice([0.0, 0.75])),
        )
        for _ in range(rng.integers(1, 4))
    )
    b = int(rng.integers(1, 4)), pair(20, most + 20), str(rng.choice(DTYPES))
    return Case(int(rng.integers(1, 4)), stacks, b, float(rng.choice([0.0, -2.5])))


def force(down: int, across: int) -> None:
    """From now on all tiles have this size."""
    sizes = iter(())

    def lengths(extent: int, taps: int) -> list[int]:
        nonlocal sizes
        try:
            return [next(sizes)]
        except StopIteration:
            sizes = iter((down, across))
            return [next(sizes)]

    cut._lengths = lengths  # type: ignore[assignment]


def by_definition(one: Lagged, b: np.ndarray, centre: float) -> np.ndarray:
    """S[o, i, r, c] = sum over n, y, x of a[n, o, y, x] * b[n, i, y + start + r, x + start + c], zeros around b."""
    a, (rows, columns) = one.a.astype(np.float64) - one.centre, one.taps
    (_, o, h, w), (n, i, high, wide) = a.shape, b.shape
    around = np.zeros((n, i, h + rows - 1, w + columns - 1))
    spans = []
    for start, size, there in ((one.start[0], around.shape[2], high), (one.start[1], around.shape[3], wide)):
        first, stop = max(0, -start), min(size, there - start)
        spans.append((slice(first, max(first, stop)), slice(first + start, max(first, stop) + start)))
    (to_rows, of_rows), (to_columns, of_columns) = spans
    around[:, :, to_rows, to_columns] = b[:, :, of_rows, of_columns].astype(np.float64) - centre
    found = np.empty((o, i, rows, columns))
    for r, c in np.ndindex(rows, columns):
        found[:, :, r, c] = np.tensordot(a, around[:, :, r : r + h, c : c + w], ((0, 2, 3), (0, 2, 3)))
    return found


def scale(one: Lagged, b: np.ndarray, centre: float) -> float:
    """The root of the product of both sums of squares."""
    squares = (((x.astype(np.float64) - c) ** 2).sum() for x, c in ((one.a, one.centre), (b, centre)))
    return float(np.sqrt(np.prod(list(squares))))


def check(got: np.ndarray, one: Lagged, b: np.ndarray, centre: float, sums: str) -> float:
    """Compare with the definition; returns the error in parts of what is allowed."""
    wide = np.result_type(sums, *(x.dtype for x in (one.a, b) if x.dtype.kind == "f")).str[1:]
    wanted = by_definition(one, b, centre)
    assert got.shape == wanted.shape and got.dtype == np.float64
    allowed = BOUND * UNIT[wide] * scale(one, b, centre)
    error = float(np.abs(got - wanted).max())
    assert error <= allowed, f"{error} > {allowed}"
    return error / allowed if allowed else 0.0
