"""`python -m src.library`: composes once, recognises what is whole, and records a library of one's own."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

from src import config
from src.base.errors import Problem
from src.config import LibraryParams, Params
from src.library import __main__ as library
from src.library.demo import compose
from src.library.record import RECORD

ROOT = Path(__file__).parents[2]
AUDIO = b"fLaC" + bytes(64)
"""Enough of a FLAC file for its format to be recognised."""


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Params:
    """A tiny demo library's parameters; the working folder is empty."""
    monkeypatch.chdir(tmp_path)
    return tiny(config.load(ROOT, "demo"))


def tiny(params: Params) -> Params:
    """The same parameters with two songs of a second for each genre."""
    profile = params.profile.model_copy(update={"library": LibraryParams(songs_per_genre=2, duration_s=1.0)})
    return params.model_copy(update={"profile": profile})


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def record() -> dict[str, object]:
    found = json.loads(RECORD.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def test_the_demo_is_composed_once_and_is_the_same_in_every_clone(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.prepare_demo(params, jobs=2)
    songs, text = files_of(library.DEMO), RECORD.read_bytes()
    assert record() | {"state": "", "recipe": ""} == {
        "kind": "demo", "path": "data/demo-library", "files": 2 * 5 + 4, "state": "", "recipe": ""
    }  # fmt: skip
    assert len(songs) == 14

    other = tmp_path / "other clone"
    other.mkdir()
    monkeypatch.chdir(other)
    library.prepare_demo(params, jobs=1)
    assert files_of(library.DEMO) == songs
    assert RECORD.read_bytes() == text

    def refuse(*_: object) -> int:
        raise AssertionError("a whole library is not composed again")

    monkeypatch.setattr(compose, "compose", refuse)
    before = RECORD.stat().st_mtime_ns
    library.prepare_demo(params, jobs=1)
    assert RECORD.stat().st_mtime_ns == before


def _drop_a_file() -> None:
    next(p for p in library.DEMO.rglob("*.flac")).unlink()


def _change_a_byte() -> None:
    path = next(p for p in library.DEMO.rglob("*.mp3"))
    path.write_bytes(path.read_bytes()[:-1] + b"?")


def _add_a_file() -> None:
    (library.DEMO / "stranger.txt").write_text("?")


def _lose_the_record() -> None:
    RECORD.unlink()


def _damage_the_record() -> None:
    RECORD.write_text("{")


def _older_sources() -> None:
    RECORD.write_text(json.dumps(record() | {"recipe": "of an older composer"}))


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Params, Path]:
    """The tiny library's parameters and a folder in which it has been composed."""
    root = tmp_path_factory.mktemp("composed")
    params = tiny(config.load(ROOT, "demo"))
    with contextlib.chdir(root):
        library.prepare_demo(params, jobs=2)
    return params, root


@pytest.mark.parametrize(
    "damage", [_drop_a_file, _change_a_byte, _add_a_file, _lose_the_record, _damage_the_record, _older_sources]
)
def test_a_demo_that_is_not_whole_is_composed_again(
    composed: tuple[Params, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[], None]
) -> None:
    params, whole = composed
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    calls = []

    def copy(folder: Path, *_: object) -> int:
        calls.append(folder)
        shutil.copytree(whole / library.DEMO, folder)
        return 14

    monkeypatch.setattr(compose, "compose", copy)
    library.prepare_demo(params, jobs=2)
    assert calls == []
    damage()
    library.prepare_demo(params, jobs=2)
    assert len(calls) == 1
    assert files_of(library.DEMO) == files_of(whole / library.DEMO)
    assert RECORD.read_bytes() == (whole / RECORD).read_bytes()


def test_another_seed_gives_another_library(params: Params) -> None:
    library.prepare_demo(params, jobs=2)
    before, state = files_of(library.DEMO), record()["state"]
    study = params.study.model_copy(update={"seed": params.study.seed + 1})
    library.prepare_demo(params.model_copy(update={"study": study}), jobs=2)
    after = files_of(library.DEMO)
    assert set(before) == set(after)
    changed = [name for name in before if before[name] != after[name]]
    assert len(changed) == 13, "all but the text file"
    assert record()["state"] != state


def test_an_interrupted_composition_leaves_the_old_library_or_none(
    params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(folder: Path, asked: LibraryParams, genres: Sequence[str], seed: int, jobs: int) -> int:
        (folder / "Half").mkdir(parents=True)
        (folder / "Half" / "a song.mp3").write_bytes(b"half")
        raise KeyboardInterrupt

    whole = compose.compose
    monkeypatch.setattr(compose, "compose", interrupted)
    with pytest.raises(KeyboardInterrupt):
        library.prepare_demo(params, jobs=1)
    assert list(Path("data").iterdir()) == []

    monkeypatch.setattr(compose, "compose", whole)
    library.prepare_demo(params, jobs=2)
    songs = files_of(library.DEMO)
    RECORD.unlink()
    monkeypatch.setattr(compose, "compose", interrupted)
    with pytest.raises(KeyboardInterrupt):
        library.prepare_demo(params, jobs=1)
    assert files_of(library.DEMO) == songs


def test_what_a_killed_composition_left_is_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    left = Path("data/.demo-library.12345.tmp/Artist")
    left.mkdir(parents=True)
    (tmp_path / "music").mkdir()
    (tmp_path / "music" / "a.flac").write_bytes(AUDIO)
    monkeypatch.setenv("MUSIC_LIBRARY", str(tmp_path / "music"))
    library.main(profile=None)
    assert sorted(p.name for p in Path("data").iterdir()) == ["demo-library", "library.json", "library.lock"]


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small library of one's own, with what such libraries have."""
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "my music"
    (root / "Artist" / "Album").mkdir(parents=True)
    (root / "Artist" / "Album" / "01 Söng.flac").write_bytes(AUDIO)
    (root / "cover.jpg").write_bytes(b"\xff\xd8\xff" + bytes(60))
    return root


def test_an_own_library_is_recorded_and_left_alone(own: Path) -> None:
    before = files_of(own)
    library.record_own(str(own))
    first = record()
    assert first | {"state": ""} == {"kind": "own", "path": str(own), "files": 2, "state": "", "recipe": None}
    assert library.DEMO.is_dir()
    assert [path.name for path in library.DEMO.iterdir()] == [library.NOTHING]
    written = RECORD.stat().st_mtime_ns
    library.record_own(str(own))
    assert RECORD.stat().st_mtime_ns == written, "an unchanged library does not touch its record"
    assert files_of(own) == before


def test_an_own_library_is_remembered_until_the_demo_is_asked_for(
    own: Path, params: Params, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(config, "load", lambda profile: params)
    monkeypatch.setattr(compose, "compose", lambda folder, *_: folder.mkdir() or 0)
    monkeypatch.setenv(library.ENVIRONMENT, str(own))
    library.main(None, demo=False)
    first = record()
    monkeypatch.delenv(library.ENVIRONMENT)
    capsys.readouterr()
    library.main(None, demo=False)
    said = capsys.readouterr().out
    assert "your library of the last time is studied" in said
    assert str(own) not in said  # it may be private, and DVC logs what is printed
    assert record() == first
    monkeypatch.setenv("DVC_STAGE", "library")
    library.main(None, demo=False)
    assert capsys.readouterr().out == "", "`make repro` has just said it"
    monkeypatch.setenv(library.ENVIRONMENT, str(own))
    library.main(None, demo=True)
    assert "MUSIC_LIBRARY is set: unset it" in capsys.readouterr().err
    monkeypatch.delenv(library.ENVIRONMENT)
    assert record()["kind"] == "demo"
    library.main(None, demo=False)
    assert record()["kind"] == "demo"


@pytest.mark.parametrize(("composed_files", "refused"), [(0, True), (1, True), (34, False)])
def test_a_clone_of_a_study_of_own_music_does_not_become_the_demo(
    params: Params, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, composed_files: int, refused: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(library.ENVIRONMENT, raising=False)
    monkeypatch.setattr(config, "load", lambda profile: params)
    monkeypatch.setattr(compose, "compose", lambda folder, *_: folder.mkdir() or 0)
    outs = [{"path": "data/demo-library", "nfiles": composed_files}]
    Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": {"library": {"outs": outs}}}))
    if refused:
        with pytest.raises(Problem, match=r"dvc repro --allow-missing"):
            library.main(None, demo=False)
        assert not RECORD.exists()
        library.main(None, demo=True)
    else:
        library.main(None, demo=False)
    assert record()["kind"] == "demo"


def test_the_state_follows_names_sizes_times_and_files(own: Path) -> None:
    song = own / "Artist" / "Album" / "01 Söng.flac"
    states = []

    def note() -> None:
        library.record_own(str(own))
        states.append(record()["state"])

    note()
    os.utime(song, ns=(1, 1))
    note()
    song.write_bytes(AUDIO + b"more")
    os.utime(song, ns=(1, 1))
    note()
    song = song.rename(song.with_name("02 Söng.flac"))
    note()
    shutil.copy2(song, own / "copy.flac")
    note()
    (own / "copy.flac").unlink()
    note()
    assert len(set(states)) == len(states) - 1
    assert states[-1] == states[-3], "without the copy it is as it was"


def test_looking_again_sees_what_changed_and_needs_no_library(
    own: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(library.ENVIRONMENT, raising=False)
    library.main(None, look=True)  # a clone
    assert not RECORD.exists()
    looked = library.LOOKED.read_bytes()
    library.record_own(str(own))
    first = record()
    library.main(None, look=True)
    assert record() == first
    (own / "another.flac").write_bytes(AUDIO)
    library.main(None, look=True)
    assert record()["files"] == int(str(first["files"])) + 1
    seen = RECORD.read_bytes()
    own.rename(own.with_name("a disk that is away"))
    library.main(None, look=True)
    assert RECORD.read_bytes() == seen
    assert "not here" in capsys.readouterr().err
    monkeypatch.setenv(library.ENVIRONMENT, str(own))
    with pytest.raises(Problem, match="does not exist"):
        library.main(None, look=True)
    assert library.LOOKED.read_bytes() == looked


def test_looking_again_leaves_the_demo_alone(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(library.ENVIRONMENT, raising=False)
    library.prepare_demo(params, jobs=1)
    seen = RECORD.read_bytes()
    library.main(None, look=True)
    assert RECORD.read_bytes() == seen


def test_links_in_a_circle_odd_names_and_locked_folders_are_survived(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (own / "again").symlink_to(own)
    (own / "nowhere").symlink_to(own / "gone")
    os.mkfifo(own / "pipe")
    (own / "line\nbreak.txt").write_bytes(b"x")
    Path(os.fsdecode(os.fsencode(own) + b"/not \xff utf-8.mp3")).write_bytes(b"x")
    locked = own / "locked"
    locked.mkdir(mode=0)
    library.record_own(str(own))
    assert record()["files"] == 4
    # Root may read anything, so only an ordinary user sees the locked folder in the count.
    assert f"{3 if os.geteuid() == 0 else 4} names in the library are left out" in capsys.readouterr().err


def test_a_library_that_holds_the_project_is_up_to_date_once_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "home/study"
    project.mkdir(parents=True)
    monkeypatch.chdir(project)
    (tmp_path / "home/song.flac").write_bytes(AUDIO)
    library.record_own(str(tmp_path / "home"))
    first = record()
    assert first["files"] == 1
    for name in (".dvc/cache/song.flac", "data/clips/song.flac", "generations/step-20/rock.wav"):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_bytes(AUDIO)
    library.record_own(str(tmp_path / "home"))
    assert record() == first


def _absent(tmp_path: Path) -> str:
    return str(tmp_path / "absent")


def _file(tmp_path: Path) -> str:
    (tmp_path / "song.mp3").write_bytes(AUDIO)
    return str(tmp_path / "song.mp3")


def _empty(tmp_path: Path) -> str:
    (tmp_path / "empty").mkdir()
    return str(tmp_path / "empty")


def _no_music(tmp_path: Path) -> str:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "song.mp3").write_text("words, words")
    return str(tmp_path / "texts")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (_absent, "does not exist"),
        (_file, "not a folder"),
        (_empty, "no music among the 0 files"),
        (_no_music, "no music among the 1 files"),
        (lambda _: "", "set but empty"),
    ],
)
def test_a_library_that_cannot_be_used_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: object, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert callable(make)
    with pytest.raises(Problem, match=message):
        library.record_own(make(tmp_path))
    assert not Path("data").exists()


def test_the_command_ends_with_a_sentence_and_a_status(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MUSIC_LIBRARY": "nowhere at all"}
    done = subprocess.run(
        [sys.executable, "-m", "src.library"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    # Not by its name: what is printed ends up in logs.
    assert done.stderr.startswith("error: The folder that MUSIC_LIBRARY names does not exist.")
    assert "nowhere" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_ten_thousand_files_are_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "large"
    for folder in range(100):
        (root / f"{folder:03d}").mkdir(parents=True)
        for song in range(100):
            (root / f"{folder:03d}" / f"{song:03d}.flac").touch()
    (root / "000" / "000.flac").write_bytes(AUDIO)
    library.record_own(str(root))
    assert record()["files"] == 10_000
