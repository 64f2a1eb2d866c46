"""Where the library is: data/library.json, which `src.library` writes and later stages read.

In: data/library.json. Out: the library's folder.
"""

from pathlib import Path

from src.base import files
from src.base.errors import Problem

RECORD = Path("data/library.json")
MADE_BY = "python -m src.library"


def folder(given: Path | None = None) -> Path:
    """The folder given, or the one `src.library` recorded. Raises `Problem` if it cannot be read."""
    library = given or _recorded()
    if not library.is_dir():
        raise Problem(
            f"{library} is not a folder that can be read. "
            "Give the folder of your music with --library or MUSIC_LIBRARY."
        )
    return library


def _recorded() -> Path:
    record = files.read_json(RECORD, made_by=MADE_BY)
    if not isinstance(record, dict) or not isinstance(record.get("path"), str):
        raise Problem(f"{RECORD} does not say where the library is. Make it again with: {MADE_BY}")
    return Path(record["path"])
