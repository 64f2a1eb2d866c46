"""Training: exact through interruptions, one at a time, and with a sentence for whatever is wrong."""

import json
import os
import re
import shutil
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from src.run import journal
from tests.chaos.harness import enlarge, sabotaged, small_disk
from tests.conftest import StudyFolder, make_study, write_clips
from tests.processes import (
    book,
    children,
    hashes,
    kill,
    kill_family,
    losses,
    step_lines,
    training_folder,
    wait_for_step,
)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> StudyFolder:
    """A finished training that nothing interrupted."""
    study = make_study(tmp_path_factory.mktemp("undisturbed") / "study")
    write_clips(study.root / "data" / "clips", clips_per_genre=3, duration_s=3.0)
    done = study.run("src.train")
    assert done.returncode == 0, done.stdout
    return study


def test_it_trains_and_keeps_the_compared_steps(undisturbed: StudyFolder) -> None:
    names = sorted(path.name for path in (undisturbed.root / "checkpoints").iterdir())
    assert names == ["step-000002", "step-000010", "step-000030"]
    found = losses(undisturbed)
    assert len(found) == 30
    assert sum(found[-5:]) < sum(found[:5])  # it learns
    summary = json.loads((undisturbed.root / "metrics" / "train.json").read_text())
    assert list(summary["median_loss_nats"]) == ["000002", "000010", "000030"]


def test_killed_at_random_steps_it_ends_in_the_same_bytes(
    study_with_clips: StudyFolder, undisturbed: StudyFolder
) -> None:
    study = study_with_clips
    study.change("params/tiny.yaml", train__checkpoint_every=4)
    for kill_at in (1, 7, 8, 19):
        process = study.start("src.train")
        wait_for_step(study, kill_at)
        kill_family(process.pid)
        process.wait()
    done = study.run("src.train")
    assert done.returncode == 0, done.stdout
    assert hashes(study.root / "checkpoints") == hashes(undisturbed.root / "checkpoints")
    assert losses(study) == losses(undisturbed)


def test_the_supervisor_restarts_a_killed_training(study_with_clips: StudyFolder, undisturbed: StudyFolder) -> None:
    process = study_with_clips.start("src.train")
    wait_for_step(study_with_clips, 6)
    (child,) = children(process.pid)
    os.kill(child, signal.SIGKILL)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    assert "killed (SIGKILL)" in output
    assert hashes(study_with_clips.root / "checkpoints") == hashes(undisturbed.root / "checkpoints")
    attempts = journal.read(book(study_with_clips)).attempts
    assert [attempt.automatic for attempt in attempts.values()] == [False, True]
    assert [(attempt.cause, attempt.detail) for attempt in attempts.values()] == [
        ("killed", "SIGKILL"),
        ("finished", ""),
    ]


def test_sigterm_saves_the_step_and_leaves(study_with_clips: StudyFolder, undisturbed: StudyFolder) -> None:
    process = study_with_clips.start("src.train")
    wait_for_step(study_with_clips, 3)
    process.terminate()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 143, output
    stopped_at = re.search(r"Stopped after step (\d+), which is saved", output)
    assert stopped_at is not None, output
    done = study_with_clips.run("src.train")
    assert f"Going on from the checkpoint of step {stopped_at.group(1)}." in done.stdout
    assert hashes(study_with_clips.root / "checkpoints") == hashes(undisturbed.root / "checkpoints")


def test_a_second_training_is_refused_while_the_first_lives(study_with_clips: StudyFolder) -> None:
    study_with_clips.change("params/tiny.yaml", train__steps=100_000)
    first = study_with_clips.start("src.train")
    try:
        wait_for_step(study_with_clips, 2)
        second = study_with_clips.run("src.train")
        assert second.returncode == 1
        assert f"is already running (process {first.pid} on" in second.stdout
        assert "Traceback" not in second.stdout
        # The lock outlives the supervisor as long as the child trains, and falls with it.
        (child,) = children(first.pid)
    finally:
        first.kill()
        first.wait()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(f"/proc/{child}").exists(), "the training outlived its supervisor"


def test_a_damaged_checkpoint_is_made_again_and_said(undisturbed: StudyFolder, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(undisturbed.root, root)
    study = StudyFolder(root)
    weights = training_folder(study) / "checkpoints" / "step-000010" / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    done = study.run("src.train")
    assert done.returncode == 0, done.stdout
    assert "step-000010/weights.safetensors is damaged" in done.stdout
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


def test_a_loss_that_is_not_finite_stops_before_the_update(study_with_clips: StudyFolder) -> None:
    study_with_clips.change("params/tiny.yaml", train__learning_rate=1e30, train__optimizer="sgd")
    done = study_with_clips.run("src.train")
    assert done.returncode == 1
    assert re.search(r"error: Step \d+: .*not finite.*[Ll]ower train.learning_rate", done.stdout), done.stdout
    assert "Traceback" not in done.stdout


def test_a_full_disk_ends_with_a_sentence_and_goes_on_when_there_is_room(
    study_with_clips: StudyFolder, undisturbed: StudyFolder
) -> None:
    study = study_with_clips
    with small_disk(study.root / "work", "64k") as mounted:
        if not mounted:
            pytest.skip("mounting a small disk needs root")
        done = study.run("src.train")
        assert done.returncode == 1
        assert "The disk is full" in done.stdout
        assert "Traceback" not in done.stdout
        enlarge(study.root / "work", "64m")
        done = study.run("src.train")
        assert done.returncode == 0, done.stdout
        assert hashes(study.root / "checkpoints") == hashes(undisturbed.root / "checkpoints")


def test_without_clips_it_says_what_to_run(study: StudyFolder) -> None:
    done = study.run("src.train")
    assert done.returncode == 1
    assert "error: data/clips/clips.csv does not exist. Make it with: python -m src.clips" in done.stdout
    assert not (study.root / "checkpoints").exists()


def test_a_step_that_always_fails_stops_for_good_and_a_mended_run_goes_on(
    study_with_clips: StudyFolder, undisturbed: StudyFolder
) -> None:
    study = study_with_clips
    done = study.run("src.train", **sabotaged(fail="17:ValueError"))
    assert done.returncode == 1
    assert "error: Step 17 failed the same way 3 times: crashed (ValueError: sabotage)." in done.stdout
    view = journal.read(book(study))
    assert [attempt.cause for attempt in view.attempts.values()] == ["crashed"] * 3
    assert view.last_step == 16
    assert study.run("src.train").returncode == 0
    assert hashes(study.root / "checkpoints") == hashes(undisturbed.root / "checkpoints")


def test_want_of_memory_is_tried_again_with_pauses_and_says_what_to_lower(study_with_clips: StudyFolder) -> None:
    process = study_with_clips.start("src.train", **sabotaged(fail="9:MemoryError"))
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and step_lines(study_with_clips) < 8:
        time.sleep(0.05)
    attempts: dict[int, journal.Attempt] = {}
    while time.monotonic() < deadline and len(attempts) < 2:
        attempts = journal.read(book(study_with_clips)).attempts
        time.sleep(0.1)
    kill(process.pid, signum=signal.SIGTERM)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    assert (attempts[1].cause, attempts[1].detail) == ("out of memory", "sabotage")
    assert "attempt 1 ended at step 8: out of memory (sabotage); the next one starts in" in printed


def test_parameters_changed_meanwhile_are_not_mixed_in(study_with_clips: StudyFolder) -> None:
    study = study_with_clips
    process = study.start("src.train", **sabotaged(slow_s=0.1))
    wait_for_step(study, 3)
    study.change("params/tiny.yaml", train__learning_rate=0.5)
    kill(*children(process.pid))
    printed, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "changed while run" in printed
    assert len(list((study.root / "work" / "train").iterdir())) == 1


def test_another_run_that_died_unseen_is_closed_in_mlflow(study_with_clips: StudyFolder) -> None:
    study = study_with_clips
    process = study.start("src.train", **sabotaged(slow_s=0.5))
    wait_for_step(study, 3)
    until = time.monotonic() + 60
    while time.monotonic() < until and not (training_folder(study) / "shipped.json").exists():
        time.sleep(0.1)
    kill_family(process.pid)
    process.communicate()
    study.change("params/tiny.yaml", train__learning_rate=0.5)
    done = study.run("src.train")
    assert done.returncode == 0, done.stdout
    with sqlite3.connect(study.root / "mlruns" / "mlflow.db") as connection:
        found = connection.execute("SELECT status, count(*) FROM runs GROUP BY status").fetchall()
    assert dict(found) == {"KILLED": 2, "FINISHED": 2}  # each run and its attempt


def test_a_signal_while_the_trainer_loads_ends_it_without_another_attempt(study_with_clips: StudyFolder) -> None:
    process = study_with_clips.start("src.train")
    while not children(process.pid):
        time.sleep(0.01)
    kill(process.pid, signum=signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 130, printed
    assert "Traceback" not in printed
    assert study_with_clips.run("src.train").returncode == 0


@pytest.mark.slow
def test_a_long_step_is_given_up_when_asked(study_with_clips: StudyFolder) -> None:
    study = study_with_clips
    study.change("params.yaml", steps=["000001", "000003"])
    study.change("params/tiny.yaml", train__steps=3, train__sample_size=20_000, model__dilations=[1, 2, 4, 8] * 4)
    study.change("params/tiny.yaml", model__residual_channels=64, model__dilation_channels=64, model__skip_channels=384)
    process = study.start("src.train")
    wait_for_step(study, 1)
    step_s = journal.read(book(study)).steps[1].seconds
    assert step_s is not None
    asked = time.monotonic()
    kill(process.pid, signum=signal.SIGTERM)
    while children(process.pid):
        time.sleep(0.01)
    took_s = time.monotonic() - asked
    printed, _ = process.communicate(timeout=100)
    assert process.returncode == 143, printed
    assert "Stopped after step 1, which is saved" in printed
    assert took_s < max(1.0, 0.8 * step_s)  # without it, the second step would have to end first


def test_one_request_that_reaches_both_processes_is_one_request(study_with_clips: StudyFolder) -> None:
    process = study_with_clips.start("src.train", **sabotaged(slow_s=0.05))
    wait_for_step(study_with_clips, 6)
    kill(process.pid, *children(process.pid), signum=signal.SIGTERM)  # as a service manager does
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 143, printed
    assert re.search(r"Stopped after step \d+, which is saved", printed), printed


def test_a_lost_terminal_saves_and_leaves(study_with_clips: StudyFolder, undisturbed: StudyFolder) -> None:
    study = study_with_clips
    process = study.start("src.train", **sabotaged(slow_s=0.05))
    wait_for_step(study, 6)
    assert process.stdout is not None
    process.stdout.close()  # nobody reads what it prints any more
    kill(process.pid, signum=signal.SIGHUP)
    assert process.wait(timeout=60) == 129
    view = journal.read(book(study))
    assert view.attempts[1].cause == "interrupted"
    assert study.run("src.train").returncode == 0
    assert journal.read(book(study)).replayed == 0
    assert hashes(study.root / "checkpoints") == hashes(undisturbed.root / "checkpoints")


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
