"""Arrays between two pages that nobody may touch: one byte too far, and the process dies with SIGSEGV."""

from __future__ import annotations

import ctypes
import mmap

import numpy as np

PAGE = mmap.PAGESIZE
NONE, READ, WRITE = 0, 1, 2  # what a page permits, on Linux and macOS
CANARY = 0xA5

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


class Fenced:
    """A block of whole pages with a forbidden page on either side. It is used again and again and never freed."""

    def __init__(self, most_bytes: int) -> None:
        self.size = -(-most_bytes // PAGE) * PAGE
        whole = self.size + 2 * PAGE
        base = _libc.mmap(None, whole, READ | WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
        if base in (None, ctypes.c_void_p(-1).value):
            raise MemoryError
        self.start = base + PAGE
        for page in (base, self.start + self.size):
            self._permit(page, PAGE, NONE)
        self.bytes = self._view(self.start, self.size)
        self.bytes[:] = CANARY
        self._used = slice(0, 0)

    def _permit(self, address: int, size: int, what: int) -> None:
        if _libc.mprotect(address, size, what):
            raise OSError(ctypes.get_errno(), "mprotect")

    @staticmethod
    def _view(address: int, size: int) -> np.ndarray:
        return np.frombuffer((ctypes.c_ubyte * size).from_address(address), np.uint8)

    def seal(self) -> None:
        """Forbid writing."""
        self._permit(self.start, self.size, READ)

    def place(self, size: int, at_end: bool) -> np.ndarray:
        """``size`` bytes that end, or else start, at a forbidden page; all the rest holds the canary."""
        if size > self.size:
            raise ValueError(f"{size} bytes do not fit into {self.size}")
        self._permit(self.start, self.size, READ | WRITE)
        self.bytes[self._used] = CANARY
        first = self.size - size if at_end else 0
        self._used = slice(first, first + size)
        return self.bytes[self._used]

    def untouched(self, used: np.ndarray) -> bool:
        """Whether the rest still holds the canary; ``used`` is what `place` returned."""
        first = used.ctypes.data - self.start
        return bool((self.bytes[:first] == CANARY).all() and (self.bytes[first + used.nbytes :] == CANARY).all())


class Padded:
    """An array in a fenced room whose rows lie ``more`` elements apart, without padding behind the last one."""

    def __init__(
        self, room: Fenced, shape: tuple[int, ...], dtype: np.dtype, row_axis: int, more: int, at_end: bool
    ) -> None:
        strides = [dtype.itemsize] * len(shape)
        for axis in range(len(shape) - 2, -1, -1):
            strides[axis] = strides[axis + 1] * shape[axis + 1] + (more * dtype.itemsize if axis == row_axis else 0)
        self.room, self.strides = room, strides
        extent = sum((n - 1) * s for n, s in zip(shape, strides, strict=True)) + dtype.itemsize
        self.place = room.place(extent, at_end)
        self.array = np.ndarray(shape, dtype, self.place.data, strides=strides)

    def untouched(self) -> bool:
        """Whether nothing was written but the elements of the array."""
        between = np.ones(self.place.nbytes, bool)
        shape = (*self.array.shape, self.array.itemsize)
        np.lib.stride_tricks.as_strided(between, shape, (*self.strides, 1))[...] = False
        return self.room.untouched(self.place) and bool((self.place[between] == CANARY).all())
