"""A kernel as it is given on the command line: a name, the taps themselves, or a file."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from .. import stencils
from ..errors import ArgumentError, FileError
from . import files

MAX_TEXT = 64_000_000  # bytes of a .csv kernel


def load(text: str) -> np.ndarray:
    """The (h, w) kernel that `text` means: a name of kernelwise.stencils, taps such as "1,-1", or a .npy or .csv file.

    In taps and .csv files a comma goes to the next tap, a semicolon or a new line to the next row; "1/9" is a ninth.
    Whole numbers give an int64 kernel, so that integer images are filtered exactly; others float64. A .npy file keeps
    its dtype and number of dimensions. Raises ArgumentError for what is none of these, FileError for a file that
    cannot be read.

    >>> load("0,1,0; 1,-4,1; 0,1,0").tolist()
    [[0, 1, 0], [1, -4, 1], [0, 1, 0]]
    >>> load("1/2, 1/2").tolist()
    [[0.5, 0.5]]
    """
    suffix = Path(text).suffix.lower()
    if suffix == ".npy":
        return files.read(text).pixels
    if suffix == ".csv":
        return parse(_csv_text(text), text)
    if text.strip()[:1].isalpha():
        return stencils.get(text.strip(), argument="kernel")
    return parse(text, text)


def _csv_text(path: str) -> str:
    try:
        with open(path, encoding="utf-8-sig") as stream:
            text = stream.read(MAX_TEXT + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path}: {getattr(error, 'strerror', None) or 'not a text file'}") from error
    if len(text) > MAX_TEXT:
        raise FileError(f"{path}: larger than {MAX_TEXT} bytes")
    return text


def parse(text: str, given: str) -> np.ndarray:
    """The (h, w) array written as rows of taps; `given` is what an error message shows.

    >>> parse("1,2\\n3,4.5\\n", "taps.csv").tolist()
    [[1.0, 2.0], [3.0, 4.5]]
    """
    rows = [[_number(tap) for tap in row.split(",")] for row in text.replace(";", "\n").splitlines() if row.strip()]
    if not rows or any(tap is None for row in rows for tap in row):
        raise ArgumentError(f"`kernel` must be numbers between commas, rows between semicolons (got {given!r})")
    if len({len(row) for row in rows}) != 1:
        lengths = ", ".join(str(len(row)) for row in rows)
        raise ArgumentError(f"`kernel` must have rows of one length (got rows of {lengths} taps in {given!r})")
    whole = all(isinstance(tap, int) and abs(tap) < 2**63 for row in rows for tap in row)
    return np.array(rows, np.int64 if whole else np.float64)


def _number(text: str) -> int | float | None:
    """A whole number, a decimal number or a fraction; None if it is none of them or not finite."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        above, _, below = text.partition("/")
        value = float(above) / float(below) if below else float(text)
    except (ValueError, ZeroDivisionError):
        return None
    return value if math.isfinite(value) else None
