"""Break a training for real, in every way we know, and print a table of what it survived.

Each fault runs a whole training at the tiny scale in its own folder and compares checkpoints (byte for byte),
losses and what MLflow holds with a training that nothing disturbed.

    make chaos            (10 kills)
    make chaos KILLS=100
"""

import contextlib
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from src.run import console, journal
from tests.conftest import ROOT, StudyFolder, make_study, write_clips

STEPS = 400
LONGEST_S = 1800


@dataclass
class Outcome:
    """What a fault left behind."""

    fault: str
    happened: str
    seconds: float
    problems: list[str]


class Chaos:
    """A place for trainings, and the undisturbed one to compare with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.undisturbed = self.study("undisturbed")
        self.reference_seconds = time.monotonic()
        self.finish(self.undisturbed)
        self.reference_seconds = time.monotonic() - self.reference_seconds

    def study(self, name: str) -> StudyFolder:
        """A fresh study: the tiny network, 400 steps, a checkpoint every 20."""
        study = make_study(self.folder / name, steps=(20, 150, STEPS))
        study.change("params/tiny.yaml", train__steps=STEPS, train__checkpoint_every=20, train__validate_every=50)
        write_clips(study.root / "data" / "clips", clips_per_genre=3, duration_s=3.0)
        return study

    def finish(self, study: StudyFolder, **environment: str) -> str:
        """Run the training to its end and return what it printed."""
        done = study.run("src.train", **environment)
        if done.returncode:
            raise RuntimeError(f"the training ended with {done.returncode}:\n{done.stdout}")
        return str(done.stdout)

    def differences(self, study: StudyFolder) -> list[str]:
        """What is not as in the undisturbed training."""
        found = []
        for path in sorted((self.undisturbed.root / "checkpoints").rglob("*")):
            other = study.root / path.relative_to(self.undisturbed.root)
            if path.is_file() and (not other.is_file() or other.read_bytes() != path.read_bytes()):
                found.append(f"{path.parent.name}/{path.name} differs")
        mine, reference = (journal.read(book(place)).steps for place in (study, self.undisturbed))
        if {step: line.loss for step, line in mine.items()} != {step: line.loss for step, line in reference.items()}:
            found.append("losses differ")
        shipped = in_mlflow(study)
        if shipped != [(line.step, line.loss, line.time_ms) for _, line in sorted(mine.items())]:
            found.append(f"MLflow holds {len(shipped)} points of {len({row[0] for row in shipped})} steps, not {STEPS}")
        return found


def book(study: StudyFolder) -> Path:
    """The journal of the study's one run."""
    (path,) = (study.root / "work" / "train").glob("*/journal.jsonl")
    return path


def in_mlflow(study: StudyFolder) -> list[tuple[int, float, int]]:
    """(step, loss, time) as MLflow's database has them."""
    with sqlite3.connect(study.root / "mlruns" / "mlflow.db") as database:
        return database.execute(
            "SELECT step, metrics.value, metrics.timestamp FROM metrics JOIN tags ON metrics.run_uuid = tags.run_uuid "
            "WHERE metrics.key = 'loss' AND tags.key = 'part' AND tags.value = 'study' ORDER BY step"
        ).fetchall()


def family(pid: int) -> list[int]:
    """A process and its children."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return [pid]
    return [pid, *(int(part) for part in text.split())]


def kill(pids: list[int]) -> None:
    """SIGKILL."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def steps_now(study: StudyFolder) -> int:
    """Lines in the journal at this moment (0 before it exists)."""
    try:
        return book(study).read_bytes().count(b'"kind": "step"')
    except ValueError:
        return 0


def killed_at_random(chaos: Chaos, kills: int, seed: int) -> Outcome:
    """SIGKILL of the trainer or of trainer and supervisor, at random moments, checkpoints' writes among them."""
    study, chance = chaos.study(f"kills-{seed}"), random.Random(seed)
    began = time.monotonic()
    done = {"trainer": 0, "both": 0}
    process = study.start("src.train")
    while sum(done.values()) < kills and time.monotonic() - began < LONGEST_S:
        before = steps_now(study)
        # Some progress first, or a run would only ever start; then any moment.
        wanted = before + chance.randrange(0, max(2, 2 * STEPS // kills))
        while process.poll() is None and steps_now(study) <= wanted:
            time.sleep(0.005)
        if process.poll() is not None:
            break
        time.sleep(chance.random() * 0.02)
        pids = family(process.pid)
        if len(pids) > 1 and chance.random() < 0.6:
            kill(pids[1:])
            done["trainer"] += 1
        else:
            kill(pids)
            done["both"] += 1
            process.wait()
            process = study.start("src.train")
    process.communicate()
    printed = chaos.finish(study)
    problems = chaos.differences(study)
    if "gave loss" in printed:
        problems.append("a replayed step gave another loss")
    attempts = journal.read(book(study)).attempts
    what = f"{sum(done.values())} kills ({done['trainer']} trainer, {done['both']} both), {len(attempts)} attempts"
    return Outcome("SIGKILL at random moments", what, time.monotonic() - began, problems)


def killed_while_shipping(chaos: Chaos) -> Outcome:
    """The supervisor dies in the middle of a shipment: found by MLflow's database growing."""
    study = chaos.study("shipping")
    began = time.monotonic()
    kills = 0
    for _ in range(3):
        process = study.start("src.train")
        database = study.root / "mlruns" / "mlflow.db-journal"
        while process.poll() is None and not database.exists():
            time.sleep(0.001)
        if process.poll() is None:
            kill(family(process.pid))
            kills += 1
        process.communicate()
    chaos.finish(study)
    return Outcome(
        "SIGKILL while MLflow's database is written",
        f"{kills} kills",
        time.monotonic() - began,
        chaos.differences(study),
    )


def full_disk(chaos: Chaos) -> Outcome:
    """work/ is a small tmpfs: the training ends with a sentence and goes on when there is room."""
    study = chaos.study("disk")
    began = time.monotonic()
    disk = study.root / "work"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", disk], check=False, capture_output=True
    )
    if mounted.returncode:
        return Outcome("full disk", "not tried: mounting needs root", 0, [])
    try:
        first = study.run("src.train")
        problems = [] if first.returncode == 1 and "The disk is full" in first.stdout else [f"said: {first.stdout}"]
        reached = steps_now(study)
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        chaos.finish(study)
        problems += chaos.differences(study)
    finally:
        subprocess.run(["umount", "-l", disk], check=True)
    return Outcome("full disk", f"stopped at step {reached}, then given room", time.monotonic() - began, problems)


@contextlib.contextmanager
def black_hole() -> Iterator[str]:
    """A server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        held: list[socket.socket] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    held.append(server.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def silent_server(chaos: Chaos) -> Outcome:
    """MLflow accepts and never answers; later the local database takes everything."""
    study = chaos.study("silent")
    began = time.monotonic()
    with black_hole() as address:
        printed = chaos.finish(study, MLFLOW_TRACKING_URI=address)
    problems = [] if "sends the rest" in printed else ["it did not say what to run"]
    chaos.finish(study)
    problems += chaos.differences(study)
    return Outcome("MLflow accepts and never answers", "for the whole run", time.monotonic() - began, problems)


def locked_database(chaos: Chaos) -> Outcome:
    """Another writer holds MLflow's database for the whole run."""
    study = chaos.study("locked")
    began = time.monotonic()
    (study.root / "mlruns").mkdir()
    shutil.copy(chaos.undisturbed.root / "mlruns" / "mlflow.db", study.root / "mlruns")
    with contextlib.closing(sqlite3.connect(study.root / "mlruns" / "mlflow.db")) as database:
        database.execute("DELETE FROM metrics")
        database.execute("DELETE FROM tags WHERE key = 'fingerprint'")
        database.execute("DELETE FROM tags WHERE key = 'part'")
        database.commit()
        database.execute("BEGIN EXCLUSIVE")
        printed = chaos.finish(study)
        database.rollback()
    problems = [] if "sends the rest" in printed else ["it did not say what to run"]
    chaos.finish(study)
    problems += chaos.differences(study)
    return Outcome("MLflow's database locked", "for the whole run", time.monotonic() - began, problems)


def second_supervisor(chaos: Chaos) -> Outcome:
    """Two trainings of one run at once: the second refuses and names the first."""
    study = chaos.study("second")
    began = time.monotonic()
    first = study.start("src.train")
    while first.poll() is None and steps_now(study) < 5:
        time.sleep(0.01)
    second = study.run("src.train")
    first.communicate()
    problems = [] if second.returncode == 1 and str(first.pid) in second.stdout else [f"said: {second.stdout}"]
    problems += chaos.differences(study)
    return Outcome("two supervisors at once", "the second refused", time.monotonic() - began, problems)


def clock_set_back(chaos: Chaos) -> Outcome:
    """The second attempt lives an hour before the first, on a machine with another name."""
    study = chaos.study("clock")
    began = time.monotonic()
    process = study.start("src.train")
    while process.poll() is None and steps_now(study) < 100:
        time.sleep(0.01)
    kill(family(process.pid))
    process.wait()
    patch = study.root / "patch"
    patch.mkdir()
    (patch / "sitecustomize.py").write_text(
        "import socket, time\n"
        "real = time.time_ns\n"
        "time.time_ns = lambda: real() - 3_600_000_000_000\n"
        "socket.gethostname = lambda: 'renamed'\n"
    )
    chaos.finish(study, PYTHONPATH=f"{patch}{os.pathsep}{ROOT}")
    attempts = journal.read(book(study)).attempts
    problems = [] if attempts[2].time_ms < attempts[1].time_ms else ["the clock was not set back"]
    problems += ["a renamed machine was taken for another one"] if attempts[2].details["moved"] else []
    problems += chaos.differences(study)
    return Outcome("clock set back, machine renamed", "one hour", time.monotonic() - began, problems)


def main(
    kills: Annotated[int, typer.Option(help="SIGKILLs over one training.")] = 10,
    seed: Annotated[int, typer.Option(help="Of the moments.")] = 1,
    only: Annotated[str, typer.Option(help="Part of one fault's name.")] = "",
) -> None:
    """Inflict every fault and print what became of the training."""
    faults: list[Callable[[Chaos], Outcome]] = [
        lambda chaos: killed_at_random(chaos, kills, seed),
        killed_while_shipping,
        full_disk,
        silent_server,
        locked_database,
        second_supervisor,
        clock_set_back,
    ]
    names = ["killed_at_random", *(fault.__name__ for fault in faults[1:])]
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        chaos = Chaos(Path(folder))
        console.say(f"undisturbed: {STEPS} steps in {console.duration(chaos.reference_seconds)}")
        outcomes = []
        for name, fault in zip(names, faults, strict=True):
            if only in name:
                outcomes.append(fault(chaos))
                console.say(f"{outcomes[-1].fault}: {'survived' if not outcomes[-1].problems else 'BROKEN'}")
    table = Table(title="Faults", title_justify="left")
    for column in ("fault", "what happened", "took", "same bytes, losses and MLflow as undisturbed"):
        table.add_column(column)
    for outcome in outcomes:
        verdict = "yes" if not outcome.problems else "NO: " + "; ".join(outcome.problems)
        table.add_row(outcome.fault, outcome.happened, console.duration(outcome.seconds), verdict)
    console.show(table)
    sys.exit(any(outcome.problems for outcome in outcomes))


if __name__ == "__main__":
    typer.run(main)
