"""Attempts, their times, and what was lost: against logs whose truth is known, and the 2019 log."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from src.legacy import attempts, jumps, padding, phases, study_2019, training_log, unlogged
from src.legacy.training_log import TrainingLog
from tests.legacy import logs

DATA = Path(__file__).parents[1] / "data" / "legacy"
SHARED = Path(__file__).parents[2].parent / "shared" / "study-2019"


def _log(tmp_path: Path, text: str) -> TrainingLog:
    path = tmp_path / "log.txt"
    path.write_text(text)
    return training_log.read(path)


@pytest.fixture(scope="module")
def study() -> TrainingLog:
    if not (SHARED / "training.txt").is_file():
        pytest.skip("the study's log is not beside this checkout")
    return training_log.read(SHARED / "training.txt")


def test_each_restart_line_ends_one_life_and_begins_another(tmp_path: Path) -> None:
    log = _log(tmp_path, logs.crashing(12).text)
    found = attempts.find(log)
    assert [life.number for life in found] == list(range(1, 13))
    assert sum(life.count for life in found) == len(log.steps)
    assert [life.automatic for life in found] == [False] + [True] * 11
    assert all(before.died_ms == after.began_ms for before, after in itertools.pairwise(found))


def test_the_cadence_of_the_checkpoints_shows(tmp_path: Path) -> None:
    assert attempts.checkpoint_cadence(_log(tmp_path, logs.crashing(12).text)) == logs.CADENCE


def test_a_slow_first_step_gives_an_unlogged_restart_away(tmp_path: Path) -> None:
    made = logs.crashing(12).text.splitlines(keepends=True)
    stamps = [number for number, text in enumerate(made) if text.startswith("Restarting")]
    hidden = stamps[5]
    log = _log(tmp_path, "".join(made[:hidden] + made[hidden + 1 :]))
    found = [life for life in attempts.find(log) if life.inferred]
    assert [(life.evidence, life.first) for life in found] == [("slow first step", hidden - 5)]


def test_a_step_that_comes_again_is_another_life(tmp_path: Path) -> None:
    text = "".join(logs.line(step, 4, 30) for step in (1, 2, 3, 4, 3, 4, 7, 8))
    assert [(life.first, life.evidence) for life in attempts.find(_log(tmp_path, text))] == [
        (0, "beginning"),
        (4, "step numbers"),
    ]


def test_what_died_unwritten_is_found_from_the_stamps(tmp_path: Path) -> None:
    made = logs.crashing(60)
    log = _log(tmp_path, made.text)
    hidden = unlogged.estimate(log, attempts.find(log))
    assert hidden is not None
    assert hidden.rayleigh_p is not None
    assert hidden.rayleigh_p < 1e-10
    assert hidden.startup_s == pytest.approx(20, abs=2)
    # The first attempt has no stamp before it: what it lost cannot be known.
    assert hidden.lost_steps == pytest.approx(made.lost_steps, abs=15)


def test_the_clock_puts_every_step_between_its_stamps(tmp_path: Path) -> None:
    log = _log(tmp_path, logs.crashing(20).text)
    found = attempts.find(log)
    hidden = unlogged.estimate(log, found)
    assert hidden is not None
    clock = attempts.clock(log, found, hidden.startup_s, hidden.overhead_s, 0)
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
    attempts.clock(log, found, 10, 0, 0)
    assert unlogged.estimate(log, found) is None


def test_the_2019_attempts(study: TrainingLog) -> None:
    found = attempts.find(study, study_2019.MANUAL_RESTARTS)
    hidden = [(int(study.steps[life.first]), life.evidence) for life in found if life.inferred]
    assert hidden == [
        (344, "published"), *((step, "slow first step") for step in (871, 981, 1041, 1941, 1971)),
    ]  # fmt: skip
    assert len(attempts.loops(study)) == 46
    manual = {int(study.steps[life.first]) - 1 for life in found if life.count and not life.automatic}
    assert set(study_2019.MANUAL_RESTARTS) <= manual


def test_the_2019_downtime_and_contradiction(study: TrainingLog) -> None:
    found = attempts.find(study, study_2019.MANUAL_RESTARTS)
    hidden = unlogged.estimate(study, found)
    assert hidden is not None
    assert max(item.idle_s for item in hidden.attempts) / 3600 == pytest.approx(28.9, abs=0.2)
    lives = {life.number: life for life in found}
    assert [int(study.steps[lives[number].first]) for number in hidden.contradictions] == [15001]


def test_the_2019_speed_has_three_phases(study: TrainingLog) -> None:
    found = phases.find(study.seconds)
    assert [int(study.steps[phase.first]) for phase in found] == [0, 341, 871]
    assert [round(phase.median_s) for phase in found] == [182, 221, 30]


def test_one_speed_is_one_phase() -> None:
    assert len(phases.find(30 + np.random.default_rng(1).standard_normal(3000))) == 1


def test_padding_shows_by_its_period(tmp_path: Path) -> None:
    made = logs.crashing(40)
    log = _log(tmp_path, made.text)
    found = padding.find(log.losses, attempts.find(log))
    assert found is not None
    assert (found.convincing, found.period) == (True, 10)
    assert len(found.places) == pytest.approx(made.padded, rel=0.05)


def test_noise_has_no_period() -> None:
    losses = 4 + 0.4 * np.random.default_rng(3).standard_normal(5000)
    life = attempts.Attempt(1, 0, 5000, "beginning", None, None, False)
    found = padding.find(losses, [life])
    assert found is None or not found.convincing


@pytest.mark.parametrize(("jump", "seen"), [(0.0, False), (0.6, True)])
def test_a_jump_at_restarts_is_told_from_none(tmp_path: Path, jump: float, seen: bool) -> None:
    log = _log(tmp_path, logs.crashing(50, jump=jump).text)
    found = attempts.find(log)
    padded = padding.find(log.losses, found)
    assert padded is not None
    starts = [life.first for life in found if life.first and life.count]
    result = jumps.compare(log.losses, starts, padded.places, 1)
    assert result is not None
    assert (result.p < 0.01) is seen
    assert 0 < result.detectable < 0.5
