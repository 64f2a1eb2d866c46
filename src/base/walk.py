"""Every file below a folder, in a fixed order; links that lead in a circle are followed once.

In: a folder. Out: one `Seen` for every name that is not a folder, and for every folder that cannot be read.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Seen:
    """One name below the folder. `reason` says why it cannot be read; it is empty for a regular file."""

    path: bytes
    """Relative to the library."""
    reason: str = ""
    size_bytes: int = 0
    mtime_ns: int = 0
    inode: int = 0


def walk(root: Path) -> Iterator[Seen]:
    """Walk the folder `root`, following links; a folder reached twice is read once.

    Order: depth first, names by their bytes; so the same tree gives the same order on every machine.
    """
    top = os.fsencode(root)
    status = root.stat()
    yield from _folder(top, b"", {(status.st_dev, status.st_ino)})


def _folder(top: bytes, relative: bytes, visited: set[tuple[int, int]]) -> Iterator[Seen]:
    # A list in place of recursion: folders may be nested deeper than Python's stack.
    waiting: list[bytes] = [relative]
    while waiting:
        here = waiting.pop()
        try:
            with os.scandir(_joined(top, here)) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError:
            yield Seen(here, "a folder that cannot be read")
            continue
        folders: list[bytes] = []
        for entry in entries:
            path = _joined(here, entry.name)
            try:
                status = entry.stat()
            except FileNotFoundError:
                yield Seen(path, "a link to nothing" if entry.is_symlink() else "vanished while it was read")
                continue
            except OSError:
                yield Seen(path, "a link that leads in a circle" if entry.is_symlink() else "cannot be read")
                continue
            if stat.S_ISDIR(status.st_mode):
                if (status.st_dev, status.st_ino) in visited:
                    yield Seen(path, "a link to a folder that is read elsewhere")
                    continue
                visited.add((status.st_dev, status.st_ino))
                folders.append(path)
            elif stat.S_ISREG(status.st_mode):
                yield Seen(path, "", status.st_size, status.st_mtime_ns, status.st_ino)
            else:
                yield Seen(path, "not a file (a pipe, socket or device)")
        waiting.extend(reversed(folders))


def _joined(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder and name else folder or name
