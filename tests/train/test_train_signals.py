"""Training that is asked to stop: it saves what is done and leaves, whoever asked and whatever it was at."""

import re
import signal
import subprocess
from collections.abc import Callable

import pytest

from src.record import journal
from tests.conftest import PATIENCE_S, StudyFolder
from tests.processes import book, children, hashes, held, kill, wait_for_step, wait_until


def test_sigterm_saves_the_step_and_leaves(study_with_clips: StudyFolder, undisturbed: StudyFolder) -> None:
    with held(study_with_clips, 3) as process:
        process.terminate()
        output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 143, output
    assert output.count("Interrupted") == 1, "one process says it, for both"
    stopped_at = re.search(r"Stopped after step (\d+), which is saved", output)
    assert stopped_at is not None, output
    done = study_with_clips.run("src.train")
    assert f"Going on from the checkpoint of step {stopped_at.group(1)}." in done.stdout
    assert hashes(study_with_clips.root / "checkpoints") == hashes(undisturbed.root / "checkpoints")


def test_a_signal_while_the_trainer_loads_ends_it_without_another_attempt(study_with_clips: StudyFolder) -> None:
    process = study_with_clips.start("src.train")
    wait_until(lambda: children(process.pid), process)
    kill(process.pid, signum=signal.SIGINT)
    printed, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, printed
    assert "Traceback" not in printed
    assert study_with_clips.run("src.train").returncode == 0
    attempts = journal.read(book(study_with_clips)).attempts
    assert [attempt.cause for attempt in attempts.values()] == ["interrupted", "finished"]


@pytest.mark.slow
def test_a_long_step_is_given_up_when_asked(study_with_clips: StudyFolder) -> None:
    study = study_with_clips
    study.change("params.yaml", steps=[1, 3])
    study.change("params/tiny.yaml", train__steps=3, train__sample_size=20_000, model__dilations=[1, 2, 4, 8] * 4)
    study.change("params/tiny.yaml", model__residual_channels=64, model__dilation_channels=64, model__skip_channels=384)
    process = study.start("src.train")
    wait_for_step(study, 1)
    kill(process.pid, signum=signal.SIGTERM)
    printed, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 143, printed
    # A request is looked at when a step ends: without giving up, this would be step 2.
    assert "Stopped after step 1, which is saved" in printed
    assert list(journal.read(book(study)).steps) == [1]


def test_one_request_that_reaches_both_processes_is_one_request(study_with_clips: StudyFolder) -> None:
    with held(study_with_clips, 6) as process:
        kill(process.pid, *children(process.pid), signum=signal.SIGTERM)  # as a service manager does
        printed, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 143, printed
    assert re.search(r"Stopped after step \d+, which is saved", printed), printed


def test_a_lost_terminal_saves_and_leaves(study_with_clips: StudyFolder, undisturbed: StudyFolder) -> None:
    study = study_with_clips
    with held(study, 6, start_with(study, hangups=signal.SIG_DFL)) as process:
        assert process.stdout is not None
        process.stdout.close()  # nobody reads what it prints any more
        kill(process.pid, signum=signal.SIGHUP)
        assert process.wait(timeout=PATIENCE_S) == 129
    view = journal.read(book(study))
    assert view.attempts[1].cause == "interrupted"
    assert study.run("src.train").returncode == 0
    assert journal.read(book(study)).replayed == 0
    assert hashes(study.root / "checkpoints") == hashes(undisturbed.root / "checkpoints")


def test_under_nohup_a_lost_terminal_is_nothing(study_with_clips: StudyFolder) -> None:
    with held(study_with_clips, 6, start_with(study_with_clips, hangups=signal.SIG_IGN)) as process:
        kill(process.pid, signum=signal.SIGHUP)
    printed, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, printed
    assert list(journal.read(book(study_with_clips)).attempts) == [1]


def start_with(study: StudyFolder, hangups: signal.Handlers) -> Callable[..., subprocess.Popen[str]]:
    """Start a training where SIGHUP is ignored, as nohup does, or not. These tests may themselves run under nohup."""

    def start(**environment: str) -> subprocess.Popen[str]:
        before = signal.signal(signal.SIGHUP, hangups)
        try:
            return study.start("src.train", **environment)
        finally:
            signal.signal(signal.SIGHUP, before)

    return start
