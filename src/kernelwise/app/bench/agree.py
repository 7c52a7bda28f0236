"""Nothing is timed before it is right: contenders against each other, and ours against the definition."""

from __future__ import annotations

import math

import numpy as np

import kernelwise as kw

from .cases import DTYPES, Row

UNIT = 2.0**-24  # rounding unit of float32
CROP = (48, 64)  # outputs of each of the three crops compared with the definition
CHUNK = 1 << 22  # outputs compared at a time


class Disagreement(Exception):
    """Two results that should be the same are not."""


def tolerance(row: Row, x: np.ndarray, fourier: bool = False) -> float:
    """Largest difference allowed between two results of the row, in units of the result.

    Integer kernels on integer images: none. u8 from a float kernel: one level. Float results: twice the bound
    (n + 2) u sum|k| max|x| of a sum of n products in float32, and 16 u log2(N) sum|k| max|x| more through a Fourier
    transform of N points, whose error grows with the image and not with the window.
    """
    kernel = row.kernel.weights
    if DTYPES[row.result].kind in "iu":
        return 0.0 if row.kernel.exact else 1.0
    scale = float(np.abs(kernel).sum()) * float(np.abs(x).max(initial=0))
    steps = 2 * (kernel.size + 2) + (16 * math.log2(x.size) if fourier else 0)
    return steps * UNIT * scale


def compare(name: str, got: np.ndarray, wanted: np.ndarray, allowed: float) -> None:
    """Raise Disagreement unless both have one dtype and shape and differ by at most ``allowed``; a NaN is wrong."""
    if got.dtype != wanted.dtype or got.shape != wanted.shape:
        raise Disagreement(f"{name}: {got.dtype} {got.shape} instead of {wanted.dtype} {wanted.shape}")
    step = max(1, CHUNK // max(1, got[:1].size))
    for first in range(0, got.shape[0], step):
        a = got[first : first + step].astype(np.float64)
        b = wanted[first : first + step].astype(np.float64)
        with np.errstate(invalid="ignore"):
            right = np.abs(a - b) <= allowed
        if not right.all():
            at = tuple(int(i) for i in np.argwhere(~right)[0])
            where = (at[0] + first, *at[1:])
            wrong = np.count_nonzero(~right)
            raise Disagreement(f"{name}: {a[at]:g} against {b[at]:g} at {where} ({allowed:g} allowed, {wrong} wrong)")


def with_definition(row: Row, x: np.ndarray, ours: np.ndarray) -> None:
    """Compare ours with the reference in float64 at two corners and in the middle of the image."""
    height, width = x.shape[:2]
    reach = row.kernel.weights.shape
    for top, left in ((0, 0), (height - CROP[0], width - CROP[1]), ((height - CROP[0]) // 2, (width - CROP[1]) // 2)):
        rows = slice(max(0, top), max(0, top) + CROP[0])
        columns = slice(max(0, left), max(0, left) + CROP[1])
        around = (
            slice(max(0, rows.start - reach[0]), rows.stop + reach[0]),
            slice(max(0, columns.start - reach[1]), columns.stop + reach[1]),
        )
        truth = kw.correlate(
            x[around].astype(np.float64),
            row.kernel.weights.astype(np.float64),
            border="reflect",
            axes=(0, 1),
            method="reference",
        )
        inner = truth[rows.start - around[0].start :, columns.start - around[1].start :][: CROP[0], : CROP[1]]
        part = ours[rows, columns]
        compare("the definition", part, settled(inner, part.dtype), tolerance(row, x, fourier=row.large))
        if not row.kernel.exact and part.dtype == np.uint8:
            _few_other_levels(part, settled(inner, part.dtype))


def settled(y: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Float values as a dtype: integers saturate and round half to even."""
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        y = np.clip(np.rint(y), limits.min, limits.max)
    return y.astype(dtype)


def _few_other_levels(got: np.ndarray, wanted: np.ndarray) -> None:
    """Rounding may differ where a sum lies within float32 of a half: seldom. Truncating would differ everywhere."""
    share = np.count_nonzero(got != wanted) / max(1, got.size)
    if share > 0.01:
        raise Disagreement(f"the definition: {share:.1%} of the u8 results are one level off (1 % allowed)")
