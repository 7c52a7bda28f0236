"""What is printed: one line for a thing, one red line for what went wrong."""

from __future__ import annotations

import numpy as np
from rich.console import Console
from rich.text import Text

from . import shades

NAME_WIDTH = 12  # of the first column, the names of files and things


def fail(message: str) -> None:
    """One red line on standard error."""
    line = " ".join(message.split())
    Console(stderr=True, highlight=False).print(Text(f"kernelwise: {line}", style="red"), soft_wrap=True)


def say(name: str, what: str) -> None:
    """One line on standard output: a name in bold, and what there is to say about it."""
    line = Text.assemble((f"{name:<{NAME_WIDTH}} ", "bold"), what)
    Console(highlight=False).print(line, soft_wrap=True)


def describe(values: np.ndarray) -> str:
    """Size, dtype and range in words: "3 x 4 uint8, 0 to 255"."""
    words = f"{' x '.join(str(n) for n in values.shape)} {values.dtype}"
    limits = shades.limits(values)
    return words if limits is None else f"{words}, {limits[0]:.6g} to {limits[1]:.6g}"
