"""The arguments of a generated routine: numbers, and the addresses of arrays, in the order of its fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray


def words(fields: Sequence[str], arrays: Mapping[str, NDArray], numbers: Mapping[str, int]) -> NDArray[np.int64]:
    """One 8-byte word for each field: the address of the array of that name, or the number; 0 where neither is given.

    The arrays must outlive the run. The routine may write to them, and to the words themselves.
    """
    known = {**numbers, **{name: array.ctypes.data for name, array in arrays.items()}}
    return np.array([known.get(name, 0) for name in fields], np.int64)
