"""The code of layers with pixels in the lanes and of weight gradients: where it reads and writes, and its registers."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kernelwise.algorithms.layer import across, across_launch, slopes, slopes_launch
from kernelwise.algorithms.layer.problem import LayerProblem, problem3
from kernelwise.algorithms.numbers import Number
from kernelwise.jit.compile import assembly
from kernelwise.jit.target import named
from kernelwise.problem import Axis
from support import assembly as reading

FOLDER = Path(__file__).parent
REGISTER = {"avx512": "zmm", "avx2": "ymm", "sse": "xmm"}
LAYERS = {  # groups, channels and outputs of each, taps, stride, pixels of a row
    "depthwise": (32, 1, 1, 3, 1, 112),
    "depthwise, stride": (128, 1, 1, 3, 2, 56),
    "small images": (64, 1, 1, 3, 1, 14),
    "few outputs": (1, 3, 8, 3, 1, 1920),
    "one output": (1, 1, 1, 5, 1, 1920),
    "large kernel": (1, 2, 1, 11, 1, 400),
    "many channels": (1, 64, 64, 3, 1, 56),
    "one tap": (1, 64, 64, 1, 1, 56),
    "groups": (8, 4, 4, 3, 2, 28),
}


def geometry(name: str) -> tuple[int, int, int, tuple[Axis, Axis, Axis]]:
    groups, channels, outputs, taps, stride, n = LAYERS[name]
    axis = Axis(n, taps, -(taps // 2), stride, 1, -(-n // stride))
    return groups, channels, outputs, problem3((axis, axis))


def text_across(name: str, dtype: str, target: str) -> str:
    groups, channels, outputs, axes = geometry(name)
    problem = LayerProblem(axes, groups, channels, outputs, "constant", Number(dtype))
    return assembly(across.emit(named(target), across_launch.plan(problem, named(target)).spec).text, named(target))


def text_slopes(name: str, dtype: str, target: str) -> str:
    groups, channels, outputs, axes = geometry(name)
    plan = slopes_launch.plan(axes, groups, outputs, channels, 8, Number(dtype), named(target))
    return assembly(slopes.emit(named(target), plan.spec).text, named(target))


WRITERS = {"across": text_across, "slopes": text_slopes}


def inner_loops(text: str, multiply: str) -> list[list[str]]:
    """Those that multiply and add vectors."""
    return [lines for lines in reading.loops(text) if sum(multiply in line for line in lines) >= 3]


@pytest.mark.parametrize("target", ["avx512", "avx2"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("routine", WRITERS)
def test_sums_stay_in_registers(routine: str, name: str, dtype: str, target: str) -> None:
    inner = inner_loops(WRITERS[routine](name, dtype, target), "vfmadd")
    assert inner
    for lines in inner:
        assert not reading.spilled(lines, REGISTER[target])


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("routine", WRITERS)
def test_arm_code_is_made_of_fused_multiply_adds_in_registers(routine: str, name: str) -> None:
    """A vector goes to the stack, or comes back, once in ten of them at most."""
    inner = inner_loops(WRITERS[routine](name, "f4", "neon"), "fmla")
    assert inner
    for lines in inner:
        assert len(reading.stacked(lines)) <= sum("fmla" in line for line in lines) / 10


def run(which: str, turns: int) -> tuple[int, str, str]:
    """(exit status, last line, complaints)."""
    command = [sys.executable, "-m", "support.fenced_layers", which, str(turns)]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=500)
    return done.returncode, done.stdout.strip().rpartition("\n")[2], done.stderr


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="needs mprotect")
@pytest.mark.parametrize("which", ["pixels", "slopes"])
def test_no_layer_leaves_its_arrays(which: str, report_figure: Callable[[str, str], None]) -> None:
    """Images, gradients, results, sums and scratch memory lie between forbidden pages, on either side."""
    status, last, complaints = run(which, 25)
    assert status >= 0, f"died of {signal.Signals(-status).name} in: {last}"
    assert status == 0, f"in {last}:\n{complaints}"
    report_figure(f"layers, {which}, between forbidden pages", f"{last.removeprefix('done ')} units")


@pytest.mark.skipif(sys.platform not in ("linux", "darwin"), reason="needs mprotect")
def test_one_row_too_many_is_caught() -> None:
    """The watchdog is tested too."""
    status, _, _ = run("fault", 40)
    assert status in (-signal.SIGSEGV, -signal.SIGBUS)
