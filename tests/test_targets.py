"""Every instruction set gives the definition exactly; assembly is what it should be; the CPU is left as it was."""

import ctypes
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import kernelwise as kw
from kernelwise.jit import compile, runtime, target
from kernelwise.jit.ir import I32, I64, VOID, Module
from support import assembly, cases
from support.guarded import FORMS

SEED = 20250304
FOLDER = Path(__file__).parent
X86 = "avx512" in target.available() or "sse" in target.available()
TARGETS = ("avx512", "avx2", "sse", "neon")
REGISTER = {"avx512": "%zmm", "avx2": "%ymm", "sse": "%xmm", "neon": r"\bv\d+\."}
FUSED = {"avx512": r"vfn?m(add|sub)\d+p[sd] .*%zmm", "avx2": r"vfn?m(add|sub)\d+p[sd] .*%ymm", "neon": r"fml[as] v\d+"}
IMAGES = ("u1", "i2", "u4", "i8", "f4", "f8")


@pytest.mark.parametrize("name", target.available())
def test_every_target_of_this_cpu_gives_the_definition_exactly(name: str) -> None:
    """Code for the common subset of a name, as it would run on another CPU."""
    numbers = [str(n) for n in (SEED, 0, 400)]
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", "support.cases", *numbers],
        capture_output=True,
        text=True,
        cwd=FOLDER,
        env=os.environ | {"KERNELWISE_TARGET": name},
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("400 right")


def test_the_target_is_the_one_asked_for() -> None:
    """Else the tests above would test the same code three times."""
    program = (
        "import kernelwise as kw, numpy as np; print(kw.explain(np.zeros((9, 9), 'f4'), np.ones((3, 3))).target.name)"
    )
    for name in target.available():
        environment = os.environ | {"KERNELWISE_TARGET": name}
        assert subprocess.check_output([sys.executable, "-c", program], env=environment, text=True).strip() == name


# ---------------------------------------------------------------- assembly


@cache
def text(form: str, image: str, name: str) -> str:
    kernel, method = FORMS[form]
    return assembly.of(kernel.astype("f8" if image[0] == "f" else "i8"), image, method, name)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_uses_the_vectors_of_its_target(form: str, name: str) -> None:
    """On any machine, for any machine: the widest registers, fused where the target fuses, and no wider ones."""
    for image in IMAGES:
        lines = "\n".join(assembly.instructions(text(form, image, name)))
        assert re.search(REGISTER[name], lines), image
        if image[0] == "f" and name in FUSED:
            assert re.search(FUSED[name], lines), image
        if name in ("avx2", "sse"):
            assert "%zmm" not in lines
        if name == "sse":
            assert "%ymm" not in lines and not re.search(r"^v\w+ ", lines, re.MULTILINE)
        if name != "neon":
            assert not re.search(r"^f(ld|st|add|mul|div|sub)", lines, re.MULTILINE), "x87"


@pytest.mark.parametrize("form", FORMS)
def test_no_upper_half_stays_dirty(form: str) -> None:
    """A routine that uses wide registers clears them before it returns: old code would run slowly after it."""
    for name in ("avx512", "avx2"):
        for image in IMAGES:
            lines = assembly.instructions(text(form, image, name))
            for number, line in enumerate(lines):
                if line.startswith("ret"):
                    assert any("vzeroupper" in before for before in lines[max(0, number - 12) : number]), (name, image)


MAIN = {
    "3x3": np.add.outer([0.3, 1.7, -2.1], [0.9, -0.4, 5.3]),
    "5x5": np.sin(np.arange(1, 26)).reshape(5, 5),
    "9x9": np.sin(np.arange(1, 82)).reshape(9, 9),
    "16x16": np.sin(np.arange(1, 257)).reshape(16, 16),
    "31x31": np.sin(np.arange(1, 962)).reshape(31, 31),
}
BELL = np.exp(-(np.arange(-5, 6) ** 2) / 8)


def assert_few_spills(text: str) -> None:
    """The loops keep their sums in registers: a vector goes to the stack once in ten operations on vectors at most."""
    for lines in assembly.loops(text):
        work = sum(re.match(r"v(fn?m|mul|add|sub|pmul|padd|psub)", line) is not None for line in lines)
        assert len(assembly.spilled(lines, "zmm")) <= work / 10


@pytest.mark.parametrize("kernel", MAIN)
@pytest.mark.parametrize("image", ["f4", "f8"])
def test_sums_stay_in_registers(image: str, kernel: str) -> None:
    assert_few_spills(assembly.of(MAIN[kernel], image, "direct", "avx512"))


@pytest.mark.parametrize("image", ["u1", "f4", "f8"])
def test_sums_of_products_stay_in_registers(image: str) -> None:
    assert_few_spills(assembly.of(np.outer(BELL, BELL), image, "separable", "avx512"))


@pytest.mark.parametrize("side", [3, 5])
def test_sums_of_bytes_stay_in_registers(side: int) -> None:
    kernel = np.random.default_rng(3).integers(-9, 10, (side, side))
    assert_few_spills(assembly.of(kernel, "u1", "direct", "avx512"))


def test_a_spill_is_seen() -> None:
    """The reader of assembly is tested too."""
    lines = "a:\n\tmovq\t%rax, %rcx\n.L1:\n\tvmovups\t%zmm3, 64(%rsp)  # 64-byte Spill\n\tjne\t.L1\n\tretq\n"
    found = list(assembly.loops(lines))
    assert len(found) == 1
    assert assembly.spilled(found[0], "zmm") == ["vmovups %zmm3, 64(%rsp)"]
    with pytest.raises(AssertionError):
        assert_few_spills(lines)


@pytest.mark.parametrize("name", TARGETS)
def test_the_runtime_and_the_entry_can_be_built_for_every_target(name: str) -> None:
    for platform in runtime.Platform:
        assert compile.assembly(runtime.emit(target.named(name), platform, None).text, target.named(name))


# ---------------------------------------------------------------- the CPU's own state


@cache
def mode_functions() -> tuple[object, object, object]:
    """(read, write) of the register that holds rounding mode, flush-to-zero and what has happened so far."""
    here = target.current()
    module = Module(here)
    fn = module.function("read", [], I64)
    slot = fn.stack(4, 4)
    fn.call("llvm.x86.sse.stmxcsr", VOID, [slot])
    fn.ret(fn.load(I32, slot).to(I64, "zext"))
    fn = module.function("write", [("mode", I64)])
    slot = fn.stack(4, 4)
    fn.store(fn.args[0].to(I32, "trunc"), slot)
    fn.call("llvm.x86.sse.ldmxcsr", VOID, [slot])
    code = compile.load(compile.compile_object(module.text, here), here)
    read = ctypes.PYFUNCTYPE(ctypes.c_int64)(code.address("read"))
    write = ctypes.PYFUNCTYPE(None, ctypes.c_int64)(code.address("write"))
    return read, write, code


DEFAULT, ROUND_UP, FLUSH = 0x1F80, 0x5F80, 0x9FC0  # of MXCSR
INVALID, DIVISION, OVERFLOW = 1, 4, 8  # its sticky bits


@pytest.mark.skipif(not X86, reason="reads a register of x86")
@pytest.mark.parametrize("mode", [DEFAULT, ROUND_UP, FLUSH])
@pytest.mark.parametrize("shape", [(3, 4), (40, 50), (700, 900)])
def test_the_floating_point_mode_is_left_as_it_was(shape: tuple[int, int], mode: int) -> None:
    """Its rounding and its treatment of denormals; and what the library computes sets no flag of the caller's."""
    read, write, _ = mode_functions()
    x = np.full(shape, 3e38, np.float32)
    x[::2, ::3] = np.inf
    x[1::2, ::2] = -np.inf
    x[::3, 1::3] = np.nan
    kernels = [np.ones((3, 3), np.float32), np.ones((1, 40), np.float32), np.ones((17, 9), np.float32) * 3.7]
    for k, threads, method in [(k, t, m) for k in kernels for t in (1, 2) for m in ("direct", "auto")]:
        f = kw.Filter(k, threads=threads, method=method)
        out = f(x)
        try:
            write(mode)
            f(x, out)
            after = read()
        finally:
            write(DEFAULT)
        assert after & 0xFFC0 == mode & 0xFFC0
        assert not after & (INVALID | DIVISION | OVERFLOW)
    assert cases.check(SEED, 1) >= 0  # and all is well afterwards
