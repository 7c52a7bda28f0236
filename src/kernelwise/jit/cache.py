"""Object code on disk: what was compiled once is loaded the next time.

A routine takes 5-120 ms to compile and about 1 ms to load. The cache keeps its object code as a file:

    header   magic, format version, key (sha256), length of the code     52 bytes
    code     the object code
    seal     HMAC-SHA256 of header and code under the key file's secret  32 bytes

Machine code from a file is run by the process that loads it, so a file is believed only if its folder and itself
belong to this user, nobody else can write to them, and the seal fits. The bytes that were checked are the bytes that
are returned; nothing is read twice and nothing is unpickled.

What the seal protects against: corruption (a flipped bit, a torn or truncated write, a file of another version or
under another name) and other users, who cannot read the secret. What it does not protect against: the same user.
Whoever runs programs as you can read the secret and seal code of their own, just as they could change your Python
files; nor does it hold against the administrator.

A cache must never be the reason for a failure: a folder that is missing, full, read-only, damaged or forbidden
costs the time to compile again, and nothing else.
"""

from __future__ import annotations

import errno
import hmac
import os
import stat
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path

from ..errors import ArgumentError

MAX_ENTRIES = 4000  # more than these, and a sweep drops the oldest
MAX_BYTES = 256 << 20
MAX_CODE = 16 << 20  # a routine takes 3-30 KB; what is larger than this is not kept
STALE_SECONDS = 3600.0  # a temporary file older than this has lost its writer
RENEW_SECONDS = 86400.0  # an entry read again after a day counts as new

_POSIX = os.name == "posix"
_MAGIC = b"KWOBJECT"
_KEY_MAGIC = b"KWSECRET"
_FORMAT = 1  # of the file; what changes the code is in the key
_HEADER = struct.Struct("<8sI32sQ")
_SEAL = 32
_SECRET = 32
_DISK_ERRORS = (OSError, ValueError, RecursionError)  # the last two: a name that no file can have, a path too deep
_HEX = "0123456789abcdef"
_ENTRY, _TEMPORARY, _KEY_FILE = ".kwo", ".tmp", "key"
# Never through a link, never waiting for the writer of a pipe.
_READ = os.O_RDONLY | sum(getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY", "O_BINARY"))
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | sum(getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_BINARY"))


def default_folder() -> Path | None:
    """The folder of the cache when none is given, or None when there is no private place for one.

    `KERNELWISE_CACHE` names a folder, or switches the disk cache off when it is empty. Else it is
    `XDG_CACHE_HOME/kernelwise`, `~/Library/Caches/kernelwise` on macOS, `LOCALAPPDATA/kernelwise` on Windows, and
    `~/.cache/kernelwise` elsewhere. A home that belongs to another user (as under sudo), or in which everybody may
    write (as a shared temporary folder), is no home.

    Example: `default_folder()` is `/home/ada/.cache/kernelwise` for the user ada on Linux.
    Source: XDG Base Directory Specification 0.8 (relative paths are to be ignored).
    """
    chosen = os.environ.get("KERNELWISE_CACHE")
    if chosen is not None:
        return _absolute(os.path.expanduser(chosen)) if chosen else None
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(base):
        if sys.platform == "win32":
            base = os.environ.get("LOCALAPPDATA", "")
        else:
            home = os.path.expanduser("~") if os.environ.get("HOME") != "" else ""
            if not os.path.isabs(home) or not os.path.isdir(home) or not _private(home):
                return None
            base = os.path.join(home, "Library/Caches" if sys.platform == "darwin" else ".cache")
    return Path(base, "kernelwise") if os.path.isabs(base) and _private(base) else None


class ObjectCache:
    """Object code by key, in a folder of this user; safe with any number of threads and processes.

    `folder` is made with mode 0700 at the first `put`; None means `default_folder()`. One that exists already must
    belong to this user, be writable by nobody else, and be no symbolic link, or it is not used: `why_off()` says so.
    (Windows: the user's folders are private by inheritance, and owner and mode are not checked.)
    Keys are 64 lowercase hex digits, the sha256 of everything that changes the code: versions, generator, target.

    Example: `cache = ObjectCache(); cache.put(key, code); cache.get(key) == code`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = default_folder() if folder is None else _absolute(folder)
        self._root = "" if self.folder is None else str(self.folder)
        self._secret: bytes | None = None  # of the key file, once it has been read

    def get(self, key: str) -> bytes | None:
        """The code kept under `key`, or None.

        Whatever is damaged, truncated, foreign or not a private regular file reads as None, and is removed if it
        belongs to this user. Raises ArgumentError if `key` is malformed, and nothing for any state of the disk.
        """
        name = _entry_name(key)
        try:
            if not self._root or _fault(self._root) is not None:
                return None
            self._secret = self._secret or _read_secret(self._root)
            if self._secret is None:
                return None
            return self._read_entry(os.path.join(self._root, name), bytes.fromhex(key))
        except _DISK_ERRORS:
            return None

    def put(self, key: str, code: bytes) -> None:
        """Keep `code` under `key`, or do nothing if the disk does not allow it (or it is over `MAX_CODE` bytes).

        Readers see the old entry or the new one, never a part. Raises ArgumentError if `key` is malformed, and
        nothing for any state of the disk.
        """
        name = _entry_name(key)
        if not self._root or len(code) > MAX_CODE:
            return
        with suppress(*_DISK_ERRORS):
            os.makedirs(self._root, mode=0o700, exist_ok=True)
            if _fault(self._root) is not None:
                return
            # Read anew each time: the key file may have been removed together with its folder.
            self._secret = secret = _read_secret(self._root) or _make_secret(self._root)
            if secret is None:
                return
            body = _HEADER.pack(_MAGIC, _FORMAT, bytes.fromhex(key), len(code)) + code
            temporary = _temporary(self._root)
            _write_new(temporary, body + _seal(secret, body))
            try:
                os.replace(temporary, os.path.join(self._root, name))
            except BaseException:
                _unlink(temporary)
                raise
            if self._sweep_due(key, code):
                self._sweep()

    def clear(self) -> int:
        """Remove all entries and temporary files; the number of entries removed. The key file stays."""
        removed = 0
        with suppress(*_DISK_ERRORS):
            if self._root and _fault(self._root) is None:
                for path, _ in _files(self._root):
                    removed += _unlink(path) and path.endswith(_ENTRY)
        return removed

    def why_off(self) -> str | None:
        """A sentence that says why nothing is kept on disk, or None if the folder is fit for use or not there yet."""
        if not self._root:
            return "no private folder: `KERNELWISE_CACHE` is empty, or there is no home that belongs to this user"
        try:
            return _fault(self._root)
        except FileNotFoundError:
            return None
        except _DISK_ERRORS as error:
            return f"the folder cannot be used: {error}"

    def _read_entry(self, path: str, key: bytes) -> bytes | None:
        """The code in the file at `path` if it is whole, for `key` and sealed by us; else the file is removed."""
        found = _read_private(path, _HEADER.size + MAX_CODE + _SEAL, forbidden=0o022)
        if found is None:
            return None
        data, status = found
        if not _well_formed(data, key) or not self._seal_fits(data):
            _discard(path)
            return None
        if time.time() - status.st_mtime > RENEW_SECONDS:
            with suppress(OSError):
                os.utime(path)
        return data[_HEADER.size : -_SEAL]

    def _seal_fits(self, data: bytes) -> bool:
        """Whether the last bytes of `data` are its seal under the secret we hold, or the one that has replaced it."""
        body, seal = memoryview(data)[:-_SEAL], data[-_SEAL:]
        held = self._secret
        if held is not None and hmac.compare_digest(_seal(held, body), seal):
            return True
        current = _read_secret(self._root)
        if current is None or current == held:
            return False
        self._secret = current
        return hmac.compare_digest(_seal(current, body), seal)

    def _sweep_due(self, key: str, code: bytes) -> bool:
        """Whether this `put` sweeps: one in 64 by chance of its key, each large one, and the first after an hour.

        The chance lies in the key (a hash), so that no count need be kept across processes. The key file's time
        tells when the last sweep was.
        """
        if int(key[-2:], 16) % 64 == 0 or len(code) > 1 << 20:
            return True
        age = time.time() - os.stat(os.path.join(self._root, _KEY_FILE)).st_mtime
        return abs(age) > STALE_SECONDS

    def _sweep(self) -> None:
        """Remove temporary files without a writer, and the oldest entries if there are too many or too large ones."""
        os.utime(os.path.join(self._root, _KEY_FILE))
        now = time.time()
        entries = []
        for path, status in _files(self._root):
            if path.endswith(_ENTRY):
                entries.append((status.st_mtime, status.st_size, path))
            elif status.st_nlink > 1 or abs(now - status.st_mtime) > STALE_SECONDS:
                _unlink(path)  # with two names, it is the key file, and its maker died before it took the first away
        total = sum(size for _, size, _ in entries)
        if len(entries) <= MAX_ENTRIES and total <= MAX_BYTES:
            return
        count = len(entries)
        for _, size, path in sorted(entries):  # down to 7/8, so that the next sweeps need not remove any
            if count <= MAX_ENTRIES * 7 // 8 and total <= MAX_BYTES * 7 // 8:
                break
            _unlink(path)
            count -= 1
            total -= size


# --- the secret ---


def _read_secret(root: str) -> bytes | None:
    """The secret in the key file, or None; a key file that is damaged or open to others is removed."""
    path = os.path.join(root, _KEY_FILE)
    found = _read_private(path, len(_KEY_MAGIC) + _SECRET, forbidden=0o077)
    if found is None:
        return None
    data, _ = found
    if len(data) != len(_KEY_MAGIC) + _SECRET or not data.startswith(_KEY_MAGIC):
        _discard(path)
        return None
    return data[len(_KEY_MAGIC) :]


def _make_secret(root: str) -> bytes | None:
    """Make the key file unless somebody else just did, and return the secret that is in it then.

    It is written beside its place and linked there: a link is refused where a file exists, and whoever sees the file
    sees all of it. So all who begin at the same time end with the same secret.
    """
    path, temporary = os.path.join(root, _KEY_FILE), _temporary(root)
    data = _KEY_MAGIC + os.urandom(_SECRET)
    _write_new(temporary, data)
    try:
        os.link(temporary, path)
    except OSError:  # somebody was first, or the file system has no links
        with suppress(FileExistsError):
            _write_new(path, data)
    finally:
        _unlink(temporary)
    return _read_secret(root)


def _seal(secret: bytes, body: bytes | memoryview) -> bytes:
    return hmac.digest(secret, body, "sha256")


# --- files ---


def _absolute(folder: str | Path) -> Path | None:
    """`folder` as an absolute path without a trailing slash, or None if the working folder is gone."""
    try:
        return Path(os.path.abspath(folder))
    except OSError:
        return None


def _private(path: str) -> bool:
    """Whether `path`, or the nearest folder above it that exists, belongs to this user and is not open to everybody."""
    while True:
        try:
            status = os.stat(path)
        except FileNotFoundError:
            above = os.path.dirname(path)
            if above == path:  # a drive that is not there
                return False
            path = above
        except (OSError, ValueError):
            return False
        else:
            return not _POSIX or (status.st_uid == os.geteuid() and not status.st_mode & 0o002)


def _fault(root: str) -> str | None:
    """What forbids to use the folder `root`, or None. Raises OSError if it cannot be looked at."""
    status = os.lstat(root)
    if not stat.S_ISDIR(status.st_mode):
        return f"{root} is not a folder (a symbolic link is not followed)"
    if _POSIX and status.st_uid != os.geteuid():
        return f"{root} belongs to another user"
    if _POSIX and status.st_mode & 0o022:
        return f"{root} can be written by others; `chmod 700` makes it private"
    return None


def _entry_name(key: str) -> str:
    if len(key) != 64 or key.strip(_HEX):
        raise ArgumentError(f"`key` must be 64 lowercase hex digits (got {key!r})")
    return key + _ENTRY


def _temporary(root: str) -> str:
    return os.path.join(root, os.urandom(8).hex() + _TEMPORARY)


def _files(root: str) -> list[tuple[str, os.stat_result]]:
    """Entries and temporary files, each with its lstat. Files with other names are not ours and are left alone."""
    found = []
    with os.scandir(root) as listing:
        for item in listing:
            stem, suffix = os.path.splitext(item.name)
            if (len(stem), suffix) in ((64, _ENTRY), (16, _TEMPORARY)) and not stem.strip(_HEX):
                with suppress(FileNotFoundError):
                    found.append((item.path, item.stat(follow_symlinks=False)))
    return found


def _well_formed(data: bytes, key: bytes) -> bool:
    """Whether `data` has the header of an entry for `key` and the length that it states."""
    code = len(data) - _HEADER.size - _SEAL
    return code >= 0 and data.startswith(_HEADER.pack(_MAGIC, _FORMAT, key, code))


def _trusted(status: os.stat_result, limit: int, forbidden: int) -> bool:
    """Whether this is a regular file of ours of at most `limit` bytes without the `forbidden` mode bits."""
    if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
        return False
    return not _POSIX or (status.st_uid == os.geteuid() and status.st_mode & (0o400 | forbidden) == 0o400)


def _read_private(path: str, limit: int, forbidden: int) -> tuple[bytes, os.stat_result] | None:
    """The content and state of a file that is to be trusted, or None; another one is removed if it is ours."""
    try:
        handle = os.open(path, _READ)
    except FileNotFoundError:
        return None
    except OSError:  # a link, a socket, not readable; or a good file, and no file handles are left
        if not _trusted(os.lstat(path), limit, forbidden):
            _discard(path)
        return None
    try:
        status = os.fstat(handle)
        data = _read_all(handle, status.st_size) if _trusted(status, limit, forbidden) else None
    finally:
        os.close(handle)
    if data is None:
        _discard(path)
        return None
    return data, status


def _read_all(handle: int, size: int) -> bytes:
    """`size` bytes, or fewer where the file ends; in one call but on the oddest file systems."""
    data = os.read(handle, size)
    while len(data) < size and (more := os.read(handle, size - len(data))):
        data += more
    return data


def _write_new(path: str, data: bytes) -> None:
    """Write a file that did not exist, mode 0600. Raises OSError; then, or when interrupted, no file is left."""
    handle = os.open(path, _CREATE, 0o600)
    try:
        try:
            rest = memoryview(data)
            while rest:
                written = os.write(handle, rest)
                if not written:
                    raise OSError(errno.EIO, "nothing was written", path)
                rest = rest[written:]
        finally:
            os.close(handle)
    except BaseException:
        _unlink(path)
        raise


def _discard(path: str) -> None:
    """Remove what stands at `path` if it belongs to this user. What replaced it meanwhile may go too: it is a cache."""
    with suppress(OSError):
        status = os.lstat(path)
        if _POSIX and status.st_uid != os.geteuid():
            return
        if stat.S_ISDIR(status.st_mode):
            os.rmdir(path)
        else:
            os.unlink(path)


def _unlink(path: str) -> bool:
    try:
        os.unlink(path)
    except OSError:
        return False
    return True
