"""How the work of Winograd's algorithm is cut into units, for so many threads: by trying what each cut would take.

Times are counted in tiles: what the products of one tile with all outputs take.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

UNIT_TILES = 3.0  # what a unit costs beside its tiles: all of its weights are read
BLOCK_TILES = 1.5  # what a block of tiles costs beside them
ENTER_OUTPUTS = 20.0  # outputs to which a tile's products take as long as its transform
LEAST_OUTPUTS = 64  # of a unit, or a block of them
WAITING = 0.25  # of a unit, for a thread that something else held up
MOST_WORK = 1 << 31  # multiply-adds of a unit: a call can be interrupted between two of them
MOST_TRIED = 96  # units of a cut that is tried out; of more, it matters little which thread has the last one


class Work(NamedTuple):
    """What is to be cut."""

    rows: int  # of tiles, of all images
    columns: int  # of tiles, in a segment of a row
    others: int  # groups, planes and segments, each cut in the same way
    most: int  # tiles in a unit, unless a row has more
    products: int  # multiply-adds of a tile
    blocks: int  # of outputs
    block: int  # outputs in one
    together: int  # tiles in a block of products, at most
    threads: int


class Cut(NamedTuple):
    """Units are bands of rows, each for some parts of the blocks of outputs."""

    band: int  # rows of tiles
    together: int  # tiles in a block of products
    part_blocks: int  # blocks of outputs
    parts: int


@lru_cache(maxsize=1024)
def cut(work: Work) -> Cut:
    """The cut that is done first: few tiles left over in the last blocks, weights read and pixels transformed seldom,
    all threads busy to the end."""
    bands = range(1, min(work.rows, max(1, work.most // work.columns)) + 1)
    every = [Cut(band, _together(work, band), *part) for band in bands for part in _parts(work, band)]
    return min(every, key=lambda one: (_time(work, one), -one.together))


def _parts(work: Work, band: int) -> list[tuple[int, int]]:
    """Blocks of outputs in a unit, and how many such parts there are: all at once, or halves of that."""
    least = -(-band * work.columns * work.products // MOST_WORK)
    most = max(1, work.blocks * work.block // LEAST_OUTPUTS)
    found, parts = [], min(least, most)
    while True:
        each = -(-work.blocks // parts)
        found.append((each, -(-work.blocks // each)))
        parts *= 2
        if parts > most or work.threads == 1:
            return found


def _together(work: Work, band: int) -> int:
    """Tiles in a block of products, so that least time is lost in all bands."""
    full, left = divmod(work.rows, band)

    def lost(together: int) -> float:
        blocks = full * -(-band * work.columns // together) + -(-left * work.columns // together)
        return blocks * (together + BLOCK_TILES)

    return min(range(1, work.together + 1), key=lambda together: (lost(together), -together))


def _time(work: Work, one: Cut) -> float:
    """Until the last thread has ended. Each has a run of neighbouring units, then takes from the others'."""
    enter = ENTER_OUTPUTS / (work.blocks * work.block)
    full, left = divmod(work.rows, one.band)

    def unit(rows: int) -> tuple[float, float]:
        tiles = rows * work.columns
        products = (-(-tiles // one.together) * (one.together + BLOCK_TILES) + UNIT_TILES) / one.parts
        return products, tiles * enter

    bands = [unit(one.band)] * full + [unit(left)] * (left > 0)
    waiting = WAITING * sum(bands[0]) if work.threads > 1 else 0.0
    count = len(bands) * work.others * one.parts
    if work.threads == 1 or count > MOST_TRIED:
        total = work.others * sum(one.parts * products + enters for products, enters in bands)
        return total / work.threads + 2 * waiting
    return _tried(bands * work.others, one.parts, work.threads) + waiting


def _tried(bands: list[tuple[float, float]], parts: int, threads: int) -> float:
    """The time of so many bands in parts. Who has a band's tiles already need not transform them again."""
    units, each = len(bands) * parts, divmod(len(bands) * parts, threads)
    ends = [(k + 1) * each[0] + min(k + 1, each[1]) for k in range(threads)]
    nexts = [0, *ends[:-1]]
    clocks, entered = [0.0] * threads, [-1] * threads
    for _ in range(units):
        thread = min(range(threads), key=clocks.__getitem__)
        share = next(s for k in range(threads) if nexts[s := (thread + k) % threads] < ends[s])
        band = nexts[share] // parts
        nexts[share] += 1
        products, enter = bands[band]
        clocks[thread] += products + (enter if entered[thread] != band else 0.0)
        entered[thread] = band
    return max(clocks)
