"""The same bits: for any number of threads, any split of a batch, anywhere in an image, however the arrays lie.

What is transformed depends on its place in a tile too; see test_fourier_bits.py. Where the place is what a test is
about, it asks for the algorithms whose results do not depend on it.
"""

import hashlib
import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import kernelwise as kw
from kernelwise import costs
from kernelwise.algorithms.fourier.proposal import LEAST_TAPS
from kernelwise.errors import ArgumentError
from kernelwise.jit import target
from support import memory

DRAW = np.random.default_rng(20250306)


def bell(n: int) -> np.ndarray:
    return np.exp(-((np.arange(n) - n // 2 + 0.3) ** 2) / n)


KERNELS = {  # real weights, so that every order of adding up has bits of its own
    "3x3": DRAW.standard_normal((3, 3)),
    "5x4": DRAW.standard_normal((5, 4)),
    "9x11": DRAW.standard_normal((9, 11)),
    "21x6": DRAW.standard_normal((21, 6)),
    "1x37": DRAW.standard_normal((1, 37)),
    "1x190": DRAW.standard_normal((1, 190)),
    "bell": np.outer(bell(7), bell(9)),
    "two products": np.outer(bell(5), bell(6)) + np.outer(np.arange(5.0), bell(6)),
    "folded": np.multiply.outer([0.3, 0.7, -0.2], [1, -2, 0, 4, 1]),
    "complex": DRAW.standard_normal((3, 4)) + 1j * DRAW.standard_normal((3, 4)),
}
CODES = ("u1", "i4", "f2", "f4", "f8", "c8")


def codes() -> tuple[str, ...]:
    """All dtypes on the best target, every other one on the rest."""
    return CODES if os.environ.get("KERNELWISE_TARGET") == target.available()[0] else CODES[::2]


@pytest.fixture(params=target.available(), autouse=True)
def each_target(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All of this holds for each instruction set with itself."""
    monkeypatch.setenv("KERNELWISE_TARGET", request.param)
    kw.clear_cache()
    yield
    kw.clear_cache()


def image(rng: np.random.Generator, shape: tuple[int, ...], code: str) -> np.ndarray:
    if code[0] in "ui":
        return rng.integers(0, 200, shape).astype(code)
    values = rng.standard_normal(shape)
    return (values + 1j * rng.standard_normal(shape) if code[0] == "c" else values).astype(code)


def assert_same(a: np.ndarray, b: np.ndarray, what: object = "") -> None:
    assert a.dtype.newbyteorder("=") == b.dtype.newbyteorder("=") and a.shape == b.shape, what
    native = a.dtype.newbyteorder("=")
    assert np.ascontiguousarray(a, native).tobytes() == np.ascontiguousarray(b, native).tobytes(), what


@pytest.mark.parametrize("name", KERNELS)
def test_threads(name: str, rng: np.random.Generator) -> None:
    for code in codes():
        x = image(rng, (403, 611), code)
        alone = kw.correlate(x, KERNELS[name], threads=1)
        for threads in (2, 3, 8):
            assert_same(kw.correlate(x, KERNELS[name], threads=threads), alone, (code, threads))


@pytest.mark.parametrize("name", KERNELS)
def test_batches(name: str, rng: np.random.Generator) -> None:
    """Alone or among others, in front of the image's axes or behind them."""
    k = KERNELS[name]
    for code in codes():
        x = image(rng, (2, 3, 33, 90), code)
        whole = kw.correlate(x, k)
        for i, j in itertools.product(range(2), range(3)):
            assert_same(kw.correlate(x[i, j], k), whole[i, j], code)
        assert_same(kw.correlate(x[:, 1:], k), whole[:, 1:], code)
        behind = np.ascontiguousarray(x[0].transpose(1, 2, 0))
        assert_same(kw.correlate(behind, k, axes=(0, 1)).transpose(2, 0, 1), whole[0], code)


def test_signals_in_a_batch(rng: np.random.Generator) -> None:
    k = DRAW.standard_normal(9)
    for code in codes():
        x = image(rng, (3, 4, 200), code)
        whole = kw.correlate(x, k)
        for i, j in itertools.product(range(3), range(4)):
            assert_same(kw.correlate(x[i, j], k), whole[i, j], code)


def method_of(k: np.ndarray) -> str:
    """A choice that does not depend on the place: kernels of few taps are never transformed."""
    return "auto" if k.size < LEAST_TAPS else "direct"


@pytest.mark.parametrize("name", KERNELS)
def test_position(name: str, rng: np.random.Generator) -> None:
    """A window has the same sum wherever it lies, and in images of any size."""
    k = KERNELS[name]
    method = method_of(k)
    for code in codes():
        x = image(rng, (60, 640), code)
        whole = kw.correlate(x, k, mode="valid", method=method)
        for _ in range(6):
            top, left = int(rng.integers(0, 20)), int(rng.integers(0, 300))
            bottom, right = top + k.shape[0] + int(rng.integers(0, 19)), left + k.shape[1] + int(rng.integers(0, 180))
            part = kw.correlate(x[top:bottom, left:right].copy(), k, mode="valid", method=method)
            place = slice(top, top + part.shape[0]), slice(left, left + part.shape[1])
            assert_same(part, whole[place], (code, top, left, bottom, right))


@pytest.mark.parametrize("name", KERNELS)
def test_borders(name: str, rng: np.random.Generator) -> None:
    """At the border as inside: an image that NumPy has extended gives the same."""
    k = KERNELS[name]
    before = [n // 2 for n in k.shape]
    width = [(b, n - 1 - b) for b, n in zip(before, k.shape, strict=True)]
    for code, border in itertools.product(codes(), ("constant", "edge", "reflect", "symmetric", "wrap")):
        x = image(rng, (19, 170), code)
        extended = np.pad(x, width, border)
        assert_same(kw.correlate(x, k, border=border), kw.correlate(extended, k, mode="valid"), (code, border))


@pytest.mark.parametrize("name", KERNELS)
def test_memory(name: str, rng: np.random.Generator) -> None:
    k = KERNELS[name]
    for code in codes():
        x = image(rng, (40, 130), code)
        plain = kw.correlate(x, k)
        for kind in memory.KINDS:
            assert_same(kw.correlate(memory.arrange(x, kind, rng), k), plain, (code, kind))
            if kind != "read-only":
                out = memory.arrange(np.zeros_like(plain), kind, rng)
                assert kw.correlate(x, k, out=out) is out
                assert_same(out, plain, (code, kind, "out"))


@pytest.mark.parametrize("name", ["3x3", "9x11", "1x37", "bell"])
def test_wide_images(name: str, rng: np.random.Generator) -> None:
    """Rows that are cut into panels, and rows that are not."""
    k = KERNELS[name]
    method = method_of(k)
    for code in ("u1", "f4", "f8"):
        x = image(rng, (12, 20_011), code)
        whole = kw.correlate(x, k, mode="valid", method=method)
        for left in (0, 2000, 4050, 8171, 12_250):
            part = kw.correlate(x[:, left : left + 3000].copy(), k, mode="valid", method=method)
            assert_same(part, whole[:, left : left + part.shape[1]], (code, left))


@pytest.mark.parametrize("name", ["3x3", "9x11", "1x37", "bell", "two products"])
def test_results_written_past_the_caches(name: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    for code in codes():
        x = image(rng, (40, 1024), code)
        plain = kw.correlate(x, KERNELS[name])
        with monkeypatch.context() as patch:
            patch.setattr(costs, "stream_bytes", lambda rows: 1)
            kw.clear_cache()
            assert_same(kw.correlate(x, KERNELS[name]), plain, code)


def test_every_way_to_call(rng: np.random.Generator) -> None:
    """First call and second, function and Filter, convolution and flipped kernel."""
    for name, code in itertools.product(KERNELS, codes()):
        k, x = KERNELS[name], image(rng, (30, 80), code)
        first = kw.correlate(x, k)
        f = kw.Filter(k)
        for again in (kw.correlate(x, k), kw.correlate(x.copy(), k.copy()), f(x), f(x), f(x, np.zeros_like(first))):
            assert_same(again, first, (name, code))
        valid = kw.correlate(x, k, mode="valid")
        assert_same(kw.convolve(x, k[::-1, ::-1], mode="valid"), valid, (name, code))


@pytest.mark.parametrize("method", ["direct", "separable"])
def test_each_algorithm_alone(method: str, rng: np.random.Generator) -> None:
    for name, code in itertools.product(KERNELS, codes()):
        x = image(rng, (50, 333), code)
        try:
            whole = kw.correlate(x, KERNELS[name], method=method, mode="valid", threads=3)
        except ArgumentError:
            continue
        part = kw.correlate(x[7:40, 20:222], KERNELS[name], method=method, mode="valid", threads=1)
        assert_same(part, whole[7 : 7 + part.shape[0], 20 : 20 + part.shape[1]], (name, code))


def digest() -> str:
    """Of results that hang together with everything: all kernels, all dtypes."""
    rng, sums = np.random.default_rng(8), hashlib.sha256()
    for name, code in itertools.product(KERNELS, codes()):
        sums.update(kw.correlate(image(rng, (37, 203), code), KERNELS[name]).tobytes())
    return sums.hexdigest()


def test_other_processes() -> None:
    """In a process of its own, with other threads and an empty memory, the bits are the same."""
    program = "import test_bits; print(test_bits.digest())"
    environment = os.environ | {"KERNELWISE_THREADS": "3", "PYTHONHASHSEED": "77"}
    folder = Path(__file__).parent
    other = subprocess.check_output([sys.executable, "-c", program], env=environment, cwd=folder, text=True)
    assert other.strip() == digest()


@pytest.mark.parametrize("code", ["u1", "i2", "f4", "f8"])
def test_rows_that_share_sets_of_the_caches(code: str, rng: np.random.Generator) -> None:
    """Rows that lie a multiple of 4096 bytes apart are copied before they are used, and give the same."""
    for shape, border, mode in itertools.product(((21, 3), (19, 19)), ("constant", "reflect"), ("same", "full")):
        k = rng.standard_normal(shape)
        x = image(rng, (int(rng.integers(1, 50)), 4096), code)
        apart = np.zeros((len(x), x.shape[1] + 5), code)[:, : x.shape[1]]
        apart[...] = x
        options = {"method": "direct", "border": border, "mode": mode}
        assert_same(kw.correlate(x, k, **options), kw.correlate(apart, k, **options), (shape, border, mode))
