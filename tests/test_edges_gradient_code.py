"""The generated code of gradients: it leaves no array, is written for every machine, and takes little memory."""

import ctypes
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import kernelwise as kw
from kernelwise.algorithms.routine import emit
from kernelwise.edges import gradients
from kernelwise.jit import target
from kernelwise.jit.compile import assembly as assemble
from support import assembly, memory_use

FOLDER = Path(__file__).parent
PARTS = 2
REGISTER = {"avx512": "%zmm", "avx2": "%ymm", "sse": "%xmm", "neon": r"\bv\d+\."}
WANTED = {
    "mask": {"wanted": "mask", "above": 20.0},
    "all": {"above": 20.0},
    "l1": {"wanted": "magnitude", "norm": "l1"},
}


def guarded(first: int, step: int, how: str) -> tuple[int, str, str]:
    """(exit status, last line, complaints)"""
    command = [sys.executable, "-m", "support.guarded_gradient", str(first), str(step), how]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=900)
    return done.returncode, done.stdout.strip().rpartition("\n")[2], done.stderr


needs_fences = pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="needs mprotect")


@needs_fences
@pytest.mark.parametrize("part", range(PARTS))
def test_no_routine_leaves_its_arrays(part: int, report_figure: Callable[[str, str], None]) -> None:
    """Image, all results, scratch memory and tables lie flush against forbidden pages, on either side."""
    status, last, complaints = guarded(part, PARTS, "plain")
    assert status == 0, f"in {last}:\n{complaints}"
    done = int(last.split()[1])
    assert done > 133 * len(target.available())
    report_figure(f"gradients between forbidden pages, part {part + 1} of {PARTS}", f"{done} calls")


@needs_fences
def test_no_routine_leaves_its_arrays_when_it_writes_past_the_caches() -> None:
    status, last, complaints = guarded(2, 7, "stream")
    assert status == 0, f"in {last}:\n{complaints}"
    done, streamed = map(int, last.split()[1:])
    assert streamed == done > 33 * len(target.available())


@needs_fences
def test_one_pixel_too_far_is_caught() -> None:
    status, last, _ = guarded(0, 50, "over")
    assert status in (-signal.SIGSEGV, -signal.SIGBUS)
    assert "sobel" in last


# ---------------------------------------------------------------- assembly


def text(image: str, operator: str, name: str, monkeypatch: pytest.MonkeyPatch, **wanted: object) -> str:
    monkeypatch.setenv("KERNELWISE_TARGET", name)
    options = {"wanted": None, "norm": "l2", "above": None, "sigma": None, "axes": None, "border": "edge", "fill": 0}
    made = gradients._make((200, 300), np.dtype(image), None, operator, *{**options, **wanted}.values(), None)
    return assemble(emit(made.run.spec, target.named(name)).text, target.named(name))


@pytest.mark.parametrize("wanted", WANTED)
@pytest.mark.parametrize("name", REGISTER)
def test_code_for_every_machine_uses_its_vectors(name: str, wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On any machine, for any machine: the widest registers, and no wider ones."""
    for image in ("u1", "f4", "f8"):
        for operator in ("sobel", "gaussian"):
            lines = "\n".join(assembly.instructions(text(image, operator, name, monkeypatch, **WANTED[wanted])))
            assert re.search(REGISTER[name], lines), (image, operator)
            if name in ("avx2", "sse"):
                assert "%zmm" not in lines
            if name == "sse":
                assert "%ymm" not in lines
            assert not re.search(r"\b(call|bl|callq)\b", lines), "no library is called"


@pytest.mark.parametrize("image", ["u1", "f4"])
@pytest.mark.parametrize("wanted", ["mask", "l1"])
def test_rows_are_combined_in_registers(image: str, wanted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    code = text(image, "sobel", "avx512", monkeypatch, **WANTED[wanted])
    loops = list(assembly.loops(code))
    assert loops
    for lines in loops:
        assert not assembly.spilled(lines, "zmm")


# ---------------------------------------------------------------- memory


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("way", ["plain", "foreign", "half", "fortran", "long", "crossings"])
def test_a_call_takes_little_beside_its_results(way: str) -> None:
    code = {"foreign": ">f4", "half": "f2"}.get(way, "f4")
    x = memory_use.image((4000, 5000), code)
    if way == "fortran":
        x = x.T

    def call(image: np.ndarray) -> tuple[np.ndarray, ...]:
        if way == "crossings":
            return (kw.edges.zero_crossings(image, threads=2),)
        operator = {"operator": "gaussian", "sigma": 9.0} if way == "long" else {"operator": "sobel"}
        found = kw.edges.gradient(image, wanted=("gy", "magnitude"), threads=2, **operator)
        return found.gy, found.magnitude

    call(np.array(x[:300, :310]))
    ctypes.CDLL(None).malloc_trim(0)
    before = memory_use.resident()
    memory_use.forget_peak()
    results = call(x)
    taken = memory_use.peak() - before
    assert taken <= sum(r.nbytes for r in results) + memory_use.BESIDE
