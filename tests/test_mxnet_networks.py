"""The networks of the chapters on convolution, by MXNet's names: they train, and LeNet prints what MXNet printed."""

import importlib
import json
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")
import torch

from kernelwise import mxnet as mx
from kernelwise.mxnet import autograd, init, naming, nd
from recordings.lenet import PRINTED, PROGRAM

RECORDED = json.loads(PRINTED.read_text(encoding="utf-8"))
TINY: dict[str, tuple[int, dict[str, Any]]] = {  # by how much narrower, and with fewer blocks
    "padding": (2, {}),
    "channels": (2, {}),
    "pooling": (2, {}),
    "lenet": (1, {}),
    "batch_norm": (1, {}),
    "own_batch_norm": (1, {}),
    "alexnet": (8, {}),
    "vgg": (8, {}),
    "nin": (8, {}),
    "googlenet": (8, {"stages": (((64, (96, 128), (16, 32), 32),),)}),
    "resnet": (8, {"blocks": 1}),
    "densenet": (4, {"layers": 2}),
}


@pytest.fixture
def chapters(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ModuleType, ModuleType]]:
    """examples/mxnet/networks.py and train.py, on the door."""
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.syspath_prepend(PROGRAM.parent)
    before = set(sys.modules)
    naming.install()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # whose idle threads spin where it was imported before the door
    try:
        yield importlib.import_module("networks"), importlib.import_module("train")
    finally:
        for name in {"networks", "train"} | {one for one in set(sys.modules) - before if one.startswith("mxnet")}:
            sys.modules.pop(name, None)
        mx.random.seed(0)
        torch.set_num_threads(threads)


@pytest.mark.parametrize("training", RECORDED)
def test_lenet_prints_mxnets_own_losses_to_the_last_digit(
    training: str,
    chapters: tuple[ModuleType, ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", *training.split()])
    mx.random.seed(0)  # as a process begins
    chapters[1].main()
    assert capsys.readouterr().out.splitlines() == RECORDED[training]


def train(chapters: tuple[ModuleType, ModuleType], name: str, narrow: int, more: dict[str, Any], **how: Any) -> Any:
    """The losses of a training."""
    networks, digits = chapters
    make, pixels, usual = networks.NETWORKS[name]
    how.setdefault("rate", usual)
    mx.random.seed(0)
    images, labels = digits.load(pixels, how["training"])
    steps = digits.train(make(narrow, **more), images, labels, **how)
    return [float(loss) for loss, _, _ in steps]


def test_small_networks_of_all_chapters_train_on_digits_and_their_loss_falls(
    chapters: tuple[ModuleType, ModuleType],
) -> None:
    assert TINY.keys() == chapters[0].NETWORKS.keys()
    losses = {n: train(chapters, n, *how, epochs=4, batch=16, training=64) for n, how in TINY.items()}
    risen = {name: found for name, found in losses.items() if not found[-1] < found[0] - 5e-4}
    assert not risen
    assert np.allclose(losses["own_batch_norm"], losses["batch_norm"], rtol=1e-3)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "narrow"), [(name, {"channels": 1, "densenet": 2}.get(name, 4)) for name in TINY if name != "lenet"]
)
def test_larger_networks_learn_the_digits(name: str, narrow: int, chapters: tuple[ModuleType, ModuleType]) -> None:
    """Weights that keep the size of what goes through them: many layers without batch norm begin slowly otherwise."""
    how = {
        "epochs": 16,
        "batch": 32,
        "training": 1000,
        "rate": 0.002 if name == "channels" else 0.001,
        "optimizer": "adam",
        "start": init.MSRAPrelu(),
    }
    losses = train(chapters, name, narrow, {}, **how)
    assert losses[-1] < 0.5 * losses[0], losses


def test_a_layer_of_ones_own_made_of_corr2d_learns_the_edges_of_digits(
    chapters: tuple[ModuleType, ModuleType],
) -> None:
    """Kernel and bias by gradient descent, through arrays written number by number."""
    networks, digits = chapters
    images, _ = digits.load(8, 1)
    x = nd.array(images[0, 0])
    y = networks.corr2d(x, nd.array([[1, -1]])) + 0.25
    layer = networks.OwnConv2D((1, 2))
    layer.initialize()
    losses = []
    for _ in range(60):
        with autograd.record():
            loss = ((layer(x) - y) ** 2).mean()
        loss.backward()
        for one in (layer.weight, layer.bias):
            one.data()[:] -= 0.3 * one.grad()
        losses.append(float(loss.asscalar()))
    assert losses[-1] < 1e-3 < 1e-2 < losses[0]
    assert np.allclose(layer.weight.data().asnumpy(), [[1, -1]], atol=0.05)
    assert np.allclose(layer.bias.data().asnumpy(), 0.25, atol=0.05)
