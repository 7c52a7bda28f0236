"""gluon's blocks, layers and parameters beside MXNet 1.9.1 itself: what it did with small programs."""

import json
import math
import re
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernelwise import mxnet as mx
from kernelwise.mxnet import autograd, gluon, init, nd
from kernelwise.mxnet.gluon import nn
from recordings.behaviour import in_a_thread, names

HERE = Path(__file__).parent
RECORDED = json.loads((HERE / "recordings" / "mxnet_blocks.json").read_text(encoding="utf-8"))
DIFFERENT = json.loads((HERE / "recordings" / "mxnet_differences.json").read_text(encoding="utf-8"))["blocks"]
TABLE = (HERE.parent / "docs" / "mxnet.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"-?\d+\.\d*(?:e[+-]?\d+)?")
TOLERANCE = 3e-6  # of 1 or the value: layers add up in another order


def comparable(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without what differs by nature: addresses, rooms, the wording of MXNetErrors and of failed searches."""
    kept = dict(answer)
    message = kept.pop("message", "").replace(tempfile.gettempdir(), "/tmp")
    if "MXNetError" not in answer.get("error", ""):
        message = re.sub(r" ?For more info on naming.*", "", message)
        message = re.sub(r"(shape cannot be inferred\.).*", r"\1", message, flags=re.DOTALL)
        kept["message"] = re.sub(r"/tmp/tmp\w+", "FOLDER", message)
    text = json.dumps(kept, sort_keys=True).replace("kernelwise.mxnet", "mxnet")
    text = re.sub(r"0x[0-9a-f]+", "0x", text)
    text = re.sub(r"<class '[\w.]*\.(\w+)'>", r"<class '\1'>", text)
    return json.loads(text)  # type: ignore[no-any-return]


def same(wanted: Any, given: Any) -> bool:
    """To the letter, but for the last digits of numbers and the blanks that line them up."""
    texts = [re.sub(r"[ \n]+", " ", json.dumps(one, sort_keys=True).replace("\\n", " ")) for one in (wanted, given)]
    numbers = [[float(one) for one in NUMBER.findall(text)] for text in texts]
    words = [re.sub(r"\[ | (?=\])", lambda one: one[0].strip(), NUMBER.sub("#", text)) for text in texts]
    return words[0] == words[1] and all(
        p == q or abs(p - q) <= TOLERANCE * max(1, abs(p)) for p, q in zip(*numbers, strict=True)
    )


def test_programs_do_what_they_did_under_mxnet_but_for_the_differences_that_are_listed() -> None:
    space = names("kernelwise.mxnet")
    found = {}
    for one in RECORDED:
        wanted, given = comparable(one["answer"]), comparable(in_a_thread(one["code"], space))
        if not same(wanted, given):
            found[one["code"]] = (wanted, given)
    listed = {code for codes in DIFFERENT.values() for code in codes}
    missing = {code: found[code] for code in found.keys() - listed}
    assert found.keys() == listed, f"not listed: {missing}; listed, but the same: {listed - found.keys()}"
    assert len(RECORDED) >= 177


@pytest.mark.parametrize("why", DIFFERENT)
def test_a_difference_has_its_row_in_the_table(why: str) -> None:
    rows = [line for line in TABLE.splitlines() if line.startswith("| ")]
    assert any(why in row.rpartition(" | ")[2] for row in rows), why


def test_searching_for_shapes_computes_nothing_and_draws_nothing() -> None:
    """A first image costs about what a second one does, and does not change the running means or random numbers."""
    net = nn.HybridSequential()
    net.add(nn.Conv2D(4, 3), nn.BatchNorm(), nn.Dropout(0.5), nn.Dense(2))
    net.initialize(init.One())
    mx.random.seed(7)
    x = nd.ones((5, 2, 6, 6))
    with autograd.record():
        net.infer_shape(x)
    expected = mx.random.generator.Generator(7).uniform(0, 1, 3)
    assert np.array_equal(nd.random.uniform(shape=3).asnumpy(), expected)
    assert [one.shape for one in net.collect_params().values()] == [
        (4, 2, 3, 3), (4,), (4,), (4,), (4,), (4,), (2, 4 * 4 * 4), (2,),
    ]  # fmt: skip
    assert all(one.waits for one in net.collect_params(".*weight").values())


def test_parameters_of_a_block_are_on_as_many_contexts_as_it_was_initialized_on() -> None:
    net = nn.Dense(1, in_units=2)
    net.initialize(init.One(), ctx=[mx.cpu(0), mx.cpu(1)])
    parts = gluon.utils.split_and_load(nd.array([[1, 2], [3, 4]]), [mx.cpu(0), mx.cpu(1)])
    with autograd.record():
        losses = [net(part).sum() for part in parts]
    autograd.backward(losses)
    assert [one.asnumpy().tolist() for one in net.weight.list_grad()] == [[[1, 2]], [[3, 4]]]
    assert [one.context for one in losses] == [mx.cpu(0), mx.cpu(1)]


def test_weights_may_be_written_to_between_recordings() -> None:
    """The book's own update of a parameter: w[:] = w - rate * gradient."""
    net = nn.Dense(1, in_units=2, use_bias=False)
    net.initialize(init.One())
    x, y = nd.array([[1, 0], [0, 1], [1, 1]]), nd.array([[2], [-3], [-1]])
    losses = []
    for _ in range(60):
        with autograd.record():
            loss = ((net(x) - y) ** 2).mean()
        loss.backward()
        net.weight.data()[:] -= 0.5 * net.weight.grad()
        losses.append(float(loss.asscalar()))
    assert losses[-1] < 1e-6 < losses[0]
    assert np.allclose(net.weight.data().asnumpy(), [[2, -3]], atol=1e-3)


def test_the_block_of_the_deck_trains_here() -> None:
    """Its results are written into an array one by one, which MXNet cannot differentiate."""

    class Conv2D(nn.Block):
        def __init__(self, kernel_size: tuple[int, int]) -> None:
            super().__init__()
            self.weight = self.params.get("weight", shape=kernel_size)

        def forward(self, x: Any) -> Any:
            weight = self.weight.data()
            h, w = weight.shape
            out = nd.zeros((x.shape[0] - h + 1, x.shape[1] - w + 1))
            for i in range(out.shape[0]):
                for j in range(out.shape[1]):
                    out[i, j] = (x[i : i + h, j : j + w] * weight).sum()
            return out

    x = nd.ones((3, 8))
    x[:, 2:6] = 0
    y = x[:, :-1] - x[:, 1:]
    net = Conv2D((1, 2))
    net.initialize()
    for _ in range(40):
        with autograd.record():
            loss = ((net(x) - y) ** 2).sum()
        loss.backward()
        net.weight.data()[:] -= 0.05 * net.weight.grad()
    assert np.allclose(net.weight.data().asnumpy(), [[1, -1]], atol=1e-3)
    assert math.isfinite(loss.asscalar())


@pytest.mark.parametrize(
    "call",
    [
        lambda: gluon.SymbolBlock(),
        lambda: gluon.model_zoo.vision.resnet18_v1(),
        lambda: gluon.rnn.LSTM(3),
        lambda: nn.Dense(1).export("x"),
        lambda: nn.Dense(1).summary(nd.ones((1, 1))),
        lambda: nn.Dense(1).save("x"),
        lambda: nn.Embedding(2, 3, sparse_grad=True),
        lambda: gluon.Parameter("w", shape=(1,), stype="row_sparse"),
        lambda: init.LSTMBias(),
    ],
)
def test_what_is_not_covered_names_the_nearest_way(call: Any) -> None:
    with pytest.raises(NotImplementedError, match="torch|PyTorch"):
        call()
