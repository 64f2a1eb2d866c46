"""What is remembered between scans."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from src.base.errors import Problem
from src.base.walk import Seen
from src.manifest import cache
from src.manifest.facts import FileFacts, SoundFacts

SONG = Seen(b"caf\xe9/song.mp3", "", 100, 5, 7)
FACTS = FileFacts("", "mp3", ("Rock", "Pop"), 1999, "f" * 64, "a" * 64)
SOUND = SoundFacts("", 44_100, 2, 1000, words=np.arange(5, dtype=np.uint32))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with cache.opened(tmp_path / "work", tmp_path) as known:
        known.add_files([(SONG, FACTS)])
        known.add_sounds([("a" * 64, SOUND)])
    return tmp_path


def look(folder: Path, seen: Seen = SONG, library: Path | None = None, **more: bool) -> FileFacts | None:
    with cache.opened(folder / "work", library or folder, **more) as known:
        return known.known_files([seen]).get(seen.path)


def test_what_was_added_comes_back(folder: Path) -> None:
    assert look(folder) == FACTS
    with cache.opened(folder / "work", folder) as known:
        found = known.sounds(["a" * 64, "b" * 64])
    assert found == {"a" * 64: SOUND}
    assert np.array_equal(found["a" * 64].words, SOUND.words)


@pytest.mark.parametrize(
    "changed",
    [
        Seen(SONG.path, "", 101, 5, 7),
        Seen(SONG.path, "", 100, 6, 7),
        Seen(SONG.path, "", 100, 5, 8),
        Seen(b"other.mp3", "", 100, 5, 7),
    ],
)
def test_a_changed_file_is_unknown(folder: Path, changed: Seen) -> None:
    assert look(folder, changed) is None


def test_another_library_is_unknown(folder: Path) -> None:
    assert look(folder, library=folder / "work") is None


def test_a_damaged_or_foreign_cache_is_begun_anew(folder: Path) -> None:
    assert look(folder, fresh=True) is None
    (folder / "work/known.db").write_bytes(b"not a database" * 100)
    assert look(folder) is None
    with sqlite3.connect(folder / "work/known.db") as connection:
        connection.execute("pragma user_version = 3")
    assert look(folder) is None


def test_names_do_not_stand_in_it(folder: Path) -> None:
    assert b"song.mp3" not in (folder / "work/known.db").read_bytes()


def test_two_scans_at_once_are_refused_but_readers_are_not(folder: Path) -> None:
    with cache.opened(folder / "work", folder):
        with pytest.raises(Problem, match="already running"):
            look(folder)
        assert look(folder, writes=False) == FACTS
    assert look(folder / "elsewhere", writes=False) is None
