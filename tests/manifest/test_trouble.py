"""A library that is away, a decoder that is killed: neither becomes a fact about a song."""

import errno
import io
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from src.audio import ffmpeg
from src.base import console, pool, walk
from src.base.errors import Problem, Unread
from src.base.walk import Seen
from src.manifest import cache, facts, scan
from tests import here
from tests.conftest import PATIENCE_S, StudyFolder
from tests.manifest.conftest import manifest
from tests.processes import children, command_line, wait_until
from tests.sounds import encode, tag, tagged, write

AWAY = "12 of 12 files could not be read (12 gone while it was read), so no manifest was written."


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "PAUSES_S", (0.2, 0.4, 0.8))
    monkeypatch.setattr(walk, "PAUSES_S", (0.0, 0.0, 0.0))


def once_walked(monkeypatch: pytest.MonkeyPatch, act: Callable[[Path], object]) -> None:
    """Let something happen when all names are known and no file has been read."""

    def walked(library: Path) -> list[Seen]:
        seen = walk.walk(library)
        act(library)
        return seen

    monkeypatch.setattr(scan, "walk", walked)


def go(library: Path) -> None:
    """Rename a library, as a cable that is pulled."""
    library.rename(library.with_name("away"))


def test_a_library_that_is_away_for_a_moment_is_read_whole(full: StudyFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    once_walked(monkeypatch, go)
    # It is back as soon as its absence was noticed.
    real = console.warn
    away, there = full.root / "away", full.root / "music"
    monkeypatch.setattr(console, "warn", lambda text: (real(text), away.rename(there)))
    done = here.run(full, "src.manifest", "--workers", "2")
    assert done.returncode == 0, done.stdout
    assert "10 of 12 files kept, 2 skipped." in done.stdout
    assert "it is tried again" in done.stdout  # never silent


def test_a_library_that_stays_away_ends_the_stage_and_leaves_nothing_behind(
    full: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        once_walked(patched, go)
        done = here.run(full, "src.manifest")
    assert done.returncode == 1
    assert AWAY in done.stdout
    assert not (full.root / "data/manifest.csv").exists()
    assert not (full.root / "metrics/manifest.json").exists()
    assert "rock/0.flac" in (full.root / "data/library-report.html").read_text()
    assert "rock/0.flac" not in done.stdout
    (full.root / "away").rename(full.root / "music")
    again = here.run(full, "src.manifest")
    assert "Read 12 files, decoded 10 songs; 0 were known." in again.stdout
    assert "10 of 12 files kept" in again.stdout


def test_a_running_scan_survives_that_its_library_goes_away(full: StudyFolder) -> None:
    for number in range(60):
        tag(write(full.root / f"music/more/{number}.flac", 1000 + number))
    process = full.start("src.manifest")
    wait_until(
        lambda: (
            process.poll() is not None or any(b"pool_worker" in command_line(child) for child in children(process.pid))
        )
    )
    for _ in range(3):
        time.sleep(0.3)
        go(full.root / "music")
        time.sleep(0.25)
        (full.root / "away").rename(full.root / "music")
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, output
    assert "70 of 72 files kept, 2 skipped." in output


@pytest.fixture
def unsteady(full: StudyFolder, monkeypatch: pytest.MonkeyPatch) -> Callable[[int, str], Path]:
    """An ffmpeg that ends by a signal so many times before it works, and a song that it is needed for."""
    encode(full.root / "music/killed.m4a", 55, *tagged())
    real = ffmpeg.executable()

    def make(times: int, how: str) -> Path:
        left = full.root / "left"
        left.write_text("x\n" * times)
        fake = full.root / "ffmpeg"
        fake.write_text(
            f'#!/bin/sh\nif [ -s "{left}" ]; then sed -i 1d "{left}"; {how}; fi\nexec "{real}" "$@"\n', encoding="utf-8"
        )
        fake.chmod(0o755)
        monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(fake))
        return left

    return make


@pytest.mark.parametrize("how", ["kill -9 $$", "kill -15 $$", "kill -11 $$", "exit 137", "exit 244"])
def test_a_decoder_that_is_killed_once_costs_nothing(
    full: StudyFolder, unsteady: Callable[[int, str], Path], how: str
) -> None:
    left = unsteady(1, how)
    done = here.run(full, "src.manifest")
    assert done.returncode == 0, done.stdout
    assert manifest(full)["killed.m4a"].status == "kept"
    assert not left.read_text()


def test_a_decoder_that_is_killed_each_time_ends_the_stage_and_is_not_remembered(
    full: StudyFolder, unsteady: Callable[[int, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    unsteady(1000, "kill -9 $$")
    done = here.run(full, "src.manifest")
    assert done.returncode == 1
    assert "1 of 13 files could not be read (1 its decoder was stopped)" in done.stdout
    monkeypatch.delenv("IMAGEIO_FFMPEG_EXE")
    again = here.run(full, "src.manifest")
    assert "Read 0 files, decoded 1 songs; 13 were known." in again.stdout
    assert manifest(full)["killed.m4a"].status == "kept"


def test_a_decoder_that_crashes_each_time_is_a_fact_about_the_file(
    full: StudyFolder, unsteady: Callable[[int, str], Path]
) -> None:
    unsteady(1000, "kill -11 $$")
    assert here.run(full, "src.manifest").returncode == 0
    assert manifest(full)["killed.m4a"].reason == "the decoder crashed on it"
    assert "Read 0 files, decoded 0 songs" in here.run(full, "src.manifest").stdout


def test_files_that_can_never_be_read_may_be_allowed(
    full: StudyFolder, unsteady: Callable[[int, str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    full.change("params/tiny.yaml", manifest__unreadable_allowed=1)
    unsteady(1000, "kill -9 $$")
    done = here.run(full, "src.manifest")
    assert done.returncode == 0, done.stdout
    assert "1 skipped: its decoder was stopped" in done.stdout
    assert manifest(full)["killed.m4a"].reason == "its decoder was stopped"
    # So many and no more: an hour without the disk is not taken for it.
    with monkeypatch.context() as patched:
        once_walked(patched, go)
        assert here.run(full, "src.manifest", "--fresh").returncode == 1


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES])
def test_a_disk_that_fails_under_the_tags_is_no_missing_tag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path = tag(write(tmp_path / "a.flac", 1))
    reads, bad = 0, 0

    class Failing(io.FileIO):
        def readinto(self, buffer: Any) -> int:
            nonlocal reads
            reads += 1
            if reads == bad:
                raise OSError(number, os.strerror(number))
            return super().readinto(buffer)

    monkeypatch.setattr(facts, "_Raw", type("Raw", (facts._Raw, Failing), {}))
    assert facts.read_file(path, lambda _: True).genre_texts == ("Rock",)
    total = reads
    assert total > 3
    for turn in range(1, total + 1):
        reads, bad = 0, turn
        with pytest.raises(OSError, match=os.strerror(number)):
            facts.read_file(path, lambda _: True)


def test_a_file_that_changes_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    path = tag(write(tmp_path / "a.flac", 1))

    def grows(_: object) -> bool:
        path.write_bytes(path.read_bytes() + b"x")
        return True

    with pytest.raises(Unread, match="changed in the meantime"):
        facts.read_file(path, grows)


def test_damage_of_one_copy_is_no_fact_about_the_other(full: StudyFolder) -> None:
    whole = encode(full.root / "music/rock/whole.m4a", 77, *tagged())
    data = whole.read_bytes()
    sizes = data.index(b"stsz") + 16
    (full.root / "music/rock/broken.m4a").write_bytes(data[:sizes] + b"\0\0\1\0" * 20 + data[sizes + 80 :])
    assert here.run(full, "src.manifest").returncode == 0
    table = manifest(full)
    assert table["rock/broken.m4a"].audio_sha256 == table["rock/whole.m4a"].audio_sha256
    assert table["rock/broken.m4a"].reason.startswith("damaged")
    assert table["rock/whole.m4a"].status == "kept"
    assert "Read 0 files, decoded 0 songs" in here.run(full, "src.manifest").stdout


@pytest.mark.parametrize("when", ["opened", "used"])
def test_a_full_disk_under_the_cache_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    def full_disk(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    if when == "opened":
        monkeypatch.setattr(cache, "_connection", lambda *_, **__: full_disk())
    sentence = r"The cache in .* could not be used \(database or disk is full\).*--work"
    with pytest.raises(Problem, match=sentence), cache.opened(tmp_path / "work", tmp_path) as known:
        monkeypatch.setattr(known, "add_files", full_disk)
        known.add_files([])


def test_other_decoders_may_find_what_these_did_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    song = Seen(b"a.mp3", "", 1, 1, 1)
    with cache.opened(tmp_path / "work", tmp_path) as known:
        known.add_files([(song, facts.FileFacts("not music: text"))])
    monkeypatch.setattr(cache, "versions", lambda: "soundfile 99")
    with cache.opened(tmp_path / "work", tmp_path) as known:
        assert known.known_files([song]) == {}
