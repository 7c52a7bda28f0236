"""kernelwise.mxnet beyond MXNet: writing while recording, errors that help, files, what is not covered."""

import copy
import os
import pickle
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from types import new_class

import numpy as np
import pytest

import kernelwise as kw
import kernelwise.mxnet as mx
import kernelwise.torch as kt
from kernelwise.mxnet import autograd, nd
from kernelwise.mxnet.base import MXNetError
from kernelwise.torch import engine


def gradient(function: Callable, values: list[float]) -> list[float]:
    """The derivative of the sum of a recorded function."""
    x = nd.array(values)
    x.attach_grad()
    with autograd.record():
        y = function(x)
    y.backward()
    return x.grad.asnumpy().tolist()


def corr2d(X: nd.NDArray, K: nd.NDArray) -> nd.NDArray:
    """Cross-correlation, element by element, written into an array of zeros."""
    h, w = K.shape
    Y = nd.zeros((X.shape[0] - h + 1, X.shape[1] - w + 1))
    for i in range(Y.shape[0]):
        for j in range(Y.shape[1]):
            Y[i, j] = (X[i : i + h, j : j + w] * K).sum()
    return Y


# ---------------------------------------------------------------- writing while recording


def test_a_kernel_is_learned_through_a_loop_that_writes_element_by_element() -> None:
    X = nd.ones((6, 8))
    X[:, 2:6] = 0
    wanted = corr2d(X, nd.array([[1, -1]]))
    kernel = nd.array([[0.0068339, 0.01299825]])
    kernel.attach_grad()
    losses = []
    for _ in range(10):
        with autograd.record():
            loss = (corr2d(X, kernel) - wanted) ** 2
        loss.backward()
        kernel[:] -= 3e-2 * kernel.grad
        losses.append(f"{loss.sum().asscalar():.3f}")
    assert losses[1::2] == ["4.949", "0.831", "0.140", "0.024", "0.004"]
    assert np.allclose(kernel.asnumpy(), [[0.9895, -0.9873705]], atol=1e-6)


def into_a_row(x: nd.NDArray) -> nd.NDArray:
    y = nd.zeros((2, 3))
    row = y[0]
    row[:] = x * x
    return y * 2


def into_a_view_of_a_view(x: nd.NDArray) -> nd.NDArray:
    y = nd.zeros((2, 3))
    y.reshape((3, 2))[0][1] = x[1] * 3
    return y * y


def over_an_exponential(x: nd.NDArray) -> nd.NDArray:
    y = nd.exp(x)
    y += 1
    return y * x


def over_an_element(x: nd.NDArray) -> nd.NDArray:
    y = x * 2
    y[1] = 5
    return y * x


def by_indices(x: nd.NDArray) -> nd.NDArray:
    y = nd.zeros((4,))
    y[[0, 2]] = x[0:2]
    return y * y


def from_its_own_elements(x: nd.NDArray) -> nd.NDArray:
    y = nd.zeros((3,))
    y[0] = x[0]
    for i in range(1, 3):
        y[i] = y[i - 1] * x[i]
    return y


def with_out(x: nd.NDArray) -> nd.NDArray:
    y = nd.zeros((3,))
    nd.square(x, out=y)
    return y * y


E = np.exp([1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (into_a_row, [4, 8, 12]),
        (into_a_view_of_a_view, [0, 36, 0]),
        (over_an_exponential, (E * [1, 2, 3] + E + 1).tolist()),
        (over_an_element, [4, 5, 12]),
        (by_indices, [2, 4, 0]),
        (with_out, [4, 32, 108]),
        (from_its_own_elements, [1 + 2 + 6, 1 + 3, 2]),
    ],
)
def test_what_is_written_while_recording_is_differentiated(function: Callable, wanted: list[float]) -> None:
    assert gradient(function, [1, 2, 3]) == pytest.approx(wanted, rel=1e-6)


def write_at_random(x: nd.NDArray, seed: int) -> nd.NDArray:
    """A program of twelve steps that writes, reads and views an array of four numbers made from x, also four."""
    rng = np.random.default_rng(seed)
    y = nd.zeros((2, 2), dtype="float64") if seed % 2 else (x * 2).reshape((2, 2))
    views = [y]
    for _ in range(12):
        target, source = (views[i] for i in rng.integers(0, len(views), 2))
        i, j, row = (int(k) for k in rng.integers(0, 2, 3))
        match int(rng.integers(0, 9)):
            case 0:
                y[i, j] = x[2 * row + j] * y[j, i]
            case 1:
                y[row] = x[2 * i : 2 * i + 2] * 1.5
            case 2:
                y[:, j] = y[:, 1 - j] + x[i : i + 2]
            case 3:
                views.append(y[row] if i else y.reshape((4,)))
            case 4:
                target[:] = nd.sin(source.reshape((-1,))[0]) if i else target * x[row]
            case 5:
                target += 0.5 if i else x[row]
            case 6:
                target *= x[2 * i + j]
            case 7:
                y[:] = nd.exp(y * 0.1)
            case _:
                target[0:1] = 0.25
    return (y * y.reshape((2, 2)) + sum((view.sum() for view in views), start=nd.zeros((1,), dtype="float64"))).sum()


def test_whatever_is_written_while_recording_the_gradient_is_that_of_the_numbers_or_an_error() -> None:
    point, step = np.array([0.3, -0.7, 1.1, 0.9]), 1e-6
    right = 0
    for seed in range(60):
        x = nd.array(point, dtype="float64")
        x.attach_grad()
        try:
            with autograd.record():
                y = write_at_random(x, seed)
            y.backward()
        except MXNetError as error:
            assert "Write to a copy" in str(error) or "not in a computational graph" in str(error), seed
            continue
        plain = [nd.array(point + step * np.eye(4)[k] * sign, dtype="float64") for k in range(4) for sign in (1, -1)]
        values = [write_at_random(one, seed).asscalar() for one in plain]
        slopes = [(above - below) / (2 * step) for above, below in zip(values[::2], values[1::2], strict=True)]
        assert np.allclose(x.grad.asnumpy(), slopes, rtol=1e-5, atol=1e-6), seed
        right += 1
    assert right > 40


def test_an_array_with_a_gradient_attached_is_not_written_to_while_recording() -> None:
    x = nd.ones((3,))
    x.attach_grad()
    for write in (lambda: x.__setitem__(0, 5), lambda: x.__iadd__(1), lambda: x[0:2].__setitem__(slice(None), 0)):
        with autograd.record(), pytest.raises(MXNetError, match=r"Write to a copy of it, y = x \* 1"):
            write()
    assert x.asnumpy().tolist() == [1, 1, 1]
    x[:] = 2  # outside of record() it is
    assert x.asnumpy().tolist() == [2, 2, 2]


def test_writing_over_numbers_that_a_gradient_needs_says_what_to_do() -> None:
    x = nd.ones((3,))
    x.attach_grad()
    with autograd.record():
        y = x * x
    x[:] = 2  # before backward() has used the old ones
    with pytest.raises(MXNetError, match="nd.stack or nd.concat"):
        y.backward()


def test_a_view_taken_while_nothing_is_recorded_is_a_constant() -> None:
    x = nd.ones((3,))
    x.attach_grad()
    with autograd.record():
        y = x * 3
        y[0] = x[1]
        with autograd.pause():
            aside, whole = y[0:2], y.reshape((3, 1))
        z = (aside * 10).sum() + (whole * x.reshape((3, 1))).sum()
    z.backward()
    assert x.grad.asnumpy().tolist() == [1, 3, 3]


def test_what_is_written_in_a_pause_is_seen_by_what_is_recorded_after_it() -> None:
    x = nd.ones((3,))
    x.attach_grad()
    with autograd.record():
        y = x * 3
        first = y[0:2]
        with autograd.pause():
            first[0] = 7
            y[2] = 5
        z = y * 2
    z.backward()
    assert z.asnumpy().tolist() == [14, 6, 10] and x.grad.asnumpy().tolist() == [6, 6, 6]


def test_overlapping_parts_of_an_array_are_written_as_if_copied_first() -> None:
    x = nd.arange(5)
    x[1:4] = x[0:3]
    assert x.asnumpy().tolist() == [0, 0, 1, 2, 4]
    x[::-1] = x
    assert x.asnumpy().tolist() == [4, 2, 1, 0, 0]


# ---------------------------------------------------------------- errors that help


def test_whole_numbers_divided_by_zero_are_an_error_of_both_families() -> None:
    whole = nd.array([1, 2], dtype="int32")
    for divide in (lambda: whole / 0, lambda: whole / nd.array([1, 0], dtype="int32"), lambda: 5 / (whole - 1)):
        with pytest.raises(MXNetError, match="int32 was divided by zero") as caught:
            divide()
        assert isinstance(caught.value, ZeroDivisionError)
    assert (nd.array([1.0]) / 0).asscalar() == np.inf


def test_a_head_gradient_of_another_shape_or_dtype_is_refused() -> None:
    x = nd.arange(3)
    x.attach_grad()
    for head in (nd.array([1, 10]), nd.ones((3, 1)), nd.ones((3,), dtype="float64")):
        with autograd.record():
            y = x * 2
        with pytest.raises(MXNetError, match=r"shape and dtype of its head, \(3,\) of float32 \(got"):
            y.backward(head)


def test_a_kernel_larger_than_the_image_names_both() -> None:
    images, kernel = nd.ones((1, 1, 3, 7)), nd.ones((1, 1, 5, 2))
    with pytest.raises(MXNetError, match="a kernel of 5x2 does not fit into images of 3x7 padded by 0x1"):
        nd.Convolution(images, kernel, kernel=(5, 2), pad=(0, 1), num_filter=1, no_bias=True)
    with pytest.raises(MXNetError, match="a kernel of 3x2 dilated by 2x1 does not fit into images of 3x7"):
        nd.Convolution(images, nd.ones((1, 1, 3, 2)), kernel=(3, 2), dilate=(2, 1), num_filter=1, no_bias=True)


def test_nothing_can_be_made_on_a_gpu() -> None:
    assert mx.gpu(1) == mx.Context("gpu", 1) != mx.cpu(1)
    with pytest.raises(MXNetError, match=r"gpu\(1\) cannot hold arrays"):
        nd.zeros((2,), ctx=mx.gpu(1))
    assert nd.zeros((2,)).as_in_context(mx.cpu(3)).context == mx.cpu(3)


# ---------------------------------------------------------------- the state of a thread


def test_recording_is_the_business_of_one_thread() -> None:
    seen = []
    with autograd.record():
        thread = threading.Thread(target=lambda: seen.append((autograd.is_recording(), autograd.is_training())))
        thread.start()
        thread.join()
    assert seen == [(False, False)] and not autograd.is_recording()


def test_gradients_of_gradients() -> None:
    x = nd.array([1, 2, 3])
    x.attach_grad()
    with autograd.record():
        slope = autograd.grad((x**3).sum(), x, create_graph=True)
    slope.backward()
    assert x.grad.asnumpy().tolist() == [6, 12, 18]


def test_an_operation_with_a_gradient_of_its_own() -> None:
    class Clipped(autograd.Function):
        def forward(self, x: nd.NDArray) -> nd.NDArray:
            self.save_for_backward(x)
            return nd.minimum(x, 2)

        def backward(self, dy: nd.NDArray) -> nd.NDArray:
            (x,) = self.saved_tensors
            return dy * (x < 2) * 10

    assert gradient(lambda x: Clipped()(x * 3), [0.5, 1]) == [30, 0]


def test_the_precision_of_this_door_is_its_own() -> None:
    before = engine.PRECISION
    mx.set_precision("exact")
    assert engine.PRECISION == before
    images, weight = nd.ones((1, 16, 12, 12)), nd.ones((16, 16, 3, 3))
    images[0, 0, 5, 5] = np.inf  # Winograd's algorithm would spoil a tile, which "fast" allows
    kt.set_precision("fast")
    try:
        y = nd.Convolution(images, weight, kernel=(3, 3), num_filter=16, no_bias=True).asnumpy()
    finally:
        kt.set_precision(before)
    assert np.isinf(y[0, 0, 3:6, 3:6]).all() and np.isfinite(y).sum() == y.size - 16 * 9


def test_gradients_of_weights_are_taken_in_the_precision_of_this_door() -> None:
    rng = np.random.default_rng(5)
    x, slopes = (rng.standard_normal((2, 16, 24, 24)).astype("f4") for _ in range(2))
    found = {}
    for precision in ("exact", "fast"):
        mx.set_precision(precision)
        try:
            images, weight = nd.array(x), nd.zeros((16, 16, 3, 3))
            weight.attach_grad()
            with autograd.record():
                y = nd.Convolution(images, weight, kernel=(3, 3), pad=(1, 1), num_filter=16, no_bias=True)
            y.backward(nd.array(slopes))
        finally:
            mx.set_precision("exact")
        found[precision] = weight.grad.asnumpy()
        assert np.array_equal(found[precision], kw.conv_weight_gradient(slopes, x, 3, padding=1, precision=precision))
    assert not np.array_equal(*found.values())


# ---------------------------------------------------------------- files


ARRAYS = {
    "weight": nd.arange(6).reshape((2, 3)),
    "counts": nd.array([1, 2], dtype="int64"),
    "half": nd.array([1.5], dtype="float16"),
    "mask": nd.array([1, 0], dtype="bool"),
}


def test_arrays_come_back_from_a_file_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "net.params"
    nd.save(str(file), ARRAYS)
    found = nd.load(str(file))
    assert list(found) == list(ARRAYS)
    for name, wanted in ARRAYS.items():
        assert found[name].dtype is wanted.dtype and found[name].shape == wanted.shape
        assert np.array_equal(found[name].asnumpy(), wanted.asnumpy())
    nd.save(file, [nd.ones((2,))])
    assert isinstance(nd.load(file), list) and os.listdir(tmp_path) == ["net.params"]


def test_a_file_is_what_mxnet_writes(tmp_path: Path) -> None:
    nd.save(tmp_path / "x", {"b": nd.array([1, 2], dtype="int32")})
    head = struct.pack("<QQQ", 0x112, 0, 1) + struct.pack("<IiiqiiI", 0xF993FAC9, 0, 1, 2, 1, 0, 4)
    assert (tmp_path / "x").read_bytes() == head + struct.pack("<ii", 1, 2) + struct.pack("<QQ", 1, 1) + b"b"


def test_a_damaged_file_is_refused_and_takes_no_memory(tmp_path: Path) -> None:
    file = tmp_path / "x"
    nd.save(file, ARRAYS)
    whole = file.read_bytes()
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(MXNetError):
            nd.load(file)
    huge = struct.pack("<QQQ", 0x112, 0, 1) + struct.pack("<IiiqqqiiI", 0xF993FAC9, 0, 3, 1 << 40, 1 << 40, 4, 1, 0, 0)
    for content in (huge, struct.pack("<QQQ", 0x112, 0, 1 << 60), pickle.dumps([1])):
        file.write_bytes(content)
        with pytest.raises(MXNetError):
            nd.load(file)
    with pytest.raises(MXNetError, match="there is no file"):
        nd.load(tmp_path / "none")


def test_a_file_that_cannot_be_replaced_keeps_what_it_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "x"
    nd.save(file, [nd.ones((2,))])

    def fail(*paths: object) -> None:
        raise OSError("full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="full"):
        nd.save(file, [nd.zeros((2,))])
    assert nd.load(file)[0].asnumpy().tolist() == [1, 1] and os.listdir(tmp_path) == ["x"]


def test_arrays_are_copied_and_pickled() -> None:
    x = nd.array([1, 2], ctx=mx.cpu(1))
    for made in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        made[0] = 9
        assert made.context == mx.cpu(1) and made.asnumpy().tolist() == [9, 2]
    assert x.asnumpy().tolist() == [1, 2]


# ---------------------------------------------------------------- what is not covered


@pytest.mark.parametrize(
    ("use", "instead"),
    [
        (lambda: nd.CTCLoss(nd.ones((1,))), "torch.nn.functional.ctc_loss"),
        (lambda: nd.contrib.box_nms(nd.ones((1,))), "torchvision.ops"),
        (lambda: mx.sym.Variable("x"), "autograd.record"),
        (lambda: nd.ones((2,)).tostype("csr"), "to_sparse"),
        (lambda: nd.random.gamma(1, 1), "torch.distributions.Gamma"),
        (lambda: nd.array([1], dtype="int32").attach_grad(), "float32"),
    ],
)
def test_what_is_not_covered_says_what_to_use_instead(use: Callable, instead: str) -> None:
    with pytest.raises(NotImplementedError, match=instead):
        use()


def test_names_can_be_looked_up_without_harm() -> None:
    assert hasattr(nd, "CTCLoss") and hasattr(mx, "sym") and not hasattr(nd, "foo") and not hasattr(mx, "foo")
    assert not isinstance(3, mx.sym.Symbol)
    with pytest.raises(NotImplementedError, match="torch.library"):
        new_class("Own", (mx.operator.CustomOp,))
