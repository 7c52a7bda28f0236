"""The disk cache gives back exactly what was put there or nothing, and never an error, whatever the disk does."""

import ast
import errno
import hashlib
import json
import os
import resource
import stat
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kernelwise.errors import ArgumentError
from kernelwise.jit import cache
from kernelwise.jit.cache import ObjectCache, default_folder

CODE = bytes(range(48))
NEW_CODE = b"new code, and longer than the old one" * 9


def key_of(number: int, *, sweeping: bool = False) -> str:
    """A key, as a hash would be; `sweeping` gives one that makes `put` sweep, else one that does not by itself."""
    return hashlib.sha256(str(number).encode()).hexdigest()[:-2] + ("40" if sweeping else "41")


KEY = key_of(0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def filled(folder: Path) -> ObjectCache:
    store = ObjectCache(folder)
    store.put(KEY, CODE)
    assert ObjectCache(folder).get(KEY) == CODE
    return store


def entry_path(folder: Path, key: str = KEY) -> Path:
    return folder / f"{key}.kwo"


def temporaries(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("*.tmp")]


def exists(path: Path) -> bool:
    return os.path.lexists(path)


# --- round trip ---


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 4096, 28_000, 3 << 20])
def test_what_was_put_comes_back_in_the_same_and_in_another_process_object(folder: Path, size: int) -> None:
    code = os.urandom(size)
    store = ObjectCache(folder)
    assert store.get(KEY) is None
    store.put(KEY, code)
    assert store.get(KEY) == ObjectCache(folder).get(KEY) == code
    assert store.get(key_of(1)) is None
    store.put(KEY, NEW_CODE)
    assert store.get(KEY) == NEW_CODE
    assert not temporaries(folder)


def test_folder_and_files_are_private_even_without_a_umask(folder: Path) -> None:
    before = os.umask(0)
    try:
        ObjectCache(folder).put(KEY, CODE)
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {
        "key": 0o600,
        entry_path(folder).name: 0o600,
    }


def test_reading_from_a_missing_folder_does_not_make_it(folder: Path) -> None:
    store = ObjectCache(folder)
    assert store.get(KEY) is None and store.clear() == 0 and store.why_off() is None
    assert not folder.exists()


@pytest.mark.parametrize("key", ["", "ab", "g" * 64, "A" * 64, "../" * 20 + "abcd", "0" * 63 + "\n", "0" * 65])
def test_a_malformed_key_is_an_error_of_the_program(folder: Path, key: str) -> None:
    with pytest.raises(ArgumentError, match="`key` must be 64 lowercase hex digits"):
        ObjectCache(folder).get(key)
    with pytest.raises(ArgumentError, match="`key` must be 64 lowercase hex digits"):
        ObjectCache(folder).put(key, CODE)


def test_code_over_the_limit_is_not_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_CODE", 100)
    store = ObjectCache(folder)
    store.put(KEY, bytes(101))
    assert store.get(KEY) is None and not folder.exists()
    store.put(KEY, bytes(100))
    assert store.get(KEY) == bytes(100)


# --- damage: reads as None, and is removed ---


def assert_refused_and_removed(store: ObjectCache, path: Path, what: str) -> None:
    assert store.get(KEY) is None, what
    assert not exists(path), what


def test_every_flip_of_every_byte_of_an_entry_is_noticed(filled: ObjectCache, folder: Path) -> None:
    path = entry_path(folder)
    good = path.read_bytes()
    for position in range(len(good)):
        for flip in (1 << position % 8, 0xFF):
            damaged = bytearray(good)
            damaged[position] ^= flip
            path.write_bytes(damaged)
            assert_refused_and_removed(filled, path, f"byte {position} ^ {flip:#x}")
            path.touch(mode=0o600)


def test_every_truncation_and_every_added_byte_is_noticed(filled: ObjectCache, folder: Path) -> None:
    path = entry_path(folder)
    good = path.read_bytes()
    for damaged in [*(good[:length] for length in range(len(good))), good + b"\0", b"\0" + good, good + good]:
        path.touch(mode=0o600)
        path.write_bytes(damaged)
        assert_refused_and_removed(filled, path, f"{len(damaged)} of {len(good)} bytes")


def test_an_entry_under_the_name_of_another_key_is_refused(filled: ObjectCache, folder: Path) -> None:
    entry_path(folder).rename(entry_path(folder, key_of(1)))
    assert filled.get(key_of(1)) is None
    assert not entry_path(folder, key_of(1)).exists()


def test_an_entry_of_another_format_is_refused_though_its_seal_fits(
    filled: ObjectCache, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as other_version:
        other_version.setattr(cache, "_FORMAT", 2)
        filled.put(KEY, CODE)
        assert filled.get(KEY) == CODE
    assert_refused_and_removed(filled, entry_path(folder), "another format")


def test_a_sealed_entry_that_lies_about_its_length_is_refused(filled: ObjectCache, folder: Path) -> None:
    assert filled._secret is not None
    for length in (0, len(CODE) - 1, len(CODE) + 1, 2**64 - 1):
        body = cache._HEADER.pack(cache._MAGIC, cache._FORMAT, bytes.fromhex(KEY), length) + CODE
        entry_path(folder).touch(mode=0o600)
        entry_path(folder).write_bytes(body + cache._seal(filled._secret, body))
        assert_refused_and_removed(filled, entry_path(folder), f"length {length}")


def test_a_huge_file_is_refused_without_reading_it(filled: ObjectCache, folder: Path) -> None:
    os.truncate(entry_path(folder), 1 << 40)
    assert_refused_and_removed(filled, entry_path(folder), "1 TiB, sparse")


def as_link(path: Path) -> None:
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


def as_dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/nonexistent/elsewhere")


def as_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir(0o700)


def with_mode(mode: int) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.chmod(mode)

    change.__name__ = f"mode_{mode:o}"
    return change


STRANGE = [as_link, as_dangling_link, as_pipe, as_folder]


@pytest.mark.parametrize("change", [*STRANGE, *map(with_mode, (0o620, 0o602, 0o666, 0o777, 0o200, 0o000))])
def test_only_a_private_regular_file_is_read_as_an_entry(
    filled: ObjectCache, folder: Path, change: Callable[[Path], None]
) -> None:
    change(entry_path(folder))
    assert_refused_and_removed(filled, entry_path(folder), "strange entry")
    filled.put(KEY, NEW_CODE)
    assert filled.get(KEY) == NEW_CODE
    if change is as_link:
        assert len((folder.parent / "elsewhere").read_bytes()) > len(CODE), "the target of a link is left alone"


@pytest.mark.parametrize("change", [*STRANGE, *map(with_mode, (0o640, 0o604, 0o620, 0o666, 0o000))])
def test_only_a_private_regular_file_is_believed_as_the_key(folder: Path, change: Callable[[Path], None]) -> None:
    ObjectCache(folder).put(KEY, CODE)
    change(folder / "key")
    store = ObjectCache(folder)
    assert store.get(KEY) is None
    store.put(KEY, NEW_CODE)
    assert ObjectCache(folder).get(KEY) == NEW_CODE
    status = (folder / "key").lstat()
    assert stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o600


@pytest.mark.parametrize(
    "content", [b"", b"K", b"KWSECRET", bytes(40), b"KWSECRET" + bytes(31), b"KWSECRET" + bytes(33), bytes(range(40))]
)
def test_a_damaged_key_file_is_replaced(folder: Path, content: bytes) -> None:
    ObjectCache(folder).put(KEY, CODE)
    (folder / "key").write_bytes(content)
    store = ObjectCache(folder)
    assert store.get(KEY) is None
    store.put(KEY, NEW_CODE)
    assert ObjectCache(folder).get(KEY) == NEW_CODE
    assert (folder / "key").read_bytes() not in (content, b"KWSECRET" + bytes(32))


def test_an_entry_sealed_under_another_key_file_is_refused(filled: ObjectCache, folder: Path) -> None:
    (folder / "key").write_bytes(b"KWSECRET" + os.urandom(32))
    assert_refused_and_removed(ObjectCache(folder), entry_path(folder), "wrong key file")
    filled.put(KEY, NEW_CODE)  # holds the old secret, and must notice
    assert ObjectCache(folder).get(KEY) == filled.get(KEY) == NEW_CODE


def test_a_folder_that_was_removed_meanwhile_is_made_again(filled: ObjectCache, folder: Path) -> None:
    subprocess.run(["rm", "-r", "--", str(folder)], check=True)
    assert filled.get(KEY) is None
    other = ObjectCache(folder)
    other.put(KEY, NEW_CODE)
    assert filled.get(KEY) == NEW_CODE, "the secret that is held is read anew when a seal does not fit"
    assert filled._secret == other._secret, "and kept for the next time"
    filled.put(key_of(1), CODE)
    assert other.get(key_of(1)) == CODE


class PretendedOs:
    """The module `os`, with some functions replaced, as `cache` shall see it."""

    def __init__(self, **replaced: Callable[..., Any]) -> None:
        self.__dict__.update(replaced)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


def of_another_user(status: os.stat_result) -> os.stat_result:
    return os.stat_result([*status[:4], status.st_uid + 1, *status[5:]])


def test_an_entry_of_another_user_is_refused_and_left_alone(
    filled: ObjectCache, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lstat(path: str) -> os.stat_result:
        status = os.lstat(path)
        return of_another_user(status) if path.endswith(".kwo") else status

    foreign = PretendedOs(fstat=lambda handle: of_another_user(os.fstat(handle)), lstat=lstat)
    with monkeypatch.context() as patched:
        patched.setattr(cache, "os", foreign)
        assert filled.get(KEY) is None
    assert filled.get(KEY) == CODE


# --- the folder ---


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770, 0o720, 0o702])
def test_a_folder_in_which_others_may_write_is_not_used(filled: ObjectCache, folder: Path, mode: int) -> None:
    folder.chmod(mode)
    before = sorted(folder.iterdir())
    for store in (filled, ObjectCache(folder)):
        assert store.get(KEY) is None
        store.put(key_of(1), CODE)
        assert store.clear() == 0
        assert "can be written by others" in str(store.why_off())
    assert sorted(folder.iterdir()) == before
    folder.chmod(0o700)
    assert filled.get(KEY) == CODE and filled.why_off() is None


def test_a_symlinked_folder_is_not_used(filled: ObjectCache, folder: Path) -> None:
    link = folder.with_name("link")
    link.symlink_to(folder)
    for given in (link, Path(f"{link}/"), Path(f"{link}/.")):
        store = ObjectCache(given)
        store.put(key_of(1), CODE)
        assert store.get(KEY) is None and store.clear() == 0
        assert "symbolic link" in str(store.why_off())
    assert filled.get(KEY) == CODE and filled.get(key_of(1)) is None


def test_a_folder_of_another_user_is_not_used(
    filled: ObjectCache, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(cache, "os", PretendedOs(geteuid=lambda: os.geteuid() + 1))
        assert filled.get(KEY) is None
        filled.put(KEY, NEW_CODE)
        assert filled.clear() == 0
        assert "belongs to another user" in str(filled.why_off())
    assert filled.get(KEY) == CODE


def test_a_folder_that_cannot_be_used_costs_nothing_but_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "dangling").symlink_to("nowhere")
    unusable = [
        "file",
        "file/below",
        "dangling",
        "a\0b",
        "n" * 300,
        "x/" * 1900,
        "x/" * 2500,
        "\udcff\ud800",
        "/proc/kernelwise",
    ]
    for name in [*(tmp_path / name for name in unusable), Path("/dev/null"), Path("/sys/kernelwise/cache")]:
        store = ObjectCache(name)
        store.put(KEY, CODE)
        assert store.get(KEY) is None and store.clear() == 0, name
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dangling", "file"]


# --- a fault at every call ---

ON_DISK = set("close fstat link lstat makedirs open read replace scandir stat unlink utime write".split())
DAMAGED = key_of(7)
SWEEPING = key_of(8, sweeping=True)
STALE = "a" * 16 + ".tmp"


class FaultyOs:
    """The module `os`, of which call number `nth` does `fault()` in place of its work (but closing is done first)."""

    def __init__(self, nth: int, fault: Callable[[], None]) -> None:
        self.nth, self.fault, self.calls = nth, fault, 0
        self.hit: str | None = None

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in ON_DISK:
            return real

        def call(*args: Any, **options: Any) -> Any:
            self.calls += 1
            if self.calls == self.nth:
                self.hit = name
                if name == "close":
                    real(*args)
                self.fault()
            return real(*args, **options)

        return call


def use_it_all(store: ObjectCache) -> None:
    """Everything a cache does: reading, a damaged entry, the key file, replacing, sweeping."""
    assert store.get(KEY) in (None, CODE)
    assert store.get(DAMAGED) is None
    store.put(KEY, NEW_CODE)
    assert store.get(KEY) in (None, CODE, NEW_CODE)
    store.put(SWEEPING, CODE)
    assert store.get(SWEEPING) in (None, CODE)


def prepare(folder: Path) -> None:
    """A folder with an entry, a damaged entry and a temporary file whose writer is long gone."""
    store = ObjectCache(folder)
    store.put(KEY, CODE)
    store.put(DAMAGED, CODE)
    os.truncate(entry_path(folder, DAMAGED), 20)
    (folder / STALE).touch()
    os.utime(folder / STALE, (0, 0))


@dataclass
class Run:
    folder: Path
    hit: str | None  # the call that did not work
    raised: BaseException | None


def with_a_fault_at_every_call(tmp_path: Path, fault: Callable[[], None]) -> Iterator[Run]:
    """Use a new folder, and one that holds something, with a fault at the 1st, 2nd, ... call, until one is not hit."""
    for prepared in (False, True):
        for nth in range(1, 200):
            folder = tmp_path / f"{nth}-{prepared}"
            if prepared:
                prepare(folder)
            faulty, raised = FaultyOs(nth, fault), None
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr(cache, "os", faulty)
                try:
                    use_it_all(ObjectCache(folder))
                except BaseException as error:
                    raised = error
            yield Run(folder, faulty.hit, raised)
            if faulty.hit is None:
                break
        else:
            pytest.fail("200 system calls are too many")


def assert_sound(folder: Path) -> None:
    """Old or new or nothing, never a part; and the cache works on."""
    store = ObjectCache(folder)
    assert store.get(KEY) in (None, CODE, NEW_CODE)
    assert store.get(DAMAGED) is None
    assert store.get(SWEEPING) in (None, CODE)
    store.put(KEY, CODE)
    assert ObjectCache(folder).get(KEY) == CODE


def raising(error: BaseException) -> Callable[[], None]:
    def fault() -> None:
        raise error

    return fault


FAULTS = [OSError(number, os.strerror(number)) for number in (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EMFILE)]


@pytest.mark.parametrize("error", [*FAULTS, KeyboardInterrupt()], ids=str)
def test_an_error_at_any_system_call_costs_time_and_an_interrupt_passes(tmp_path: Path, error: BaseException) -> None:
    open_before = os.listdir("/proc/self/fd")
    hit = set()
    for run in with_a_fault_at_every_call(tmp_path, raising(error)):
        hit.add(run.hit)
        assert run.raised is (error if run.hit and isinstance(error, KeyboardInterrupt) else None)
        if run.hit != "unlink":
            assert set(temporaries(run.folder)) <= {STALE}, f"left behind when {run.hit} failed"
        assert_sound(run.folder)
    assert hit == {*ON_DISK, None}, "not every kind of call was reached"
    assert os.listdir("/proc/self/fd") == open_before, "a file was left open"


def test_a_good_entry_survives_that_no_file_can_be_opened(filled: ObjectCache, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(cache, "os", FaultyOs(2, raising(OSError(errno.EMFILE, "too many open files"))))
        assert filled.get(KEY) is None
        assert cache.os.hit == "open"  # type: ignore[attr-defined]
    assert filled.get(KEY) == CODE


def test_a_disk_that_takes_no_bytes_or_one_at_a_time_is_survived(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = ObjectCache(folder)
    with monkeypatch.context() as patched:
        patched.setattr(cache, "os", PretendedOs(write=lambda handle, data: 0))
        store.put(KEY, CODE)
    assert store.get(KEY) is None and not temporaries(folder)
    slow = PretendedOs(
        write=lambda handle, data: os.write(handle, data[:1]), read=lambda handle, size: os.read(handle, min(size, 1))
    )
    with monkeypatch.context() as patched:
        patched.setattr(cache, "os", slow)
        store.put(KEY, CODE)
        assert ObjectCache(folder).get(KEY) == CODE
    assert ObjectCache(folder).get(KEY) == CODE


def refuse_link(source: str, target: str) -> None:
    raise PermissionError(errno.EPERM, "no links here", source)


def test_a_file_system_without_links_serves_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "os", PretendedOs(link=refuse_link))
    ObjectCache(folder).put(KEY, CODE)
    ObjectCache(folder).put(key_of(1), CODE)
    assert ObjectCache(folder).get(KEY) == ObjectCache(folder).get(key_of(1)) == CODE
    assert not temporaries(folder)


# --- several processes and threads ---


def forked(task: Callable[..., None], *arguments: Any) -> int:
    """Start `task` in a child process; its id. The child ends with 0, or with 1 if `task` raised."""
    if child := os.fork():
        return child
    try:
        task(*arguments)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def exit_codes(*children: int) -> list[int]:
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


@pytest.fixture(scope="module")
def forking_server() -> Iterator[subprocess.Popen[str]]:
    """This module as a program, which forks for each task it reads: a process under test may have threads, and
    starting Python for each would take most of the time."""
    with subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        yield server


@pytest.fixture
def in_a_child(forking_server: subprocess.Popen[str]) -> Callable[..., int]:
    """`in_a_child(task, path, ...)` is the exit code of a child process that called `task(path, ...)`."""

    def run(task: Callable[..., None], *paths: Path) -> int:
        print(json.dumps([task.__name__, *map(str, paths)]), file=forking_server.stdin, flush=True)
        assert forking_server.stdout is not None
        return int(forking_server.stdout.readline())

    return run


def serve() -> None:
    for line in sys.stdin:
        name, *paths = json.loads(line)
        print(*exit_codes(forked(globals()[name], *map(Path, paths))), flush=True)


def fill_the_disk(folder: Path) -> None:
    """No file of this process may grow over 400 bytes; as it is when the disk is full, a part is written first."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (400, 400))
    store = ObjectCache(folder)
    store.put(KEY, bytes(5000))
    assert store.get(KEY) == CODE
    store.put(key_of(1), bytes(5000))
    assert store.get(key_of(1)) is None
    store.put(key_of(2), CODE)
    assert store.get(key_of(2)) == CODE


def test_a_full_disk_keeps_the_old_entry(filled: ObjectCache, folder: Path, in_a_child: Callable[..., int]) -> None:
    assert in_a_child(fill_the_disk, folder) == 0
    assert filled.get(KEY) == filled.get(key_of(2)) == CODE
    assert not temporaries(folder)


def die_at_call(nth: int, folder: Path) -> None:
    cache.os = FaultyOs(nth, lambda: os._exit(9))  # type: ignore[assignment]
    use_it_all(ObjectCache(folder))


def die_at_every_call(tmp_path: Path) -> None:
    deaths = 0
    for prepared in (False, True):
        for nth in range(1, 200):
            folder = tmp_path / f"{nth}-{prepared}"
            if prepared:
                prepare(folder)
            code = exit_codes(forked(die_at_call, nth, folder))
            for name in temporaries(folder):
                os.utime(folder / name, (time.time() - 4000,) * 2)
            assert_sound(folder)
            ObjectCache(folder).put(SWEEPING, CODE)
            assert not temporaries(folder), "not swept"
            if code == [0]:
                break
            assert code == [9]
            deaths += 1
    assert deaths > 60, deaths


def test_a_death_at_any_moment_leaves_the_old_or_the_new_and_its_rest_is_swept(
    tmp_path: Path, in_a_child: Callable[..., int]
) -> None:
    assert in_a_child(die_at_every_call, tmp_path) == 0


def put_when_told(folder: Path, number: int, signal: int, with_links: bool) -> None:
    if not with_links:
        cache.os = PretendedOs(link=refuse_link)  # type: ignore[assignment]
    store = ObjectCache(folder)
    os.read(signal, 1)
    store.put(key_of(number), CODE)


def begin_together(tmp_path: Path) -> None:
    """Six processes, let go at once, each the first in a new folder; every other time one without links."""
    for round_number in range(12):
        folder, with_links = tmp_path / str(round_number), round_number % 2 == 0
        signal, go = os.pipe()
        children = [forked(put_when_told, folder, number, signal, with_links) for number in range(6)]
        os.write(go, bytes(6))
        assert exit_codes(*children) == [0] * 6
        os.close(signal)
        os.close(go)
        kept = [ObjectCache(folder).get(key_of(number)) for number in range(6)]
        if with_links:
            assert kept == [CODE] * 6, "not all had the same key"
        else:  # a key file that is not yet whole may be taken for a damaged one, which costs an entry
            assert set(kept) <= {CODE, None} and cache._read_secret(str(folder)) is not None
        assert not temporaries(folder)


def test_all_who_begin_at_the_same_time_end_with_one_key(tmp_path: Path, in_a_child: Callable[..., int]) -> None:
    assert in_a_child(begin_together, tmp_path) == 0


def write_often(folder: Path) -> None:
    for round_number in range(20):
        store = ObjectCache(folder)
        for number in range(20):
            store.put(key_of(number), code_for(number, round_number))
            assert store.get(key_of(number)) in [code_for(number, other) for other in range(20)]


def code_for(number: int, round_number: int) -> bytes:
    return f"{number} in round {round_number} ".encode() * 400


def write_in_two_processes(folder: Path) -> None:
    assert exit_codes(forked(write_often, folder), forked(write_often, folder)) == [0, 0]


def test_two_processes_that_write_the_same_keys_never_show_a_part(folder: Path, in_a_child: Callable[..., int]) -> None:
    assert in_a_child(write_in_two_processes, folder) == 0
    store = ObjectCache(folder)
    assert all(store.get(key_of(number)) == code_for(number, 19) for number in range(20))
    assert len(list(folder.iterdir())) == 21


def test_threads_share_one_cache(folder: Path) -> None:
    store, wrong = ObjectCache(folder), []
    barrier = threading.Barrier(8)

    def work(thread: int) -> None:
        barrier.wait()
        for round_number in range(12):
            for number in range(4):
                store.put(key_of(number, sweeping=thread == 0), code_for(number, round_number))
                got = store.get(key_of(number))
                if got is not None and got not in [code_for(number, other) for other in range(12)]:
                    wrong.append(got)

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert all(store.get(key_of(number)) == code_for(number, 11) for number in range(4))
    assert not temporaries(folder)


def test_a_thread_that_finds_no_key_does_not_disturb_one_that_writes(
    filled: ObjectCache, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def urandom(count: int) -> bytes:
        filled._secret = None
        return os.urandom(count)

    monkeypatch.setattr(cache, "os", PretendedOs(urandom=urandom))  # called after the key was read
    filled.put(KEY, NEW_CODE)
    assert filled.get(KEY) == NEW_CODE


# --- bounds ---


def ages(folder: Path, seconds: float) -> None:
    for path in folder.iterdir():
        status = path.stat()
        os.utime(path, (status.st_mtime - seconds,) * 2)


def numbers_kept(folder: Path, count: int) -> list[int]:
    return [number for number in range(count) if entry_path(folder, key_of(number)).exists()]


def test_too_many_entries_lose_the_oldest_at_the_next_sweep(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_ENTRIES", 40)
    store = ObjectCache(folder)
    for number in range(60):
        store.put(key_of(number), CODE)
        os.utime(entry_path(folder, key_of(number)), (time.time() - 1000 + number,) * 2)
    store.put(SWEEPING, CODE)
    assert numbers_kept(folder, 60) == list(range(26, 60)) and store.get(SWEEPING) == CODE


def test_too_many_bytes_lose_the_oldest_at_the_next_sweep(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_BYTES", 16_000)
    store = ObjectCache(folder)
    for number in range(20):
        store.put(key_of(number), bytes(1916))  # 2000 in the file
        os.utime(entry_path(folder, key_of(number)), (time.time() - 1000 + number,) * 2)
    store.put(SWEEPING, bytes(1916))
    assert numbers_kept(folder, 20) == list(range(14, 20)) and store.get(SWEEPING) == bytes(1916)


def test_a_large_entry_is_a_reason_to_sweep(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_BYTES", 4 << 20)
    store = ObjectCache(folder)
    for number in range(4):
        store.put(key_of(number), bytes((1 << 20) + 1))
        ages(folder, 10)
    assert numbers_kept(folder, 4) == [1, 2, 3]


def test_files_that_vanish_during_a_sweep_do_not_end_it(
    filled: ObjectCache, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when two processes sweep at the same time."""

    @contextmanager
    def scandir(path: str) -> Iterator[list[os.DirEntry[str]]]:
        with os.scandir(path) as listing:
            items = sorted(listing, key=lambda item: item.name)
        (folder / STALE).unlink()
        yield items

    (folder / STALE).touch()
    monkeypatch.setattr(cache, "os", PretendedOs(scandir=scandir))
    assert filled.clear() == 1


def test_the_cache_stays_bounded_by_sweeps_that_are_rare(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With keys as they fall, in caches of one `put` each, as short-lived processes have."""
    sweeps = 0

    def scandir(path: str) -> Any:
        nonlocal sweeps
        sweeps += 1
        return os.scandir(path)

    monkeypatch.setattr(cache, "MAX_ENTRIES", 200)
    monkeypatch.setattr(cache, "os", PretendedOs(scandir=scandir))
    largest = 0
    for number in range(800):
        ObjectCache(folder).put(hashlib.sha256(str(number).encode()).hexdigest(), b"")
        if number % 50 == 49:
            largest = max(largest, len(os.listdir(folder)))
    assert 200 < largest < 400
    assert 4 < sweeps < 30


def test_the_first_put_after_an_hour_sweeps(filled: ObjectCache, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_ENTRIES", 2)
    filled.put(key_of(1), CODE)
    fresh, stale = folder / ("b" * 16 + ".tmp"), folder / STALE
    stale.touch()
    ages(folder, 4000)
    fresh.touch()
    for number in (2, 3, 4):
        filled.put(key_of(number), CODE)
        assert numbers_kept(folder, 5) == list(range(2, number + 1)), "only the first put sweeps"
    assert temporaries(folder) == [fresh.name], "its writer may still be at work"


def test_an_entry_in_use_counts_as_new_again(
    filled: ObjectCache, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.put(key_of(1), CODE)
    ages(folder, 90_000)
    with monkeypatch.context() as patched:
        patched.setattr(cache, "os", FaultyOs(6, raising(OSError(errno.EROFS, "the time cannot be changed"))))
        assert filled.get(KEY) == CODE
        assert cache.os.hit == "utime"  # type: ignore[attr-defined]
    assert filled.get(KEY) == CODE
    assert time.time() - entry_path(folder).stat().st_mtime < 60
    assert time.time() - entry_path(folder, key_of(1)).stat().st_mtime > 80_000


def test_clear_removes_entries_and_temporaries_and_counts_the_entries(filled: ObjectCache, folder: Path) -> None:
    filled.put(key_of(1), CODE)
    (folder / STALE).touch()
    names = ["thesis.kwo", "notes.tmp", "x" * 64 + ".kwo", "0" * 16, KEY, f"{KEY}.kwo.bak", "g" * 16 + ".tmp"]
    for name in names:
        (folder / name).write_text("not of the cache")
    assert filled.clear() == 2
    assert sorted(path.name for path in folder.iterdir()) == sorted(["key", *names])
    assert filled.get(KEY) is None and filled.clear() == 0
    filled.put(KEY, CODE)
    assert filled.get(KEY) == CODE


# --- what a hit costs ---


def test_a_hit_is_a_few_system_calls_and_well_under_a_third_of_a_millisecond(
    filled: ObjectCache, monkeypatch: pytest.MonkeyPatch, report_figure: Callable[[str, str], None]
) -> None:
    code = os.urandom(28_000)
    filled.put(KEY, code)
    best = 1.0
    for _ in range(200):
        start = time.perf_counter()
        got = filled.get(KEY)
        best = min(best, time.perf_counter() - start)
        assert got == code
    report_figure("reading an entry of 28 kB from the disk cache", f"{best * 1e6:.0f} us")
    assert best < 0.3e-3
    counting = FaultyOs(-1, raising(AssertionError()))
    monkeypatch.setattr(cache, "os", counting)
    assert filled.get(KEY) == code
    assert counting.calls == 5, "lstat of the folder; open, fstat, read and close of the entry"


def test_the_module_needs_little_to_be_imported() -> None:
    tree = ast.parse(Path(cache.__file__).read_text(encoding="utf-8"))
    modules = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    modules |= {str(node.module) for node in tree.body if isinstance(node, ast.ImportFrom)}
    light = {"__future__", "contextlib", "errno", "errors", "hmac", "os", "pathlib", "stat", "struct", "sys", "time"}
    assert modules <= light


def test_the_docstring_says_what_the_seal_is_good_for_and_what_not() -> None:
    text = " ".join(str(cache.__doc__).split())
    assert "protects against: corruption" in text and "other users" in text
    assert "does not protect against: the same user" in text


# --- where it is ---


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A private home, and nothing else said."""
    for name in ("KERNELWISE_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    home = tmp_path / "home"
    home.mkdir(0o755)
    monkeypatch.setenv("HOME", str(home))
    return home


def test_the_folder_is_where_each_system_keeps_caches(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_folder() == home / ".cache/kernelwise"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert default_folder() == home / "Library/Caches/kernelwise"
    monkeypatch.setattr(sys, "platform", "win32")
    assert default_folder() is None
    monkeypatch.chdir(home)
    monkeypatch.setenv("LOCALAPPDATA", ".")
    assert default_folder() is None
    monkeypatch.setenv("LOCALAPPDATA", str(home / "AppData/Local"))
    assert default_folder() == home / "AppData/Local/kernelwise"
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "xdg/not/yet/there"))
    assert default_folder() == home / "xdg/not/yet/there/kernelwise"
    monkeypatch.setattr(sys, "platform", "linux")
    assert default_folder() == home / "xdg/not/yet/there/kernelwise"
    for ignored in ("", "relative/path"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert default_folder() == home / ".cache/kernelwise"


def test_the_environment_variable_names_the_folder_or_switches_the_cache_off(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "xdg"))
    monkeypatch.chdir(tmp_path)
    for value, folder in {str(tmp_path / "own"): "own", "own/": "own", "~/mine": "home/mine"}.items():
        monkeypatch.setenv("KERNELWISE_CACHE", value)
        assert default_folder() == tmp_path / folder
    store = ObjectCache()
    store.put(KEY, CODE)
    assert store.folder == home / "mine" and ObjectCache(home / "mine").get(KEY) == CODE
    monkeypatch.setenv("KERNELWISE_CACHE", "")
    assert default_folder() is None
    assert_off()


def assert_off() -> None:
    store = ObjectCache()
    store.put(KEY, CODE)
    assert store.folder is None and store.get(KEY) is None and store.clear() == 0
    assert "no private folder" in str(store.why_off())


def test_without_a_home_there_is_no_folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("", "relative", "~", str(home / "missing"), "/dev/null", "/proc/1/fdinfo/none"):
        monkeypatch.setenv("HOME", value)
        assert default_folder() is None, value
    assert_off()
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as it does for a user without an entry
    assert default_folder() is None
    assert_off()


def test_a_home_that_is_shared_or_belongs_to_another_user_is_none(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for mode, expected in {0o1777: None, 0o777: None, 0o755: home / ".cache/kernelwise"}.items():
        home.chmod(mode)
        assert default_folder() == expected
        monkeypatch.setenv("XDG_CACHE_HOME", str(home / "xdg"))
        assert default_folder() == (expected and home / "xdg/kernelwise")
        monkeypatch.delenv("XDG_CACHE_HOME")
    (home / ".cache").mkdir(0o700)
    home.chmod(0o1777)
    assert default_folder() is None, "a private folder in it does not make it a home"
    home.chmod(0o755)
    assert default_folder() == home / ".cache/kernelwise"
    monkeypatch.setattr(cache, "os", PretendedOs(geteuid=lambda: os.geteuid() + 1))
    assert default_folder() is None


def test_a_relative_folder_stays_where_it_was_and_a_lost_working_folder_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = ObjectCache(Path("cache"))
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    store.put(KEY, CODE)
    assert ObjectCache(tmp_path / "cache").get(KEY) == CODE
    lost = ObjectCache(Path("cache"))
    lost.put(KEY, CODE)
    assert lost.get(KEY) is None
    assert lost.folder is None


if __name__ == "__main__":
    serve()
