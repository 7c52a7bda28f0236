"""The benchmark of fits, tiny: everybody's sums are those of the definition, and a wrong one is found."""

import numpy as np
import pytest

from kernelwise.app.bench import comparison, fits, report
from kernelwise.app.bench.agree import Disagreement
from kernelwise.app.bench.comparison import Comparison, Prepared
from kernelwise.app.bench.timing import Pace

TINY = Pace(least=1, most=1, budget=0.0, hopeless=float("inf"))
MADE = {
    "sums": lambda threads: fits.prepare_sums(40, 3, threads),
    "weights": lambda threads: fits.prepare_weighted(40, 3, threads),
    "mask": lambda threads: fits.prepare_masked(60, 3, threads),
    "fit": lambda threads: fits.prepare_fit((400, 420), 7, threads),
}


@pytest.mark.parametrize("what", MADE)
def test_every_kind_of_row_runs_and_agrees(what: str) -> None:
    results = comparison.measure(Comparison(fits.SUMS, "tiny", "f32->f64", what, MADE[what]), [1, 2], TINY)
    for result in results:
        assert (result.status, result.why) == ("ok", "")


@pytest.mark.parametrize("what", MADE)
def test_a_wrong_result_is_found(what: str) -> None:
    made: Prepared = MADE[what](1)
    good = made.ours()
    made.check(good)
    wrong = good.copy()
    wrong.flat[0] *= 1.5
    with pytest.raises(Disagreement):
        made.check(wrong)
    wrong.flat[0] = np.nan
    with pytest.raises(Disagreement):
        made.check(wrong)


def test_numpys_least_squares_finds_the_same_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fits, "PHOTO", (400, 420))
    made = fits.prepare_fit((400, 420), 7, 1)
    (rival,) = made.rivals
    assert np.abs(np.asarray(rival.call()) - made.ours()).max() < 1e-9


def test_rows_have_sections_and_names_of_their_own() -> None:
    rows = fits.rows()
    assert len({row.name for row in rows}) == len(rows) > len(fits.quick())
    assert {row.section for row in [*rows, *fits.quick()]} <= set(report.SECTIONS)
