"""Training: exact through interruptions, one at a time, and with a sentence for whatever is wrong."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from src.run import journal
from tests.conftest import StudyFolder, make_study, write_clips


def hashes(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def training_folder(study: StudyFolder) -> Path:
    (folder,) = (study.root / "work" / "train").iterdir()
    return folder


def losses(study: StudyFolder) -> list[float]:
    steps = journal.read(training_folder(study) / "journal.jsonl").steps
    return [steps[step].loss for step in sorted(steps)]


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
    attempts = journal.read(training_folder(study_with_clips) / "journal.jsonl").attempts
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
    disk = study.root / "work"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        done = study.run("src.train")
        assert done.returncode == 1
        assert "The disk is full" in done.stdout
        assert "Traceback" not in done.stdout
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        done = study.run("src.train")
        assert done.returncode == 0, done.stdout
        assert hashes(study.root / "checkpoints") == hashes(undisturbed.root / "checkpoints")
    finally:
        subprocess.run(["umount", disk], check=True)


def test_without_clips_it_says_what_to_run(study: StudyFolder) -> None:
    done = study.run("src.train")
    assert done.returncode == 1
    assert "error: data/clips/clips.csv does not exist. Make it with: python -m src.clips" in done.stdout
    assert not (study.root / "checkpoints").exists()


def wait_for_step(study: StudyFolder, step: int) -> None:
    """Wait until the journal has `step` beyond what it has now or already has it."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for path in (study.root / "work" / "train").glob("*/journal.jsonl"):
            if f'"step": {step},'.encode() in path.read_bytes():
                return
        time.sleep(0.01)
    raise AssertionError(f"step {step} was not reached")


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(part) for part in text.split()]


def kill_family(pid: int) -> None:
    """SIGKILL a process and its children at once."""
    family = [pid, *children(pid)]
    for member in family:
        os.kill(member, signal.SIGKILL)
