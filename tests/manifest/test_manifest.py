"""The manifest stage as a user runs it."""

import json
import os
import random
import signal

import numpy as np
import pytest
import soundfile

from src.manifest import rows
from tests import here
from tests.conftest import GENRES, PATIENCE_S, StudyFolder
from tests.manifest.conftest import manifest
from tests.processes import children, wait_until
from tests.sounds import encode, tag, tagged, write


def test_the_whole_stage(full: StudyFolder) -> None:
    done = full.run("src.manifest")
    assert done.returncode == 0, done.stdout
    last = done.stdout.strip().splitlines()[-1]
    assert last.startswith("10 of 12 files kept, 2 skipped.")
    assert "1 skipped: a genre that is not studied" in done.stdout
    counts = json.loads((full.root / "metrics/manifest.json").read_text())
    assert counts["genres"] == dict.fromkeys(GENRES, 2)
    assert counts["decades"] == {"1960s": 10}
    assert counts["reasons"] == {"a genre that is not studied": 1, "not music: a picture": 1}
    assert len(counts["digest"]) == 64
    table = manifest(full)
    assert table["jazz.flac"].genre_text == "Jazz"
    assert table["rock/0.flac"].duration_s == pytest.approx(3.2)
    page = (full.root / "data/library-report.html").read_text()
    assert "jazz.flac" in page
    assert "cover.jpg" in page
    # Neither names nor hashes of single songs are counted or printed.
    for text in (done.stdout, json.dumps(counts)):
        assert "jazz.flac" not in text
        assert "Jazz" not in text
        assert not any(row.audio_sha256 and row.audio_sha256 in text for row in table.values())


def test_only_what_changed_is_read_again(full: StudyFolder) -> None:
    here.run(full, "src.manifest")
    first = (full.root / "data/manifest.csv").read_bytes()
    again = here.run(full, "src.manifest")
    assert "Read 0 files, decoded 0 songs; 12 were known." in again.stdout
    assert (full.root / "data/manifest.csv").read_bytes() == first
    tag(full.root / "music/rock/0.flac", "Hard Rock", "1971")
    changed = here.run(full, "src.manifest")
    assert "Read 1 files, decoded 0 songs; 11 were known." in changed.stdout
    assert manifest(full)["rock/0.flac"].year == 1971
    tag(write(full.root / "music/new.flac", 77), "Rap")
    added = here.run(full, "src.manifest")
    assert "Read 1 files, decoded 1 songs; 12 were known." in added.stdout
    fresh = here.run(full, "src.manifest", "--fresh")
    assert "Read 13 files, decoded 11 songs; 0 were known." in fresh.stdout


def test_other_rules_read_only_what_they_let_in(full: StudyFolder) -> None:
    here.run(full, "src.manifest")
    full.change("params.yaml", genres__rock={"words": ["rock", "jazz"]})
    done = here.run(full, "src.manifest")
    assert "Read 1 files, decoded 1 songs" in done.stdout
    assert manifest(full)["jazz.flac"].genre == "rock"


def test_the_same_rows_with_one_worker_or_three(full: StudyFolder) -> None:
    here.run(full, "src.manifest", "--workers", "1", "--work", "work/a")
    one = (full.root / "data/manifest.csv").read_bytes()
    here.run(full, "src.manifest", "--workers", "3", "--work", "work/b")
    assert (full.root / "data/manifest.csv").read_bytes() == one


def test_alone_on_any_folder(full: StudyFolder) -> None:
    (full.root / "data/library.json").unlink()
    done = here.run(full, "src.manifest", "--library", "music/rock", "--out", "rock.csv")
    assert done.returncode == 0, done.stdout
    assert "Left out, for want of songs: classical (no file is tagged so); hardcore (no file" in done.stdout
    assert len(rows.read(full.root / "rock.csv")) == 2
    assert (full.root / "rock-report.html").exists()
    assert not (full.root / "metrics").exists()
    assert "--library" in full.run("src.manifest", "--help").stdout


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        ("no record", "data/library.json does not exist. Make it with: python -m src.library"),
        ("no folder", "The folder that data/library.json names cannot be read."),
        ("no music", "No music was found: none of the 1 files is in a format known here."),
        ("no song", "No song can be used: classical (no file is tagged so); hardcore (no file is tagged so); "),
        ("no song", "metal (1 tagged so: 1 no year (manifest.require_year in params/tiny.yaml)); rock (no file"),
        ("no song", "python -m src.manifest --suggest-genres"),
    ],
)
def test_what_is_missing_is_said_in_a_sentence(study: StudyFolder, prepare: str, said: str) -> None:
    record = study.root / "data/library.json"
    record.parent.mkdir()
    record.write_text(json.dumps({"path": "elsewhere" if prepare == "no folder" else "music"}))
    library = study.root / "music"
    library.mkdir()
    if prepare == "no record":
        record.unlink()
    elif prepare == "no music":
        (library / "a.mp3").write_text("words")
    elif prepare == "no song":
        tag(write(library / "metal/0.flac", 5), "Metal", None)
    done = here.run(study, "src.manifest")
    assert done.returncode == 1
    assert said in done.stdout
    assert not (study.root / "data/manifest.csv").exists()
    assert not (study.root / "metrics/manifest.json").exists()


def test_two_minutes_to_the_sample(study: StudyFolder) -> None:
    study.change("params/tiny.yaml", manifest__minimum_duration_s=120.0)
    library = study.root / "music"
    for name, frames in (("in.flac", 120 * 8000), ("out.flac", round(119.99 * 8000)), ("almost.flac", 120 * 8000 - 1)):
        library.mkdir(exist_ok=True)
        noise = np.random.default_rng(frames).normal(0, 0.1, frames)
        soundfile.write(library / name, noise, 8000)
        tag(library / name)
    encode(library / "in.mp3", 4, *tagged(), duration_s=120.0, rate_hz=16_000)
    encode(library / "out.mp3", 5, *tagged(), duration_s=119.99, rate_hz=16_000)
    encode(library / "in.m4a", 6, *tagged(), duration_s=120.0, rate_hz=16_000)
    here.run(study, "src.manifest", "--library", "music", "--out", "m.csv")
    found = {row.path: row.reason for row in rows.read(study.root / "m.csv")}
    short = "shorter than 120 s"
    assert found == {
        "in.flac": "",
        "out.flac": short,
        "almost.flac": short,
        "in.mp3": "",
        "out.mp3": short,
        "in.m4a": "",
    }


def test_re_encoded_copies_are_kept_once(study: StudyFolder) -> None:
    library = study.root / "music"
    tag(write(library / "a.flac", 1, 30.0, rate_hz=22_050))
    encode(library / "copy.mp3", 1, "-b:a", "96k", *tagged("Metal", "2005"), duration_s=30.0, rate_hz=22_050)
    encode(library / "other.mp3", 2, "-b:a", "96k", *tagged("Metal", "2005"), duration_s=30.0, rate_hz=22_050)
    # The seeds make the notes; the stereo width differs, as in another mastering.
    done = here.run(study, "src.manifest", "--library", "music", "--out", "m.csv")
    found = {row.path: row.reason for row in rows.read(study.root / "m.csv")}
    assert found == {"a.flac": "", "copy.mp3": "the same recording as another file, encoded again", "other.mp3": ""}, (
        done.stdout
    )


def test_a_hanging_decoder_is_given_up(full: StudyFolder) -> None:
    encode(full.root / "music/hangs.m4a", 55, *tagged())
    fake = full.root / "ffmpeg"
    fake.write_text("#!/bin/sh\nexec sleep 1000\n")
    fake.chmod(0o755)
    done = full.run("src.manifest", "--time-limit-s", "4", IMAGEIO_FFMPEG_EXE=str(fake))
    assert done.returncode == 1
    assert (
        "1 of 13 files could not be read (1 took longer than 4 s to read), so no manifest was written." in done.stdout
    )
    # All else is remembered, and this is not.
    assert "Read 0 files, decoded 1 songs; 13 were known." in here.run(full, "src.manifest").stdout
    assert manifest(full)["hangs.m4a"].status == "kept"


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_scan_leaves_the_manifest_whole(full: StudyFolder, stop: signal.Signals) -> None:
    here.run(full, "src.manifest")
    before = (full.root / "data/manifest.csv").read_bytes()
    data = (full.root / "music/rock/0.flac").read_bytes()
    for number in range(200):
        (full.root / f"music/{number}.flac").write_bytes(data + random.Random(number).randbytes(20))
    process = full.start("src.manifest")
    wait_until(lambda: children(process.pid) or process.poll() is not None)  # its workers show that it has begun
    os.kill(process.pid, stop)
    output, _ = process.communicate(timeout=PATIENCE_S)
    if process.returncode != 0:
        assert (full.root / "data/manifest.csv").read_bytes() == before
    assert "Traceback" not in output
    assert here.run(full, "src.manifest").returncode == 0
    assert len(manifest(full)) == 212
    assert not list((full.root / "data").glob(".*tmp"))
