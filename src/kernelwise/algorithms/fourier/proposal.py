"""What a transform proposes for a kernel: the size of its tiles, and what they cost."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from ..numbers import Number
from ..spec import Proposal, Request
from .launch import Cut, cut, pairing
from .spec import LENGTHS, NAME, FourierSpec

LINE_TILES = ((32, 32), (64, 64), (128, 128), (256, 256), (512, 512))
ERROR = 30  # rounding errors that no output exceeds, relative to |k| sqrt(pixels of a tile) max |x|: see __init__
MOST_BYTES = 40 << 20  # of the spectra of the kernel, while they are made, and of the scratch memory of a worker
CLOSER = 3  # lengths of tiles on an axis that are compared in full
LEAST_TAPS = 24  # of a kernel below which a transform never pays

# What the parts of a tile cost, in multiply-adds of vectors for each of its pixels, forward and back: measured as times
# of square and oblong tiles beside those of `direct`, in one run (see costs.py for the machine).
PASS = {32: 40.0, 64: 44.0, 96: 49.0, 128: 50.0, 192: 52.0, 256: 54.0, 384: 62.0, 512: 54.0}
PRODUCT = 6.0
MOVING = 62.0
FARTHER = (17, 18, 19, 20), (0.0, 8.0, 38.0, 65.0)  # and more where tiles of 2 ** n bytes outgrow the caches


def propose(request: Request) -> Proposal | str:
    """A proposal, or the reason why there is none."""
    planes, tall, across = request.weights.shape
    obstacle = _obstacle(request)
    if obstacle:
        return obstacle
    line = tall == 1 and planes == 1
    for tiles in (LINE_TILES,) if line else (_tiles(request), _all_tiles()):
        specs = [_spec(request, tile, line, planes > 1) for tile in tiles]
        options = [(_work(request, spec, of), of.paired, spec) for spec in specs for of in _cuts(request, spec)]
        if options:
            break
    else:
        return "the kernel reaches too far for the largest tile that is small enough"
    work, paired, spec = min(options, key=lambda option: option[0])
    spec = replace(spec, paired=paired)
    what = f"lines of {spec.size}" if line else "tiles of {} x {}".format(*spec.tile)
    if not request.sums.is_float:
        what += " float64"
    return Proposal(spec, request.weights.astype(spec.sums.dtype, copy=False), work, 0.0, f"{what} pixels in overlap")


def _obstacle(request: Request) -> str | None:
    if request.changing:
        return "the weights change"
    if request.omitting:
        return "the weights of what is known may be small, and a sum is divided by them"
    if not request.sums.is_float and not exact(request):
        return "sums of integers might not be exact"
    if request.rows.stride > 1 or request.columns.stride > 1:
        return "most of what a transform gives would be skipped"
    if request.weights.size < LEAST_TAPS:
        return f"the kernel has fewer than {LEAST_TAPS} taps"
    if not np.isfinite(request.weights).all():
        return "the kernel is too large for the sums"
    if min(axis.out for axis in (request.rows, request.columns, *request.planes)) == 0 or request.channels == 0:
        return "the result is empty"
    return None


def exact(request: Request) -> bool:
    """Whether float64 transforms of integers, rounded, are certainly the integers they should be.

    In a transform of N numbers every one of log2(N) steps adds an error of a few u to the Euclidean norm (Higham,
    "Accuracy and Stability of Numerical Algorithms", chapter 24); there are three transforms and a product, so that
    16 log2(N) u is more than all of it. The norm of a product is at most sum|k| times that of the tile, and a scaled
    pair of tiles has at most sqrt(2 N) times twice the largest pixel.
    """
    low, high = request.image.bounds()
    largest, most = max(-low, high), max(LENGTHS) ** 2
    total = float(np.abs(request.weights.astype(np.float64)).sum())
    error = 16 * math.log2(most) * 2.0**-53 * total * 2 * largest * math.sqrt(2 * most)
    return error < 0.25 and total * largest < 2.0**52


def _tiles(request: Request) -> Iterator[tuple[int, int]]:
    """The sizes of tiles that are worth a closer look: on each axis those that cost least along it."""
    columns = request.columns.out * request.channels, request.columns.reach * request.channels
    return itertools.product(_lengths(request.rows.out, request.rows.reach), _lengths(*columns))


def _all_tiles() -> Iterator[tuple[int, int]]:
    """Every size there is: for kernels of so many planes that the best sizes would take too much memory."""
    return itertools.product(LENGTHS, LENGTHS)


def _lengths(out: int, reach: int) -> list[int]:
    fitting = [n for n in LENGTHS if n > reach]
    return sorted(fitting, key=lambda n: -(-out // (n - reach)) * n * (PASS[n] + MOVING))[:CLOSER]


def _spec(request: Request, tile: tuple[int, int], line: bool, deep: bool) -> FourierSpec:
    sums = request.sums if request.sums.is_float else Number("f8")
    return FourierSpec(request.image, sums, request.result, tile, line, deep, not request.sums.is_float)


def _cuts(request: Request, spec: FourierSpec) -> Iterator[Cut]:
    """The cut of the result into such tiles, if the kernel leaves a good part of them."""
    rows, columns = request.rows.reach, request.columns.reach * request.channels
    fits = columns <= spec.size * 3 // 4 if spec.line else rows < spec.tile[0] and columns < spec.tile[1]
    if fits:
        of = cut(spec, request.rows, request.columns, request.channels, request.planes)
        tiles = 1.5 * len(request.weights) + (of.sources + 1 if spec.deep else 1)
        if tiles * spec.tile_bytes > MOST_BYTES:
            return
        yield of if spec.line else of._replace(paired=pairing(of))


def _work(request: Request, spec: FourierSpec, of: Cut) -> float:
    """Multiply-adds of vectors, in lanes of one, for each output."""
    twist = PRODUCT if spec.line else 0
    farther = float(np.interp(math.log2(spec.tile_bytes), *FARTHER))
    once = (sum(PASS[n] for n in spec.tile) + MOVING + farther) / 2 + twist  # a transform, there or back
    back = once + PRODUCT * len(request.weights)
    planes_out = math.prod(axis.out for axis in request.planes)
    sources = -(-planes_out // of.group) * of.sources
    pixels = math.prod(of.pairs) * spec.size * (sources * once + planes_out * back)
    return pixels / (request.rows.out * request.columns.out * request.channels * planes_out)


__all__ = ["NAME", "propose"]
