"""Rows that are no kernel on an image: any call of ours beside other libraries' ways to the same result.

As for kernels, nothing is timed before it is right: the row brings its own check of ours, and every rival is compared
with ours. What is right differs from group to group and stands there: gradients.py, canny.py, door.py, layers.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

import kernelwise as kw

from . import ours, rivals
from .agree import Disagreement
from .measure import FAR_BEHIND, FEW_ROUNDS, LONG_TRIAL, SLOWER, Result, is_rival
from .timing import Clock, Entry, Pace, clock_for, each_call, interleave, occupancy

LONG_CALL = 0.3  # s; who takes that long gets few rounds however it compares

Agree = Callable[[np.ndarray, np.ndarray], None]  # (ours, theirs); raises Disagreement
Error = Callable[[np.ndarray], float]  # how far a result is from the truth, in units of the largest value


@dataclass(frozen=True)
class Rival:
    """``call()`` returns what is compared with ours by ``agree``; None: it does something else and is only timed.

    One whose name begins with our own is another way of ours: timed and reported, but no rival.
    """

    name: str
    module: str  # that must be installed
    call: Callable[[], object]
    agree: Agree | None
    one_thread: bool = False  # however many are allowed: it need not be timed again with more
    fetch: Callable[[], np.ndarray] | None = None  # the result, where handing it over is not part of the call
    spins: float = 0.0  # s for which its workers wait for more work without sleeping


@dataclass(frozen=True)
class Prepared:
    """A row with its arrays made: our call, what raises Disagreement unless its result is right, and the rivals."""

    ours: Callable[[], np.ndarray]
    check: Callable[[np.ndarray], None]
    rivals: Sequence[Rival]
    error: Error | None = None  # reported for everybody
    left_out: dict[str, str] = field(default_factory=dict)  # rivals that cannot do it -> why


@dataclass(frozen=True)
class Comparison:
    """One line of the table. ``prepare(threads)`` makes its arrays, the same for any number of threads."""

    section: str  # a key of report.SECTIONS
    image: str
    types: str
    what: str
    prepare: Callable[[int], Prepared]
    flops: int = 0  # operations of the definition; 0: the share of the multiply-add peak says nothing

    @property
    def name(self) -> str:
        return f"{self.section} {self.image} {self.types} {self.what}"


def measure(row: Comparison, threads: Sequence[int], pace: Pace, fma_peak: float = 0.0) -> list[Result]:
    """Time the row at every thread count, in one run: one Result per thread count, all failed if anything is wrong.

    fma_peak: operations per second of one core; 0: unknown.
    """
    results = [Result(row.name, row.image, row.types, row.what, t, row.section) for t in threads]
    try:
        _measure(row, results, pace, fma_peak)
    except Exception as error:  # whatever it is: the row fails and says so, the other rows go on
        for result in results:
            result.status, result.why = "fail", f"{type(error).__name__}: {error}".splitlines()[0]
    finally:
        kw.set_threads(None)
    return results


def _measure(row: Comparison, results: Sequence[Result], pace: Pace, fma_peak: float) -> None:
    groups = _checked(row, results, pace.hopeless)
    rounds = interleave([(t, entries) for t, entries, _ in groups], pace, set_threads)
    for result, (_, entries, _) in zip(results, groups, strict=True):
        result.settle(entries, rounds, [r for r in results if r.medians and r.threads < result.threads])
        if result is not results[0]:
            result.gain = results[0].medians[ours.NAME] / result.medians[ours.NAME]
        if row.flops and fma_peak:
            result.fma_share = row.flops / result.medians[ours.NAME] / (fma_peak * result.threads)
    if results[0].threads == 1 and pace.budget:
        set_threads(1)
        results[0].occupancy = occupancy(groups[0][2], min(0.05, pace.budget))


def set_threads(threads: int) -> None:
    """Ours and everybody's: some of our calls have no argument for it."""
    kw.set_threads(threads)
    rivals.set_threads(threads)


def _checked(
    row: Comparison, results: Sequence[Result], hopeless: float
) -> list[tuple[int, list[Entry], Callable[[], np.ndarray]]]:
    """For each thread count the turns of ours and of the rivals worth timing, and our call."""
    groups: list[tuple[int, list[Entry], Callable[[], np.ndarray]]] = []
    earlier: np.ndarray | None = None
    for result in results:
        set_threads(result.threads)
        made = row.prepare(result.threads)
        mine = made.ours().copy()
        made.check(mine)
        if earlier is not None and not np.array_equal(mine, earlier, equal_nan=mine.dtype.kind in "fc"):
            raise Disagreement(f"{result.threads} threads give other bits than {results[0].threads}")
        earlier = mine
        clock = clock_for(result.threads)
        if made.error is not None:
            result.errors[ours.NAME] = made.error(mine)
        entries = [Entry(ours.NAME, each_call(made.ours, clock))]
        entries += _turns(made, mine, result, results[0].left_out if groups else {}, clock, hopeless)
        groups.append((result.threads, entries, made.ours))
    return groups


def _turns(
    made: Prepared, mine: np.ndarray, result: Result, known: dict[str, str], clock: Clock, hopeless: float
) -> list[Entry]:
    """Check the rivals against ours; the turns of those worth timing. Why the others are not goes into the result."""
    others = made.rivals
    result.left_out |= made.left_out | known
    trials: dict[str, float] = {}
    for rival in others:
        if rival.name in known or (rival.one_thread and result.threads > 1):
            continue
        if not rivals.is_installed(rival.module):
            result.left_out[rival.name] = rivals.NOT_INSTALLED
            continue
        trials[rival.name], theirs = _trial(rival, mine, clock)
        if made.error is not None:
            result.errors[rival.name] = made.error(theirs)
    best = min((t for name, t in trials.items() if is_rival(name)), default=0.0)
    entries = []
    for rival in others:
        seconds = trials.get(rival.name)
        if seconds is None:
            continue
        if best and seconds > hopeless * best:
            result.left_out[rival.name] = f"one call takes {seconds * 1e3:.3g} ms, {seconds / best:.0f} {SLOWER}"
            continue
        rare = seconds > LONG_CALL or (best and seconds > FAR_BEHIND * best)
        entries.append(Entry(rival.name, each_call(rival.call, clock), rival.spins, FEW_ROUNDS if rare else None))
    return entries


def _trial(rival: Rival, mine: np.ndarray, clock: Clock) -> tuple[float, np.ndarray]:
    """Check a rival; the seconds of a call, the least of a few where it is short, and its result."""
    start = clock()
    returned = rival.call()
    seconds = clock() - start
    theirs = np.asarray(returned) if rival.fetch is None else rival.fetch()
    if rival.agree is not None:
        try:
            rival.agree(mine, theirs)
        except Disagreement as error:
            raise Disagreement(f"{ours.NAME} and {rival.name}: {error}") from None
    for _ in range(3):
        if seconds < LONG_TRIAL:
            start = clock()
            rival.call()
            seconds = min(seconds, clock() - start)
    return seconds, theirs


def same(mine: np.ndarray, theirs: np.ndarray) -> None:
    """Every value equal, and the shape."""
    within(0.0)(mine, theirs)


def within(allowed: float) -> Agree:
    """No value further apart than ``allowed``; NaN is far from everything."""

    def agree(mine: np.ndarray, theirs: np.ndarray) -> None:
        if mine.shape != theirs.shape:
            raise Disagreement(f"{mine.shape} beside {theirs.shape}")
        with np.errstate(invalid="ignore"):
            if mine.dtype == theirs.dtype and allowed == 0:
                wrong = mine != theirs
            else:
                wrong = ~(np.abs(mine.astype(np.float64) - theirs.astype(np.float64)) <= allowed)
        if wrong.any():
            at = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise Disagreement(
                f"{mine[at]} against {theirs[at]} at {at} ({allowed:g} allowed, {np.count_nonzero(wrong)} wrong)"
            )

    return agree
