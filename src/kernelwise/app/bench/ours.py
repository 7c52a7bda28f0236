"""kernelwise's own turn in a row: a Filter planned once, applied with a preallocated result."""

from __future__ import annotations

import numpy as np

import kernelwise as kw

from .cases import Row
from .rivals.contender import Contender

NAME = "kernelwise"


def contender(row: Row, x: np.ndarray, out: np.ndarray, threads: int) -> Contender:
    """``kw.Filter`` for the row; u8 and int16 results are asked for by ``dtype=``."""
    planned = kw.Filter(row.kernel.weights, border="reflect", axes=(0, 1), dtype=out.dtype, threads=threads)
    return Contender(NAME, lambda: planned(x, out=out))
