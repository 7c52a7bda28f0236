"""How much memory a call takes beside its result, measured in a process of its own.

`python -m support.memory_use NAME ...` prints a line for each call: its name, the bytes allowed and the bytes taken.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import kernelwise as kw
from kernelwise.algorithms.routine import routine

MB = 1 << 20
BESIDE = 64 * MB
BELL = np.exp(-(np.arange(-4, 5) ** 2) / 6)
DRAW = np.random.default_rng(12)

Call = tuple[Callable[[], np.ndarray], Any, dict[str, Any]]  # makes the image; kernel; options


def image(shape: tuple[int, ...], code: str) -> np.ndarray:
    """Numbers that fill memory for real."""
    x = np.empty(shape, code)
    x[...] = 3
    x.reshape(-1)[::1013] = 5
    return x


def spotted(shape: tuple[int, ...]) -> np.ndarray:
    x = image(shape, "f8")
    x.reshape(-1)[:: x.size // 200] = np.nan
    return x


FOURIER = {"method": "fourier"}
CALLS: dict[str, Call] = {
    "plain, direct": (lambda: image((4500, 4600), "f4"), DRAW.random((3, 3)), {}),
    "plain, table": (lambda: image((3000, 4000), "f8"), DRAW.random((11, 13)), {}),
    "plain, separable": (lambda: image((3000, 4000), "f8"), np.outer(BELL, BELL), {}),
    "plain, tall": (lambda: image((3000, 4000), "f8"), DRAW.random((40, 3)), {}),
    "plain, stride": (lambda: image((3000, 4000), "f8"), DRAW.random((5, 5)), {"stride": 3}),
    "bytes": (lambda: image((10_000, 9000), "u1"), DRAW.random((3, 3)), {"dtype": "u1"}),
    "colour bytes": (lambda: image((5000, 5500, 3), "u1"), np.outer(BELL, BELL), {"dtype": "u1", "axes": (0, 1)}),
    "reference": (lambda: image((3000, 4000), "f8"), DRAW.random((2, 2)), {"method": "reference"}),
    "reference, every other": (
        lambda: image((3000, 8000), "f8")[:, ::2],
        DRAW.random((2, 2)),
        {"method": "reference", "border": "wrap"},
    ),
    "reference, a signal": (
        lambda: image((12_000_000,), "f8"),
        DRAW.random(5),
        {"method": "reference", "dilation": 99},
    ),
    "half": (lambda: image((6500, 7000), "f2"), DRAW.random((3, 3)), {}),
    "half, colour": (lambda: image((4500, 4000, 3), "f2"), DRAW.random((3, 3)), {"axes": (0, 1)}),
    "foreign": (lambda: image((3000, 4000), ">f8"), DRAW.random((3, 3)), {"border": "wrap"}),
    "foreign, wide": (lambda: image((4, 3_000_000), ">f8"), DRAW.random((3, 3)), {}),
    "foreign, tall": (lambda: image((3_000_000, 4), ">f8"), DRAW.random((3, 3)), {}),
    "foreign, a signal": (lambda: image((12_000_000,), ">f8"), DRAW.random(9), {"border": "wrap"}),
    "foreign, far apart": (lambda: image((3000, 4000), ">f8"), DRAW.random((3, 3)), {"dilation": 900}),
    "foreign, long": (lambda: image((3000, 4000), ">f8"), DRAW.random((700, 1)), {}),
    "foreign, deep": (lambda: image((220, 230, 240), ">f8"), DRAW.random((3, 3, 3)), {}),
    "foreign, wide, deep": (lambda: image((6, 5, 400_000), ">f8"), DRAW.random((5, 5, 3)), {}),
    "every other": (lambda: image((3000, 8000), "f8")[:, ::2], DRAW.random((3, 3)), {}),
    "every other, channels": (lambda: image((10, 3_000_000), "f8")[:, ::2], DRAW.random(3), {"axes": 0}),
    "backwards": (lambda: image((3000, 4000), "f8")[::-1, ::-1], DRAW.random((3, 3)), {}),
    "fortran": (lambda: image((3000, 4000), "f8").T, DRAW.random((3, 3)), {}),
    "unaligned": (
        lambda: image((96_000_008,), "u1")[1:-7].view("f8").reshape(3000, 4000),
        DRAW.random((3, 3)),
        {},
    ),
    "complex kernel": (lambda: image((3000, 4000), "f8"), DRAW.random((3, 3)) + 1j, {}),
    "complex": (lambda: image((2000, 3000), "c16"), DRAW.random((3, 3)), {}),
    "omit": (lambda: image((3000, 4000), "f8"), DRAW.random((3, 3)), {"nan": "omit"}),
    "far apart": (lambda: image((3000, 4000), "f8"), DRAW.random((3, 3)), {"dilation": 900}),
    "very far apart": (lambda: image((3000, 4000), "f8"), DRAW.random((3, 3)), {"dilation": 4000}),
    "a signal": (lambda: image((12_000_000,), "f8"), DRAW.random(200), {}),
    "a signal, full": (lambda: image((12_000_000,), "f8"), DRAW.random(3), {"mode": "full", "dilation": 10**6}),
    "deep": (lambda: image((220, 230, 240), "f8"), DRAW.random((3, 3, 3)), {}),
    "deep, product": (
        lambda: image((220, 230, 240), "f8"),
        np.multiply.outer(BELL, np.outer(BELL, BELL)),
        {"mode": "valid"},
    ),
    "deep, many taps": (lambda: image((1_000_000, 3, 4), "f8"), DRAW.random((9, 2, 2)), {}),
    "deep, many planes": (lambda: image((900_000, 3, 4), "f8"), DRAW.random((5, 1, 2)), {}),
    "many rows, far apart": (
        lambda: image((1_000_000, 10), "f8"),
        DRAW.random((3, 3)),
        {"dilation": (1_000_000, 1), "mode": "full", "border": "constant"},
    ),
    "many small": (lambda: image((120_000, 10, 10), "f8"), DRAW.random((3, 3)), {}),
    "many small, moved": (lambda: image((700, 700, 5, 5), "f8").transpose(1, 0, 2, 3), DRAW.random((3, 3)), {}),
    "many small, moved about": (
        lambda: image((500, 2, 700, 3, 5), "f8").transpose(0, 2, 1, 3, 4),
        DRAW.random((3, 3)),
        {},
    ),
    "many rows": (lambda: image((2_500_000, 5), "f8"), DRAW.random((3, 3)), {}),
    "many channels": (lambda: image((10, 1_200_000), "f8"), DRAW.random(3), {"axes": 0}),
    "whole, wide sums": (lambda: image((3000, 4000), "i8"), DRAW.integers(-99, 99, (3, 3)), {}),
    "whole, foreign": (lambda: image((3000, 4000), ">u8"), DRAW.integers(0, 99, (3, 3)), {}),
    "large kernel": (lambda: image((3300, 3300), "f8"), np.pad(DRAW.random((2, 2)), 300), {}),
    "transform": (lambda: image((4500, 4600), "f4"), DRAW.random((61, 63)), FOURIER),
    "transform, largest tiles": (lambda: image((3000, 4000), "f8"), DRAW.random((170, 180)), FOURIER),
    "transform, eight threads": (lambda: image((3000, 4000), "f8"), DRAW.random((170, 180)), FOURIER | {"threads": 8}),
    "transform, bytes": (lambda: image((10_000, 9000), "u1"), DRAW.random((61, 63)), FOURIER | {"dtype": "u1"}),
    "transform, colour": (lambda: image((2500, 2500, 3), "f4"), DRAW.random((61, 63)), FOURIER | {"axes": (0, 1)}),
    "transform, foreign": (lambda: image((3000, 4000), ">f8"), DRAW.random((61, 63)), FOURIER),
    "transform, foreign, largest tiles": (lambda: image((3000, 4000), ">f8"), DRAW.random((170, 180)), FOURIER),
    "transform, foreign, colour": (
        lambda: image((2000, 2200, 3), ">f8"),
        DRAW.random((99, 91)),
        FOURIER | {"axes": (0, 1)},
    ),
    "transform, foreign, wide": (lambda: image((100, 120_000), ">f8"), DRAW.random((70, 180)), FOURIER),
    "transform, foreign, wide, deep": (lambda: image((6, 5, 400_000), ">f8"), DRAW.random((5, 5, 30)), FOURIER),
    "transform, foreign, deep": (lambda: image((120, 300, 400), ">f8"), DRAW.random((9, 13, 15)), FOURIER),
    "transform, deep": (lambda: image((220, 230, 240), "f8"), DRAW.random((9, 13, 15)), FOURIER),
    "transform, deep, eight threads": (
        lambda: image((120, 300, 400), "f8"),
        DRAW.random((40, 60, 60)),
        FOURIER | {"threads": 8},
    ),
    "transform, a signal": (lambda: image((12_000_000,), "f8"), DRAW.random(60_000), FOURIER),
    "transform, a foreign signal": (lambda: image((12_000_000,), ">f8"), DRAW.random(60_000), FOURIER),
    "transform, many signals": (lambda: image((900_000, 13), "f8"), DRAW.random(40), FOURIER | {"mode": "full"}),
    "transform, complex kernel": (lambda: image((3000, 4000), "f8"), DRAW.random((61, 63)) + 1j, FOURIER),
    "transform, spots of NaN": (lambda: spotted((3000, 4000)), DRAW.random((61, 63)), FOURIER),
    "transform, whole": (lambda: image((3000, 4000), "i2"), DRAW.integers(-9, 10, (61, 63)), FOURIER),
    "into itself": (lambda: image((3000, 4000), "f8"), DRAW.random((3, 3)), {"out": "x"}),
    "into every other": (lambda: image((3000, 4000), "f8"), DRAW.random((3, 3)), {"out": "every other"}),
}


def resident() -> int:
    """Bytes in memory, now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak() -> int:
    """Bytes in memory, the most since `forget_peak`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def measure(name: str) -> tuple[int, int]:
    """(bytes allowed, bytes taken) by a call; the result is taken by the call too if no ``out`` is given."""
    make, kernel, options = CALLS[name]
    kernel, options = np.asarray(kernel), {"threads": 2, **options}
    x = make()
    small = x[tuple(slice(0, min(n, 5 * k + 9)) for n, k in zip(x.shape, (1,) * x.ndim, strict=True))]
    first = {n: v for n, v in options.items() if n not in ("out", "dilation", "axes", "method")}
    kw.correlate(np.array(small), kernel, **first)
    out = options.pop("out", None)
    for part in (made := kw.explain(x, kernel, **options)).parts:
        routine(part.spec, made.target)  # compiled now
    if out == "every other":
        options["out"] = image((x.shape[0], 2 * x.shape[1]), "f8")[:, ::2]
    elif out == "x":
        options["out"] = x
    ctypes.CDLL(None).malloc_trim(0)
    before = resident()
    forget_peak()
    result = kw.correlate(x, kernel, **options)
    taken = peak() - before
    return (0 if out == "every other" else result.nbytes) + BESIDE + 16 * kernel.nbytes, taken


def main(names: list[str]) -> None:
    for name in names:
        allowed, taken = measure(name)
        print(f"{name}\t{allowed}\t{taken}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
