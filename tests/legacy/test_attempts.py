"""Attempts, their times, and what was lost: against logs whose truth is known, and the 2019 log."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from src.legacy import attempts, study_2019, training_log
from src.legacy.training_log import TrainingLog
from src.record import journal
from tests.legacy import logs

DATA = Path(__file__).parents[1] / "data" / "legacy"


def _log(tmp_path: Path, text: str) -> TrainingLog:
    path = tmp_path / "log.txt"
    path.write_text(text)
    return training_log.read([path])


@pytest.fixture(scope="module")
def study() -> TrainingLog:
    if not (logs.STUDY / "training.txt").is_file():
        pytest.skip("the study's log is not beside this checkout")
    return training_log.read([logs.STUDY / "training.txt"])


def test_each_restart_line_ends_one_life_and_begins_another(tmp_path: Path) -> None:
    log = _log(tmp_path, logs.crashing(12).text)
    found = attempts.find(log)
    assert [life.number for life in found] == list(range(1, 13))
    assert sum(life.count for life in found) == len(log.steps)
    assert [life.automatic for life in found] == [False] + [True] * 11
    assert all(before.died_ms == after.began_ms for before, after in itertools.pairwise(found))


def test_a_log_of_one_step_has_one_attempt(tmp_path: Path) -> None:
    log = _log(tmp_path, logs.line(0, 5.5, 30))
    (life,) = attempts.find(log)
    assert (life.first, life.count, life.crashed, life.inferred) == (0, 1, False, False)
    assert attempts.clock(log, [life], 31_000).begin_ms == (1_000,)


def test_no_time_is_one_that_a_journal_refuses(tmp_path: Path) -> None:
    steps = "".join(logs.line(step, 4, 999_999) for step in range(10_000))
    log = _log(tmp_path, steps + logs.restart(logs.BEGIN) + steps.replace("step ", "step 1"))
    found = attempts.find(log)
    clock = attempts.clock(log, found, 0)
    times = np.concatenate([part for life in found for _, part in clock.step_times(log, life)])
    assert min(*clock.begin_ms, times.min()) == 0
    assert max(*clock.begin_ms, times.max()) == journal.LARGEST


def test_a_step_that_comes_again_is_another_life(tmp_path: Path) -> None:
    text = "".join(logs.line(step, 4, 30) for step in (1, 2, 3, 4, 3, 4, 7, 8))
    assert [(life.first, life.evidence) for life in attempts.find(_log(tmp_path, text))] == [
        (0, "beginning"),
        (4, "step numbers"),
    ]


def test_the_clock_puts_every_step_between_its_stamps(tmp_path: Path) -> None:
    log = _log(tmp_path, logs.crashing(20).text)
    found = attempts.find(log)
    clock = attempts.clock(log, found, 0)
    for life in found:
        for start, times in clock.step_times(log, life):
            assert start == life.first
            assert np.all(np.diff(times) > 0)
            assert life.began_ms is None or times[0] > life.began_ms
            assert life.died_ms is None or times[-1] <= life.died_ms


def test_stamps_that_go_backwards_do_no_harm(tmp_path: Path) -> None:
    first, second = logs.restart(logs.BEGIN), logs.restart(logs.BEGIN.replace(day=20))
    steps = "".join(logs.line(step, 4, 30) for step in range(1, 11))
    log = _log(tmp_path, steps + first + steps.replace("step 1", "step 11") + second + steps)
    found = attempts.find(log)
    attempts.clock(log, found, 0)


def test_the_2019_attempts(study: TrainingLog) -> None:
    found = attempts.find(study, study_2019.MANUAL_RESTARTS)
    hidden = [(int(study.steps[life.first]), life.evidence) for life in found if life.inferred]
    assert hidden == [(344, "published"), (871, "published")]
    assert len(found) == 1 + len(hidden) + 83  # nothing shows that another life began behind the last of 84 lines
    manual = {int(study.steps[life.first]) - 1 for life in found if life.count and not life.automatic}
    assert manual == {-1, *study_2019.MANUAL_RESTARTS}
