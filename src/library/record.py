"""Where the library is: data/library.json, which `src.library` writes and later stages read.

In: data/library.json. Out: the library's folder.
"""

import contextlib
from pathlib import Path

from src.base import files
from src.base.errors import Problem

RECORD = Path("data/library.json")
PRIVATE = (RECORD.parent, Path(".dvc/cache"), Path(".dvc/tmp"))
"""What names songs: data/, DVC's copies of what lies there, and those of whole checkouts (`dvc exp run --temp`)."""
MADE_BY = "python -m src.library"


def folder(given: Path | None = None) -> Path:
    """The folder given, or the one `src.library` recorded. Raises `Problem`, without its name, if it cannot be read."""
    library = given or _recorded()
    if not library.is_dir():
        # A library's path may be private, and what is printed ends up in logs.
        raise Problem(
            f"The folder that {'--library' if given else RECORD} names cannot be read. "
            "Run the same command again when its disk is there, or name another with --library or MUSIC_LIBRARY."
        )
    return library


def is_demo() -> bool:
    """Whether the recorded library is the composed one."""
    return bool(files.read_json(RECORD, made_by=MADE_BY).get("kind") == "demo")


def keep_private() -> None:
    """Let nobody but its owner look into data/ and DVC's copies of it: they name songs, and hold pieces of them."""
    for folder in PRIVATE:
        with contextlib.suppress(PermissionError, FileNotFoundError):  # another user's, who decides; DVC is not used
            folder.mkdir(exist_ok=True)
            folder.chmod(0o700)


def _recorded() -> Path:
    record = files.read_json(RECORD, made_by=MADE_BY)
    if not isinstance(record, dict) or not isinstance(record.get("path"), str):
        raise Problem(f"{RECORD} does not say where the library is. Make it again with: {MADE_BY}")
    return Path(record["path"])
