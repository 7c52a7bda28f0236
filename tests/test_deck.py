"""The deck, examples/deck/deck.ipynb: its cells run in order, and come to what its text says."""

import contextlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")
pytest.importorskip("skimage")
pytest.importorskip("matplotlib")
import matplotlib.pyplot as plt

from kernelwise import mxnet as mx

NOTEBOOK = Path(__file__).parents[1] / "examples" / "deck" / "deck.ipynb"
CELLS = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]


@pytest.fixture(scope="module")
def lecture() -> Iterator[tuple[dict[str, Any], str]]:
    """The names that are there at the end, and all that was printed."""
    backend = plt.get_backend()
    plt.switch_backend("agg")
    space: dict[str, Any] = {"__name__": "deck"}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), np.printoptions(legacy="1.25"):
        for cell in CELLS:
            if cell["cell_type"] == "code":
                exec("".join(cell["source"]), space)
    yield space, printed.getvalue()
    plt.close("all")
    plt.switch_backend(backend)
    mx.random.seed(0)


def test_the_four_steps_print_the_numbers_that_the_lecture_is_known_for(lecture: tuple[dict[str, Any], str]) -> None:
    printed = lecture[1]
    assert "[[19. 25.]\n [37. 43.]]\n<NDArray 2x2 @cpu(0)>" in printed
    assert printed.count("[ 0.  1.  0.  0.  0. -1.  0.]") == 6
    assert re.findall(r"loss (\d\.\d{3})", printed) == ["4.949", "0.831", "0.140", "0.024", "0.004"]
    assert "[[ 0.9895    -0.9873705]]" in printed


def test_the_layers_of_the_second_step_are_one_and_train(lecture: tuple[dict[str, Any], str]) -> None:
    space = lecture[0]
    assert np.array_equal(space["one"], space["other"])
    assert np.allclose(space["own"].weight.data().asnumpy(), [[1, -1]], atol=1e-2)


def test_error_bars_hold_the_hidden_kernel_and_descent_comes_to_it_slowly(
    lecture: tuple[dict[str, Any], str],
) -> None:
    space = lecture[0]
    assert space["fit"].kernel.shape == (5, 5)
    assert np.mean(np.abs(space["away"]) < 2) > 0.85 and np.abs(space["away"]).max() < 4
    assert abs(space["fit"].background - 0.05) < 1e-3
    assert space["errors"] == sorted(space["errors"], reverse=True)
    assert np.abs(space["fit"].kernel - space["true"]).max() < space["errors"][-1]


def test_the_notebook_is_kept_without_results_and_says_which_cells_are_slides() -> None:
    for cell in CELLS:
        assert cell["metadata"]["slideshow"]["slide_type"] in ("slide", "subslide", "fragment", "skip", "-")
        if cell["cell_type"] == "code":
            assert cell["outputs"] == [] and cell["execution_count"] is None
