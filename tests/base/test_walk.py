"""Every name below a folder, and nothing that is not the library's."""

import os
import time
from pathlib import Path

import pytest

from src.base import walk
from src.base.errors import Problem
from src.base.walk import DANGLING, PARTIAL, STORE, TRASH, Seen


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of music; the project is elsewhere, and pauses are short."""
    (tmp_path / "study").mkdir()
    monkeypatch.chdir(tmp_path / "study")
    monkeypatch.setattr(walk, "PAUSES_S", (0.0, 0.0, 0.0))
    root = tmp_path / "music"
    for name in ("b/song.flac", "a-b.flac", "a/song.flac", "z.flac"):
        make(root / name)
    return root


def make(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"song")
    return path


def reasons(root: Path) -> dict[str, str]:
    return {os.fsdecode(item.path): item.reason for item in walk.walk(root)}


def test_the_order_is_depth_first_and_files_come_before_folders(library: Path) -> None:
    assert list(reasons(library)) == ["a-b.flac", "z.flac", "a/song.flac", "b/song.flac"]


@pytest.mark.parametrize(
    "folder",
    [
        ".Trash-1000/files",
        ".Trash",
        ".Trashes/501",
        "$RECYCLE.BIN/S-1",
        "#recycle",
        "@Recycle",
        ".stversions/a",
        "@eaDir",
        "lost+found",
        "System Volume Information",
        "#snapshot/daily",
        "a/.AppleDouble",
    ],
)
def test_deleted_files_and_old_versions_are_left_out(library: Path, folder: str) -> None:
    make(library / folder / "song.flac")
    assert reasons(library)[f"{folder}/song.flac"] == TRASH


def test_a_trash_that_may_not_be_read_is_no_trouble(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(library / "lost+found/song.flac")
    refuse_below(library / "lost+found", monkeypatch)
    (item,) = (item for item in walk.walk(library) if item.reason)
    assert item == Seen(b"lost+found", TRASH)


@pytest.mark.parametrize(
    "name",
    [
        ".a song.flac.XyZ12",
        ".song.mp3.Ab3dE9",
        "song.mp3.part",
        "a.flac.crdownload",
        "a.ogg.!qB",
        "~syncthing~a.flac.tmp",
    ],
)
def test_half_copied_files_are_left_out(library: Path, name: str) -> None:
    make(library / name)
    assert reasons(library)[name] == PARTIAL


@pytest.mark.parametrize(
    "name", ["...And Nothing for Anyone/01.flac", ".hidden.flac", "Trash/song.mp3", "Part.mp3", "a.part.mp3"]
)
def test_names_that_only_look_like_it_stay(library: Path, name: str) -> None:
    make(library / name)
    assert reasons(library)[name] == ""


def test_the_project_in_the_library_is_left_out(tmp_path: Path, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "study/.dvc/cache/files/md5/ab/cd")
    make(tmp_path / "study/data/clips/rock/a.flac")
    make(tmp_path / "other study/.dvc/cache/files/md5/ab/ef")
    make(tmp_path / "other study/.git/objects/ab/ef")
    found = reasons(tmp_path)
    assert {name for name, reason in found.items() if reason == STORE} == {
        "study", "other study/.dvc", "other study/.git",
    }  # fmt: skip
    assert len([name for name, reason in found.items() if not reason]) == 4
    # What the stages write changes nothing of what is seen.
    make(tmp_path / "study/work/train/journal")
    assert reasons(tmp_path) == found
    copy = tmp_path / "study/.dvc/tmp/exps/standalone/tmp1/data"  # of an experiment
    copy.mkdir(parents=True)
    monkeypatch.chdir(copy.parent)
    assert reasons(tmp_path) == found


def test_the_project_is_no_library(tmp_path: Path) -> None:
    with pytest.raises(
        Problem, match=r"The library is a folder of this project.* Name the folder that holds the songs"
    ):
        walk.walk(Path())


def refuse_below(folder: Path, monkeypatch: pytest.MonkeyPatch, times: int = 1000) -> None:
    """Let a folder be unreadable so many times; a superuser could read it whatever its mode says."""
    real = os.listdir
    left = [times]

    def listdir(path: bytes) -> list[bytes]:
        if os.fsdecode(path) == str(folder) and left[0]:
            left[0] -= 1
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "listdir", listdir)


@pytest.mark.parametrize(("times", "whole"), [(1, True), (3, True), (4, False)])
def test_a_folder_that_cannot_be_read_is_looked_at_again(
    library: Path, monkeypatch: pytest.MonkeyPatch, times: int, whole: bool
) -> None:
    expected = reasons(library)
    refuse_below(library / "a", monkeypatch, times)
    seen = walk.walk(library)
    assert ([item.passing for item in seen if item.reason] == []) == whole
    if whole:
        assert {os.fsdecode(item.path): item.reason for item in seen} == expected
    else:
        assert [item for item in seen if item.reason] == [Seen(b"a", "no permission to read it", passing=True)]


def test_a_library_that_goes_away_for_a_moment(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = reasons(library)
    away = library.with_name("away")
    library.rename(away)
    monkeypatch.setattr(time, "sleep", lambda _: away.rename(library))
    assert reasons(library) == expected
    assert not away.exists()


def test_a_library_that_stays_away_is_a_problem_that_does_not_name_it(library: Path) -> None:
    library.rename(library.with_name("away"))
    with pytest.raises(Problem, match=r"The library cannot be read \(gone while it was read\)") as raised:
        walk.walk(library)
    assert "music" not in str(raised.value)


def test_links(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (library / "nowhere.flac").symlink_to("gone.flac")
    (library / "circle.flac").symlink_to("circle.flac")
    (library / "up").symlink_to("..")
    (library / "again").symlink_to("a")
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    found = reasons(library)
    assert found["nowhere.flac"] == DANGLING
    assert found["circle.flac"] == "a link that leads in a circle"
    assert found["again"] == "a link to a folder that is read elsewhere"
    assert found["up/study"] == STORE
    assert len(pauses) == 1  # it may lead to a disk that is away for a moment
