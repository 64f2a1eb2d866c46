"""A study with a library of its own."""

import json
from pathlib import Path

import pytest

from src.manifest import rows
from tests.conftest import GENRES, StudyFolder
from tests.sounds import tag, write

TEXTS = {"classical": "Classical", "hardcore": "Hardcore", "hip": "Rap", "metal": "Metalcore", "rock": "Classic Rock"}


def fill(library: Path, songs: int = 2) -> None:
    """A library with songs of every genre."""
    for number, genre in enumerate(GENRES):
        for song in range(songs):
            tag(write(library / genre / f"{song}.flac", 100 * number + song, 3.2), TEXTS[genre], f"19{60 + song}")


def manifest(study: StudyFolder) -> dict[str, rows.Row]:
    """The rows of the study's manifest, by path."""
    return {row.path: row for row in rows.read(study.root / "data/manifest.csv")}


@pytest.fixture
def full(study: StudyFolder) -> StudyFolder:
    """A study with a library of ten songs and two other files."""
    library = study.root / "music"
    fill(library)
    tag(write(library / "jazz.flac", 900), "Jazz")
    (library / "cover.jpg").write_bytes(b"\xff\xd8\xff" + bytes(50))
    (study.root / "data").mkdir()
    (study.root / "data/library.json").write_text(
        json.dumps({"kind": "own", "path": "music", "files": 12, "state": "x"})
    )
    return study
