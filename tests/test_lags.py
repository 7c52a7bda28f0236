"""Lag sums are what their definition says, exactly for whole numbers, for every shape and layout in memory."""

import re

import numpy as np
import pytest

import kernelwise
from kernelwise.algorithms import direct_lags as direct
from kernelwise.algorithms.direct_lags import choose_block
from kernelwise.algorithms.lag_sums import lag_sums
from kernelwise.algorithms.lags import CHAIN, Block, LagSpec, emit
from kernelwise.algorithms.numbers import Number
from kernelwise.jit.compile import assembly
from kernelwise.jit.target import available, named
from support.memory import KINDS, arrange

TAPS = [(1, 1), (1, 2), (2, 1), (1, 9), (7, 1), (2, 2), (3, 3), (3, 5), (4, 6), (5, 5), (7, 7), (11, 3), (6, 17)]
THREADS = (1, 2, 3, 8)


def by_definition(a: np.ndarray, b: np.ndarray, taps: tuple[int, int], start: tuple[int, int]) -> np.ndarray:
    """S[o, i, r, c] = sum over n, y, x of a[n, o, y, x] * b[n, i, y + start + r, x + start + c], zeros around b."""
    (_, o, h, w), (_, i, rows, columns) = a.shape, b.shape
    found = np.zeros((o, i, *taps))
    for r, c, y, x in np.ndindex(*taps, h, w):
        row, column = y + start[0] + r, x + start[1] + c
        if 0 <= row < rows and 0 <= column < columns:
            found[:, :, r, c] += a[:, :, y, x].T.astype(np.float64) @ b[:, :, row, column].astype(np.float64)
    return found


def whole(rng: np.random.Generator, shape: tuple[int, ...], dtype: str = "f4") -> np.ndarray:
    """Small whole numbers: their sums are exact in any order."""
    low = 0 if dtype[0] in "u?" else -8
    return rng.integers(low, 9, shape).astype(dtype)


def fitting(rng: np.random.Generator, taps: tuple[int, int], most: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """a and b of one shape drawn at random, b larger by the taps."""
    n, o, i = (int(v) for v in rng.integers(1, (4, 10, 4)))
    h, w = (int(v) for v in rng.integers(1, most, 2))
    return whole(rng, (n, o, h, w)), whole(rng, (n, i, h + taps[0] - 1, w + taps[1] - 1))


@pytest.fixture(params=available())
def target(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The test runs with the code for each instruction set of this machine."""
    monkeypatch.setenv("KERNELWISE_TARGET", request.param)
    return str(request.param)


@pytest.mark.parametrize("taps", TAPS)
def test_whole_numbers_come_out_exactly(taps: tuple[int, int], target: str, rng: np.random.Generator) -> None:
    for _ in range(4):
        a, b = fitting(rng, taps, most=24)
        expected = by_definition(a, b, taps, (0, 0))
        for precision in (np.float32, np.float64):
            found = lag_sums(a, b, taps, sums=precision)
            assert found.dtype == np.float64
            assert np.array_equal(found, expected), (a.shape, b.shape, precision)


def test_outside_its_images_b_is_zero(target: str, rng: np.random.Generator) -> None:
    for _ in range(40):
        taps = tuple(int(v) for v in rng.integers(1, 6, 2))
        start = tuple(int(v) for v in rng.integers(-7, 8, 2))
        a = whole(rng, tuple(int(v) for v in rng.integers(1, (3, 4, 20, 40))))
        b = whole(rng, (len(a), *(int(v) for v in rng.integers(1, (3, 20, 40)))))
        assert np.array_equal(lag_sums(a, b, taps, start), by_definition(a, b, taps, start)), (a.shape, b.shape, start)


@pytest.mark.parametrize("width", [*range(1, 20), 31, 32, 33, 63, 64, 65, 127, 128, 129, 130, 257])
def test_every_width_and_height_has_its_tail(width: int, rng: np.random.Generator) -> None:
    for a_shape in ((2, 3, 5, width), (1, 1, width, 3)):
        a = whole(rng, a_shape)
        b = whole(rng, (a_shape[0], 2, a_shape[2] + 2, a_shape[3] + 3))
        for precision in (np.float32, np.float64):
            assert np.array_equal(lag_sums(a, b, (3, 4), sums=precision), by_definition(a, b, (3, 4), (0, 0)))


@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", ">f4", ">i2"])
def test_every_real_dtype_is_taken_on_either_side(dtype: str, rng: np.random.Generator) -> None:
    here, there = whole(rng, (2, 3, 9, 21), dtype), whole(rng, (2, 2, 10, 23))
    assert np.array_equal(lag_sums(here, there, (2, 3)), by_definition(here, there, (2, 3), (0, 0)))
    assert np.array_equal(lag_sums(there, here, (2, 3)), by_definition(there, here, (2, 3), (0, 0)))


@pytest.mark.parametrize("kind", KINDS)
def test_it_does_not_matter_how_the_arrays_lie_in_memory(kind: str, rng: np.random.Generator) -> None:
    a, b = whole(rng, (3, 4, 11, 19)), whole(rng, (3, 2, 13, 22))
    expected = lag_sums(a, b, (3, 4))
    assert np.array_equal(lag_sums(arrange(a, kind, rng), arrange(b, kind, rng), (3, 4)), expected)


def test_one_number_broadcast_serves_as_an_image(rng: np.random.Generator) -> None:
    b = whole(rng, (2, 1, 9, 30))
    ones = np.broadcast_to(np.float64(1), (2, 1, 7, 27))
    assert np.array_equal(lag_sums(ones, b, (3, 4)), by_definition(ones, b, (3, 4), (0, 0)))


def test_empty_stacks_give_zeros() -> None:
    assert np.array_equal(lag_sums(np.ones((0, 2, 5, 5)), np.ones((0, 3, 6, 6)), (2, 2)), np.zeros((2, 3, 2, 2)))


def test_lags_longer_than_the_images_are_zero(rng: np.random.Generator) -> None:
    a = whole(rng, (1, 2, 3, 4))
    assert np.array_equal(lag_sums(a, a, (9, 40), (-4, -20)), by_definition(a, a, (9, 40), (-4, -20)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_nan_meets_only_the_lags_that_hold_it(value: float, target: str, rng: np.random.Generator) -> None:
    taps = (3, 4)
    for width in (5, 16, 21, 70):
        a, b = whole(rng, (1, 2, 6, width)), whole(rng, (1, 2, 8, width + 3))
        a[a == 0] = 1  # infinity times zero would be NaN by right
        b[b == 0] = 1
        for row, column in ((0, 0), (7, width + 2), (3, width), (0, width + 1), (5, 1)):
            spoilt = b.copy()
            spoilt[0, 1, row, column] = value
            with np.errstate(invalid="ignore"):
                expected = by_definition(a, spoilt, taps, (0, 0))
            for precision in (np.float32, np.float64):
                found = lag_sums(a, spoilt, taps, sums=precision)
                clean = np.isfinite(expected)
                assert np.array_equal(np.isfinite(found), clean), (width, row, column)
                assert np.array_equal(found[clean], expected[clean])


SHARED_OUT = [
    ((8, 16, 64, 64), 16, (5, 5)),  # many channels
    ((1, 1, 900, 1200), 1, (3, 3)),  # one image
    ((40, 24, 7, 7), 40, (3, 3)),  # many small images
    ((2, 1, 300, 301), 3, (7, 9)),
]


@pytest.mark.parametrize(("shape", "channels", "taps"), SHARED_OUT)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_the_bits_do_not_depend_on_the_number_of_threads(
    shape: tuple[int, ...], channels: int, taps: tuple[int, int], dtype: str, rng: np.random.Generator
) -> None:
    a = rng.normal(size=shape).astype(dtype)
    b = rng.normal(size=(shape[0], channels, shape[2] + taps[0] - 1, shape[3] + taps[1] - 1)).astype(dtype)
    alone, *others = (lag_sums(a, b, taps, sums=a.dtype, threads=threads) for threads in THREADS)
    for found in others:
        assert found.tobytes() == alone.tobytes()
    again = lag_sums(a, b, taps, sums=a.dtype, threads=THREADS[-1])
    assert again.tobytes() == alone.tobytes()


def test_work_of_some_size_is_cut_into_several_units() -> None:
    """Else the test above would show nothing."""
    native = np.dtype("f4")
    for shape, channels, taps in SHARED_OUT:
        other = (shape[0], channels, shape[2] + taps[0] - 1, shape[3] + taps[1] - 1)
        _, cut = direct._planned(shape, other, (native, native, native), taps, named("host"))
        assert cut.units > 1, shape


@pytest.mark.parametrize("level", [0.0, 1.0, 1000.0])
def test_float32_sums_stay_within_their_bound_on_large_images(level: float, rng: np.random.Generator) -> None:
    """Flat images are the worst: the same rounding again and again."""
    for texture in (0.0, 1.0):
        a = (level + 0.1 + texture * rng.normal(size=(1, 1, 900, 1100))).astype("f4")
        b = (level + 0.3 + texture * rng.normal(size=(1, 1, 902, 1102))).astype("f4")
        found, exact = lag_sums(a, b, (3, 3), sums=np.float32), lag_sums(a, b, (3, 3), sums=np.float64)
        bound = (CHAIN[4] + 2) * 2.0**-24 * lag_sums(np.abs(a), np.abs(b), (3, 3))
        assert (np.abs(found - exact) <= bound).all()


def test_float64_sums_agree_with_the_definition(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(2, 2, 40, 50)), rng.normal(size=(2, 1, 44, 52))
    exact = by_definition(a, b, (5, 3), (0, 0))
    bound = 5000 * 2.0**-53 * lag_sums(np.abs(a), np.abs(b), (5, 3))
    assert (np.abs(lag_sums(a, b, (5, 3)) - exact) <= bound).all()


def test_clearing_the_cache_forgets_plans_and_code_and_changes_no_result(rng: np.random.Generator) -> None:
    a, b = rng.normal(size=(2, 3, 9, 21)), rng.normal(size=(2, 2, 10, 23))
    before = lag_sums(a, b, (2, 3))
    assert direct._planned.cache_info().currsize and direct._code.cache_info().currsize
    kernelwise.clear_cache()
    assert not direct._planned.cache_info().currsize and not direct._code.cache_info().currsize
    assert np.array_equal(lag_sums(a, b, (2, 3)), before)


# ---------------------------------------------------------------- the generated code

BLOCKS = [("avx512", "f4"), ("avx512", "f8"), ("avx2", "f4"), ("avx2", "f8"), ("sse", "f4"), ("neon", "f4")]


@pytest.mark.parametrize(("name", "number"), BLOCKS)
@pytest.mark.parametrize(("channels", "taps"), [(64, (3, 3)), (1, (3, 3)), (1, (7, 13)), (16, (5, 5)), (64, (1, 1))])
def test_blocks_fit_the_registers_and_waste_little(
    name: str, number: str, channels: int, taps: tuple[int, int]
) -> None:
    block = choose_block(channels, taps, 16, named(name))
    assert block.size + block.channels * block.steps < named(name).registers
    computed = np.prod([-(-n // m) * m for n, m in zip((channels, *taps), block_shape(block), strict=True)])
    assert computed <= 1.35 * channels * taps[0] * taps[1]


def block_shape(block: Block) -> tuple[int, int, int]:
    return block.channels, block.rows, block.columns


@pytest.mark.skipif("avx2" not in available(), reason="looks at the assembly of x86")
@pytest.mark.parametrize(("name", "number"), [entry for entry in BLOCKS if entry[0].startswith("avx")])
@pytest.mark.parametrize(("channels", "taps"), [(64, (3, 3)), (1, (3, 3)), (1, (15, 29)), (8, (5, 5))])
def test_sums_stay_in_registers(name: str, number: str, channels: int, taps: tuple[int, int]) -> None:
    target = named(name)
    block = choose_block(channels, taps, 16, target)
    stored, lanes = Number(number), target.lanes(Number(number).bytes)
    text = assembly(emit(LagSpec(stored, stored, stored, taps, 8, lanes, block), target).text, target)
    innermost = max(re.split(r"\n(?=\.LBB)", text), key=lambda part: part.count("vfmadd"))
    assert innermost.count("vfmadd") == block.size * block.steps
    on_the_stack = re.findall(r".*mov[au]p[sd].*\(%rsp\).*", innermost)
    assert len(on_the_stack) <= 0.02 * block.size * block.steps, on_the_stack


def test_code_for_neon_can_be_built() -> None:
    target, number = named("neon"), Number("f4")
    block = choose_block(8, (3, 3), 16, target)
    spec = LagSpec(number, number, number, (3, 3), 8, target.lanes(4), block)
    assert "fmla" in assembly(emit(spec, target).text, target)
