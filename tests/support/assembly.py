"""Reading assembly: the loops of a routine, what is spilled in them, which instructions it uses."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from kernelwise import plan
from kernelwise.algorithms.routine import emit
from kernelwise.jit.compile import assembly
from kernelwise.jit.target import named
from kernelwise.problem import normalise

JUMP = re.compile(r"(?:j\w+|b|b\.\w+|cbn?z\s+\w+,|tbn?z\s+\w+,\s*#\d+,)\s+(\.L\w+)$")
STEPS = {"stride": 1, "dilation": 1, "axes": None, "anchor": None}
REST = {"mode": "same", "border": "edge", "fill": 0, "nan": "propagate", "dtype": None, "largest": 100}


def of(kernel: np.ndarray, image: str, method: str, target: str) -> str:
    """The assembly of the routine that a target gets for a kernel on a large image."""
    problem = normalise((200,) * kernel.ndim, np.dtype(image), kernel, flip=False, **STEPS, **REST)
    chosen = plan.choose(problem, method, target=named(target))
    return assembly(emit(chosen.parts[0].spec, named(target)).text, named(target))


def instructions(text: str) -> list[str]:
    """Labels and instructions, in order, without directives and comments."""
    lines = (re.split(r"\s*(?:#|//) ", line)[0].strip().replace("\t", " ") for line in text.splitlines())
    return [line for line in lines if line and (line.endswith(":") or not line.startswith((".", "#")))]


def loops(text: str) -> Iterator[list[str]]:
    """The instructions of every loop that has none inside."""
    lines = instructions(text)
    places = {line[:-1]: number for number, line in enumerate(lines) if line.endswith(":")}
    spans = []
    for number, line in enumerate(lines):
        found = JUMP.match(line)
        if found and places.get(found[1], number) < number:
            spans.append((places[found[1]], number))
    for first, last in spans:
        if not any((first, last) != other and first <= other[0] and other[1] <= last for other in spans):
            yield lines[first : last + 1]


def spilled(lines: list[str], register: str) -> list[str]:
    """Stores of vector registers on the stack."""
    return [line for line in lines if re.search(rf"%{register}\d+, -?\d*\(%r[sb]p\)$", line)]


def stacked(lines: list[str]) -> list[str]:
    """Instructions of AArch64 code that move vector registers to the stack or back."""
    return [line for line in lines if re.match(r"(?:ld|st)[rpu]+ q\d+", line) and "[sp" in line]
