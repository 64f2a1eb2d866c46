"""SIGKILL: at random moments, before every operation on a checkpoint, in the middle of a shipment."""

import random
import signal
import time

from src.base import files
from src.record import journal
from tests.chaos.harness import Chaos, Outcome
from tests.conftest import StudyFolder
from tests.processes import (
    book,
    children,
    command_line,
    kill,
    kill_family,
    newest_step,
    sabotaged,
    step_lines,
    training_folder,
)

LONGEST_S = 9000.0
LONGEST_WAIT_S = 25.0
RESERVED_STEPS = 30
"""Left for the last kill: what a fast machine does between two looks."""


def at_random(chaos: Chaos, kills: int) -> Outcome:
    """The trainer, or trainer and supervisor, at random moments: start-up, steps, checkpoints, shipments."""
    study, chance = chaos.study("kills"), random.Random(chaos.seed)
    began, spoke = time.monotonic(), time.monotonic()
    stale = _database_journal(study)
    trainer = both = shipping = 0
    writing = 0
    process = study.start("src.train")
    while trainer + both < kills and time.monotonic() - began < LONGEST_S:
        moment = chance.random()
        to_ship = 0.05 <= moment < 0.08
        if moment < 0.05:
            time.sleep(3 * chance.random())  # perhaps before its first step
        elif to_ship:
            _wait_for_shipment(study, process.pid, stale)
        else:
            # Some progress first, or a run would only ever start; then any moment. A share of what is left, so that it
            # does not end before the last kill, however fast this machine is.
            left = chaos.scale.steps - newest_step(study)
            share = left // (kills - trainer - both)
            wanted = step_lines(study) + chance.randrange(1, max(2, min(2 * share, left - RESERVED_STEPS)))
            while process.poll() is None and step_lines(study) < wanted:
                time.sleep(0.005)
            if left > RESERVED_STEPS:
                time.sleep(0.03 * chance.random())
        if process.poll() is not None:
            break
        trainers = children(process.pid)
        if trainers and not to_ship and chance.random() < 0.6:
            kill(*trainers)
            trainer += 1
        else:
            shipping += _is_shipping(study, stale)
            kill_family(process.pid)
            both += 1
            process.communicate()
            stale = _database_journal(study)
            writing += _is_half_written(study)
            process = study.start("src.train")
        if time.monotonic() - spoke > 60:
            spoke = time.monotonic()
            print(f"  {trainer + both} kills, {step_lines(study)} step lines, {spoke - began:.0f} s", flush=True)
    process.communicate()
    # Hundreds of attempts are more than MLflow takes within a training's last minute; its last line says what to run.
    for _ in range(5):
        if "sends the rest" not in chaos.finish(study):
            break
    view = journal.read(book(study))
    happened = (
        f"{trainer + both} kills ({trainer} trainer, {both} trainer and supervisor; at least {writing} during a "
        f"checkpoint's write, {shipping} during a shipment), {len(view.attempts)} attempts, "
        f"{view.replayed:,} steps done again"
    )
    problems = chaos.differences(study)
    if trainer + both < kills:
        problems.append(f"the run ended before {kills} kills")
    return Outcome("SIGKILL at random moments", happened, problems)


def at_every_operation(chaos: Chaos) -> Outcome:
    """Trainer and supervisor, just before each operation on a checkpoint: creating, forcing, renaming, deleting."""
    study = chaos.study("operations")
    kills, operation, half_written = 0, 1, 0
    while True:
        process = study.start("src.train", **sabotaged(kill_at=operation))
        process.communicate()
        if process.returncode != -9:
            break  # it reached its end in fewer operations than that
        kills += 1
        half_written += _is_half_written(study)
        operation += 1 if chaos.thorough else 3
    printed = chaos.finish(study)
    problems = chaos.differences(study) + (["a checkpoint was damaged"] if "is damaged" in printed else [])
    problems += [] if kills else ["nothing was killed"]
    happened = f"{kills} kills, before operation 1 to {operation - 1}; {half_written} left a part of a checkpoint"
    return Outcome("SIGKILL before each operation on checkpoints", happened, problems)


def while_shipping(chaos: Chaos) -> Outcome:
    """Trainer and supervisor in the middle of a shipment: found by MLflow's database being written."""
    study = chaos.study("shipping")
    kills = 0
    for _ in range(10 if chaos.thorough else 3):
        stale = _database_journal(study)
        process = study.start("src.train", **sabotaged(slow_s=0.03))
        while process.poll() is None and not _is_shipping(study, stale):
            time.sleep(0.001)
        if process.poll() is None:
            kill_family(process.pid)
            kills += 1
        process.communicate()
    chaos.finish(study)
    problems = chaos.differences(study) + ([] if kills else ["nothing was killed"])
    return Outcome("SIGKILL while MLflow's database is written", f"{kills} kills", problems)


def _wait_for_shipment(study: StudyFolder, supervisor: int, stale: int) -> None:
    """Until the supervisor writes to MLflow; it loads MLflow first. The trainer is held: it would reach its end."""
    deadline = time.monotonic() + LONGEST_WAIT_S
    while time.monotonic() < deadline and not _is_shipping(study, stale):
        trainers = [pid for pid in children(supervisor) if b"--child-of" in command_line(pid)]
        kill(*trainers, signum=signal.SIGSTOP)
        time.sleep(0.002)


def _is_shipping(study: StudyFolder, stale: int) -> bool:
    """Whether MLflow's database is being written. stale: what an earlier kill left of its journal."""
    return _database_journal(study) not in (0, stale)


def _database_journal(study: StudyFolder) -> int:
    """What tells the database's rollback journal from an earlier one; 0 if there is none."""
    try:
        return (study.root / "mlruns" / "mlflow.db-journal").stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _is_half_written(study: StudyFolder) -> bool:
    try:
        return bool(files.leftovers(training_folder(study) / "checkpoints" / "step-*"))
    except (ValueError, OSError):
        return False  # it died before there was a run
