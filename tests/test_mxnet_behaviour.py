"""kernelwise.mxnet beside MXNet 1.9.1 itself: what it did with pieces of code, compared to the letter."""

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recordings.behaviour import in_a_thread, names

HERE = Path(__file__).parent
DIFFERENT = json.loads((HERE / "recordings" / "mxnet_differences.json").read_text())["behaviour"]
TABLE = (HERE.parent / "docs" / "mxnet.md").read_text()
GROUPS = (
    "arith assign autograd block conv creation deckblock errors gluon index init reduce repr scalar shape train"
).split()
RECORDED = json.loads((HERE / "recordings" / "mxnet_behaviour.json").read_text(encoding="utf-8"))
COMPARED = [one for one in RECORDED if one["group"] in GROUPS]


def comparable(answer: dict[str, Any]) -> str:
    """An answer without what differs by nature: addresses, the module's name, the wording of errors."""
    kept = json.dumps({key: value for key, value in answer.items() if key != "message"}, sort_keys=True)
    return re.sub(r"0x[0-9a-f]+", "0x", kept).replace("kernelwise.mxnet", "mxnet")


@pytest.fixture(scope="module")
def answers() -> Iterator[dict[str, dict[str, Any]]]:
    """What the door does with each snippet."""
    space = names("kernelwise.mxnet")
    yield {one["code"]: in_a_thread(one["code"], space) for one in COMPARED}
    importlib.import_module("kernelwise.mxnet").random.seed(0)


def test_code_does_what_it_did_under_mxnet_but_for_the_differences_that_are_listed(
    answers: dict[str, dict[str, Any]],
) -> None:
    found = {one["code"] for one in COMPARED if comparable(one["answer"]) != comparable(answers[one["code"]])}
    listed = {code for codes in DIFFERENT.values() for code in codes}
    assert found == listed, f"not listed: {found - listed}; listed, but the same: {listed - found}"
    assert len(found) <= 0.05 * len(COMPARED)


def test_a_difference_of_ours_is_no_crash(answers: dict[str, dict[str, Any]]) -> None:
    ours = {"mxnet.base.MXNetError", "mxnet.base.DivisionByZeroError", "builtins.NotImplementedError"}
    for code in (code for codes in DIFFERENT.values() for code in codes):
        error = answers[code].get("error", "").removeprefix("kernelwise.")
        assert not error or error in ours, f"{error}: {code}"


@pytest.mark.parametrize("why", DIFFERENT)
def test_a_difference_has_its_row_in_the_table(why: str) -> None:
    rows = [line for line in TABLE.splitlines() if line.startswith("| ")]
    assert any(why in row.rpartition(" | ")[2] for row in rows), why
