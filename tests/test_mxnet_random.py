"""The door's random numbers are MXNet's own, to the last bit: compared with what MXNet 1.9.1 drew."""

import ctypes
import json
import math
from pathlib import Path

import numpy as np
import pytest

import kernelwise.mxnet as mx
from kernelwise.mxnet import nd
from kernelwise.mxnet.random.engines import Engines
from kernelwise.mxnet.random.generator import Generator
from kernelwise.mxnet.random.numbers import logf, parse_float
from recordings.random_streams import answer, cases, space

RECORDED = json.loads((Path(__file__).parent / "recordings" / "mxnet_random.json").read_text(encoding="utf-8"))
KINDS = ("nd.random.uniform(", "nd.random.normal(", "filled(", "weights(", "nd.Dropout(", "[", "nd.")


def kind(code: str) -> str:
    return next(start for start in KINDS if code.startswith(start))


def test_the_recordings_are_those_of_the_cases() -> None:
    assert [(one["seed"], one["code"]) for one in RECORDED] == list(cases())
    assert len(RECORDED) >= 400


@pytest.mark.parametrize("start", KINDS)
def test_numbers_are_those_mxnet_drew(start: str) -> None:
    names = space(mx)
    chosen = [one for one in RECORDED if kind(one["code"]) == start]
    assert len(chosen) >= 20
    wrong = []
    for recorded in chosen:
        found = answer(recorded["seed"], recorded["code"], names)
        if {"seed": recorded["seed"], "code": recorded["code"], **found} != recorded:
            wrong.append((recorded, found))
    assert not wrong, f"{len(wrong)} of {len(chosen)}, the first: {wrong[0]}"


def test_without_a_seed_numbers_are_those_of_seed_0() -> None:
    expected = next(one for one in RECORDED if one["code"] == "nd.random.uniform(shape=1, dtype='float32')")
    assert expected["seed"] == 0
    assert Generator().uniform(0, 1, 1).tolist() == expected["first"]


def test_engines_are_numpys_mersenne_twister() -> None:
    engines = Engines(5, seed=3)
    parts = [engines.words(np.array(counts)) for counts in ([1, 700, 3], [10, 0, 2000, 1], [5, 5, 5, 5, 5])]
    found: list[list[int]] = [[] for _ in range(5)]
    for part, counts in zip(parts, ([1, 700, 3], [10, 0, 2000, 1], [5, 5, 5, 5, 5]), strict=True):
        for engine, some in enumerate(np.split(part, np.cumsum(counts)[:-1])):
            found[engine] += some.tolist()
    for engine, words in enumerate(found):
        theirs = np.random.RandomState(127 * 3 + engine).randint(0, 2**32, len(words), dtype=np.uint32)
        assert words == theirs.tolist()


def test_engines_can_be_asked_from_any_of_them_on() -> None:
    whole = Engines(4, 9).words(np.array([3, 4, 5, 6]))
    parts = Engines(4, 9)
    second = parts.words(np.array([5, 6]), first=2)
    assert np.concatenate([parts.words(np.array([3, 4])), second]).tolist() == whole.tolist()


def test_many_values_are_drawn_like_few_of_them() -> None:
    """Large draws are worked on piece by piece; numbers do not depend on the size of a piece."""
    for draw in ("standard_normal", "unit"):
        for dtype in (np.float32, np.float64):
            whole = getattr(Generator(5), draw)(200_000, dtype)
            share = math.ceil(200_000 / 1024)
            engine = Generator(5)
            engine.many.words(np.zeros(1024, int))  # makes the states
            alone = np.empty(share, whole.dtype)
            if draw == "unit":
                words = engine.many.words(np.array([share * (1 if dtype == np.float32 else 2)]), first=700)
                values = words.astype(np.float32) * np.float32(2**-32)
                alone = values if dtype == np.float32 else (words[::2] + words[1::2] * 2.0**32) / 2.0**64
            else:
                engine._fill_normal(alone, np.array([share]), 700)
            assert np.array_equal(whole[700 * share : 701 * share], alone)


def test_the_logarithm_is_the_c_librarys() -> None:
    """On a C library whose logarithm is the published one; every 1009th number from the smallest normal one to 1."""
    library = ctypes.CDLL(None)
    library.logf.restype, library.logf.argtypes = ctypes.c_float, [ctypes.c_float]
    x = np.arange(0x00800000, 0x3F800001, 10_007, dtype=np.uint32).view(np.float32)
    theirs = np.array([library.logf(value) for value in x.tolist()], np.float32)
    differ = logf(x) != theirs
    if np.mean(differ) > 1e-3:
        pytest.skip("this C library computes logarithms another way")
    assert differ.sum() <= 1  # without fused multiply-add, one in a hundred million is rounded the other way


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0.07", 0.07), ("-0.07", -0.07), ("1", 1), ("1e-2", 0.01), ("inf", math.inf)],
)  # fmt: skip
def test_parameters_are_read_from_text(text: str, expected: float) -> None:
    assert parse_float(text) == np.float32(expected)


def test_whole_part_and_fraction_of_a_parameter_are_rounded_one_after_the_other() -> None:
    """As in MXNet, though float32(16777217.5) is 16777218."""
    assert parse_float("16777217.5") == 16777216


def test_drawing_into_an_array_keeps_its_dtype_and_shape() -> None:
    out = nd.zeros((3, 2), dtype="float64")
    assert nd.random.uniform(out=out) is out
    mx.random.seed(4)
    nd.random.uniform(5, 6, out=out)
    mx.random.seed(4)
    assert np.array_equal(out.asnumpy(), nd.random.uniform(5, 6, (3, 2), "float64").asnumpy())


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: nd.random.uniform(1, 0, shape=2), mx.MXNetError, "low must be less or equal to high"),
        (lambda: nd.random.normal(scale=-1, shape=2), mx.MXNetError, "scale parameter in gaussian"),
        (lambda: nd.random.uniform(shape=(0,)), mx.MXNetError, "inferring shapes failed"),
        (lambda: nd.random.uniform(shape=2, dtype="int32"), mx.MXNetError, "Invalid Input: 'int32'"),
        (lambda: nd.random.uniform(0, 1e39, shape=2), mx.MXNetError, "Out of range value for high"),
        (lambda: nd.random.uniform("a", "b"), ValueError, "must be either NDArray or numbers"),
        (lambda: nd.random.uniform(nd.array([1]), 2), AssertionError, "must all have the same type"),
        (lambda: nd.random.uniform(shape=2, foo=1), mx.MXNetError, "Cannot find argument 'foo'"),
        (lambda: nd.random.uniform(shape=2, out=nd.zeros((3,))), mx.MXNetError, "Shape inconsistent"),
        (lambda: nd.random.randint(5, 5), mx.MXNetError, "low must be less than high"),
        (lambda: nd.Dropout(nd.ones((3,)), p=1.5), mx.MXNetError, "exceed bound"),
        (lambda: nd.random.gamma(1, 1), NotImplementedError, "torch.distributions.Gamma"),
        (lambda: mx.random.seed("a"), ValueError, "seed_state must be int"),
        (lambda: mx.random.seed(1.5), ValueError, "seed_state must be int"),
    ],
)
def test_what_cannot_be_drawn_is_refused(call: object, error: type[Exception], text: str) -> None:
    assert callable(call)
    with pytest.raises(error, match=text):
        call()


def test_dropout_hands_gradients_on_where_it_handed_numbers_on() -> None:
    mx.random.seed(3)
    x = nd.array(np.arange(1, 13).reshape(3, 4))
    x.attach_grad()
    with mx.autograd.record():
        y = nd.Dropout(x, p=0.5)
    y.backward()
    assert np.array_equal(x.grad.asnumpy() * x.asnumpy(), y.asnumpy())
    assert set(x.grad.asnumpy().ravel().tolist()) == {0.0, 2.0}
    assert np.array_equal(nd.Dropout(x, p=0.5).asnumpy(), x.asnumpy()), "outside of training nothing is dropped"
