"""What the commands that read a library have in common: their options, and where the library is.

In: data/library.json. Out: the library's folder, and types for command lines.
"""

from pathlib import Path
from typing import Annotated

import typer

from src.base import files
from src.base.errors import Problem

RECORD = Path("data/library.json")
MANIFEST = Path("data/manifest.csv")
WORK = Path("data/library-cache")
TIME_LIMIT_S = 120.0
"""For reading one file, and again for decoding it."""

Profile = Annotated[
    str | None, typer.Option(help="Scale of the study: a file in params/ (default: as in params.yaml).")
]
Library = Annotated[Path | None, typer.Option(help="Folder of music (default: the one data/library.json names).")]
Work = Annotated[Path, typer.Option(help="Where what was read is remembered for the next time; may be deleted.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes that read at once (default: one a core).")]
TimeLimit = Annotated[float, typer.Option(min=0.1, help="Seconds after which reading one file is given up.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Forget what earlier runs remembered and read everything again.")]
Metrics = Annotated[
    Path | None, typer.Option(help="Counts to write as JSON (default: in metrics/, unless --out is given).")
]


def library_folder(given: Path | None) -> Path:
    """The folder given, or the one `src.library` recorded. Raises `Problem` if it cannot be read."""
    folder = given or _recorded()
    if not folder.is_dir():
        raise Problem(
            f"{folder} is not a folder that can be read. Give the folder of your music with --library or MUSIC_LIBRARY."
        )
    return folder


def _recorded() -> Path:
    known = files.read_json(RECORD, made_by="python -m src.library")
    if not isinstance(known, dict) or not isinstance(known.get("path"), str):
        raise Problem(f"{RECORD} does not say where the library is. Make it again with: python -m src.library")
    return Path(known["path"])
