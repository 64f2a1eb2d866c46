"""Two training processes as one: the same global batch, losses equal to rounding, a killed worker rejoins.

And two machines, the first to come of which has no journal of a run that it knows.
"""

import os
import shutil
import signal
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from src.base.errors import Problem
from src.record import journal
from src.train import __main__ as train
from src.train.run import Run
from tests.conftest import PATIENCE_S, StudyFolder
from tests.hosts import Host, Process, hosts, kill_all, outputs, torchrun
from tests.processes import book, children, held, losses, training_folder

__all__ = ["hosts"]


@pytest.mark.slow
def test_two_processes_train_the_same_run(study_with_clips: StudyFolder, undisturbed: StudyFolder) -> None:
    study = study_with_clips
    with held(study, 8, partial(torchrun, study, "src.train", "--max-restarts", "3")) as process:
        os.kill(children(process.pid)[-1], signal.SIGKILL)
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, output
    found = losses(study)
    assert found == pytest.approx(losses(undisturbed), rel=1e-4)
    attempts = journal.read(book(study)).attempts
    # torchrun may need more than one restart until both have met again.
    assert len(attempts) >= 2
    assert {attempt.details["processes"] for attempt in attempts.values()} == {2}
    assert not attempts[1].automatic
    assert all(attempt.automatic for number, attempt in attempts.items() if number > 1)
    assert (study.root / "checkpoints" / "step-30" / "weights.safetensors").is_file()


def test_a_batch_that_cannot_be_shared_is_a_sentence(study_with_clips: StudyFolder) -> None:
    study_with_clips.change("params/tiny.yaml", train__batch_size=3)
    process = torchrun(study_with_clips, "src.train")
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode != 0
    assert "A batch of 3 cannot be shared evenly by 2 processes" in output


@pytest.mark.slow
def test_one_that_knows_the_run_waits_for_the_journal(
    hosts: tuple[Host, Host], undisturbed: StudyFolder, tmp_path: Path
) -> None:
    first, second = (StudyFolder(tmp_path / name) for name in ("first", "second"))
    shutil.copytree(undisturbed.root, first.root)
    shutil.copytree(undisturbed.root, second.root, ignore=shutil.ignore_patterns("work", "mlruns"))
    for study in (first, second):
        study.change("params/tiny.yaml", train__steps=40)
    folder = second.root / training_folder(first).relative_to(first.root)
    folder.mkdir(parents=True)
    (folder / "led-elsewhere").touch()

    def start(host: Host, study: StudyFolder) -> Process:
        return host.torchrun(study, "src.train", "--max-restarts", "3", nodes="1:2", meets_at=hosts[1])

    waiting = start(hosts[1], second)
    try:
        assert waiting.stdout is not None
        said = next(line for line in waiting.stdout if "journal" in line)
        assert f"the journal of run {folder.name} is on a machine that is not here. Waiting for it for 10 min" in said
        leading = start(hosts[0], first)
        printed = outputs(leading, waiting)
        assert (leading.returncode, waiting.returncode) == (0, 0), printed
    finally:
        kill_all(waiting)
    attempts = journal.read(book(first)).attempts
    assert [(one.start_step, one.details["processes"]) for one in attempts.values()] == [(0, 1), (30, 2)]
    assert [path.name for path in folder.iterdir()] == ["led-elsewhere"]


def test_it_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(train, "JOURNAL_WAIT_S", 0)
    run = cast(Run, SimpleNamespace(fingerprint="01ab", folder=Path("work"), led_elsewhere=Path("work/led-elsewhere")))
    with pytest.raises(Problem, match=r"journal of run 01ab did not come.*copy its work/ here.*delete work/led-else"):
        train.wait_for_the_journal(run)
    assert "Waiting for it" in capsys.readouterr().err
