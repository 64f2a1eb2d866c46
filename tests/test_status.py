"""The status of a training, from its journal alone."""

import json
from pathlib import Path

import pytest

from src import config, status
from src.base import code, files
from src.record import checkpoint, layout, runs, shipping
from src.record.journal import Journal
from src.train.run import DECIDES_A_STEP
from tests.conftest import StudyFolder
from tests.record.test_checkpoint import RUN, sample


def test_it_tells_a_dead_run_from_a_living_one(study: StudyFolder) -> None:
    folder = study.root / "work" / "train" / "0123456789abcdef"
    folder.mkdir(parents=True)
    book = Journal(folder / "journal.jsonl", 1)
    book.append("attempt", time_ms=1, start_step=0, automatic=False, steps=30)
    for step in range(1, 11):
        book.append("step", step=step, loss=6.0 - step / 10, seconds=0.4, time_ms=500 * step)
    book.append("validation", step=10, bits_per_sample={"rock": 7.25}, time_ms=1011)
    shipped = {
        "uri": "",
        "run_id": "",
        "offset": 9,
        "border": "",
        "last_step": 4,
        "last_validation": -1,
        "runs": {},
        "touched": [],
        "ended": 0,
        "names": shipping.NAMES,
    }
    (folder / "shipped.json").write_text(json.dumps(shipped))
    found = status.read(folder)
    assert not found.alive
    assert (found.last_step, found.step_s, found.unshipped_steps) == (10, 0.5, 6)
    assert found.loss_nats == 5.45
    shown = study.run("src.status")
    assert shown.returncode == 0, shown.stdout
    for words in ("killed", "10 of 30", "rock 7.25 (step 10)", "2.0 steps/s", "6 steps", "10 s"):
        assert words in shown.stdout, words


def test_every_run_has_a_line_with_its_names_and_what_differs(
    study: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study.root)
    params = config.load()
    study.change("params/tiny.yaml", train__learning_rate=0.001)
    for number, (name, folder) in enumerate(
        {"first-try": "work/train/0123456789abcdef", None: "work/train/abcdef0123456789", "": "work/runs/old"}.items()
    ):
        place = study.root / folder
        place.mkdir(parents=True)
        book = Journal(place / "journal.jsonl", 1)
        book.append("attempt", time_ms=number, start_step=0, automatic=False, steps=3)
        book.append("step", step=1, loss=5.0, seconds=0.4, time_ms=number + 1)
        book.append("end", time_ms=number + 2, cause="finished", step=1)
        book.close()
        if name:
            monkeypatch.setenv(runs.EXPERIMENT, name)
            runs.write(place, runs.Trained(clips="c" * 64, code=code.digest(DECIDES_A_STEP), params=params))
            (place / "metrics").mkdir()
            (place / "metrics" / "summary.json").write_text('{"bits": 3.456, "step": 1}')
    shown = study.run("src.status")
    assert shown.returncode == 0, shown.stdout
    lines = {
        line.split()[0]: line for line in shown.stdout.split("Runs of this machine")[1].splitlines() if line.split()
    }
    for words in ("first-try", "finished", "5.000", "3.46", "lr 0.002, other clips"):
        assert words in lines["01234567"], shown.stdout
    assert "other code" not in lines["01234567"]
    assert lines["abcdef01"].split()[1:4] == ["–", "–", "finished"]
    assert lines["–"].split()[1] == "old"
    assert shown.stdout.count("│ validation, bits") == 1  # of the last one alone
    for name in ("first-try", "01234567", "old"):
        assert runs.named(name).name in ("0123456789abcdef", "old")


def test_a_preview_is_no_training_and_genres_without_songs_are_no_difference(
    study: StudyFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study.root)
    folder = layout.training_folder(Path(), RUN)
    folder.mkdir(parents=True)
    book = Journal(folder / "journal.jsonl", 1)
    book.append("attempt", time_ms=1, start_step=0, automatic=False, steps=30)
    book.append("step", step=1, loss=5.0, seconds=0.4, time_ms=2)
    book.close()
    songs = {"classical": 2, "hip": 2, "metal": 2}
    study.root.joinpath("metrics").mkdir()
    split = {genre: {"train": count - 1, "validation": 1} for genre, count in songs.items()}
    files.write_json(Path("metrics/clips.json"), {"digest": "c" * 64, "genres": split})
    mine = runs.Trained(
        clips="c" * 64, code=code.digest(DECIDES_A_STEP), songs=songs, params=config.load().only(list(songs))
    )
    runs.write(folder, mine)
    for place in (Path("checkpoints"), layout.preview().checkpoints):
        checkpoint.save(place / "step-20", sample(20))
    shown = study.run("src.status").stdout
    assert "preview" not in shown
    assert shown.count(RUN) == 1, shown
    (line,) = (line for line in shown.splitlines() if line.startswith(RUN[:8]))
    assert line.split()[1] == "current"
    assert line.rstrip().endswith(" nothing"), line
    told = " ".join(shown.split())
    assert "bits: per sample on held-out songs at the last compared step, mean of the genres (src.evaluate)." in told
    assert "validation, bits: on short stretches of the same songs" in told
    # Another library: what differs of the older run is said as a person would.
    fewer = {"hip": 2, "metal": 3}
    other = mine.model_copy(update={"songs": fewer, "clips": "d" * 64, "params": config.load().only(list(fewer))})
    assert other.differences(mine) == ["2 genres", "5 songs"]
    assert mine.model_copy(update={"clips": "d" * 64}).differences(mine) == ["other clips"]


def test_without_a_run_it_says_how_to_start_one(study: StudyFolder) -> None:
    shown = study.run("src.status")
    assert shown.returncode == 1
    assert "Start one with: python -m src.train" in shown.stdout
