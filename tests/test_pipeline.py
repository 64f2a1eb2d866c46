"""The whole study in an empty clone at a tiny scale, and what came out of it."""

import csv
import json
import re
import sqlite3
from pathlib import Path

import pytest
import soundfile

from src.bundle import layout
from src.library import record as library_record
from src.record import browsing, journal, metrics
from tests import clone
from tests.clone import STEPS, in_clone
from tests.conftest import GENRES

pytestmark = pytest.mark.slow

PRIVATE = ("data", "checkpoints", "generations", "reports", "work", "mlruns/mlflow.db", "mlruns/artifacts", "metrics")


@pytest.fixture(scope="module")
def study_clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of this working tree with the tiny profile, after one `dvc repro`."""
    folder = tmp_path_factory.mktemp("clone") / "study"
    clone.make(folder)
    printed = in_clone(folder, "dvc", "repro")
    (folder / "work" / "printed.txt").write_text(printed)
    return folder


def test_everything_is_up_to_date_and_nothing_private_is_in_git(study_clone: Path) -> None:
    said = in_clone(study_clone, "dvc", "repro")
    assert re.findall(r"Running stage '(.*)'", said) == ["look"]
    assert said.count("didn't change, skipping") == 7
    assert in_clone(study_clone, "git", "status", "--porcelain").splitlines() == ["?? dvc.lock"]
    for name in PRIVATE:
        assert in_clone(study_clone, "git", "check-ignore", name).strip() == name


def test_other_users_see_neither_data_nor_dvcs_copies_and_notes_of_it(study_clone: Path) -> None:
    notes = "from dvc.repo import Repo; print(Repo().site_cache_dir)"
    where = in_clone(study_clone, "python", "-c", notes).strip()
    for folder in (*library_record.PRIVATE, Path(where)):
        assert (study_clone / folder).stat().st_mode & 0o077 == 0, folder


def test_the_manifest_keeps_or_explains_every_song(study_clone: Path) -> None:
    with (study_clone / "data" / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    songs = [path for path in (study_clone / "data" / "demo-library").rglob("*") if path.suffix in (".mp3", ".flac")]
    assert len(rows) >= len(songs) >= 3 * len(GENRES) + 3
    assert all(bool(row["reason"]) == (row["status"] == "skipped") for row in rows)
    kept = {genre: sum(row["genre"] == genre and row["status"] == "kept" for row in rows) for genre in GENRES}
    assert kept == dict.fromkeys(GENRES, 3)
    assert {row["reason"] for row in rows if row["reason"]} >= {"no year", "no genre tag"}


def test_every_genre_has_clips_to_train_on_and_to_validate_with(study_clone: Path) -> None:
    counts = json.loads((study_clone / "metrics" / "clips.json").read_text())["genres"]
    assert all(counts[genre]["train"] and counts[genre]["validation"] for genre in GENRES)
    for path in (study_clone / "data" / "clips").rglob("*.flac"):
        about = soundfile.info(str(path))
        assert (about.samplerate, about.channels, about.frames) == (16_000, 1, 48_000)


def test_training_wrote_each_step_once_in_journal_and_mlflow(study_clone: Path) -> None:
    (path,) = (study_clone / "work" / "train").glob("*/journal.jsonl")
    steps = journal.read(path).steps
    assert sorted(steps) == list(range(1, 31))
    with sqlite3.connect(study_clone / "mlruns" / "mlflow.db") as database:
        rows = database.execute(
            "SELECT step, metrics.value, metrics.timestamp FROM metrics JOIN tags ON metrics.run_uuid = tags.run_uuid "
            "WHERE metrics.key = 'learning/loss' AND tags.key = 'part' AND tags.value = 'study' ORDER BY step"
        ).fetchall()
    assert rows == [(step.step, step.loss, step.time_ms) for _, step in sorted(steps.items())]


def test_the_mlflow_run_says_what_was_done_to_what_and_where(study_clone: Path) -> None:
    with sqlite3.connect(study_clone / "mlruns" / "mlflow.db") as database:
        run, status, place = database.execute(
            "SELECT runs.run_uuid, status, artifact_uri FROM runs JOIN tags ON runs.run_uuid = tags.run_uuid "
            "WHERE tags.key = 'part' AND tags.value = 'study'"
        ).fetchone()
        tags = dict(database.execute("SELECT key, value FROM tags WHERE run_uuid = ?", (run,)))
        params = dict(database.execute("SELECT key, value FROM params WHERE run_uuid = ?", (run,)))
        models = {name for (name,) in database.execute("SELECT name FROM logged_models")}
        keys = {key for (key,) in database.execute("SELECT DISTINCT key FROM metrics")}
        aliases = {alias for (alias,) in database.execute("SELECT alias FROM registered_model_aliases")}
        digest = database.execute("SELECT digest FROM datasets").fetchone()[0]
    assert status == "FINISHED"
    assert {"git_commit", "device", "torch", "python", "fingerprint"} <= tags.keys()
    assert params["train.steps"] == "30"
    assert models == {"step-2", "step-10", "step-30"}
    assert aliases == {"step-2", "step-10", "step-30", "newest"}
    assert {metrics.score("bits_per_sample", genre) for genre in GENRES} <= keys
    assert {metrics.BITS_GAINED, metrics.BITS_PER_SAMPLE, metrics.MEDIAN_LOSS, metrics.WAY_TO_MUSIC} <= keys
    results, _, story = tags["mlflow.note.content"].partition(browsing.STORY)
    assert results.startswith("**What was compared?** Steps 2, 10 and 30 of one training")
    assert "`reports/compare-2-10-30/index.html`" in results
    assert story.startswith("Finished at step 30, each step recorded once.")
    assert json.loads((study_clone / "metrics" / "clips.json").read_text())["digest"].startswith(digest)
    artifacts = Path(place.removeprefix("file://"))
    assert sorted(path.name for path in (artifacts / "generations" / "step-30").glob("*.mp3")) == [
        f"{genre}.mp3" for genre in GENRES
    ]


@pytest.mark.parametrize("step", STEPS)
def test_every_genre_was_generated(study_clone: Path, step: int) -> None:
    folder = study_clone / "generations" / f"step-{step}"
    said = json.loads((folder / "generation.json").read_text())
    assert [clip["genre"] for clip in said["clips"]] == list(GENRES)
    sounds = set()
    for clip in said["clips"]:
        audio, rate_hz = soundfile.read(str(folder / clip["file"]), dtype="int16")
        assert (rate_hz, audio.shape) == (16_000, (8_000,))
        assert len(set(audio.tolist())) > 10
        assert soundfile.info(str((folder / clip["file"]).with_suffix(".mp3"))).duration > 0.4
        sounds.add(audio.tobytes())
    assert len(sounds) == len(GENRES)
    (training,) = (study_clone / "work" / "train").iterdir()
    times = json.loads((training / "times" / f"generate-step-{step}.json").read_text())
    assert all(clip["seconds"] > 0 and clip["samples_per_s"] > 0 for clip in times["clips"])


def test_held_out_bits_stand_beside_markov_and_uniform(study_clone: Path) -> None:
    found = json.loads((study_clone / "metrics" / "evaluate.json").read_text())
    assert list(found["steps"]) == ["2", "10", "30"]
    for genre in GENRES:
        bits = [found["steps"][str(step)][genre]["bits_per_sample"]["value"] for step in STEPS]
        assert all(0 < value < 12 for value in bits)
        assert bits[0] > bits[-1]
        assert 0 < found["markov"][genre] < 8


def test_the_comparison_leaves_dvc_and_git_clean(study_clone: Path) -> None:
    printed = in_clone(study_clone, "python", "-m", "src.compare", "--steps", "2", "30")
    for genre in GENRES:
        assert genre in printed
    page = (study_clone / "reports" / "compare-2-30" / "index.html").read_text()
    assert page.count("<audio") >= 2 * len(GENRES)
    assert in_clone(study_clone, "dvc", "status").split() == ["look:", "always", "changed"]
    assert in_clone(study_clone, "dvc", "metrics", "show").splitlines()[0].split() == [
        "Path", "accuracy", "bits", "bits_less_linear", "sound", "step"
    ]  # fmt: skip
    assert in_clone(study_clone, "git", "status", "--porcelain").splitlines() == ["?? dvc.lock"]


def test_a_step_without_a_checkpoint_names_those_that_exist(study_clone: Path) -> None:
    printed = in_clone(study_clone, "python", "-m", "src.compare", "--steps", "2", "77", check=False)
    assert "77" in printed
    assert "2, 10, 30" in printed.replace(" and ", ", ")
    assert "Traceback" not in printed


def test_a_change_of_the_generation_reruns_only_what_it_must(study_clone: Path) -> None:
    path = study_clone / "params" / "tiny.yaml"
    before = path.read_text()
    path.write_text(before.replace("temperature: 1.0", "").rstrip() + "\n  temperature: 0.9\n")
    try:
        stages = in_clone(study_clone, "dvc", "status")
    finally:
        path.write_text(before)
    changed = {
        line.rstrip(":") for line in stages.splitlines() if line.endswith(":") and not line.startswith(("\t", " "))
    }
    assert "generate" in changed
    assert not changed & {"library", "manifest", "clips", "train"}


@pytest.mark.parametrize(
    ("library", "words"),
    [("/nowhere/at/all", "MUSIC_LIBRARY"), ("empty", "MUSIC_LIBRARY")],
)
def test_a_library_that_is_not_there_or_empty_gets_a_sentence(
    study_clone: Path, library: str, words: str, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    place = library if library.startswith("/") else str(tmp_path / library)
    kept = (study_clone / "data" / "library.json").read_bytes()
    printed = in_clone(study_clone, "python", "-m", "src.library", check=False, MUSIC_LIBRARY=place)
    assert printed.startswith("error:")
    assert words in printed
    assert (study_clone / "data" / "library.json").read_bytes() == kept


def test_a_study_of_composed_songs_is_published_as_such(study_clone: Path) -> None:
    said = in_clone(study_clone, "python", "-m", "src.bundle")
    assert "nothing private was found" in said
    folder = study_clone / "bundle"
    assert layout.read(folder / layout.PRIVATE, layout.Private).library == "demo"
    assert "songs were composed by the program itself" in (folder / layout.PAGE).read_text()
    assert (folder / "reports" / "compare-2-10-30" / "audio" / "song-4-rock.mp3").is_file()
    for name in ("bundle", "bundle.zip"):
        assert in_clone(study_clone, "git", "check-ignore", name).strip() == name
