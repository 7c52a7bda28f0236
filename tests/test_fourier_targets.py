"""Transforms on every instruction set: right by the definition, in vectors of the target, with little on the stack."""

import re
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pytest

import kernelwise as kw
from kernelwise.algorithms.fourier.spec import FourierSpec
from kernelwise.algorithms.numbers import Number
from kernelwise.algorithms.routine import emit
from kernelwise.jit import compile, target
from support import assembly, tiled
from test_fourier import check
from test_targets import FUSED, REGISTER, TARGETS

TILES = ((32, 32), (64, 96), (256, 384), (512, 512))
STORED = {"avx512": "zmm", "avx2": "ymm", "sse": "xmm"}
OPERATION = re.compile(r"v?(fn?m|mul|add|sub)\w*p[sd] ")


@pytest.fixture(params=target.available())
def on_target(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("KERNELWISE_TARGET", request.param)
    kw.clear_cache()
    yield request.param
    kw.clear_cache()


def test_every_target_gives_the_definition(on_target: str, rng: np.random.Generator) -> None:
    """Code for the common subset of a name, as it would run on another CPU."""
    for shape, taps, code in (
        ((70, 150), (9, 13), "f4"),
        ((70, 150), (9, 13), "u1"),
        ((3, 2500), (1, 60), "f8"),
        ((9, 30, 41), (3, 4, 5), "f4"),
        ((61, 77), (12, 5), "c8"),
        ((33, 300), (5, 99), "f2"),
    ):
        x, k = tiled.pixels(rng, shape, code), rng.standard_normal(taps)
        assert kw.explain(x, k).target.name == on_target
        check(x, k)
    check(tiled.pixels(rng, (90, 95), "u1"), rng.integers(-9, 10, (9, 9)))


@pytest.mark.parametrize("length", tiled.LENGTHS)
def test_every_length_of_every_target(length: int, on_target: str, rng: np.random.Generator) -> None:
    """Machines with fewer registers take smaller steps."""
    with tiled.tiles(32, length), np.errstate(all="raise"):
        check(tiled.pixels(rng, (40, length + 40), "f4"), rng.standard_normal((3, 8)))


@cache
def text(tile: tuple[int, int], sums: str, name: str, line: bool = False, deep: bool = False) -> str:
    number = Number(sums)
    spec = FourierSpec(number, number, number, tile, line, deep)
    return compile.assembly(emit(spec, target.named(name)).text, target.named(name))


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("sums", ["f4", "f8"])
def test_transforms_use_the_vectors_of_their_target(sums: str, name: str) -> None:
    """On any machine, for any machine: the widest registers, fused where the target fuses, and no wider ones."""
    for tile, line, deep in (((32, 96), False, False), ((64, 64), True, False), ((32, 32), False, True)):
        code = assembly.instructions(text(tile, sums, name, line, deep))
        lines = "\n".join(code)
        assert re.search(REGISTER[name], lines)
        if name in FUSED:
            assert re.search(FUSED[name], lines)
        if name in ("avx2", "sse"):
            assert "%zmm" not in lines
        if name == "sse":
            assert "%ymm" not in lines and not re.search(r"^v\w+ ", lines, re.MULTILINE)
        if name in ("avx512", "avx2"):
            assert_clean_upper_halves(code)


def assert_clean_upper_halves(code: list[str]) -> None:
    """Every function that uses wide registers clears their upper halves before it returns."""
    wide, functions = False, 0
    for number, line in enumerate(code):
        if line.endswith(":") and not line.startswith("."):
            wide = False
        wide |= bool(re.search(r"%[yz]mm", line))
        if wide and line.startswith("ret"):
            assert any("vzeroupper" in before for before in code[max(0, number - 12) : number])
            functions += 1
    assert functions >= 5


@pytest.mark.parametrize("name", STORED)
@pytest.mark.parametrize("sums", ["f4", "f8"])
def test_transforms_stay_in_registers(sums: str, name: str, report_figure: Callable[[str, str], None]) -> None:
    """In all loops together a vector goes to the stack once in twelve operations at most, in none once in three."""
    most, most_of_all = 0.0, 0.0
    for tile in TILES:
        stored, operations = 0, 0
        for lines in assembly.loops(text(tile, sums, name)):
            work = sum(OPERATION.match(line) is not None for line in lines)
            spilled = len(assembly.spilled(lines, STORED[name]))
            stored, operations = stored + spilled, operations + work
            if work >= 10:
                most = max(most, spilled / work)
        assert operations > 300
        most_of_all = max(most_of_all, stored / operations)
    report_figure(f"vectors on the stack, {name}, {sums}", f"{most_of_all:.1%} of operations, {most:.0%} in one loop")
    assert most_of_all <= 1 / 12
    assert most <= 1 / 3
