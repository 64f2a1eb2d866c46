"""A bundle's zip, unpacked where it can do no harm.

In: a zip file that anybody may have made. Out: a temporary folder with regular files inside it and nothing else, or
`HostileError`, which names the entry and what is wrong with it. Sizes that an archive states are not believed.
"""

import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from src.base.errors import Problem
from src.bundle import layout

MOST_FILES = 20_000
MOST_BYTES = 20 * 2**30
"""All files together, unpacked."""
MOST_RATIO = 100
"""Unpacked to packed, all together: sound and weights hardly shrink, a journal to a tenth."""
RATIO_COUNTS_FROM = 50 * 2**20
"""Below so many bytes a ratio harms nobody; silence packs well."""
PIECE = 2**20


class HostileError(Problem):
    """An archive or a folder holds what no bundle has."""


@contextmanager
def unpacked(archive: Path) -> Iterator[Path]:
    """The bundle's folder, for the length of the block. Raises `Problem` if it is no zip file, `HostileError` else."""
    with tempfile.TemporaryDirectory(prefix="audit-") as folder:
        try:
            with zipfile.ZipFile(archive) as opened:
                _checked(opened, archive, Path(folder))
                for entry in opened.infolist():
                    if not entry.is_dir():
                        _extracted(opened, entry, Path(folder))
        except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, RuntimeError, EOFError) as error:
            raise Problem(f"{archive} cannot be unpacked ({error}). Fetch it again.") from None
        yield _top(Path(folder))


def _checked(opened: zipfile.ZipFile, archive: Path, folder: Path) -> None:
    """Raise `HostileError` for what the list of entries already gives away."""
    entries = opened.infolist()
    if len(entries) > MOST_FILES:
        raise HostileError(f"It has {len(entries):,} entries; more than {MOST_FILES:,} are not unpacked.")
    names: set[str] = set()
    for entry in entries:
        name = entry.filename.rstrip("/")
        try:
            layout.inside(name)
        except ValueError as error:
            raise HostileError(f"An entry leads out of the bundle: {error}.") from None
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            what = "a symbolic link" if kind == stat.S_IFLNK else "a device, a pipe or a socket"
            raise HostileError(f"{name} is {what}; a bundle has files and folders only.")
        if name in names:
            raise HostileError(f"{name} is there twice.")
        names.add(name)
    total, packed = sum(entry.file_size for entry in entries), archive.stat().st_size
    if total > MOST_BYTES:
        raise HostileError(f"It would unpack to {total:,} bytes; more than {MOST_BYTES:,} are not unpacked.")
    if total > RATIO_COUNTS_FROM and total > MOST_RATIO * packed:
        raise HostileError(f"It would unpack to {total:,} bytes from {packed:,}: a zip bomb.")
    if total > shutil.disk_usage(folder).free:
        raise Problem(f"{archive} needs {total:,} bytes in {folder.parent}, which has less room. Set TMPDIR.")


def _extracted(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path) -> None:
    path = folder / entry.filename
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with opened.open(entry) as source, path.open("xb") as target:
        while piece := source.read(PIECE):
            written += len(piece)
            if written > entry.file_size:
                raise HostileError(f"{entry.filename} has more bytes than the archive says: a zip bomb.")
            target.write(piece)


def _top(folder: Path) -> Path:
    """The bundle itself: the folder, or the one folder in it."""
    inner = list(folder.iterdir())
    return inner[0] if len(inner) == 1 and inner[0].is_dir() else folder
