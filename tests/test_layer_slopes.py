"""Weight gradients by Winograd's algorithm: exact on paper, within their bound in numbers, and nowhere else than they
may be."""

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import kernelwise as kw
from kernelwise.algorithms.layer import slopes_winograd, slopes_winograd_launch, winograd
from kernelwise.algorithms.layer.slopes_tiles import sides
from kernelwise.algorithms.layer.slopes_winograd import SlopeTilesSpec
from kernelwise.algorithms.numbers import Number
from kernelwise.jit.compile import assembly
from kernelwise.jit.target import available, named
from support import assembly as reading
from support.tiled_slopes import BOUND, Case, definition, draw, error, normal, run

FOLDER = Path(__file__).parent
CASES = {  # one for each way of reading pixels and of cutting the work
    "bands": Case(2, 1, 32, 32, 24, 40),
    "segments": Case(1, 1, 17, 16, 6, 300),
    "tails": Case(3, 1, 21, 37, 18, 23, shared=True),
    "small images": Case(7, 1, 40, 70, 7, 7),
    "tiny images": Case(3, 1, 20, 20, 3, 2),
    "one pixel": Case(5, 1, 3, 5, 1, 1, shared=True),
    "groups": Case(2, 3, 18, 33, 13, 20, (0, 0), (2, 1), "reflect"),
    "several goes": Case(9, 1, 90, 40, 9, 9, shared=True),
}


def test_the_matrices_are_exact() -> None:
    """G' ((B d) * (A' e)) is the correlation of any six numbers with any four slopes, in fractions."""
    (_, b), (_, a) = sides()
    g = [[s * c for c in row] for s, row in zip(winograd.scales(), winograd.of_weights(), strict=True)]
    for pixel in range(winograd.INPUTS):
        for slope in range(winograd.OUTPUTS):
            values = [there[pixel] * here[slope] for there, here in zip(b, a, strict=True)]
            for tap in range(winograd.TAPS):
                total = sum((row[tap] * value for row, value in zip(g, values, strict=True)), Fraction(0))
                assert total == (1 if pixel == slope + tap else 0)


@pytest.mark.parametrize("target", available())
@pytest.mark.parametrize("name", CASES)
def test_gradients_are_within_the_bound(
    name: str, target: str, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERNELWISE_TARGET", target)
    x, dy = normal(CASES[name], rng)
    assert error(run(CASES[name], x, dy), definition(CASES[name], x, dy)) <= BOUND


def test_any_gradient_is_within_the_bound(rng: np.random.Generator, report_figure: Callable[[str, str], None]) -> None:
    """Paddings, borders, crops, groups, tails; channels last, rows backwards, gaps."""
    worst = 0.0
    for turn in range(16):
        case = draw(rng)
        x, dy = normal(case, rng)
        wanted = definition(case, x, dy)
        if turn % 4 == 1:
            x, dy = (np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1) for array in (x, dy))
        if turn % 4 == 2:
            wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)[..., ::-1, ::2]
            wide[...] = x
            x = wide
        worst = max(worst, error(run(case, x, dy, 1 + turn % 3), wanted))
    report_figure("weight gradients, Winograd, at random", f"{worst:.1e} of the largest value")
    assert worst <= BOUND


@pytest.mark.parametrize("mean", [0.0, 1.0])
def test_errors_stay_small_in_long_sums(mean: float, rng: np.random.Generator) -> None:
    """Of a hundred thousand products; of pixels that are never negative, too."""
    case = Case(8, 1, 8, 16, 112, 112)
    x, dy = normal(case, rng)
    x = np.maximum(x + np.float32(mean), 0)
    assert error(run(case, x, dy), definition(case, x, dy)) <= BOUND


@pytest.mark.parametrize("name", CASES)
def test_bits_depend_on_neither_threads_nor_strides(name: str, rng: np.random.Generator) -> None:
    case = CASES[name]
    x, dy = normal(case, rng)
    dw = run(case, x, dy)
    for threads in (2, 3, 8):
        assert np.array_equal(run(case, x, dy, threads), dw)
    last = [np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1) for array in (x, dy)]
    assert np.array_equal(run(case, *last), dw)


def test_exact_gradients_of_whole_numbers_are_exact_and_fast_ones_are_not(rng: np.random.Generator) -> None:
    x, dy = (rng.integers(-9, 10, (4, 32, 20, 20)) for _ in range(2))
    case = Case(4, 1, 32, 32, 20, 20)
    wanted = definition(case, x[:, :, None], dy[:, :, None])
    for dtype, precision, same in (
        ("f4", "exact", True), ("f4", "fast", False), ("f8", "fast", True), ("i2", "fast", True), ("f2", "exact", True),
    ):  # fmt: skip
        dw = kw.conv_weight_gradient(dy.astype(dtype), x.astype(dtype), 3, padding=1, precision=precision)
        assert np.array_equal(dw, wanted.astype(dw.dtype)) == same
        assert error(dw, wanted) < 1e-3


def test_a_result_is_written_where_it_is_asked_for(rng: np.random.Generator) -> None:
    """Into any strides, into a wider dtype's neighbour, and over the images themselves."""
    x, dy = (rng.standard_normal((3, 24, 12, 12), np.float32) for _ in range(2))
    for precision in ("exact", "fast"):
        wanted = kw.conv_weight_gradient(dy, x, 3, padding=1, precision=precision)
        gaps = np.full((24, 24, 3, 6), np.nan, np.float32)[..., ::-2]
        assert kw.conv_weight_gradient(dy, x, 3, padding=1, precision=precision, out=gaps) is gaps
        assert np.array_equal(gaps, wanted)
        over = x.copy()
        place = over.reshape(-1)[: wanted.size].reshape(wanted.shape)
        kw.conv_weight_gradient(dy, over, 3, padding=1, precision=precision, out=place)
        assert np.array_equal(place, wanted)


def test_it_is_chosen_where_it_is_less_work_and_may_be() -> None:
    def chosen(case: Case, dtype: str = "f4") -> bool:
        of = case.channels, case.outputs, case.images, Number(dtype), named("avx2")
        return slopes_winograd_launch.worthwhile(case.axes, *of)

    large = Case(8, 1, 64, 64, 56, 56)
    rows, columns = large.axes[1:]
    assert chosen(large) and chosen(Case(8, 1, 512, 512, 7, 7))
    assert not chosen(large, "f8") and not chosen(replace(large, channels=3))
    assert not chosen(Case(1, 1, 8, 1, 1, 1))
    of = 64, 64, 8, Number("f4"), named("avx2")
    for other in (rows._replace(stride=2, out=28), rows._replace(dilation=2), rows._replace(taps=5)):
        assert not slopes_winograd_launch.worthwhile((large.axes[0], other, columns), *of)


# ---------------------------------------------------------------- the code


def products(target: str) -> list[list[str]]:
    """The loops of the routine that multiplies."""
    registers = {"avx512": 13, "neon": 12}.get(target, 5)
    text = assembly(
        slopes_winograd.emit(named(target), SlopeTilesSpec(Number("f4"), 2, registers, True)).text, named(target)
    )
    body = text[text.index("\nproducts:") :]
    return [lines for lines in reading.loops(body) if any("vfmadd" in line or "fmla" in line for line in lines)]


@pytest.mark.parametrize("target", ["avx512", "avx2"])
def test_sums_stay_in_registers(target: str) -> None:
    inner = products(target)[:1]
    assert inner
    for lines in inner:
        assert not reading.spilled(lines, "zmm" if target == "avx512" else "ymm")


def test_arm_code_is_made_of_fused_multiply_adds_without_spills() -> None:
    inner = products("neon")[:1]
    assert any(sum("fmla" in line for line in lines) >= 24 for lines in inner)
    for lines in inner:
        assert not reading.stacked(lines)


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="needs mprotect")
def test_no_gradient_leaves_its_arrays(report_figure: Callable[[str, str], None]) -> None:
    """Images, gradients, results, parts, panels and scratch memory lie between forbidden pages, on either side."""
    command = [sys.executable, "-m", "support.tiled_slopes", "12"]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=500)
    last = done.stdout.strip().rpartition("\n")[2]
    assert done.returncode >= 0, f"died of {signal.Signals(-done.returncode).name} in: {last}"
    assert done.returncode == 0, f"in {last}:\n{done.stderr}"
    report_figure("weight gradients, Winograd, between forbidden pages", f"{last.removeprefix('done ')} layers")
