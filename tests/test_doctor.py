"""The doctor, tested by breaking one thing after the other in a whole checkout."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from src import doctor
from src.base import files
from src.base.errors import Problem
from src.doctor import Finding
from src.record import guarded, tracking, tracking_database
from src.record.journal import Journal
from tests.conftest import ROOT, StudyFolder

DEAD = 2**22 + 1
"""No process has this number: it is above the kernel's largest."""


@pytest.fixture
def checkout(study: StudyFolder, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout in which all is well, as the working folder; no commit is needed for that."""
    monkeypatch.chdir(study.root)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(guarded, "LONGEST_CALL_S", guarded.LONGEST_CALL_S)  # the doctor waits less, and this undoes it
    for name in (".gitignore", "requirements.lock"):
        shutil.copy(ROOT / name, study.root)
    subprocess.run(["git", "init", "-q"], check=True)
    return study.root


def found(*words: str) -> Finding:
    """The one finding with these words."""
    every = list(doctor.findings())
    (one,) = [finding for finding in every if all(word in finding.text for word in words)]
    return one


def mended(finding: Finding) -> None:
    assert finding.repair is not None
    finding.repair()


def test_a_new_checkout_is_well(checkout: Path) -> None:
    every = list(doctor.findings())
    low = "free on this disk"  # what this machine has is not ours to say
    assert [finding.text for finding in every if finding.state != "ok" and low not in finding.text] == []
    assert found("MLflow has no database yet")
    assert found("No library is recorded yet")


def test_packages_and_python_are_those_of_the_lock(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = checkout / "requirements.lock"
    text = lock.read_text()
    numpy = next(line for line in text.splitlines() if line.startswith("numpy=="))
    lock.write_text(text.replace(numpy, "numpy==0.1 \\\nnot-there==1\nelse==1 ; sys_platform == 'amiga' \\"))
    monkeypatch.setattr("sys.version_info", (3, 12, 1))
    finding = found("make clean .venv/made")
    assert finding.state == "broken"
    assert "Python 3.12.1 in place of 3.11, numpy" in finding.text
    assert "in place of 0.1, no not-there." in finding.text
    lock.unlink()
    assert found("requirements.lock is not here").state == "broken"


def test_a_disk_without_room(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for free, state in ((10e9, "ok"), (1e9, "warning"), (1e8, "broken")):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: shutil._ntuple_diskusage(9, 9, free))
        assert found("GB are free").state == state


def test_parameters_device_and_library_that_cannot_be_used(checkout: Path, study: StudyFolder) -> None:
    study.change("params.yaml", device="mps")
    assert found("torch", "finds none here").state == "broken"
    study.change("params.yaml", device="cpu", seed=-1)
    assert found("params.yaml: seed").state == "broken"
    (checkout / "data").mkdir(mode=0o700)
    (checkout / "data/library.json").write_text('{"kind": "own", "path": "/nowhere/Secret"}')
    finding = found("names cannot be read")
    assert finding.state == "broken"
    assert "Secret" not in finding.text


def test_private_folders_that_git_has_or_would_take(checkout: Path) -> None:
    (checkout / "metrics").mkdir()
    (checkout / "metrics/train.json").write_text("{}")
    subprocess.run(["git", "add", "-f", "metrics"], check=True)
    assert found("git has private files, in metrics.").state == "broken"
    ignored = checkout / ".gitignore"
    ignored.write_text(ignored.read_text().replace("/data/\n", "").replace("/mlruns/*\n", ""))
    assert found("git does not ignore data, mlruns/mlflow.db.").state == "broken"
    shutil.rmtree(checkout / ".git")
    assert found("not a git checkout").state == "broken"


def test_data_that_others_may_look_into(checkout: Path) -> None:
    (checkout / "data").mkdir(mode=0o755)
    (checkout / ".dvc/cache").mkdir(parents=True, mode=0o755)
    finding = found("Others on this machine")
    assert finding.state == "warning"
    assert "data/, .dvc/cache/" in finding.text
    mended(finding)
    assert {(checkout / name).stat().st_mode & 0o777 for name in ("data", ".dvc/cache")} == {0o700}


def test_what_dead_processes_left_goes_and_nothing_else(checkout: Path) -> None:
    run = checkout / "work/train/0123456789abcdef/checkpoints"
    gone = [run / f".step-5.{DEAD}.tmp", checkout / f"data/.clips.{DEAD}.old.tmp"]
    kept = [run / f".step-9.{os.getpid()}.tmp", run / "step-4", checkout / f".notes.{DEAD}.txt"]
    for folder in (*gone, *kept):
        folder.mkdir(parents=True)
        (folder / "weights").write_bytes(bytes(500_000))
    finding = found("Dead processes left 2 parts of outputs, 1.0 MB.")
    assert finding.state == "warning"
    mended(finding)
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in kept)
    assert found("No process left parts")


def test_runs_that_are_not_the_study_s_and_those_at_work(checkout: Path) -> None:
    folder = checkout / "work/train/0123456789abcdef"
    folder.mkdir(parents=True)
    book = Journal(folder / "journal.jsonl", 1)
    book.append("attempt", time_ms=1, start_step=0, automatic=False, steps=30)
    book.close()
    (folder / "weights").write_bytes(bytes(3_000_000))
    assert found("Other runs: 0123456789abcdef (3.0 MB)").state == "ok"
    with files.exclusive(Path("work/train/0123456789abcdef/lock"), what="It"):
        assert found("Run 0123456789abcdef is being trained.").state == "ok"
        assert found("No other runs take room")
    assert found("no lock is held")


@pytest.fixture
def moved(checkout: Path) -> Iterator[sqlite3.Connection]:
    """A database whose addresses are those of another place; only what the doctor reads of it."""
    (checkout / "mlruns").mkdir()
    with sqlite3.connect(checkout / "mlruns/mlflow.db") as connection:
        connection.execute("CREATE TABLE experiments (name TEXT, artifact_location TEXT)")
        for table, column in (("runs", "artifact_uri"), ("logged_models", "artifact_location")):
            connection.execute(f"CREATE TABLE {table} ({column} TEXT)")
            connection.execute(f"INSERT INTO {table} VALUES ('file:///before/mlruns/artifacts/x')")
        values = (tracking_database.EXPERIMENT, "file:///before/mlruns/artifacts")
        connection.execute("INSERT INTO experiments VALUES (?, ?)", values)
    yield connection
    connection.close()


def test_mlflow_s_addresses_after_a_move(
    checkout: Path, moved: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "Store", lambda writes: None)
    mended(found("before it was moved"))
    assert moved.execute("SELECT artifact_uri FROM runs").fetchone()[0] == f"{checkout.as_uri()}/mlruns/artifacts/x"
    assert [finding for finding in doctor.findings() if "moved" in finding.text] == []
    assert found("MLflow answers.")


def test_mlflow_that_does_not_answer_is_a_warning(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(writes: bool) -> None:
        raise Problem("MLflow could not be used.")

    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setattr(tracking, "Store", gone)
    assert found("MLflow could not be used. A training goes on without it").state == "warning"


def test_the_command_says_and_mends_and_ends_with_a_status(checkout: Path, study: StudyFolder) -> None:
    (checkout / "data").mkdir(mode=0o755)
    said = study.run("src.doctor")
    assert said.returncode == 0, said.stdout
    assert "warning   Others on this machine may look into what names songs: data/" in said.stdout
    assert "Mend it with: python -m src.doctor --repair" in said.stdout
    study.change("params.yaml", seed=-1)
    said = study.run("src.doctor", "--repair")
    assert said.returncode == 1, said.stdout
    assert "repaired  Others" in said.stdout
    assert "broken    The parameters are not usable" in said.stdout
    assert (checkout / "data").stat().st_mode & 0o777 == 0o700
