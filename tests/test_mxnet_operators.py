"""kernelwise.mxnet's operators beside MXNet 1.9.1 itself: 1,682 calls whose results, gradients and errors it gave."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernelwise.mxnet import autograd, nd
from recordings.operators import run

HERE = Path(__file__).parent
CALLS = [json.loads(line) for line in (HERE / "recordings" / "mxnet_operators.json").read_text().splitlines()]
DIFFERENT = json.loads((HERE / "recordings" / "mxnet_differences.json").read_text())["operators"]
TABLE = (HERE.parent / "docs" / "mxnet.md").read_text()
TOLERANCE = {"float16": 2e-3, "float32": 3e-6, "float64": 1e-12}  # of 1 or the value: operators round differently


def same(wanted: Any, given: Any) -> bool:
    """Whether two answers are the same: class of error, or dtype, shape and values."""
    if not isinstance(wanted, list) or not isinstance(given, list):
        return bool(wanted == given)
    if wanted and isinstance(wanted[0], list):
        return len(wanted) == len(given) and all(map(same, wanted, given))
    if wanted[:2] != given[:2]:
        return False
    within = TOLERANCE.get(wanted[0], 0.0)
    return all(close(float(p), float(q), within) for p, q in zip(wanted[2], given[2], strict=True))


def close(p: float, q: float, within: float) -> bool:
    return p == q or (math.isnan(p) and math.isnan(q)) or abs(p - q) <= within * max(1.0, abs(p))


def test_operators_give_what_mxnet_gave_but_for_the_differences_that_are_listed() -> None:
    found = set()
    for asked, code, array, wanted in CALLS:
        space = {"np": np, "nd": nd, "autograd": autograd}
        with np.errstate(all="ignore"):
            given = run(asked, code, array, space)
        if not same(wanted, given):
            found.add(code)
    listed = {code for codes in DIFFERENT.values() for code in codes}
    assert found == listed, f"not listed: {found - listed}; listed, but the same: {listed - found}"
    assert len(CALLS) == 1682


@pytest.mark.parametrize("why", DIFFERENT)
def test_a_difference_has_its_row_in_the_table(why: str) -> None:
    rows = [line for line in TABLE.splitlines() if line.startswith("| ")]
    assert any(why in row.rpartition(" | ")[2] for row in rows), why
