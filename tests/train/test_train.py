"""Training: exact through interruptions, one at a time; whatever died gets its end."""

import json
import os
import shutil
import signal
import sqlite3
from pathlib import Path

import pytest

from src.base import files
from src.compare import gathering
from src.record import journal, layout, metrics
from src.record.tracking import Store
from tests.conftest import PATIENCE_S, StudyFolder
from tests.processes import (
    book,
    children,
    hashes,
    held,
    kill_family,
    losses,
    training_folder,
    wait_until,
)

pytestmark = pytest.mark.slow


def test_it_trains_and_keeps_the_compared_steps(undisturbed: StudyFolder) -> None:
    names = sorted(path.name for path in (undisturbed.root / "checkpoints").iterdir())
    assert names == sorted(["step-2", "step-10", "step-30"])
    found = losses(undisturbed)
    assert len(found) == 30
    assert sum(found[-5:]) < sum(found[:5])  # it learns
    summary = json.loads((undisturbed.root / "metrics" / "train.json").read_text())
    assert list(summary["median_loss_nats"]) == ["2", "10", "30"]


def test_killed_at_some_steps_it_ends_in_the_same_bytes(
    study_with_clips: StudyFolder, undisturbed: StudyFolder
) -> None:
    study = study_with_clips
    study.change("params/tiny.yaml", train__checkpoint_every=4)
    for kill_at in (1, 7, 8, 19):
        with held(study, kill_at) as process:
            kill_family(process.pid)
            process.wait()
    done = study.run("src.train")
    assert done.returncode == 0, done.stdout
    assert hashes(study.root / "checkpoints") == hashes(undisturbed.root / "checkpoints")
    assert losses(study) == losses(undisturbed)


def test_the_supervisor_restarts_a_killed_training(study_with_clips: StudyFolder, undisturbed: StudyFolder) -> None:
    with held(study_with_clips, 6) as process:
        (child,) = children(process.pid)
        os.kill(child, signal.SIGKILL)
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, output
    assert "killed (SIGKILL)" in output
    assert hashes(study_with_clips.root / "checkpoints") == hashes(undisturbed.root / "checkpoints")
    attempts = journal.read(book(study_with_clips)).attempts
    assert [attempt.automatic for attempt in attempts.values()] == [False, True]
    assert [(attempt.cause, attempt.detail) for attempt in attempts.values()] == [
        ("killed", "SIGKILL"),
        ("finished", ""),
    ]


def test_a_second_training_is_refused_while_the_first_lives(study_with_clips: StudyFolder) -> None:
    with held(study_with_clips, 2) as first:
        second = study_with_clips.run("src.train")
        assert second.returncode == 1
        assert f"is already running (process {first.pid} on" in second.stdout
        assert "Traceback" not in second.stdout
        # The lock outlives the supervisor as long as the child trains, and falls with it.
        (child,) = children(first.pid)
        first.kill()
        first.wait()
        wait_until(lambda: not Path(f"/proc/{child}").exists())


def test_a_damaged_checkpoint_is_made_again_and_said(undisturbed: StudyFolder, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(undisturbed.root, root)
    study = StudyFolder(root)
    weights = training_folder(study) / "checkpoints" / "step-10" / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    done = study.run("src.train")
    assert done.returncode == 0, done.stdout
    assert "step-10/weights.safetensors is damaged" in done.stdout
    assert hashes(root / "checkpoints") == hashes(undisturbed.root / "checkpoints")


def test_more_steps_continue_the_run(undisturbed: StudyFolder, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(undisturbed.root, root)
    study = StudyFolder(root)
    study.change("params/tiny.yaml", train__steps=34)
    done = study.run("src.train")
    assert "Going on from the checkpoint of step 30." in done.stdout
    assert losses(study)[:30] == losses(undisturbed)
    assert len(losses(study)) == 34


def test_fewer_steps_show_no_later_ones(
    undisturbed: StudyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "copy"
    shutil.copytree(undisturbed.root, root)
    study = StudyFolder(root)
    study.change("params.yaml", steps=[2, 10])
    study.change("params/tiny.yaml", train__steps=10)
    assert study.run("src.train").returncode == 0
    assert len(losses(study)) == 30  # none is thrown away
    monkeypatch.chdir(root)
    shown = gathering.read_run(layout.current()).view
    assert [*shown.steps] == list(range(1, 11))
    assert max(shown.validations) <= 10


def test_another_run_that_died_unseen_is_closed_in_mlflow(study_with_clips: StudyFolder) -> None:
    study = study_with_clips
    with held(study, 3) as process:
        wait_until((training_folder(study) / "shipped.json").exists, process)
        kill_family(process.pid)
        process.communicate()
    study.change("params/tiny.yaml", train__learning_rate=0.5)
    done = study.run("src.train")
    assert done.returncode == 0, done.stdout
    with sqlite3.connect(study.root / "mlruns" / "mlflow.db") as connection:
        found = connection.execute("SELECT status, count(*) FROM runs GROUP BY status").fetchall()
    assert dict(found) == {"KILLED": 2, "FINISHED": 2}  # each run and its attempt


def test_a_run_that_died_just_before_its_end_is_ended(undisturbed: StudyFolder, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(undisturbed.root, root)
    study = StudyFolder(root)
    lines = book(study).read_bytes().splitlines(keepends=True)
    book(study).write_bytes(b"".join(lines[:-1]))
    done = study.run("src.train")
    assert done.returncode == 0, done.stdout
    assert [attempt.cause for attempt in journal.read(book(study)).attempts.values()] == ["killed", "finished"]
    assert hashes(root / "checkpoints") == hashes(undisturbed.root / "checkpoints")
    book(study).write_bytes(b"".join(lines[:9]) + b"\x00\n" + b"".join(lines[9:]))
    done = study.run("src.train")
    assert done.returncode == 0, done.stdout
    assert "was set aside as journal.jsonl.damaged-1" in done.stdout
    assert len(losses(study)) == 30
    assert hashes(root / "checkpoints") == hashes(undisturbed.root / "checkpoints")


def test_a_lost_mlflow_is_made_again_from_the_journal(undisturbed: StudyFolder, tmp_path: Path) -> None:
    study = StudyFolder(tmp_path / "copy")
    shutil.copytree(undisturbed.root, study.root)
    files.remove(study.root / "mlruns")
    done = study.run("src.train")
    assert done.returncode == 0, done.stdout
    assert "has all its" in done.stdout
    store = Store(study.root)
    (run_id,) = [run.info.run_id for run in store._client.search_runs([store._experiment], "tags.part = 'study'")]
    assert len(store._client.get_metric_history(run_id, metrics.LOSS)) == journal.read(book(study)).last_step


def test_audio_of_a_step_that_is_no_longer_compared_goes(undisturbed: StudyFolder, tmp_path: Path) -> None:
    study = StudyFolder(tmp_path / "copy")
    shutil.copytree(undisturbed.root, study.root)
    for step in (10, 99999):
        (study.root / "generations" / f"step-{step}").mkdir(parents=True)
    study.change("params.yaml", steps=[10])
    done = study.run("src.train")
    assert done.returncode == 0, done.stdout
    assert [path.name for path in (study.root / "generations").iterdir()] == ["step-10"]


def test_another_seed_trains_beside_the_study(undisturbed: StudyFolder, tmp_path: Path) -> None:
    study = StudyFolder(tmp_path / "copy")
    shutil.copytree(undisturbed.root, study.root)
    (own,) = (study.root / "work" / "train").iterdir()
    summary = (study.root / "metrics" / "train.json").read_bytes()
    done = study.run("src.train", "--seed", "7")
    assert done.returncode == 0, done.stdout
    beside = study.root / "work" / "runs" / "seed-7" / "checkpoints"
    assert sorted(path.name for path in beside.iterdir()) == sorted(["step-2", "step-10", "step-30"])
    assert hashes(study.root / "checkpoints") == hashes(undisturbed.root / "checkpoints") != hashes(beside)
    assert (study.root / "metrics" / "train.json").read_bytes() == summary
    assert len({*(study.root / "work" / "train").iterdir()} - {own}) == 1
