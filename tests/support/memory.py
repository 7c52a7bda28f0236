"""The same numbers laid out in memory in every way that NumPy knows."""

from __future__ import annotations

import tempfile

import numpy as np

SAME_BYTES = 64

KINDS = (
    "plain", "fortran", "reversed", "every other", "padded rows", "moved axes", "read-only", "foreign", "unaligned",
    "memmap", "odd strides",
)  # fmt: skip


def arrange(values: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """An array equal to ``values`` (same dtype but for the byte order) that lies in memory as ``kind`` says."""
    if kind == "fortran":
        return np.asfortranarray(values)
    if kind == "read-only":
        copy = values.copy()
        copy.flags.writeable = False
        return copy
    if kind == "foreign":
        return values.astype(values.dtype.newbyteorder("S"))
    if values.ndim == 0 or kind == "plain":
        return values.copy()
    return FILLED[kind](values, rng)


def _fill(view: np.ndarray, values: np.ndarray) -> np.ndarray:
    view[...] = values
    assert view.shape == values.shape and view.dtype == values.dtype
    return view


def _reversed(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    turned = tuple(slice(None, None, -1 if rng.random() < 0.6 else 1) for _ in values.shape)
    return _fill(np.zeros(values.shape, values.dtype)[turned], values)


def _every_other(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    steps = [int(rng.integers(1, 4)) for _ in values.shape]
    room = np.zeros([max(1, n * s) for n, s in zip(values.shape, steps, strict=True)], values.dtype)
    room[...] = 1  # what lies between must not be used
    return _fill(room[tuple(slice(0, n * s, s) for n, s in zip(values.shape, steps, strict=True))], values)


def _padded_rows(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    room = np.ones([n + int(rng.integers(0, 5)) for n in values.shape], values.dtype)
    return _fill(room[tuple(slice(0, n) for n in values.shape)], values)


def _moved_axes(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    order = rng.permutation(values.ndim)
    return _fill(np.zeros([values.shape[i] for i in order], values.dtype).transpose(np.argsort(order)), values)


def _unaligned(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    shift = int(rng.integers(1, 64))
    buffer = np.zeros(values.nbytes + 64, np.uint8)
    return _fill(buffer[shift : shift + values.nbytes].view(values.dtype).reshape(values.shape), values)


def _memmap(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if values.size == 0:
        return values.copy()
    with tempfile.TemporaryFile() as file:
        return _fill(np.memmap(file, values.dtype, "w+", int(rng.integers(0, 3)) * 8, values.shape), values)


def _odd_strides(values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Strides of axes with one element mean nothing, and may be anything."""
    copy = values.copy()
    strides = [int(rng.integers(-999, 999)) if n == 1 else s for n, s in zip(copy.shape, copy.strides, strict=True)]
    return np.lib.stride_tricks.as_strided(copy, copy.shape, strides)


FILLED = {
    "reversed": _reversed,
    "every other": _every_other,
    "padded rows": _padded_rows,
    "moved axes": _moved_axes,
    "unaligned": _unaligned,
    "memmap": _memmap,
    "odd strides": _odd_strides,
}


def broadcast(values: np.ndarray, axis: int) -> np.ndarray:
    """The first element along ``axis``, repeated as often as there were: a view whose stride there is 0."""
    if values.shape[axis] == 0:
        return values
    return np.broadcast_to(values.take([0], axis), values.shape)
