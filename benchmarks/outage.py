"""Whether a training notices what happens to MLflow, and whether MLflow has every step in the end.

    python -m benchmarks outage [--seconds 60] [--rounds 2]

One long training sends its steps to an MLflow server on this machine. In turns the server works, is killed, works, is
stopped (it accepts and never answers), works, has its database held by another writer, and works. Validation is
off: it takes time of its own. Afterwards the training is stopped, told to send the rest, and every step is looked up in
the server's database. Writes work/bench/outage.json.
"""

import contextlib
import itertools
import signal
import sqlite3
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from benchmarks import measure
from benchmarks.mlflow_server import Server
from benchmarks.temporary_study import TemporaryStudy, temporary_study
from src.base import console, files
from src.base.errors import Problem
from src.record import journal, shipping
from src.record.journal import Step
from src.record.tracking import now_ms

CONDITIONS = {
    "up": "the server works",
    "killed": "the server is killed (SIGKILL)",
    "stopped": "the server accepts and never answers (SIGSTOP)",
    "locked": "another writer holds its database",
}
SETTLE_MS = 2000
"""Left out at the beginning of a phase."""
STEPS = 999_999
"""More than the phases have time for."""
LONGEST_CONTACT_S = 120.0
STOPPED_BY_SIGTERM = 128 + signal.SIGTERM


@dataclass(frozen=True)
class Phase:
    """A stretch of time under one condition."""

    condition: str
    begin_ms: int
    end_ms: int
    sent_steps: int
    """Steps that reached MLflow meanwhile."""


@dataclass(frozen=True)
class Pace:
    """How fast steps followed each other in a phase. ms"""

    condition: str
    steps: int
    mean_ms: float
    median_ms: float
    longest_ms: int
    sent_steps: int


@dataclass(frozen=True)
class Delivery:
    """What MLflow has of a journal's steps."""

    journal_steps: int
    points: int
    missing: int
    repeated: int
    """Points of a step beyond its first."""
    different: int
    """Points that have another loss or time than the journal, or a step that it has not."""

    @property
    def exactly_once(self) -> bool:
        """Whether every step is there once and as in the journal."""
        return self.missing == self.repeated == self.different == 0


def outage(
    seconds: Annotated[int, typer.Option(min=4, help="Length of a phase.")] = 60,
    rounds: Annotated[int, typer.Option(min=1, help="Times that every fault is inflicted.")] = 2,
    profile: Annotated[str, typer.Option(help="Whose network and training.")] = "demo",
    output: Annotated[Path, typer.Option("--out", help="Where the figures go.")] = Path("work/bench/outage.json"),
) -> None:
    """Time steps while MLflow's server fails, and count what arrived."""
    with temporary_study(profile, steps=STEPS, validate_every=0) as study:
        count = 6 * len(study.params.genres)
        console.say(f"making {count} clips and starting MLflow's server …")
        study.write_clips(count, count)
        with Server(study.root) as server:
            phases, stopped = train_through(study, server, seconds, rounds)
            view = journal.read(_training(study) / "journal.jsonl")
            console.say(f"sending the rest ({view.last_step - stopped['sent_steps']:,} steps)")
            study.change(steps=view.last_step)
            with study.running("src.train", MLFLOW_TRACKING_URI=server.uri) as process:
                study.wait(process, "sending")
            delivered = look_up(server.database, view.steps)
    paces = [pace([step.time_ms for _, step in sorted(view.steps.items())], phase) for phase in phases]
    found = {
        "profile": profile,
        "seconds": seconds,
        "machine": measure.machine("cpu"),
        "attempts": len(view.attempts),
        "phases": [asdict(one) for one in paces],
        "ratios": ratios(paces),
        "after_sigterm": stopped,
        "delivery": asdict(delivered) | {"exactly_once": delivered.exactly_once},
    }
    files.write_json(output, found)
    console.show(_table(paces))
    console.say(
        f"The journal has {delivered.journal_steps:,} steps of {len(view.attempts)} attempts; MLflow had "
        f"{stopped['sent_steps']:,} when the training had stopped, and has {delivered.points:,} now that the rest "
        f"is sent: {delivered.missing} missing, {delivered.repeated} twice, {delivered.different} unlike the journal."
    )
    console.say(f"Written to {output}.")
    if not delivered.exactly_once or len(view.attempts) != 1:
        raise Problem("The training or MLflow's record of it did not come through unharmed.")


def train_through(
    study: TemporaryStudy, server: Server, seconds: float, rounds: int
) -> tuple[list[Phase], dict[str, float]]:
    """Train while the conditions follow each other; the phases, and how the end by SIGTERM went."""
    faults = [name for name in CONDITIONS if name != "up"]
    order = [*(name for _ in range(rounds) for fault in faults for name in ("up", fault)), "up"]
    with study.running("src.train", MLFLOW_TRACKING_URI=server.uri) as process:
        console.say("waiting for MLflow's first steps …")
        began = time.monotonic()
        while study.training is None or shipping.shipped_step(study.training) == 0:
            _sleep(study, process, 0.5)
            if time.monotonic() - began > LONGEST_CONTACT_S:
                raise Problem(f"MLflow has no step of the training after {LONGEST_CONTACT_S:.0f} s.")
        phases = []
        for number, condition in enumerate(order, 1):
            console.say(f"phase {number} of {len(order)}, {seconds:g} s: {CONDITIONS[condition]}")
            with server.conditions[condition]():
                begin_ms, sent = now_ms(), shipping.shipped_step(_training(study))
                _sleep(study, process, seconds)
                sent = shipping.shipped_step(_training(study)) - sent
                phases.append(Phase(condition, begin_ms, now_ms(), sent))
        console.say("stopping the training with SIGTERM")
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        study.wait(process, "stopping", status=STOPPED_BY_SIGTERM)
        sent = shipping.shipped_step(_training(study))
        return phases, {"seconds": time.monotonic() - began, "sent_steps": sent}


def pace(stamps_ms: Sequence[int], phase: Phase) -> Pace:
    """The times between consecutive steps that ended in the phase, its first `SETTLE_MS` left out.

    stamps_ms: ends of all steps, in order. Raises `Problem` if fewer than two steps ended.
    """
    inside = [stamp for stamp in stamps_ms if phase.begin_ms + SETTLE_MS <= stamp <= phase.end_ms]
    if len(inside) < 2:
        raise Problem(f"Fewer than two steps in a phase ({phase.condition}): raise --seconds.")
    between = [after - before for before, after in itertools.pairwise(inside)]
    return Pace(
        phase.condition,
        len(between),
        (inside[-1] - inside[0]) / len(between),
        statistics.median(between),
        max(between),
        phase.sent_steps,
    )


def ratios(paces: Sequence[Pace]) -> dict[str, list[float]]:
    """Fault → for each of its phases the mean time of a step over that in the phases before and after it."""
    found: dict[str, list[float]] = {}
    for before, fault, after in zip(paces, paces[1:], paces[2:], strict=False):
        if fault.condition != "up":
            usual_ms = (before.mean_ms + after.mean_ms) / 2
            found.setdefault(fault.condition, []).append(fault.mean_ms / usual_ms)
    return found


def look_up(database: Path, steps: Mapping[int, Step]) -> Delivery:
    """Compare the losses in an MLflow database with a journal's steps."""
    with contextlib.closing(sqlite3.connect(database, timeout=60)) as connection:
        points = connection.execute(
            "SELECT metrics.step, metrics.value, metrics.timestamp FROM metrics "
            "JOIN tags ON metrics.run_uuid = tags.run_uuid "
            "WHERE metrics.key = 'learning/loss' AND tags.key = 'part' AND tags.value = 'study'"
        ).fetchall()
    present = {step for step, _, _ in points}
    same = {(line.step, line.loss, line.time_ms) for line in steps.values()}
    return Delivery(
        journal_steps=len(steps),
        points=len(points),
        missing=len(steps.keys() - present),
        repeated=len(points) - len(present),
        different=sum(tuple(point) not in same for point in points),
    )


def _training(study: TemporaryStudy) -> Path:
    assert study.training is not None
    return study.training


def _sleep(study: TemporaryStudy, process: subprocess.Popen[bytes], seconds: float) -> None:
    """Sleep. Raises `Problem` with the training's last words if it ends meanwhile."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return
    study.check(process)
    raise Problem("The training reached its last step before the phases were over.")


def _table(paces: Sequence[Pace]) -> Table:
    table = Table(title="Steps of a training while MLflow's server fails")
    for heading in ("phase", "condition", "steps", "mean ms", "median ms", "longest ms", "× neighbours", "sent"):
        table.add_column(heading, justify="left" if heading == "condition" else "right")
    paired = {name: iter(values) for name, values in ratios(paces).items()}
    for number, one in enumerate(paces, 1):
        ratio = "" if one.condition == "up" else f"{next(paired[one.condition]):.3f}"
        table.add_row(
            str(number), CONDITIONS[one.condition], f"{one.steps:,}", f"{one.mean_ms:.2f}", f"{one.median_ms:.0f}",
            f"{one.longest_ms:,}", ratio, f"{one.sent_steps:,}",
        )  # fmt: skip
    return table
