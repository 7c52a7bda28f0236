"""A file is replaced whole or not at all."""

import errno
import io
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kernelwise import atomic
from kernelwise.app import files
from kernelwise.errors import FileError

GREY = np.arange(60 * 80, dtype=np.uint8).reshape(60, 80)
COLOUR = np.stack([GREY, 255 - GREY, GREY.T.reshape(60, 80)], axis=-1)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".npy", ".webp", ".bmp"])
@pytest.mark.parametrize("failing", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, failing: str
) -> None:
    path = tmp_path / f"image{suffix}"
    path.write_bytes(b"old")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if failing == "write":
        monkeypatch.setattr(atomic, "open", lambda *how: FullAfter(open(*how), 10), raising=False)
    else:
        monkeypatch.setattr(atomic.os, failing, full)
    with pytest.raises(FileError, match="No space left on device"):
        files.write(path, GREY)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


class FullAfter(io.BufferedIOBase):
    """A stream on a disk with room for so many bytes."""

    def __init__(self, stream: Any, room: int) -> None:
        self.stream, self.room = stream, room

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return int(self.stream.tell())

    def seek(self, *place: int) -> int:
        return int(self.stream.seek(*place))

    def write(self, data: Any) -> int:
        self.room -= memoryview(data).nbytes
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return int(self.stream.write(data))

    def close(self) -> None:
        self.stream.close()
        super().close()


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy"])
def test_a_file_that_the_system_cuts_off_never_takes_the_name(tmp_path: Path, suffix: str) -> None:
    code = (
        "import resource, sys, numpy as np\n"
        "from kernelwise.app import files\n"
        "from kernelwise.errors import FileError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "try:\n"
        "    files.write(sys.argv[1], np.random.default_rng(0).integers(0, 256, (100, 100)).astype(np.uint8))\n"
        "except FileError as error:\n"
        "    print(error)\n"
    )
    path = tmp_path / f"image{suffix}"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "cannot be written" in done.stdout
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupt_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "note"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), atomic.replacing(path) as stream:
        stream.write(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_replaced_file_keeps_its_permissions_and_a_new_one_follows_the_umask(tmp_path: Path) -> None:
    path = tmp_path / "image.npy"
    files.write(path, GREY)
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
    path.chmod(0o604)
    files.write(path, COLOUR)
    assert stat.S_IMODE(path.stat().st_mode) == 0o604


def test_a_link_is_followed_and_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "real.npy").write_bytes(b"old")
    (tmp_path / "link.npy").symlink_to("real.npy")
    files.write(tmp_path / "link.npy", GREY)
    assert (tmp_path / "link.npy").is_symlink()
    np.testing.assert_array_equal(np.load(tmp_path / "real.npy"), GREY)
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(FileError, match="is not a file"):
        files.write(tmp_path / "folder.npy", GREY)
    with pytest.raises(FileError, match="there is no folder"):
        files.write(tmp_path / "nowhere" / "image.npy", GREY)


def test_a_write_protected_file_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "image.npy"
    path.write_bytes(b"old")
    monkeypatch.setattr(atomic.os, "access", lambda *_: False)  # also for root, who may write everything
    with pytest.raises(FileError, match="write-protected"):
        files.write(path, GREY)
    assert path.read_bytes() == b"old"
