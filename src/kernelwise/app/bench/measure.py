"""One row: every contender is checked, the hopeless are left out, the rest are timed in one interleaved run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from statistics import quantiles
from typing import Any

import numpy as np

from . import agree, ours, rivals
from .cases import Row
from .rivals.contender import Contender
from .timing import Clock, Entry, Pace, clock_for, each_call, interleave, occupancy

COPY = "np.copyto"
SLOWER = "times the best rival"  # ends the reason why a rival is left out for its time
FAR_BEHIND, FEW_ROUNDS = 5.0, 3  # who takes that many times as long as the best rival gets that many rounds
LONG_TRIAL = 0.25  # s; a trial shorter than this is repeated before a rival is left out for it


@dataclass
class Result:
    """What is known of a row at one thread count. Times in seconds per call; None is unknown or does not apply."""

    name: str
    image: str
    types: str
    kernel: str
    threads: int
    section: str = "images"  # or another key of report.SECTIONS
    integers: bool = False  # integer sums: no fused multiply-add in them
    status: str = "ok"  # or "fail", with the reason in `why`
    why: str = ""
    rounds: int = 0
    errors: dict[str, float] = field(default_factory=dict)  # from the truth, in units of the largest value, if told
    medians: dict[str, float] = field(default_factory=dict)  # kernelwise, rivals and np.copyto
    seconds: dict[str, list[float]] = field(default_factory=dict)  # the same, round by round
    left_out: dict[str, str] = field(default_factory=dict)  # rival -> why
    best: str | None = None  # the fastest rival
    best_threads: int | None = None  # this many threads, or fewer where more only slowed it down
    best_seconds: float | None = None
    ratio: float | None = None  # median of the best rival / median of ours
    ratio_quartiles: list[float] | None = None  # of the same ratio taken in each round
    gain: float | None = None  # ours on one thread / ours on this many
    copy_share: float | None = None  # bytes of image and result per second / those of np.copyto on one thread
    fma_share: float | None = None  # operations of the definition per second / peak of one core times threads
    occupancy: float | None = None  # of the core while ours ran on one thread: below 1 when others used it

    @property
    def ours(self) -> float | None:
        return self.medians.get(ours.NAME)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def settle(self, entries: Sequence[Entry], rounds: int, fewer: Sequence[Result] = ()) -> None:
        """Take the medians from the entries and find the best rival, here or among results with fewer threads."""
        self.rounds = rounds
        self.seconds = {e.name: e.seconds for e in entries}
        self.medians = {e.name: e.median for e in entries}
        found = [(t, name, r) for r in (self, *fewer) for name, t in r.medians.items() if is_rival(name)]
        if not found:
            return
        self.best_seconds, self.best, where = min(found, key=lambda f: f[0])
        self.best_threads = where.threads
        self.ratio = self.best_seconds / self.medians[ours.NAME]
        each = [b / a for a, b in zip(self.seconds[ours.NAME], where.seconds[self.best], strict=False)]
        self.ratio_quartiles = quantiles(each, n=4) if len(each) > 1 else each * 3


def is_rival(name: str) -> bool:
    """Whether a contender is neither ours, in any of its ways, nor the copy."""
    return name != COPY and not name.startswith(ours.NAME)


def measure(row: Row, threads: Sequence[int], pace: Pace, fma_peak: float) -> list[Result]:
    """Time the row at every thread count, in one run.

    fma_peak: operations per second of one core. Returns one Result per thread count; a contender that is
    wrong, or ours raising an error, makes all of them fail, and then nothing is timed.
    """
    integers = row.kernel.exact and row.source == "u8"
    section = "large" if row.large else "images"
    results = [
        Result(row.name, row.image_name, row.types, row.kernel.name, t, section, integers=integers) for t in threads
    ]
    x, out = row.image(), row.empty()
    try:
        groups = _checked(row, x, out, results, pace.hopeless)
    except Exception as error:  # whatever it is: the row fails and says so, the other rows go on
        for result in results:
            result.status, result.why = "fail", f"{type(error).__name__}: {error}".splitlines()[0]
        return results
    copy = Entry(COPY, each_call(_copy_of(row), clock_for(threads[0])))
    groups[0][1].append(copy)
    rounds = interleave(groups, pace, rivals.set_threads)
    for result, (_, entries) in zip(results, groups, strict=True):
        result.settle(entries, rounds, [r for r in results if r.medians and r.threads < result.threads])
        _add_shares(result, results[0], row, copy.median, fma_peak)
    if threads[0] == 1 and pace.budget:
        results[0].occupancy = occupancy(ours.contender(row, x, out, 1).call, min(0.05, pace.budget))
    return results


def _checked(
    row: Row, x: np.ndarray, out: np.ndarray, results: Sequence[Result], hopeless: float
) -> list[tuple[int, list[Entry]]]:
    """Ours and the rivals worth timing, per thread count; raises Disagreement if any result is wrong."""
    groups: list[tuple[int, list[Entry]]] = []
    earlier = None
    for result in results:
        rivals.set_threads(result.threads)
        mine, entry = _ours(row, x, out, result.threads)
        if earlier is not None and not np.array_equal(mine, earlier):
            raise agree.Disagreement(f"{result.threads} threads give other bits than {results[0].threads}")
        earlier = mine
        known = results[0].left_out
        others = [c for c in rivals.contenders(row, x, out) if c.name not in known and not (groups and c.one_thread)]
        clock = clock_for(result.threads)
        trials, result.left_out = _trials(others, row, x, out, mine, clock, hopeless)
        result.left_out |= known
        entries = [entry]
        for c in others:
            if c.name not in result.left_out:
                rare = trials[c.name] > FAR_BEHIND * min(trials.values())
                entries.append(Entry(c.name, each_call(c.call, clock), c.spins, most=FEW_ROUNDS if rare else None))
        groups.append((result.threads, entries))
    return groups


def _ours(row: Row, x: np.ndarray, out: np.ndarray, threads: int) -> tuple[np.ndarray, Entry]:
    """Our result, compared with the definition, and our turn."""
    contender = ours.contender(row, x, out, threads)
    _poison(out)
    mine = contender.call().copy()
    agree.with_definition(row, x, mine)
    return mine, Entry(contender.name, each_call(contender.call, clock_for(threads)))


def _trials(
    others: Sequence[Contender],
    row: Row,
    x: np.ndarray,
    out: np.ndarray,
    mine: np.ndarray,
    clock: Clock,
    hopeless: float,
) -> tuple[dict[str, float], dict[str, str]]:
    """Check all rivals. Returns the seconds of a call of each, and the reasons why some are not to be timed: they
    raise an error, or take more than ``hopeless`` times as long as the best."""
    trials: dict[str, float] = {}
    reasons = {}
    for contender in others:
        try:
            trials[contender.name] = _trial(contender, row, x, out, mine, clock)
        except agree.Disagreement:
            raise
        except Exception as error:  # a version that cannot do this: no reason to fail, but to be told
            reasons[contender.name] = f"{type(error).__name__}: {error}".strip().splitlines()[0]
    best = min(trials.values(), default=0.0)
    for contender in others:
        seconds = trials.get(contender.name, 0.0)
        for _ in range(3):  # it was the first call, or another process had the core
            if hopeless * best < seconds < LONG_TRIAL:
                seconds = trials[contender.name] = min(seconds, _seconds(contender, clock))
        if seconds > hopeless * best:
            reasons[contender.name] = f"one call takes {seconds * 1e3:.3g} ms, {seconds / best:.0f} {SLOWER}"
    return trials, reasons


def _trial(contender: Contender, row: Row, x: np.ndarray, out: np.ndarray, mine: np.ndarray, clock: Clock) -> float:
    """Check a rival's result against ours; returns the seconds of a call."""
    _poison(out)
    start = clock()
    got = contender.call()
    first = clock() - start
    if contender.factor != 1.0:
        got = got * got.dtype.type(contender.factor)
    allowed = max(agree.tolerance(row, x, contender.fourier or row.large), contender.levels)
    agree.compare(f"{ours.NAME} and {contender.name}", mine[contender.region], got, allowed)
    return first if first > LONG_TRIAL else _seconds(contender, clock)


def _seconds(contender: Contender, clock: Clock) -> float:
    start = clock()
    contender.call()
    return clock() - start


def _poison(out: np.ndarray) -> None:
    """What a call does not write stays wrong."""
    out[...] = np.nan if out.dtype.kind == "f" else 77


def _copy_of(row: Row) -> Callable[[], None]:
    """np.copyto that moves as many bytes as the row's image and result together."""
    size = row.bytes_moved() // 2
    source, target = np.ones(size, np.uint8), np.zeros(size, np.uint8)
    return partial(np.copyto, target, source)


def _add_shares(result: Result, single: Result, row: Row, copy: float, fma_peak: float) -> None:
    mine = result.medians[ours.NAME]
    if single is not result:
        result.gain = single.medians[ours.NAME] / mine
    result.copy_share = copy / mine
    if not result.integers:
        result.fma_share = row.flops() / mine / (fma_peak * result.threads)
