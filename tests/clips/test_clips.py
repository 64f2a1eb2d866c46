"""The clips stage as a user runs it."""

import csv
import errno
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from src import config
from src.base import console, pool, share
from src.base.errors import Problem
from src.clips import clipping
from src.clips.clipset import ClipSet
from src.library import record
from src.manifest import cache, rows, scan
from src.manifest.decide import Rules
from tests import here
from tests.conftest import GENRES, StudyFolder
from tests.manifest.conftest import TEXTS, fill
from tests.sounds import tag, write


@pytest.fixture
def listed(study: StudyFolder) -> StudyFolder:
    """A study with three songs of each genre and their manifest."""
    fill(study.root / "music", songs=3)
    (study.root / "data").mkdir()
    (study.root / "data/library.json").write_text(
        json.dumps({"kind": "own", "path": "music", "files": 15, "state": "x"})
    )
    make_manifest(study)
    return study


def make_manifest(study: StudyFolder) -> None:
    """The manifest, without a process of its own."""
    params = config.load(study.root)
    library = study.root / "music"
    rules = Rules(params.study.genre_rules, params.profile.manifest.minimum_duration_s, require_year=True)
    with cache.opened(study.root / "data/library-cache", library) as known:
        rows.write(study.root / "data/manifest.csv", scan.scan(library, rules, known, workers=1).rows)


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_whole_stage(listed: StudyFolder) -> None:
    done = listed.run("src.clips")
    assert done.returncode == 0, done.stdout
    assert "15 clips in data/clips: 15 cut now" in done.stdout
    clips = ClipSet.open(listed.root / "data/clips")
    assert len(clips) == 15
    for genre in GENRES:
        splits = [clip.split for clip in clips.clips if clip.genre == genre]
        assert len(splits) == 3
        assert set(splits) == {"train", "validation"}
    for index, clip in enumerate(clips.clips):
        assert clip.path.name == f"{clip.sha256[:16]}.flac"
        assert clips.read(index, 0, clip.frames).shape == (48_000,)
        assert soundfile.info(clip.path).subtype == "PCM_16"
    counts = json.loads((listed.root / "metrics/clips.json").read_text())
    assert counts["clips"] == 15
    assert counts["frames"] == 15 * 48_000
    assert sum(part["validation"] for part in counts["genres"].values()) >= 5
    for text in (done.stdout, json.dumps(counts)):
        assert not any(clip.sha256[:16] in text for clip in clips.clips)


def test_the_same_songs_give_the_same_bytes(listed: StudyFolder) -> None:
    here.run(listed, "src.clips")
    first = files_below(listed.root / "data/clips")
    here.run(listed, "src.clips", "--fresh", "--workers", "1", "--work", "work/other", "--out", "again")
    assert files_below(listed.root / "again") == first


def test_a_deleted_folder_is_filled_from_what_is_known(listed: StudyFolder) -> None:
    here.run(listed, "src.clips")
    first = files_below(listed.root / "data/clips")
    # As DVC does: outputs become read-only and are deleted before the stage runs again.
    for path in (listed.root / "data/clips").rglob("*.flac"):
        path.chmod(0o444)
        path.unlink()
    done = here.run(listed, "src.clips")
    assert "15 clips in data/clips: 0 cut now" in done.stdout
    assert files_below(listed.root / "data/clips") == first


def test_a_new_song_is_cut_alone_and_moves_no_other(listed: StudyFolder) -> None:
    here.run(listed, "src.clips")
    before = {clip.sha256: clip.split for clip in ClipSet.open(listed.root / "data/clips").clips}
    tag(write(listed.root / "music/new.flac", 777), TEXTS["rock"])
    make_manifest(listed)
    done = here.run(listed, "src.clips")
    assert "16 clips in data/clips: 1 cut now" in done.stdout
    after = {clip.sha256: clip.split for clip in ClipSet.open(listed.root / "data/clips").clips}
    moved = [sha256 for sha256 in before if after[sha256] != before[sha256]]
    # A genre that had to borrow its validation song may give it back, no more.
    assert len(moved) <= 1


def test_a_damaged_cache_is_noticed(listed: StudyFolder) -> None:
    here.run(listed, "src.clips")
    first = files_below(listed.root / "data/clips")
    cached = sorted((listed.root / "data/library-cache/clips").glob("*.flac"))
    content = cached[0].read_bytes()
    cached[0].unlink()
    cached[0].write_bytes(content[:-100])
    cached[1].unlink()
    done = here.run(listed, "src.clips")
    assert "2 cut now" in done.stdout
    assert files_below(listed.root / "data/clips") == first


@pytest.mark.parametrize("trouble", ["gone", "changed", "away"])
def test_songs_that_cannot_be_read_end_the_stage(
    listed: StudyFolder, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    monkeypatch.setattr(pool, "PAUSES_S", (0.0, 0.0))
    music = listed.root / "music"
    if trouble == "gone":
        (music / "rock/0.flac").unlink()
    elif trouble == "changed":
        write(music / "rock/0.flac", 4242)
    else:
        monkeypatch.setattr(record, "folder", lambda _: music)
        music.rename(listed.root / "elsewhere")
    done = here.run(listed, "src.clips")
    said = {
        "gone": "1 of 15 songs could not be read (1 gone while it was read), so no clips were written.",
        "changed": "1 of 15 songs could not be read (1 changed in the meantime), so no clips were written.",
        "away": "15 of 15 songs could not be read (15 gone while it was read), so no clips were written.",
    }
    assert done.returncode == 1
    assert said[trouble] in done.stdout
    assert "python -m src.manifest" in done.stdout
    assert "rock/0" not in done.stdout
    assert not (listed.root / "data/clips").exists()
    assert not (listed.root / "metrics/clips.json").exists()


def test_a_library_that_is_away_for_a_moment_gives_every_clip(
    listed: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "PAUSES_S", (0.1, 0.2, 0.4))
    music, away = listed.root / "music", listed.root / "away"
    monkeypatch.setattr(record, "folder", lambda _: music)
    monkeypatch.setattr(console, "warn", lambda _: away.rename(music))
    music.rename(away)
    assert "15 clips in data/clips: 15 cut now" in here.run(listed, "src.clips").stdout


def test_a_genre_with_one_song_is_left_out(listed: StudyFolder) -> None:
    table = rows.read(listed.root / "data/manifest.csv")
    gone = ("metal/0.flac", "metal/1.flac", "hip/0.flac", "hip/1.flac", "hip/2.flac")
    rows.write(listed.root / "data/manifest.csv", [row for row in table if row.path not in gone])
    done = here.run(listed, "src.clips")
    assert done.returncode == 0, done.stdout
    assert "Left out: metal; it has one usable song and needs two, one to hold out." in done.stdout
    assert {clip.genre for clip in ClipSet.open(listed.root / "data/clips").clips} == {"classical", "hardcore", "rock"}
    assert skipped(listed) == {"metal/2.flac": "the only song of its genre that gave a clip"}
    counts = json.loads((listed.root / "metrics/clips.json").read_text())
    assert list(counts["genres"]) == ["classical", "hardcore", "rock"]
    assert counts["reasons"] == {"the only song of its genre that gave a clip": 1}


def test_without_two_songs_of_any_genre_nothing_is_written(listed: StudyFolder) -> None:
    table = rows.read(listed.root / "data/manifest.csv")
    rows.write(listed.root / "data/manifest.csv", [row for row in table if row.path.endswith("0.flac")])
    done = here.run(listed, "src.clips")
    assert done.returncode == 1
    assert "No genre of params.yaml has two usable songs, one to train on and one to hold out." in done.stdout
    assert not (listed.root / "data/clips").exists()
    assert not (listed.root / "metrics/clips.json").exists()


def skipped(study: StudyFolder) -> dict[str, str]:
    """Path → why a kept song gave no clip."""
    with (study.root / "data/clips/skipped.csv").open(newline="") as file:
        return {row["path"]: row["reason"] for row in csv.DictReader(file)}


def test_each_song_without_a_clip_has_a_row_with_its_reason(listed: StudyFolder) -> None:
    # A click now and then is no silence for the manifest, but no window of it is audible.
    clicks = np.zeros(16_000 * 4)
    clicks[::8000] = 0.005
    soundfile.write(listed.root / "music/clicks.flac", clicks, 16_000)
    tag(listed.root / "music/clicks.flac", "Metal")
    song, rate_hz = soundfile.read(listed.root / "music/rock/0.flac")
    soundfile.write(listed.root / "music/rock/longer.flac", np.concatenate([song, song[::-1]]), rate_hz)
    tag(listed.root / "music/rock/longer.flac", "Metal")
    make_manifest(listed)
    done = here.run(listed, "src.clips")
    assert len(ClipSet.open(listed.root / "data/clips")) == 15
    assert skipped(listed) == {"clicks.flac": "silent", "rock/longer.flac": "the same clip as another song"}
    reasons = json.loads((listed.root / "metrics/clips.json").read_text())["reasons"]
    assert reasons == dict(Counter(skipped(listed).values()))
    assert "clicks" not in done.stdout


def test_clips_of_a_full_disk_do_not_name_a_song(listed: StudyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    params = config.load(listed.root).profile.clips
    setting = clipping._Setting(str(listed.root / "music"), str(listed.root / "work"), params)

    def no_space(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", no_space)
    with pytest.raises(Problem, match=r"work \(the disk is full\)") as raised:
        clipping.cut_task(setting, ("rock/0.flac", "flac", "", "a" * 64))
    assert "aaaa" not in str(raised.value)


def test_nobody_else_looks_into_the_data(listed: StudyFolder) -> None:
    (listed.root / "data").chmod(0o755)
    (listed.root / ".dvc" / "cache").mkdir(parents=True)  # with DVC's copies of manifest and clips
    here.run(listed, "src.clips")
    for name in ("data", ".dvc/cache", ".dvc/tmp"):
        assert (listed.root / name).stat().st_mode & 0o077 == 0


def test_missing_manifest(study: StudyFolder) -> None:
    done = here.run(study, "src.clips")
    assert done.returncode == 1
    assert "data/manifest.csv does not exist. Make it with: python -m src.manifest" in done.stdout


def test_a_copy_where_links_are_impossible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "other device")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "a").write_bytes(b"x")
    clipping.link_or_copy(tmp_path / "a", tmp_path / "b/c")
    assert (tmp_path / "b/c").read_bytes() == b"x"


def test_each_item_has_one_owner() -> None:
    items = list(range(11))
    parts = [share.Share(rank, 3).mine(items) for rank in range(3)]
    assert sorted(item for part in parts for item in part) == items
    assert share.Share().gather([1, 2]) == [1, 2]
