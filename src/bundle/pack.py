"""A folder as one .zip file, byte for byte the same for the same files."""

import stat
import zipfile
from pathlib import Path

STORED = frozenset({".mp3", ".png", ".gz", ".zip"})
"""What is compressed already."""
EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The time of every entry: a zip knows none before it."""


def pack(folder: Path, target: Path) -> None:
    """Write the folder's files to `target`, in the order of their paths. The crate's metadata stand at its root."""
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).parts):
            if not path.is_file():
                continue
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), EARLIEST)
            entry.create_system = 3  # Unix, wherever it is made
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            entry.compress_type = zipfile.ZIP_STORED if path.suffix in STORED else zipfile.ZIP_DEFLATED
            with path.open("rb") as file, archive.open(entry, "w", force_zip64=path.stat().st_size >= 2**31) as packed:
                while block := file.read(2**20):
                    packed.write(block)
