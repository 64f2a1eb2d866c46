"""DVC's experiments: in a copy of the checkout, killed there, queued as a sweep; and what is made of their runs."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest

from src.record import journal
from tests import clone
from tests.clone import in_clone

SLOW = ("-S", "params/tiny.yaml:train.steps=4000", "-S", "params/tiny.yaml:train.checkpoint_every=50")
"""Some seconds of training, so that there is a middle."""
COMMIT = ("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qam")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with a finished study whose dvc.lock is committed. Its environment is not active: see `dvc`."""
    folder = tmp_path_factory.mktemp("team") / "study"
    clone.make(folder)
    (folder / ".venv").symlink_to(sys.prefix)
    dvc(folder, "repro")
    in_clone(folder, "git", "add", "dvc.lock")
    in_clone(folder, *COMMIT, "the study's results")
    return folder


def dvc(folder: Path, *arguments: str, **more: str) -> str:
    """DVC by its path, as one who has not activated the environment calls it."""
    environment: dict[str, Any] = {"PATH": os.defpath} | more
    return in_clone(folder, str(folder / ".venv" / "bin" / "python"), "-m", "dvc", *arguments, **environment)


def journals(checkout: Path) -> dict[str, journal.View]:
    """Fingerprint → journal of every run of the checkout."""
    return {path.parent.name: journal.read(path) for path in (checkout / "work" / "train").glob("*/journal.jsonl")}


def kill_in_the_middle(checkout: Path, *arguments: str) -> str:
    """Start an experiment, kill DVC and all below it when it has done 300 steps; the fingerprint of its run."""
    before = journals(checkout).keys()
    environment = {key: value for key, value in os.environ.items() if key not in ("MUSIC_LIBRARY", "PYTHONPATH")}
    command = [str(checkout / ".venv" / "bin" / "python"), "-m", "dvc", *arguments]
    process = subprocess.Popen(command, cwd=checkout, env=environment | {"PATH": os.defpath}, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            new = [name for name, view in journals(checkout).items() if name not in before and view.last_step >= 300]
            if new:
                return new[0]
            time.sleep(0.05)
    finally:
        for victim in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
            victim.send_signal(signal.SIGKILL)
        process.wait()
    raise AssertionError("the experiment did not begin to train")


def test_an_experiment_in_a_copy_that_is_killed_goes_on(checkout: Path) -> None:
    kept = {path: path.read_bytes() for path in (checkout / "checkpoints").rglob("*.json")}
    command = ("exp", "run", "--temp", "-n", "long", *SLOW, "-S", "params/tiny.yaml:train.learning_rate=0.003", "train")
    run = kill_in_the_middle(checkout, *command)
    reached = journals(checkout)[run].last_step
    assert 300 <= reached < 4000
    dvc(checkout, *command)
    view = journals(checkout)[run]
    assert [attempt.cause for attempt in view.attempts.values()][-1] == "finished"
    assert view.attempts[2].start_step >= reached // 50 * 50 - 50
    with sqlite3.connect(checkout / "mlruns" / "mlflow.db") as database:
        runs_of_it = database.execute(
            "SELECT DISTINCT f.run_uuid FROM tags f JOIN tags p ON f.run_uuid = p.run_uuid "
            "WHERE f.key = 'fingerprint' AND f.value = ? AND p.key = 'part' AND p.value = 'study'",
            (run,),
        ).fetchall()
        assert len(runs_of_it) == 1
        steps = database.execute(
            "SELECT step FROM metrics WHERE run_uuid = ? AND key = 'loss' ORDER BY step", runs_of_it[0]
        ).fetchall()
    assert [step for (step,) in steps] == list(range(1, 4001))
    # The study's own files are as they were, and the copy left nothing but what was killed with it.
    assert {path: path.read_bytes() for path in (checkout / "checkpoints").rglob("*.json")} == kept
    assert in_clone(checkout, "git", "status", "--porcelain") == ""


def test_a_sweep_is_one_table_and_its_runs_can_be_compared(checkout: Path) -> None:
    in_clone(
        checkout,
        *("dvc", "exp", "run", "--queue"),
        *("-S", "params/tiny.yaml:train.learning_rate=0.001,0.004"),
        *("-S", "params/tiny.yaml:model.dilations=[1,2,4],[1,2,4,8]"),
    )
    in_clone(checkout, "dvc", "queue", "start", "-j", "2")
    deadline = time.monotonic() + 900
    while "Running" in (said := in_clone(checkout, "dvc", "queue", "status")) or "Queued" in said:
        assert time.monotonic() < deadline, said
        time.sleep(2)
    assert said.count("Success") == 4, said
    table = json.loads(in_clone(checkout, "dvc", "exp", "show", "--json"))
    rows = [row["revs"][0]["data"] for row in table[1]["experiments"] if row["revs"]]
    figures = [
        row["metrics"]["metrics/summary.json"]["data"] for row in rows if "metrics/summary.json" in row["metrics"]
    ]
    swept = [each for each in figures if each["step"] == 30]
    assert len({each["bits"] for each in swept}) >= 4
