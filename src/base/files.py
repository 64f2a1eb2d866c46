"""Files that exist whole or not at all: atomic writes, digests, and a lock that dies with its process."""

import ctypes
import errno
import fcntl
import hashlib
import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from src.base.errors import Problem


class DiskFullError(Problem):
    """There was no room for something that had to be written."""


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's content, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fsync(path: Path) -> None:
    """Force a file's content, or a folder's list of names, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write a file or a folder to; renamed to `path` when the block ends well.

    A reader sees the old content or the new, never a part. If the block fails, the temporary path is removed
    and `path` is as it was. A full disk becomes a `Problem`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    remove(temporary)
    with disk_full_is_a_problem(str(path)), _removed_on_failure(temporary):
        yield temporary
        if temporary.is_dir():
            for file in sorted(temporary.rglob("*")):
                fsync(file)
        fsync(temporary)
        if path.is_dir():
            # rename(2) does not replace a folder that has content.
            if _exchanged(temporary, path):
                fsync(path.parent)
                remove(temporary)
            else:
                retire(path)
                temporary.rename(path)
        else:
            temporary.replace(path)
        fsync(path.parent)


@contextmanager
def disk_full_is_a_problem(what: str) -> Iterator[None]:
    """Turn the operating system's "no space left" into a `DiskFullError` that says what could not be written."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFullError(
            f"The disk is full: {what} could not be written. Free some space and run the same command again; "
            "nothing written before is damaged."
        ) from error


@contextmanager
def _removed_on_failure(path: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:
        remove(path)
        raise


def remove(path: Path) -> None:
    """Remove a file or a folder with all it holds; nothing happens if it is not there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def retire(path: Path) -> None:
    """Remove a folder in a way that leaves all of it or nothing under its name, however this process dies."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.old.tmp")  # not the name that `replacing` writes to
    remove(aside)
    path.rename(aside)
    fsync(path.parent)
    remove(aside)


def leftovers(path: Path) -> list[Path]:
    """What killed processes left of `path` and of its siblings `path.name` matches, half written or half removed."""
    return sorted(path.parent.glob(f".{path.name}.*.tmp"))


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two names at once; False where the system cannot (it is not Linux, or an old file system)."""
    if sys.platform != "linux":
        return False
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    exchange, here = 2, -100  # RENAME_EXCHANGE of renameat2(2); AT_FDCWD: names are relative to the working folder
    return rename is not None and rename(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically (UTF-8)."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically: keys sorted, so that the same value gives the same bytes."""
    write_text(path, json.dumps(_sorted(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _sorted(value: Any) -> Any:
    """Mappings in the order of their keys, steps by number: 20 comes before 5020."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: (0, int(key), "") if str(key).isdecimal() else (1, 0, str(key)))
        return {str(key): _sorted(value[key]) for key in keys}
    return [_sorted(item) for item in value] if isinstance(value, list | tuple) else value


def read_json(path: Path, *, made_by: str) -> Any:
    """Read a JSON file; a missing or damaged one is a `Problem` that names the command which makes it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Problem(f"{path} does not exist. Make it with: {made_by}") from None
    except (ValueError, UnicodeDecodeError) as error:
        raise Problem(f"{path} is damaged ({error}). Make it again with: {made_by}") from None


@contextmanager
def exclusive(path: Path, *, what: str) -> Iterator[int]:
    """Hold a lock file for the block's length; a `Problem` naming the holder if another process has it.

    The kernel drops the lock when the process dies, however it dies, so no stale lock is ever left. Yields the
    lock's file descriptor: a child that inherits it holds the lock as well.
    """
    with disk_full_is_a_problem(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with path.open("a+", encoding="utf-8") as file:
        if not _locked(file.fileno()):
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise Problem(f"{what} is already running ({holder}). Wait for it to end, or stop it first.")
        file.seek(0)
        file.truncate()
        with disk_full_is_a_problem(str(path)):
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
            file.flush()
        yield file.fileno()


def is_locked(path: Path) -> bool:
    """Whether a living process holds this lock file."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _locked(descriptor: int) -> bool:
    """Take the lock; a few tries, because `is_locked` holds it for a moment too."""
    for _ in range(5):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return True
    return False
