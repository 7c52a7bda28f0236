"""nd.save and nd.load: MXNet's own file format for arrays (.params), read and written without running anything in it.

    u64 0x112, u64 0
    u64 number of arrays, then of each
        u32 0xF993fac9 or 0xF993faca, i32 kind of storage (0: dense)
        i32 axes, i64 size of each
        i32 device, i32 its number, i32 dtype, the numbers in C order
    u64 number of names (0 for a list), of each u64 its length and its bytes

Before MXNet 1.0 there was no kind of storage, under 0xF993fac8; earlier still the number of axes stood in place of the
mark, and sizes were u32. All little-endian. Sizes are checked against what the file holds before anything is allocated.
"""

from __future__ import annotations

import math
import os
import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..base import MXNetError
from . import dtypes
from .core import Core, is_array, plain

LIST, OLD, NEW, NEWER = 0x112, 0xF993FAC8, 0xF993FAC9, 0xF993FACA
KINDS = {0: "float32", 1: "float64", 2: "float16", 3: "uint8", 4: "int32", 5: "int8", 6: "int64", 7: "bool"}
NUMBERS = {name: number for number, name in KINDS.items()}
CPU = 1
MOST_AXES = 32


def save(fname: Any, data: Any) -> None:
    """Writes an array, a list of arrays or a dict of them to a file, whole or not at all."""
    if is_array(data):
        data = [data]
    if isinstance(data, dict):
        names, arrays = list(data), list(data.values())
        if not all(isinstance(name, str) for name in names):
            raise TypeError("save only accept dict str->NDArray or list of NDArray")
    elif isinstance(data, (list, tuple)):
        names, arrays = [], list(data)
    else:
        raise ValueError("data needs to either be a NDArray, dict of str, NDArray pairs or a list of NDarrays.")
    if not all(is_array(array) for array in arrays):
        raise TypeError("save only accept dict str->NDArray or list of NDArray")
    _replace(Path(fname), encoded(names, arrays))


def encoded(names: list[str], arrays: list[Core]) -> bytes:
    """The bytes of a file."""
    parts = [struct.pack("<QQQ", LIST, 0, len(arrays))]
    for array in arrays:
        kind = dtypes.name(array.data.dtype)
        parts.append(struct.pack("<Iii", NEW, 0, array.ndim))
        parts.append(struct.pack(f"<{array.ndim}q", *array.shape))
        parts.append(struct.pack("<iii", CPU, 0, NUMBERS[kind]))
        parts.append(array.data.numpy().tobytes())
    parts.append(struct.pack("<Q", len(names)))
    for name in names:
        text = name.encode()
        parts.append(struct.pack("<Q", len(text)) + text)
    return b"".join(parts)


def _replace(path: Path, content: bytes) -> None:
    """The file gets its new content, or keeps what it had."""
    handle, name = tempfile.mkstemp(prefix=path.name + ".", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~umask)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def load(fname: Any) -> Any:
    """The arrays of a file: a list of them, or a dict where they have names. Raises MXNetError for other files."""
    path = Path(fname)
    if not path.is_file():
        raise MXNetError(f"Check failed: there is no file {str(fname)!r} to load arrays from")
    return load_frombuffer(path.read_bytes())


def load_frombuffer(buf: Any) -> Any:
    """`load` from the bytes of a file."""
    reader = _Reader(bytes(buf))
    if reader.take("<Q") != LIST:
        raise MXNetError("Invalid NDArray file format")
    reader.take("<Q")
    arrays = [reader.array() for _ in range(reader.count(8))]
    names = [reader.bytes(reader.count(1)).decode() for _ in range(reader.count(8))]
    if names and len(names) != len(arrays):
        raise MXNetError("Invalid NDArray file format: there are fewer names than arrays, or more")
    return dict(zip(names, arrays, strict=True)) if names else arrays


class _Reader:
    """Bytes read from the front. Raises MXNetError where there are too few."""

    def __init__(self, content: bytes) -> None:
        self._content = memoryview(content)
        self._at = 0

    def bytes(self, count: int) -> Any:
        """The next bytes."""
        if count < 0 or count > len(self._content) - self._at:
            raise MXNetError("Invalid NDArray file format: the file ends too early")
        self._at += count
        return bytes(self._content[self._at - count : self._at])

    def take(self, form: str) -> int:
        """The next number."""
        found: int = struct.unpack(form, self.bytes(struct.calcsize(form)))[0]
        return found

    def count(self, least: int) -> int:
        """How many things follow, each of at least so many bytes."""
        found = self.take("<Q")
        if found * least > len(self._content) - self._at:
            raise MXNetError("Invalid NDArray file format: the file ends too early")
        return found

    def array(self) -> Any:
        """The next array."""
        mark = self.take("<I")
        if mark in (NEW, NEWER) and self.take("<i") not in (0, -1):
            raise NotImplementedError("nd.load of a sparse array: in PyTorch, torch.sparse tensors and torch.load")
        marked = mark in (OLD, NEW, NEWER)
        ndim = self.take("<i") if marked else mark
        if not 0 <= ndim <= MOST_AXES:
            raise MXNetError("Invalid NDArray file format: an array has too many axes")
        shape = [self.take("<q" if marked else "<I") for _ in range(ndim)]
        self.bytes(8)
        kind = self.take("<i")
        if kind not in KINDS or min(shape, default=0) < 0:
            raise MXNetError("Invalid NDArray file format: an array has an unknown dtype, or a negative size")
        dtype = np.dtype(KINDS[kind]).newbyteorder("<")
        numbers = np.frombuffer(self.bytes(math.prod(shape) * dtype.itemsize), dtype)
        return plain(torch.from_numpy(numbers.astype(dtype.newbyteorder("=")).reshape(shape)))
