"""Two training processes as one: the same global batch, losses equal to rounding, a killed worker rejoins."""

import os
import signal
import subprocess
import sys

import pytest

from src.record import journal
from tests.conftest import StudyFolder
from tests.processes import book, children, losses, wait_for_step


def start(study: StudyFolder, restarts: int = 3) -> "subprocess.Popen[str]":
    command = ["--standalone", "--nproc-per-node", "2", "--max-restarts", str(restarts), "-m", "src.train"]
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *command],
        cwd=study.root,
        env=study.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.slow
def test_two_processes_train_the_same_run(study_with_clips: StudyFolder) -> None:
    study = study_with_clips
    alone = study.run("src.train")
    assert alone.returncode == 0, alone.stdout
    expected = losses(study)
    (study.root / "work").rename(study.root / "alone")
    process = start(study)
    wait_for_step(study, 8)
    killed = children(process.pid)[-1]
    os.kill(killed, signal.SIGKILL)
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    found = losses(study)
    assert found == pytest.approx(expected, rel=1e-4)
    attempts = journal.read(book(study)).attempts
    # torchrun may need more than one restart until both have met again.
    assert len(attempts) >= 2
    assert {attempt.details["processes"] for attempt in attempts.values()} == {2}
    assert not attempts[1].automatic
    assert all(attempt.automatic for number, attempt in attempts.items() if number > 1)
    assert (study.root / "checkpoints" / "step-30" / "weights.safetensors").is_file()


def test_a_batch_that_cannot_be_shared_is_a_sentence(study_with_clips: StudyFolder) -> None:
    study_with_clips.change("params/tiny.yaml", train__batch_size=3)
    process = start(study_with_clips, restarts=0)
    output, _ = process.communicate(timeout=200)
    assert process.returncode != 0
    assert "A batch of 3 cannot be shared evenly by 2 processes" in output
