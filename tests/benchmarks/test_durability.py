"""The benchmarks of what makes a training survive: what their figures mean, at a tiny size. Not their speed."""

import json
import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmarks import checkpoint, outage, overhead, resume
from benchmarks.checkpoint import Saving
from benchmarks.outage import Pace, Phase
from benchmarks.temporary_study import in_session, session, temporary_study
from src.base.errors import Problem
from src.clips.clipset import ClipSet
from src.config import Params
from src.record.journal import Step
from tests.conftest import PATIENCE_S, StudyFolder
from tests.processes import children, wait_until


@pytest.fixture
def here(study: StudyFolder, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A tiny study as the current folder; torch's settings are put back afterwards."""
    monkeypatch.chdir(study.root)
    threads = torch.get_num_threads()
    yield study.root
    torch.set_deterministic_debug_mode("default")
    torch.set_num_threads(threads)


@pytest.mark.slow
def test_the_bare_loop_and_the_training_do_the_same_work(here: Path) -> None:
    with temporary_study("tiny", steps=12, validate_every=6) as study:
        study.write_clips(10, 10)
        done = {variant: overhead.train_and_time(study, variant) for variant in ("bare", "validated")}
        root = study.root
    assert not root.exists()
    assert done["bare"]["last_loss"] == done["validated"]["last_loss"]
    for row in done.values():
        assert 0 < row["second_half_seconds"] < row["seconds"]
        assert row["cpu_seconds"] > 0
    assert 0 < done["validated"]["beside_seconds"] < done["validated"]["seconds"]


def test_overhead_is_compared_within_a_round() -> None:
    def turn(**seconds: float) -> dict[str, dict[str, float]]:
        return {name: {"seconds": value, "second_half_seconds": value / 4} for name, value in seconds.items()}

    found = overhead.ratios(
        [turn(bare=10, kept=11, validated=12), turn(bare=20, kept=20, validated=30), turn(bare=1, kept=3, validated=4)]
    )
    assert found["kept"]["seconds"]["each"] == pytest.approx([1.1, 1.0, 3.0])
    assert found["kept"]["second_half_seconds"]["median"] == pytest.approx(1.1)
    assert found["validated"]["seconds"]["median"] == pytest.approx(1.5)
    assert found["bare"]["seconds"]["median"] == 1


def test_a_trainings_figures_begin_after_its_first_step() -> None:
    assert overhead.stamped(1_000, 3_000, 7_500, 2.5) == {
        "seconds": 6.5,
        "second_half_seconds": 4.5,
        "last_loss": 2.5,
    }


def test_lost_is_the_save_and_the_slower_steps() -> None:
    parts = checkpoint.lost(
        [Saving(1.0, 0.1, (1.5,), 0.4), Saving(1.2, 0.2, (1.3, 1.4), 2.0), Saving(0.9, 0.3, (1.0,), 0.1)]
    )
    assert parts["slowing_s"] == pytest.approx([0.5, 0.7, 0.0])
    assert parts["lost_s"] == pytest.approx([0.6, 0.9, 0.3])
    assert parts["write_s"] == [0.4, 2.0, 0.1]


def test_checkpoint_command(here: Path) -> None:
    output = here / "figures.json"
    checkpoint.checkpoint("tiny", sample_size=50, pairs=3, output=output)
    found = json.loads(output.read_text())
    assert (found["profile"], found["sample_size"], len(found["each"])) == ("tiny", 50, 3)
    assert all(saving["save_s"] > 0 and saving["write_s"] > 0 and saving["during_s"] for saving in found["each"])
    assert found["checkpoint_mb"] > 0.01
    assert not (here / "work").exists()


@pytest.mark.slow
def test_resume_command(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = here / "figures.json"
    resume.resume("tiny", clips=20, rounds=1, cold=False, output=output)
    found = json.loads(output.read_text())
    assert (found["clips"], found["recorded_steps"], found["rounds"]["cold"]) == (20, 25, [])
    (row,) = found["rounds"]["warm"]
    assert 0 < row["attempt_s"] <= row["step_begins_s"] + 0.001 < row["step_ends_s"]
    assert found["medians"] == row
    assert "Going on at step 25, 20 clips" in capsys.readouterr().out
    assert not (here / "work").exists()


def test_resume_begins_near_the_end_with_the_kept_checkpoints(here: Path) -> None:
    with temporary_study("tiny", steps=41, checkpoint_every=10, keep_last=2) as study:
        assert study.params.compared_steps == (2, 10, 30, 41)
        assert resume.recorded_steps(study.params) == 40
        assert resume.kept_steps(study.params) == [2, 10, 30, 40]


def test_moments_are_of_the_first_new_step() -> None:
    attempt = {"kind": "attempt", "time_ms": 7_000}
    steps = [{"kind": "step", "time_ms": 9_000, "seconds": 1.5}, {"kind": "step", "time_ms": 10_000, "seconds": 1.0}]
    assert resume.moments([{"kind": "end", "time_ms": 2_000}, attempt], 1_000) is None
    assert resume.moments([attempt, *steps], 1_000) == {"attempt_s": 6.0, "step_begins_s": 6.5, "step_ends_s": 8.0}


def test_made_up_clips_are_read_as_real_ones(here: Path) -> None:
    with temporary_study("tiny") as study:
        study.write_clips(30, 5)
        clips = ClipSet.open(study.root / "data" / "clips")
        params: Params = study.params
        assert {clip.genre for clip in clips.clips} == set(params.genres)
        assert sum(clip.split == "validation" for clip in clips.clips) == 5
        assert len({clips.samples(index).tobytes() for index in range(len(clips))}) == 5
        assert len({clip.path.stat().st_ino for clip in clips.clips}) == 5


def test_nothing_that_was_started_stays(tmp_path: Path) -> None:
    """Not even a child in a process group of its own whose parent is gone."""
    orphan = "import subprocess; subprocess.Popen(['sleep', '60'], process_group=0)"
    command = [sys.executable, "-c", orphan]
    with (
        (tmp_path / "output").open("wb") as output,
        pytest.raises(RuntimeError),
        in_session(command, cwd=tmp_path, env={"PATH": os.environ["PATH"]}, output=output) as process,
    ):
        process.wait()
        assert len(session(process.pid)) == 1
        raise RuntimeError
    assert session(process.pid) == []


def test_a_stopped_benchmark_leaves_nothing(study: StudyFolder, tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()
    process = study.start("benchmarks", "overhead", "--profile", "tiny", TMPDIR=str(tmp_path / "place"))
    wait_until(lambda: children(process.pid), process)
    started = children(process.pid)
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 128 + signal.SIGTERM, said
    assert started
    assert [session(child) for child in started] == [[]] * len(started)
    assert list((tmp_path / "place").iterdir()) == []


def test_pace_leaves_the_beginning_of_a_phase_out() -> None:
    stamps = [0, 1_500, 3_000, 3_010, 3_030, 3_100, 9_000]
    assert outage.pace(stamps, Phase("killed", 1_000, 5_000, 7)) == Pace("killed", 3, 100 / 3, 20, 70, 7)
    with pytest.raises(Problem, match="raise --seconds"):
        outage.pace(stamps, Phase("killed", 5_000, 10_000, 0))


def test_a_fault_is_compared_with_its_neighbours() -> None:
    def phase(condition: str, mean_ms: float) -> Pace:
        return Pace(condition, 100, mean_ms, mean_ms, 1, 0)

    paces = [phase("up", 10), phase("killed", 12), phase("up", 14), phase("locked", 14), phase("up", 14)]
    assert outage.ratios([*paces, phase("killed", 7), phase("up", 14)]) == {"killed": [1.0, 0.5], "locked": [1.0]}


@pytest.mark.parametrize(
    ("points", "counts"),
    [
        ([(1, 5.5, 10), (2, 5.25, 20), (3, 5.125, 30)], (0, 0, 0)),
        ([(1, 5.5, 10), (3, 5.125, 30)], (1, 0, 0)),
        ([(1, 5.5, 10), (2, 5.25, 20), (2, 5.25, 21), (3, 5.125, 30)], (0, 1, 1)),
        ([(1, 5.5, 10), (2, 5.0, 20), (3, 5.125, 30), (4, 5.0, 40)], (0, 0, 2)),
    ],
)
def test_every_step_is_looked_up(
    tmp_path: Path, points: list[tuple[int, float, int]], counts: tuple[int, int, int]
) -> None:
    database = sqlite3.connect(tmp_path / "server.db")
    database.execute("CREATE TABLE metrics (run_uuid, key, value, timestamp, step)")
    database.execute("CREATE TABLE tags (run_uuid, key, value)")
    database.executemany("INSERT INTO tags VALUES (?, 'part', ?)", [("a", "study"), ("b", "attempt")])
    database.executemany(
        "INSERT INTO metrics VALUES ('a', 'learning/loss', ?, ?, ?)", [(loss, at, step) for step, loss, at in points]
    )
    database.execute("INSERT INTO metrics VALUES ('b', 'learning/loss', 1.0, 1, 1)")
    database.execute("INSERT INTO metrics VALUES ('a', 'seconds_per_step', 1.0, 1, 1)")
    database.commit()
    database.close()
    steps = {step: Step(step, loss, 1.0, at, 1) for step, loss, at in [(1, 5.5, 10), (2, 5.25, 20), (3, 5.125, 30)]}
    found = outage.look_up(tmp_path / "server.db", steps)
    assert (found.missing, found.repeated, found.different) == counts
    assert found.exactly_once == (counts == (0, 0, 0))
    assert found.points == len(points)
