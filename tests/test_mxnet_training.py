"""Losses, trainers, metrics and data of kernelwise.mxnet beside MXNet 1.9.1 itself: what it did with small programs."""

import gzip
import hashlib
import json
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

from kernelwise import mxnet as mx
from kernelwise.mxnet import autograd, gluon, init, nd
from kernelwise.mxnet.gluon import nn
from kernelwise.mxnet.gluon.data import ArrayDataset, DataLoader, vision
from recordings.behaviour import in_a_thread, names
from test_mxnet_blocks import comparable, same

HERE = Path(__file__).parent
RECORDED = json.loads((HERE / "recordings" / "mxnet_training.json").read_text(encoding="utf-8"))
DIFFERENT = json.loads((HERE / "recordings" / "mxnet_differences.json").read_text(encoding="utf-8"))["training"]
TABLE = (HERE.parent / "docs" / "mxnet.md").read_text(encoding="utf-8")


def test_programs_do_what_they_did_under_mxnet_but_for_the_differences_that_are_listed() -> None:
    space = names("kernelwise.mxnet")
    found = {}
    for one in RECORDED:
        wanted, given = comparable(one["answer"]), comparable(in_a_thread(one["code"], space))
        if wanted.get("error") == "builtins.AssertionError" and not wanted["message"]:
            given["message"] = ""  # MXNet says nothing there
        if not same(wanted, given):
            found[one["code"]] = (wanted, given)
    mx.random.seed(0)
    listed = {code for codes in DIFFERENT.values() for code in codes}
    assert found.keys() == listed, f"{ {c: found[c] for c in found.keys() - listed} }; same: {listed - found.keys()}"
    assert len(RECORDED) >= 230


@pytest.mark.parametrize("why", DIFFERENT)
def test_a_difference_has_its_row_in_the_table(why: str) -> None:
    rows = [line for line in TABLE.splitlines() if line.startswith("| ")]
    assert any(why in row.rpartition(" | ")[2] for row in rows), why


# ---------------------------------------------------------------- optimizers


def steps(optimizer: str, options: dict[str, Any]) -> np.ndarray:
    """The weights after five steps on gradients that everybody can compute."""
    rng = np.random.RandomState(0)
    weight = gluon.Parameter("w", shape=(1000,))
    weight.initialize(init.Zero())
    weight.set_data(nd.array(rng.randn(1000)))
    trainer = gluon.Trainer([weight], optimizer, options)
    for _ in range(5):
        with autograd.record():
            loss = (weight.data() * nd.array(rng.randn(1000))).sum()
        loss.backward()
        trainer.step(7)
    found: np.ndarray = weight.data().asnumpy()
    return found


DIGESTS = {  # of the bytes of MXNet 1.9.1's own weights (MXNET_MKLDNN_ENABLED=0)
    ("sgd", '{"learning_rate": 0.1}'): "bbd6cc6c0bfd5306",
    ("sgd", '{"learning_rate": 0.0371, "momentum": 0.9, "wd": 0.001}'): "24ab74f69219360a",
    ("sgd", '{"learning_rate": 0.0371, "momentum": 0.83, "wd": 0.0003, "clip_gradient": 0.05}'): "d3b6bc2d90db5b14",
    ("adam", "{}"): "1ce761d5669f034a",
    (
        "adam",
        '{"learning_rate": 0.0371, "beta1": 0.8, "beta2": 0.99, "epsilon": 1e-06, "wd": 0.01}',
    ): "64f2d70637b40cb0",
}


@pytest.mark.parametrize(("optimizer", "options"), DIGESTS)
def test_weights_are_those_of_mxnet_to_the_bit(optimizer: str, options: str) -> None:
    digest = hashlib.sha256(steps(optimizer, json.loads(options)).tobytes()).hexdigest()
    assert digest[:16] == DIGESTS[optimizer, options]


def regression() -> tuple[Any, Any, Any]:
    net = nn.Dense(1, in_units=3)
    net.initialize(init.One())
    x = nd.array(np.random.default_rng(0).standard_normal((8, 3)))
    return net, x, x.sum(axis=1) * 0.5


def descend(net: Any, x: Any, y: Any, trainer: Any, count: int) -> list[float]:
    losses = []
    for _ in range(count):
        with autograd.record():
            loss = gluon.loss.L2Loss()(net(x), y)
        loss.backward()
        trainer.step(8)
        losses.append(float(loss.mean().asscalar()))
    return losses


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [("sgd", {"momentum": 0.9}), ("adam", {}), ("sgd", {"lr_scheduler": "factor"})],
)
def test_a_trainer_with_states_from_a_file_goes_on_as_if_it_had_never_stopped(
    optimizer: str, options: dict[str, Any], tmp_path: Path
) -> None:
    def trainer(net: Any) -> Any:
        made = dict(options)
        if "lr_scheduler" in made:
            made["lr_scheduler"] = mx.lr_scheduler.FactorScheduler(2, 0.5, base_lr=0.2)
        return gluon.Trainer(net.collect_params(), optimizer, made)

    net, x, y = regression()
    whole = trainer(net)
    descend(net, x, y, whole, 3)
    whole.save_states(tmp_path / "states")
    net.save_parameters(str(tmp_path / "net"))
    expected = descend(net, x, y, whole, 4)
    other, _, _ = regression()
    other.load_parameters(str(tmp_path / "net"))
    resumed = trainer(other)
    resumed.load_states(tmp_path / "states")
    assert descend(other, x, y, resumed, 4) == expected
    assert resumed.learning_rate == whole.learning_rate


def test_states_of_another_trainer_and_other_files_are_refused(tmp_path: Path) -> None:
    net, x, y = regression()
    trainer = gluon.Trainer(net.collect_params(), "adam")
    descend(net, x, y, trainer, 1)
    trainer.save_states(tmp_path / "states")
    with pytest.raises(mx.MXNetError, match="SGD"):
        gluon.Trainer(net.collect_params(), "sgd").load_states(tmp_path / "states")
    with pytest.raises(mx.MXNetError, match="more than this trainer's 1"):
        gluon.Trainer([net.weight], "adam").load_states(tmp_path / "states")
    wide = nn.Dense(1, in_units=5)
    wide.initialize()
    with pytest.raises(mx.MXNetError, match="do not fit"):
        gluon.Trainer(wide.collect_params(), "adam").load_states(tmp_path / "states")
    nd.save(tmp_path / "other", [nd.ones((2,))])
    with pytest.raises(mx.MXNetError, match="no file of Trainer"):
        trainer.load_states(tmp_path / "other")


# ---------------------------------------------------------------- data


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_batches_come_in_order_however_many_threads_make_them(workers: int) -> None:
    data = ArrayDataset(nd.arange(40).reshape((20, 2)), np.arange(20)).transform_first(lambda x: x * 2)
    batches = list(DataLoader(data, 6, num_workers=workers))
    assert [len(x) for x, _ in batches] == [6, 6, 6, 2]
    assert np.array_equal(np.concatenate([x.asnumpy() for x, _ in batches]), 2 * np.arange(40).reshape(20, 2))
    assert np.array_equal(np.concatenate([y.asnumpy() for _, y in batches]), np.arange(20))


def test_an_error_in_a_worker_is_the_programs_own() -> None:
    def fail(x: Any) -> Any:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        list(DataLoader(ArrayDataset(nd.ones((4, 1))).transform(fail), 2, num_workers=2))


def idx(numbers: np.ndarray) -> bytes:
    return bytes((0, 0, 8, numbers.ndim)) + struct.pack(f">{numbers.ndim}I", *numbers.shape) + numbers.tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Files like MNIST's: those to train with as they are, those to test with packed."""
    rng = np.random.default_rng(1)
    for part, count in (("train", 5), ("t10k", 3)):
        images = idx(rng.integers(0, 256, (count, 28, 28), np.uint8))
        labels = idx(np.arange(count, dtype=np.uint8))
        for name, content in (("images-idx3", images), ("labels-idx1", labels)):
            file = tmp_path / f"{part}-{name}-ubyte"
            if part == "train":
                file.write_bytes(content)
            else:
                file.with_name(file.name + ".gz").write_bytes(gzip.compress(content))
    yield tmp_path


@pytest.mark.parametrize("kind", [vision.MNIST, vision.FashionMNIST])
def test_images_are_read_from_local_files_packed_or_not(kind: Any, folder: Path) -> None:
    train, test = kind(folder, train=True), kind(str(folder), train=False)
    assert (len(train), len(test)) == (5, 3)
    image, label = train[2]
    assert (image.shape, image.dtype, label, label.dtype) == ((28, 28, 1), np.uint8, 2, np.int32)
    raw = (folder / "train-images-idx3-ubyte").read_bytes()[16:]
    assert np.array_equal(image.asnumpy().reshape(-1), np.frombuffer(raw, np.uint8)[2 * 784 : 3 * 784])
    x, y = next(iter(DataLoader(test.transform_first(vision.transforms.ToTensor()), 3)))
    assert (x.shape, x.dtype, y.dtype) == ((3, 1, 28, 28), np.float32, np.int32)
    assert float(x.max().asscalar()) <= 1.0


def test_missing_files_are_named_and_nothing_is_downloaded(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = re.escape(str(tmp_path / "none" / "t10k-images-idx3-ubyte"))
    with pytest.raises(FileNotFoundError, match=f"downloads nothing.*{missing}.*t10k-labels-idx1-ubyte"):
        vision.MNIST(tmp_path / "none", train=False)
    monkeypatch.setenv("MXNET_HOME", str(tmp_path / "home"))
    with pytest.raises(FileNotFoundError, match="home.datasets.fashion-mnist.train-images"):
        vision.FashionMNIST()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\0\0\x08\x01", "no idx file"),
        (b"\0\0\x0d\x03" + bytes(12), "no idx file"),
        (idx(np.zeros((2, 28, 28), np.uint8))[:-1], "should hold"),
        (idx(np.zeros((2, 28, 28), np.uint8)), "holds 2 images"),
    ],
)
def test_files_of_another_kind_are_refused(content: bytes, message: str, folder: Path) -> None:
    (folder / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        vision.MNIST(folder)


def test_a_file_that_cannot_be_unpacked_is_named(folder: Path) -> None:
    file = folder / "t10k-labels-idx1-ubyte.gz"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(ValueError, match="t10k-labels-idx1-ubyte.gz cannot be unpacked"):
        vision.MNIST(folder, train=False)


# ---------------------------------------------------------------- the rest


def test_arrays_that_differ_are_told_where_and_by_how_much() -> None:
    with pytest.raises(AssertionError, match=r"mismatch 50.000000%.*\n.*\(1,\), a=1.0+, b=2.0+"):
        mx.test_utils.assert_almost_equal(nd.ones((2,)), np.array([1, 2]))
    with pytest.raises(AssertionError, match=r"maximum error: \(1,\)"):
        mx.test_utils.assert_almost_equal(nd.array([1, np.nan]), nd.array([1, np.nan]))


@pytest.mark.parametrize(
    "call",
    [
        lambda: gluon.loss.CTCLoss(),
        lambda: mx.optimizer.create("rmsprop"),
        lambda: gluon.Trainer([], "adagrad"),
        lambda: gluon.Trainer([], "sgd", kvstore="dist_sync"),
        lambda: mx.optimizer.get_updater(mx.optimizer.SGD()).get_states(),
        lambda: mx.metric.F1(),
        lambda: mx.metric.create("mcc"),
        lambda: gluon.data.vision.CIFAR10(),
        lambda: gluon.data.RecordFileDataset("x"),
        lambda: vision.transforms.RandomFlipLeftRight(),
        lambda: mx.image.imread("x"),
        lambda: mx.image.imresize(nd.ones((2, 2, 1)), 3, 3, 2),
        lambda: mx.test_utils.check_speed(),
        lambda: mx.util.use_np(lambda: 0),
    ],
)
def test_what_is_not_covered_names_another_way(call: Any) -> None:
    with pytest.raises(NotImplementedError, match="torch|Dataset|sklearn|matplotlib|Trainer"):
        call()
