"""Lag sums by transforms are those of the definition, for any shapes, tiles, dtypes and layouts; and a good guest."""

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import kernelwise
from kernelwise.algorithms import direct_lags, lag_sums
from kernelwise.algorithms.fourier_lags import cut, launch
from kernelwise.algorithms.fourier_lags.code import emit
from kernelwise.algorithms.fourier_lags.spec import FourierLagSpec, Stack
from kernelwise.algorithms.lag_sums import Lagged, joint_lag_sums
from kernelwise.algorithms.numbers import Number
from kernelwise.errors import ArgumentError
from kernelwise.jit.compile import assembly as compiled
from kernelwise.jit.target import available, named
from support import assembly, lagged
from support.memory import KINDS, arrange

FOLDER = Path(__file__).parent
THREADS = (1, 2, 8)
SUMS = ("f4", "f8")


@pytest.fixture(params=available())
def target(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The test runs with the code for each instruction set of this machine."""
    monkeypatch.setenv("KERNELWISE_TARGET", request.param)
    return str(request.param)


@pytest.fixture
def tiles(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int, int], None]]:
    """A function that says how large all tiles are."""
    monkeypatch.setattr(cut, "_lengths", cut._lengths)  # put back afterwards
    lag_sums.forget()
    yield lambda down, across: (lag_sums.forget(), lagged.force(down, across))[1]
    lag_sums.forget()


def transformed(asked: list[Lagged], b: np.ndarray, **options: object) -> list[np.ndarray]:
    return joint_lag_sums(asked, b, method="fourier", **options)  # type: ignore[arg-type]


# ---------------------------------------------------------------- the definition


@pytest.mark.parametrize("chunk", range(2))
def test_sums_of_every_shape_are_those_of_the_definition(chunk: int, report_figure: Callable[[str, str], None]) -> None:
    """One or several stacks of several channels; borders before, behind and beyond b; less a constant."""
    most, done = 0.0, 0
    for number in range(chunk, 40, 2):
        rng = np.random.default_rng((7, number))
        case, sums = lagged.draw(rng, most=110), SUMS[number % 2]
        drawn, b = case.arrays(rng)
        asked = [Lagged(*one) for one in drawn]
        for found, one in zip(transformed(asked, b, centre=case.centre, sums=sums), asked, strict=True):
            most = max(most, lagged.check(found, one, b, case.centre, sums))
            done += 1
    report_figure(f"largest error of lag sums, chunk {chunk}", f"{most:.2f} of the bound, in {done} cases")


@pytest.mark.parametrize("sums", SUMS)
def test_tiles_of_every_length_and_instruction_set(
    sums: str, target: str, tiles: Callable[[int, int], None], rng: np.random.Generator
) -> None:
    lengths = cut.LENGTHS if target == available()[0] else cut.LENGTHS[:4]
    for down, across in zip(lengths, (*lengths[1:], lengths[0]), strict=True):
        tiles(down, across)
        a = lagged.numbers(rng, (2, 1, 70, 2 * across - 30), sums)
        b = lagged.numbers(rng, (2, 2, 75, 2 * across), sums)
        one = Lagged(a, (5, 19), (-1, 3))
        lagged.check(transformed([one], b, sums=sums)[0], one, b, 0.0, sums)


@pytest.mark.parametrize("width", [*range(1, 18), 31, 32, 33, 95, 96, 97, 130])
def test_every_width_and_height_has_its_tail(
    width: int, tiles: Callable[[int, int], None], rng: np.random.Generator
) -> None:
    tiles(32, 64)
    for shape in ((3, 1, 7, width), (1, 2, width, 40)):
        a, b = lagged.numbers(rng, shape, "f4"), lagged.numbers(rng, (shape[0], 1, shape[2] + 8, shape[3] + 6), "f4")
        one = Lagged(a, (9, 7))
        lagged.check(transformed([one], b, sums="f4")[0], one, b, 0.0, "f4")


@pytest.mark.parametrize("dtype", ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", ">f4", ">i2"])
def test_every_real_dtype_is_taken_on_either_side(dtype: str, rng: np.random.Generator) -> None:
    whole = rng.integers(0, 9, (2, 1, 60, 61)).astype(dtype)
    real = lagged.numbers(rng, (2, 1, 64, 66), "f4")
    for one, b in ((Lagged(whole, (9, 11)), real), (Lagged(real, (9, 11), (-4, -5)), whole)):
        lagged.check(transformed([one], b)[0], one, b, 0.0, "f8")


@pytest.mark.parametrize("kind", KINDS)
def test_it_does_not_matter_how_the_arrays_lie_in_memory(kind: str, rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((2, 2, 50, 70)), rng.standard_normal((2, 1, 60, 75))
    expected = transformed([Lagged(a, (11, 9))], b)[0]
    again = transformed([Lagged(arrange(a, kind, rng), (11, 9))], arrange(b, kind, rng))[0]
    assert again.tobytes() == expected.tobytes()


@pytest.mark.parametrize("sums", SUMS)
@pytest.mark.parametrize("level", [0, 102, 4000])
@pytest.mark.parametrize("texture", ["none", "white", "smooth"])
def test_errors_stay_within_the_bound_on_large_images(
    sums: str, level: int, texture: str, rng: np.random.Generator
) -> None:
    """Flat images are the worst: the same rounding again and again. Of whole numbers direct sums are exact."""
    shape = (1, 1, 700, 701)
    noise = rng.integers(-50, 51, shape)
    image = {"none": np.zeros(shape), "white": noise, "smooth": noise.cumsum(-1).cumsum(-2) // 64}[texture]
    b = np.asarray(level + image, sums)
    one = Lagged(b[:, :, :680, 20:690], (15, 15))
    exact = joint_lag_sums([one], b, method="direct")[0]
    error = np.abs(transformed([one], b, sums=sums)[0] - exact).max()
    assert error <= lagged.BOUND * lagged.UNIT[sums] * lagged.scale(one, b, 0.0)


def test_what_a_fit_asks_for_in_one_go_is_what_it_gets_one_by_one(rng: np.random.Generator) -> None:
    """An image with itself and with another one, both less their means."""
    x, y = rng.integers(0, 256, (2, 1, 120, 130)).astype("u1"), rng.standard_normal((2, 1, 112, 122)).astype("f4")
    asked = [Lagged(x[:, :, :112, 8:122], (9, 17), (0, 0), 120.0), Lagged(y, (9, 9), centre=0.25)]
    together = transformed(asked, x, centre=120.0)
    for one, found in zip(asked, together, strict=True):
        alone = joint_lag_sums([one], x, centre=120.0, method="direct")[0]
        assert np.abs(found - alone).max() < 8 * 2.0**-53 * lagged.scale(one, x, 120.0)
        assert found.shape == (1, 1, *one.taps)


def test_an_image_with_itself_gives_sums_that_are_the_same_at_opposite_shifts(rng: np.random.Generator) -> None:
    x = np.zeros((1, 1, 100, 110))
    x[:, :, 20:80, 20:90] = rng.standard_normal((60, 70))
    found = transformed([Lagged(x, (25, 29), (-12, -14))], x)[0][0, 0]
    assert np.abs(found - found[::-1, ::-1]).max() < 8 * 2.0**-53 * found[12, 14]
    assert found[12, 14] == found.max()


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e30])
def test_what_is_not_finite_spoils_only_the_sums_that_it_touches(value: float, rng: np.random.Generator) -> None:
    """Transforms would spread it; 1e30 squared is too large for float32, but not for what the definition gives."""
    a, b = rng.standard_normal((2, 1, 1, 90, 95)).astype("f4")
    for row, column in ((0, 0), (89, 94), (40, 50)):
        spoilt = b.copy()
        spoilt[0, 0, row, column] = value
        one = Lagged(a[:, :, :80, :85], (11, 11))
        with np.errstate(all="ignore"):
            found = transformed([one], spoilt, sums="f4")[0]
            wanted = joint_lag_sums([one], spoilt, sums="f4", method="direct")[0]
        assert np.array_equal(np.isfinite(found), np.isfinite(wanted))
        if not np.isfinite(value):
            clean = np.isfinite(wanted)
            assert clean.any() != (row == 40) and np.array_equal(found[clean], wanted[clean])


# ---------------------------------------------------------------- the choice


def test_many_shifts_are_left_to_transforms_and_few_are_not() -> None:
    def chosen(shape: tuple[int, int], taps: tuple[int, int]) -> bool:
        stacks, native = (Stack(1, shape, (0, 0), taps),), np.dtype("f4")
        b = (1, 1, shape[0] + taps[0] - 1, shape[1] + taps[1] - 1)
        return lag_sums._chosen(stacks, (native,), b, native, native, named("host"), "auto") is not None

    for side in (300, 1000, 4000):
        assert not chosen((side, side), (3, 3)) and chosen((side, side), (15, 15))
    assert not chosen((12, 12), (9, 9))
    assert not chosen((5000, 5000), (1, 800))


def test_more_shifts_than_a_tile_has_are_done_directly(rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((2, 1, 1, 3, 700))
    one = Lagged(a, (2, 600))
    with pytest.raises(ArgumentError, match="`method`.*'fourier'"):
        transformed([one], b)
    assert np.allclose(joint_lag_sums([one], b)[0], lagged.by_definition(one, b, 0.0))


def test_stacks_of_other_lengths_and_unknown_methods_are_refused() -> None:
    a, b = np.ones((2, 1, 5, 5)), np.ones((3, 1, 5, 5))
    with pytest.raises(ArgumentError, match=r"`a`.*3.*\[2\]"):
        joint_lag_sums([Lagged(a, (2, 2))], b)
    with pytest.raises(ArgumentError, match="`method`.*'auto'.*'quick'"):
        joint_lag_sums([Lagged(a, (2, 2))], a, method="quick")


def test_empty_stacks_give_zeros_beside_others() -> None:
    b = np.ones((1, 2, 9, 9))
    asked = [Lagged(np.ones((1, 3, 0, 4)), (2, 2)), Lagged(np.ones((1, 1, 4, 4)), (2, 3))]
    empty, full = joint_lag_sums(asked, b)
    assert np.array_equal(empty, np.zeros((3, 2, 2, 2))) and np.array_equal(full, np.full((1, 2, 2, 3), 16.0))


# ---------------------------------------------------------------- a good guest


@pytest.mark.parametrize("sums", SUMS)
def test_the_bits_do_not_depend_on_the_number_of_threads(sums: str, rng: np.random.Generator) -> None:
    for images, channels, size, taps in ((1, (1, 1), (700, 800), (9, 17)), (5, (7, 24), (90, 90), (7, 9))):
        a = rng.standard_normal((images, channels[0], *size)).astype(sums)
        b = rng.standard_normal((images, channels[1], *(n + k - 1 for n, k in zip(size, taps, strict=True)))).astype(
            sums
        )
        stack = Stack(channels[0], size, (0, 0), taps)
        assert cut.cut(images, [stack], channels[1], a.itemsize, named("host")).units > 1  # type: ignore
        alone, *others = (transformed([Lagged(a, taps)], b, sums=sums, threads=n)[0].tobytes() for n in THREADS)
        assert all(found == alone for found in others)


def test_clearing_the_cache_forgets_the_code_and_changes_no_result(rng: np.random.Generator) -> None:
    a, b = rng.standard_normal((2, 1, 1, 60, 60))
    before = transformed([Lagged(a, (9, 9))], b)[0]
    assert launch._code.cache_info().currsize
    kernelwise.clear_cache()
    assert not launch._code.cache_info().currsize
    assert np.array_equal(transformed([Lagged(a, (9, 9))], b)[0], before)


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal")
@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_is_answered_soon(threads: int, report_figure: Callable[[str, str], None]) -> None:
    """Long before an image of 100 million numbers is done; it is made of one row of them, moved along."""
    row = np.ones(20_000, np.float32)
    x = np.lib.stride_tricks.as_strided(row, (1, 1, 10_000, 10_000), (0, 0, 4, 4))
    made = cut.cut(1, [Stack(1, x.shape[2:], (0, 0), (180, 180))], 1, 4, named("host"))  # type: ignore[arg-type]
    assert made is not None and made.units > 20
    number = Number("f4")
    launch._code(FourierLagSpec((number,), number, made.tile), named("host"))  # compiled now
    sent: list[float] = []

    def interrupt() -> None:
        sent.append(time.perf_counter())
        signal.raise_signal(signal.SIGINT)

    timer = threading.Timer(0.1, interrupt)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        for _ in range(100):
            transformed([Lagged(x, (180, 180))], x, sums="f4", threads=threads)
    seconds = time.perf_counter() - sent[0]
    timer.join()
    report_figure(f"Ctrl-C answered, lag sums, {threads} threads", f"{seconds * 1e3:.0f} ms")
    assert seconds < 0.5  # 0.1 on a machine that has nothing else to do


MEMORY = """
import numpy as np
from kernelwise.algorithms.lag_sums import Lagged, joint_lag_sums
from support.memory_use import MB, forget_peak, peak, resident
x, y = np.ones((1, 1, 4000, 5000), "f4"), np.ones((1, 1, 3970, 4970), "f4")
def call(x, y):
    return joint_lag_sums([Lagged(x[:, :, :-30, 30:-30], (31, 61)), Lagged(y, (31, 31))], x, sums="f4", threads=2)
call(x[:, :, :500, :500], y[:, :, :470, :470])
before = resident()
forget_peak()
call(x, y)
print((peak() - before) / MB)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_image_is_copied(report_figure: Callable[[str, str], None]) -> None:
    done = subprocess.run([sys.executable, "-c", MEMORY], cwd=FOLDER, capture_output=True, text=True, check=True)
    taken = float(done.stdout)
    report_figure("memory, lag sums of 76 MiB", f"{taken:.0f} MiB")
    assert taken < 32


# ---------------------------------------------------------------- the generated code


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="needs mprotect")
@pytest.mark.parametrize("target", available())
@pytest.mark.parametrize("method", ["direct", "fourier"])
def test_totals_come_with_the_sums(
    method: str, target: str, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator
) -> None:
    """Exact on whole numbers, of every channel; where they are not finite nothing else is returned."""
    monkeypatch.setenv("KERNELWISE_TARGET", target)
    a, c = (rng.integers(-9, 10, shape).astype("f4") for shape in ((2, 3, 40, 150), (2, 1, 33, 21)))
    b = rng.integers(-9, 10, (2, 2, 50, 160)).astype("f4")
    asked = [Lagged(a, (3, 5), centre=2.0), Lagged(c, (2, 2))]
    totals: list[np.ndarray] = []
    found = joint_lag_sums(asked, b, method=method, totals=totals)
    assert all(np.array_equal(*pair) for pair in zip(found, joint_lag_sums(asked, b, method=method), strict=True))
    for one, total in zip(asked, totals, strict=True):
        values = one.a.astype(np.float64) - one.centre
        assert np.array_equal(total, np.stack([values.sum((0, 2, 3)), np.square(values).sum((0, 2, 3))], axis=1))
    a[1, 2, 5, 5] = np.inf
    assert joint_lag_sums(asked, b, method=method, totals=totals) == []


@pytest.mark.parametrize("method", ["direct", "fourier"])
def test_no_lag_sum_leaves_its_arrays(method: str) -> None:
    status, last, complaints = fenced(method, 10)
    assert status == 0, f"in {last}:\n{complaints}"
    assert int(last.removeprefix("done ")) > 20


@pytest.mark.long
@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="needs mprotect")
@pytest.mark.parametrize("method", ["direct", "fourier"])
def test_no_lag_sum_of_many_leaves_its_arrays(method: str) -> None:
    status, last, complaints = fenced(method, 150)
    assert status == 0, f"in {last}:\n{complaints}"


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="needs mprotect")
def test_one_row_too_far_is_caught() -> None:
    """The watchdog is tested too: the process dies, or finds wrong sums."""
    status, last, complaints = fenced("fault", 2)
    assert status in (-signal.SIGSEGV, -signal.SIGBUS) or "AssertionError" in complaints
    assert "Case" in last


def fenced(method: str, turns: int) -> tuple[int, str, str]:
    """(exit status, last line, complaints) of a process in which images and tables lie between forbidden pages."""
    command = [sys.executable, "-m", "support.fenced_lags", method, str(turns)]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=500)
    return done.returncode, done.stdout.strip().rpartition("\n")[2], done.stderr


@cache
def text(sums: str, name: str) -> str:
    spec = FourierLagSpec((Number("f4"), Number("u1")), Number(sums), (128, 96))
    return compiled(emit(spec, named(name)).text, named(name))


@pytest.mark.skipif("avx2" not in available(), reason="looks at the assembly of x86")
@pytest.mark.parametrize(("name", "register"), [("avx512", "zmm"), ("avx2", "ymm"), ("sse", "xmm")])
@pytest.mark.parametrize("sums", SUMS)
def test_products_stay_in_registers_and_transforms_nearly(sums: str, name: str, register: str) -> None:
    stored = operations = 0
    for lines in assembly.loops(text(sums, name)):
        work = sum(re.match(r"v?(fn?m|mul|add|sub)\w*p[sd] ", line) is not None for line in lines)
        spilled = len(assembly.spilled(lines, register))
        assert work < 10 or spilled <= work / 3, lines
        stored, operations = stored + spilled, operations + work
    assert operations > 200
    assert stored <= operations / 12


def test_code_for_neon_can_be_built() -> None:
    assert "fmla" in text("f4", "neon") and "fmla" in text("f8", "neon")


def test_predicted_times_grow_with_the_work() -> None:
    """The measured constants stand in formulas that count rows, vectors and products."""
    native = np.dtype("f4")

    def directly(side: int, taps: int) -> float:
        shapes = (1, 1, side, side), (1, 1, side + taps - 1, side + taps - 1)
        return direct_lags.nanoseconds(*shapes, (native,) * 3, (taps, taps), named("host"))

    def by_transforms(side: int, taps: int, number_bytes: int = 4) -> float:
        stack = Stack(1, (side, side), (0, 0), (taps, taps))
        made = cut.cut(1, [stack], 1, number_bytes, named("host"))
        assert made is not None
        return made.nanoseconds

    assert 3.5 < directly(4000, 5) / directly(2000, 5) < 4.5 and directly(2000, 15) > 4 * directly(2000, 5)
    assert 3.5 < by_transforms(4000, 9) / by_transforms(2000, 9) < 4.5
    assert by_transforms(2000, 31) < 2 * by_transforms(2000, 9)
    assert by_transforms(2000, 9, 8) > 1.5 * by_transforms(2000, 9)
