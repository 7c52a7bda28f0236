"""Replacing a file whole or not at all."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from .errors import FileError


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary stream whose content becomes the file `path` when the block ends well.

    The bytes go to a temporary file in the same folder, are forced to the disk, and only then take the name.
    When anything fails (a full disk, an error of the encoder, Ctrl-C), the temporary is removed and a file that
    was there before is untouched. A link is followed; an existing file keeps its permissions.
    Raises FileError when the place cannot be written, and whatever the block raises.

    >>> import tempfile
    >>> name = Path(tempfile.mkdtemp(), "note.bin")
    >>> with replacing(name) as stream:
    ...     _ = stream.write(b"whole")
    >>> name.read_bytes()
    b'whole'
    """
    target = Path(os.path.realpath(path))
    permissions = _check_target(target, path)
    part = target.parent / f".kernelwise-{secrets.token_hex(8)}.part"
    try:
        # open and not tempfile: a new file gets the permissions that the user's umask leaves it.
        with open(part, "xb") as stream:
            if permissions is not None:
                os.chmod(part, permissions)
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _check_target(target: Path, path: str | os.PathLike[str]) -> int | None:
    """The permissions of the file that is there, None if there is none; FileError if it cannot be replaced."""
    if not target.parent.is_dir():
        raise FileError(f"{os.fspath(path)}: there is no folder {target.parent}")
    try:
        status = target.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise FileError(f"{os.fspath(path)}: is there already and is not a file")
    if not os.access(target, os.W_OK):
        raise FileError(f"{os.fspath(path)}: is write-protected")
    return stat.S_IMODE(status.st_mode)


def _sync_folder(folder: Path) -> None:
    """Force the new name to the disk. The file itself is whole either way, so a system that cannot is no failure."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
