"""Every file below a folder, in a fixed order; links that lead in a circle are followed once.

In: a folder. Out: one `Seen` for every name that is not a folder, and for every folder that is not looked into. What
cannot be read just now is tried again after a pause.
"""

import errno
import os
import re
import stat
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from src.base.errors import Problem, reason_of

COPY = r"/\.dvc/tmp/exps/(?:standalone/)?[^/]+"
"""Where an experiment's copy lies in the checkout itself (see ./stage)."""
PAUSES_S = (1.0, 3.0, 9.0)
"""Before each new look at what could not be read."""
_TRASH = re.compile(
    rb"\.trash(es)?|\.trash-.*|\$recycle\.bin|recycle[rd]|[#@.]recycle|lost\+found|system volume information"
    rb"|\.stversions|\.stfolder|@eadir|\.appledouble|[#.~]snapshots?|@recently-snapshot|\.zfs|files_(trashbin|versions)"
    rb"|\.spotlight-v100|\.fseventsd|\.documentrevisions-v100|\.temporaryitems",
    re.IGNORECASE,
)
"""Folders in which systems keep what was deleted, older versions, and their own notes."""
_PARTIAL = re.compile(
    rb".*\.(part|partial|filepart|crdownload|download|opdownload|!ut|!qb|bc!|aria2|tmp)"
    rb"|\..*\.(mp[23]|flac|ogg|oga|opus|m4[abp]|mp4|aac|wav|aiff?|wma|wv|ape|mpc|tta|ds[fd]|dff|mka|webm)\.[^.]{4,12}"
    rb"|[.~]syncthing[.~].*",
    re.IGNORECASE,
)
"""Names under which programs copy and load a file: the whole has, or will have, another name."""
TRASH = "in a folder of deleted files, old versions or a system's notes"
DANGLING = "a link to nothing"
PARTIAL = "half copied or half loaded, by its name"
STORE = "a folder of this project, or of DVC or Git"


@dataclass(frozen=True)
class Seen:
    """One name below the folder. `reason` says why it cannot be read; it is empty for a regular file."""

    path: bytes
    """Relative to the library."""
    reason: str = ""
    size_bytes: int = 0
    mtime_ns: int = 0
    inode: int = 0
    passing: bool = False
    """The reason says nothing about the file: it could not be read just now."""


def walk(root: Path) -> list[Seen]:
    """Walk the folder `root`, following links; a folder reached twice is read once, the project's own one never.

    Order: depth first, names by their bytes; so the same tree gives the same order on every machine.
    """
    checkout = Path(re.split(COPY, str(Path.cwd()))[0])
    top, project, visited = os.fsencode(root), checkout.stat(), dict[tuple[int, int], bytes]()
    seen: list[Seen] = []
    waiting: list[bytes] = [b""]
    for tried, pause_s in enumerate((*PAUSES_S, None)):
        seen += _looked(top, waiting, visited, project)
        # A link to nothing may lead to a disk that is away for a moment, but many do so for ever.
        again = [item for item in seen if item.passing or (item.reason == DANGLING and not tried)]
        if pause_s is None or not again:
            break
        time.sleep(pause_s)
        waiting = [item.path for item in again]
        seen = [item for item in seen if item not in again]
    for item in seen:
        if not item.path:
            # Its name is the user's own business, and what is printed ends up in logs.
            raise Problem(
                f"The library is {item.reason}. Name the folder that holds the songs."
                if item.reason == STORE
                else f"The library cannot be read ({item.reason}). Run the same command again when it can be."
            )
    return sorted(seen, key=lambda item: _depth_first(item.path))


def _looked(
    top: bytes, waiting: Sequence[bytes], visited: dict[tuple[int, int], bytes], project: os.stat_result
) -> list[Seen]:
    """What stands under the names `waiting` and below them, in no order."""
    seen: list[Seen] = []
    # A list in place of recursion: folders may be nested deeper than Python's stack.
    folders: list[bytes] = []

    def sort_out(paths: Iterable[bytes]) -> None:
        named = [(path, _named(top, path, visited, project)) for path in paths]
        seen.extend(item for _, item in named if item is not None)
        folders.extend(path for path, item in reversed(named) if item is None)

    sort_out(waiting)
    while folders:
        here = folders.pop()
        try:
            names = os.listdir(_joined(top, here))
        except OSError as error:
            seen.append(Seen(here, TRASH) if _in_trash(here + b"/") else Seen(here, reason_of(error), passing=True))
            continue
        sort_out(_joined(here, name) for name in sorted(names))
    return seen


def _named(top: bytes, path: bytes, visited: dict[tuple[int, int], bytes], project: os.stat_result) -> Seen | None:
    """What stands under a name; None for a folder to look into, which then counts as visited."""
    full = Path(os.fsdecode(_joined(top, path)))
    try:
        status = full.stat()
    except OSError as error:
        link = full.is_symlink()
        if link and error.errno in (errno.ELOOP, errno.ENOENT):
            return Seen(path, DANGLING if error.errno == errno.ENOENT else "a link that leads in a circle")
        if error.errno == errno.ENAMETOOLONG:
            return Seen(path, "its path is too long")
        return Seen(path, TRASH) if _in_trash(path) else Seen(path, reason_of(error), passing=True)
    if stat.S_ISDIR(status.st_mode):
        if os.path.samestat(status, project) or path.rpartition(b"/")[2] in (b".dvc", b".git"):
            return Seen(path, STORE)
        if visited.setdefault((status.st_dev, status.st_ino), path) != path:
            return Seen(path, "a link to a folder that is read elsewhere")
        return None
    if not stat.S_ISREG(status.st_mode):
        return Seen(path, "not a file (a pipe, socket or device)")
    reason = TRASH if _in_trash(path) else PARTIAL if _PARTIAL.fullmatch(path.rpartition(b"/")[2]) else ""
    return Seen(path, reason, status.st_size, status.st_mtime_ns, status.st_ino)


def _in_trash(path: bytes) -> bool:
    return any(_TRASH.fullmatch(folder) for folder in path.split(b"/")[:-1])


def _depth_first(path: bytes) -> tuple[tuple[bool, bytes], ...]:
    """Sorts the files of a folder before its subfolders."""
    *folders, name = path.split(b"/")
    return (*((True, folder) for folder in folders), (False, name))


def _joined(folder: bytes, name: bytes) -> bytes:
    return folder + b"/" + name if folder and name else folder or name
