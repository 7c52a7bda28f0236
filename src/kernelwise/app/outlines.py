"""Step 3 on a photograph: what [1, -1] sees of its edges, what Canny sees, and the same finer than a pixel."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

import kernelwise as kw
from kernelwise import edges

from . import claims, tracing
from .chains import Line
from .claims import Claim
from .photo import Photograph

SIGMA = 1.5  # pixels
LEAST_POINTS = 12  # chains shorter than that are left out of the drawing
TIMED_SECONDS, TIMED_CALLS = 0.2, 50
FINE = 0.02  # pixels; how far a point may lie from the circle it was found on
SIDE, RADIUS, CENTRE, GRID = 64, 20.3, (31.6, 30.2), 8  # of that circle; GRID samples along each side of a pixel
LEVELS = (0.85, 0.95)  # so many pixels have a smaller slope than the two thresholds that are looked at


@dataclass(frozen=True)
class Circle:
    """A white disc on black whose pixels hold exact means, and the points found on its rim, (n,) y and x."""

    image: np.ndarray
    y: np.ndarray
    x: np.ndarray
    error: float
    claims: tuple[Claim, ...]


@dataclass(frozen=True)
class Outlines:
    """`upright` (H, W) is the photograph under [1, -1], `map` (H, W) Canny's edges, `chains` their points, linked."""

    upright: np.ndarray
    map: np.ndarray
    chains: Sequence[Line]
    points: int
    seconds: float
    circle: Circle
    claims: tuple[Claim, ...]

    def strongest(self) -> tuple[float, float]:
        """The middle (y, x) of the chain to look at: long, and steep in its faintest places too."""

        def worth(chain: Line) -> float:
            return 0.0 if chain.strength is None else len(chain.y) * float(np.quantile(chain.strength, 0.1))

        if not self.chains:
            return (0.0, 0.0)
        best = max(self.chains, key=worth)
        half = len(best.y) // 2
        return float(best.y[half]), float(best.x[half])


def circle() -> Circle:
    """Points on a circle that is known: root of the mean square of their distances from it, in pixels."""
    at = (np.arange(SIDE * GRID) + 0.5) / GRID - 0.5
    inside = np.hypot(at[:, None] - CENTRE[0], at - CENTRE[1]) < RADIUS
    image = inside.reshape(SIDE, GRID, SIDE, GRID).mean(axis=(1, 3)).astype(np.float32)
    found = edges.subpixel(image)
    off = np.hypot(found.y - CENTRE[0], found.x - CENTRE[1]) - RADIUS
    error = float(np.sqrt(np.mean(off**2))) if len(off) else math.nan
    towards = np.stack([np.sin(found.direction), np.cos(found.direction)])
    inward = np.stack([CENTRE[0] - found.y, CENTRE[1] - found.x]) / RADIUS
    return Circle(
        image,
        found.y,
        found.x,
        error,
        (
            Claim(
                f"points on a circle lie within {FINE} pixels of it, in the root of the mean square",
                error <= FINE,
                f"{len(off)} points, {error:.3g} pixels",
            ),
            claims.close(
                "and the direction of each leads to the bright middle",
                (towards * inward).sum(axis=0),
                np.ones(len(off)),
                0.01,
            ),
        ),
    )


def outlines(photograph: Photograph) -> Outlines:
    """Edges of the whole photograph; that they are what Canny's rules make of it is checked by other means."""
    x = photograph.pixels
    upright = kw.correlate(x, np.array([[1, -1]], np.float32))
    found = edges.canny(x, SIGMA)
    points = edges.subpixel(x, found, sigma=SIGMA)
    lines = tracing.lines(edges.link(found, points, min_length=LEAST_POINTS), points, x.shape)
    return Outlines(upright, found, lines, len(points), _best_time(x), circle(), tuple(_rules(x, found)))


def _best_time(x: np.ndarray) -> float:
    """Seconds of the fastest of many calls of canny."""
    best, deadline = float("inf"), time.perf_counter() + TIMED_SECONDS
    for _ in range(TIMED_CALLS):
        start = time.perf_counter()
        edges.canny(x, SIGMA)
        end = time.perf_counter()
        best = min(best, end - start)
        if end > deadline:
            break
    return best


def _rules(x: np.ndarray, found: np.ndarray) -> list[Claim]:
    """Canny's second threshold once more, by growing; and what no unit of brightness may change."""
    slope = edges.sobel(kw.correlate(x, f"gaussian:{SIGMA}"))
    low, high = (float(level) for level in np.quantile(slope, LEVELS))
    strong, faint, both = (edges.canny(x, SIGMA, *levels) for levels in ((high, high), (low, low), (low, high)))
    return [
        claims.equal("half as bright, the photograph has the same edges", edges.canny(x / 2, SIGMA), found),
        claims.equal(
            "edges above the lower threshold stay where they hang together with one above the upper: "
            "growing step by step finds the same",
            grown(strong, faint),
            both,
        ),
    ]


def grown(start: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """The pixels of the map `inside` that can be reached from `start` by steps to one of eight neighbours in it.

    >>> line = np.array([[1, 1, 0, 1]], bool)
    >>> grown(np.array([[0, 1, 0, 0]], bool), line).astype(int).tolist()
    [[1, 1, 0, 0]]
    """
    wide = np.pad(inside, 1)
    reached = np.zeros_like(wide)
    width = wide.shape[1]
    around = np.array([-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1])
    fresh = np.flatnonzero(np.pad(start, 1) & wide)
    while len(fresh):
        reached.flat[fresh] = True
        near = np.unique(fresh[:, None] + around)
        fresh = near[wide.flat[near] & ~reached.flat[near]]
    return reached[1:-1, 1:-1]
