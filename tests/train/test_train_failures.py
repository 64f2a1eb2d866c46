"""Training that cannot go on: one sentence, nothing damaged, and on it goes once the cause is mended."""

import re
import signal

import pytest

from src.record import journal
from tests.chaos.harness import enlarge, small_disk
from tests.conftest import PATIENCE_S, StudyFolder
from tests.processes import book, children, hashes, held, kill, sabotaged, step_lines, wait_until

pytestmark = pytest.mark.slow


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
    wait_until(lambda: step_lines(study_with_clips) >= 8, process)
    wait_until(lambda: len(journal.read(book(study_with_clips)).attempts) == 2, process)
    attempts = journal.read(book(study_with_clips)).attempts
    kill(process.pid, signum=signal.SIGTERM)
    printed, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 143
    assert (attempts[1].cause, attempts[1].detail) == ("out of memory", "sabotage")
    assert "attempt 1 ended at step 8: out of memory (sabotage); the next one starts in" in printed


def test_parameters_changed_meanwhile_are_not_mixed_in(study_with_clips: StudyFolder) -> None:
    study = study_with_clips
    with held(study, 3) as process:
        study.change("params/tiny.yaml", train__learning_rate=0.5)
        kill(*children(process.pid))
    printed, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 1
    assert "changed while run" in printed
    assert len(list((study.root / "work" / "train").iterdir())) == 1
