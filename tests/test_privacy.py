"""Nothing that names a song leaves data/, and no password is kept: planted strings are searched for everywhere else."""

import csv
import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from src.record import checkpoint
from tests.clone import in_clone
from tests.planted import PLANT, PRINTED, STUDIED

pytestmark = pytest.mark.slow

ACCOUNT = {"MLFLOW_TRACKING_USERNAME": f"{PLANT}Name", "MLFLOW_TRACKING_PASSWORD": f"{PLANT}Word"}
ADDRESS = f"http://{PLANT}Name:{PLANT}Word@127.0.0.1:9"
"""Of a server that is not there: its address is in every message."""


@pytest.fixture(scope="module")
def after_a_study(planted: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A clone after the whole study on the planted library, and everything that was printed."""
    folder = tmp_path_factory.mktemp("private") / "copy"
    shutil.copytree(planted, folder, symlinks=True)
    library, study = folder / f"{PLANT}Library", folder / "study"
    printed = (folder / PRINTED).read_text()
    for command in (
        ("python", "-m", "src.library"),
        ("dvc", "repro"),
        ("python", "-m", "src.compare", "--steps", "2", "30"),
        ("python", "-m", "src.status"),
        ("env", f"MLFLOW_TRACKING_URI={ADDRESS}", "python", "-m", "src.train"),
        ("env", f"MLFLOW_TRACKING_URI={ADDRESS}", "python", "-m", "src.compare"),
        ("python", "-m", "src.bundle"),
        ("dvc", "metrics", "show"),
        ("dvc", "status"),
    ):
        printed += in_clone(study, *command, check=True, MUSIC_LIBRARY=str(library), **ACCOUNT)
    return study, printed + trouble(study, library)


def trouble(study: Path, library: Path) -> str:
    """What is printed when clips are missing, damaged and unreadable, and when the library is away."""
    clips = sorted((study / "data" / "clips").glob("*/*/*.flac")) or sorted((study / "data" / "clips").rglob("*.flac"))
    for clip in clips:  # DVC links them to its cache, where the good ones are
        content = clip.read_bytes()
        clip.unlink()
        clip.write_bytes(content)
    printed = ""
    for damage in ("missing", "damaged", "a folder"):
        clip = clips.pop()
        content = clip.read_bytes()
        clip.unlink()
        if damage == "damaged":
            clip.write_bytes(content[: len(content) // 2])
        elif damage == "a folder":
            clip.mkdir()
        for command in (["src.train"], ["src.evaluate"], ["src.compare", "--steps", "2", "30"]):
            printed += in_clone(study, "python", "-m", *command, check=False)
    library.rename(library.with_name(f"{PLANT}Moved"))
    for stage in ("src.library", "src.manifest", "src.clips"):
        printed += in_clone(study, "python", "-m", stage, check=False)
    assert "cannot be read" in printed or "is damaged" in printed
    assert "Traceback" not in printed
    return printed


def test_the_songs_were_read_and_the_plants_are_where_they_belong(after_a_study: tuple[Path, str]) -> None:
    study, _ = after_a_study
    with (study / "data" / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(row["status"] == "kept" for row in rows) == 12
    assert all(PLANT in row["path"] for row in rows)
    assert all(f"{PLANT}Subgenre" in row["genre_text"] for row in rows if row["status"] == "kept")


def test_the_genre_without_songs_is_left_out_everywhere(after_a_study: tuple[Path, str]) -> None:
    study, printed = after_a_study
    assert "Left out, for want of songs: hardcore (no file is tagged so)." in printed
    assert json.loads((study / "metrics/clips.json").read_text())["genres"].keys() == {*STUDIED}
    assert json.loads((study / "metrics/evaluate.json").read_text())["genres"] == [*STUDIED]
    for step in (2, 30):
        folder = study / f"checkpoints/step-{step}"
        assert checkpoint.about(folder).genres == STUDIED
        assert {path.stem for path in (study / f"generations/step-{step}").glob("*.wav")} == {*STUDIED}
    assert "songs of 4 genres;" in " ".join(printed.split())
    with sqlite3.connect(study / "mlruns/mlflow.db") as database:
        rows = database.execute("SELECT DISTINCT value FROM params WHERE key = 'genres'").fetchall()
    assert rows == [(",".join(STUDIED),)]


def test_no_planted_word_is_printed(after_a_study: tuple[Path, str]) -> None:
    _, printed = after_a_study
    assert [line for line in printed.splitlines() if PLANT.lower() in line.lower()] == []


def test_no_planted_word_and_no_song_hash_is_anywhere_but_in_data(after_a_study: tuple[Path, str]) -> None:
    study, _ = after_a_study
    with (study / "data" / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (study / "data" / "clips" / "clips.csv").open(newline="") as file:
        clips = list(csv.DictReader(file))
    hashes = {row[name] for row in rows for name in ("file_sha256", "audio_sha256") if row[name]}
    hashes |= {clip["sha256"] for clip in clips} | {Path(clip["clip"]).stem for clip in clips}
    assert len(hashes) >= 3 * 12
    words = [PLANT.lower().encode(), *(word.encode() for word in hashes)]
    searched = 0
    found = []
    for path in sorted(study.rglob("*")):
        place = path.relative_to(study)
        if not path.is_file() or place.parts[0] == "data" or place.parts[:2] == (".dvc", "cache"):
            continue
        content = path.read_bytes().lower()
        searched += 1
        found += [
            f"{place}: {word.decode()}" for word in words if word in content or word in str(place).lower().encode()
        ]
    assert found == []
    assert searched > 250
    assert (study / "dvc.lock").is_file()
    assert (study / "mlruns" / "mlflow.db").is_file()
    assert (study / "reports").is_dir()
    assert (study / "bundle" / "index.html").is_file()


def test_what_is_private_is_not_pushed_and_not_in_git(after_a_study: tuple[Path, str]) -> None:
    study, _ = after_a_study
    tracked = in_clone(study, "git", "ls-files").splitlines()
    private = (
        "data/",
        "checkpoints/",
        "generations/",
        "metrics/",
        "reports/",
        "work/",
        "bundle",
        ".dvc/cache",
        ".venv",
    )
    assert [name for name in tracked if name.startswith(private)] == []
    assert [name for name in tracked if name.startswith("mlruns")] == ["mlruns/README.md"]
