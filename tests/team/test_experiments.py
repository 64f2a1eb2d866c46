"""DVC's experiments: in a copy of the checkout, killed there, queued as a sweep; and what is made of their runs."""

import os
import re
import shlex
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from src.record import journal, runs
from tests import clone
from tests.clone import in_clone
from tests.conftest import PATIENCE_S
from tests.processes import children, kill
from tests.team.page import commands

SLOW = ("-S", "params/tiny.yaml:train.steps=2000", "-S", "params/tiny.yaml:train.checkpoint_every=50")
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


def dvc(folder: Path, *arguments: str) -> str:
    """DVC by its path, as one who has not activated the environment calls it."""
    return in_clone(folder, str(folder / ".venv" / "bin" / "python"), "-m", "dvc", *arguments, PATH=os.defpath)


def journals(checkout: Path) -> dict[str, journal.View]:
    """Fingerprint → journal of every run of the checkout."""
    return {path.parent.name: journal.read(path) for path in (checkout / "work" / "train").glob("*/journal.jsonl")}


def family(pid: int) -> list[int]:
    """A process and all below it."""
    return [pid, *(each for child in children(pid) for each in family(child))]


def kill_in_the_middle(checkout: Path, *arguments: str) -> str:
    """Start an experiment, kill DVC and all below it when it has done 300 steps; the fingerprint of its run."""
    before = journals(checkout).keys()
    environment = {key: value for key, value in os.environ.items() if key not in ("MUSIC_LIBRARY", "PYTHONPATH")}
    command = [str(checkout / ".venv" / "bin" / "python"), "-m", "dvc", *arguments]
    process = subprocess.Popen(command, cwd=checkout, env=environment | {"PATH": os.defpath}, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            new = [name for name, view in journals(checkout).items() if name not in before and view.last_step >= 300]
            if new:
                return new[0]
            time.sleep(0.05)
    finally:
        kill(*family(process.pid))
        process.wait()
    raise AssertionError("the experiment did not begin to train")


def test_an_experiment_in_a_copy_that_is_killed_goes_on(checkout: Path) -> None:
    kept = {path: path.read_bytes() for path in (checkout / "checkpoints").rglob("*.json")}
    line = commands("Ten configurations")[1].replace("params/demo.yaml", "params/tiny.yaml")
    dvc_, *command = [*shlex.split(line), *SLOW, "train"]
    assert (dvc_, *command[:3]) == ("dvc", "exp", "run", "--temp")
    run = kill_in_the_middle(checkout, *command)
    reached = journals(checkout)[run].last_step
    assert 300 <= reached < 2000
    printed = dvc(checkout, *command[:-1], "compare")
    # The page that it makes stays in the copy; what it says to do instead works.
    said = re.search(r"python -m (src\.compare) --run (\S+)", printed)
    assert said is not None
    assert "The page: reports/" in in_clone(checkout, sys.executable, "-m", said[1], "--run", said[2])
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
            "SELECT step FROM metrics WHERE run_uuid = ? AND key = 'learning/loss' ORDER BY step", runs_of_it[0]
        ).fetchall()
    assert [step for (step,) in steps] == list(range(1, 2001))
    # The study's own files are as they were, and the copy left nothing but what was killed with it.
    assert {path: path.read_bytes() for path in (checkout / "checkpoints").rglob("*.json")} == kept
    assert in_clone(checkout, "git", "status", "--porcelain") == ""


def test_a_sweep_is_one_table_and_its_runs_can_be_compared(checkout: Path) -> None:
    lines = commands("Ten configurations")
    assert len(lines) == 9
    assert lines[0] == "source .venv/bin/activate"
    _, _, sweep, start, queue, table, status, compare, apply = (
        line.replace("params/demo.yaml", "params/tiny.yaml")
        .replace(",16,32,64,128,256,512]", "]")
        .replace("[1,2,4,8,16,32,64,128]", "[1,2,4]")
        for line in lines
    )
    in_clone(checkout, "bash", "-c", sweep)
    in_clone(checkout, "bash", "-c", f"{start} > work/queue.log 2>&1")  # its workers keep what it prints to open
    deadline = time.monotonic() + PATIENCE_S
    while "Running" in (said := in_clone(checkout, "bash", "-c", queue)) or "Queued" in said:
        assert time.monotonic() < deadline, said
        time.sleep(2)
    names = re.findall(r"^[0-9a-f]{7} +([a-z]+-[a-z]+) .*Success", said, re.MULTILINE)
    assert len(names) == 4, said
    shown = in_clone(checkout, "bash", "-c", table)
    columns = next(line for line in shown.splitlines() if "Experiment" in line).split()
    assert {"bits", "bits_less_linear", "accuracy", "sound", "model.dilations", "train.learning_rate"} <= {*columns}
    assert len(columns) <= 14
    rows = {name: line.split() for line in shown.splitlines() for name in names if f"[{name}]" in line}
    assert len({tuple(row[5:]) for row in rows.values()}) == 4
    # The same runs by their journals and in MLflow, each with what differs.
    shown = in_clone(checkout, "bash", "-c", status)
    lines_of = {name: next(line for line in shown.splitlines() if name in line.split()) for name in names}
    assert sum("layers 3" in line for line in lines_of.values()) == 2
    assert sum("lr 0.004" in line for line in lines_of.values()) == 2
    with sqlite3.connect(checkout / "mlruns" / "mlflow.db") as database:
        ids = {row[0][:8] for row in database.execute("SELECT run_uuid FROM runs WHERE status = 'FINISHED'")}
    assert {line.split()[2] for line in lines_of.values()} <= ids
    # The same one by each of its names.
    name = next(name for name, line in lines_of.items() if "layers 3" in line)
    run, _, run_id = lines_of[name].split()[:3]
    assert len({runs.named(known, checkout).training for known in (name, run, run_id)}) == 1
    said = " ".join(in_clone(checkout, "bash", "-c", compare.replace("NAME", run_id)).split())
    assert "On the same held-out songs, step 30 of this study needs" in said
    in_clone(checkout, "bash", "-c", apply.replace("NAME", name))
    assert yaml.safe_load((checkout / "params" / "tiny.yaml").read_text())["model"]["dilations"] == [1, 2, 4]
    assert runs.named(None, checkout).training == runs.named(name, checkout).training
