"""The measured peak: multiply-adds in registers, nothing else."""

import re

import pytest

from kernelwise.errors import ArgumentError
from kernelwise.jit import peak, target
from kernelwise.jit.compile import assembly
from kernelwise.jit.types import F32, F64, Type

MULTIPLY_ADDS = {"avx512": r"vfmadd\w+p[sd]\b", "avx2": r"vfmadd\w+p[sd]\b", "sse": r"mulp[sd]\b", "neon": r"fmla\b"}


def test_twice_as_many_lanes_do_about_twice_as_much() -> None:
    ratio = max(peak.fma_gflops("f4") for _ in range(3)) / max(peak.fma_gflops("f8") for _ in range(3))
    assert 1.4 < ratio < 2.8


def test_another_dtype_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"`dtype` must be 'f4' or 'f8' \(got 'i4'\)"):
        peak.fma_gflops("i4")


@pytest.mark.parametrize("element", [F32, F64])
@pytest.mark.parametrize("name", ["avx512", "avx2", "sse", "neon"])
def test_the_loop_holds_every_chain_in_a_register(name: str, element: Type) -> None:
    machine = target.named(name)
    text = assembly(peak.emit(machine, element).text, machine)
    assert len(re.findall(rf"\t{MULTIPLY_ADDS[name]}", text)) == peak.chains(machine)
    assert not re.search(r"\(%rsp\)|\[sp[,\]].*q\d", text)
